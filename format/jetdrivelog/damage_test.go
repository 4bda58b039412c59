package jetdrivelog

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/formattest"
	"dynotap/sample"
)

func utc(tb testing.TB) *Format {
	tb.Helper()
	f, err := New(format.Settings{Zone: time.UTC})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func labelled(k *formattest.Sink, run int, label string) (values []float64) {
	for _, s := range k.Runs[run].Of(k.TB, label) {
		values = append(values, s.Value)
	}
	return values
}

func places(k *formattest.Sink) (out []int64) {
	for _, p := range k.Problems {
		out = append(out, p.Line, int64(p.Column))
	}
	return out
}

func TestA2TheHeaderAgainBeginsAnotherRun(t *testing.T) {
	t.Parallel()
	k, err := formattest.Read(t, utc(t), []byte(small+small))
	if err != nil || len(k.Runs) != 2 || len(k.Problems) > 0 {
		t.Fatal(err, len(k.Runs), k.Problems)
	}
	for run := range k.Runs {
		if got := labelled(k, run, "Engine Speed"); !slices.Equal(got, []float64{1000, 1001}) {
			t.Errorf("run %d: %v", run, got)
		}
	}
}

// Below another header the same place means another channel.
func TestA2RowsOfAnotherHeaderAreNotTaken(t *testing.T) {
	t.Parallel()
	other := strings.Replace(small, "Engine Speed", "Throttle Position", 1)
	k, err := formattest.Read(t, utc(t), []byte(small+other+small))
	if err != nil || len(k.Runs) != 2 || !slices.Equal(places(k), []int64{5, 0, 6, 0, 7, 0, 8, 0}) {
		t.Fatalf("%v, %d runs, %v", err, len(k.Runs), k.Problems)
	}
	if k.Samples() != 10 {
		t.Errorf("%d samples", k.Samples())
	}
}

// What a mixture is may show late, and one bad cell does not decide it.
func TestA3AnAFRUnderALambdaNameIsFoundByTheWholeColumn(t *testing.T) {
	t.Parallel()
	head, row := `"Timestamp","Engine Speed","Desired Lambda"`+"\n", `"2026-01-02 10:00:00","1000","@"`+"\n"
	rows := func(n int, v string) string { return strings.Repeat(strings.ReplaceAll(row, "@", v), n) }
	for name, test := range map[string]struct {
		file string
		unit sample.Unit
		as   string
	}{
		"late":            {rows(50_000, "0.0") + rows(1, "14.6"), sample.AFR, channel.AFRTarget},
		"one low":         {rows(1, "0.9") + rows(3, "14.6"), sample.AFR, channel.AFRTarget},
		"one high":        {rows(1, "146") + rows(3, "0.98"), sample.Lambda, channel.LambdaTarget},
		"never":           {rows(3, "0.0"), sample.Lambda, channel.LambdaTarget},
		"not of all rows": {rows(3, "0.95") + `"2026-01-02 10:00:00","14.6"` + "\n", sample.Lambda, channel.LambdaTarget},
	} {
		k, err := formattest.Read(t, utc(t), []byte(head+test.file))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := k.Runs[0].Channels[k.Runs[0].Channel(t, "Desired Lambda")]
		resolver, _ := channel.NewResolver(nil)
		if c.NativeUnit != test.unit || resolver.Resolve(c).Name != test.as {
			t.Errorf("%s: %s as %s", name, c.NativeUnit, resolver.Resolve(c).Name)
		}
	}
}

func TestV7TimesThatGoBackAreSaidOnce(t *testing.T) {
	t.Parallel()
	back := `"2026-01-02 09:00:00","5","14.6","0"` + "\n"
	k, err := formattest.Read(t, utc(t), []byte(small+back+strings.Replace(back, "09:", "11:", 1)+back))
	if err != nil || len(k.Warnings) != 1 || !strings.HasPrefix(k.Warnings[0], "line 5: times go back") || !slices.Equal(labelled(k, 0, "Engine Speed"), []float64{1000, 1001, 5}) {
		t.Errorf("%v, %q, %v", err, k.Warnings, labelled(k, 0, "Engine Speed"))
	}
}

func TestA2ANamelessColumnIsKept(t *testing.T) {
	t.Parallel()
	k, err := formattest.Read(t, utc(t), []byte(strings.Replace(small, "Engine Speed", "", 1)))
	if err != nil || !slices.Equal(labelled(k, 0, "column_2"), []float64{1000, 1001}) {
		t.Errorf("%v, %v", err, k.Runs)
	}
}

func TestA8EveryByteOfTheRealCapturesMayBeDamaged(t *testing.T) {
	t.Parallel()
	f := utc(t)
	for _, name := range []string{"jetdrive-capture-idle.csv", "jetdrive-capture-engine-off.csv"} {
		file := theSample(t, name)
		lines := bytes.SplitAfter(file, []byte("\n"))
		for i, head := range formattest.Damaged(lines[0]) {
			file := slices.Concat(head, lines[1], lines[2])
			sink := &formattest.Sink{TB: t}
			if err := f.Read(t.Context(), bytes.NewReader(file), int64(len(file)), sink); sink.Samples() > len(file)/2 {
				t.Fatalf("%s, byte %d: %v, %d samples", name, i, err, sink.Samples())
			}
		}
		for i, damaged := range formattest.DamagedRows(file) {
			sink := &formattest.Sink{TB: t}
			err := f.Read(t.Context(), bytes.NewReader(damaged), int64(len(damaged)), sink)
			if err != nil || len(sink.Runs) == 0 || sink.Samples() > len(damaged)/2 || len(sink.Problems) > 4*len(lines) {
				t.Fatalf("%s, byte %d: %v, %d samples, %d problems", name, i, err, sink.Samples(), len(sink.Problems))
			}
		}
	}
}

func TestA8WhatWasReadBeforeAnErrorIsKept(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString(small)
	for i := range 20_000 {
		file.WriteString(`"2026-01-02 10:00:01","` + "12"[i%2:i%2+1] + `","14.6","0"` + "\n")
	}
	sink := &formattest.Sink{TB: t}
	err := utc(t).Read(t.Context(), formattest.Failing{In: strings.NewReader(file.String()), From: 600_000}, int64(file.Len()), sink)
	if !errors.Is(err, iotest.ErrTimeout) || sink.Samples() < 5_000 {
		t.Errorf("%d samples, %v", sink.Samples(), err)
	}
}

func TestA8TooManyColumnsAreRefused(t *testing.T) {
	t.Parallel()
	for columns, refused := range map[int]bool{mostColumns: false, mostColumns + 1: true, 1 << 20: true} {
		_, err := formattest.Read(t, utc(t), []byte(`"Timestamp"`+strings.Repeat(`,"x"`, columns-1)+"\n"))
		if errors.Is(err, errColumns) != refused || !refused && err != nil {
			t.Errorf("%d columns: %v", columns, err)
		}
	}
}

// All that is ever allocated is counted, in two passes, not what is held at once.
func TestA8MemoryIsBounded(t *testing.T) { // alone: others allocate, too
	const bound = 100
	head, row, _ := strings.Cut(small, "\n")
	row, _, _ = strings.Cut(row, "\n")
	for name, file := range map[string]string{
		"rows":                head + "\n" + strings.Repeat(row+"\n", 300_000),
		"a row without end":   head + "\n" + strings.Repeat("1", 8<<20),
		"a head without end":  `"Timestamp","chan_1` + strings.Repeat("1", 8<<20),
		"headers":             strings.Repeat(head+"\n", 20_000),
		"quotes":              head + "\n" + strings.Repeat("\"\n", 1<<18),
		"separators":          head + "\n" + strings.Repeat(`"",`, 2<<20),
		"quotes of one line":  head + "\n" + strings.Repeat(`"`, 2<<20),
		"mixture never shown": strings.ReplaceAll(head+"\n"+strings.Repeat(row+"\n", 300_000), "14.7", "0.0"),
	} {
		allocated, err := formattest.Allocated(t, utc(t), []byte(file))
		if used := allocated >> 20; used > bound {
			t.Errorf("%s: %d MiB were allocated for %d KiB: %v", name, used, len(file)>>10, err)
		}
	}
}

func FuzzJetDriveLog(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(small + small))
	f.Add([]byte(strings.ReplaceAll(small, "\n", "\r")))
	format := utc(f)
	f.Fuzz(func(t *testing.T, file []byte) { formattest.CheckAny(t, format, file, "a.csv", false) })
}
