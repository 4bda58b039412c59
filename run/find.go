package run

import (
	"context"
	"fmt"
	"math"
	"slices"

	"dynotap/store"
)

// FindPulls finds the pulls in all that is stored of a capture, sealed or not,
// in order of time. What the pulls are does not depend on the order in which the
// samples were stored. Memory is bounded by some million samples; damaged ones
// are left out. It is for captures that grow no more, such as imports: a live
// one has its Tracker.
func FindPulls(ctx context.Context, r Reader, capture string, s PullSettings) ([]Pull, error) {
	g := gathering{reader: r, capture: capture, memory: memorySamples}
	return g.pulls(ctx, math.MinInt64, math.MaxInt64, s)
}

// pulls finds the pulls at from <= t <= to.
func (g *gathering) pulls(ctx context.Context, from, to int64, s PullSettings) ([]Pull, error) {
	minutes := map[int64]int64{}
	var keys []string
	err := g.read(ctx, from, to, func(c *store.Channel, points []store.Point) {
		if !Wants(c.Name) {
			return
		}
		if !slices.Contains(keys, c.Key) {
			keys = append(keys, c.Key)
		}
		for i := range points {
			minutes[minuteOf(points[i].Time)]++
		}
	}, wanted()...)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	d := NewDetector(s)
	var list []timed
	for _, w := range windows(minutes, int64(g.memory)) {
		list = list[:0]
		err := g.read(ctx, max(w[0], from), min(w[1], to), func(c *store.Channel, points []store.Point) {
			in := Input{Device: c.Source + "/" + c.Device, Name: c.Name, ID: c.ID}
			for _, p := range points {
				list = append(list, timed{in, p.Time, p.Value, p.Quality})
			}
		}, keys...)
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(list, byTime)
		for i := range list {
			d.Feed(list[i].in, list[i].at, list[i].value, list[i].quality)
		}
	}
	d.Flush()
	return d.Take(), nil
}

// PullRuns finds the pulls of a finished capture and gives them as runs with
// their summaries, to be saved. Finding them again gives the same ids, so that
// saving twice enters each once; what overlaps a pull that the capture has
// already, under another id, is left out.
func PullRuns(ctx context.Context, a Archive, c store.Capture, s PullSettings) ([]Run, error) {
	pulls, err := FindPulls(ctx, a, c.ID, s)
	if err != nil {
		return nil, fmt.Errorf("find pulls: %w", err)
	}
	saved, err := a.Load(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	t := NewTracker(a, c, Settings{Pulls: s})
	var runs []Run
	for i, p := range pulls {
		id := idOf(c.ID, KindPull, p.Start)
		if slices.ContainsFunc(saved.Runs, func(r store.Run) bool { return isOtherPull(&r, id, p) }) {
			continue
		}
		r := t.run(id, KindPull, p.title(i+1), p.Start)
		if err := t.end(ctx, &r, p.End); err != nil {
			return nil, err
		}
		r.StartedAt = startedAt(r.From, c.TimeBase)
		runs = append(runs, r)
	}
	return runs, nil
}

// isOtherPull reports whether a run is a pull of another id at the same time.
func isOtherPull(r *store.Run, id string, p Pull) bool {
	return Kind(r.Kind) == KindPull && r.ID != id && r.StartedUS != nil && r.EndedUS != nil &&
		*r.StartedUS <= p.End && *r.EndedUS >= p.Start
}

// title is a pull's name until somebody gives it another.
func (p *Pull) title(number int) string {
	if p.Cut {
		return fmt.Sprintf("Pull %d (cut short)", number)
	}
	return fmt.Sprintf("Pull %d", number)
}
