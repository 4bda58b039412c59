// Package jetdrivelog reads the CSV in which JETDRIVE listeners log a session:
// every cell quoted, a row repeating the last known value of every channel
// (PROTOCOLS 5).
package jetdrivelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"time"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// provider is the device of all channels: the file does not say which provider
// a channel was of.
const provider = "JetDrive"

// Format reads JETDRIVE session logs.
type Format struct {
	zone     *time.Location
	resolver *channel.Resolver
}

// New makes the format. Times are wall times of settings.Zone, UTC where it
// names none.
func New(settings format.Settings) (*Format, error) {
	f := &Format{zone: settings.Zone}
	if f.zone == nil {
		f.zone = time.UTC
	}
	var err error
	f.resolver, err = channel.NewResolver(nil)
	return f, err
}

// unnamed is a channel whose name never came, as only this format writes it.
var unnamed = regexp.MustCompile(`^chan_\d+$`)

// stamps is how the first column says the time.
const stamps = "2006-01-02 15:04:05.999999"

// Detect gives ByContent to a quoted table of Timestamp and channels of which
// one is chan_<n>, or is called as JETDRIVE cuts names off: after 30 letters.
func (f *Format) Detect(head []byte, _ string) format.Confidence {
	table := text.Head(head)
	rows := text.NewRows(bytes.NewReader(table), ',')
	if !rows.Next() || !allQuoted(rows.Raw()) {
		return format.No
	}
	cells := rows.Cells()
	if len(cells) < 2 || string(cells[0]) != "Timestamp" {
		return format.No
	}
	known := false
	for _, c := range cells[1:] {
		known = known || unnamed.Match(c) || string(c) == "Desired Lambda"
	}
	if !known {
		return format.No
	}
	if rows.Next() && rows.Ended() {
		if _, err := time.Parse(stamps, string(rows.Cells()[0])); err != nil {
			return format.No
		}
	}
	return format.ByContent
}

// allQuoted reports whether a row is quoted from end to end.
func allQuoted(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 2 && raw[0] == '"' && raw[len(raw)-1] == '"' && bytes.Count(raw, []byte(`","`))*2+2 == bytes.Count(raw, []byte(`"`))
}

var errNoHeader = errors.New(`the first line is no header of a JETDRIVE log, which begins "Timestamp","Engine Speed"`)

// Read gives the file as one run.
func (f *Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	in, _, err := text.Open(r, size)
	if err != nil {
		return &format.Error{Err: err}
	}
	labels, first, err := f.beginning(r, size)
	if err != nil {
		return err
	}
	rd := &reader{zone: f.zone, rows: text.NewRows(in, ','), sink: sink, last: make([]float64, len(labels))}
	for i := range rd.last {
		rd.last[i] = math.NaN()
	}
	rd.out = format.NewBatches(sink, f.channels(labels, first))
	rd.rows.Next() // the header
	return rd.read(ctx)
}

// beginning reads the header, and the first value other than zero of each
// channel.
func (f *Format) beginning(r io.ReaderAt, size int64) (labels []string, first []float64, err error) {
	const looked = 1 << 20
	head := make([]byte, min(size, looked))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, &format.Error{Err: fmt.Errorf("read file: %w", err)}
	}
	rows := text.NewRows(bytes.NewReader(text.Head(head[:n])), ',')
	if !rows.Next() || len(rows.Cells()) < 2 || string(rows.Cells()[0]) != "Timestamp" {
		return nil, nil, &format.Error{Line: 1, Err: errNoHeader}
	}
	for _, cell := range rows.Cells()[1:] {
		labels = append(labels, string(cell))
	}
	first = make([]float64, len(labels))
	for rows.Next() {
		for i, cell := range rows.Cells()[1:] {
			if v, kind := number(cell); i < len(first) && first[i] == 0 && kind == text.Number {
				first[i] = v
			}
		}
	}
	return labels, first, nil
}

// metric gives JETDRIVE's unit for the one in which a canonical channel is kept.
func metric(u sample.Unit) sample.Unit {
	switch u {
	case sample.Fahrenheit:
		return sample.Celsius
	case sample.MilePerHour:
		return sample.KilometrePerHour
	case sample.PSI, sample.InchHg:
		return sample.Kilopascal
	case sample.PoundForce:
		return sample.Newton
	case sample.FootPound:
		return sample.NewtonMetre
	case sample.Horsepower:
		return sample.Kilowatt
	case sample.Foot:
		return sample.Metre
	}
	return u
}

// mostLambda is the greatest value that is taken for lambda; AFR begins far
// above.
const mostLambda = 4

func (f *Format) channels(labels []string, first []float64) *sample.ChannelSet {
	channels := make([]sample.Channel, len(labels))
	for i, label := range labels {
		c := sample.Channel{Key: sample.ChannelKey(provider, uint32(i+1), 0), Provider: provider, ID: uint32(i + 1), Label: label}
		found := f.resolver.Resolve(c)
		c.NativeUnit = found.NativeUnit
		if found.Name != "" && found.NativeUnit == found.Unit { // the label names no other
			c.NativeUnit = metric(found.Unit)
		}
		if found.Unit == sample.Lambda && first[i] > mostLambda { // the name says lambda, the value AFR
			c.NativeUnit = sample.AFR
		}
		channels[i] = c
	}
	return sample.NewChannelSet(provider, channels)
}

// reader reads the rows.
type reader struct {
	zone *time.Location
	rows *text.Rows
	sink format.RunSink
	out  *format.Batches
	last []float64 // of each channel
}

func (r *reader) read(ctx context.Context) error {
	if err := r.sink.Begin(format.Run{Dated: true, Facts: map[string]string{"time_zone": r.zone.String()}}); err != nil {
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

func (r *reader) row() error {
	if len(bytes.TrimSpace(r.rows.Raw())) == 0 {
		return nil
	}
	cells := r.rows.Cells()
	columns := len(r.last) + 1
	switch {
	case r.rows.Long():
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
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
	if len(cells) < columns {
		r.problem(len(cells)+1, fmt.Sprintf("the row ends after %d of %d cells", len(cells), columns))
	}
	return nil
}

func (r *reader) time(cell []byte) (us int64, ok bool) {
	at, err := time.ParseInLocation(stamps, string(cell), r.zone)
	return at.UnixMicro(), err == nil
}

func number(cell []byte) (float64, text.Kind) { return text.Numbers{Decimal: '.'}.Parse(cell) }

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: strings.ToValidUTF8(message, "?")})
}
