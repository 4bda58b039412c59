package validate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"dynotap/channel"
)

// Range is what a quantity's values may be, in its canonical unit. Outside Min
// to Max a value is bad, outside WarnMin to WarnMax suspect; the bounds
// themselves are inside. Nil is no bound.
type Range struct {
	Min     *float64 `json:"min,omitempty"`
	Max     *float64 `json:"max,omitempty"`
	WarnMin *float64 `json:"warn_min,omitempty"`
	WarnMax *float64 `json:"warn_max,omitempty"`
}

// Ranges are ranges by canonical name (sensor_ranges in the configuration). A
// name without a range of its own has that of its family: afr_front that of
// afr.
type Ranges map[string]Range

// DefaultRanges is the guide's table with the additions of CONFORMANCE V1. The
// caller owns it.
func DefaultRanges() Ranges {
	return Ranges{
		channel.RPM:          warned(0, 20000, 500, 15000),
		channel.DrumRPM:      warned(0, 10000, 0, 8000),
		channel.AFR:          warned(6, 35, 10, 20),
		channel.Lambda:       warned(0.4, 2.4, 0.7, 1.4),
		channel.MAP:          warned(0, 300, 20, 250),
		channel.Horsepower:   warnedAbove(-50, 2000, 1000),
		channel.Torque:       warnedAbove(-100, 2000, 800),
		channel.TPS:          between(0, 100),
		channel.IAT:          warned(-40, 300, 32, 200),
		channel.ECT:          warned(-40, 350, 100, 250),
		channel.Force:        between(-500, 2000),
		channel.Acceleration: between(-5, 10),
		channel.Voltage:      warned(0, 20, 11, 15),
		channel.Knock:        warnedAbove(0, 100, 30),
		channel.Barometric:   warned(20, 35, 28, 31),
		channel.Humidity:     between(0, 100),
		channel.AmbientTemp:  warned(-40, 150, 32, 110),
	}
}

func between(least, most float64) Range { return Range{Min: &least, Max: &most} }

func warnedAbove(least, most, warnMax float64) Range {
	return Range{Min: &least, Max: &most, WarnMax: &warnMax}
}

func warned(least, most, warnMin, warnMax float64) Range {
	return Range{Min: &least, Max: &most, WarnMin: &warnMin, WarnMax: &warnMax}
}

// For gives the range of a canonical name, its own or its family's. A name
// without any gives a Range without bounds.
func (r Ranges) For(name string) Range {
	if own, ok := r[name]; ok {
		return own
	}
	q, _ := channel.Lookup(name)
	return r[q.Family]
}

// Override gives ranges in which the bounds that over sets replace those of r;
// bounds it does not set stay (CONFORMANCE V10). Its names may be aliases that
// mean the canonical unit (map_kpa). Neither r nor over is changed, and the
// caller leaves over alone from then on. An unknown name is a
// *channel.UnknownNameError, a contradiction in over an error too.
func (r Ranges) Override(over Ranges) (Ranges, error) {
	out := maps.Clone(r)
	if out == nil {
		out = make(Ranges, len(over))
	}
	for _, name := range slices.Sorted(maps.Keys(over)) {
		q, ok := channel.Find(name)
		if !ok {
			return nil, fmt.Errorf("sensor range: %w", &channel.UnknownNameError{Name: name, Nearest: channel.Nearest(name)})
		}
		merged := out.For(q.Name).with(over[name])
		if err := merged.check(); err != nil {
			return nil, fmt.Errorf("sensor range of %s: %w", name, err)
		}
		out[q.Name] = merged
	}
	return out, nil
}

// with replaces the bounds that over sets.
func (r Range) with(over Range) Range {
	for _, b := range []struct{ to, from **float64 }{
		{&r.Min, &over.Min}, {&r.Max, &over.Max}, {&r.WarnMin, &over.WarnMin}, {&r.WarnMax, &over.WarnMax},
	} {
		if *b.from != nil {
			*b.to = *b.from
		}
	}
	return r
}

func (r Range) check() error {
	for name, b := range map[string]*float64{"min": r.Min, "max": r.Max, "warn_min": r.WarnMin, "warn_max": r.WarnMax} {
		if b != nil && (math.IsNaN(*b) || math.IsInf(*b, 0)) {
			return fmt.Errorf("%s is not finite", name)
		}
	}
	if least, most := lowest(r.Min), highest(r.Max); least > most {
		return fmt.Errorf("min %g is above max %g", least, most)
	}
	if least, most := lowest(r.WarnMin), highest(r.WarnMax); least > most {
		return fmt.Errorf("warn_min %g is above warn_max %g", least, most)
	}
	return nil
}

// lowest and highest turn a missing bound into one that every finite value
// keeps and no infinite one.
func lowest(b *float64) float64 {
	if b == nil {
		return -math.MaxFloat64
	}
	return *b
}

func highest(b *float64) float64 {
	if b == nil {
		return math.MaxFloat64
	}
	return *b
}
