package jetdrive

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/jetdrive/klhdv"
	"dynotap/source/sourcetest"
)

// device is a provider that sends when told.
type device struct {
	settings Settings
	conn     *Conn
	host     uint16
	seq      uint8
	stamp    uint32
}

func newDevice(t *testing.T, linger time.Duration) *device {
	t.Helper()
	conn := testSettings(t)
	return &device{settings: Settings{Conn: conn, ListenOnly: true, Linger: linger}, conn: openConn(t, conn), host: 0x43FD}
}

func (d *device) Source() source.Source { return New(d.settings, Options{}) }

func (d *device) Send(tb testing.TB) {
	tb.Helper()
	d.send(tb, 1, 2)
}

func (d *device) send(tb testing.TB, ids ...uint16) {
	tb.Helper()
	d.stamp += 20
	values := make([]klhdv.Value, len(ids))
	for i, id := range ids {
		values[i] = klhdv.Value{Channel: id, Stamp: d.stamp, Value: float32(id)}
	}
	d.message(tb, klhdv.KeyChannelValues, klhdv.EncodeValues(nil, values))
}

func (d *device) message(tb testing.TB, key klhdv.Key, value []byte) {
	tb.Helper()
	datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: d.host, Seq: d.seq, Dest: klhdv.AllHosts}, value)
	if err == nil {
		err = d.conn.Send(datagram)
	}
	if err != nil {
		tb.Fatal(err)
	}
	d.seq++
}

func (d *device) Flood(tb testing.TB, messages int) {
	tb.Helper()
	for range messages {
		d.Send(tb)
	}
}

// Garble sends a datagram past the check of what goes out. Nothing of it moves
// a dyno: who listens there is the test.
func (d *device) Garble(tb testing.TB, noise []byte) {
	tb.Helper()
	if _, err := d.conn.socket.WriteToUDPAddrPort(noise, d.conn.to); err != nil {
		tb.Fatal(err)
	}
}

// Vanish and Return are what a provider that is switched off and on looks
// like: another host id, another number, another time.
func (d *device) Vanish(testing.TB) {}

func (d *device) Return(testing.TB) { d.host, d.seq, d.stamp = d.host+1, d.seq+100, 0 }

// The suite looks for goroutines left behind, so it runs alone.
func TestSourceKeepsTheContract(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Device {
		t.Helper()
		return newDevice(t, DefaultLinger)
	})
}

func TestSourceThatTransmitsKeepsTheContract(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Device {
		t.Helper()
		d := newDevice(t, DefaultLinger)
		d.settings.ListenOnly = false
		return d
	})
}

// opened is an open Reader of the device's source.
func (d *device) opened(t *testing.T) (*Source, *Reader) {
	t.Helper()
	s := New(d.settings, Options{})
	reader, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, reader.(*Reader)
}

// arrived waits until the reader's socket has the given number of datagrams.
func arrived(t *testing.T, r *Reader, datagrams uint64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); r.conn.in.ring.published.Load() < datagrams; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d datagrams arrived", r.conn.in.ring.published.Load(), datagrams)
		}
		time.Sleep(time.Millisecond) // a condition of the kernel's, there is nothing to wait on
	}
}

func TestReadGathersWithinTheLinger(t *testing.T) {
	t.Parallel()
	d := newDevice(t, time.Hour)
	_, r := d.opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type result struct {
		err     error
		samples []int
	}
	results := make(chan result, 1)
	go func() {
		var out result
		out.err = r.Read(ctx, func(b *sample.Batch) error {
			out.samples = append(out.samples, len(b.Samples))
			return nil
		})
		results <- out
	}()
	for range 3 {
		d.send(t, 1, 2)
	}
	arrived(t, r, 3)
	select {
	case out := <-results:
		t.Fatalf("read returned within its linger: %+v", out)
	default:
	}
	cancel()
	if out := <-results; out.err != nil || !slices.Equal(out.samples, []int{6}) {
		t.Errorf("read %+v, want one batch of 6 samples", out)
	}
	if err := r.Read(ctx, discard); !errors.Is(err, context.Canceled) {
		t.Errorf("read after its context ended: %v", err)
	}
}

func discard(*sample.Batch) error { return nil }

func TestReadGoesOnWhereEmitFailed(t *testing.T) {
	t.Parallel()
	d := newDevice(t, 0)
	_, r := d.opened(t)
	d.send(t, 1)
	d.host++
	d.send(t, 1, 2)
	arrived(t, r, 2)
	full := errors.New("queue is full")
	if err := r.Read(t.Context(), func(*sample.Batch) error { return full }); !errors.Is(err, full) {
		t.Errorf("read: %v", err)
	}
	samples := 0
	if err := r.Read(t.Context(), func(b *sample.Batch) error { samples += len(b.Samples); return nil }); err != nil || samples != 2 {
		t.Errorf("the next read gave %d samples, %v, want the 2 that were left", samples, err)
	}
}

func TestReadSaysThatTheSocketIsLost(t *testing.T) {
	t.Parallel()
	d := newDevice(t, 0)
	_, r := d.opened(t)
	d.send(t, 1)
	arrived(t, r, 1)
	if err := r.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Read(t.Context(), discard); err != nil {
		t.Errorf("what had arrived: %v", err)
	}
	if err := r.Read(t.Context(), discard); !errors.Is(err, source.ErrLost) {
		t.Errorf("read: %v", err)
	}
}

func TestListenOnlySendsNothing(t *testing.T) {
	t.Parallel()
	d := newDevice(t, 0)
	s, r := d.opened(t)
	d.message(t, klhdv.KeyPing, klhdv.EncodePing(nil, 1))
	d.send(t, 1) // of a channel that nobody named
	arrived(t, r, 2)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
		_ = r.Read(ctx, discard)
		cancel()
	}
	if err := s.RequestLogging(0x43FD, klhdv.LoggingQuery); !errors.Is(err, ErrListenOnly) {
		t.Errorf("request logging: %v", err)
	}
	if c := r.conn.Counters(); c.Sent+c.SendErrors != 0 {
		t.Errorf("sent: %+v", c)
	}
	if st := s.Status(); st.Transmitting || st.HostID != 0 || st.Total.Values != 1 || st.Socket.Datagrams != 2 || st.Buffer == 0 {
		t.Errorf("status %+v", st)
	}
	if r.BytesReceived() == 0 {
		t.Error("no bytes counted")
	}
}

// What is missed while the socket is closed is not the network's loss, and
// channel keys outlive a connection.
func TestReopenedSourceGoesOn(t *testing.T) {
	t.Parallel()
	d := newDevice(t, 0)
	s := New(d.settings, Options{})
	sets := map[*sample.ChannelSet]bool{}
	for range 3 {
		reader, err := s.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d.send(t, 1)
		if err := reader.Read(t.Context(), func(b *sample.Batch) error { sets[b.Set] = true; return nil }); err != nil {
			t.Error(err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		for range 5 {
			d.send(t, 1)
		}
	}
	if got := s.Providers()[0]; got.Values != 3 || got.Lost != 0 || len(sets) != 1 {
		t.Errorf("%d values, %d lost, %d channel sets, want 3, 0, 1", got.Values, got.Lost, len(sets))
	}
}

func TestPeerDiscover(t *testing.T) {
	t.Parallel()
	conn := testSettings(t)
	provider := startPeer(t, conn, "provider", "--seconds", "5", "--rate", "20", "--channels", "6", "--name", "Dyno °C")
	var found []ProviderStatus
	for range 3 { // until the provider is up
		var err error
		if found, err = Discover(t.Context(), Settings{Conn: conn}, 2500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 && found[0].Clock.Synced {
			break
		}
	}
	if len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	p := found[0]
	if p.Name != "Dyno °C" || len(p.Channels) != 6 || p.Channels[1] != (ChannelStatus{ID: 2, Name: "Power", Unit: sample.Kilowatt, Listed: true}) {
		t.Errorf("provider %q, channels %+v", p.Name, p.Channels)
	}
	if p.RateHz < 15 || p.RateHz > 25 || p.Clock.LatencyMS == nil || *p.Clock.LatencyMS > 100 {
		t.Errorf("rate %g Hz, clock %+v", p.RateHz, p.Clock)
	}
	if sent := provider.wait(t); sent.Host != p.HostID.String() {
		t.Errorf("host id %s, want %s", p.HostID, sent.Host)
	}
}

func TestPeerFollowsRequestLogging(t *testing.T) {
	t.Parallel()
	conn := testSettings(t)
	ours := listen(t, Settings{Conn: conn})
	provider := startPeer(t, conn, "provider", "--seconds", "4", "--rate", "20", "--channels", "2")
	var host HostID
	ask := func(command klhdv.LoggingCommand, changes int) {
		for deadline := time.Now().Add(6 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if found := ours.Providers(); len(found) > 0 && ours.Status().HostID != 0 && host == 0 {
				host = found[0].HostID
			}
			if host != 0 {
				if err := ours.RequestLogging(host, command); err != nil {
					t.Error(err)
				}
			}
			ours.mu.Lock()
			n := len(ours.changes)
			ours.mu.Unlock()
			if n == changes {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d changes, want %d", n, changes)
			}
		}
	}
	ask(klhdv.LoggingBegin, 1)
	ask(klhdv.LoggingEnd, 2)
	provider.wait(t)
	if c := ours.changes; !c[0].Started || c[1].Started || c[0].Host != host || c[1].At < c[0].At {
		t.Errorf("changes %+v", c)
	}
}
