package jetdrive

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// InterfaceError is returned for a network interface that this machine does
// not have or that cannot carry multicast.
type InterfaceError struct {
	Interface string   // as it was asked for
	Reason    string   // what is wrong with it
	Usable    []string // the names and addresses of those that would do
	// Passing is whether it is there and may yet do: a cable is plugged in, an
	// address is given.
	Passing bool
}

// Error is one sentence that lists the interfaces that exist.
func (e *InterfaceError) Error() string {
	if len(e.Usable) == 0 {
		return fmt.Sprintf("network interface %q %s, and no other is up with an IPv4 address", e.Interface, e.Reason)
	}
	return fmt.Sprintf("network interface %q %s: choose one of %s", e.Interface, e.Reason, strings.Join(e.Usable, ", "))
}

// link is a network interface with its IPv4 addresses.
type link struct {
	net.Interface
	addrs []netip.Addr   // the first is transmitted from
	nets  []netip.Prefix // the networks they lie in
}

func (l *link) loopback() bool { return l.Flags&net.FlagLoopback != 0 }

// problem says why multicast cannot pass here, or nothing. A loopback
// interface carries it although Linux does not flag it so.
func (l *link) problem() string {
	switch {
	case l.Flags&net.FlagUp == 0:
		return "is down"
	case len(l.addrs) == 0:
		return "has no IPv4 address"
	case l.Flags&net.FlagMulticast == 0 && !l.loopback():
		return "cannot carry multicast"
	}
	return ""
}

// named gives the link if it has this name or address. An address that was
// asked for becomes its first.
func (l *link) named(name string, addr netip.Addr) (link, bool) {
	if !addr.IsValid() {
		return *l, strings.EqualFold(l.Name, name)
	}
	if i := slices.Index(l.addrs, addr); i >= 0 {
		return link{l.Interface, slices.Concat(l.addrs[i:], l.addrs[:i]), l.nets}, true
	}
	return *l, l.loopback() && addr.IsLoopback()
}

// reaches reports whether a host with this address is on the interface's own
// network.
func (l *link) reaches(host netip.Addr) bool {
	return slices.ContainsFunc(l.nets, func(p netip.Prefix) bool { return p.Contains(host) })
}

// route is where a Conn listens and where it transmits.
type route struct {
	listen   []link
	transmit link
}

// chooseRoute finds the interfaces for a setting: an interface's name, one of
// its IPv4 addresses, or "" or "0.0.0.0" for all of them.
//
// For all of them the group is joined on every interface that is up, and on
// loopback, because nobody should have to know by which of its networks a PC
// hears the dyno; the kernel delivers a datagram once per socket, whatever the
// number of joins. Transmission needs a single interface: the first that is
// not loopback, which is the dyno's network on a PC that has just one, and
// loopback where there is none. A Conn moves to another one where it hears
// others and not here.
func chooseRoute(setting string, links []link) (route, error) {
	var usable []link
	for _, l := range links {
		if l.problem() == "" {
			usable = append(usable, l)
		}
	}
	fail := func(reason string) *InterfaceError {
		e := &InterfaceError{Interface: setting, Reason: reason}
		for _, l := range usable {
			e.Usable = append(e.Usable, fmt.Sprintf("%s (%s)", l.Name, l.addrs[0]))
		}
		return e
	}
	addr, err := netip.ParseAddr(setting)
	if setting == "" || err == nil && addr == netip.IPv4Unspecified() {
		if len(usable) == 0 {
			return route{}, fail("cannot be chosen")
		}
		return route{listen: usable, transmit: outward(usable)}, nil
	}
	if err == nil && !addr.Is4() {
		return route{}, fail("is not an IPv4 address")
	}
	for _, l := range links {
		named, ok := l.named(setting, addr)
		if !ok {
			continue
		}
		if problem := named.problem(); problem != "" {
			e := fail(problem)
			e.Passing = named.Flags&net.FlagUp == 0 || len(named.addrs) == 0
			return route{}, e
		}
		return route{listen: []link{named}, transmit: named}, nil
	}
	return route{}, fail("does not exist")
}

// outward is the first link that leaves the machine, else the first.
func outward(links []link) link {
	for _, l := range links {
		if !l.loopback() {
			return l
		}
	}
	return links[0]
}

// systemLinks lists this machine's interfaces.
func systemLinks() ([]link, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	links := make([]link, 0, len(interfaces))
	for _, i := range interfaces {
		l := link{Interface: i}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it vanished since it was listed
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err == nil && prefix.Addr().Is4() {
				l.addrs, l.nets = append(l.addrs, prefix.Addr()), append(l.nets, prefix.Masked())
			}
		}
		links = append(links, l)
	}
	return links, nil
}
