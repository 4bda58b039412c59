package jetdrive

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// attached is a socket on loopback, and links that are all loopback to the
// system, so that joins and addresses are real, under names of their own.
func attached(t *testing.T, setting string) (a *attachment, lo link, notices *[]string) {
	t.Helper()
	s := testSettings(t)
	s.Interface = setting
	notices = new([]string)
	s.Notice = func(text string) { *notices = append(*notices, text) }
	lo = link{Interface: *loopbackInterface(t), addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
		nets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	lo.Flags |= net.FlagUp
	c := &Conn{}
	s.BufferDatagrams, s.ReceiveBuffer = 16, 4096
	if err := c.open(context.Background(), s, route{listen: []link{lo}, transmit: lo}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.socket.Close() })
	return c.links, lo, notices
}

func TestInterfaceThatGoesAndComesBackIsJoinedAnew(t *testing.T) {
	t.Parallel()
	a, lo, notices := attached(t, "127.0.0.1")
	now := time.Now()
	a.look([]link{lo}, netip.Addr{}, true, now)
	if a.warning() != "" || len(*notices) != 0 {
		t.Errorf("an interface as it was: %q, %q", a.warning(), *notices)
	}
	down := lo
	down.Flags &^= net.FlagUp
	for _, look := range []struct {
		links []link
		want  string
	}{{[]link{down}, "is down"}, {nil, "does not exist"}} {
		a.look(look.links, netip.Addr{}, false, now)
		if w := a.warning(); !strings.Contains(w, look.want) || !strings.Contains(w, "(since ") || len(a.joined) != 0 {
			t.Errorf("warning %q, joined %v", w, a.joined)
		}
	}
	a.look([]link{lo}, netip.Addr{}, false, now)
	if a.warning() != "" || len(a.joined) != 1 || a.out.Index != lo.Index {
		t.Errorf("back again: %q, joined %v", a.warning(), a.joined)
	}
	if n := len(*notices); n < 3 || (*notices)[n-1] != "the network interface is as configured again" {
		t.Errorf("notices %q", *notices)
	}
}

func TestGroupIsJoinedAnewAfterSilence(t *testing.T) {
	t.Parallel()
	a, lo, _ := attached(t, "")
	lan := lo
	lan.Flags &^= net.FlagLoopback // where a switch may forget
	via := route{listen: []link{lan}, transmit: lan}
	start := a.silent
	for _, look := range []struct {
		at     time.Duration
		others bool
		left   bool
	}{
		{9 * time.Second, false, false},
		{11 * time.Second, false, true},
		{20 * time.Second, false, false},
		{22 * time.Second, false, true},
		{31 * time.Second, true, false},
		{40 * time.Second, false, false},
		{42 * time.Second, false, true},
	} {
		a.renew(via, look.others, start.Add(look.at))
		if left := len(a.joined) == 0; left != look.left {
			t.Errorf("at %v: left %v", look.at, left)
		}
		if _, err := a.follow(via); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTransmissionMovesToWhereOthersAreHeard(t *testing.T) {
	t.Parallel()
	links := testLinks()
	for i := range links {
		for _, addr := range links[i].addrs {
			links[i].nets = append(links[i].nets, netip.PrefixFrom(addr, 24).Masked())
		}
	}
	via, err := chooseRoute("", links)
	if err != nil {
		t.Fatal(err)
	}
	a := newAttachment(ConnSettings{}, nil, nil)
	a.out = via.transmit
	start := time.Now()
	for _, look := range []struct {
		at   time.Duration
		from string
		want string
	}{
		{0, "", "Ethernet 2"},
		{2 * time.Second, "203.0.113.77", "wlan0"}, // nobody was ever heard on Ethernet 2
		{4 * time.Second, "192.0.2.9", "wlan0"},
		{20 * time.Second, "", "wlan0"},
		{40 * time.Second, "192.0.2.9", "Ethernet 2"},
		{42 * time.Second, "172.16.0.1", "Ethernet 2"}, // on no network of ours
	} {
		from, _ := netip.ParseAddr(look.from)
		a.out = a.towards(via, from, start.Add(look.at))
		if a.out.Name != look.want {
			t.Errorf("at %v, from %q: transmits on %s, not %s", look.at, look.from, a.out.Name, look.want)
		}
	}
	via.listen = slices.DeleteFunc(via.listen, func(l link) bool { return l.Name == "Ethernet 2" })
	via.transmit = outward(via.listen)
	if l := a.towards(via, netip.Addr{}, start.Add(43*time.Second)); l.Name != "wlan0" {
		t.Errorf("its interface is gone: transmits on %s", l.Name)
	}
}
