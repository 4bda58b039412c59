package wp8

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"dynotap/format"
	"dynotap/format/formattest"
)

// taken is what a file gave, in words.
type taken struct {
	*formattest.Sink
	labels, values []string
}

func read(tb testing.TB, file []byte) (taken, error) {
	tb.Helper()
	sink, err := formattest.ReadBinary(tb, New(format.Settings{}), file)
	k := taken{Sink: sink}
	for _, r := range sink.Runs {
		for _, c := range r.Channels {
			k.labels = append(k.labels, fmt.Sprintf("%s:%s [%s]", c.Provider, c.Label, c.NativeUnit))
		}
		for _, s := range r.Samples {
			k.values = append(k.values, fmt.Sprintf("%s %d %g", r.Channels[s.Channel].Label, s.Time/1000, s.Value))
		}
	}
	return k, err
}

func (k taken) warned(text string) bool {
	return slices.ContainsFunc(k.Warnings, func(w string) bool { return strings.Contains(w, text) })
}

func (k taken) problem(text string) bool {
	return slices.ContainsFunc(k.Problems, func(p format.Problem) bool { return strings.Contains(p.Message, text) })
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

// layouts writes series in every way that is claimed to be read. Each appends
// to a message that has the channel's id.
var layouts = map[string]func(b []byte, timeWidth, valueWidth int, times, values []float64) []byte{
	"lists": func(b []byte, timeWidth, valueWidth int, times, values []float64) []byte {
		b = protowire.AppendBytes(protowire.AppendTag(b, 12, protowire.BytesType), packed(timeWidth, times))
		return protowire.AppendBytes(protowire.AppendTag(b, 13, protowire.BytesType), packed(valueWidth, values))
	},
	"mixed": func(b []byte, width, _ int, times, values []float64) []byte {
		var all []float64
		for i := range times {
			all = append(all, times[i], values[i])
		}
		return protowire.AppendBytes(protowire.AppendTag(b, 12, protowire.BytesType), packed(width, all))
	},
	"pairs": func(b []byte, timeWidth, valueWidth int, times, values []float64) []byte {
		for i := range times {
			m := field(nil, 1, timeWidth, times[i])
			b = protowire.AppendBytes(protowire.AppendTag(b, 12, protowire.BytesType), field(m, 2, valueWidth, values[i]))
		}
		return b
	},
	"unpacked": func(b []byte, timeWidth, valueWidth int, times, values []float64) []byte {
		for i := range times {
			b = field(field(b, 12, timeWidth, times[i]), 13, valueWidth, values[i])
		}
		return b
	},
}

func field(b []byte, number protowire.Number, width int, v float64) []byte {
	wire := protowire.Fixed64Type
	if width == 4 {
		wire = protowire.Fixed32Type
	}
	return append(protowire.AppendTag(b, number, wire), packed(width, []float64{v})...)
}

func samples(id uint64, timeWidth, valueWidth int, times, values []float64) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), id)
	return layouts["lists"](b, timeWidth, valueWidth, times, values)
}

func ramp(n int, from, step float64) (out []float64) {
	for i := range n {
		out = append(out, from+float64(i)*step)
	}
	return out
}

func fileOf(messages ...[]byte) []byte { return append([]byte(mark), bytes.Join(messages, nil)...) }

func TestA7SeriesThatProveThemselvesInEveryLayout(t *testing.T) {
	t.Parallel()
	times, values := ramp(10, 0, 0.5), ramp(10, 2000, 100)
	for _, name := range slices.Sorted(maps.Keys(layouts)) {
		for depth := range 4 {
			for _, widths := range [][2]int{{4, 4}, {4, 8}, {8, 4}, {8, 8}} {
				rpm, power := define(17, "Engine RPM", "rpm", "DWRT CPU"), nest(define(18, "Power", "hp", "DWRT CPU"), depth+1)
				id := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 17)
				series := layouts[name](id, widths[0], widths[1], times, values)
				for where, file := range map[string][]byte{
					"apart":             fileOf(nest(rpm, depth+1), power, nest(series, depth+1)),
					"before":            fileOf(nest(series, depth+1), nest(rpm, depth+1), power),
					"in the definition": fileOf(nest(layouts[name](rpm, widths[0], widths[1], times, values), depth+1), power),
				} {
					if c := New(format.Settings{}).Detect(file, "x.txt"); c != format.Signature {
						t.Errorf("confidence %d", c)
					}
					k, err := read(t, file)
					if err != nil || len(k.Runs) != 1 || len(k.Problems) > 0 {
						t.Fatalf("%s %v, depth %d, %s: %v, %v", name, widths, depth, where, err, k.Problems)
					}
					if slices.Sort(k.labels); !slices.Equal(k.labels, []string{"DWRT CPU:Engine RPM [rpm]", "DWRT CPU:Power [hp]"}) {
						t.Errorf("%s: %q", name, k.labels)
					}
					if len(k.values) != 10 || k.values[0] != "Engine RPM 0 2000" || k.values[9] != "Engine RPM 4500 2900" {
						t.Errorf("%s: %q", name, k.values)
					}
					if len(k.Warnings) != 2 || !k.warned("1 of 2 channels have no series") || !k.warned("taken as seconds") {
						t.Errorf("%s: %q", name, k.Warnings)
					}
					notes := slices.Sorted(slices.Values(k.Runs[0].Notes))
					if !slices.Equal(notes, []string{"channel 17: Engine RPM (rpm, DWRT CPU, Engine): 10 samples", "channel 18: Power (hp, DWRT CPU, Engine): no samples decoded"}) {
						t.Errorf("%s: %q", name, notes)
					}
					if f := k.Runs[0].Facts; f["channels_described"] != "2" || f["channels_decoded"] != "1" {
						t.Errorf("%s: %v", name, f)
					}
				}
			}
		}
	}
}

func TestA2NothingIsInvented(t *testing.T) {
	t.Parallel()
	rpm := nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1)
	id := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 17)
	list := func(times, values []float64) []byte { return nest(samples(17, 8, 4, times, values), 1) }
	good := func() []byte { return list(ramp(10, 0, 0.5), ramp(10, 2000, 100)) }
	one := func(numbers []float64) []byte {
		return nest(protowire.AppendBytes(protowire.AppendTag(id, 2, protowire.BytesType), packed(8, numbers)), 1)
	}
	pieces := samples(17, 8, 8, ramp(10, 0, 0.5), ramp(10, 2000, 100))
	pieces = protowire.AppendBytes(protowire.AppendTag(pieces, 12, protowire.BytesType), packed(8, ramp(2, 5, 0.5)))
	pieces = protowire.AppendBytes(protowire.AppendTag(pieces, 13, protowire.BytesType), packed(8, ramp(2, 3000, 100)))
	var distance []float64
	for i := range 100 {
		distance = append(distance, float64(i*i)*0.004)
	}
	for name, test := range map[string]struct {
		messages [][]byte
		said     string
	}{
		"no series":              {[][]byte{rpm}, ""},
		"unknown channel":        {[][]byte{rpm, nest(samples(99, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100)), 1)}, "1 messages may be samples of channels that the file does not list"},
		"two claim it":           {[][]byte{rpm, good(), good()}, errTwice.Error()},
		"times stand still":      {[][]byte{rpm, list(ramp(10, 1, 0), ramp(10, 2000, 100))}, errTimes.Error()},
		"times go back":          {[][]byte{rpm, list(ramp(10, 9, -1), ramp(10, 2000, 100))}, errTimes.Error()},
		"times before the start": {[][]byte{rpm, list(ramp(10, -1, 0.1), ramp(10, 2000, 100))}, errTimes.Error()},
		"milliseconds or metres": {[][]byte{rpm, list(ramp(10, 0, 50), ramp(10, 2000, 100))}, errTimes.Error()},
		"a distance":             {[][]byte{rpm, list(distance, ramp(100, 2000, 10))}, errTimes.Error()},
		"other lengths":          {[][]byte{rpm, list(ramp(10, 0, 0.5), ramp(11, 2000, 100))}, errShape.Error()},
		"too short":              {[][]byte{rpm, list(ramp(7, 0, 0.5), ramp(7, 2000, 100))}, ""},
		"values are not numbers": {[][]byte{rpm, list(ramp(10, 0, 0.5), append(ramp(9, 2000, 100), math.NaN()))}, errValues.Error()},
		"values are bits":        {[][]byte{rpm, list(ramp(10, 0, 0.5), append(ramp(9, 2000, 100), 1e-30))}, errValues.Error()},
		"times alone":            {[][]byte{rpm, one(ramp(100, 0, 0.05))}, errEither.Error()},
		"values alone":           {[][]byte{rpm, one(ramp(100, 20, 0.3))}, errEither.Error()},
		"floats or doubles":      {[][]byte{rpm, nest(samples(17, 4, 4, ramp(32, 2, 0.01), ramp(32, 2.1, 0.01)), 1)}, errEither.Error()},
		"a list in pieces":       {[][]byte{rpm, nest(pieces, 1)}, errShape.Error()},
		"most of a form fail":    {[][]byte{rpm, nest(define(18, "a", "b", "c"), 1), good(), nest(samples(18, 8, 4, ramp(9, 5, 0), ramp(9, 1, 1)), 1)}, errOthers.Error()},
		"values, then times":     {[][]byte{rpm, list(ramp(10, 2000, 100), ramp(10, 0, 0.5))}, errTimes.Error()},
	} {
		k, err := read(t, fileOf(test.messages...))
		var at *format.Error
		if !errors.Is(err, errSeries) || !errors.As(err, &at) || len(k.Runs) > 0 || !strings.Contains(err.Error(), "(Engine RPM") || !strings.Contains(err.Error(), "Export the run as text") {
			t.Errorf("%s: %v, %q", name, err, k.values)
		}
		if !k.warned("the file lists ") || test.said != "" && !k.problem(test.said) && !k.warned(test.said) {
			t.Errorf("%s: %q, %v", name, k.Warnings, k.Problems)
		}
	}
}

// A container with a version and two messages is no series of channel 17.
func TestA2MessagesAreNotTakenForLists(t *testing.T) {
	t.Parallel()
	rpm, series := define(17, "Engine RPM", "rpm", "DWRT CPU"), samples(17, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100))
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 17)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), rpm)
	b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), series)
	k, err := read(t, fileOf(b))
	if err != nil || len(k.values) != 10 || len(k.Problems) > 0 {
		t.Errorf("%v, %q, %v", err, k.values, k.Problems)
	}
}

func TestA2WhatIsNotDecodedIsSaid(t *testing.T) {
	t.Parallel()
	blob := bytes.Repeat([]byte{0xff}, 300)
	file := fileOf(nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1), nest(samples(17, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100)), 1), nest(blob, 2), nest(blob[:99], 1))
	at := bytes.Index(file, blob)
	k, err := read(t, file)
	if want := fmt.Sprintf("2 fields of 399 bytes in all are neither text nor messages and were not decoded, the largest of 300 bytes at byte %d", at); err != nil || !k.warned(want) {
		t.Errorf("%v, %q, want %s", err, k.Warnings, want)
	}
}
