// Package haltech reads the logs that Haltech NSP exports as CSV: lines about the
// log and each channel, then rows of a clock time and whole numbers, scaled by
// the type of their channel. Nothing about it is published by its maker; types
// whose scale is not known for certain are kept as they stand.
package haltech

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// provider is the device of all channels.
const provider = "Haltech"

// signature is the first line.
const signature = "%DataLog%"

// Format reads logs of Haltech NSP.
type Format struct{ zone *time.Location }

// New makes the format. Times are wall times of settings.Zone, UTC where it
// names none.
func New(settings format.Settings) Format {
	if settings.Zone == nil {
		return Format{zone: time.UTC}
	}
	return Format{zone: settings.Zone}
}

// Detect gives Signature to what begins as such a log.
func (Format) Detect(head []byte, _ string) format.Confidence {
	line, _, _ := strings.Cut(string(text.Head(head)), "\n")
	if strings.TrimSpace(line) == signature {
		return format.Signature
	}
	return format.No
}

var (
	errNoLog   = errors.New("the first line is not " + signature)
	errVersion = errors.New("only version 1 of the format is known: export the log again with a version of NSP that writes it")
	errNoRows  = errors.New("no channels and rows: the log ends within its head")
	errHead    = fmt.Errorf("the head has more than %d channels or %d lines", mostChannels, mostLines)
)

// Read gives the log as one run.
func (f Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	in, _, err := text.Open(r, size)
	if err != nil {
		return &format.Error{Err: err}
	}
	rows := text.NewRows(in, ',')
	h, err := readHead(rows)
	if err != nil {
		return &format.Error{Line: max(1, rows.Line()), Err: err}
	}
	rd := &reader{head: h, rows: rows, sink: sink}
	run := format.Run{Notes: h.notes, Facts: map[string]string{}}
	if run.Dated = rd.findBase(f.zone); run.Dated {
		run.Facts["time_zone"] = f.zone.String()
	}
	if err := sink.Begin(run); err != nil {
		return err
	}
	for _, w := range rd.warnings() {
		sink.Warn(w)
	}
	rd.out = format.NewBatches(sink, sample.NewChannelSet(provider, h.set()))
	if err := rd.row(); err != nil { // that which ended the head
		return err
	}
	return format.EachRow(ctx, rows, rd.row, rd.out.Flush)
}
