package jetdrive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

const (
	// watchEvery is how often a Conn looks whether its interfaces are what they
	// were. It costs some 0.1 ms.
	watchEvery = 2 * time.Second
	// renewAfter is how long nobody else has to be silent before the group is
	// left and joined again, and how long until the next time: a switch that
	// snoops IGMP and has forgotten this machine needs a new report.
	renewAfter = 10 * time.Second
	// strangeAfter is how long nobody is heard on the interface that is
	// transmitted on before another one, where somebody is, is used.
	strangeAfter = 30 * time.Second
)

// attachment is what a socket has to do with the machine's interfaces. Only
// warning may be called beside the others.
type attachment struct {
	settings ConnSettings
	socket   *ipv4.PacketConn
	raw      syscall.RawConn
	joined   map[int]link // by index
	out      link         // transmitted on

	heard  map[int]time.Time // when somebody else was, by index
	silent time.Time         // since when nobody else speaks, or the last renewal

	mu      sync.Mutex
	trouble string // with the configured interface
	since   time.Time
}

func newAttachment(s ConnSettings, p *ipv4.PacketConn, raw syscall.RawConn) *attachment {
	return &attachment{settings: s, socket: p, raw: raw, joined: map[int]link{}, heard: map[int]time.Time{}, silent: time.Now()}
}

// follow makes memberships and the way out those of via, and leaves alone what
// is so already. Where links refuse, that is told as long as one accepts.
func (a *attachment) follow(via route) (refused []string, err error) {
	for index, l := range a.joined {
		if !slices.ContainsFunc(via.listen, func(o link) bool { return o.Index == index }) {
			a.leave(l)
		}
	}
	var failed []error
	for _, l := range via.listen {
		if err := a.join(l); err != nil {
			failed = append(failed, err)
			refused = append(refused, err.Error())
		}
	}
	if len(a.joined) == 0 {
		return nil, errors.Join(failed...)
	}
	return refused, a.transmit(via.transmit)
}

func (a *attachment) group() net.Addr { return &net.UDPAddr{IP: a.settings.Group.AsSlice()} }

func (a *attachment) join(l link) error {
	if _, already := a.joined[l.Index]; already {
		return nil
	}
	if err := a.socket.JoinGroup(&l.Interface, a.group()); err != nil {
		return fmt.Errorf("join multicast group %s on %s: %w", a.settings.Group, l.Name, err)
	}
	a.joined[l.Index] = l
	return nil
}

// leave forgets a link. The system has mostly done so already.
func (a *attachment) leave(l link) {
	_ = a.socket.LeaveGroup(&l.Interface, a.group())
	delete(a.joined, l.Index)
	delete(a.heard, l.Index)
}

// transmit sends from now on over l, from its first address.
func (a *attachment) transmit(l link) error {
	if a.out.Index == l.Index && a.out.addrs[0] == l.addrs[0] {
		return nil
	}
	// By its address, not by its index: else Linux sends over loopback under
	// the address of another interface.
	if err := transmitFrom(a.raw, l.addrs[0].As4()); err != nil {
		return fmt.Errorf("transmit on %s: %w", l.Name, err)
	}
	ttl := 1
	if l.loopback() {
		ttl = 0
	}
	if err := a.socket.SetMulticastTTL(ttl); err != nil {
		return fmt.Errorf("set the multicast TTL: %w", err)
	}
	a.out = l
	return nil
}

// watch keeps to the interfaces until ctx ends.
func (c *Conn) watch(ctx context.Context) error {
	c.in.own.Store(number(c.links.out.addrs[0]))
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	before := c.Counters()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		links, err := systemLinks()
		if err != nil {
			c.links.blame(err)
			continue
		}
		now := c.Counters()
		// What this program sends it hears itself, some of it in the next turn.
		others := now.Datagrams-before.Datagrams > now.Sent-before.Sent+1
		before = now
		var from netip.Addr
		if other := c.in.other.Swap(0); other != 0 {
			from = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, other)))
		}
		c.links.look(links, from, others, time.Now())
		c.in.own.Store(number(c.links.out.addrs[0]))
	}
}

// look compares the machine's links with what the socket has, and mends what
// differs. Others have spoken since the last look, one of them from an address
// that may be unknown.
func (a *attachment) look(links []link, from netip.Addr, others bool, now time.Time) {
	via, err := chooseRoute(a.settings.Interface, links)
	if err != nil {
		for _, l := range a.joined {
			a.leave(l)
		}
		a.out.Index = 0 // what comes back is joined and chosen anew
		a.blame(err)
		return
	}
	if len(via.listen) > 1 {
		via.transmit = a.towards(via, from, now)
	}
	before := a.String()
	a.renew(via, others, now)
	refused, err := a.follow(via)
	if after := a.String(); after != before {
		a.settings.Notice("network interfaces have changed: " + after)
	}
	if err == nil && len(refused) > 0 {
		err = errors.New(strings.Join(refused, "; "))
	}
	a.blame(err)
}

// towards chooses where to transmit: as before, unless nobody is heard there
// and somebody is elsewhere.
func (a *attachment) towards(via route, from netip.Addr, now time.Time) link {
	current := via.transmit
	for _, l := range via.listen {
		if from.IsValid() && l.reaches(from) {
			a.heard[l.Index] = now
		}
		if l.Index == a.out.Index {
			current = l
		}
	}
	if now.Sub(a.heard[current.Index]) < strangeAfter {
		return current
	}
	for _, l := range via.listen {
		if l.reaches(from) {
			return l
		}
	}
	return current
}

// renew leaves the group where it can have been lost on the way, so that it is
// joined again.
func (a *attachment) renew(via route, others bool, now time.Time) {
	switch {
	case others:
		a.silent = now
		return
	case now.Sub(a.silent) < renewAfter:
		return
	}
	a.silent = now
	for _, l := range via.listen {
		if old, joined := a.joined[l.Index]; joined && !l.loopback() {
			a.leave(old)
		}
	}
}

// String says where is listened and transmitted.
func (a *attachment) String() string {
	names := make([]string, 0, len(a.joined))
	for _, l := range a.joined {
		names = append(names, fmt.Sprintf("%s (%d)", l.Name, l.Index))
	}
	slices.Sort(names)
	return fmt.Sprintf("listening on %s, transmitting on %s from %s", strings.Join(names, ", "), a.out.Name, a.out.addrs[0])
}

// blame keeps what is wrong, and since when; nil is nothing.
func (a *attachment) blame(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	a.mu.Lock()
	known := a.trouble == text
	if !known {
		a.trouble, a.since = text, time.Now()
	}
	a.mu.Unlock()
	switch {
	case known:
	case text == "":
		a.settings.Notice("the network interface is as configured again")
	default:
		a.settings.Notice(text)
	}
}

// warning says what is wrong since when, or nothing.
func (a *attachment) warning() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.trouble == "" {
		return ""
	}
	return fmt.Sprintf("%s (since %s)", a.trouble, a.since.UTC().Format(time.RFC3339))
}
