package wp8

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"dynotap/format"
	"dynotap/sample"
)

type taken struct {
	runs     int
	labels   []string
	values   []string
	problems []format.Problem
	warnings []string
}

func (k *taken) Begin(format.Run) error { k.runs++; return nil }
func (k *taken) Batch(b *sample.Batch) error {
	k.labels = nil
	list := b.Set.Channels()
	for _, c := range list {
		k.labels = append(k.labels, fmt.Sprintf("%s:%s [%s]", c.Provider, c.Label, c.NativeUnit))
	}
	for _, s := range b.Samples {
		k.values = append(k.values, fmt.Sprintf("%s %d %g", list[s.Channel].Label, s.Time/1000, s.Value))
	}
	return nil
}
func (k *taken) Problem(p format.Problem) { k.problems = append(k.problems, p) }
func (k *taken) Warn(text string)         { k.warnings = append(k.warnings, text) }

func read(tb testing.TB, file []byte) (*taken, error) {
	tb.Helper()
	k := &taken{}
	return k, New(format.Settings{}).Read(tb.Context(), bytes.NewReader(file), int64(len(file)), k)
}

// nest wraps a message into fields of others, as deep as asked.
func nest(message []byte, depth int) []byte {
	for range depth {
		message = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), message)
	}
	return message
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func define(id uint64, name, units, device string) []byte {
	b := text(nil, fieldName, name)
	b = text(b, fieldUnits, units)
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldID, protowire.VarintType), id)
	b = text(b, fieldDevice, device)
	return text(b, fieldCategory, "Engine")
}

// packed writes numbers of a width in bytes.
func packed(width int, numbers []float64) (b []byte) {
	for _, v := range numbers {
		if width == 4 {
			b = protowire.AppendFixed32(b, math.Float32bits(float32(v)))
		} else {
			b = protowire.AppendFixed64(b, math.Float64bits(v))
		}
	}
	return b
}

func samples(id uint64, timeWidth, valueWidth int, times, values []float64) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), id)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), packed(timeWidth, times))
	return protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), packed(valueWidth, values))
}

func ramp(n int, from, step float64) (out []float64) {
	for i := range n {
		out = append(out, from+float64(i)*step)
	}
	return out
}

func fileOf(messages ...[]byte) []byte { return append([]byte(mark), bytes.Join(messages, nil)...) }

func TestSeriesThatProveThemselvesInEveryLayout(t *testing.T) {
	t.Parallel()
	for depth := range 4 {
		for _, timeWidth := range []int{4, 8} {
			for _, valueWidth := range []int{4, 8} {
				file := fileOf(
					nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), depth+1), nest(define(18, "Power", "hp", "DWRT CPU"), depth+1),
					nest(samples(17, timeWidth, valueWidth, ramp(10, 0, 0.5), ramp(10, 2000, 100)), depth+1),
				)
				if c := New(format.Settings{}).Detect(file, "x.txt"); c != format.Signature {
					t.Errorf("confidence %d", c)
				}
				k, err := read(t, file)
				if err != nil || k.runs != 1 || len(k.problems) > 0 {
					t.Fatalf("depth %d, %d, %d: %v, %v", depth, timeWidth, valueWidth, err, k.problems)
				}
				if !slices.Equal(k.labels, []string{"DWRT CPU:Engine RPM [rpm]", "DWRT CPU:Power [hp]"}) {
					t.Errorf("%q", k.labels)
				}
				if len(k.values) != 10 || k.values[0] != "Engine RPM 0 2000" || k.values[9] != "Engine RPM 4500 2900" {
					t.Errorf("%q", k.values)
				}
				if len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "1 of 2 channels have no series") {
					t.Errorf("%q", k.warnings)
				}
			}
		}
	}
}

func TestNothingIsInvented(t *testing.T) {
	t.Parallel()
	rpm := nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1)
	good := func() []byte { return nest(samples(17, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100)), 1) }
	for name, messages := range map[string][][]byte{
		"no series":              {rpm},
		"unknown channel":        {rpm, nest(samples(99, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100)), 1)},
		"two claim it":           {rpm, good(), good()},
		"times stand still":      {rpm, nest(samples(17, 8, 4, ramp(10, 1, 0), ramp(10, 2000, 100)), 1)},
		"times go back":          {rpm, nest(samples(17, 8, 4, ramp(10, 9, -1), ramp(10, 2000, 100)), 1)},
		"other lengths":          {rpm, nest(samples(17, 8, 4, ramp(10, 0, 0.5), ramp(11, 2000, 100)), 1)},
		"too short":              {rpm, nest(samples(17, 8, 4, ramp(3, 0, 0.5), ramp(3, 2000, 100)), 1)},
		"values are not numbers": {rpm, nest(samples(17, 8, 4, ramp(10, 0, 0.5), append(ramp(9, 2000, 100), math.NaN())), 1)},
	} {
		k, err := read(t, fileOf(messages...))
		if err == nil || k.runs > 0 || len(k.values) > 0 || !strings.Contains(err.Error(), "lists 1 channels (Engine RPM)") || !strings.Contains(err.Error(), "Export the run as text") {
			t.Errorf("%s: %v, %q", name, err, k.values)
		}
	}
}

func TestA8DamageIsLocatedAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	file := fileOf(
		nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1), nest(samples(17, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100)), 1),
	)
	k, err := read(t, append(slices.Clone(file), 0x0a, 0x7f, 1))
	if err != nil || len(k.values) != 10 || len(k.problems) != 1 || !strings.Contains(k.problems[0].Message, fmt.Sprintf("byte %d", len(file))) {
		t.Errorf("%v, %q, %v", err, k.values, k.problems)
	}
	for i := range file {
		for bit := range 8 {
			damaged := slices.Clone(file)
			damaged[i] ^= 1 << bit
			_, _ = read(t, damaged) // it may fail, and must not panic
		}
		_, _ = read(t, file[:i])
	}
	if _, err := read(t, []byte("something else")); err == nil {
		t.Error("read without the mark")
	}
}

func TestA8DeepNestingEnds(t *testing.T) {
	t.Parallel()
	if _, err := read(t, fileOf(nest(define(1, "a", "b", "c"), 5000))); err == nil {
		t.Error("no error")
	}
}

func FuzzWP8(f *testing.F) {
	f.Add(fileOf(nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1), nest(samples(17, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100)), 1)))
	f.Fuzz(func(t *testing.T, file []byte) { _, _ = read(t, file) })
}
