package msl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

type reader struct {
	resolver *channel.Resolver
	rows     *text.Rows
	sink     format.RunSink

	notes   []string // of the run
	next    []string // lines among the rows that may be notes of the next run
	noted   []int64  // where those are
	names   []string
	units   []string
	time    int     // column
	scale   float64 // of times, to µs
	numbers text.Numbers
	learnt  bool // how decimals are written

	named  bool            // names were met
	out    *format.Batches // nil until the first row below the names
	at     int64           // of the row before
	begun  bool
	warned bool
}

func (r *reader) read(ctx context.Context) error {
	lines := 0
	err := format.EachRow(ctx, r.rows, func() error {
		lines++
		if len(bytes.TrimSpace(r.rows.Raw())) == 0 {
			return nil
		}
		if err := r.line(); err != nil {
			return err
		}
		if !r.named && lines > mostNotes {
			return errNoHead
		}
		return nil
	}, r.end)
	if errors.Is(err, errNoHead) {
		return nil
	}
	return err
}

// errNoHead ends a file without a line of names.
var errNoHead = errors.New("no line of names")

func (r *reader) end() error {
	r.unnoted()
	return r.flush()
}

func (r *reader) flush() error {
	if r.out == nil {
		return nil
	}
	return r.out.Flush()
}

// line reads a line whatever it is.
func (r *reader) line() error {
	cells := r.rows.Cells()
	if at, ok := timeColumn(cells); ok {
		return r.begin(cells, at)
	}
	switch {
	case !r.named:
		r.notes = append(r.notes, note(r.rows.Raw()))
		return nil
	case isMark(r.rows.Raw()):
		r.mark()
		return nil
	case isNote(r.rows) && len(r.noted) < mostNotes:
		r.next, r.noted = append(r.next, note(r.rows.Raw())), append(r.noted, r.rows.Line())
		return nil
	case r.same(cells):
		return nil
	case r.out == nil:
		units := r.units == nil && isUnits(r.rows, len(r.names))
		if units {
			for _, c := range cells {
				r.units = append(r.units, string(c))
			}
			return nil
		}
		r.out = format.NewBatches(r.sink, r.channels())
		r.scale = 1e6
		if r.time < len(r.units) && unit(r.units[r.time]) == sample.Millisecond {
			r.scale = 1e3
		}
	}
	r.unnoted()
	return r.row(cells)
}

// begin begins a run below a line of names.
func (r *reader) begin(cells [][]byte, at int) error {
	if err := r.flush(); err != nil {
		return err
	}
	if r.rows.Long() || len(cells) > mostColumns {
		return &format.Error{Line: r.rows.Line(), Err: errColumns}
	}
	r.names, r.units, r.out = nil, nil, nil
	for _, c := range cells {
		r.names = append(r.names, string(c))
	}
	if len(r.next) > 0 {
		r.notes = r.next
	}
	r.time, r.named, r.next, r.noted = at, true, nil, nil
	r.begun, r.warned, r.learnt, r.numbers = false, false, false, text.Numbers{Decimal: '.'}
	return r.sink.Begin(format.Run{Notes: r.notes})
}

// unnoted rejects lines that were taken for notes of a next run, which did not
// come.
func (r *reader) unnoted() {
	for _, line := range r.noted {
		r.sink.Problem(format.Problem{Line: line, Message: "the line is no row and was left out"})
	}
	r.next, r.noted = nil, nil
}

func (r *reader) mark() {
	where := "before the first row"
	if r.begun {
		where = fmt.Sprintf("after %.3f s", float64(r.at)/1e6)
	}
	r.sink.Warn(fmt.Sprintf("line %d, %s: %s", r.rows.Line(), where, note(r.rows.Raw())))
}

// same reports whether the cells are the line of units once more.
func (r *reader) same(cells [][]byte) bool {
	if len(r.units) == 0 || len(cells) != len(r.units) {
		return false
	}
	for i := range cells {
		if string(cells[i]) != r.units[i] {
			return false
		}
	}
	return true
}

func (r *reader) row(cells [][]byte) error {
	for len(cells) > len(r.names) && len(cells[len(cells)-1]) == 0 {
		cells = cells[:len(cells)-1]
	}
	switch {
	case r.rows.Long():
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
	case len(cells) > len(r.names):
		r.problem(len(r.names)+1, fmt.Sprintf("the row has %d cells, the names are %d: which is which cannot be told, the row was left out", len(cells), len(r.names)))
		return nil
	case !r.rows.Ended() && len(cells) < len(r.names):
		r.problem(0, fmt.Sprintf("the file ends inside this row (%d of %d cells): the row was left out", len(cells), len(r.names)))
		return nil
	case r.time >= len(cells):
		r.problem(0, fmt.Sprintf("the row ends before its time (%d of %d cells) and was left out", len(cells), len(r.names)))
		return nil
	}
	if !r.learnt && bytes.ContainsAny(cells[r.time], ".,") { // times have decimals and no thousands
		r.learnt = true
		if bytes.Count(cells[r.time], []byte(",")) == 1 && !bytes.Contains(cells[r.time], []byte(".")) {
			r.numbers.Decimal = ','
		}
	}
	at, kind := r.numbers.Parse(cells[r.time])
	if at *= r.scale; kind != text.Number || !(math.Abs(at) < 1e15) {
		r.problem(r.time+1, fmt.Sprintf("%.40q is no time in seconds: the row was left out", cells[r.time]))
		return nil
	}
	return r.values(cells, int64(math.Round(at)))
}

func (r *reader) values(cells [][]byte, us int64) error {
	if r.begun && us < r.at && !r.warned {
		r.warned = true
		r.sink.Warn(fmt.Sprintf("line %d: times go back: the samples are kept and put in order", r.rows.Line()))
	}
	r.begun, r.at = true, us
	for i, cell := range cells {
		if i == r.time {
			continue
		}
		v, kind := r.numbers.Parse(cell)
		switch kind {
		case text.Missing:
		case text.Garbage:
			r.problem(i+1, fmt.Sprintf("%.40q is no number", cell))
		default:
			at := i
			if i > r.time {
				at--
			}
			if err := r.out.Add(sample.Sample{Time: us, Value: v, Channel: uint32(at)}); err != nil {
				return err
			}
		}
	}
	if len(cells) < len(r.names) {
		r.problem(len(cells)+1, fmt.Sprintf("the row ends after %d of %d cells", len(cells), len(r.names)))
	}
	return nil
}

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: strings.ToValidUTF8(message, "?")})
}
