package innovate_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
	"dynotap/source/innovate/isp"
)

// rig is a source on a pipe, within a bubble of its own time.
type rig struct {
	*testing.T
	pipe    *device.Pipe
	source  *innovate.Source
	reader  source.Reader
	log     *syncBuffer
	batches []*sample.Batch
	changes []innovate.StatusChange
	starts  []bool
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// inBubble runs a test with a source of the given settings, which is open.
func inBubble(t *testing.T, settings innovate.Settings, test func(*rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, pipe: device.NewPipe("COM5"), log: new(syncBuffer)}
		r.build(settings, r.pipe)
		r.open()
		defer func() { _ = r.reader.Close() }()
		test(r)
	})
}

func (r *rig) build(settings innovate.Settings, opener innovate.Opener) {
	r.Helper()
	var err error
	r.source, err = innovate.New(settings, innovate.Options{
		Opener: opener, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		Status:    func(c innovate.StatusChange) { r.changes = append(r.changes, c) },
		Recording: func(started bool, _ int64) { r.starts = append(r.starts, started) },
	})
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) open() {
	r.Helper()
	var err error
	if r.reader, err = r.source.Open(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// run reads for a time while a device sends, and keeps what is emitted.
func (r *rig) run(s device.Settings, span time.Duration) {
	r.Helper()
	if s.Values == nil {
		s.Values = steady(12.8)
	}
	d, err := device.New(s)
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), span)
	defer cancel()
	var sending sync.WaitGroup
	sending.Go(func() { _ = d.Run(ctx, r.pipe) })
	r.readUntil(ctx)
	sending.Wait()
}

// readUntil reads as the supervisor does, a second at most at a time.
func (r *rig) readUntil(ctx context.Context) {
	r.Helper()
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, time.Second)
		err := r.reader.Read(one, r.keep)
		if err != nil && one.Err() == nil {
			r.Fatal(err)
		}
		cancel()
	}
}

func (r *rig) readFor(span time.Duration) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), span)
	defer cancel()
	r.readUntil(ctx)
}

func (r *rig) keep(b *sample.Batch) error {
	r.batches = append(r.batches, b)
	return nil
}

// send writes packets at the device's pace and reads them.
func (r *rig) send(packets ...[]byte) {
	r.Helper()
	for _, p := range packets {
		if _, err := r.pipe.Write(p); err != nil {
			r.Fatal(err)
		}
		r.readFor(device.Period)
	}
}

func (r *rig) hints() string {
	var out []string
	for _, h := range r.source.Status().Hints {
		out = append(out, h.Code)
	}
	return strings.Join(out, " ")
}

// values gives what came on a channel.
func (r *rig) values(label string) (out []float64) {
	for _, b := range r.batches {
		for _, s := range b.Samples {
			if b.Set.Channels()[s.Channel].Label == label {
				out = append(out, s.Value)
			}
		}
	}
	return out
}

// times gives when it came.
func (r *rig) times(label string) (out []int64) {
	for _, b := range r.batches {
		for _, s := range b.Samples {
			if b.Set.Channels()[s.Channel].Label == label {
				out = append(out, s.Time)
			}
		}
	}
	return out
}

func steady(afr float64) func(time.Duration, []float64) {
	return func(_ time.Duration, to []float64) {
		for i := range to {
			to[i] = afr
		}
	}
}

func encode(tb testing.TB, p isp.Packet) []byte {
	tb.Helper()
	if p.Protocol == isp.Unknown {
		p.Protocol = isp.ISP2
	}
	raw, err := isp.Append(nil, &p)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func lc(f isp.Function, value uint16) isp.Sensor {
	return isp.Sensor{Function: f, Multiplier: 147, Value: value}
}

func repeat(n int, p []byte) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = p
	}
	return out
}

// detected is an opener whose port was looked for.
type detected struct{ *device.Pipe }

func (d detected) Open(ctx context.Context) (innovate.Port, innovate.PortInfo, error) {
	p, info, err := d.Pipe.Open(ctx)
	info.Detected = true
	return p, info, err
}

var errRefused = errors.New("refused")
