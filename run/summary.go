package run

import (
	"context"
	"errors"
	"math"
	"slices"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/store"
)

// Summary is what is said about a run in a line (CONFORMANCE A7), and about
// its channels. What cannot be computed is nil. Its JSON is that of
// `inspect --json`.
type Summary struct {
	// PeakHP and PeakTorque are the highest values, not bad, of the preferred
	// horsepower and torque channels, in hp and ft·lb; the rpm are those of
	// the engine at that time.
	PeakHP        *float64 `json:"peak_hp"`
	HPPeakRPM     *float64 `json:"hp_peak_rpm"`
	PeakTorque    *float64 `json:"peak_torque"`
	TorquePeakRPM *float64 `json:"torque_peak_rpm"`
	// DurationMS is from the first to the last sample.
	DurationMS int64 `json:"duration_ms"`
	// DataPointCount is the number of distinct times.
	DataPointCount int64 `json:"data_point_count"`
	SampleCount    int64 `json:"sample_count"`
	// Rejected samples were dropped by validation; Suspect and Bad are in
	// SampleCount.
	Rejected int64            `json:"rejected"`
	Suspect  int64            `json:"suspect"`
	Bad      int64            `json:"bad"`
	Channels []ChannelSummary `json:"channels"`
	// Derived says of peak_hp, where it was computed because no channel has
	// power, from what.
	Derived  map[string]string `json:"derived,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
}

// ChannelSummary is one channel of a run. Min and Max are in Unit, over the
// finite values that are not bad.
type ChannelSummary struct {
	Key        string      `json:"key"` // unique within the capture
	Device     string      `json:"device"`
	Label      string      `json:"label"`
	Name       string      `json:"name"` // canonical, empty where unknown
	Unit       sample.Unit `json:"unit"`
	NativeUnit sample.Unit `json:"native_unit"`
	Samples    int64       `json:"samples"`
	Good       int64       `json:"good"`
	Suspect    int64       `json:"suspect"`
	Bad        int64       `json:"bad"`
	Min        *float64    `json:"min"`
	Max        *float64    `json:"max"`
}

// Warnings of a summary.
const (
	warnEmpty   = "the run has no samples"
	warnDamaged = "some stored samples are damaged and left out"
)

// aroundPeak is how far from a peak the rpm that belongs to it may lie, µs.
const aroundPeak = 1_000_000

// memorySamples bounds the times that a summary holds in memory at once, 8
// bytes each.
const memorySamples = 1 << 20

// Reader reads samples back; *store.Store does.
type Reader interface {
	Read(ctx context.Context, q store.Query, fn func(c *store.Channel, points []store.Point) error) error
}

// Summarise computes the summary of a capture's samples at from <= t <= to
// from all that is stored of them, whatever order it came in: the same samples
// give the same summary. Memory is bounded. Samples that cannot be read give a
// warning.
func Summarise(ctx context.Context, r Reader, capture string, from, to int64) (Summary, error) {
	g := gathering{reader: r, capture: capture, memory: memorySamples}
	points, err := g.gather(ctx, from, to)
	if err != nil {
		return Summary{}, err
	}
	s, err := g.summary(ctx, points)
	if err != nil {
		return Summary{}, err
	}
	return s, g.derivePeaks(ctx, &s, from, to)
}

// gathering makes a summary with the help of what is stored.
type gathering struct {
	tally   tally
	reader  Reader
	capture string
	memory  int // memorySamples
	damaged bool
	known   known // may be nil
	newest  int64 // of all samples, where known is given
}

// known is values that were read before and cannot have changed since.
type known map[moment]*float64

// moment is a time of a channel.
type moment struct {
	key string
	at  int64
}

// read reads samples at from <= t <= to. Damage is noted and is no error.
func (g *gathering) read(ctx context.Context, from, to int64, fn func(*store.Channel, []store.Point), channels ...string) error {
	q := store.Query{Capture: g.capture, Channels: channels, Optional: true, FromUS: &from}
	if to < math.MaxInt64 {
		q.ToUS = new(to + 1)
	}
	err := g.reader.Read(ctx, q, func(c *store.Channel, points []store.Point) error {
		fn(c, points)
		return nil
	})
	if errors.Is(err, store.ErrDamaged) {
		g.damaged = true
		return nil
	}
	return err
}

// gather fills the tally and counts the distinct times: in one reading where
// they fit into memory, else interval by interval in a second one.
func (g *gathering) gather(ctx context.Context, from, to int64) (distinctTimes int64, err error) {
	var seen distinct
	minutes := map[int64]int64{}
	err = g.read(ctx, from, to, func(c *store.Channel, points []store.Point) {
		g.tally.addPoints(c, points)
		for i := range points {
			minutes[minuteOf(points[i].Time)]++
			if len(seen.seen) < g.memory {
				seen.add(points[i].Time)
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if len(seen.seen) < g.memory {
		return seen.total(), nil
	}
	for _, w := range windows(minutes, int64(g.memory)) {
		n, err := g.countTimes(ctx, max(w[0], from), min(w[1], to))
		if err != nil {
			return 0, err
		}
		distinctTimes += n
	}
	return distinctTimes, nil
}

// countTimes counts the distinct times of the samples at from <= t <= to.
func (g *gathering) countTimes(ctx context.Context, from, to int64) (int64, error) {
	var seen distinct
	err := g.read(ctx, from, to, func(_ *store.Channel, points []store.Point) {
		for i := range points {
			seen.add(points[i].Time)
		}
	})
	return seen.total(), err
}

// summary is the tally in words.
func (g *gathering) summary(ctx context.Context, points int64) (Summary, error) {
	t := &g.tally
	s := Summary{SampleCount: t.Samples, DataPointCount: points, Channels: []ChannelSummary{}}
	if t.Samples == 0 {
		s.Warnings = append(s.Warnings, warnEmpty)
	} else {
		s.DurationMS = (t.Last - t.First + 500) / 1000
	}
	for _, c := range t.Channels {
		line := c.summary()
		s.Suspect += line.Suspect
		s.Bad += line.Bad
		s.Channels = append(s.Channels, line)
	}
	slices.SortFunc(s.Channels, func(a, b ChannelSummary) int { return sample.CompareChannelKeys(a.Key, b.Key) })
	power := t.preferred(channel.Horsepower, nil)
	torque := t.preferred(channel.Torque, power)
	var err error
	if s.PeakHP, s.HPPeakRPM, err = g.peak(ctx, power); err != nil {
		return Summary{}, err
	}
	if s.PeakTorque, s.TorquePeakRPM, err = g.peak(ctx, torque); err != nil {
		return Summary{}, err
	}
	if g.damaged {
		s.Warnings = append(s.Warnings, warnDamaged)
	}
	return s, nil
}

func (c *channelTally) summary() ChannelSummary {
	s := ChannelSummary{
		Key: c.Channel.Key, Device: c.Channel.Device, Label: c.Channel.Label, Name: c.Channel.Name,
		Unit: c.Channel.Unit, NativeUnit: c.Channel.NativeUnit,
		Samples: c.samples(), Good: c.Count[sample.Good], Suspect: c.Count[sample.Suspect], Bad: c.Count[sample.Bad],
	}
	if c.Any {
		s.Min, s.Max = new(c.Min), new(c.Max)
	}
	return s
}

// peak gives a channel's highest value and the engine's rpm at its time.
func (g *gathering) peak(ctx context.Context, c *channelTally) (peak, rpm *float64, err error) {
	if c == nil {
		return nil, nil, nil
	}
	speed := g.tally.preferred(channel.RPM, c)
	if speed == nil {
		return new(c.Max), nil, nil
	}
	rpm, err = g.valueAt(ctx, speed.Channel.Key, c.MaxAt)
	return new(c.Max), rpm, err
}

// valueAt gives a channel's value at a time: between the neighbours within a
// second, or that of the only neighbour there is.
func (g *gathering) valueAt(ctx context.Context, key string, at int64) (*float64, error) {
	if v, ok := g.known[moment{key, at}]; ok {
		return v, nil
	}
	v, err := g.readAt(ctx, key, at)
	if err == nil && g.known != nil && at+2*aroundPeak < g.newest {
		g.known[moment{key, at}] = v
	}
	return v, err
}

func (g *gathering) readAt(ctx context.Context, key string, at int64) (*float64, error) {
	var before, after *store.Point
	err := g.read(ctx, at-aroundPeak, at+aroundPeak, func(_ *store.Channel, points []store.Point) {
		for _, p := range points {
			switch {
			case p.Quality >= sample.Bad || math.IsNaN(p.Value) || math.IsInf(p.Value, 0):
			case p.Time <= at:
				before = new(p)
			case after == nil:
				after = new(p)
			}
		}
	}, key)
	switch {
	case err != nil:
		return nil, err
	case before == nil && after == nil:
		return nil, nil
	case after == nil:
		return new(before.Value), nil
	case before == nil:
		return new(after.Value), nil
	}
	part := float64(at-before.Time) / float64(after.Time-before.Time)
	return new(before.Value + (after.Value-before.Value)*part), nil
}
