package csv

import (
	"bytes"
	"context"
	"fmt"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// What is done with a column that is no channel.
const (
	skipped  = -1 - iota // the time, or words
	nameless             // no header and nothing below it where we looked
)

// reader reads the rows of one table.
type reader struct {
	layout
	times    *times
	rows     *text.Rows
	sink     format.RunSink
	run      format.Run
	plan     []int // channel, or skipped or nameless
	need     int   // cells a row must have: up to the last channel or time
	warnings []string
	batch    sample.Batch
	samples  []sample.Sample // of the batch; at most MaxSamples
	number   int64           // of the row in its run
	start    timeState
	order    timeOrder
}

func newReader(f *Format, l layout, t *times, rows *text.Rows, sink format.RunSink) *reader {
	r := &reader{layout: l, times: t, rows: rows, sink: sink, start: t.timeState}
	r.run = format.Run{Dated: t.isDated(), Notes: l.notes(), Facts: map[string]string{}}
	if t.form == dated || t.form == serial || t.base != 0 {
		r.run.Facts["time_zone"] = t.zone.String()
	}
	if l.rate > 0 {
		r.run.Facts["sample_rate_hz"] = fmt.Sprintf("%g", l.rate)
	}
	if t.warning != "" {
		r.warnings = append(r.warnings, t.warning)
	}
	r.batch = sample.Batch{Clock: sample.ClockFile}
	if l.long != nil {
		r.batch.Set, r.need = l.long.set, max(t.column, t.date, l.long.name, l.long.value)+1
		r.leftOut()
	} else {
		r.batch.Set = r.planColumns(f)
	}
	return r
}

// planColumns decides what each column is.
func (r *reader) planColumns(f *Format) *sample.ChannelSet {
	var channels []sample.Channel
	r.plan = make([]int, len(r.header))
	seen := map[string]int{}
	for i, h := range r.header {
		r.plan[i] = skipped
		if i == r.times.column || i == r.times.date {
			r.need = i + 1
			continue
		}
		if at := r.times.column; at >= 0 && isTimeName(h) && fold(h) == fold(r.header[at]) { // groups of columns, each with its times
			r.warnings = append(r.warnings, fmt.Sprintf("columns %d and %d are both %s: the times of column %d are taken for all columns", at+1, i+1, shortened(h), at+1))
		}
		if words := r.words(i); words {
			r.warnings = append(r.warnings, fmt.Sprintf("column %d, %s, holds words and was left out", i+1, shortened(h)))
			continue
		}
		if h == "" && r.share(i, func(string) bool { return true }) == 0 {
			r.plan[i] = nameless
			continue
		}
		if h == "" {
			h = fmt.Sprintf("column_%d", i+1)
		} else if first, again := seen[fold(h)]; again {
			r.warnings = append(r.warnings, fmt.Sprintf("columns %d and %d are both named %s: both are kept", first, i+1, shortened(h)))
		} else {
			seen[fold(h)] = i + 1
		}
		r.plan[i], r.need = len(channels), i+1
		channels = append(channels, r.channel(f, i, h))
	}
	return sample.NewChannelSet(provider, channels)
}

// words reports whether a column holds nothing but words: laps, events, marks.
func (r *reader) words(column int) bool {
	some := r.share(column, func(cell string) bool { return !likeDigits(cell) && !likeNumber([]byte(cell)) })
	return some == 1 && len(r.body) > 1
}

// channel describes a column. What the user says it is counts before what the
// importer would find.
func (r *reader) channel(f *Format, column int, label string) sample.Channel {
	c := sample.Channel{
		Key: sample.ChannelKey(provider, uint32(column), 0), Provider: provider, ID: uint32(column), Label: label,
	}
	if column < len(r.units) {
		c.NativeUnit = text.Unit(r.units[column])
	}
	if f.mapped[fold(label)] {
		return f.resolver.Resolve(c)
	}
	if f.resolver.Resolve(c).Name == "" {
		c.Label = r.remarkOf(f, column, c)
	}
	return c
}

// remarkOf gives the name that a row below the header has for a column if that
// is known better: "Engine RPM" below GM.RPM.
func (r *reader) remarkOf(f *Format, column int, c sample.Channel) string {
	for _, remark := range r.remarks {
		if column >= len(remark.cells) {
			continue
		}
		better := c
		better.Label = remark.cells[column]
		if f.resolver.Resolve(better).Name != "" {
			return better.Label
		}
	}
	return c.Label
}

func (r *reader) read(ctx context.Context) error {
	if err := r.sink.Begin(r.run); err != nil {
		return err
	}
	for _, w := range r.warnings {
		r.sink.Warn(w)
	}
	found := false
	err := format.EachRow(ctx, r.rows, func() error {
		if r.rows.Line() <= r.last {
			return nil
		}
		if len(r.samples)+len(r.plan) > format.MaxSamples {
			if err := r.flush(); err != nil {
				return err
			}
		}
		if !r.fastRow() {
			if err := r.row(); err != nil {
				return err
			}
		}
		found = found || len(r.samples) > 0
		return nil
	}, r.flush)
	if r.order.line > 0 {
		r.wentBack()
	}
	if err == nil && !found {
		r.sink.Warn("the table has no values")
	}
	return err
}

func (r *reader) flush() error {
	if len(r.samples) == 0 {
		return nil
	}
	r.batch.Samples = r.samples
	err := r.sink.Batch(&r.batch)
	r.samples = r.samples[:0]
	return err
}

// fastRow reads a row of plain numbers and empty cells. It reports false, and
// has done nothing, where there is anything else: row looks at that.
func (r *reader) fastRow() bool {
	if r.long != nil || r.rows.Quoted() || r.rows.Long() || r.times.date >= 0 || len(r.plan) > format.MaxSamples {
		return false
	}
	raw, delimiter := r.rows.Raw(), r.delimiter
	at := 0
	for range max(r.times.column, 0) {
		i := bytes.IndexByte(raw[at:], delimiter)
		if i < 0 {
			return false
		}
		at += i + 1
	}
	cell := raw[at:]
	if i := bytes.IndexByte(cell, delimiter); i >= 0 {
		cell = cell[:i]
	}
	us, problem := r.times.at(cell, nil, r.number)
	if problem != "" {
		return false
	}
	samples := r.samples
	numbers := r.numbers
	at = 0
	for column, channel := range r.plan {
		if at > len(raw) {
			return false
		}
		rest := raw[at:]
		switch {
		case len(rest) == 0 || rest[0] == delimiter:
			at++
		case channel >= 0:
			v, n, ok := numbers.Prefix(rest, delimiter)
			if !ok {
				return false
			}
			samples = append(samples, sample.Sample{Time: us, Value: v, Channel: uint32(channel)})
			at += n + 1
		case channel == nameless:
			return false
		default:
			n := bytes.IndexByte(rest, delimiter)
			if n < 0 {
				if n = len(rest); column+1 < r.need {
					return false
				}
			}
			at += n + 1
		}
	}
	if at < len(raw) || len(samples) == len(r.samples) || !r.order.runsOn(us) {
		return false // more cells than columns, or nothing but empty ones, or a time out of order
	}
	r.samples = samples
	r.number++
	return true
}

// isSection reports whether a row is the name of a part of the file, such as
// "[Channel Data]" of HP Tuners.
func isSection(cell []byte) bool {
	return len(cell) > 2 && cell[0] == '[' && cell[len(cell)-1] == ']' && !likeDigits(string(cell[1:]))
}

// row reads a row whatever it is.
func (r *reader) row() error {
	cells := r.rows.Cells()
	last := len(cells)
	for last > 0 && len(cells[last-1]) == 0 {
		last--
	}
	switch {
	case r.rows.Long():
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
	case last == 0 && bytes.IndexByte(r.rows.Raw(), 0) >= 0:
		r.problem(0, fmt.Sprintf("%d bytes of zeros, as a power failure leaves them: what stood here is lost", bytes.Count(r.rows.Raw(), []byte{0})))
		return nil
	case last == 0, last == 1 && isSection(cells[0]):
		return nil
	case string(r.rows.Raw()) == r.headerRaw:
		return r.again()
	case r.number == 0 && r.isBelow(string(r.rows.Raw())):
		return nil
	}
	number := r.number
	r.number++
	switch {
	case last > len(r.header):
		r.problem(len(r.header)+1, fmt.Sprintf("the row has %d cells, the header %d: which is which cannot be told, the row was left out", last, len(r.header)))
		return nil
	case !r.rows.Ended() && len(cells) < r.need:
		r.problem(0, fmt.Sprintf("the file ends inside this row (%d of %d cells): the row was left out", len(cells), len(r.header)))
		return nil
	}
	if r.numbers.Decimal == text.NoDecimal {
		r.learn(cells)
	}
	us, problem := r.times.at(cellAt(cells, r.times.column), cellAt(cells, r.times.date), number)
	if problem != "" {
		r.problem(max(r.times.column, 0)+1, problem+": the row was left out")
		return nil
	}
	us, err := r.ordered(us)
	if err != nil {
		return err
	}
	take := r.values
	if r.long != nil {
		take = r.longValue
	}
	if err := take(cells, us); err != nil {
		return err
	}
	if len(cells) < r.need {
		r.problem(len(cells)+1, fmt.Sprintf("the row ends after %d of %d cells", len(cells), len(r.header)))
	}
	return nil
}

func cellAt(cells [][]byte, column int) []byte {
	if column < 0 || column >= len(cells) {
		return nil
	}
	return cells[column]
}

// values takes the samples of a row.
func (r *reader) values(cells [][]byte, us int64) error {
	for column, channel := range r.plan[:min(len(cells), len(r.plan))] {
		cell := cells[column]
		if channel == nameless && len(cell) > 0 {
			r.problem(column+1, shortened(string(cell))+" stands under no header")
		}
		if channel < 0 {
			continue
		}
		if v, ok := r.value(cell, column); ok {
			if err := r.add(sample.Sample{Time: us, Value: v, Channel: uint32(channel)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// value reads a cell; false where it is empty, or no number, which is a problem.
func (r *reader) value(cell []byte, column int) (float64, bool) {
	v, kind := r.numbers.Parse(cell)
	if kind == text.Garbage {
		message := shortened(string(cell)) + " is no number"
		if either(cell) {
			message += " for certain: its separator may be that of decimals or of thousands; write it without that of thousands"
		}
		r.problem(column+1, message)
	}
	return v, kind == text.Number
}

// add takes a sample.
func (r *reader) add(s sample.Sample) error {
	if len(r.samples) == format.MaxSamples {
		if err := r.flush(); err != nil {
			return err
		}
	}
	r.samples = append(r.samples, s)
	return nil
}

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}

// again begins another run under the same header.
func (r *reader) again() error {
	if err := r.flush(); err != nil {
		return err
	}
	if r.order.line > 0 {
		r.wentBack()
	}
	r.number, r.times.timeState = 0, r.start
	r.order = timeOrder{warned: r.order.warned}
	return r.sink.Begin(r.run)
}
