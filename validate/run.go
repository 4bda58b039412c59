package validate

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"dynotap/channel"
	"dynotap/sample"
)

// Point is the state of a run at one time: values by canonical name, in
// canonical units. A value that was not measured is absent.
type Point struct {
	Time   int64 // µs, as Sample.Time
	Values map[string]float64
}

// Peak is the greatest value of a quantity in a run.
type Peak struct {
	Value float64
	Time  int64
	RPM   float64 // at the same point; NaN where it is not known
}

// RunResult is what the check of a run found. Bad and suspect values count for
// Valid as in CheckBatch; peaks leave bad values out.
type RunResult struct {
	BatchResult
	Points   int
	Duration int64 // µs from the first to the last point in time
	Peaks    map[string]Peak
}

// CheckRun checks every value of every point and computes peaks and duration
// on the points in order of time, whatever order they come in. The input is
// not changed. A run without points is valid, with a warning.
func (r Rules) CheckRun(points []Point) RunResult {
	if len(points) == 0 {
		empty := BatchResult{Valid: true, Warnings: []Issue{{Message: "run has no points", Field: "points", Value: "0"}}}
		return RunResult{BatchResult: empty}
	}
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b Point) int { return cmp.Compare(a.Time, b.Time) })
	out := RunResult{Points: len(points), Peaks: make(map[string]Peak)}
	var readings []Reading
	var first, last int64 = MaxTime, -1
	for i := range sorted {
		p := &sorted[i]
		timed := p.Time >= 0 && p.Time < MaxTime
		if timed {
			first, last = min(first, p.Time), max(last, p.Time)
		}
		for _, name := range slices.Sorted(maps.Keys(p.Values)) {
			q, _ := channel.Lookup(name)
			in := Reading{
				Source: "run", Time: p.Time, Value: p.Values[name],
				Channel: sample.Channel{Key: name, Label: name, Name: q.Name, NativeUnit: q.Unit, Unit: q.Unit},
			}
			readings = append(readings, in)
			if timed && r.CheckSample(in).Quality != sample.Bad {
				out.raise(name, p)
			}
		}
	}
	out.BatchResult = r.CheckBatch(readings)
	out.Duration = max(0, last-first)
	return out
}

// raise makes the point's value the peak if it is the first or greater; of
// equal ones the earliest stays.
func (out *RunResult) raise(name string, p *Point) {
	v := p.Values[name]
	if before, ok := out.Peaks[name]; math.IsNaN(v) || ok && v <= before.Value {
		return
	}
	peak := Peak{Value: v, Time: p.Time, RPM: math.NaN()}
	if rpm, ok := p.Values[channel.RPM]; ok {
		peak.RPM = rpm
	}
	out.Peaks[name] = peak
}
