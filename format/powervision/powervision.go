// Package powervision reads the logs of Dynojet's Power Vision: text of the
// form "Pro-XY CSV 1.0.0", as it is or within gzip or zip, whatever the file is
// called (PROTOCOLS 4).
package powervision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// provider is the device of all channels.
const provider = "Power Vision"

// mark is how the text begins.
const mark = "Dynojet Power Vision Log File"

// Format reads Power Vision logs.
type Format struct{}

// New makes the format. Its times count from the start of the log.
func New(format.Settings) Format { return Format{} }

// Detect gives Signature to the text and to a container that is called .pvlog;
// ByName to anything else of that name, so that its owner hears how to export it.
func (Format) Detect(head []byte, name string) format.Confidence {
	if isLog(text.Head(head)) {
		return format.Signature
	}
	if !strings.EqualFold(path.Ext(name), ".pvlog") {
		return format.No
	}
	if isContainer(head) {
		return format.Signature
	}
	return format.ByName
}

func isLog(head []byte) bool {
	if end := bytes.IndexAny(head, "\r\n"); end >= 0 {
		head = head[:end]
	}
	return string(bytes.Trim(head, "\" \t,;")) == mark
}

var (
	errUnknown = errors.New("this .pvlog holds neither the text of a Power Vision log nor that within gzip or zip: " +
		"open it in Power Core (or WinPV) and export it as CSV")
	errVersion = errors.New("only Pro-XY CSV 1 is known: export the log as CSV with Power Core and import that")
)

// Read gives the log as one run.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	open, err := unpack(r, size)
	if err != nil {
		return &format.Error{Err: err}
	}
	l := &log{index: map[string]int{}, facts: map[string]string{}}
	if err := each(open, func(rows *text.Rows) error { return l.survey(ctx, rows) }); err != nil {
		return err
	}
	return each(open, func(rows *text.Rows) error {
		rows.SetDelimiter(l.delimiter)
		rd := &reader{log: l, rows: rows, sink: sink}
		return rd.read(ctx)
	})
}

// each goes once through the text.
func each(open func() (io.ReadCloser, error), read func(*text.Rows) error) error {
	in, err := open()
	if err != nil {
		return &format.Error{Err: err}
	}
	defer func() { _ = in.Close() }() // says again what reading said
	return read(text.NewRows(in, ','))
}

// reader reads the rows.
type reader struct {
	*log
	rows *text.Rows
	sink format.RunSink
	out  *format.Batches
}

func (r *reader) read(ctx context.Context) error {
	if err := r.sink.Begin(format.Run{Notes: r.notes, Facts: r.facts}); err != nil {
		return err
	}
	for _, s := range r.signals {
		if s.hex() {
			r.sink.Warn(fmt.Sprintf("signal %.40s is read as hexadecimal, as it has values with A to F, the first in line %d", s.name, s.line))
		}
	}
	r.out = format.NewBatches(r.sink, r.channels())
	return format.EachRow(ctx, r.rows, r.row, r.out.Flush)
}

func (r *reader) row() error {
	if r.rows.Line() <= r.body || len(bytes.TrimSpace(r.rows.Raw())) == 0 {
		return nil
	}
	cells := r.rows.Cells()
	if r.rows.Long() || len(cells) > 3 && len(bytes.Join(cells[3:], nil)) > 0 {
		r.problem(4, "a row has three cells: time in ms, signal, value; this one was left out")
		return nil
	}
	if len(cells) < 3 || !r.rows.Ended() && len(cells[2]) == 0 {
		r.problem(0, fmt.Sprintf("the row has %d of 3 cells and was left out", len(cells)))
		return nil
	}
	if !r.rows.Ended() {
		r.problem(0, "the file ends inside this row: its value may be cut off and was left out")
		return nil
	}
	ms, kind := r.numbers.Parse(cells[0])
	if kind != text.Number || !(math.Abs(ms) < 1e12) {
		r.problem(1, fmt.Sprintf("%.40q is no time in milliseconds: the row was left out", cells[0]))
		return nil
	}
	at, ok := r.index[string(cells[1])]
	if !ok {
		r.problem(2, fmt.Sprintf("signal %.40q is not described above: the row was left out", cells[1]))
		return nil
	}
	var v float64
	switch {
	case len(cells[2]) == 0:
		return nil
	case r.signals[at].hex():
		n, ok := hexValue(cells[2])
		if !ok {
			r.problem(3, fmt.Sprintf("%.40q is no hexadecimal number, as the others of signal %s are", cells[2], r.signals[at].name))
			return nil
		}
		v = n
	default:
		if v, kind = r.numbers.Parse(cells[2]); kind == text.Missing {
			return nil
		} else if kind == text.Garbage {
			r.problem(3, fmt.Sprintf("%.40q is no number", cells[2]))
			return nil
		}
	}
	return r.out.Add(sample.Sample{Time: int64(math.Round(ms * 1000)), Value: v, Channel: uint32(at)})
}

func hexValue(cell []byte) (v float64, ok bool) {
	n, err := strconv.ParseUint(string(cell), 16, 53)
	return float64(n), err == nil
}

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}
