package jetdrive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/source/jetdrive/klhdv"
)

// testSettings is a group and a port of the test's own on loopback.
func testSettings(tb testing.TB) ConnSettings {
	tb.Helper()
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer free.Close()
	return ConnSettings{
		Group:     netip.AddrFrom4([4]byte{239, 1 + byte(rand.IntN(250)), byte(rand.IntN(256)), 1 + byte(rand.IntN(250))}),
		Port:      uint16(free.LocalAddr().(*net.UDPAddr).Port),
		Interface: "127.0.0.1",
	}
}

func loopbackInterface(tb testing.TB) *net.Interface {
	tb.Helper()
	links, err := systemLinks()
	if err != nil {
		tb.Fatal(err)
	}
	for _, l := range links {
		if l.loopback() {
			return &l.Interface
		}
	}
	tb.Fatal("no loopback interface")
	return nil
}

func openConn(t *testing.T, s ConnSettings) *Conn {
	t.Helper()
	c, err := OpenConn(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func frame(tb testing.TB, seq uint8, value []byte) []byte {
	tb.Helper()
	b, err := klhdv.AppendFrame(nil, klhdv.Header{Key: klhdv.KeyChannelValues, Host: 7, Seq: seq, Dest: klhdv.AllHosts}, value)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// receive collects the given number of packets.
func receive(t *testing.T, c *Conn, count int) [][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got [][]byte
	for len(got) < count {
		if err := c.Receive(ctx, func(p Packet) {
			got = append(got, bytes.Clone(p.Data))
			if !p.From.Addr().IsLoopback() || time.Since(p.Arrived) > time.Minute {
				t.Errorf("from %s at %s", p.From, p.Arrived)
			}
		}); err != nil {
			t.Fatalf("after %d of %d packets: %v", len(got), count, err)
		}
	}
	return got
}

func TestEverySocketOfAGroupHearsEveryMessage(t *testing.T) {
	t.Parallel()
	s := testSettings(t)
	a, b := openConn(t, s), openConn(t, s)
	s.Group = s.Group.Next() // the same port
	other := openConn(t, s)
	var want [][]byte
	for i := range 20 {
		from := []*Conn{a, b}[i%2]
		want = append(want, frame(t, uint8(i), []byte(fmt.Sprint("value ", i))))
		if err := other.Send(frame(t, uint8(i), nil)); err != nil {
			t.Fatal(err)
		}
		if err := from.Send(want[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*Conn{a, b} {
		got := receive(t, c, len(want))
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("received %q", got)
		}
		n := c.Counters()
		if n.Datagrams != 20 || n.Sent != 10 || n.KernelDrops+n.RingFull+n.Truncated+n.ReadErrors+n.SendErrors != 0 {
			t.Errorf("counters %+v", n)
		}
	}
	if got := receive(t, other, 20); len(got) != 20 {
		t.Errorf("the other group heard %d messages", len(got))
	}
}

func TestLongestDatagramSurvives(t *testing.T) {
	t.Parallel()
	c := openConn(t, testSettings(t))
	value := make([]byte, klhdv.MaxValue)
	for i := range value {
		value[i] = byte(i * 7)
	}
	want := frame(t, 1, value)
	if err := c.Send(want); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, c, 1); !bytes.Equal(got[0], want) {
		t.Errorf("%d bytes arrived of %d", len(got[0]), len(want))
	}
	if n := c.Counters(); n.Bytes != klhdv.MaxDatagram {
		t.Errorf("counters %+v", n)
	}
}

func TestConnNeverSendsWhatMovesADyno(t *testing.T) {
	t.Parallel()
	c := openConn(t, testSettings(t))
	brake := []byte{byte(klhdv.KeyRequestBrake), 1, 0, 7, 0, 0, 0xFF, 0xFF, 1}
	var forbidden *klhdv.ForbiddenError
	if err := c.Send(brake); !errors.As(err, &forbidden) {
		t.Errorf("brake: %v", err)
	}
	if err := c.Send([]byte{1, 2, 3}); !errors.Is(err, klhdv.ErrUnsendable) {
		t.Errorf("half a header: %v", err)
	}
	good := frame(t, 0, nil)
	if err := c.Send(good); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, c, 1); !bytes.Equal(got[0], good) {
		t.Errorf("on the network: %x", got)
	}
	if n := c.Counters(); n.Sent != 1 || n.SendErrors != 2 {
		t.Errorf("counters %+v", n)
	}
}

func TestReceiveEndsWithItsContextOrTheConn(t *testing.T) {
	t.Parallel()
	c := openConn(t, testSettings(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Receive(ctx, func(Packet) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := c.Send(frame(t, 0, nil)); err != nil {
		t.Fatal(err)
	}
	<-c.Ready()
	ended := make(chan error)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	<-c.Done()
	if got := receive(t, c, 1); len(got) != 1 {
		t.Error("what waited was lost by closing")
	}
	go func() { ended <- c.Receive(t.Context(), func(Packet) {}) }()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := c.Send(frame(t, 0, nil)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("sent through a closed connection: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

func TestC8ClosingWakesAReceiver(t *testing.T) {
	t.Parallel()
	c := openConn(t, testSettings(t))
	ended := make(chan error)
	go func() { ended <- c.Receive(t.Context(), func(Packet) {}) }()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestC8TheSameConnectionCanBeOpenedAgain(t *testing.T) {
	t.Parallel()
	s := testSettings(t)
	for range 3 {
		c := openConn(t, s)
		if err := c.Send(frame(t, 0, nil)); err != nil {
			t.Fatal(err)
		}
		receive(t, c, 1)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPortHeldByAnotherProgramIsOneSentence(t *testing.T) {
	t.Parallel()
	holder, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	s := testSettings(t)
	s.Port = uint16(holder.LocalAddr().(*net.UDPAddr).Port)
	_, err = OpenConn(t.Context(), s)
	want := fmt.Sprintf("UDP port %d is held by another program that does not share it: close that program or choose another port", s.Port)
	if !errors.Is(err, ErrPortHeld) || err.Error() != want {
		t.Error(err)
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*ConnSettings)
		want   string
	}{
		"unicast":       {func(s *ConnSettings) { s.Group = netip.MustParseAddr("10.0.0.1") }, "10.0.0.1 is not an IPv4 multicast address"},
		"IPv6":          {func(s *ConnSettings) { s.Group = netip.MustParseAddr("ff02::1") }, "ff02::1 is not an IPv4"},
		"no group":      {func(s *ConnSettings) { s.Group = netip.Addr{} }, "invalid IP is not an IPv4"},
		"no port":       {func(s *ConnSettings) { s.Port = 0 }, "port 0"},
		"no interface":  {func(s *ConnSettings) { s.Interface = "nosuch0" }, `"nosuch0" does not exist: choose one of`},
		"foreign given": {func(s *ConnSettings) { s.Interface = "192.0.2.254" }, `"192.0.2.254" does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSettings(t)
			tc.change(&s)
			c, err := OpenConn(t.Context(), s)
			if err == nil {
				c.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Error(err)
			}
		})
	}
}

func TestJoinThatFailsBesidesOthersIsAWarning(t *testing.T) {
	t.Parallel()
	s := testSettings(t)
	s.ReceiveBuffer = 4096
	lo := link{Interface: *loopbackInterface(t), addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	nowhere := link{Interface: net.Interface{Index: 1 << 20, Name: "gone0"}}
	refused := &Conn{}
	if err := refused.open(t.Context(), s, route{listen: []link{lo, nowhere}, transmit: lo}); err != nil {
		t.Fatal(err)
	}
	refused.socket.Close()
	if w := refused.Warning(); !strings.Contains(w, "join multicast group "+s.Group.String()+" on gone0") {
		t.Errorf("warning %q", w)
	}
	if err := new(Conn).open(t.Context(), s, route{listen: []link{nowhere}, transmit: lo}); err == nil {
		t.Error("opened without a group")
	}
}

func TestSmallReceiveBufferIsAWarningWithItsMend(t *testing.T) {
	t.Parallel()
	if w := bufferWarning(8<<20, 8<<20); w != "" {
		t.Errorf("warning %q", w)
	}
	w := bufferWarning(208<<10, 8<<20)
	if !strings.Contains(w, "208 KiB instead of 8192 KiB") || !strings.HasSuffix(w, bufferMend(8<<20)) {
		t.Errorf("warning %q", w)
	}
	c := openConn(t, testSettings(t))
	if granted := c.GrantedBuffer(); granted < DefaultReceiveBuffer != strings.Contains(c.Warning(), "receive buffer") {
		t.Errorf("granted %d, warning %q", granted, c.Warning())
	}
}
