// Package winpep reads the text that WinPEP and Power Core export: a column a
// channel with its device in parentheses, or the aligned tables of older
// versions (PROTOCOLS 3).
package winpep

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// provider is the device of channels whose header names none.
const provider = "WinPEP"

// Format reads WinPEP text.
type Format struct{ resolver *channel.Resolver }

// New makes the format. Its times count from the start of the run, so no zone
// is needed.
func New(format.Settings) (*Format, error) {
	r, err := channel.NewResolver(nil)
	return &Format{resolver: r}, err
}

// Detect gives ByContent where the first line names devices in parentheses
// before channels, or is the header of an aligned table.
func (f *Format) Detect(head []byte, _ string) format.Confidence {
	rows := text.NewRows(bytes.NewReader(text.Head(head)), ',')
	if !rows.Next() {
		return format.No
	}
	if _, ok := parseHeader(rows); ok {
		return format.ByContent
	}
	return format.No
}

// Read gives the file as one run, or as several where its header comes again. It goes through the file twice: which scale a
// column has may show in its last rows only.
func (f *Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	rows, h, err := open(r, size)
	if err != nil {
		return err
	}
	s := f.newSurvey(h)
	if err := s.read(ctx, rows); err != nil {
		return err
	}
	if rows, _, err = open(r, size); err != nil {
		return err
	}
	rd := &reader{survey: s, rows: rows, sink: sink, out: format.NewBatches(sink, s.channels())}
	return rd.read(ctx)
}

func open(r io.ReaderAt, size int64) (*text.Rows, header, error) {
	in, _, err := text.Open(r, size)
	if err != nil {
		return nil, header{}, &format.Error{Err: err}
	}
	rows := text.NewRows(in, ',')
	h, err := readHeader(rows)
	return rows, h, err
}

// reader reads the rows.
type reader struct {
	*survey
	rows   *text.Rows
	sink   format.RunSink
	out    *format.Batches
	last   int64 // time of the row before
	begun  bool
	warned bool
}

func (r *reader) read(ctx context.Context) error {
	if err := r.sink.Begin(r.run()); err != nil {
		return err
	}
	return format.EachRow(ctx, r.rows, r.row, r.out.Flush)
}

func (r *reader) row() error {
	if len(bytes.TrimSpace(r.rows.Raw())) == 0 {
		return nil
	}
	if r.again(r.rows.Raw()) {
		return r.nextRun()
	}
	if r.rows.Long() {
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
	}
	cells, ok := r.cells()
	if !ok {
		return nil
	}
	seconds, kind := r.numbers.Parse(cells[0])
	if kind != text.Number || !(math.Abs(seconds) < 1e9) {
		r.problem(1, fmt.Sprintf("%.40q is no time in seconds: the row was left out", cells[0]))
		return nil
	}
	us := int64(math.Round(seconds * 1e6))
	if r.begun && us < r.last && !r.warned {
		r.warned = true
		r.sink.Warn("times go back: the samples are kept and put in order")
	}
	r.begun, r.last = true, us
	for i, cell := range cells[1:] {
		v, kind := r.numbers.Parse(cell)
		switch kind {
		case text.Missing:
		case text.Garbage:
			r.problem(i+2, fmt.Sprintf("%.40q is no number", cell))
		default:
			if err := r.out.Add(sample.Sample{Time: us, Value: v, Channel: uint32(i)}); err != nil {
				return err
			}
		}
	}
	if len(cells) < len(r.columns) {
		r.problem(len(cells)+1, fmt.Sprintf("the row ends after %d of %d cells", len(cells), len(r.columns)))
	}
	return nil
}

// nextRun begins a run below a header that comes again.
func (r *reader) nextRun() error {
	if err := r.out.Flush(); err != nil {
		return err
	}
	r.begun = false
	return r.sink.Begin(r.run())
}

// cells gives the cells of the row in hand, at most one for each column; false
// where the row cannot be used, which was a problem then.
func (r *reader) cells() (cells [][]byte, ok bool) {
	var at []span
	if r.aligned {
		cells, at = fields(r.rows.Raw())
	} else {
		cells = r.rows.Cells()
	}
	whole := r.rows.Ended() || len(cells) > len(r.columns)
	for len(cells) > len(r.columns) && len(cells[len(cells)-1]) == 0 {
		cells = cells[:len(cells)-1] // the separator at the end of the line
	}
	switch {
	case len(cells) > len(r.columns):
		r.problem(len(r.columns)+1, fmt.Sprintf("the row has %d cells, the header %d: which is which cannot be told, the row was left out", len(cells), len(r.columns)))
		return nil, false
	case !r.rows.Ended() && len(cells) < len(r.columns):
		r.problem(0, fmt.Sprintf("the file ends inside this row (%d of %d cells): the row was left out", len(cells), len(r.columns)))
		return nil, false
	case r.aligned && len(cells) < len(r.columns):
		if cells, ok = placed(cells, at, r.spans); !ok {
			r.problem(0, fmt.Sprintf("the row has %d values for %d columns: which is missing cannot be told, the row was left out", len(at), len(r.columns)))
		}
		return cells, ok
	}
	if last := len(cells); r.separated && !whole && len(cells[last-1]) > 0 {
		r.problem(last, "the file ends inside this cell: it was left out")
		cells[last-1] = nil
	}
	return cells, true
}

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}
