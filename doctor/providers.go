package doctor

import (
	"fmt"
	"strings"
	"time"

	"dynotap/source/jetdrive"
)

const (
	// infoPeriod is the distance of a provider's unasked lists (PROTOCOLS 1.1).
	infoPeriod = 30 * time.Second
	// lossy is the share of messages whose loss is worth a warning.
	lossy = 0.01
)

// findNames says which providers send values without names, or names without
// values.
func (s *scene) findNames() []Finding {
	var nameless, silent []string
	var unnamed []jetdrive.HostID
	for i := range s.providers() {
		p := &s.providers()[i]
		missing := 0
		for _, c := range p.Channels {
			if !c.Listed {
				missing++
			}
		}
		switch {
		case missing > 0:
			nameless = append(nameless, fmt.Sprintf("%s (%d of %s)", called(p), missing, count(len(p.Channels), "channel")))
			unnamed = append(unnamed, p.HostID)
		case p.Values == 0 && len(p.Channels) > 0:
			silent = append(silent, fmt.Sprintf("%s (%s)", called(p), count(len(p.Channels), "channel")))
		}
	}
	names := Finding{Check: checkNames, Severity: OK, Found: "every channel that is sent has a name"}
	if len(nameless) > 0 {
		names.Severity = Warning
		names.Found = "values without names: " + strings.Join(nameless, ", ") + "; they are kept as chan_<id>, without a unit"
		names.Details = map[string]any{"hosts": unnamed}
		names.Mend = "Names may take 30 seconds: look again with dynotap doctor --timeout 35s. If they never come, switch JETDRIVE off and on in Power Core."
		if s.settings.ListenOnly {
			names.Mend = `dynotap may not ask for them: set "transmit": true in section jetdrive, or look again with dynotap doctor --timeout 35s.`
			if s.listen < infoPeriod {
				names.Severity = Info
			}
		}
	}
	values := Finding{Check: checkValues, Severity: OK, Found: "every provider that lists channels sends values"}
	if len(silent) > 0 {
		values.Severity, values.Found = Warning, fmt.Sprintf("channels but no values within %v: %s", s.listen, strings.Join(silent, ", "))
		values.Mend = "Is that device on and connected to the dyno's electronics? In Power Core look at its live gauges, and whether its channels are ticked under JETDRIVE."
	}
	return []Finding{names, values}
}

// findClocks says whether the providers' clocks could be read.
func (s *scene) findClocks() []Finding {
	f := Finding{Check: checkClocks, Severity: OK, Details: map[string]any{}}
	var loose []string
	for i := range s.providers() {
		p := &s.providers()[i]
		f.Details[p.HostID.String()] = p.Clock
		if !p.Clock.Synced {
			loose = append(loose, called(p))
		}
	}
	switch {
	case s.settings.ListenOnly:
		f.Severity = Info
		f.Found = "the providers' clocks are followed by the arrival of packets: dynotap may not send the pings that read them"
		f.Mend = `For times good to a millisecond set "transmit": true in section jetdrive.`
	case s.main.status.HostID == 0:
		f.Severity = Info
		f.Found = "the providers' clocks were not read: a host id takes a second, and the listening was too short"
		f.Mend = "Look again with dynotap doctor --timeout 5s."
	case len(loose) > 0:
		f.Severity = Warning
		f.Found = "no answer to pings: " + strings.Join(loose, ", ") + "; their samples are timed by arrival, which jitters by milliseconds"
		f.Mend = "Pings must reach the provider: name the dyno's network with jetdrive.interface, use a cable, and allow dynotap to send in the firewall. " +
			"If one provider alone never answers, times by arrival are the best there is of it."
	default:
		f.Found = "every provider's clock answers"
	}
	return []Finding{f}
}

// findLoss says whether the network loses packets.
func (s *scene) findLoss() []Finding {
	total := s.main.status.Total
	f := Finding{
		Check: checkLoss, Severity: OK, Found: "no packet is missing",
		Details: map[string]any{"lost": total.Lost, "reordered": total.Reordered, "duplicate": total.Duplicate, "datagrams": total.Datagrams},
	}
	if total.Lost == 0 {
		return []Finding{f}
	}
	share := float64(total.Lost) / float64(total.Lost+total.Datagrams)
	f.Severity, f.Found = Info, fmt.Sprintf("%s lost on the way (%.1f %%)", count(int(total.Lost), "packet"), 100*share)
	if share > lossy {
		f.Severity = Warning
		f.Mend = "Use a cable instead of Wi-Fi, and a switch that only the dyno uses; change the cable. A managed switch: IGMP snooping needs a querier, storm control must be off."
	}
	return []Finding{f}
}
