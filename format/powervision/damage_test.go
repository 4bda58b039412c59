package powervision

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"dynotap/format"
	"dynotap/format/formattest"
	"dynotap/sample"
)

// strict is a sink that fails where Read breaks its contract.
type strict struct {
	t                   testing.TB
	runs, samples, lost int
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
func (s *strict) Warn(string) {}

func checkAny(tb testing.TB, file []byte) {
	tb.Helper()
	f := New(format.Settings{})
	f.Detect(file[:min(len(file), format.HeadSize)], "a.pvlog")
	first, again := strict{t: tb}, strict{t: tb}
	err := f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), &first)
	err2 := f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), &again)
	if first.samples != again.samples || first.lost != again.lost || first.runs > 1 || (err == nil) != (err2 == nil) {
		tb.Errorf("%+v, %v; again %+v, %v", first, err, again, err2)
	}
}

func TestA8EveryByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	for _, file := range [][]byte{[]byte(small), gzipped(t, small), zipped(t, "a.txt", "log.csv")} {
		for i := range file {
			for bit := range 8 {
				damaged := slices.Clone(file)
				damaged[i] ^= 1 << bit
				checkAny(t, damaged)
			}
			checkAny(t, slices.Delete(slices.Clone(file), i, i+1))
			checkAny(t, slices.Insert(slices.Clone(file), i, file[i]))
			checkAny(t, file[:i])
		}
	}
}

func longLog(rows int) string {
	var out strings.Builder
	out.WriteString(small)
	for i := range rows {
		fmt.Fprintf(&out, "%d,0,%d.5\n", 50+i*20, 1000+i%977)
	}
	return out.String()
}

// A container that was cut off gives what it holds.
func TestA8ACutContainerGivesWhatItHolds(t *testing.T) {
	t.Parallel()
	const rows = 50_000
	file := gzipped(t, longLog(rows))
	sink := strict{t: t}
	err := New(format.Settings{}).Read(t.Context(), bytes.NewReader(file), int64(len(file)/2), &sink)
	var at *format.Error
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &at) || sink.samples < rows/4 || sink.samples >= rows || at.Line < int64(sink.samples) {
		t.Errorf("%d samples, %v", sink.samples, err)
	}
	file[len(file)-6]++ // the checksum
	sink = strict{t: t}
	if err := New(format.Settings{}).Read(t.Context(), bytes.NewReader(file), int64(len(file)), &sink); !errors.Is(err, gzip.ErrChecksum) || sink.samples != rows+5 {
		t.Errorf("checksum: %d samples, %v", sink.samples, err)
	}
}

func TestA8WhatAContainerUnpacksToIsBounded(t *testing.T) {
	t.Parallel()
	got, err := io.ReadAll(&limited{strings.NewReader(strings.Repeat("x", 100)), 99})
	if !errors.Is(err, errTooLong) || len(got) > 99 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := io.ReadAll(&limited{strings.NewReader(strings.Repeat("x", 100)), 100}); err != nil || len(got) != 100 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	names := make([]string, mostFiles+1)
	for i := range names {
		names[i] = fmt.Sprintf("%d.txt", i)
	}
	names[mostFiles] = "log.csv"
	if _, err := read(t, zipped(t, names...)); !errors.Is(err, errUnknown) {
		t.Errorf("an archive of %d files: %v", len(names), err)
	}
	if k, err := read(t, zipped(t, names[1:]...)); err != nil || len(k.values) != 5 {
		t.Errorf("an archive of %d files: %v", mostFiles, err)
	}
}

func TestA8TooManySignalsAreRefused(t *testing.T) {
	t.Parallel()
	var head strings.Builder
	head.WriteString("\"Dynojet Power Vision Log File\"\n")
	for i := range mostSignals + 1 {
		fmt.Fprintf(&head, "%d,a,b,c\n", i)
	}
	if _, err := read(t, []byte(head.String()+"Time(ms),Signal,Value\n0,0,1\n")); err == nil || !strings.Contains(err.Error(), "line 10002: the log has more than 10000 signals") {
		t.Errorf("%v", err)
	}
}

// All that is ever allocated is counted, in two passes, not what is held at once.
func TestA8MemoryIsBounded(t *testing.T) { // alone: others allocate, too
	const bound = 400
	head, _, _ := strings.Cut(small, "0,0,1000")
	for name, file := range map[string]string{
		"a large log":        longLog(600_000),
		"a small container":  string(gzipped(t, longLog(600_000))),
		"a head without end": "\"Dynojet Power Vision Log File\"\n" + strings.Repeat("note\n", 2<<20),
		"a row without end":  head + strings.Repeat("1", 8<<20),
		"separators":         head + strings.Repeat(",", 8<<20),
	} {
		allocated, err := formattest.Allocated(t, New(format.Settings{}), []byte(file))
		if used := allocated >> 20; used > bound {
			t.Errorf("%s: %d MiB were allocated for %d KiB: %v", name, used, len(file)>>10, err)
		}
	}
}

func FuzzPowerVision(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(strings.ReplaceAll(small, "\n", "\r")))
	f.Add([]byte(strings.ReplaceAll(small, ",", ";")))
	f.Add(gzipped(f, small))
	f.Add(zipped(f, "log.csv"))
	f.Fuzz(func(t *testing.T, file []byte) { checkAny(t, file) })
}
