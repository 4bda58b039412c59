package run

import (
	"math"

	"dynotap/sample"
	"dynotap/store"
	"dynotap/store/segment"
)

// maxSets bounds the channel sets whose place in the tally is remembered.
const maxSets = 64

// tally gathers what a summary says, from samples in any order. Its memory
// grows with the channels, not with the samples.
type tally struct {
	Channels []*channelTally
	First    int64 // times, if there are samples
	Last     int64
	Samples  int64

	sets map[sample.SetID][]*channelTally
}

// channelTally is one channel's part. Min and Max are in the channel's unit.
type channelTally struct {
	Channel store.Channel // its description; the figures in it are not used
	Count   [sample.Qualities]int64
	Any     bool // Min and Max hold something
	Min     float64
	Max     float64
	MaxAt   int64 // when Max was first reached

	conv sample.Conversion // of Channel, while its set is in use
}

// addBatch takes a batch of a capture whose own source is given.
func (t *tally) addBatch(source string, b *sample.Batch) {
	places := t.places(source, b.Set)
	for i := range b.Samples {
		s := &b.Samples[i]
		c := places[s.Channel]
		t.note(s.Time)
		c.add(s.Time, c.conv.Apply(s.Value), s.Quality)
	}
}

// addPoints takes points of a channel, in its unit.
func (t *tally) addPoints(c *store.Channel, points []store.Point) {
	to := t.channel(c)
	for i := range points {
		t.note(points[i].Time)
		to.add(points[i].Time, points[i].Value, points[i].Quality)
	}
}

func (t *tally) note(at int64) {
	if t.Samples == 0 {
		t.First, t.Last = at, at
	}
	t.Samples++
	t.First, t.Last = min(t.First, at), max(t.Last, at)
}

// add counts one sample. Bad and non-finite values are neither lowest nor
// highest.
func (c *channelTally) add(at int64, v float64, q sample.Quality) {
	c.Count[min(q, sample.Bad)]++
	if q >= sample.Bad || math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	if !c.Any {
		c.Any, c.Min, c.Max, c.MaxAt = true, v, v, at
		return
	}
	c.Min = min(c.Min, v)
	if v > c.Max || v == c.Max && at < c.MaxAt {
		c.Max, c.MaxAt = v, at
	}
}

func (c *channelTally) samples() int64 {
	var n int64
	for _, k := range c.Count {
		n += k
	}
	return n
}

// places finds the tally of each channel of a set.
func (t *tally) places(source string, set *sample.ChannelSet) []*channelTally {
	if places, ok := t.sets[set.ID()]; ok {
		return places
	}
	if t.sets == nil || len(t.sets) == maxSets {
		t.sets = map[sample.SetID][]*channelTally{}
	}
	places := make([]*channelTally, set.Len())
	for i := range places {
		ch := &set.Channels()[i]
		d := segment.Describe(set.Source(), keyIn(source, set, ch), ch)
		places[i] = t.channel(&d)
		places[i].conv = places[i].Channel.Conversion()
	}
	t.sets[set.ID()] = places
	return places
}

// keyIn makes a channel's key unique within a capture, as the store does.
func keyIn(source string, set *sample.ChannelSet, ch *sample.Channel) string {
	if set.Source() == source {
		return ch.Key
	}
	return set.Source() + ":" + ch.Key
}

// channel finds a channel's tally by its key. A later description counts for
// the samples before it too: a name or unit may arrive late. One that knows
// less is an old one.
func (t *tally) channel(d *store.Channel) *channelTally {
	for _, c := range t.Channels {
		if c.Channel.Key != d.Key {
			continue
		}
		if d.Name != "" || c.Channel.Name == "" {
			c.describe(d)
		}
		return c
	}
	c := &channelTally{Channel: *d}
	t.Channels = append(t.Channels, c)
	return c
}

// describe changes the description and brings what was gathered to its unit.
func (c *channelTally) describe(d *store.Channel) {
	from, to := c.Channel.Conversion(), d.Conversion()
	if c.Any && from != to {
		back := from.Invert()
		c.Min, c.Max = to.Apply(back.Apply(c.Min)), to.Apply(back.Apply(c.Max))
	}
	c.Channel, c.conv = *d, to
}

// preferred finds the channel of a canonical name that a summary goes by: that
// of the wanted channel's device if it has one, else of a device with a drum,
// else the one with the most samples; among equals a corrected one, then the
// first in the device's list. Nil where no channel of the name has a value.
func (t *tally) preferred(name string, wanted *channelTally) *channelTally {
	return t.preferredOf(name, wanted, func(*channelTally) bool { return true })
}

// preferredOf is preferred among some of the channels.
func (t *tally) preferredOf(name string, wanted *channelTally, fit func(*channelTally) bool) *channelTally {
	var best *channelTally
	for _, c := range t.Channels {
		if c.Channel.Name == name && c.Any && fit(c) && (best == nil || t.better(c, best, wanted)) {
			best = c
		}
	}
	return best
}

func (t *tally) better(a, b, wanted *channelTally) bool {
	if x, y := a.beside(wanted), b.beside(wanted); x != y {
		return x
	}
	if x, y := t.hasDrum(a), t.hasDrum(b); x != y {
		return x
	}
	if n, m := float64(a.samples()), float64(b.samples()); n > hysteresis*m || m > hysteresis*n {
		return n > m
	}
	if a.Channel.Source != b.Channel.Source {
		return a.Channel.Source < b.Channel.Source
	}
	if a.Channel.Device != b.Channel.Device {
		return a.Channel.Device < b.Channel.Device
	}
	if x, y := a.uncorrected(), b.uncorrected(); x != y {
		return y
	}
	if a.Channel.ID != b.Channel.ID {
		return a.Channel.ID < b.Channel.ID
	}
	return a.Channel.Key < b.Channel.Key
}

func (c *channelTally) beside(other *channelTally) bool {
	return other != nil && c.Channel.Source == other.Channel.Source && c.Channel.Device == other.Channel.Device
}

// uncorrected reports whether the value is known to lack the weather
// correction: where a device shows both, people quote the other one.
func (c *channelTally) uncorrected() bool {
	return c.Channel.Corrected == sample.CorrectionNone.String()
}

func (t *tally) hasDrum(c *channelTally) bool {
	for _, o := range t.Channels {
		if isDrum(o.Channel.Name) && o.beside(c) {
			return true
		}
	}
	return false
}
