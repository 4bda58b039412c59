package run

import (
	"cmp"
	"context"
	"math"
	"slices"

	"dynotap/channel"
	"dynotap/run/series"
	"dynotap/sample"
	"dynotap/store"
)

// How a quantity that no channel has is computed.
const (
	fromDrum   = "drum force × speed / 375"
	fromTorque = "torque × rpm / 5252.113"
	fromPower  = "power × 5252.113 / rpm"
)

// derivation is a quantity computed from two channels.
type derivation struct {
	formula string
	a, b    *channelTally
	of      func(a, b series.Series, gap int64) series.Series
}

// derivedPower finds what power can be computed from among channels that fit;
// false: nothing.
func (t *tally) derivedPower(fit func(*channelTally) bool) (derivation, bool) {
	if force := t.preferred(channel.Force, nil); force != nil {
		if speed := t.preferred(channel.Speed, force); speed != nil {
			return derivation{fromDrum, force, speed, series.DrumPower}, true
		}
	}
	if torque := t.preferredOf(channel.Torque, nil, fit); torque != nil {
		if rpm := t.preferred(channel.RPM, torque); rpm != nil {
			return derivation{fromTorque, torque, rpm, series.ShaftPower}, true
		}
	}
	return derivation{}, false
}

// derivePeaks fills in a peak of power where no channel has power.
func (g *gathering) derivePeaks(ctx context.Context, s *Summary, from, to int64) error {
	if s.PeakHP != nil {
		return nil
	}
	d, ok := g.tally.derivedPower(func(*channelTally) bool { return true })
	if !ok {
		return nil
	}
	peak, rpm, err := g.derivedPeak(ctx, d, from, to)
	if err != nil || peak == nil {
		return err
	}
	s.PeakHP, s.HPPeakRPM = peak, rpm
	s.Derived = map[string]string{"peak_hp": d.formula}
	return nil
}

// derivedPeak gives the highest value of what is computed, and the engine's rpm
// there, reading a bounded part at a time.
func (g *gathering) derivedPeak(ctx context.Context, d derivation, from, to int64) (peak, rpm *float64, err error) {
	minutes := map[int64]int64{}
	err = g.read(ctx, from, to, func(_ *store.Channel, points []store.Point) {
		for i := range points {
			minutes[minuteOf(points[i].Time)]++
		}
	}, d.a.Channel.Key, d.b.Channel.Key)
	if err != nil {
		return nil, nil, err
	}
	var at int64
	for _, w := range windows(minutes, int64(g.memory)) {
		list, err := g.load(ctx, max(w[0], from), min(w[1], to), d.a, d.b)
		if err != nil {
			return nil, nil, err
		}
		v := d.of(list[0], list[1], aroundPeak)
		if i := v.Peak(); i >= 0 && (peak == nil || v.Values[i] > *peak) {
			peak, at = new(v.Values[i]), v.Times[i]
		}
	}
	speed := g.tally.preferred(channel.RPM, d.a)
	if peak == nil || speed == nil {
		return peak, nil, nil
	}
	rpm, err = g.valueAt(ctx, speed.Channel.Key, at)
	return peak, rpm, err
}

// load reads channels at from <= t <= to as series: what is bad or not finite
// is left out, and of samples of one time the last stays. A nil channel gives an
// empty series.
func (g *gathering) load(ctx context.Context, from, to int64, channels ...*channelTally) ([]series.Series, error) {
	out := make([]series.Series, len(channels))
	keys := make([]string, 0, len(channels))
	for _, c := range channels {
		if c != nil && !slices.Contains(keys, c.Channel.Key) {
			keys = append(keys, c.Channel.Key)
		}
	}
	if len(keys) == 0 {
		return out, nil
	}
	err := g.read(ctx, from, to, func(c *store.Channel, points []store.Point) {
		for i, want := range channels {
			if want != nil && want.Channel.Key == c.Key {
				out[i] = appendPoints(out[i], points)
			}
		}
	}, keys...)
	return out, err
}

func appendPoints(s series.Series, points []store.Point) series.Series {
	for _, p := range points {
		if p.Quality >= sample.Bad || math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		if n := len(s.Times); n > 0 && s.Times[n-1] == p.Time {
			s.Values[n-1] = p.Value
			continue
		}
		s.Times, s.Values = append(s.Times, p.Time), append(s.Values, p.Value)
	}
	return s
}

// timed is one sample on its way to the detector.
type timed struct {
	in      Input
	at      int64
	value   float64
	quality sample.Quality
}

func byTime(a, b timed) int { return cmp.Compare(a.at, b.at) }
