package jetdrive_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/provider"
)

// place is a group and a port of the test's own on loopback.
func place(t *testing.T) jetdrive.ConnSettings {
	t.Helper()
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return jetdrive.ConnSettings{
		Group:     netip.AddrFrom4([4]byte{239, 1 + byte(rand.IntN(250)), byte(rand.IntN(256)), 1 + byte(rand.IntN(250))}),
		Port:      uint16(free.LocalAddr().(*net.UDPAddr).Port),
		Interface: "127.0.0.1",
	}
}

// record is what a listening source emitted.
type record struct {
	source *jetdrive.Source
	stop   func()

	mu      sync.Mutex
	values  uint64
	keys    map[string]bool
	last    map[string]int64
	back    int // samples older than their predecessor
	distant int // samples more than 100 ms from their batch's first arrival
	clocks  map[sample.Clock]int
}

func listen(t *testing.T, conn jetdrive.ConnSettings) *record {
	t.Helper()
	r := &record{
		source: jetdrive.New(jetdrive.Settings{Conn: conn, Linger: jetdrive.DefaultLinger}, jetdrive.Options{}),
		keys:   map[string]bool{}, last: map[string]int64{}, clocks: map[sample.Clock]int{},
	}
	reader, err := r.source.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for reader.Read(ctx, r.note) == nil {
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		reading.Wait()
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *record) note(b *sample.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range b.Samples {
		key := b.Set.Channels()[s.Channel].Key
		r.keys[key] = true
		if s.Time < r.last[key] {
			r.back++
		}
		r.last[key] = s.Time
		if off := s.Time - b.Received; off < -100_000 || off > 100_000 {
			r.distant++
		}
	}
	r.values += uint64(len(b.Samples))
	r.clocks[b.Clock] += len(b.Samples)
	return nil
}

func (r *record) count() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values
}

// run lets a provider live for the given time and waits until it is heard out.
func run(t *testing.T, life time.Duration, s provider.Settings, ears ...*record) provider.Counts {
	t.Helper()
	s.Name = "Simulated"
	s.Channels = []provider.ChannelSpec{{ID: 1, Name: "Engine RPM", Unit: sample.RPM}, {ID: 6, Name: "Humidity", Unit: sample.Percent}}
	s.Rate = 100
	s.Values = func(at time.Duration, dst []float32) { dst[0], dst[1] = float32(at.Milliseconds()), 50 }
	p, err := provider.New(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), life)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	counts := p.Counts()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for _, ear := range ears {
		for deadline := time.Now().Add(5 * time.Second); ear.count() < counts.Values && time.Now().Before(deadline); {
			<-look.C // until the last of it is emitted
		}
		ear.stop()
	}
	return counts
}

// Two instances on one machine hear the same, and neither takes the other's id.
func TestTwoInstancesHearTheSame(t *testing.T) {
	t.Parallel()
	conn := place(t)
	a, b := listen(t, conn), listen(t, conn)
	sent := run(t, 4*time.Second, provider.Settings{
		Conn: conn, Faults: provider.Faults{Loss: 0.05, Reorder: 0.02, Duplicate: 0.02, Seed: 7},
	}, a, b)
	ids := map[jetdrive.HostID]bool{}
	for _, r := range []*record{a, b} {
		status := r.source.Status()
		ids[status.HostID] = true
		if len(status.Providers) != 1 {
			t.Fatalf("providers %+v", status.Providers)
		}
		p := status.Providers[0]
		ids[p.HostID] = true
		if p.Values != sent.Values || p.Lost != sent.Lost || p.Reordered != sent.Reordered || p.Duplicate != sent.Duplicated {
			t.Errorf("values %d lost %d reordered %d duplicate %d, sent %+v", p.Values, p.Lost, p.Reordered, p.Duplicate, sent)
		}
		if r.values != sent.Values || len(r.keys) != 2 || !p.Clock.Synced {
			t.Errorf("%d values of %v emitted, clock %+v", r.values, r.keys, p.Clock)
		}
	}
	if len(ids) != 3 || ids[0] {
		t.Errorf("host ids %v, want three different ones", ids)
	}
}

// A provider that restarts again and again is one provider with the same
// channels, its times go on, and nothing of it is missing.
func TestProviderThatRestartsIsOneProvider(t *testing.T) {
	t.Parallel()
	conn := place(t)
	ear := listen(t, conn)
	sent := run(t, 8*time.Second, provider.Settings{
		Conn: conn, Faults: provider.Faults{RestartEvery: 2 * time.Second, ClockOffset: 3_000_000_000 * time.Millisecond},
	}, ear)
	found := ear.source.Providers()
	if len(found) != 1 || found[0].Values != sent.Values || found[0].Lost != 0 || sent.Restarts < 2 {
		t.Errorf("sent %+v, heard %+v", sent, found)
	}
	if len(ear.keys) != 2 || !ear.keys["Simulated/1/0"] || !ear.keys["Simulated/6/0"] {
		t.Errorf("keys %v", ear.keys)
	}
	if ear.back != 0 || ear.distant != 0 {
		t.Errorf("%d samples older than their predecessor, %d far from their arrival", ear.back, ear.distant)
	}
}
