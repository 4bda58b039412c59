package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"dynotap/channel"
	"dynotap/run/correct"
	"dynotap/run/series"
	"dynotap/sample"
	"dynotap/store"
)

// chosen is where power and torque come from.
type chosen struct {
	power  derivation    // a alone where it was recorded
	torque *channelTally // nil: from power and rpm
	scale  float64       // for both
}

// carries tells channels of one correction from others.
func carries(want sample.Correction) func(*channelTally) bool {
	return func(c *channelTally) bool { return c.Channel.Corrected == want.String() }
}

func anyChannel(*channelTally) bool { return true }

// choose finds the channels for the correction that was asked for.
func (c *curving) choose(ctx context.Context) (chosen, error) {
	if s := c.options.Correction; s != nil {
		return c.chooseFor(ctx, *s)
	}
	recorded, found := c.pick(anyChannel)
	if !found {
		return chosen{}, fmt.Errorf("%w: no channel has power, nor force and speed of a drum, nor torque and engine speed", ErrNoCurves)
	}
	k := recorded.power.carried()
	if k == sample.CorrectionSAE || k == sample.CorrectionSTD {
		c.asRecorded(k)
		return recorded, nil
	}
	s, err := c.chooseFor(ctx, correct.SAE)
	if err == nil || !errors.Is(err, ErrNoCurves) {
		return s, err
	}
	c.asRecorded(k)
	if k == sample.CorrectionNone {
		c.note("%s", strings.TrimPrefix(err.Error(), ErrNoCurves.Error()+" with correction sae: "))
	}
	return recorded, nil
}

// carried is the correction that power has which is computed so.
func (d derivation) carried() sample.Correction {
	if d.a.Channel.Name == channel.Force {
		return sample.CorrectionNone
	}
	return carried(d.a)
}

// asRecorded names what the values carry.
func (c *curving) asRecorded(k sample.Correction) {
	switch k {
	case sample.CorrectionSAE:
		c.out.Correction = correct.SAE.Title() + " (as recorded)"
	case sample.CorrectionSTD:
		c.out.Correction = correct.STD.Title() + " (as recorded)"
	case sample.CorrectionNone:
		c.out.Correction = correct.None.Title()
	default:
		c.out.Correction = "as recorded, correction unknown"
	}
}

// chooseFor finds channels that carry a standard or can be brought to it.
func (c *curving) chooseFor(ctx context.Context, s correct.Standard) (chosen, error) {
	if ready, ok := c.pickRecorded(carries(s.Carried())); ok && s != correct.None {
		c.asRecorded(s.Carried())
		return ready, nil
	}
	raw, ok := c.pick(carries(sample.CorrectionNone))
	if !ok {
		return chosen{}, fmt.Errorf("%w with correction %s: no channel is known to have uncorrected power, nor drum force and speed to compute it from%s",
			ErrNoCurves, s, c.whatThereIs())
	}
	c.out.Correction = s.Title()
	if s == correct.None {
		return raw, nil
	}
	weather, err := c.weather(ctx)
	if err != nil {
		return chosen{}, err
	}
	factor, err := correct.Compute(s, weather)
	if err != nil {
		return chosen{}, fmt.Errorf("%w with correction %s: %w", ErrNoCurves, s, err)
	}
	if raw.scale, err = factor.Scale(sample.CorrectionNone); err != nil {
		return chosen{}, err
	}
	if factor.Warning != "" {
		c.note("%s", factor.Warning)
	}
	c.out.Factor, c.out.Weather = &factor, weather
	return raw, nil
}

// whatThereIs says what power channels carry, for a message.
func (c *curving) whatThereIs() string {
	if p := c.tally.preferred(channel.Horsepower, nil); p != nil {
		return fmt.Sprintf(" (correction of %s: %s)", p.Channel.Label, carried(p))
	}
	return ""
}

// pickRecorded finds recorded power among channels that fit.
func (c *curving) pickRecorded(fit func(*channelTally) bool) (chosen, bool) {
	t := &c.tally
	power := t.preferredOf(channel.Horsepower, nil, fit)
	if power == nil {
		return chosen{}, false
	}
	same := func(o *channelTally) bool { return o.Channel.Corrected == power.Channel.Corrected && o.beside(power) }
	return chosen{power: derivation{a: power}, torque: t.preferredOf(channel.Torque, power, same), scale: 1}, true
}

// pick finds power among channels that fit, or what to compute it from.
func (c *curving) pick(fit func(*channelTally) bool) (chosen, bool) {
	if s, ok := c.pickRecorded(fit); ok {
		return s, true
	}
	d, ok := c.tally.derivedPower(fit)
	if !ok {
		return chosen{}, false
	}
	s := chosen{power: d, scale: 1}
	if d.a.Channel.Name == channel.Torque {
		s.torque = d.a
	}
	return s, true
}

// carried is the correction that a channel says it has.
func carried(c *channelTally) sample.Correction {
	for _, k := range []sample.Correction{sample.CorrectionNone, sample.CorrectionSAE, sample.CorrectionSTD} {
		if c.Channel.Corrected == k.String() {
			return k
		}
	}
	return sample.CorrectionUnknown
}

// weather is the mean of what a weather station says during the interval, or
// within ten minutes of it: that of the device that has the most of pressure,
// temperature and humidity.
func (c *curving) weather(ctx context.Context) (correct.Weather, error) {
	t, from, to := &c.tally, c.out.From, c.out.To
	if t.preferred(channel.Barometric, nil) == nil || t.preferred(channel.AmbientTemp, nil) == nil || t.preferred(channel.Humidity, nil) == nil {
		wide := gathering{reader: c.reader, capture: c.capture, memory: c.memory}
		from, to = from-weatherReach, to+weatherReach
		if err := wide.read(ctx, from, to, wide.tally.addPoints); err != nil {
			return correct.Weather{}, err
		}
		t = &wide.tally
	}
	station := t.station()
	pick := func(name string) *channelTally { return t.preferred(name, station) }
	list, err := c.load(ctx, from, to, pick(channel.AmbientTemp), pick(channel.Barometric), pick(channel.Humidity))
	if err != nil {
		return correct.Weather{}, err
	}
	return correct.Weather{
		Temperature: mean(list[0], sample.Fahrenheit, sample.Celsius),
		Pressure:    mean(list[1], sample.InchHg, sample.Kilopascal),
		Humidity:    mean(list[2], sample.Percent, sample.Percent),
	}, nil
}

// station finds a channel of the device that says most about the weather.
func (t *tally) station() *channelTally {
	var best *channelTally
	var most int
	for _, c := range t.Channels {
		n := 0
		for _, name := range []string{channel.Barometric, channel.AmbientTemp, channel.Humidity} {
			if slices.ContainsFunc(t.Channels, func(o *channelTally) bool { return o.Channel.Name == name && o.Any && o.beside(c) }) {
				n++
			}
		}
		if n > most {
			best, most = c, n
		}
	}
	return best
}

// mean is the mean of a series in another unit; nil where it is empty.
func mean(s series.Series, from, to sample.Unit) *float64 {
	if s.Len() == 0 {
		return nil
	}
	sum := 0.0
	for _, v := range s.Values {
		sum += v
	}
	conv, _ := from.To(to)
	return new(conv.Apply(sum / float64(s.Len())))
}

// loadMeans reads channels as means over stretches of equal length in µs, each
// at the middle of its stretch.
func (c *curving) loadMeans(ctx context.Context, width int64, channels ...*channelTally) ([]series.Series, error) {
	out := make([]series.Series, len(channels))
	for i, ch := range channels {
		if ch == nil {
			continue
		}
		sums := map[int64]*[2]float64{}
		err := c.gathering.read(ctx, c.out.From, c.out.To, func(_ *store.Channel, points []store.Point) {
			for _, p := range points {
				if p.Quality >= sample.Bad || math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
					continue
				}
				at := (p.Time - c.out.From) / width
				if sums[at] == nil {
					sums[at] = new([2]float64)
				}
				sums[at][0] += p.Value
				sums[at][1]++
			}
		}, ch.Channel.Key)
		if err != nil {
			return nil, err
		}
		for _, at := range slices.Sorted(maps.Keys(sums)) {
			out[i].Times = append(out[i].Times, c.out.From+at*width+width/2)
			out[i].Values = append(out[i].Values, sums[at][0]/sums[at][1])
		}
	}
	return out, nil
}
