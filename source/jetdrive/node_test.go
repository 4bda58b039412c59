package jetdrive

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/internal/clock"
	"dynotap/source/jetdrive/klhdv"
)

// bus is a multicast network without a socket: everybody, the sender too,
// hears every datagram.
type bus struct {
	mu       sync.Mutex
	sent     [][]byte
	failing  error
	stations []func(datagram []byte)
}

func (b *bus) Send(datagram []byte) error {
	b.mu.Lock()
	if b.failing != nil {
		defer b.mu.Unlock()
		return b.failing
	}
	datagram = slices.Clone(datagram)
	b.sent = append(b.sent, datagram)
	stations := slices.Clone(b.stations)
	b.mu.Unlock()
	// The sender holds its lock: what it hears comes later.
	for _, hear := range stations {
		go hear(datagram)
	}
	return nil
}

func (b *bus) join(hear func([]byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stations = append(b.stations, hear)
}

// frames is what was sent of one kind.
func (b *bus) frames(key klhdv.Key) []klhdv.Frame {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []klhdv.Frame
	for _, datagram := range b.sent {
		if f, err := klhdv.Parse(datagram); err == nil && f.Key == key {
			out = append(out, f)
		}
	}
	return out
}

// station is a node with a receiver behind it, as a Reader has.
type station struct {
	*receiver
	clock *clock.Session
	stop  context.CancelFunc
	done  chan error
}

func (b *bus) station(t *testing.T, settings NodeSettings) *station {
	t.Helper()
	s := &station{clock: clock.New(), done: make(chan error, 1)}
	s.receiver = newReceiver(newRegistry("jetdrive", nil, nil), slog.New(slog.DiscardHandler))
	settings.Micros = s.clock.Micros
	node := NewNode(b, settings)
	s.node = node
	b.join(func(datagram []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.handle(datagram, netip.AddrPort{}, s.clock.Micros())
	})
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	go func() { s.done <- node.Run(ctx) }()
	return s
}

func (s *station) end(t *testing.T) {
	t.Helper()
	s.stop()
	if err := <-s.done; !errors.Is(err, context.Canceled) {
		t.Errorf("run ended with %v", err)
	}
}

func TestNodeClaimsAHostID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		s := network.station(t, NodeSettings{HostID: 0x1234})
		if err := s.node.Send(klhdv.KeyRequestChannelInfo, klhdv.AllHosts, nil); !errors.Is(err, ErrUnclaimed) {
			t.Errorf("sent without an id: %v", err)
		}
		time.Sleep(claimWait - time.Millisecond)
		synctest.Wait()
		if s.node.Host() != 0 {
			t.Error("claimed before the others had time to answer")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s.node.Host() != 0x1234 {
			t.Errorf("host id %#x", s.node.Host())
		}
		ping := network.frames(klhdv.KeyPing)
		if len(ping) != 1 || ping[0].Host != klhdv.Unclaimed || ping[0].Dest != klhdv.AllHosts || len(ping[0].Value) != 5 {
			t.Errorf("asked with %+v", ping)
		}
		if s.total.Ignored.Echo != 1 || len(s.registry.hosts) != 0 {
			t.Errorf("its own ping: %+v, hosts %v", s.total, s.registry.hosts)
		}
		s.end(t)
	})
}

func TestNodeTakesNoIDThatIsInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		first := network.station(t, NodeSettings{HostID: 0x1234})
		time.Sleep(2 * claimWait)
		synctest.Wait()
		second := network.station(t, NodeSettings{HostID: 0x1234})
		time.Sleep(2 * claimWait)
		synctest.Wait()
		if got := second.node.Host(); got == 0x1234 || got == 0 || got == klhdv.AllHosts || first.node.Host() != 0x1234 {
			t.Errorf("host ids %#x and %#x", first.node.Host(), got)
		}
		pongs := network.frames(klhdv.KeyPong)
		if len(pongs) != 1 || pongs[0].Host != 0x1234 || pongs[0].Dest != klhdv.Unclaimed {
			t.Errorf("the claim was answered with %+v", pongs)
		}
		first.end(t)
		second.end(t)
	})
}

func TestNodeGivesUpAnIDThatAnotherUses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		// Both ask at the same moment, so neither is answered.
		a := network.station(t, NodeSettings{HostID: 0x1234})
		b := network.station(t, NodeSettings{HostID: 0x1234})
		time.Sleep(2 * claimWait)
		synctest.Wait()
		if a.node.Host() != 0x1234 || b.node.Host() != 0x1234 {
			t.Fatalf("host ids %#x and %#x", a.node.Host(), b.node.Host())
		}
		say := func() {
			if err := a.node.Send(klhdv.KeyRequestChannelInfo, klhdv.AllHosts, nil); err != nil {
				t.Error(err)
			}
		}
		say()
		synctest.Wait()
		if b.node.Host() != 0 || b.node.Collisions() != 1 {
			t.Errorf("host id %#x, %d collisions after another spoke under it", b.node.Host(), b.node.Collisions())
		}
		for range 300 { // its own echoes are none, the numbers come round
			say()
		}
		time.Sleep(3 * claimWait)
		synctest.Wait()
		if id := b.node.Host(); id == 0 || id == 0x1234 || a.node.Host() != 0x1234 || a.node.Collisions() != 0 {
			t.Errorf("host ids %#x and %#x, %d collisions", a.node.Host(), id, a.node.Collisions())
		}
		a.end(t)
		b.end(t)
	})
}

// What another host says under our id is heard: the id is its own from then on.
func TestNodeHearsTheHostThatTookItsID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		s := network.station(t, NodeSettings{HostID: 0x1234})
		time.Sleep(2 * claimWait)
		synctest.Wait()
		datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: klhdv.KeyChannelValues, Host: 0x1234, Seq: 5, Dest: klhdv.AllHosts},
			klhdv.EncodeValues(nil, []klhdv.Value{{Channel: 1}}))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := network.Send(datagram); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			datagram[5]++
		}
		if s.total.Values != 2 || s.node.Collisions() != 1 || s.node.Host() != 0 {
			t.Errorf("%d values, %d collisions, host id %#x", s.total.Values, s.node.Collisions(), s.node.Host())
		}
		time.Sleep(2 * claimWait)
		synctest.Wait()
		if got := s.node.Host(); got == 0 || got == 0x1234 {
			t.Errorf("host id %#x after the collision", got)
		}
		s.end(t)
	})
}

func TestNodesPingEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		b := network.station(t, NodeSettings{Stamp: func() uint32 { return 4_000_000 }})
		time.Sleep(2 * claimWait)
		a := network.station(t, NodeSettings{Ping: true})
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		remote := a.registry.hosts[b.node.Host()]
		if remote == nil {
			t.Fatal("the other node was not heard")
		}
		best, ok := remote.clock.trips.best(a.clock.Micros())
		if !ok || best.remote != 4_000_000 || best.roundTrip() != 0 {
			t.Errorf("best trip %+v %v", best, ok)
		}
		for _, f := range network.frames(klhdv.KeyPing) {
			if len(f.Value) != 5 || f.Value[0] != klhdv.Version || f.Dest != klhdv.AllHosts {
				t.Errorf("ping %+v", f)
			}
		}
		// One for the claim, to nobody, and one for each of four pings.
		if n := len(network.frames(klhdv.KeyPong)); n != 5 {
			t.Errorf("%d pongs, want 5", n)
		}
		a.end(t)
		b.end(t)
	})
}

func TestPongsThatAreNotForUsDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		s := network.station(t, NodeSettings{HostID: 0x1234, Ping: true})
		time.Sleep(claimWait + time.Millisecond)
		synctest.Wait()
		pings := network.frames(klhdv.KeyPing)
		ping, err := klhdv.DecodePing(pings[len(pings)-1].Value)
		if err != nil {
			t.Fatal(err)
		}
		now := s.clock.Micros()
		tests := []struct {
			name    string
			dest    uint16
			hostTS  uint32
			arrival int64
			want    bool
		}{
			{"ours", 0x1234, ping.HostTS, now, true},
			{"to another host", 0x4321, ping.HostTS, now, false},
			{"to all hosts", klhdv.AllHosts, ping.HostTS, now, false},
			{"a timestamp that we did not send", 0x1234, ping.HostTS + 77, now, false},
			{"too late", 0x1234, ping.HostTS, now + pingLife + 1_000_000, false},
			{"before the ping", 0x1234, ping.HostTS, now - 5_000_000, false},
		}
		for _, test := range tests {
			f := klhdv.Frame{Header: klhdv.Header{Key: klhdv.KeyPong, Host: 9, Dest: test.dest}}
			if _, ok := s.node.matchPong(f, klhdv.Pong{Version: 1, HostTS: test.hostTS}, test.arrival); ok != test.want {
				t.Errorf("%s: %v, want %v", test.name, ok, test.want)
			}
		}
		s.end(t)
	})
}

func TestNodeNeverSendsLoadControlOrBrake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		s := network.station(t, NodeSettings{})
		time.Sleep(2 * claimWait)
		synctest.Wait()
		for _, key := range []klhdv.Key{klhdv.KeyRequestLoadControl, klhdv.KeyRequestBrake} {
			var forbidden *klhdv.ForbiddenError
			if err := s.node.Send(key, klhdv.AllHosts, make([]byte, 6)); !errors.As(err, &forbidden) {
				t.Errorf("%s: %v", key, err)
			}
			if n := len(network.frames(key)); n != 0 {
				t.Errorf("%s was sent", key)
			}
		}
		s.end(t)
	})
}

func TestNodeClaimsWhenTheNetworkIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := &bus{failing: errors.New("network is unreachable")}
		s := network.station(t, NodeSettings{})
		time.Sleep(claimPause / 2)
		synctest.Wait()
		if s.node.Host() != 0 || s.node.SendErrors() == 0 {
			t.Errorf("host id %#x, %d send errors", s.node.Host(), s.node.SendErrors())
		}
		network.mu.Lock()
		network.failing = nil
		network.mu.Unlock()
		time.Sleep(claimPause + claimWait)
		synctest.Wait()
		if s.node.Host() == 0 {
			t.Error("no host id after the network came back")
		}
		s.end(t)
	})
}

func TestNodeNumbersWithoutGaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		s := network.station(t, NodeSettings{Ping: true})
		time.Sleep(2 * claimWait)
		synctest.Wait()
		var senders sync.WaitGroup
		for range 8 {
			senders.Go(func() {
				for range 100 {
					if err := s.node.Send(klhdv.KeyRequestChannelInfo, klhdv.AllHosts, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		senders.Wait()
		synctest.Wait()
		for i, datagram := range network.sent[1:] {
			if got, want := datagram[5], network.sent[0][5]+uint8(i+1); got != want {
				t.Fatalf("message %d has number %d, want %d", i+1, got, want)
			}
		}
		if s.total.Ignored.Echo != uint64(len(network.sent)) || s.node.Collisions() != 0 {
			t.Errorf("%d echoes of %d messages, %d collisions", s.total.Ignored.Echo, len(network.sent), s.node.Collisions())
		}
		s.end(t)
	})
}

// The list is asked for while values of ids come that nobody named: again after
// the time that subscribe_timeout_sec gives an answer, and less and less often.
func TestRequestChannelInfoIsRateLimited(t *testing.T) {
	t.Parallel()
	for again, want := range map[time.Duration]int{2 * time.Second: 1, DefaultAskAgain: 2} {
		t.Run(again.String(), func(t *testing.T) {
			t.Parallel()
			rateOfAsking(t, again, want)
		})
	}
}

func rateOfAsking(t *testing.T, again time.Duration, want int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := new(bus)
		s := network.station(t, NodeSettings{})
		s.again = again.Microseconds()
		e := &ear{receiver: s.receiver, t: t}
		provider := &speaker{ear: e, id: 0x4444}
		asked := func(messages int) int {
			before := len(network.frames(klhdv.KeyRequestChannelInfo))
			for range messages {
				time.Sleep(50 * time.Millisecond)
				e.now = s.clock.Micros()
				e.hear(provider.valuesFrame(1, 2))
			}
			synctest.Wait()
			return len(network.frames(klhdv.KeyRequestChannelInfo)) - before
		}
		if n := asked(18); n != 0 {
			t.Errorf("asked %d times without a host id", n)
		}
		if n := asked(22); n != want {
			t.Errorf("asked %d times in the first second, want %d", n, want)
		}
		if n := asked(60 * 20); n < 3 || n > 6 {
			t.Errorf("asked %d times in the next minute", n)
		}
		provider.info("Dyno", channel(1, "Power", kW), channel(2, "Torque", 5))
		if n := asked(120 * 20); n != 0 {
			t.Errorf("asked %d times although everything is listed", n)
		}
		for _, f := range network.frames(klhdv.KeyRequestChannelInfo) {
			if f.Dest != 0x4444 {
				t.Errorf("asked %#x", f.Dest)
			}
		}
		s.end(t)
	})
}
