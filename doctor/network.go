package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive"
)

// knownGroups are where JETDRIVE is spoken: Dynojet's own, and the one that
// some shops run Power Core on (PROTOCOLS 1).
func knownGroups() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr(jetdrive.DefaultGroup), netip.AddrFrom4([4]byte{239, 255, 60, 60})}
}

// network is the check of everything that listening shows.
type network struct {
	machine  machine
	settings jetdrive.Settings
	listen   time.Duration
}

// heard is what came in one group.
type heard struct {
	group  netip.Addr
	status jetdrive.Status
	hosts  []jetdrive.HostStatus
	err    error // of opening or reading
}

// hear listens for the given time.
func hear(ctx context.Context, s jetdrive.Settings, d time.Duration) heard {
	ear := jetdrive.New(s, jetdrive.Options{})
	h := heard{group: s.Conn.Group}
	reader, err := ear.Open(ctx)
	if err != nil {
		h.err = err
		return h
	}
	listening, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for err == nil {
		err = reader.Read(listening, func(*sample.Batch) error { return nil })
	}
	h.status, h.hosts = ear.Status(), ear.Hosts()
	if listening.Err() != nil {
		err = nil // the time is over, as planned
	}
	h.err = errors.Join(err, reader.Close())
	return h
}

// streams reports whether a provider sends values.
func (h *heard) streams() bool {
	return slices.ContainsFunc(h.status.Providers, func(p jetdrive.ProviderStatus) bool { return p.Values > 0 })
}

// scene is everything that listening showed.
type scene struct {
	*network
	interfaces []jetdrive.InterfaceStatus
	unusable   error // what is wrong with the interface as configured
	route      netip.Addr
	main       heard
	others     []heard
	// everywhere is the group of main on all interfaces, where only one is
	// configured.
	everywhere *heard
}

func (n *network) look(ctx context.Context) []Finding {
	s := n.observe(ctx)
	out := s.findInterfaces()
	out = append(out, s.findPort()...)
	out = append(out, s.findGroups()...)
	if s.main.err != nil {
		return out // nothing could be heard
	}
	out = append(out, s.findReception()...)
	out = append(out, s.findFirewall()...)
	out = append(out, s.findDrops()...)
	if s.main.streams() || len(s.main.status.Providers) > 0 {
		out = append(out, s.findNames()...)
		out = append(out, s.findClocks()...)
		out = append(out, s.findLoss()...)
	}
	return out
}

// observe listens to all groups side by side.
func (n *network) observe(ctx context.Context) *scene {
	s := &scene{network: n}
	s.interfaces, s.unusable = n.machine.interfaces(n.settings.Conn.Interface)
	to := netip.AddrPortFrom(n.settings.Conn.Group, n.settings.Conn.Port)
	if route, err := n.machine.route(ctx, to); err == nil {
		s.route = route
	}
	quiet := n.settings
	quiet.ListenOnly = true
	var ears sync.WaitGroup
	ears.Go(func() { s.main = n.machine.hear(ctx, n.settings, n.listen) })
	groups := slices.DeleteFunc(knownGroups(), func(g netip.Addr) bool { return g == n.settings.Conn.Group })
	s.others = make([]heard, len(groups))
	for i, group := range groups {
		settings := quiet
		settings.Conn.Group = group
		ears.Go(func() { s.others[i] = n.machine.hear(ctx, settings, n.listen) })
	}
	if n.chosen() != "" && !n.onlyLoopback(s.interfaces) {
		settings := quiet
		settings.Conn.Interface = ""
		ears.Go(func() {
			h := n.machine.hear(ctx, settings, n.listen)
			s.everywhere = &h
		})
	}
	ears.Wait()
	return s
}

// chosen is the configured interface, "" where it is all of them.
func (n *network) chosen() string {
	if n.settings.Conn.Interface == netip.IPv4Unspecified().String() {
		return ""
	}
	return n.settings.Conn.Interface
}

// onlyLoopback reports whether loopback was chosen, as for trying things out.
func (n *network) onlyLoopback(list []jetdrive.InterfaceStatus) bool {
	return slices.ContainsFunc(list, func(i jetdrive.InterfaceStatus) bool { return i.Loopback && i.Transmits }) && n.chosen() != ""
}

// place is the group and port as people write it.
func (n *network) place(group netip.Addr) string {
	return netip.AddrPortFrom(group, n.settings.Conn.Port).String()
}

// named names providers in a sentence: "DWRT CPU" (0x43FD at 192.168.10.2, 40
// channels, 20 Hz).
func named(providers []jetdrive.ProviderStatus) string {
	out := make([]string, 0, len(providers))
	for i := range providers {
		p := &providers[i]
		out = append(out, fmt.Sprintf("%s (%s, %.0f Hz)", called(p), count(len(p.Channels), "channel"), p.RateHz))
	}
	return strings.Join(out, ", ")
}

// called is one provider by name, id and address.
func called(p *jetdrive.ProviderStatus) string {
	if p.Name == p.HostID.String() {
		return fmt.Sprintf("%s at %s", p.HostID, p.Address.Addr())
	}
	return fmt.Sprintf("%q, %s at %s", p.Name, p.HostID, p.Address.Addr())
}

// hostList names hosts in a sentence.
func (s *scene) hostList(hosts []jetdrive.HostStatus) string {
	out := make([]string, 0, len(hosts))
	for _, h := range hosts {
		where := h.Address.Addr().String()
		if s.local(h.Address.Addr()) {
			where += ", this machine"
		}
		out = append(out, fmt.Sprintf("%s (%s)", h.HostID, where))
	}
	return strings.Join(out, ", ")
}

// local reports whether an address is one of this machine's own.
func (s *scene) local(address netip.Addr) bool {
	return address.IsLoopback() || slices.ContainsFunc(s.interfaces, func(i jetdrive.InterfaceStatus) bool { return holds(&i, address) })
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
