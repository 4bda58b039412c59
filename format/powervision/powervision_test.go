package powervision

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/sample"
)

const small = `"Dynojet Power Vision Log File"
"Format:","Pro-XY CSV 1.0.0"
0,"J1850","12","RPM","rpm","Engine speed","#ff0000"
1,"J1850","13","WBO2 F","AFR","Front wideband","#00ff00"
7,"J1850","14","Raw","","Raw value","#0000ff"

"Time(ms)","Signal","Value"
0,0,1000
20,1,13.2
20,7,26
40,7,26D
45.5,0,1010.5
`

type taken struct {
	tb       testing.TB
	channels []sample.Channel
	values   []string
	problems []string
}

func (k *taken) Begin(format.Run) error { return nil }
func (k *taken) Batch(b *sample.Batch) error {
	k.channels = b.Set.Channels()
	for _, s := range b.Samples {
		k.values = append(k.values, fmt.Sprintf("%d %s %g", s.Time, k.channels[s.Channel].Label, s.Value))
	}
	return nil
}

func (k *taken) Problem(p format.Problem) {
	if p.Line < 1 || p.Message == "" {
		k.tb.Errorf("problem %+v", p)
	}
	k.problems = append(k.problems, fmt.Sprintf("%d:%d", p.Line, p.Column))
}
func (k *taken) Warn(string) {}

func read(tb testing.TB, file []byte) (*taken, error) {
	tb.Helper()
	k := &taken{tb: tb}
	return k, New(format.Settings{}).Read(tb.Context(), bytes.NewReader(file), int64(len(file)), k)
}

func zipped(tb testing.TB, names ...string) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		content := "nothing of interest"
		if strings.HasSuffix(name, ".csv") {
			content = small
		}
		if _, err := f.Write([]byte(content)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(tb testing.TB, content string) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(content)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestA2TheLogIsReadAsTextAndInContainers(t *testing.T) {
	t.Parallel()
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(small)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0 RPM 1000", "20000 WBO2 F 13.2", "20000 Raw 38", "40000 Raw 621", "45500 RPM 1010.5"}
	for name, file := range map[string][]byte{
		"text.csv": []byte(small), "bom.txt": []byte("\ufeff" + small), "wide.csv": []byte(utf16),
		"crlf.pvlog": []byte(strings.ReplaceAll(small, "\n", "\r\n")), "gzip.pvlog": gzipped(t, small),
		"gzip-wide.pvlog": gzipped(t, utf16), "zip.pvlog": zipped(t, "readme.txt", "log.csv"),
	} {
		if c := New(format.Settings{}).Detect(file, name); c != format.Signature {
			t.Errorf("%s: confidence %d", name, c)
		}
		k, err := read(t, file)
		if err != nil || !slices.Equal(k.values, want) || len(k.problems) > 0 {
			t.Errorf("%s: %v, %v, %v", name, err, k.values, k.problems)
		}
	}
}

func TestSignalsGetTheirCanonicalNames(t *testing.T) {
	t.Parallel()
	k, err := read(t, []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range k.channels {
		got = append(got, resolver.Resolve(c).Name)
	}
	if !slices.Equal(got, []string{channel.RPM, channel.AFRFront, ""}) {
		t.Errorf("%q", got)
	}
}

func TestA2DamageSpoilsWhatItHitsAndIsLocated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  string
		want []string
	}{
		"bad value":      {"50,0,x\n", []string{"13:3"}},
		"not hex":        {"50,7,2.5\n", []string{"13:3"}},
		"bad time":       {"x,0,1\n", []string{"13:1"}},
		"unknown signal": {"50,3,1\n", []string{"13:2"}},
		"too few cells":  {"50,0\n", []string{"13:0"}},
		"too many cells": {"50,0,1,2\n", []string{"13:4"}},
		"cut off":        {"50,0,10", []string{"13:0"}},
		"missing":        {"50,0,\n60,0,--\n\n", nil},
	} {
		k, err := read(t, []byte(small+test.row))
		if err != nil || !slices.Equal(k.problems, test.want) || len(k.values) != 5 {
			t.Errorf("%s: %v, %v, %v", name, err, k.problems, k.values)
		}
	}
}

func TestA1WhatIsNoLogIsRefusedWithTheMend(t *testing.T) {
	t.Parallel()
	f := New(format.Settings{})
	for name, test := range map[string]struct {
		file       string
		confidence format.Confidence
		says       string
	}{
		"unknown binary": {"\x01\x02\x03\x04", format.ByName, "export it as CSV"},
		"empty":          {"", format.ByName, "export it as CSV"},
		"other zip":      {string(zipped(t, "readme.txt")), format.Signature, "the archive has readme.txt"},
		"broken gzip":    {"\x1f\x8b\x08\x00", format.Signature, "unpack"},
		"other version":  {strings.Replace(small, "Pro-XY CSV 1.0.0", "Pro-XY CSV 2.0.0", 1), format.Signature, "Pro-XY CSV 1 is known"},
		"no rows":        {strings.Split(small, `"Time(ms)"`)[0], format.Signature, "the log has no rows"},
		"twice":          {strings.Replace(small, "\n1,", "\n0,", 1), format.Signature, "described twice"},
	} {
		if c := f.Detect([]byte(test.file), "x.pvlog"); c != test.confidence {
			t.Errorf("%s: confidence %d", name, c)
		}
		if _, err := read(t, []byte(test.file)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c := f.Detect([]byte("time,rpm\n1,2\n"), "x.csv"); c != format.No {
		t.Errorf("a table: %d", c)
	}
}

func TestA8AnyByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	for _, file := range [][]byte{[]byte(small), gzipped(t, small), zipped(t, "a.txt", "log.csv")} {
		for i := range file {
			for bit := range 8 {
				damaged := slices.Clone(file)
				damaged[i] ^= 1 << bit
				_, _ = read(t, damaged) // it may fail, and must not panic
			}
		}
	}
}

func FuzzPowerVision(f *testing.F) {
	f.Add([]byte(small))
	f.Add(gzipped(f, small))
	f.Add(zipped(f, "log.csv"))
	f.Fuzz(func(t *testing.T, file []byte) { _, _ = read(t, file) })
}
