package csv

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dynotap/format"
	"dynotap/sample"

	"pgregory.net/rapid"
)

// strict is a sink that fails where Read breaks its contract.
type strict struct {
	t        testing.TB
	runs     int
	samples  int
	problems int
}

func (s *strict) Begin(format.Run) error {
	s.runs++
	return nil
}

func (s *strict) Batch(b *sample.Batch) error {
	if s.runs == 0 || len(b.Samples) == 0 || len(b.Samples) > format.MaxSamples {
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
	if s.problems++; p.Line < 1 || p.Column < 0 || p.Message == "" || len(p.Message) > 1000 {
		s.t.Errorf("problem %+v", p)
	}
}
func (s *strict) Warn(string) {}

// seeds are files of every kind, the real samples first.
func seeds(tb testing.TB) [][]byte {
	tb.Helper()
	var out [][]byte
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "samples")
	}
	for _, name := range []string{"winpep/winpep8-export-excerpt.txt", "jetdrive/jetdrive-capture-idle.csv", "jetdrive/jetdrive-capture-engine-off.csv"} {
		file, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			if os.Getenv("REQUIRE_ALL") != "" {
				tb.Fatalf("a sample is needed: %v", err)
			}
			continue
		}
		out = append(out, file)
	}
	for _, s := range []string{
		motec, "Time,RPM\n0.5,1000\n", "Zeit;A\n0,5;1\n", "\xff\xfeT\x00i\x00m\x00e\x00,\x00a\x00\n\x001\x00,\x002\x00\n\x00",
		"Date,Time,RPM\n23/11/2026,12:03:04,1\n", "Time\tA\r12:03:04.5\t\"1\r2\"\r", "sep=;\nTime;A\n1795435384;2\nTime;A\n1;2",
		"SECONDS;PID;VALUE;UNITS\n0,5;RPM;1000;rpm\n0,6;Speed;1,5;km/h\n0,7;RPM;1100;rpm\n", "Device Time,A\nMon, 3 Jun 2024 1:02:03 PM,2\n",
		"Zeit;A\n46349,5;1\n46349,50000025;2\n",
	} {
		out = append(out, []byte(s))
	}
	return out
}

func checkAny(t *testing.T, file []byte) {
	t.Helper()
	f := New(format.Settings{Columns: map[string]string{"Zeit": "time", "A": "rpm"}})
	if c := f.Detect(file[:min(len(file), format.HeadSize)], "a.csv"); c > format.ByShape {
		t.Errorf("confidence %d", c)
	}
	first, again := strict{t: t}, strict{t: t}
	err := f.Read(t.Context(), bytes.NewReader(file), int64(len(file)), &first)
	err2 := f.Read(t.Context(), bytes.NewReader(file), int64(len(file)), &again)
	if first.samples != again.samples || first.problems != again.problems || first.runs != again.runs || (err == nil) != (err2 == nil) {
		t.Errorf("read twice: %+v, %+v", first, again)
	}
	if most := len(file)/2 + 1; first.samples > most {
		t.Errorf("%d samples from %d bytes", first.samples, len(file))
	}
}

func FuzzDetectAndRead(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s[:min(len(s), 6_000)])
	}
	f.Fuzz(func(t *testing.T, file []byte) { checkAny(t, file) })
}

// No byte of a real file, changed, removed or doubled, makes the reader panic
// or break its contract.
func TestA8MutatedSamples(t *testing.T) {
	t.Parallel()
	files := seeds(t)
	rapid.Check(t, func(rt *rapid.T) {
		file := bytes.Clone(rapid.SampledFrom(files).Draw(rt, "file"))
		file = file[:min(len(file), rapid.IntRange(100, 40_000).Draw(rt, "length"))]
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			at := rapid.IntRange(0, len(file)-1).Draw(rt, "at")
			switch c := rapid.Byte().Draw(rt, "byte"); rapid.IntRange(0, 2).Draw(rt, "how") {
			case 0:
				file[at] = c
			case 1:
				file = append(file[:at], file[min(len(file), at+int(c)+1):]...)
			case 2:
				file = append(file[:at:at], append([]byte{c}, file[at:]...)...)
			}
			if len(file) == 0 {
				return
			}
		}
		checkAny(t, file)
	})
}

// Values of whole files are those of strconv to the bit, by the fast way and by
// the slow one.
func TestValuesAreThoseOfStrconv(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.StringMatching(`-?[0-9]{1,17}(\.[0-9]{0,17})?([eE][+-]?[0-9]{1,2})?`)
		cells := rapid.SliceOfN(number, 1, 40).Draw(rt, "cells")
		quoted := rapid.Bool().Draw(rt, "quoted")
		var file strings.Builder
		file.WriteString("Time (s),A\n")
		for i, c := range cells {
			if quoted {
				c = `"` + c + `"`
			}
			file.WriteString(strconv.Itoa(i) + "," + c + "\n")
		}
		k, err := readFile(t, []byte(file.String()), format.Settings{})
		if err != nil {
			rt.Fatal(err)
		}
		if len(k.problems) > 0 || len(k.samples[0]) != len(cells) {
			rt.Fatalf("%v, %d samples of %q", k.problems, len(k.samples[0]), cells)
		}
		for i, s := range k.samples[0] {
			want, err := strconv.ParseFloat(cells[i], 64)
			if err != nil || math.Float64bits(s.Value) != math.Float64bits(want) || s.Time != int64(i)*1e6 {
				rt.Fatalf("%q: %v, want %v", cells[i], s.Value, want)
			}
		}
	})
}
