package mlg_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/format/mlg"
	"dynotap/sample"

	"pgregory.net/rapid"
)

type row struct {
	at     time.Duration
	values []float64
}

func write(tb testing.TB, fields []mlg.Field, started time.Time, rows []row) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := mlg.NewWriter(&out, fields, started)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Write(r.at, r.values); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// What is written reads back: values to 32 bits of float, times to 10 µs,
// missing as missing.
func TestMLGWriteThenRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "fields")
		fields := make([]mlg.Field, n)
		for i := range fields {
			fields[i] = mlg.Field{
				Name: rapid.StringN(0, 50, 60).Draw(t, "name"),
				Unit: rapid.SampledFrom([]sample.Unit{sample.RPM, sample.Fahrenheit, sample.Celsius, sample.FootPound, sample.NewtonMetre, sample.Degree, sample.AFR, sample.RPMPerKilometreHour, sample.NoUnit}).Draw(t, "unit"),
			}
		}
		var rows []row
		at := time.Duration(0)
		for range rapid.IntRange(0, 40).Draw(t, "rows") {
			at += time.Duration(rapid.Int64Range(10_000, 3_000_000_000).Draw(t, "step"))
			values := make([]float64, n)
			for i := range values {
				values[i] = rapid.OneOf(rapid.Float64Range(-1e6, 1e6), rapid.SampledFrom([]float64{0, math.NaN(), math.Inf(1), 3e38})).Draw(t, "value")
			}
			rows = append(rows, row{at, values})
		}
		var started time.Time
		if rapid.Bool().Draw(t, "dated") {
			started = time.Unix(rapid.Int64Range(700000000, math.MaxUint32).Draw(t, "started"), 0)
		}
		var out bytes.Buffer
		w, err := mlg.NewWriter(&out, fields, started)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := w.Write(r.at, r.values); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, out.Bytes(), fields, started, rows)
	})
}

func check(t *rapid.T, file []byte, fields []mlg.Field, started time.Time, rows []row) {
	k, err := tryRead(file)
	if err != nil {
		t.Fatal(err)
	}
	base := int64(0)
	if !started.IsZero() {
		base = started.UnixMicro()
	}
	if k.runs[0].Dated != !started.IsZero() || k.problems.Count != 0 {
		t.Fatalf("dated %t, problems %v", k.runs[0].Dated, k.problems.Kept)
	}
	if k.set == nil { // nothing but missing values: no batch came
		if len(k.samples) > 0 {
			t.Fatal("samples without channels")
		}
		fields = nil
	} else if k.set.Len() != len(fields) {
		t.Fatalf("%d channels", k.set.Len())
	}
	for i, f := range fields {
		if got := k.set.Channels()[i].NativeUnit; got != f.Unit {
			t.Fatalf("unit %q is %q", f.Unit, got)
		}
	}
	next := 0
	for _, r := range rows {
		for c, v := range r.values {
			if math.IsNaN(v) {
				continue
			}
			if next == len(k.samples) {
				t.Fatalf("only %d samples", next)
			}
			s := k.samples[next]
			next++
			if s.Channel != uint32(c) || s.Value != float64(float32(v)) {
				t.Fatalf("sample %d: channel %d is %g, want channel %d %g", next, s.Channel, s.Value, c, v)
			}
			if off := s.Time - base - r.at.Microseconds(); off < -6 || off > 6 {
				t.Fatalf("sample %d is %d µs off", next, off)
			}
		}
	}
	if next != len(k.samples) {
		t.Fatalf("%d samples, want %d", len(k.samples), next)
	}
}

func TestMLGNamesStayApart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 40)
	fields := []mlg.Field{{Name: "Time"}, {Name: "RPM"}, {Name: "rpm"}, {Name: long}, {Name: long}, {Name: ""}, {Name: "a\x00b"}}
	k := read(t, write(t, fields, time.Time{}, []row{{0, make([]float64, 7)}}))
	want := []string{"Time 2", "RPM", "rpm 2", long[:32], long[:30] + " 2", "field", "ab"}
	if !slices.Equal(k.labels(), want) {
		t.Errorf("names %q", k.labels())
	}
}

func TestMLGWriterRefuses(t *testing.T) {
	t.Parallel()
	if _, err := mlg.NewWriter(&bytes.Buffer{}, make([]mlg.Field, mlg.MaxFields+1), time.Time{}); err == nil {
		t.Error("too many fields")
	}
	if _, err := mlg.NewWriter(&bytes.Buffer{}, nil, time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("a date before 1970")
	}
	w, err := mlg.NewWriter(&bytes.Buffer{}, []mlg.Field{{Name: "x"}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(time.Second, []float64{1e300}); err != nil || w.Unfit() != 1 {
		t.Errorf("too large a value: %v, %d counted", err, w.Unfit())
	}
	if err := w.Write(0, []float64{1}); !errors.Is(err, mlg.ErrOrder) {
		t.Errorf("back in time: %v", err)
	}
	if err := w.Mark(0, "x"); !errors.Is(err, mlg.ErrOrder) {
		t.Errorf("marker back in time: %v", err)
	}
	if err := w.Write(time.Minute, []float64{1, 2}); err == nil {
		t.Error("too many values")
	}
	if err := w.Write(mlg.MaxDuration+1, []float64{1}); err == nil {
		t.Error("too late")
	}
	if err := w.Write(mlg.MaxDuration, []float64{1}); err != nil {
		t.Error(err)
	}
}

// The most fields that fit read back.
func TestMLGMostFields(t *testing.T) {
	t.Parallel()
	fields := make([]mlg.Field, mlg.MaxFields)
	values := make([]float64, mlg.MaxFields)
	for i := range values {
		values[i] = float64(i)
	}
	k := read(t, write(t, fields, time.Time{}, []row{{0, values}, {time.Hour, values}}))
	if len(k.samples) != 2*mlg.MaxFields || k.samples[mlg.MaxFields+5].Value != 5 || k.samples[mlg.MaxFields].Time != 3600e6 {
		t.Errorf("%d samples", len(k.samples))
	}
}
