package store

import (
	"cmp"
	"math"
	"slices"

	"dynotap/internal/db"
	"dynotap/sample"
	"dynotap/store/segment"
)

// Channel is a channel of a capture with the figures of its samples; see
// segment.Channel.
type Channel = segment.Channel

// Point is one sample of one channel, its value in the channel's unit.
type Point = segment.Point

// plan is what a range of live chunks holds, found by one scan.
type plan struct {
	capture Capture
	chunkRange
	channels []Channel // ascending by key; Rows and the rest count the live samples
	sets     map[sample.SetID]*planSet
}

// planSet is a channel set that the chunks point into.
type planSet struct {
	set      *sample.ChannelSet
	received int64 // when the latest batch with it arrived
	order    int   // its place in the order of commits
	tallies  []tally
	slots    []int // index into plan.channels; -1 where nobody asks for it
}

// tally counts the samples of one channel of one set, in native units.
type tally struct {
	converts    bool
	count       [sample.Qualities]int64
	first, last int64
	low, high   float64
	check       segment.NativeCheck
}

func (t *tally) rows() int64 {
	return t.count[sample.Good] + t.count[sample.Suspect] + t.count[sample.Bad]
}

func (t *tally) see(s *sample.Sample) {
	if t.rows() == 0 {
		t.first, t.last = s.Time, s.Time
	}
	t.first, t.last = min(t.first, s.Time), max(t.last, s.Time)
	t.count[s.Quality]++
	if s.Quality != sample.Bad && !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0) {
		t.low, t.high = min(t.low, s.Value), max(t.high, s.Value)
	}
	if t.converts {
		t.check.See(s.Value)
	}
}

// survey scans the range's chunks. The channels of known are described there
// already; they are in the plan whether or not they have live samples.
func (s *Store) survey(c *db.Conn, capture Capture, r chunkRange, known []Channel,
	damaged func(*ChunkError, []byte) error) (*plan, error) {
	p := &plan{capture: capture, chunkRange: r, sets: make(map[sample.SetID]*planSet)}
	order := 0
	err := s.scan(c, r, func(_ int64, b *sample.Batch) error {
		ps := p.setOf(b.Set)
		order++
		ps.order, ps.received = order, max(ps.received, b.Received)
		for i := range b.Samples {
			sm := &b.Samples[i]
			if sm.Time >= r.from && sm.Time <= r.to {
				ps.tallies[sm.Channel].see(sm)
			}
		}
		return nil
	}, damaged)
	if err != nil {
		return nil, err
	}
	p.settle(known)
	return p, nil
}

func (p *plan) setOf(set *sample.ChannelSet) *planSet {
	ps, ok := p.sets[set.ID()]
	if ok {
		return ps
	}
	ps = &planSet{set: set, tallies: make([]tally, set.Len()), slots: make([]int, set.Len())}
	for i := range ps.tallies {
		conv := set.Channels()[i].Conversion()
		ps.tallies[i] = tally{
			converts: !conv.IsIdentity(), check: segment.NewNativeCheck(conv), low: math.Inf(1), high: math.Inf(-1),
		}
	}
	p.sets[set.ID()] = ps
	return ps
}

// settle describes each channel as the latest batch did and adds the tallies
// up.
func (p *plan) settle(known []Channel) {
	sets := make([]*planSet, 0, len(p.sets))
	for _, ps := range p.sets {
		sets = append(sets, ps)
	}
	slices.SortFunc(sets, func(a, b *planSet) int {
		return cmp.Or(cmp.Compare(a.received, b.received), cmp.Compare(a.order, b.order))
	})
	described := make(map[string]Channel)
	for i := range known {
		described[known[i].Key] = description(&known[i])
	}
	for _, ps := range sets {
		for i := range ps.set.Channels() {
			channel := &ps.set.Channels()[i]
			key := channelKey(&p.capture, ps.set, channel)
			if d, ok := described[key]; ok && d.DescribedUS > ps.received {
				continue
			}
			d := segment.Describe(ps.set.Source(), key, channel)
			d.DescribedUS = ps.received
			described[key] = d
		}
	}
	for _, d := range described {
		p.channels = append(p.channels, d)
	}
	slices.SortFunc(p.channels, func(a, b Channel) int { return cmp.Compare(a.Key, b.Key) })
	for _, ps := range sets {
		for i := range ps.set.Channels() {
			key := channelKey(&p.capture, ps.set, &ps.set.Channels()[i])
			slot, _ := slices.BinarySearchFunc(p.channels, key, func(c Channel, key string) int { return cmp.Compare(c.Key, key) })
			ps.slots[i] = slot
			absorb(&p.channels[slot], ps.tallies[i].figures(ps.set.Channels()[i].Conversion()))
		}
	}
	for i := range p.channels {
		if p.channels[i].Native == "" {
			p.channels[i].Native = segment.NativeSame
		}
	}
}

// figures gives a tally under the conversion it was taken with.
func (t *tally) figures(conv sample.Conversion) *Channel {
	f := &Channel{
		Scale: conv.Scale, Offset: conv.Offset, Native: t.check.Form(),
		Rows: t.rows(), FirstUS: t.first, LastUS: t.last,
		Good: t.count[sample.Good], Suspect: t.count[sample.Suspect], Bad: t.count[sample.Bad],
	}
	if t.low <= t.high {
		a, b := conv.Apply(t.low), conv.Apply(t.high)
		f.Min, f.Max = new(min(a, b)), new(max(a, b))
	}
	return f
}

// description is a channel without its figures.
func description(c *Channel) Channel {
	d := *c
	d.Native, d.FirstRow, d.Rows, d.FirstUS, d.LastUS = "", 0, 0, 0, 0
	d.Good, d.Suspect, d.Bad, d.Min, d.Max = 0, 0, 0, nil, nil
	return d
}

// absorb adds what other counts to c, converted into c's unit.
func absorb(c, other *Channel) {
	if other.Rows == 0 {
		return
	}
	f := *other
	if f.Min != nil && f.Max != nil && other.Conversion() != c.Conversion() {
		back, to := other.Conversion().Invert(), c.Conversion()
		a, b := to.Apply(back.Apply(*f.Min)), to.Apply(back.Apply(*f.Max))
		f.Min, f.Max = new(min(a, b)), new(max(a, b))
	}
	form := other.Native
	switch {
	case c.Conversion().IsIdentity():
		form = segment.NativeSame
	case other.Conversion() != c.Conversion():
		form = segment.NativeColumn
	}
	switch {
	case c.Rows == 0:
		c.Native = form
	case c.Native != form:
		c.Native = segment.NativeColumn
	}
	c.Add(&f)
}
