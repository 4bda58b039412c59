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
	warnings []string
	run      format.Run
	runs     int
}

func (k *taken) Begin(r format.Run) error { k.run, k.runs = r, k.runs+1; return nil }
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
func (k *taken) Warn(text string) { k.warnings = append(k.warnings, text) }

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

func TestA3SignalsGetTheirCanonicalNames(t *testing.T) {
	t.Parallel()
	names := [][2]string{
		{"RPM", channel.RPM}, {"MAP", channel.MAP}, {"TP", channel.TPS}, {"ET", channel.ECT}, {"IAT", channel.IAT},
		{"WBO2 F", channel.AFRFront}, {"WBO2 R", channel.AFRRear}, {"VE Front", "ve_front"}, {"VE Rear", "ve_rear"},
		{"Advance F", "spark_advance_front"}, {"Advance R", "spark_advance_rear"}, {"Spark Knock F", "knock_front"},
		{"Spark Knock R", "knock_rear"}, {"VSS", channel.Speed}, {"B+", "voltage"}, {"Set Lambda", "lambda_target"},
		{"INJ PW F", "injector_time_front"}, {"INJ PW R", "injector_time_rear"}, {"Raw", ""},
	}
	file, rows := "\"Dynojet Power Vision Log File\"\n", "\n\"Time(ms)\",\"Signal\",\"Value\"\n"
	for i, n := range names {
		file += fmt.Sprintf("%d,\"J1850\",\"12\",\"%s\",\"\",\"\",\"#ff0000\"\n", i, n[0])
		rows += fmt.Sprintf("%d,%d,1\n", i, i)
	}
	k, err := read(t, []byte(file+rows))
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for i, c := range k.channels {
		if c.Label != names[i][0] || resolver.Resolve(c).Name != names[i][1] || c.Provider != provider {
			t.Errorf("%s of %s is %q, want %q", c.Label, c.Provider, resolver.Resolve(c).Name, names[i][1])
		}
		keys[c.Key] = true
	}
	if len(keys) != len(names) {
		t.Errorf("%d keys of %d signals", len(keys), len(names))
	}
}

func TestA3TheHeadIsKept(t *testing.T) {
	t.Parallel()
	k, err := read(t, []byte(strings.Replace(small, "\n0,\"J", "\n\"Vehicle:\",\"FLHX\"\n0,\"J", 1)))
	if err != nil || !slices.Equal(k.run.Notes, []string{`"Vehicle:","FLHX"`}) || k.run.Facts["format"] != "Pro-XY CSV 1.0.0" || k.runs != 1 {
		t.Errorf("%v, %+v", err, k.run)
	}
}

func TestA2HexadecimalIsDecidedBySignal(t *testing.T) {
	t.Parallel()
	head, _, _ := strings.Cut(small, "0,0,1000")
	for name, test := range map[string]struct {
		rows, want, problems []string
		warned               bool
	}{
		"digits":                        {[]string{"0,0,10", "1,0,26"}, []string{"0 RPM 10", "1000 RPM 26"}, nil, false},
		"a letter behind":               {[]string{"0,0,10", "1,0,26D"}, []string{"0 RPM 16", "1000 RPM 621"}, nil, true},
		"the other signal stays":        {[]string{"0,7,2A", "1,0,26"}, []string{"0 Raw 42", "1000 RPM 26"}, nil, true},
		"an exponent is a number":       {[]string{"0,0,1.5E-05", "1,0,2.5"}, []string{"0 RPM 1.5e-05", "1000 RPM 2.5"}, nil, false},
		"one damaged cell of decimals":  {[]string{"0,0,10.5", "1,0,26.5", "2,0,1F0"}, []string{"0 RPM 10.5", "1000 RPM 26.5"}, []string{"10:3"}, false},
		"one damaged cell of hexadecim": {[]string{"0,0,1A", "1,0,2B", "2,0,1.0"}, []string{"0 RPM 26", "1000 RPM 43"}, []string{"10:3"}, true},
		"too large":                     {[]string{"0,0,FFFFFFFFFFFFFFFFFF", "1,0,F"}, []string{"1000 RPM 15"}, []string{"8:3"}, true},
	} {
		k, err := read(t, []byte(head+strings.Join(test.rows, "\n")+"\n"))
		if err != nil || !slices.Equal(k.values, test.want) || !slices.Equal(k.problems, test.problems) || (len(k.warnings) > 0) != test.warned {
			t.Errorf("%s: %v, %v, %v, %q", name, err, k.values, k.problems, k.warnings)
		}
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
