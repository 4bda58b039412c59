package jetdrivelog

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// reader reads the rows.
type reader struct {
	zone   *time.Location
	rows   *text.Rows
	sink   format.RunSink
	out    *format.Batches
	header string

	last   []float64 // of each channel; NaN before its first
	at     int64     // of the row before
	begun  bool
	warned bool
	other  int64 // line of another header whose rows are not read; 0: none
}

func (r *reader) read(ctx context.Context) error {
	if err := r.begin(); err != nil {
		return err
	}
	return format.EachRow(ctx, r.rows, r.row, r.out.Flush)
}

func (r *reader) begin() error {
	for i := range r.last {
		r.last[i] = math.NaN()
	}
	r.begun, r.other = false, 0
	return r.sink.Begin(format.Run{Dated: true, Facts: map[string]string{"time_zone": r.zone.String()}})
}

func (r *reader) row() error {
	if len(bytes.TrimSpace(r.rows.Raw())) == 0 {
		return nil
	}
	columns := len(r.last) + 1
	switch {
	case r.rows.Long():
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
	case string(r.rows.Raw()) == r.header:
		if err := r.out.Flush(); err != nil {
			return err
		}
		return r.begin()
	case isHeader(r.rows):
		r.other = r.rows.Line()
		r.problem(0, "another header begins here: the rows below it were left out; put them into a file of their own")
		return nil
	case r.other > 0:
		r.problem(0, fmt.Sprintf("the row belongs to the header in line %d and was left out", r.other))
		return nil
	}
	cells := r.rows.Cells()
	switch {
	case len(cells) > columns:
		r.problem(columns+1, fmt.Sprintf("the row has %d cells, the header %d: which is which cannot be told, the row was left out", len(cells), columns))
		return nil
	case !r.rows.Ended() && (len(cells) < columns || !allQuoted(r.rows.Raw())):
		r.problem(0, fmt.Sprintf("the file ends inside this row (%d of %d cells): the row was left out", len(cells), columns))
		return nil
	}
	us, ok := r.time(cells[0])
	if !ok {
		r.problem(1, fmt.Sprintf("%.40q is no time such as 2026-11-23 14:03:05.250: the row was left out", cells[0]))
		return nil
	}
	return r.values(cells, us)
}

func (r *reader) time(cell []byte) (us int64, ok bool) {
	at, err := time.ParseInLocation(stamps, string(cell), r.zone)
	return at.UnixMicro(), err == nil
}

// values gives the cells that are not what the row before had.
func (r *reader) values(cells [][]byte, us int64) error {
	if r.begun && us < r.at && !r.warned {
		r.warned = true
		r.sink.Warn(fmt.Sprintf("line %d: times go back, as where a clock is set: the samples are kept and put in order", r.rows.Line()))
	}
	r.begun, r.at = true, us
	for i, cell := range cells[1:] {
		v, kind := number(cell)
		switch {
		case kind == text.Missing || kind == text.Number && math.Float64bits(v) == math.Float64bits(r.last[i]):
		case kind == text.Garbage:
			r.problem(i+2, fmt.Sprintf("%.40q is no number", cell))
		default:
			r.last[i] = v
			if err := r.out.Add(sample.Sample{Time: us, Value: v, Channel: uint32(i)}); err != nil {
				return err
			}
		}
	}
	if columns := len(r.last) + 1; len(cells) < columns {
		r.problem(len(cells)+1, fmt.Sprintf("the row ends after %d of %d cells", len(cells), columns))
	}
	return nil
}

func number(cell []byte) (float64, text.Kind) { return text.Numbers{Decimal: '.'}.Parse(cell) }

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}
