package imports

import (
	"fmt"
	"math"

	"dynotap/run"
	"dynotap/sample"
	"dynotap/store"
	"dynotap/validate"
)

// instead gives the units in which a quantity also comes that is taken for one
// of u where a file gives none.
func instead(u sample.Unit) []sample.Unit {
	switch u {
	case sample.Fahrenheit:
		return []sample.Unit{sample.Celsius}
	case sample.Kilopascal:
		return []sample.Unit{sample.PSI, sample.InchHg, sample.Millibar, sample.Bar}
	case sample.InchHg:
		return []sample.Unit{sample.Kilopascal, sample.Millibar, sample.PSI, sample.Bar}
	case sample.PSI:
		return []sample.Unit{sample.Bar, sample.Kilopascal}
	case sample.RPM:
		return []sample.Unit{sample.KiloRPM}
	case sample.AFR:
		return []sample.Unit{sample.Lambda}
	case sample.Lambda:
		return []sample.Unit{sample.AFR}
	}
	return nil
}

// doubtUnits warns of channels whose unit nobody gave and of which most values
// are not good, if all would be in another unit: a coolant at 85 is hardly at
// 85 °F for a whole log.
func (s *sink) doubtUnits(from run.Reader, list []run.ChannelSummary) error {
	for i := range list {
		c := &list[i]
		if !s.assumed[c.Key] || 2*(c.Suspect+c.Bad) < c.Samples || len(instead(c.NativeUnit)) == 0 {
			continue
		}
		low, high, err := s.extent(from, c.Key)
		if err != nil {
			return err
		}
		for _, u := range instead(c.NativeUnit) {
			conv, ok := u.To(c.Unit)
			if ok && isGood(s.im.opts.Ranges.For(c.Name), conv.Apply(low), conv.Apply(high)) {
				s.Warn(fmt.Sprintf(`%s has no unit and was taken for %s, in which %d of its %d values are suspect or bad; in %s all would be good: write "%s (%s)" in the header if so`,
					c.Label, c.NativeUnit, c.Suspect+c.Bad, c.Samples, u, c.Label, u))
				break
			}
		}
	}
	return nil
}

// extent gives the least and the greatest value of a channel, whatever their
// quality.
func (s *sink) extent(from run.Reader, key string) (low, high float64, err error) {
	low, high = math.Inf(1), math.Inf(-1)
	err = from.Read(s.ctx, store.Query{Capture: s.capture.ID, Channels: []string{key}}, func(_ *store.Channel, points []store.Point) error {
		for i := range points {
			low, high = min(low, points[i].Value), max(high, points[i].Value)
		}
		return nil
	})
	return low, high, err
}

// isGood reports whether values from low to high raise no warning.
func isGood(r validate.Range, low, high float64) bool {
	above := func(bound *float64) bool { return bound == nil || low >= *bound }
	below := func(bound *float64) bool { return bound == nil || high <= *bound }
	return above(r.Min) && above(r.WarnMin) && below(r.Max) && below(r.WarnMax)
}
