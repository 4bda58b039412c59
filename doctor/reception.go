package doctor

import (
	"fmt"
	"slices"
	"strings"

	"dynotap/source/jetdrive"
)

// findReception says who is heard in the configured group.
func (s *scene) findReception() []Finding {
	at := s.place(s.main.group)
	total := s.main.status.Total
	f := Finding{Check: checkReception, Severity: OK, Details: map[string]any{
		"group": s.main.group, "port": s.settings.Conn.Port, "seconds": s.listen.Seconds(), "datagrams": total.Datagrams - total.Ignored.Echo,
		"malformed": total.Malformed.Total(), "hosts": s.main.hosts, "providers": s.main.status.Providers,
	}}
	const switchOn = "In Power Core open Dyno Control / Devices > JETDRIVE, switch JETDRIVE on and tick the channels: what is not ticked is not sent. See docs/power-core.md."
	switch {
	case s.main.streams():
		f.Found = fmt.Sprintf("%s on %s: %s", count(len(s.main.status.Providers), "provider"), at, named(s.main.status.Providers))
	case len(s.main.hosts) > 0:
		f.Severity = Warning
		f.Found = fmt.Sprintf("on %s %s heard but no values within %v", at, s.hostList(s.main.hosts)+areOrIs(len(s.main.hosts)), s.listen)
		f.Mend = switchOn
	case total.Malformed.Total() > 0:
		f.Severity = Warning
		f.Found = fmt.Sprintf("what comes on %s is not JETDRIVE: %s of %s", at,
			count(int(total.Malformed.Total()), "malformed datagram"), count(int(total.Datagrams), "datagram"))
		f.Mend = "Another program uses this group and port: compare both with what Power Core shows under JETDRIVE."
	default:
		f.Severity = Warning
		f.Found = fmt.Sprintf("nothing came on %s within %v", at, s.listen)
		f.Mend = "Is the dyno on, and its cable in? " + switchOn
	}
	return append([]Finding{f}, s.findProtocol()...)
}

func areOrIs(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

// findProtocol names hosts that speak a newer protocol.
func (s *scene) findProtocol() []Finding {
	if len(s.main.status.Incompatible) == 0 {
		return nil
	}
	ids := make([]string, 0, len(s.main.status.Incompatible))
	for _, id := range s.main.status.Incompatible {
		ids = append(ids, id.String())
	}
	return []Finding{{
		Check: checkProtocol, Severity: Warning, Found: strings.Join(ids, ", ") + " speaks a newer JETDRIVE protocol and is ignored",
		Mend: "Update dynotap.", Details: map[string]any{"hosts": s.main.status.Incompatible},
	}}
}

// findGroups says whether JETDRIVE is spoken in another of the known groups.
func (s *scene) findGroups() []Finding {
	f := Finding{Check: checkGroup, Severity: OK, Details: map[string]any{}}
	var silent []string
	for i := range s.others {
		h := &s.others[i]
		if h.err != nil {
			continue // as for the configured group, where it is said
		}
		if len(h.hosts) == 0 {
			silent = append(silent, s.place(h.group))
			continue
		}
		who := named(h.status.Providers)
		if who == "" {
			who = s.hostList(h.hosts)
		}
		f.Details["group"], f.Details["hosts"], f.Details["providers"] = h.group, h.hosts, h.status.Providers
		f.Found = fmt.Sprintf("JETDRIVE is spoken on %s: %s", s.place(h.group), who)
		f.Severity = Info
		f.Mend = "Nothing, unless that is your dyno."
		if !s.main.streams() && h.streams() {
			f.Severity = Error
			f.Found += fmt.Sprintf("; dynotap is set to %s, where no values come", s.settings.Conn.Group)
			f.Mend = fmt.Sprintf(`Set "multicast_group": "%s" in section jetdrive of the configuration (or --group, or JETDRIVE_MCAST_GROUP).`, h.group)
		}
		return []Finding{f}
	}
	if len(silent) == 0 {
		return nil
	}
	f.Found = "nobody speaks on " + strings.Join(silent, ", ")
	return []Finding{f}
}

// arrived reports whether anything came in, in any group: a firewall lets pass
// what this machine says to itself.
func (s *scene) arrived() bool {
	came := func(h heard) bool {
		return h.streams() || slices.ContainsFunc(h.hosts, func(o jetdrive.HostStatus) bool { return !s.local(o.Address.Addr()) })
	}
	return came(s.main) || s.main.status.Total.Malformed.Total() > 0 || slices.ContainsFunc(s.others, came) ||
		s.everywhere != nil && came(*s.everywhere)
}

// providers gives those of the configured group.
func (s *scene) providers() []jetdrive.ProviderStatus { return s.main.status.Providers }
