package app

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"dynotap/format/mlg"
	"dynotap/run/series"
	"dynotap/sample"
	"dynotap/server"
	"dynotap/store"
)

// mostInRows bounds the samples of an export in rows, 16 bytes each in memory.
const mostInRows = 30_000_000

// bridge is the least stretch of time, in µs, over which a channel's value is
// taken to lie on the line between two samples; a slower channel has three
// times its own usual distance.
const bridge = 1_000_000

// rows is a run as rows at common times.
type rows struct {
	names   []string
	units   []sample.Unit
	columns []series.Series
	gaps    []int64 // µs, by column
	at      []int64 // the rows' times; nil: every time there is
}

// rows reads a run's good and suspect values in the units that are shown.
func (r runSamples) rows(ctx context.Context, q store.Query) (*rows, error) {
	t, index, total := &rows{}, map[string]int{}, 0
	err := r.store.Read(ctx, q, func(c *store.Channel, points []store.Point) error {
		if total += len(points); total > mostInRows {
			return fmt.Errorf("%w: more than %s samples cannot be brought to common times: export a pull, or without rate and not as mlg",
				server.ErrBadRequest, thousands(mostInRows))
		}
		unit := c.Unit.Shown(r.units)
		convert, ok := c.Unit.To(unit)
		if !ok {
			unit, convert = c.Unit, sample.Conversion{Scale: 1}
		}
		i, known := index[c.Key]
		if !known {
			i = len(t.columns)
			index[c.Key] = i
			t.names, t.units = append(t.names, c.DisplayName()), append(t.units, unit)
			t.columns = append(t.columns, series.Series{})
		}
		s := &t.columns[i]
		for _, p := range points {
			if p.Quality == sample.Bad || p.Value-p.Value != 0 {
				continue
			}
			if n := s.Len(); n > 0 && s.Times[n-1] == p.Time {
				s.Values[n-1] = convert.Apply(p.Value) // the later of two at one time
				continue
			}
			s.Times, s.Values = append(s.Times, p.Time), append(s.Values, convert.Apply(p.Value))
		}
		return nil
	})
	for _, s := range t.columns {
		t.gaps = append(t.gaps, max(bridge, 3*usual(s.Times)))
	}
	t.distinguish()
	return t, err
}

// usual is the median distance between times, in µs.
func usual(times []int64) int64 {
	if len(times) < 2 {
		return 0
	}
	steps := make([]int64, len(times)-1)
	for i := range steps {
		steps[i] = times[i+1] - times[i]
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

// distinguish numbers names that occur again.
func (t *rows) distinguish() {
	seen := map[string]int{}
	for i, name := range t.names {
		if seen[name]++; seen[name] > 1 {
			t.names[i] = fmt.Sprintf("%s (%d)", name, seen[name])
		}
	}
}

// each calls fn for every time with the values of all columns, NaN where a
// channel has none. A rate makes times at equal distances, values on the line
// between samples, and never over a gap; 0 keeps the recorded times. The values
// are used again for the next row.
func (t *rows) each(ctx context.Context, rate float64, fn func(us int64, values []float64) error) error {
	times := t.times(rate)
	values := make([]float64, len(t.columns))
	for n, us := range times {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		some := false
		for i, s := range t.columns {
			gap := t.gaps[i]
			if rate == 0 && t.at == nil {
				gap = 0
			}
			v, ok := s.At(us, gap)
			if values[i] = v; !ok {
				values[i] = math.NaN()
			}
			some = some || ok
		}
		if !some {
			continue
		}
		if err := fn(us, values); err != nil {
			return err
		}
	}
	return nil
}

func (t *rows) times(rate float64) (out []int64) {
	if t.at != nil {
		return t.at
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, s := range t.columns {
		if n := s.Len(); n > 0 {
			first, last = min(first, s.Times[0]), max(last, s.Times[n-1])
		}
	}
	if rate > 0 {
		for i := 0; first <= last; i++ {
			us := first + int64(math.Round(float64(i)*1e6/rate))
			if us > last {
				break
			}
			out = append(out, us)
		}
		return out
	}
	for _, s := range t.columns {
		if out = append(out, s.Times...); len(out) > 4*mostInRows/max(1, len(t.columns)) {
			slices.Sort(out)
			out = slices.Compact(out)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// csv writes a column a channel.
func (t *rows) csv(ctx context.Context, rate float64, relative bool, out io.Writer) error {
	w := csv.NewWriter(out)
	record := append(make([]string, 0, 1+len(t.names)), "time")
	if relative {
		record[0] = "time [s]"
	}
	for i, name := range t.names {
		if t.units[i] != sample.NoUnit {
			name += " [" + string(t.units[i]) + "]"
		}
		record = append(record, name)
	}
	if err := w.Write(record); err != nil {
		return err
	}
	err := t.each(ctx, rate, func(us int64, values []float64) error {
		record[0] = sample.Time(us).Format("2006-01-02T15:04:05.000000Z")
		if relative {
			record[0] = strconv.FormatFloat(float64(us)/1e6, 'f', 6, 64)
		}
		for i, v := range values {
			if record[i+1] = ""; v == v {
				record[i+1] = strconv.FormatFloat(v, 'g', -1, 64)
			}
		}
		return w.Write(record)
	})
	w.Flush()
	if err != nil {
		return err
	}
	return w.Error()
}

// mlg writes a log for MegaLogViewer, whose times count from its start.
func (t *rows) mlg(ctx context.Context, rate float64, relative bool, out io.Writer) error {
	fields := make([]mlg.Field, len(t.names))
	for i := range fields {
		fields[i] = mlg.Field{Name: t.names[i], Unit: t.units[i]}
	}
	var w *mlg.Writer
	start := int64(0)
	err := t.each(ctx, rate, func(us int64, values []float64) (err error) {
		if w == nil {
			var started time.Time
			if start = min(us, 0); !relative {
				// The header holds whole seconds; times count from there.
				started = sample.Time(us).Truncate(time.Second)
				start = started.UnixMicro()
			}
			if w, err = mlg.NewWriter(out, fields, started); err != nil {
				return err
			}
		}
		return w.Write(time.Duration(us-start)*time.Microsecond, values)
	})
	if err != nil {
		return err
	}
	if w == nil {
		return fmt.Errorf("%w: the run has no values to write", server.ErrBadRequest)
	}
	return w.Close()
}
