package validate

import (
	"fmt"
	"math"
	"strconv"

	"dynotap/channel"
)

// The bounds of JETDRIVE's fields (PROTOCOLS 1.1): host ids 0 and 0xFFFF mean
// "not yet claimed" and "all hosts", names are byte fields.
const (
	maxProviderID    = 65534
	maxChannelID     = 65535
	maxProviderBytes = 50
	maxChannelBytes  = 30
)

// CheckJetdriveProvider checks a provider's host id and name.
func CheckJetdriveProvider(id int, name string) []Issue {
	return append(checkID("provider id", id, 1, maxProviderID), checkName("provider name", name, maxProviderBytes)...)
}

// CheckJetdriveChannel checks a channel's id within its provider and its name.
func CheckJetdriveChannel(id int, name string) []Issue {
	return append(checkID("channel id", id, 0, maxChannelID), checkName("channel name", name, maxChannelBytes)...)
}

func checkID(field string, id, least, most int) []Issue {
	if id >= least && id <= most {
		return nil
	}
	return []Issue{{
		Message: fmt.Sprintf("%s is outside %d to %d", field, least, most), Field: field, Value: strconv.Itoa(id), Source: "jetdrive",
	}}
}

func checkName(field, name string, most int) []Issue {
	if len(name) <= most {
		return nil
	}
	return []Issue{{
		Message: fmt.Sprintf("%s has %d bytes, more than %d", field, len(name), most), Field: field, Value: name, Source: "jetdrive",
	}}
}

// WidebandReading is what an Innovate packet says of one sensor.
type WidebandReading struct {
	// Sensor counts from 1 in the order of the chain, of Sensors decoded.
	Sensor, Sensors int
	// AFR and Lambda; NaN where the packet gives none.
	AFR, Lambda float64
}

// CheckInnovate checks a wideband reading against the guide's ranges: AFR 6 to
// 35, lambda 0.4 to 2.4.
func CheckInnovate(in WidebandReading) []Issue {
	var out []Issue
	add := func(field, value, format string, args ...any) {
		out = append(out, Issue{Message: fmt.Sprintf(format, args...), Field: field, Value: value, Source: "innovate"})
	}
	if in.Sensor < 1 || in.Sensor > in.Sensors {
		add("sensor", strconv.Itoa(in.Sensor), "sensor is not one of the %d decoded", in.Sensors)
	}
	ranges := DefaultRanges()
	for _, v := range []struct {
		name  string
		value float64
	}{{channel.AFR, in.AFR}, {channel.Lambda, in.Lambda}} {
		r, text := ranges.For(v.name), strconv.FormatFloat(v.value, 'g', -1, 64)
		switch {
		case math.IsNaN(v.value):
		case math.IsInf(v.value, 0):
			add(v.name, text, "%s is infinite", v.name)
		case v.value < *r.Min:
			add(v.name, text, "%s is below the minimum of %g", v.name, *r.Min)
		case v.value > *r.Max:
			add(v.name, text, "%s is above the maximum of %g", v.name, *r.Max)
		}
	}
	return out
}
