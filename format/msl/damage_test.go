package msl

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"dynotap/format"
	"dynotap/format/formattest"
	"dynotap/sample"
)

// longLog is a log of rows whose values follow from their number.
func longLog(rows int) string {
	var out strings.Builder
	out.WriteString("\"MS3 Format 0568.11E: für Öl\"\n\"Capture Date: Mon\"\nTime\tRPM\tMAP\tCLT\ns\trpm\tkPa\t°C\n")
	for i := range rows {
		fmt.Fprintf(&out, "%.3f\t%d\t%.1f\t%d\n", float64(i)*0.05, 900+i, 40+float64(i%64)/2, i%90)
	}
	return out.String()
}

func TestA2Encodings(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]encoding.Encoding{
		"utf-8": encoding.Nop, "utf-8 with a mark": unicode.UTF8BOM, "cp1252": charmap.Windows1252,
		"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "utf-16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	} {
		file, err := code.NewEncoder().String(longLog(300))
		if err != nil {
			t.Fatal(err)
		}
		k, err := read(t, file)
		if err != nil || len(k.Problems) > 0 || k.Samples() != 900 || k.Runs[0].Notes[0] != "MS3 Format 0568.11E: für Öl" {
			t.Errorf("%s: %v, %v, %d samples", name, err, k.Problems, k.Samples())
			continue
		}
		if k.Runs[0].Channels[2].NativeUnit != sample.Celsius {
			t.Errorf("%s: %q", name, k.Runs[0].Channels[2].NativeUnit)
		}
		for i, s := range k.Runs[0].Of(t, "MAP") {
			if s.Time != int64(i)*50_000 || s.Value != 40+float64(i%64)/2 {
				t.Fatalf("%s: row %d is %+v", name, i, s)
			}
		}
		if got := New(format.Settings{}).Detect([]byte(file)[:min(len(file), format.HeadSize)], "x"); got != format.ByContent {
			t.Errorf("%s: confidence %d", name, got)
		}
	}
}

func TestA8AnyByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	f := New(format.Settings{})
	for i := range len(small) {
		for bit := range 8 {
			damaged := []byte(small)
			damaged[i] ^= 1 << bit
			formattest.CheckAny(t, f, damaged, "x.msl", false)
		}
	}
	for _, file := range []string{small, longLog(50), small + small} {
		formattest.CheckDamaged(t, f, []byte(file), "x.msl")
	}
}

func TestA8WhatWasReadBeforeAnErrorIsKept(t *testing.T) {
	t.Parallel()
	file := longLog(60_000)
	sink := &formattest.Sink{TB: t}
	err := New(format.Settings{}).Read(t.Context(), formattest.Failing{In: strings.NewReader(file), From: 600_000}, int64(len(file)), sink)
	if !errors.Is(err, iotest.ErrTimeout) || sink.Samples() < 30_000 {
		t.Errorf("%d samples, %v", sink.Samples(), err)
	}
}

func TestA8TooManyColumnsAreRefused(t *testing.T) {
	t.Parallel()
	for columns, refused := range map[int]bool{mostColumns: false, mostColumns + 1: true, 1 << 20: true} {
		for _, before := range []string{"", small} {
			k, err := read(t, before+"Time"+strings.Repeat("\tx", columns-1)+"\n0\t1\n")
			if errors.Is(err, errColumns) != refused || !refused && err != nil || before != "" && !slices.Equal(values(k, 0), wantSmall) {
				t.Errorf("%d columns: %v", columns, err)
			}
		}
	}
}

// All that is ever allocated is counted, not what is held at once.
func TestA8MemoryIsBounded(t *testing.T) { // alone: others allocate, too
	const bound = 100
	for name, file := range map[string]string{
		"rows":              longLog(300_000),
		"a row without end": small + strings.Repeat("1", 8<<20),
		"a head of notes":   strings.Repeat("\"note\"\n", 2<<20),
		"long notes":        strings.Repeat(strings.Repeat("x", 1<<20-10)+"\n", 20),
		"marks":             small + strings.Repeat("MARK 1\n", 100_000),
		"notes in between":  small + strings.Repeat("\"\"\n", 200_000),
		"separators":        small + strings.Repeat("\t", 8<<20),
		"quotes":            small + strings.Repeat("\"", 2<<20),
	} {
		allocated, err := formattest.Allocated(t, New(format.Settings{}), []byte(file))
		if used := allocated >> 20; used > bound {
			t.Errorf("%s: %d MiB were allocated for %d KiB: %v", name, used, len(file)>>10, err)
		}
	}
}

func FuzzMSL(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(small + small))
	f.Add([]byte("RPM\tTime\tTPS\nrpm\tsec\t%\n900\t1,5\t3\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		formattest.CheckAny(t, New(format.Settings{}), bytes.Clone(file), "x.msl", false)
	})
}
