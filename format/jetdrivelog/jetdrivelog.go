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
	"regexp"
	"slices"
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

// cutName is how long a name is that JETDRIVE cut off, in bytes (PROTOCOLS 1.2).
const cutName = 30

// stamps is how the first column says the time.
const stamps = "2006-01-02 15:04:05.999999"

// Detect gives ByContent to a quoted table of Timestamp and channels of which
// one is chan_<n>, is called Desired Lambda, or is cut off after 30 bytes as
// JETDRIVE does.
func (f *Format) Detect(head []byte, _ string) format.Confidence {
	rows := text.NewRows(bytes.NewReader(text.Head(head)), ',')
	if !rows.Next() || !isHeader(rows) {
		return format.No
	}
	if !slices.ContainsFunc(rows.Cells()[1:], func(c []byte) bool {
		return unnamed.Match(c) || string(c) == "Desired Lambda" || len(c) == cutName
	}) {
		return format.No
	}
	if rows.Next() && rows.Ended() {
		if _, err := time.Parse(stamps, string(rows.Cells()[0])); err != nil || !allQuoted(rows.Raw()) {
			return format.No
		}
	}
	return format.ByContent
}

// isHeader reports whether the row in hand is a line of names.
func isHeader(rows *text.Rows) bool {
	return bytes.HasPrefix(bytes.TrimSpace(rows.Raw()), []byte(`"Timestamp","`)) && allQuoted(rows.Raw())
}

// allQuoted reports whether a row is quoted from end to end.
func allQuoted(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 2 && raw[0] == '"' && raw[len(raw)-1] == '"' && bytes.Count(raw, []byte(`","`))*2+2 == bytes.Count(raw, []byte(`"`))
}

// mostColumns bounds the memory that a header takes; captures have fifty.
const mostColumns = 10_000

var (
	errNoHeader = errors.New(`the first line is no header of a JETDRIVE log, which begins "Timestamp","Engine Speed"`)
	errColumns  = fmt.Errorf("the header has more than %d columns or %d bytes", mostColumns, text.MaxRow)
)

// Read gives the file as one run; where the header comes again, as from a
// logger that was started anew, another begins.
func (f *Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	s, err := f.survey(ctx, r, size)
	if err != nil {
		return err
	}
	in, _, err := text.Open(r, size)
	if err != nil {
		return &format.Error{Err: err}
	}
	rd := &reader{zone: f.zone, rows: text.NewRows(in, ','), sink: sink, header: s.header, last: make([]float64, len(s.channels))}
	rd.out = format.NewBatches(sink, sample.NewChannelSet(provider, s.channels))
	rd.rows.Next() // the header
	return rd.read(ctx)
}
