package doctor

import (
	"fmt"
	"time"
)

// pcClock says whether this machine's clock is kept right. It is no warning:
// many cells have no internet, and a session keeps its own steady time.
func pcClock(system string, synced func() (synced, known bool)) []Finding {
	f := Finding{Check: checkPCClock, Severity: OK, Found: "this machine's clock is synchronised", Details: map[string]any{}}
	ok, known := synced()
	if known {
		f.Details["synchronised"] = ok
	}
	switch {
	case !known && system == windows:
		f.Found = "whether this machine's clock is synchronised is not known here: w32tm /query /status says it"
	case !known:
		f.Found = "whether this machine's clock is synchronised is not known here: sudo sntp time.apple.com says it"
	case !ok:
		f.Severity = Info
		f.Found = "this machine's clock is not synchronised: dates of runs, and the comparison with other machines, are as good as it is"
		f.Mend = "With internet: sudo timedatectl set-ntp true. Without: set the clock from time to time, or run a time server (chrony) in the cell."
	}
	return []Finding{f}
}

// timeZone compares the configured zone with the system's.
func timeZone(configured *time.Location, name string, system *time.Location, now time.Time) []Finding {
	f := Finding{Check: checkTimeZone, Severity: OK, Details: map[string]any{"configured": name, "system_offset": now.In(system).Format("-07:00")}}
	f.Found = "times are those of " + zoneTitle(name, now.In(configured))
	switch {
	case !sameZone(configured, system, now):
		f.Severity = Info
		f.Found = fmt.Sprintf("time_zone is %s, this machine's is %s", zoneTitle(name, now.In(configured)), now.In(system).Format("MST, UTC-07:00"))
		f.Mend = "Times in files that name no zone are read as time_zone says. If that is not meant, set it to Local in the configuration."
	case isUTC(system, now):
		f.Severity = Info
		f.Found = "this machine's time zone is UTC: times in files that name no zone are read as UTC"
		f.Mend = `If those files come from a PC with local time, name its zone in the configuration: "time_zone": "Europe/Vienna".`
	}
	return []Finding{f}
}

func zoneTitle(name string, at time.Time) string {
	return fmt.Sprintf("%s (%s)", name, at.Format("MST, UTC-07:00"))
}

// halves of a year, in which the offsets of two zones are compared.
func halves(now time.Time) [2]time.Time {
	return [2]time.Time{
		time.Date(now.Year(), time.January, 15, 12, 0, 0, 0, time.UTC), time.Date(now.Year(), time.July, 15, 12, 0, 0, 0, time.UTC),
	}
}

func sameZone(a, b *time.Location, now time.Time) bool {
	for _, at := range halves(now) {
		_, offsetA := at.In(a).Zone()
		_, offsetB := at.In(b).Zone()
		if offsetA != offsetB {
			return false
		}
	}
	return true
}

func isUTC(zone *time.Location, now time.Time) bool {
	name, _ := now.In(zone).Zone()
	return sameZone(zone, time.UTC, now) && name == "UTC"
}
