// Package csv reads tables of any logger: comma, tab, semicolon or pipe, any
// encoding, decimal point or comma, lines before the header, a row of units
// below it (MoTeC), times in every form people write (CONFORMANCE A2, A3, A8).
package csv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// provider is the device of channels whose device nobody names.
const provider = "csv"

// Format reads generic tables.
type Format struct {
	settings format.Settings
	resolver *channel.Resolver
	mapped   map[string]bool // headers of settings.Columns, folded
	err      error           // of settings.Columns
}

// New makes the format. Wall times without a zone are UTC where settings name
// no zone. A mapping that names no canonical channel is the error of every
// Read.
func New(settings format.Settings) *Format {
	f := &Format{settings: settings, mapped: make(map[string]bool, len(settings.Columns))}
	for header := range settings.Columns {
		f.mapped[fold(header)] = true
	}
	f.resolver, f.err = channel.NewResolver(channel.Mapping(settings.Columns))
	return f
}

// Detect gives ByShape to text with a row of names above rows of numbers, and
// ByName to other text that is called a table.
func (f *Format) Detect(head []byte, name string) format.Confidence {
	table := text.Head(head)
	if len(table) == 0 {
		return format.No
	}
	if _, ok := findLayout(table, len(head) < format.HeadSize); ok {
		return format.ByShape
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".csv", ".tsv", ".tab":
		return format.ByName
	}
	return format.No
}

// layoutSize is how much of a file's beginning is looked through for the
// header, in bytes.
const layoutSize = text.MaxRow

var errNoTable = errors.New("no table: need a line of column names, cells between commas, semicolons, tabs or pipes, and rows of numbers with a time below it")

// Read gives the table as one run; where the header line comes again, as from a
// logger that was started anew, another begins.
func (f *Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	if f.err != nil {
		return &format.Error{Err: f.err}
	}
	head := make([]byte, min(size, layoutSize))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return &format.Error{Err: fmt.Errorf("read file: %w", err)}
	}
	table := text.Head(head[:n])
	if table == nil {
		return &format.Error{Err: errors.New("this is not a text file")}
	}
	l, ok := findLayout(table, int64(n) == size)
	if !ok {
		return &format.Error{Line: 1, Err: errNoTable}
	}
	times, err := f.findTime(&l)
	if err != nil {
		return &format.Error{Line: l.headerLine, Err: err}
	}
	in, _, err := text.Open(r, size)
	if err == nil && l.long != nil {
		if err := f.survey(ctx, in, &l); err != nil {
			return err
		}
		in, _, err = text.Open(r, size)
	}
	if err != nil {
		return &format.Error{Err: err}
	}
	rd := newReader(f, l, times, text.NewRows(in, l.delimiter), sink)
	rd.samples = make([]sample.Sample, 0, min(format.MaxSamples, size/2+1)) // a value and its separator are two bytes
	return rd.read(ctx)
}

// fold makes headers that differ in case and spacing equal, as package channel
// does.
func fold(header string) string { return strings.ToLower(strings.Join(strings.Fields(header), " ")) }
