package jetdrive

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// read is one scripted answer of a socket.
type read struct {
	data  string
	flags int
	err   error
	first func() // before it returns
}

// script is a socket that gives its reads and is closed then.
type script struct{ reads []read }

func (s *script) ReadMsgUDPAddrPort(b, _ []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if len(s.reads) == 0 {
		return 0, 0, 0, netip.AddrPort{}, &net.OpError{Op: "read", Err: net.ErrClosed}
	}
	r := s.reads[0]
	s.reads = s.reads[1:]
	if r.first != nil {
		r.first()
	}
	return copy(b, r.data), 0, r.flags, netip.AddrPort{}, r.err
}

func taken(r *ring) []string {
	var out []string
	r.take(func(p Packet) { out = append(out, string(p.Data)) })
	return out
}

func TestC4IsolatedReadErrorsDoNotEndTheReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := read{err: io.ErrUnexpectedEOF}
		var reads []read
		for range 5 {
			reads = append(append(reads, slices.Repeat([]read{broken}, readErrorLimit-1)...), read{data: "good"})
		}
		in := newIntake(&script{reads: reads}, newRing(8, 64))
		if err := in.run(t.Context()); err != nil {
			t.Errorf("the reader ended: %v", err)
		}
		if got := taken(in.ring); len(got) != 5 {
			t.Errorf("received %q", got)
		}
		if got := in.readErrors.Load(); got != 5*(readErrorLimit-1) {
			t.Errorf("%d read errors", got)
		}
	})
}

func TestC4EndlessReadErrorsEndTheReaderSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(&script{reads: slices.Repeat([]read{{err: io.ErrUnexpectedEOF}}, 2*readErrorLimit)}, newRing(8, 64))
		start := time.Now()
		if err := in.run(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(start); took < 10*time.Second || took > time.Minute {
			t.Errorf("after %v", took)
		}
	})
}

func TestC8ReaderThatWaitsAfterAnErrorStopsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		reads := slices.Repeat([]read{{err: io.ErrUnexpectedEOF}}, 150)
		reads = append(reads, read{err: io.ErrUnexpectedEOF, first: cancel})
		in := newIntake(&script{reads: append(reads, reads...)}, newRing(8, 64))
		if err := in.run(ctx); err != nil {
			t.Error(err)
		}
		if got := in.readErrors.Load(); got != 151 {
			t.Errorf("%d read errors before the end", got)
		}
	})
}

func TestTakerThatDoesNotKeepUpIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(2, 64)
		var early []string
		in := newIntake(&script{reads: []read{
			{data: "1"}, {data: "2"}, {data: "3"}, {data: "4"},
			{data: "5", first: func() { early = taken(r) }}, // room appears during the read
		}}, r)
		if err := in.run(t.Context()); err != nil {
			t.Error(err)
		}
		if got := append(early, taken(r)...); !slices.Equal(got, []string{"1", "2", "5"}) {
			t.Errorf("received %q", got)
		}
		if d, f := in.datagrams.Load(), in.ringFull.Load(); d != 5 || f != 2 {
			t.Errorf("%d datagrams, %d dropped", d, f)
		}
	})
}
