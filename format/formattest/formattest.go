// Package formattest is what the tests of formats share: a sink that keeps what
// it is given and fails where the contract is broken, and damaged files.
package formattest

import (
	"bytes"
	"iter"
	"math"
	"reflect"
	"slices"
	"testing"
	"unicode/utf8"

	"dynotap/format"
	"dynotap/sample"
)

// Run is one run of a file as it came.
type Run struct {
	format.Run
	Channels []sample.Channel // of the last batch
	Samples  []sample.Sample  // in native units
}

// Channel gives the index of a channel by its label, or fails.
func (r *Run) Channel(tb testing.TB, label string) int {
	tb.Helper()
	i := slices.IndexFunc(r.Channels, func(c sample.Channel) bool { return c.Label == label })
	if i < 0 {
		tb.Fatalf("no channel %q", label)
	}
	return i
}

// Of gives the samples of a channel by its label, or fails.
func (r *Run) Of(tb testing.TB, label string) []sample.Sample {
	tb.Helper()
	i := r.Channel(tb, label)
	return slices.DeleteFunc(slices.Clone(r.Samples), func(s sample.Sample) bool { return int(s.Channel) != i })
}

// Sink keeps what a format gives. It fails the test where Read breaks the
// contract of package format.
type Sink struct {
	TB       testing.TB
	Binary   bool // problems have no lines
	Runs     []Run
	Problems []format.Problem
	Warnings []string
}

// Begin keeps the run.
func (s *Sink) Begin(r format.Run) error { s.Runs = append(s.Runs, Run{Run: r}); return nil }

// Batch keeps the samples.
func (s *Sink) Batch(b *sample.Batch) error {
	if len(s.Runs) == 0 || len(b.Samples) == 0 || len(b.Samples) > format.MaxSamples || b.Clock != sample.ClockFile {
		s.TB.Fatalf("a batch of %d samples in run %d", len(b.Samples), len(s.Runs))
	}
	for _, v := range b.Samples {
		if int(v.Channel) >= b.Set.Len() || math.IsNaN(v.Value) {
			s.TB.Fatalf("sample %+v of %d channels", v, b.Set.Len())
		}
	}
	r := &s.Runs[len(s.Runs)-1]
	r.Channels = slices.Clone(b.Set.Channels())
	r.Samples = append(r.Samples, b.Samples...)
	return nil
}

// Problem keeps a problem.
func (s *Sink) Problem(p format.Problem) {
	if (p.Line < 1) != s.Binary || p.Column < 0 || p.Message == "" || len(p.Message) > 1000 || !utf8.ValidString(p.Message) {
		s.TB.Errorf("problem %+v", p)
	}
	s.Problems = append(s.Problems, p)
}

// Warn keeps a sentence.
func (s *Sink) Warn(text string) {
	if text == "" || !utf8.ValidString(text) {
		s.TB.Errorf("warning %q", text)
	}
	s.Warnings = append(s.Warnings, text)
}

// Samples counts those of all runs.
func (s *Sink) Samples() (n int) {
	for _, r := range s.Runs {
		n += len(r.Samples)
	}
	return n
}

// Read reads a file of text.
func Read(tb testing.TB, f format.Format, file []byte) (*Sink, error) {
	tb.Helper()
	s := &Sink{TB: tb}
	return s, f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), s) //nolint:wrapcheck // as it is
}

// ReadBinary reads a file without lines.
func ReadBinary(tb testing.TB, f format.Format, file []byte) (*Sink, error) {
	tb.Helper()
	s := &Sink{TB: tb, Binary: true}
	return s, f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), s) //nolint:wrapcheck // as it is
}

// CheckAny reads a file of any content: what comes keeps the contract, is the
// same twice, and is no more than the file can hold (CONFORMANCE A8).
func CheckAny(tb testing.TB, f format.Format, file []byte, name string, binary bool) {
	tb.Helper()
	f.Detect(file[:min(len(file), format.HeadSize)], name)
	read := Read
	if binary {
		read = ReadBinary
	}
	first, err := read(tb, f, file)
	again, err2 := read(tb, f, file)
	if (err == nil) != (err2 == nil) || !reflect.DeepEqual(first, again) {
		tb.Errorf("%d samples, %v; again %d, %v", first.Samples(), err, again.Samples(), err2)
	}
	if first.Samples() > len(file)/2+1 || len(first.Problems) > len(file)+1 || len(first.Warnings) > len(file)+3 {
		tb.Errorf("%d samples, %d problems, %d warnings of %d bytes", first.Samples(), len(first.Problems), len(first.Warnings), len(file))
	}
}

// CheckDamaged reads a file of text with damage at each of its bytes, and in all
// of its lines at once.
func CheckDamaged(tb testing.TB, f format.Format, file []byte, name string) {
	tb.Helper()
	for _, damaged := range Damaged(file) {
		CheckAny(tb, f, damaged, name, false)
	}
	for _, damaged := range DamagedRows(file) {
		CheckAny(tb, f, damaged, name, false)
	}
}

// Damaged gives a file once for every byte, with another damage at each: a bit
// turned, a byte replaced, doubled, taken out, or the file cut off there.
func Damaged(file []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i := range file {
			if !yield(i, spoil(slices.Clone(file), i)) {
				return
			}
		}
	}
}

// DamagedRows gives a text as often as its longest line has bytes, with all
// lines but the first damaged at once, each at that byte: as much as Damaged
// for the time of a few files.
func DamagedRows(file []byte) iter.Seq2[int, []byte] {
	lines := bytes.SplitAfter(file, []byte("\n"))
	longest := 0
	for _, line := range lines[1:] {
		longest = max(longest, len(line))
	}
	return func(yield func(int, []byte) bool) {
		for i := range longest {
			out := slices.Clone(lines[0])
			for n, line := range lines[1:] {
				if i < len(line) {
					line = spoil(slices.Clone(line), (i+n*37)%len(line)) // rows that are alike get other damage
				}
				out = append(out, line...)
			}
			if !yield(i, out) {
				return
			}
		}
	}
}

func spoil(b []byte, i int) []byte {
	switch i % 5 { // 5 and 8 have no factor in common: all meet
	case 0:
		b[i] ^= 1 << (i % 8)
	case 1:
		b[i] = "\x00\xff\",\r\n\t9"[i%8]
	case 2:
		b = slices.Insert(b, i, b[i])
	case 3:
		b = slices.Delete(b, i, i+1)
	case 4:
		b = b[:i]
	}
	return b
}
