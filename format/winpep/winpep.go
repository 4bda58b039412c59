// Package winpep reads the text that WinPEP and Power Core export: a column a
// channel with its device in parentheses, or the aligned tables of older
// versions (PROTOCOLS 3).
package winpep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

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
	line, _, _ := bytes.Cut(text.Head(head), []byte("\n"))
	if _, ok := parseHeader(strings.TrimRight(string(line), "\r")); ok {
		return format.ByContent
	}
	return format.No
}

// header is the first line.
type header struct {
	aligned bool // cells are separated by blanks
	comma   byte // else by this
	columns []column
}

type column struct{ device, label string }

// leastDevices is how many columns of the first line must name their device.
const leastDevices = 2

func parseHeader(line string) (header, bool) {
	for _, comma := range []byte{',', '\t', ';'} {
		cells := strings.Split(line, string(comma))
		if len(cells) < 3 || !strings.EqualFold(strings.TrimSpace(cells[0]), "time") {
			continue
		}
		h := header{comma: comma}
		named := 0
		if strings.TrimSpace(cells[len(cells)-1]) == "" {
			cells = cells[:len(cells)-1] // the separator at the end of the line
		}
		for _, cell := range cells {
			c := splitDevice(cell)
			if c.device != "" {
				named++
			}
			h.columns = append(h.columns, c)
		}
		if named >= leastDevices {
			return h, true
		}
	}
	return parseAligned(line)
}

// splitDevice takes "(DWRT CPU) Power (uncorrected)" apart.
func splitDevice(cell string) column {
	cell = strings.TrimSpace(cell)
	if rest, ok := strings.CutPrefix(cell, "("); ok {
		if device, label, ok := strings.Cut(rest, ")"); ok && strings.TrimSpace(label) != "" {
			return column{strings.TrimSpace(device), strings.TrimSpace(label)}
		}
	}
	return column{label: cell}
}

// parseAligned reads "Time (s)  Speed (mph)  Power (hp)  LC1 AFR": names that
// are separated by two blanks or more, or a tab.
func parseAligned(line string) (header, bool) {
	h := header{aligned: true}
	for part := range strings.SplitSeq(strings.ReplaceAll(line, "\t", "  "), "  ") {
		if part = strings.TrimSpace(part); part != "" {
			h.columns = append(h.columns, column{label: part})
		}
	}
	if len(h.columns) < 3 || strings.ContainsAny(line, ",;\"") || !strings.EqualFold(h.columns[0].label, "Time (s)") {
		return header{}, false
	}
	return h, true
}

var errNoHeader = errors.New("the first line is no header of WinPEP: Time, (DEVICE) Channel, (DEVICE) Channel")

// Read gives the file as one run.
func (f *Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	rows, h, err := open(r, size)
	if err != nil {
		return err
	}
	scales, err := f.measure(rows, &h)
	if err != nil {
		return err
	}
	if rows, h, err = open(r, size); err != nil {
		return err
	}
	rd := &reader{header: h, rows: rows, sink: sink}
	rd.plan(scales)
	return rd.read(ctx)
}

func open(r io.ReaderAt, size int64) (*text.Rows, header, error) {
	in, _, err := text.Open(r, size)
	if err != nil {
		return nil, header{}, &format.Error{Err: err}
	}
	head := make([]byte, min(size, text.MaxRow))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, header{}, &format.Error{Err: fmt.Errorf("read file: %w", err)}
	}
	line, _, _ := bytes.Cut(text.Head(head[:n]), []byte("\n"))
	h, ok := parseHeader(strings.TrimRight(string(line), "\r"))
	if !ok {
		return nil, header{}, &format.Error{Line: 1, Err: errNoHeader}
	}
	rows := text.NewRows(in, h.comma)
	if h.aligned {
		rows = text.NewRows(in, '\t')
	}
	rows.Next() // the header
	return rows, h, nil
}

// cells gives the cells of the row in hand.
func (h *header) cells(rows *text.Rows) [][]byte {
	if h.aligned {
		return bytes.Fields(rows.Raw())
	}
	return rows.Cells()
}

// reader reads the rows.
type reader struct {
	header
	rows  *text.Rows
	sink  format.RunSink
	out   *format.Batches
	last  int64 // time of the row before
	begun bool
}

// plan makes the channels: every column after the time is one, whether it holds
// values or not.
func (r *reader) plan(units map[int]sample.Unit) {
	channels := make([]sample.Channel, 0, len(r.columns))
	for i, c := range r.columns[1:] {
		device := c.device
		if device == "" {
			device = provider
		}
		channels = append(channels, sample.Channel{
			Key: sample.ChannelKey(device, uint32(i+1), 0), Provider: device, ID: uint32(i + 1), Label: c.label, NativeUnit: units[i+1],
		})
	}
	r.out = format.NewBatches(r.sink, sample.NewChannelSet(provider, channels))
}

func (r *reader) read(ctx context.Context) error {
	if err := r.sink.Begin(format.Run{}); err != nil {
		return err
	}
	for n := 0; r.rows.Next(); n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
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

func number(cell []byte) (float64, text.Kind) { return text.Numbers{Decimal: '.'}.Parse(cell) }

func (r *reader) row() error {
	if len(bytes.TrimSpace(r.rows.Raw())) == 0 {
		return nil
	}
	if r.rows.Long() {
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
	}
	cells := r.cells(r.rows)
	for len(cells) > len(r.columns) && len(cells[len(cells)-1]) == 0 {
		cells = cells[:len(cells)-1] // the separator at the end of the line
	}
	switch {
	case len(cells) > len(r.columns):
		r.problem(len(r.columns)+1, fmt.Sprintf("the row has %d cells, the header %d: which is which cannot be told, the row was left out", len(cells), len(r.columns)))
		return nil
	case r.aligned && len(cells) < len(r.columns):
		r.problem(0, fmt.Sprintf("the row has %d values for %d columns: which is missing cannot be told, the row was left out", len(cells), len(r.columns)))
		return nil
	case !r.rows.Ended() && len(cells) < len(r.columns):
		r.problem(0, fmt.Sprintf("the file ends inside this row (%d of %d cells): the row was left out", len(cells), len(r.columns)))
		return nil
	}
	seconds, kind := number(cells[0])
	if kind != text.Number || !(math.Abs(seconds) < 1e9) {
		r.problem(1, fmt.Sprintf("%.40q is no time in seconds: the row was left out", cells[0]))
		return nil
	}
	us := int64(math.Round(seconds * 1e6))
	if r.begun && us < r.last {
		r.sink.Warn("times go back: the samples are kept and put in order")
	}
	r.begun, r.last = true, us
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
	if len(cells) < len(r.columns) {
		r.problem(len(cells)+1, fmt.Sprintf("the row ends after %d of %d cells", len(cells), len(r.columns)))
	}
	return nil
}

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}
