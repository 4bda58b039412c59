package jetdrive

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
)

// InterfaceStatus is a network interface of this machine, as a Conn with a
// certain setting uses it.
type InterfaceStatus struct {
	Name      string         `json:"name"`
	Addresses []netip.Prefix `json:"addresses"` // IPv4, with the networks they lie in
	Loopback  bool           `json:"loopback"`
	// Problem is why multicast cannot pass, such as "is down"; empty: it can.
	Problem   string `json:"problem,omitempty"`
	Listens   bool   `json:"listens"`
	Transmits bool   `json:"transmits"`
}

// Interfaces lists this machine's interfaces and says which of them a setting
// (see ConnSettings.Interface) chooses. Where the setting chooses none that
// works the error is an *InterfaceError, and the list is complete all the same.
func Interfaces(setting string) ([]InterfaceStatus, error) {
	links, err := systemLinks()
	if err != nil {
		return nil, err
	}
	via, err := chooseRoute(setting, links)
	var unusable *InterfaceError
	if err != nil && !errors.As(err, &unusable) {
		return nil, err
	}
	out := make([]InterfaceStatus, 0, len(links))
	for _, l := range links {
		s := InterfaceStatus{
			Name: l.Name, Loopback: l.loopback(), Problem: l.problem(), Addresses: l.prefixes(),
			Listens:   slices.ContainsFunc(via.listen, func(o link) bool { return o.Index == l.Index }),
			Transmits: err == nil && via.transmit.Index == l.Index,
		}
		out = append(out, s)
	}
	return out, err
}

// prefixes are the IPv4 addresses with their networks; none of an interface
// that has vanished.
func (l *link) prefixes() []netip.Prefix {
	out := []netip.Prefix{}
	addrs, err := l.Addrs()
	if err != nil {
		return out
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			out = append(out, p)
		}
	}
	return out
}

// HostStatus is a host that has been heard, whether or not it is a provider.
type HostStatus struct {
	HostID    HostID         `json:"host_id"`
	Address   netip.AddrPort `json:"address"`
	Datagrams uint64         `json:"datagrams"`
	Provider  bool           `json:"provider"` // it has listed or sent channels
}

// Hosts gives every host with an id that is followed at present, by id. This
// program itself is not among them.
func (s *Source) Hosts() []HostStatus {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	out := make([]HostStatus, 0, len(s.receiver.registry.hosts))
	for _, h := range s.receiver.registry.hosts {
		out = append(out, HostStatus{HostID: HostID(h.id), Address: h.address, Datagrams: h.tally.Datagrams, Provider: h.provider != nil})
	}
	slices.SortFunc(out, func(a, b HostStatus) int { return cmp.Compare(a.HostID, b.HostID) })
	return out
}
