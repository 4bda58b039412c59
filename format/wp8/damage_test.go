package wp8

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"dynotap/format"
	"dynotap/format/formattest"
)

// small has two channels, and the samples of one.
func small() []byte {
	return fileOf(
		nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1), nest(define(18, "Power", "hp", "DWRT CPU"), 1),
		nest(samples(17, 8, 4, ramp(10, 0, 0.5), ramp(10, 2000, 100)), 1),
	)
}

func TestA8DamageIsLocatedAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	file := small()
	for name, test := range map[string]struct {
		tail []byte
		want string
	}{
		"a field cut off": {[]byte{0x0a, 0x7f, 1}, "a field of 127 bytes begins here and the file ends 126 bytes too early"},
		"no field":        {[]byte{0x07, 1, 2, 3}, "the file is damaged from here on"},
		"a tag cut off":   {[]byte{0x80}, "the file is damaged from here on"},
		"a length cut":    {[]byte{0x0a, 0x80}, "the file is damaged from here on"},
		"a number cut":    {[]byte{0x0d, 1}, "the file is damaged from here on"},
	} {
		k, err := read(t, slices.Concat(file, test.tail))
		if err != nil || len(k.values) != 10 || len(k.Problems) != 1 || !k.problem(fmt.Sprintf("byte %d: ", len(file))) || !k.problem(test.want) {
			t.Errorf("%s: %v, %q, %v", name, err, k.values, k.Problems)
		}
	}
}

// A file whose outermost field goes on behind its end gives what is whole in it.
func TestA8AFileThatEndsInsideAFieldGivesWhatIsWhole(t *testing.T) {
	t.Parallel()
	inner := small()[len(mark):]
	for depth := range 4 {
		file := fileOf(nest(append(slices.Clone(inner), bytes.Repeat([]byte{0x10, 1}, 50)...), depth+1))
		k, err := read(t, file[:len(file)-20])
		if err != nil || len(k.values) != 10 || len(k.Problems) != 1 || !k.problem("byte 4: a field of ") || !k.problem("20 bytes too early") {
			t.Errorf("depth %d: %v, %q, %v", depth, err, k.values, k.Problems)
		}
	}
}

// Cut between its lists, a series looks whole.
func TestA8ACutSeriesIsNone(t *testing.T) {
	t.Parallel()
	rpm := nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1)
	id := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 17)
	for name, layout := range layouts {
		series := layout(id, 8, 8, ramp(20, 0, 0.25), ramp(20, 2000, 100))
		file := fileOf(rpm, nest(series, 1))
		for cut := range series {
			if k, err := read(t, file[:len(file)-cut-1]); !errors.Is(err, errSeries) || len(k.values) > 0 {
				t.Fatalf("%s, %d bytes off: %v, %q", name, cut+1, err, k.values)
			}
		}
	}
}

func TestA8EveryByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	files := [][]byte{small()}
	for name := range layouts {
		rpm := define(17, "Engine RPM", "rpm", "DWRT CPU")
		files = append(files, fileOf(nest(layouts[name](rpm, 4, 8, ramp(9, 0, 0.5), ramp(9, 2000, 100)), 2)))
	}
	f := New(format.Settings{})
	for _, file := range files {
		for i := range file {
			for bit := range 8 {
				damaged := slices.Clone(file)
				damaged[i] ^= 1 << bit
				formattest.CheckAny(t, f, damaged, "x.wp8", true)
			}
			formattest.CheckAny(t, f, file[:i], "x.wp8", true)
			formattest.CheckAny(t, f, slices.Delete(slices.Clone(file), i, i+1), "x.wp8", true)
			formattest.CheckAny(t, f, slices.Insert(slices.Clone(file), i, file[i]), "x.wp8", true)
		}
	}
	if _, err := read(t, []byte("something else")); !errors.Is(err, errMark) {
		t.Error("read without the mark")
	}
}

// All that is ever allocated is counted, as a multiple of the file.
func TestA8MemoryIsBounded(t *testing.T) { // alone: others allocate, too
	const bound = 24
	rpm := nest(define(17, "Engine RPM", "rpm", "DWRT CPU"), 1)
	id := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 17)
	var many []byte
	for i := range uint64(20_000) {
		many = append(many, nest(define(i, strings.Repeat("n", 100), "u", "d"), 1)...)
	}
	files := map[string][]byte{
		"empty fields":  fileOf(rpm, bytes.Repeat([]byte{0x0a, 0}, 1<<20)),
		"short fields":  fileOf(rpm, bytes.Repeat([]byte{0x0a, 2, 0x08, 1}, 1<<19)),
		"candidates":    fileOf(rpm, bytes.Repeat(nest(samples(17, 4, 4, ramp(8, 0, 0.5), ramp(8, 1, 1)), 1), 1<<14)),
		"nested":        fileOf(rpm, bytes.Repeat(nest([]byte{0x08, 1}, 40), 1<<14)),
		"groups":        fileOf(rpm, bytes.Repeat([]byte{0x0b}, 1<<20)),
		"many channels": fileOf(many),
	}
	for name, layout := range layouts {
		files["long "+name] = fileOf(rpm, nest(layout(id, 8, 8, ramp(200_000, 0, 0.001), ramp(200_000, 2000, -0.25)), 1))
	}
	for name, file := range files {
		allocated, err := formattest.Allocated(t, New(format.Settings{}), file)
		if used := allocated; used > bound*int64(len(file)) {
			t.Errorf("%s: %.1f times its %d KiB were allocated: %v", name, float64(used)/float64(len(file)), len(file)>>10, err)
		}
		if strings.HasPrefix(name, "long ") && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestA8TheWalkIsBounded(t *testing.T) {
	t.Parallel()
	for depth, channels := range map[int]string{maxDepth: "1 channels", maxDepth + 1: "0 channels", 5000: "0 channels"} {
		if _, err := read(t, fileOf(nest(define(1, "a", "b", "c"), depth))); !errors.Is(err, errSeries) || !strings.Contains(err.Error(), "lists "+channels) {
			t.Errorf("%d deep: %v", depth, err)
		}
	}
	if _, err := read(t, fileOf(nest(define(1<<32, "a", "b", "c"), 1))); !strings.Contains(err.Error(), "lists 0 channels") {
		t.Errorf("an id of 33 bits: %v", err)
	}
	var many []byte
	for i := range uint64(maxChannels + 3) {
		many = append(many, nest(define(i, "n", "u", "d"), 1)...)
	}
	if k, err := read(t, fileOf(many)); !strings.Contains(err.Error(), "lists 10000 channels") || !k.problem("lists 3 channels more") {
		t.Errorf("many channels: %v, %v", err, k.Problems)
	}
	series := nest(samples(17, 4, 4, ramp(8, 0, 0.5), ramp(8, 1, 1)), 1)
	if k, err := read(t, append(small(), bytes.Repeat(series, maxCandidates+1)...)); err == nil || !k.problem("2 more messages may be samples") {
		t.Errorf("many series: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(format.Settings{}).Read(ctx, bytes.NewReader(small()), int64(len(small())), &formattest.Sink{TB: t, Binary: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	sink := &formattest.Sink{TB: t, Binary: true}
	if err := New(format.Settings{}).Read(t.Context(), bytes.NewReader(nil), maxSize+1, sink); !errors.Is(err, errSize) {
		t.Errorf("large: %v", err)
	}
	if err := New(format.Settings{}).Read(t.Context(), bytes.NewReader(fileOf(bytes.Repeat([]byte{0x08, 1}, maxFields/2+1))), 4+maxFields+2, sink); !errors.Is(err, errFields) {
		t.Errorf("many fields: %v", err)
	}
}

func FuzzWP8(f *testing.F) {
	f.Add(small())
	for _, layout := range layouts {
		f.Add(fileOf(nest(layout(define(17, "Engine RPM", "rpm", "DWRT CPU"), 4, 8, ramp(9, 0, 0.5), ramp(9, 2000, 100)), 1)))
	}
	f.Fuzz(func(t *testing.T, file []byte) { formattest.CheckAny(t, New(format.Settings{}), file, "x.wp8", true) })
}
