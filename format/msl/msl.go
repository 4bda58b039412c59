// Package msl reads the text logs of MegaSquirt and TunerStudio, which
// MegaLogViewer shows: lines about the log, a line of names, one of units, and
// rows between tabs with markers among them (PROTOCOLS 7).
package msl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// provider is the device of all channels.
const provider = "MegaLog"

// Format reads .msl files.
type Format struct{}

// New makes the format. Its times count from the start of the log.
func New(format.Settings) Format { return Format{} }

// head is what stands before the rows.
type head struct {
	notes []string
	names []string
	units []string
	last  int64 // line of the last of it
}

// mostNotes is how many lines may stand before the names.
const mostNotes = 50

// parseHead reads the head: the names are the first line with Time first and
// three names or more, the units the line after it, if that is no row.
func parseHead(rows *text.Rows) (h head, ok bool) {
	for n := 0; n < mostNotes && rows.Next(); n++ {
		cells := rows.Cells()
		if len(cells) < 3 || !strings.EqualFold(string(cells[0]), "time") {
			if note := strings.Trim(string(rows.Raw()), "\" \r\t"); note != "" {
				h.notes = append(h.notes, note)
			}
			continue
		}
		h.last = rows.Line()
		for _, c := range cells {
			h.names = append(h.names, string(c))
		}
		if rows.Next() {
			first := rows.Cells()
			if _, kind := number(first[0]); kind == text.Garbage && len(first) >= 2 && !isMark(rows.Raw()) {
				h.last = rows.Line()
				for _, c := range first {
					h.units = append(h.units, string(c))
				}
			}
		}
		return h, true
	}
	return h, false
}

// Detect gives ByContent to a file called .msl that begins as one does, and to
// any other that has the quoted lines of TunerStudio before the names and a
// line of units after them.
func (Format) Detect(begin []byte, name string) format.Confidence {
	table := text.Head(begin)
	h, ok := parseHead(text.NewRows(bytes.NewReader(table), '\t'))
	switch {
	case !ok:
		return format.No
	case strings.EqualFold(path.Ext(name), ".msl"), len(h.notes) > 0 && len(h.units) > 0 && table[0] == '"':
		return format.ByContent
	}
	return format.No
}

var errNoNames = errors.New("no line of names: Time, tab, RPM, tab and so on")

// Read gives the log as one run; where the names come again, as after the
// logger was started anew, another begins.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	in, _, err := text.Open(r, size)
	if err != nil {
		return &format.Error{Err: err}
	}
	h, ok := parseHead(text.NewRows(in, '\t'))
	if !ok {
		return &format.Error{Line: 1, Err: errNoNames}
	}
	if in, _, err = text.Open(r, size); err != nil {
		return &format.Error{Err: err}
	}
	rd := &reader{head: h, rows: text.NewRows(in, '\t'), sink: sink}
	return rd.read(ctx)
}

type reader struct {
	head
	rows *text.Rows
	sink format.RunSink
	out  *format.Batches
}

func (r *reader) channels() *sample.ChannelSet {
	out := make([]sample.Channel, 0, len(r.names)-1)
	for i, name := range r.names[1:] {
		c := sample.Channel{Key: sample.ChannelKey(provider, uint32(i+1), 0), Provider: provider, ID: uint32(i + 1), Label: name}
		if name == "" {
			c.Label = fmt.Sprintf("column_%d", i+2)
		}
		if i+1 < len(r.units) {
			c.NativeUnit = text.Unit(r.units[i+1])
		}
		out = append(out, c)
	}
	return sample.NewChannelSet(provider, out)
}

func (r *reader) read(ctx context.Context) error {
	if err := r.sink.Begin(format.Run{Notes: r.notes}); err != nil {
		return err
	}
	r.out = format.NewBatches(r.sink, r.channels())
	for n := 0; r.rows.Next(); n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if r.rows.Line() <= r.last || len(bytes.TrimSpace(r.rows.Raw())) == 0 {
			continue
		}
		if err := r.row(); err != nil {
			return err
		}
	}
	if err := r.rows.Err(); err != nil {
		return &format.Error{Line: r.rows.Line(), Err: fmt.Errorf("read rows: %w", err)}
	}
	return r.out.Flush()
}

// isMark reports whether a line is one that the driver set by a button.
func isMark(raw []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("MARK ")) }

func (r *reader) row() error {
	cells := r.rows.Cells()
	for len(cells) > len(r.names) && len(cells[len(cells)-1]) == 0 {
		cells = cells[:len(cells)-1]
	}
	switch {
	case isMark(r.rows.Raw()):
		r.sink.Warn(fmt.Sprintf("line %d: %.200s", r.rows.Line(), bytes.TrimSpace(r.rows.Raw())))
		return nil
	case r.again(cells):
		if err := r.out.Flush(); err != nil {
			return err
		}
		return r.sink.Begin(format.Run{Notes: r.notes})
	case r.isUnits(cells):
		return nil
	case r.rows.Long():
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
	case len(cells) > len(r.names):
		r.problem(len(r.names)+1, fmt.Sprintf("the row has %d cells, the names are %d: which is which cannot be told, the row was left out", len(cells), len(r.names)))
		return nil
	case !r.rows.Ended() && len(cells) < len(r.names):
		r.problem(0, fmt.Sprintf("the file ends inside this row (%d of %d cells): the row was left out", len(cells), len(r.names)))
		return nil
	}
	seconds, kind := number(cells[0])
	if kind != text.Number || !(math.Abs(seconds) < 1e9) {
		r.problem(1, fmt.Sprintf("%.40q is no time in seconds: the row was left out", cells[0]))
		return nil
	}
	return r.values(cells, int64(math.Round(seconds*1e6)))
}

func (r *reader) values(cells [][]byte, us int64) error {
	for i, cell := range cells[1:] {
		v, kind := number(cell)
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
	if len(cells) < len(r.names) {
		r.problem(len(cells)+1, fmt.Sprintf("the row ends after %d of %d cells", len(cells), len(r.names)))
	}
	return nil
}

func (r *reader) again(cells [][]byte) bool { return same(cells, r.names) }
func (r *reader) isUnits(cells [][]byte) bool {
	return len(r.units) > 0 && same(cells, r.units)
}

func same(cells [][]byte, want []string) bool {
	if len(cells) != len(want) {
		return false
	}
	for i := range want {
		if string(cells[i]) != want[i] {
			return false
		}
	}
	return true
}

func number(cell []byte) (float64, text.Kind) { return text.Numbers{Decimal: '.'}.Parse(cell) }

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}
