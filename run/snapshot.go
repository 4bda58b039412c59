package run

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"dynotap/store"
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

// TakeSnapshot reads all samples of a capture. Damage is an error.
func TakeSnapshot(ctx context.Context, r Reader, capture string) (*Snapshot, error) {
	s := &Snapshot{capture: capture}
	err := r.Read(ctx, store.Query{Capture: capture}, func(c *store.Channel, points []store.Point) error {
		if n := len(s.lanes); n == 0 || s.lanes[n-1].channel.Key != c.Key {
			s.lanes = append(s.lanes, lane{channel: *c, points: make([]store.Point, 0, c.Rows)})
		}
		l := &s.lanes[len(s.lanes)-1]
		l.points = append(l.points, points...)
		return nil
	})
	return s, err
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
