package app

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"dynotap/channel"
	"dynotap/run/align"
	"dynotap/run/series"
	"dynotap/sample"
	"dynotap/server"
	"dynotap/store"
)

const (
	// sure is the confidence that an offset must have to be used.
	sure = 0.3
	// clockReach is how far apart clocks are looked for that both tell the time of
	// day and overlap.
	clockReach = 30 * time.Second
)

// runTable is a run as rows, with what its times mean.
type runTable struct {
	*rows
	capture store.Capture
}

func (r runSamples) table(ctx context.Context, id string) (runTable, error) {
	q, capture, err := r.query(ctx, id)
	if err != nil {
		return runTable{}, err
	}
	t, err := r.rows(ctx, q)
	if err == nil && t.longest() < 0 {
		err = fmt.Errorf("%w: run %s has no values", server.ErrBadRequest, id)
	}
	return runTable{t, capture}, err
}

// Merge gives the readings of another run to the nearest points of a run, after
// the offset of their clocks was found (CONFORMANCE A6). Nothing stored changes.
func (r runSamples) Merge(ctx context.Context, id string, m server.MergeQuery) (server.Merge, error) {
	first, err := r.table(ctx, id)
	if err != nil {
		return server.Merge{}, err
	}
	second, err := r.table(ctx, m.With)
	if err != nil {
		return server.Merge{}, err
	}
	wanted, err := second.find(m.Channels)
	if err != nil {
		return server.Merge{}, err
	}
	clock, err := compareClocks(first, second, m)
	if err != nil {
		return server.Merge{}, err
	}
	out := server.Merge{Report: server.MergeReport{Clock: clock, Merged: []server.MergedSensor{}}}
	points := first.points()
	out.Report.Points = len(points)
	merged := &rows{at: points}
	merged.names, merged.units = slices.Clone(first.names), slices.Clone(first.units)
	merged.columns, merged.gaps = slices.Clone(first.columns), slices.Clone(first.gaps)
	offset := time.Duration(clock.OffsetUS) * time.Microsecond
	for _, i := range wanted {
		found := align.Merge(points, second.columns[i], offset, time.Duration(m.ToleranceUS)*time.Microsecond)
		out.Report.Merged = append(out.Report.Merged, server.MergedSensor{
			Name: second.names[i], Unit: string(second.units[i]), Used: found.Used, Unused: found.Unused,
		})
		merged.add(second.names[i], second.units[i], points, found.Values)
	}
	merged.distinguish()
	relative := first.capture.TimeBase == store.Relative
	out.Write = func(ctx context.Context, format string, w io.Writer) error {
		if format == "mlg" {
			return merged.mlg(ctx, 0, relative, w)
		}
		return merged.csv(ctx, 0, relative, w)
	}
	return out, nil
}

// add adds a column that has values, not NaN, at some of the times.
func (t *rows) add(name string, unit sample.Unit, times []int64, values []float64) {
	var s series.Series
	for i, v := range values {
		if !math.IsNaN(v) {
			s.Times, s.Values = append(s.Times, times[i]), append(s.Values, v)
		}
	}
	t.names, t.units = append(t.names, name), append(t.units, unit)
	t.columns, t.gaps = append(t.columns, s), append(t.gaps, 0)
}

// points are the times of the run's engine speed, or of the channel with the
// most samples.
func (t *rows) points() []int64 {
	if i := slices.Index(t.names, channel.RPM); i >= 0 {
		return t.columns[i].Times
	}
	return t.columns[t.longest()].Times
}

// longest is the column with the most values; -1 where none has any.
func (t *rows) longest() int {
	best := -1
	for i, s := range t.columns {
		if s.Len() > 0 && (best < 0 || s.Len() > t.columns[best].Len()) {
			best = i
		}
	}
	return best
}

// find gives the columns of some names, or all.
func (t *rows) find(names []string) (columns []int, err error) {
	if len(names) == 0 {
		for i := range t.names {
			columns = append(columns, i)
		}
		return columns, nil
	}
	for _, name := range names {
		i := slices.Index(t.names, name)
		if i < 0 {
			return nil, fmt.Errorf("%w: %q: there are %s", store.ErrNoChannel, name, strings.Join(t.names, ", "))
		}
		columns = append(columns, i)
	}
	return columns, nil
}

// compareClocks finds how far the second run's clock is ahead of the first's.
func compareClocks(first, second runTable, m server.MergeQuery) (server.ClockReport, error) {
	if m.OffsetUS != nil {
		return server.ClockReport{How: "given", OffsetUS: *m.OffsetUS}, nil
	}
	if first.capture.ID == second.capture.ID && m.By == "" {
		return server.ClockReport{How: "same"}, nil
	}
	a, b, err := channelsOfBoth(first, second, m)
	if err != nil {
		return server.ClockReport{}, err
	}
	together := first.capture.TimeBase == store.Absolute && second.capture.TimeBase == store.Absolute && overlap(first.rows, second.rows)
	if a < 0 {
		if together {
			return server.ClockReport{How: "assumed"}, nil
		}
		return server.ClockReport{}, fmt.Errorf("%w: the runs have no channel in common to compare their clocks by: name two that change together (--by ONE:OTHER), or give the offset (--offset); one has %s, the other %s",
			server.ErrBadRequest, strings.Join(first.names, ", "), strings.Join(second.names, ", "))
	}
	one, other := first.columns[a], second.columns[b]
	base, reach := int64(0), clockReach
	if !together {
		base = other.Times[0] - one.Times[0]
		reach = time.Duration(max(lengthOf(one), lengthOf(other))) * time.Microsecond
	}
	by := first.names[a]
	if second.names[b] != by {
		by += " and " + second.names[b]
	}
	found, err := align.Clocks(one, moved(other, -base), reach)
	if err == nil && found.Confidence < sure {
		err = fmt.Errorf("the confidence is %.2f and should be %.1f: they do not resemble each other enough, or repeat themselves", found.Confidence, sure)
	}
	if err != nil {
		return server.ClockReport{}, fmt.Errorf("%w: compare the clocks by %s: %w; name other channels (--by ONE:OTHER), or give the offset (--offset)", server.ErrBadRequest, by, err)
	}
	return server.ClockReport{
		How: "found", OffsetUS: base + found.Offset.Microseconds(), By: by, Correlation: found.Correlation, Confidence: found.Confidence,
	}, nil
}

// channelsOfBoth gives the columns to compare clocks by; -1 where there are none.
func channelsOfBoth(first, second runTable, m server.MergeQuery) (a, b int, err error) {
	names := []string{channel.RPM, channel.Speed, channel.TPS, channel.MAP, channel.AFR}
	if m.By != "" {
		names = []string{m.By}
	}
	for _, name := range names {
		other := name
		if m.Other != "" {
			other = m.Other
		}
		a, b = slices.Index(first.names, name), slices.Index(second.names, other)
		if a >= 0 && b >= 0 && first.columns[a].Len() > 0 && second.columns[b].Len() > 0 {
			return a, b, nil
		}
	}
	if m.By != "" {
		return -1, -1, fmt.Errorf("%w: clocks cannot be compared by %q: one has %s, the other %s",
			store.ErrNoChannel, m.By, strings.Join(first.names, ", "), strings.Join(second.names, ", "))
	}
	return -1, -1, nil
}

// overlap reports whether half of the shorter run lies within the other.
func overlap(a, b *rows) bool {
	aTimes, bTimes := a.points(), b.points()
	from, to := max(aTimes[0], bTimes[0]), min(aTimes[len(aTimes)-1], bTimes[len(bTimes)-1])
	shorter := min(aTimes[len(aTimes)-1]-aTimes[0], bTimes[len(bTimes)-1]-bTimes[0])
	return to >= from && 2*(to-from) >= shorter
}

func lengthOf(s series.Series) int64 { return s.Times[s.Len()-1] - s.Times[0] }

// moved is a series at other times.
func moved(s series.Series, by int64) series.Series {
	out := series.Series{Times: make([]int64, s.Len()), Values: s.Values}
	for i, t := range s.Times {
		out.Times[i] = t + by
	}
	return out
}
