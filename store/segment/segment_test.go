package segment

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dynotap/sample"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

func writeFile(tb testing.TB, path string, info Info, parts []part) *Info {
	tb.Helper()
	file, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	w, err := NewWriter(file, info)
	if err != nil {
		tb.Fatal(err)
	}
	if err := writeParts(w, parts); err != nil {
		tb.Fatal(err)
	}
	got, err := w.Close()
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func readAll(tb testing.TB, f *File, i int, from, to int64, native bool) []Point {
	tb.Helper()
	c := f.Read(i, from, to, native)
	var all []Point
	for {
		points, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, points...)
	}
	if err := c.Damage(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// equal compares bit by bit, NaN included.
func equal(a, b []Point) bool {
	return slices.EqualFunc(a, b, func(x, y Point) bool {
		return x.Time == y.Time && x.Quality == y.Quality && math.Float64bits(x.Value) == math.Float64bits(y.Value)
	})
}

func TestFileGivesBackEveryRowAndItsDescription(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.parquet")
	info, parts := session(7, 300_000)
	written := writeFile(t, path, info, parts)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Info(); got.Rows != written.Rows || got.Capture != "c" || len(got.Channels) != 7 {
		t.Fatalf("info %+v", got)
	}
	for i, part := range parts {
		if got := readAll(t, f, i, math.MinInt64, math.MaxInt64, true); !equal(got, part.points) {
			t.Fatalf("channel %d: native rows differ", i)
		}
		c := &f.Info().Channels[i]
		want := slices.Clone(part.points)
		for k := range want {
			want[k].Value = c.Conversion().Apply(want[k].Value)
		}
		if got := readAll(t, f, i, math.MinInt64, math.MaxInt64, false); !equal(got, want) {
			t.Fatalf("channel %d: rows differ", i)
		}
		from, to := want[100].Time, want[40_000].Time
		inside := slices.DeleteFunc(slices.Clone(want), func(p Point) bool { return p.Time < from || p.Time > to })
		if got := readAll(t, f, i, from, to, false); !equal(got, inside) {
			t.Fatalf("channel %d: %d rows from %d to %d, want %d", i, len(got), from, to, len(inside))
		}
	}
}

// TestOrdinaryReadersSeeTheSameRows reads the file without our metadata, as
// other programs do.
func TestOrdinaryReadersSeeTheSameRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.parquet")
	described := []sample.Channel{
		{Key: "a/1/0", Provider: "a", ID: 1, Label: "Power", Name: "horsepower", NativeUnit: sample.Kilowatt, Unit: sample.Horsepower},
		{Key: "b/1/0", Provider: "b", ID: 1, Label: "Grüße", NativeUnit: sample.RPM, Unit: sample.RPM},
	}
	info := Info{Capture: "c", Kind: "import"}
	for i := range described {
		info.Channels = append(info.Channels, Describe("s", described[i].Key, &described[i]))
	}
	info.Channels[0].Native = NativeColumn
	info.Channels[1].Native = NativeSame
	parts := []part{
		{0, []Point{{1_000_000, 63.4, sample.Good}, {1_000_500, math.NaN(), sample.Bad}}},
		{1, []Point{{-5, 3500, sample.Suspect}, {7, 0, sample.Good}, {7, math.Inf(1), sample.Bad}}},
	}
	writeFile(t, path, info, parts)

	type row struct {
		Channel string   `parquet:"channel"`
		Name    string   `parquet:"name"`
		Unit    string   `parquet:"unit"`
		Time    int64    `parquet:"time,timestamp(microsecond)"`
		Value   float64  `parquet:"value"`
		Quality string   `parquet:"quality"`
		Native  *float64 `parquet:"native_value,optional"`
	}
	rows, err := parquet.ReadFile[row](path)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 {
		t.Fatalf("%d rows", len(rows))
	}
	if r := rows[0]; r.Channel != "a/1/0" || r.Name != "horsepower" || r.Unit != "hp" || r.Time != 1_000_000 ||
		math.Abs(r.Value-85.02) > 0.01 || r.Quality != "good" || r.Native == nil || *r.Native != 63.4 {
		t.Errorf("first row %+v", r)
	}
	if r := rows[1]; !math.IsNaN(r.Value) || r.Quality != "bad" || r.Native == nil || !math.IsNaN(*r.Native) {
		t.Errorf("second row %+v", r)
	}
	if r := rows[2]; r.Name != "Grüße" || r.Time != -5 || r.Value != 3500 || r.Quality != "suspect" || r.Native != nil {
		t.Errorf("third row %+v", r)
	}
	if r := rows[4]; !math.IsInf(r.Value, 1) || r.Native != nil {
		t.Errorf("last row %+v", r)
	}
	checkStatistics(t, path)
}

// checkStatistics compares the footer's bounds with the rows.
func checkStatistics(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(file, stat.Size())
	if err != nil {
		t.Fatal(err)
	}
	meta := f.Metadata().RowGroups[0]
	want := map[int][2]any{
		columnChannel: {"a/1/0", "b/1/0"}, columnTime: {int64(-5), int64(1_000_500)},
		columnValue: {math.Copysign(0, -1), math.Inf(1)}, columnQuality: {"bad", "suspect"},
	}
	for column, bounds := range want {
		s := meta.Columns[column].MetaData.Statistics
		for i, got := range [][]byte{s.MinValue, s.MaxValue} {
			var value any
			switch bounds[i].(type) {
			case string:
				value = string(got)
			case int64:
				value = int64(binary.LittleEndian.Uint64(got))
			case float64:
				value = math.Float64frombits(binary.LittleEndian.Uint64(got))
			}
			if value != bounds[i] {
				t.Errorf("column %d: bound %d is %v, want %v", column, i, value, bounds[i])
			}
		}
	}
	if n := meta.Columns[columnNative].MetaData.Statistics.NullCount; n != 3 {
		t.Errorf("%d nulls, want 3", n)
	}
	index, err := f.RowGroups()[0].ColumnChunks()[columnChannel].ColumnIndex()
	if err != nil {
		t.Fatal(err)
	}
	if index.NumPages() != 2 || string(index.MinValue(1).ByteArray()) != "b/1/0" {
		t.Errorf("%d pages, the second begins with %v", index.NumPages(), index.MinValue(1))
	}
}

func TestNativeFormIsTheCheapestExactOne(t *testing.T) {
	t.Parallel()
	power, _ := sample.Kilowatt.To(sample.Horsepower)
	heat, _ := sample.Celsius.To(sample.Fahrenheit)
	same, _ := sample.RPM.To(sample.RPM)
	for _, c := range []struct {
		name   string
		conv   sample.Conversion
		values []float64
		want   Native
	}{
		{"no conversion", same, []float64{1.1, math.NaN()}, NativeSame},
		{"32 bits", power, []float64{float64(float32(63.4)), 0, math.NaN(), math.Inf(-1)}, NativeFloat32},
		{"32 bits with offset", heat, []float64{float64(float32(21.3)), -40}, NativeFloat32},
		{"64 bits that come back", sample.Conversion{Scale: 2}, []float64{0.1}, NativeFloat64},
		{"64 bits that do not", heat, []float64{21.3, 0.1, 0.3, 1e-9}, NativeColumn},
		{"overflow", power, []float64{math.MaxFloat64}, NativeColumn},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check := NewNativeCheck(c.conv)
			for _, v := range c.values {
				check.See(v)
			}
			if got := check.Form(); got != c.want {
				t.Errorf("form %s, want %s", got, c.want)
			}
		})
	}
}

// TestRandomFilesComeBack lets rapid choose channels, units, values and how
// the rows are handed over.
func TestRandomFilesComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		units := []sample.Unit{sample.Kilowatt, sample.Celsius, sample.RPM, ""}
		shown := []sample.Unit{sample.Horsepower, sample.Fahrenheit, sample.RPM, ""}
		info := Info{Capture: "c"}
		var parts []part
		for i := range rapid.IntRange(0, 5).Draw(t, "channels") {
			u := rapid.IntRange(0, 3).Draw(t, "unit")
			described := sample.Channel{Key: string(rune('a' + i)), NativeUnit: units[u], Unit: shown[u]}
			ch := Describe("s", described.Key, &described)
			check := NewNativeCheck(ch.Conversion())
			times := rapid.SliceOfN(rapid.Int64Range(-1e6, 1e15), 0, 200).Draw(t, "times")
			slices.Sort(times)
			points := make([]Point, len(times))
			for k, at := range times {
				v := rapid.Float64().Draw(t, "value")
				if rapid.Bool().Draw(t, "narrow") {
					v = float64(float32(v))
				}
				points[k] = Point{at, v, sample.Quality(rapid.IntRange(0, 2).Draw(t, "quality"))}
				check.See(v)
			}
			ch.Native = check.Form()
			info.Channels = append(info.Channels, ch)
			half := len(points) / 2
			parts = append(parts, part{i, points[:half]}, part{i, points[half:]})
		}
		file, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(file.Name())
		defer file.Close()
		w, err := NewWriter(file, info)
		if err != nil {
			t.Fatal(err)
		}
		for rest := parts; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "at once")
			if err := writeParts(w, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := Open(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := range info.Channels {
			want := slices.Concat(parts[2*i].points, parts[2*i+1].points)
			var got []Point
			c := f.Read(i, math.MinInt64, math.MaxInt64, true)
			for points, err := c.Next(); err == nil; points, err = c.Next() {
				got = append(got, points...)
			}
			if c.Damage() != nil || !slices.EqualFunc(got, want, func(a, b Point) bool {
				return a.Time == b.Time && a.Quality == b.Quality && same(a.Value, b.Value)
			}) {
				t.Fatalf("channel %d: got %v, want %v (damage %v)", i, got, want, c.Damage())
			}
		}
	})
}

func TestWriterRefusesRowsOutOfOrder(t *testing.T) {
	t.Parallel()
	info, _ := session(2, 10)
	for name, parts := range map[string][]part{
		"channel": {{1, []Point{{Time: 1}}}, {0, []Point{{Time: 1}}}},
		"time":    {{0, []Point{{Time: 2}}}, {0, []Point{{Time: 1}}}},
		"unknown": {{2, []Point{{Time: 1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := NewWriter(io.Discard, info)
			if err != nil {
				t.Fatal(err)
			}
			if err := writeParts(w, parts); err == nil {
				if _, err = w.Close(); err == nil {
					t.Error("no error")
				}
			}
		})
	}
}
