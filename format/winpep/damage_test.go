package winpep

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"dynotap/format"
	"dynotap/format/formattest"
	"dynotap/sample"
)

// strict is a sink that fails where Read breaks its contract.
type strict struct {
	t                         testing.TB
	runs, samples, lost, said int
}

func (s *strict) Begin(format.Run) error { s.runs++; return nil }

func (s *strict) Batch(b *sample.Batch) error {
	if s.runs == 0 || len(b.Samples) == 0 || len(b.Samples) > format.MaxSamples || b.Clock != sample.ClockFile {
		s.t.Errorf("a batch of %d samples in run %d", len(b.Samples), s.runs)
	}
	for _, v := range b.Samples {
		if int(v.Channel) >= b.Set.Len() || math.IsNaN(v.Value) {
			s.t.Fatalf("sample %+v of %d channels", v, b.Set.Len())
		}
	}
	s.samples += len(b.Samples)
	return nil
}

func (s *strict) Problem(p format.Problem) {
	if s.lost++; p.Line < 1 || p.Column < 0 || p.Message == "" || len(p.Message) > 1000 {
		s.t.Errorf("problem %+v", p)
	}
}
func (s *strict) Warn(string) { s.said++ }

func checkAny(tb testing.TB, file []byte) {
	tb.Helper()
	f, err := New(format.Settings{})
	if err != nil {
		tb.Fatal(err)
	}
	sure := f.Detect(file[:min(len(file), format.HeadSize)], "a.txt")
	first, again := strict{t: tb}, strict{t: tb}
	err = f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), &first)
	err2 := f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), &again)
	if first.samples != again.samples || first.lost != again.lost || first.runs > 1 || first.said > 1 || (err == nil) != (err2 == nil) {
		tb.Errorf("%+v, %v; again %+v, %v", first, err, again, err2)
	}
	if sure > format.No && err != nil && len(file) < format.HeadSize {
		tb.Errorf("detected, and then: %v", err)
	}
	if first.samples > len(file)/2+1 {
		tb.Errorf("%d samples from %d bytes", first.samples, len(file))
	}
}

func TestA8EveryByteOfTheRealExportMayBeDamaged(t *testing.T) {
	t.Parallel()
	file := theSample(t)
	f, err := New(format.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for i, damaged := range formattest.Damaged(file) {
		sink := strict{t: t}
		_ = f.Read(t.Context(), bytes.NewReader(damaged), int64(len(damaged)), &sink) // it may fail, and must not panic
		if sink.samples > len(damaged)/2+1 {
			t.Fatalf("byte %d: %d samples", i, sink.samples)
		}
	}
}

// What is read takes memory by its columns, not by rows or size.
// All that is ever allocated is counted, in two passes, not what is held at once.
func TestA8MemoryIsBounded(t *testing.T) { // alone: others allocate, too
	const bound = 400
	head := "Time,(A) Engine RPM,(B) Power"
	for name, file := range map[string]string{
		"many columns and rows": head + strings.Repeat(",", 9000) + "x\n" + strings.Repeat("0\n", 20_000),
		"too many columns":      head + strings.Repeat(",", 1<<19) + "x\n" + strings.Repeat("0\n", 20_000),
		"a header without end":  head + strings.Repeat("x", 8<<20),
		"a row without end":     head + "\n0," + strings.Repeat("x", 8<<20),
		"quotes":                head + "\n" + strings.Repeat("\"\n", 4<<20),
		"separators":            head + "\n" + strings.Repeat(",", 8<<20),
		"aligned":               "Time (s)  A  B\n" + strings.Repeat("1 ", 4<<20) + "\n1 2 3\n",
	} {
		f, err := New(format.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		allocated, err := formattest.Allocated(t, f, []byte(file))
		limit := int64(bound)
		if strings.HasPrefix(name, "many") { // nothing of a row is kept
			limit = 100
		}
		if used := allocated >> 20; used > limit {
			t.Errorf("%s: %d MiB were allocated for %d KiB: %v", name, used, len(file)>>10, err)
		}
	}
}

func TestA8TooManyColumnsAreRefused(t *testing.T) {
	t.Parallel()
	for columns, refused := range map[int]bool{mostColumns: false, mostColumns + 1: true} {
		k, err := read(t, []byte("Time,(A) B,(C) D"+strings.Repeat(",x", columns-3)+"\n0,1\n"))
		var at *format.Error
		if errors.As(err, &at) != refused || refused && at.Line != 1 || k.runs == 1 == refused {
			t.Errorf("%d columns: %v, %d runs", columns, err, k.runs)
		}
	}
}

// A disk that fails keeps what was read before.
func TestA8WhatWasReadBeforeAnErrorIsKept(t *testing.T) {
	t.Parallel()
	file := "Time, (A) Engine RPM, (B) Power, \n" + rowsOf(0, 30_000, "3.5, 1")
	f, err := New(format.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	sink := strict{t: t}
	err = f.Read(t.Context(), formattest.Failing{In: strings.NewReader(file), From: 200_000}, int64(len(file)), &sink)
	if !errors.Is(err, iotest.ErrTimeout) || sink.samples < 9_000 {
		t.Errorf("%d samples, %v", sink.samples, err)
	}
}
