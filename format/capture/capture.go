// Package capture reads network captures (pcap, pcapng) as JETDRIVE sessions,
// decoded as they would have been live.
package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"dynotap/format"
	"dynotap/format/pcap"
	"dynotap/sample"
	"dynotap/source/jetdrive"
)

// Format reads captures of one UDP port.
type Format struct{ port uint16 }

// New makes the format; port is that of the JETDRIVE network.
func New(port uint16) Format { return Format{port} }

// Detect knows a capture by its first bytes.
func (Format) Detect(head []byte, _ string) format.Confidence {
	if _, err := pcap.NewReader(bytes.NewReader(head)); err != nil {
		return format.No
	}
	return format.Signature
}

// mostSets bounds the channel lists that samples are gathered for at once; a
// network has one a provider.
const mostSets = 64

// session is the run under way.
type session struct {
	sink    format.RunSink
	decoder *jetdrive.Decoder
	sets    map[*sample.ChannelSet]*format.Batches
	order   []*format.Batches
	count   int            // datagrams of the port
	other   map[string]int // datagrams to others
	untimed int
}

// Read gives the capture as one dated run.
func (f Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	in, err := pcap.NewReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return &format.Error{Err: err}
	}
	s := &session{
		sink: sink, decoder: jetdrive.NewDecoder(jetdrive.Settings{}, jetdrive.Options{}),
		sets: map[*sample.ChannelSet]*format.Batches{}, other: map[string]int{},
	}
	if err := sink.Begin(format.Run{Name: "JETDRIVE capture", Dated: true}); err != nil {
		return err
	}
	failed := s.read(ctx, in, f.port)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := s.flush(); err != nil {
		return err
	}
	var damage *pcap.Error
	if failed != nil && !errors.As(failed, &damage) {
		return failed
	}
	if s.count == 0 && failed == nil {
		return &format.Error{Err: fmt.Errorf("no datagram of the capture is of the JETDRIVE port %d%s: set jetdrive.port to that of the network", f.port, s.elsewhere())}
	}
	s.report(in)
	if failed != nil {
		return &format.Error{Offset: size, Err: failed}
	}
	return nil
}

func (s *session) read(ctx context.Context, in *pcap.Reader, port uint16) error {
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		d, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case d.To.Port() != port:
			if len(s.other) < mostSets {
				s.other[d.To.String()]++
			}
			continue
		case d.At.IsZero():
			s.untimed++
			continue
		}
		s.count++
		s.decoder.Handle(d.Data, d.From, d.At.UnixMicro())
		for b := s.decoder.Next(); b != nil; b = s.decoder.Next() {
			err := s.add(b)
			s.decoder.Recycle(b)
			if err != nil {
				return err
			}
		}
	}
}

func (s *session) add(b *sample.Batch) error {
	out := s.sets[b.Set]
	if out == nil {
		if len(s.sets) == mostSets {
			if err := s.flush(); err != nil {
				return err
			}
			clear(s.sets)
			s.order = s.order[:0]
		}
		out = format.NewBatches(s.sink, b.Set)
		s.sets[b.Set] = out
		s.order = append(s.order, out)
	}
	for _, v := range b.Samples {
		if err := out.Add(v); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) flush() error {
	for _, out := range s.order {
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) elsewhere() string {
	if len(s.other) == 0 {
		return ""
	}
	return " (there are some to " + strings.Join(slices.Sorted(maps.Keys(s.other)), ", ") + ")"
}

// report says what became no sample.
func (s *session) report(in *pcap.Reader) {
	total, skipped := s.decoder.Counters(), in.Skipped()
	for _, lost := range []struct {
		n    uint64
		what string
	}{
		{total.Malformed.Total(), "messages are malformed and were left out"},
		{uint64(skipped.Cut), "packets were captured in part only and were left out"},
		{uint64(skipped.Damaged), "packets have damaged headers and were left out"},
		{uint64(skipped.Fragment), "fragments lack the others of their datagram and were left out"},
		{uint64(s.untimed), "packets carry no time and were left out"},
	} {
		if lost.n > 0 {
			s.sink.Warn(fmt.Sprintf("%d %s", lost.n, lost.what))
		}
	}
}
