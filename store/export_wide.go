package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"dynotap/sample"
)

// errTooMany ends the reading of a window that holds more samples than may be
// in memory.
var errTooMany = errors.New("too many samples at once")

// wide writes a row a time and a column a channel: the capture window by
// window, each read whole and put into order of time. Of two samples of one
// channel at one time the second gets a row of its own.
func (e *exporter) wide(ctx context.Context) error {
	r, err := e.store.begin(ctx, e.q)
	if err != nil {
		return err
	}
	channels := slices.Clone(r.channels)
	slices.SortFunc(channels, func(a, b Channel) int { return sample.CompareChannelKeys(a.Key, b.Key) })
	first, last := r.times()
	relative := r.live.capture.TimeBase == Relative
	damage := errors.Join(r.damage...)
	r.close()

	t := newTable(e, channels, relative)
	if err := t.head(); err != nil || len(channels) == 0 || first > last {
		return errors.Join(err, damage)
	}
	total := int64(0)
	for i := range channels {
		total += channels[i].Rows
	}
	budget := max(2, e.store.opts.MemorySamples/2) // reading holds as much again
	windows := uint64(total)/uint64(budget)*2 + 1
	widest := uint64(last-first)/windows + 1
	width := widest
	damaged := make(map[string]error) // the same file may be met in many windows
	for from := first; ; {
		to := int64(min(uint64(from-first)+width-1, uint64(last-first))) + first
		err := t.gather(ctx, from, to, budget)
		switch {
		case errors.Is(err, errTooMany) && to > from:
			width = (width + 1) / 2
			continue
		case errors.Is(err, ErrDamaged):
			damaged[err.Error()] = err
		case err != nil:
			return err
		}
		if err := t.write(); err != nil {
			return err
		}
		if to >= last {
			return errors.Join(slices.Collect(maps.Values(damaged))...)
		}
		from = to + 1
		if len(t.cells) < budget/2 {
			width = min(width*2, widest)
		}
	}
}

// table is the wide form under way.
type table struct {
	e        *exporter
	relative bool
	clock    timeText
	columns  map[string]int // by key
	names    []string
	convert  []sample.Conversion
	cells    []sample.Sample // Channel is the column
	row      []float64
	filled   []bool
}

func newTable(e *exporter, channels []Channel, relative bool) *table {
	t := &table{
		e: e, relative: relative, clock: timeText{relative: relative}, columns: make(map[string]int),
		row: make([]float64, len(channels)), filled: make([]bool, len(channels)),
	}
	for i := range channels {
		unit, conv := shownIn(&channels[i], e.opts.Units)
		name := channels[i].DisplayName()
		if unit != "" {
			name += " [" + string(unit) + "]"
		}
		t.columns[channels[i].Key] = i
		t.names = append(t.names, name)
		t.convert = append(t.convert, conv)
	}
	t.distinguish(channels, func(c *Channel) string { return c.Device })
	t.distinguish(channels, func(c *Channel) string { return c.Key })
	return t
}

// distinguish adds something to the names that occur more than once.
func (t *table) distinguish(channels []Channel, by func(*Channel) string) {
	count := make(map[string]int)
	for _, name := range t.names {
		count[name]++
	}
	for i, name := range t.names {
		if count[name] > 1 {
			t.names[i] = name + " " + by(&channels[i])
		}
	}
}

func (t *table) head() error {
	line := append(t.e.line[:0], "time"...)
	if t.relative {
		line = append(line, " [s]"...)
	}
	for _, name := range t.names {
		line = append(append(line, ','), csvCell(name)...)
	}
	if _, err := t.e.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

// gather reads a window, both ends included; errTooMany if it holds more than
// budget samples and may be divided.
func (t *table) gather(ctx context.Context, from, to int64, budget int) error {
	t.cells = t.cells[:0]
	q := t.e.q
	q.FromUS = &from
	if to < math.MaxInt64 {
		q.ToUS = new(to + 1)
	}
	return t.e.store.Read(ctx, q, func(c *Channel, points []Point) error {
		column, ok := t.columns[c.Key]
		if !ok {
			return nil // it had no samples when the export began
		}
		if len(t.cells)+len(points) > budget && to > from {
			return errTooMany
		}
		conv := t.convert[column]
		for _, p := range points {
			t.cells = append(t.cells, sample.Sample{Time: p.Time, Channel: uint32(column), Value: conv.Apply(p.Value)})
		}
		return nil
	})
}

// write writes the rows of the window that was gathered.
func (t *table) write() error {
	slices.SortStableFunc(t.cells, func(a, b sample.Sample) int { return cmp.Compare(a.Time, b.Time) })
	for rest := t.cells; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Time == rest[0].Time {
			n++
		}
		for left := rest[:n]; len(left) > 0; {
			left = t.fill(left)
			if err := t.flush(rest[0].Time); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	return nil
}

// fill puts cells of one time into the row and gives those whose column is
// taken already; they lie at the front of cells then.
func (t *table) fill(cells []sample.Sample) (left []sample.Sample) {
	left = cells[:0]
	for _, cell := range cells {
		if t.filled[cell.Channel] {
			left = append(left, cell)
			continue
		}
		t.row[cell.Channel], t.filled[cell.Channel] = cell.Value, true
	}
	return left
}

func (t *table) flush(at int64) error {
	line := append(t.e.line[:0], t.clock.text(at)...)
	for i, value := range t.row {
		line = append(line, ',')
		if t.filled[i] {
			line = strconv.AppendFloat(line, value, 'g', -1, 64)
			t.filled[i] = false
		}
	}
	t.e.line = append(line, '\n')
	if _, err := t.e.out.Write(t.e.line); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}
