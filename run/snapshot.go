package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"dynotap/sample"
	"dynotap/store"
	"dynotap/store/segment"
)

// Snapshot is all samples of a capture in memory, 24 bytes each, for work that
// reads a small capture many times. It is safe for concurrent use.
type Snapshot struct {
	capture string
	lanes   []lane
}

// lane is one channel, its points in order of time.
type lane struct {
	channel store.Channel
	points  []store.Point
}

// NewSnapshot makes one of the samples of a single set, native and in the order
// in which they were stored. They are copied.
func NewSnapshot(capture string, set *sample.ChannelSet, samples []sample.Sample) *Snapshot {
	lanes := make([]lane, set.Len())
	counts := make([]int64, set.Len())
	for i := range samples {
		counts[samples[i].Channel]++
	}
	for i, c := range set.Channels() {
		lanes[i] = lane{channel: segment.Describe(set.Source(), c.Key, &c), points: make([]store.Point, 0, counts[i])}
		lanes[i].channel.Rows = counts[i]
	}
	for _, v := range samples {
		l := &lanes[v.Channel]
		l.points = append(l.points, store.Point{Time: v.Time, Value: l.channel.Conversion().Apply(v.Value), Quality: v.Quality})
	}
	s := &Snapshot{capture: capture}
	for _, l := range lanes {
		if len(l.points) == 0 {
			continue
		}
		slices.SortStableFunc(l.points, func(a, b store.Point) int { return cmp.Compare(a.Time, b.Time) })
		s.lanes = append(s.lanes, l)
	}
	slices.SortFunc(s.lanes, func(a, b lane) int { return cmp.Compare(a.channel.Key, b.channel.Key) })
	return s
}

// Read does what store.Store.Read does, for the one capture and in the
// channels' units.
func (s *Snapshot) Read(_ context.Context, q store.Query, fn func(*store.Channel, []store.Point) error) error {
	if q.Capture != s.capture || q.Native {
		return fmt.Errorf("snapshot of capture %s: it holds no others, and no native values", s.capture)
	}
	chosen := func(c *store.Channel) bool {
		return len(q.Channels) == 0 || slices.ContainsFunc(q.Channels, func(name string) bool { return names(c, name) })
	}
	for _, name := range q.Channels {
		if !q.Optional && !slices.ContainsFunc(s.lanes, func(l lane) bool { return names(&l.channel, name) }) {
			return fmt.Errorf("%w: %q", store.ErrNoChannel, name)
		}
	}
	for i := range s.lanes {
		l := &s.lanes[i]
		points := between(l.points, q.FromUS, q.ToUS)
		if len(points) == 0 || !chosen(&l.channel) {
			continue
		}
		if err := fn(&l.channel, points); err != nil {
			return err
		}
	}
	return nil
}

func names(c *store.Channel, name string) bool {
	return name == c.Key || name == c.Name || name == c.Label
}

// between gives the points at from <= t < to; nil is no bound.
func between(points []store.Point, from, to *int64) []store.Point {
	if to != nil {
		points = points[:sort.Search(len(points), func(i int) bool { return points[i].Time >= *to })]
	}
	if from != nil {
		points = points[sort.Search(len(points), func(i int) bool { return points[i].Time >= *from }):]
	}
	return points
}
