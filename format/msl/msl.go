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
	"path"
	"strings"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
)

// provider is the device of all channels.
const provider = "MegaLog"

// Format reads .msl files.
type Format struct {
	resolver *channel.Resolver
	err      error // of the resolver
}

// New makes the format. Its times are the seconds of the file.
func New(format.Settings) Format {
	r, err := channel.NewResolver(nil)
	return Format{resolver: r, err: err}
}

// Detect gives ByContent to a file called .msl that begins as one does, and to
// any other that has the quoted lines of TunerStudio before the names: with a
// line of units after them, or with the date of the capture among them.
func (Format) Detect(begin []byte, name string) format.Confidence {
	table := text.Head(begin)
	rows := text.NewRows(bytes.NewReader(table), '\t')
	quoted, dated := len(table) > 0 && table[0] == '"', false
	for n := 0; n <= mostNotes && rows.Next(); n++ {
		cells := rows.Cells()
		if _, ok := timeColumn(cells); !ok {
			dated = dated || strings.HasPrefix(note(rows.Raw()), "Capture Date")
			continue
		}
		names := len(cells)
		switch {
		case strings.EqualFold(path.Ext(name), ".msl"),
			quoted && dated,
			quoted && n > 0 && rows.Next() && isUnits(rows, names):
			return format.ByContent
		}
		return format.No
	}
	return format.No
}

var (
	errNoNames = errors.New("no line of names: Time, tab, RPM, tab and so on")
	errColumns = fmt.Errorf("the line of names has more than %d columns or %d bytes", mostColumns, text.MaxRow)
)

// Read gives the log as one run; where names come again, as after the logger was
// started anew, another begins with the channels that they name.
func (f Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	if f.err != nil {
		return &format.Error{Err: f.err}
	}
	in, _, err := text.Open(r, size)
	if err != nil {
		return &format.Error{Err: err}
	}
	rd := &reader{resolver: f.resolver, rows: text.NewRows(in, '\t'), sink: sink}
	if err := rd.read(ctx); err != nil {
		return err
	}
	if !rd.named {
		return &format.Error{Line: 1, Err: errNoNames}
	}
	return nil
}
