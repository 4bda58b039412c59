package msl

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dynotap/format"
	"dynotap/sample"
)

const small = "\"MS2Extra comms330\"\r\n\"Capture Date: Mon Nov 23 14:00:00 2026\"\r\n" +
	"Time\tRPM\tMAP\tAFR\r\ns\trpm\tkPa\tAFR\r\n" +
	"0.000\t900\t40.1\t14.7\r\n0.100\t905\t\t14.6\r\nMARK 001 - Manual - Mon Nov 23\r\n0.200\t910\t40.3\t14.5\r\n"

type taken struct {
	tb       testing.TB
	runs     []format.Run
	units    []sample.Unit
	values   []string
	problems []string
	warnings []string
}

func (k *taken) Begin(r format.Run) error { k.runs = append(k.runs, r); return nil }
func (k *taken) Batch(b *sample.Batch) error {
	k.units = nil
	list := b.Set.Channels()
	for _, c := range list {
		k.units = append(k.units, c.NativeUnit)
	}
	for _, s := range b.Samples {
		k.values = append(k.values, fmt.Sprintf("%d %s %g", s.Time/1000, list[s.Channel].Label, s.Value))
	}
	return nil
}

func (k *taken) Problem(p format.Problem) {
	if p.Line < 1 || p.Message == "" {
		k.tb.Errorf("problem %+v", p)
	}
	k.problems = append(k.problems, fmt.Sprintf("%d:%d", p.Line, p.Column))
}
func (k *taken) Warn(text string) { k.warnings = append(k.warnings, text) }

func read(tb testing.TB, file string) (*taken, error) {
	tb.Helper()
	k := &taken{tb: tb}
	return k, New(format.Settings{}).Read(tb.Context(), strings.NewReader(file), int64(len(file)), k)
}

var wantSmall = []string{
	"0 RPM 900", "0 MAP 40.1", "0 AFR 14.7", "100 RPM 905", "100 AFR 14.6", "200 RPM 910", "200 MAP 40.3", "200 AFR 14.5",
}

func TestALogWithUnitsAndMarkers(t *testing.T) {
	t.Parallel()
	k, err := read(t, small)
	if err != nil || !slices.Equal(k.values, wantSmall) || len(k.problems) > 0 {
		t.Fatalf("%v, %v, %v", err, k.values, k.problems)
	}
	if !slices.Equal(k.units, []sample.Unit{sample.RPM, sample.Kilopascal, sample.AFR}) {
		t.Errorf("units %q", k.units)
	}
	if len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "MARK 001") || len(k.runs[0].Notes) != 2 {
		t.Errorf("%q, %+v", k.warnings, k.runs)
	}
}

func TestTheNamesAgainBeginAnotherRun(t *testing.T) {
	t.Parallel()
	_, body, _ := strings.Cut(small, "2026\"\r\n")
	k, err := read(t, small+body)
	if err != nil || len(k.runs) != 2 || !slices.Equal(k.values, append(slices.Clone(wantSmall), wantSmall...)) || len(k.problems) > 0 {
		t.Errorf("%v, %d runs, %v, %v", err, len(k.runs), k.values, k.problems)
	}
}

func TestA1DetectionByContentFirst(t *testing.T) {
	t.Parallel()
	f := New(format.Settings{})
	bare := "Time\tRPM\tMAP\n0\t900\t40\n"
	for _, test := range []struct {
		file, name string
		want       format.Confidence
	}{
		{small, "x.csv", format.ByContent}, {small, "x.msl", format.ByContent}, {bare, "x.msl", format.ByContent},
		{bare, "x.csv", format.No}, {"", "x.msl", format.No}, {"\x00\x01", "x.msl", format.No}, {"time,rpm,map\n0,1,2\n", "x.msl", format.No},
	} {
		if c := f.Detect([]byte(test.file), test.name); c != test.want {
			t.Errorf("%q as %s: %d", test.file, test.name, c)
		}
	}
	if k, err := read(t, bare); err != nil || !slices.Equal(k.values, []string{"0 RPM 900", "0 MAP 40"}) {
		t.Errorf("%v, %v", err, k.values)
	}
}

func TestA2DamageSpoilsWhatItHitsAndIsLocated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  string
		want []string
	}{
		"bad cell":       {"0.3\tx\t40\t14\n", []string{"9:2"}},
		"bad time":       {"x\t900\t40\t14\n", []string{"9:1"}},
		"too many cells": {"0.3\t900\t40\t14\t5\n", []string{"9:5"}},
		"too few cells":  {"0.3\t900\n", []string{"9:3"}},
		"cut off":        {"0.3\t90", []string{"9:0"}},
		"blank":          {"\n\r\n", nil},
	} {
		k, err := read(t, small+test.row)
		if err != nil || !slices.Equal(k.problems, test.want) {
			t.Errorf("%s: %v, %v", name, err, k.problems)
		}
	}
}

func TestA8AnyByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	for i := range len(small) {
		for bit := range 8 {
			damaged := []byte(small)
			damaged[i] ^= 1 << bit
			_, _ = read(t, string(damaged)) // it may fail, and must not panic
		}
	}
}

func FuzzMSL(f *testing.F) {
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, file []byte) {
		New(format.Settings{}).Detect(file, "x.msl")
		_, _ = read(t, string(bytes.Clone(file)))
	})
}
