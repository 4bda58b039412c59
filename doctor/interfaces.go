package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"dynotap/source/jetdrive"
)

// findInterfaces says which of this machine's networks are used, and whether
// the dyno is on one of them.
func (s *scene) findInterfaces() []Finding {
	f := Finding{Check: checkInterfaces, Severity: OK, Details: map[string]any{"setting": s.chosen(), "interfaces": s.interfaces}}
	if s.route.IsValid() {
		f.Details["route"] = s.route
	}
	if on, address, ok := s.elsewhere(); ok {
		f.Severity = Error
		f.Found = fmt.Sprintf("the dyno is heard on %s, not on %q, which jetdrive.interface names", on, s.chosen())
		f.Mend = setInterface(address)
		return []Finding{f}
	}
	var listening, away []string
	var transmits *jetdrive.InterfaceStatus
	for i := range s.interfaces {
		link := &s.interfaces[i]
		if link.Transmits {
			transmits = link
		}
		if link.Listens {
			listening = append(listening, link.Name)
			if !link.Loopback {
				away = append(away, title(link))
			}
		}
	}
	switch {
	case s.unusable != nil || transmits == nil:
		f.Severity = Error
		f.Found, f.Mend = s.explainUnusable()
	case s.onlyLoopback(s.interfaces):
		f.Severity, f.Found = Info, "only programs on this machine are heard: jetdrive.interface names loopback"
	case s.chosen() == "" && len(away) == 0:
		f.Severity = Warning
		f.Found = "no network but loopback is up with an IPv4 address: only programs on this machine can be heard"
		f.Mend = "Plug in the dyno's network cable and give its adapter an IPv4 address. " + s.adapterPlace()
	case s.misdirected(transmits) != nil:
		away := s.misdirected(transmits)
		f.Severity = Info
		f.Found = fmt.Sprintf("the providers are on %s, but dynotap transmits on %s for the first half minute: until then they get neither pings nor questions for names",
			title(away), title(transmits))
		f.Mend = "To transmit there from the first moment: " + setInterface(away.Addresses[0].Addr().String())
	case len(away) > 1:
		f.Severity = Info
		f.Found = fmt.Sprintf("hears the group on all of %s; transmits on %s unless providers are heard elsewhere only", strings.Join(away, ", "), title(transmits))
		if s.route.IsValid() && !holds(transmits, s.route) {
			f.Found += fmt.Sprintf(" (other programs on this machine send from %s)", s.route)
		}
		f.Mend = `To hear and transmit on the dyno's network alone, name it by its address: "interface": "192.168.10.5" in section jetdrive, or --interface.`
	default:
		f.Found = fmt.Sprintf("hears the group on %s, transmits on %s", strings.Join(listening, ", "), title(transmits))
	}
	return []Finding{f}
}

func setInterface(address string) string {
	return fmt.Sprintf(`Set "interface": %q in section jetdrive of the configuration (or --interface, or JETDRIVE_IFACE).`, address)
}

func (s *scene) explainUnusable() (found, mend string) {
	var unusable *jetdrive.InterfaceError
	if !errors.As(s.unusable, &unusable) {
		return fmt.Sprintf("the network interfaces cannot be listed: %v", s.unusable), "Run dynotap as a user who may see the network."
	}
	if len(unusable.Usable) == 0 {
		return unusable.Error(), "Plug in a network cable and give the adapter an IPv4 address. " + s.adapterPlace()
	}
	return fmt.Sprintf("network interface %q, which jetdrive.interface names, %s", unusable.Interface, unusable.Reason),
		fmt.Sprintf(`Set "interface" in section jetdrive (or --interface, or JETDRIVE_IFACE) to one of %s, or plug in and switch on the one that is named. %s`,
			strings.Join(unusable.Usable, ", "), s.adapterPlace())
}

// adapterPlace is where adapters are set up.
func (n *network) adapterPlace() string {
	switch n.machine.system {
	case windows:
		return "Windows: Settings > Network & internet > Ethernet > IP assignment."
	case macOS:
		return "macOS: System Settings > Network."
	}
	return "Linux: ip address shows them; nmcli connection edit, or the system's network settings."
}

// elsewhere tells where the dyno is when only another interface than the
// configured one hears it.
func (s *scene) elsewhere() (on, address string, ok bool) {
	if s.everywhere == nil || s.everywhere.err != nil || len(s.main.status.Providers) > 0 {
		return "", "", false
	}
	for i := range s.everywhere.status.Providers {
		from := s.everywhere.status.Providers[i].Address.Addr()
		if link := s.towards(from); link != nil {
			return title(link), link.Addresses[0].Addr().String(), true
		}
		on, address, ok = fmt.Sprintf("another network (from %s)", from), netip.IPv4Unspecified().String(), true
	}
	return on, address, ok
}

// misdirected is the interface that a provider is on while another one is
// transmitted on; nil: there is none.
func (s *scene) misdirected(transmits *jetdrive.InterfaceStatus) *jetdrive.InterfaceStatus {
	if s.settings.ListenOnly {
		return nil
	}
	for i := range s.main.status.Providers {
		p := &s.main.status.Providers[i]
		if link := s.towards(p.Address.Addr()); !p.Clock.Synced && link != nil && link.Name != transmits.Name {
			return link
		}
	}
	return nil
}

// towards is the interface in whose network an address lies, unless it is one
// of this machine's own.
func (s *scene) towards(address netip.Addr) *jetdrive.InterfaceStatus {
	if s.local(address) {
		return nil
	}
	var found *jetdrive.InterfaceStatus
	for i := range s.interfaces {
		link := &s.interfaces[i]
		if link.Problem == "" && slices.ContainsFunc(link.Addresses, func(p netip.Prefix) bool { return p.Contains(address) }) {
			found = link
		}
	}
	return found
}

// holds reports whether the address is one of the interface's own.
func holds(link *jetdrive.InterfaceStatus, address netip.Addr) bool {
	return slices.ContainsFunc(link.Addresses, func(p netip.Prefix) bool { return p.Addr() == address })
}

// title is an interface's name and first address.
func title(link *jetdrive.InterfaceStatus) string {
	if len(link.Addresses) == 0 {
		return link.Name
	}
	return fmt.Sprintf("%s (%s)", link.Name, link.Addresses[0].Addr())
}
