package jetdrivelog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/sample"
)

type taken struct {
	tb       testing.TB
	runs     []format.Run
	channels []sample.Channel
	labels   map[string]int
	samples  [][]sample.Sample // by channel, values converted as the importer does
	problems []string
}

func (k *taken) Begin(r format.Run) error { k.runs = append(k.runs, r); return nil }

func (k *taken) Batch(b *sample.Batch) error {
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		return err
	}
	k.channels = resolver.ResolveSet(b.Set).Channels()
	if k.samples == nil {
		k.samples, k.labels = make([][]sample.Sample, len(k.channels)), map[string]int{}
		for i, c := range k.channels {
			k.labels[c.Label] = i
		}
	}
	for _, s := range b.Samples {
		s.Value = k.channels[s.Channel].Conversion().Apply(s.Value)
		k.samples[s.Channel] = append(k.samples[s.Channel], s)
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

func (k *taken) of(label string) (sample.Channel, []sample.Sample) {
	k.tb.Helper()
	i, ok := k.labels[label]
	if !ok {
		k.tb.Fatalf("no channel %q", label)
	}
	return k.channels[i], k.samples[i]
}

func read(tb testing.TB, file []byte, zone *time.Location) (*taken, error) {
	tb.Helper()
	f, err := New(format.Settings{Zone: zone})
	if err != nil {
		tb.Fatal(err)
	}
	k := &taken{tb: tb}
	return k, f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), k)
}

func theSample(tb testing.TB, name string) []byte {
	tb.Helper()
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "samples")
	}
	file, err := os.ReadFile(filepath.Join(dir, "jetdrive", name))
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			tb.Fatal(err)
		}
		tb.Skip("the shared samples are not here: ", err)
	}
	return file
}

// The counts are those of an independent look at the files: cells that differ
// from the one above.
func TestA7TheRealCaptures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file                string
		channels, samples   int
		start               string
		minRPM, maxRPM      float64
		minTarget, maxCelsi float64
		unnamed             string
	}{
		{"jetdrive-capture-idle.csv", 48, 142, "2025-12-18T23:00:24.584Z", 1018, 2712, 14.28, 109, "chan_10"},
		{"jetdrive-capture-engine-off.csv", 37, 340, "2025-12-18T22:56:53", 0, 1206, 14.28, 89, "chan_0"},
	} {
		file := theSample(t, test.file)
		f, _ := New(format.Settings{})
		if c := f.Detect(file[:min(len(file), format.HeadSize)], "x"); c != format.ByContent {
			t.Errorf("%s: confidence %d", test.file, c)
		}
		k, err := read(t, file, time.UTC)
		if err != nil || len(k.problems) > 0 || len(k.runs) != 1 || !k.runs[0].Dated || k.runs[0].Facts["time_zone"] != "UTC" {
			t.Fatalf("%s: %v, %v, %v", test.file, err, k.problems, k.runs)
		}
		total := 0
		for _, s := range k.samples {
			for i := 1; i < len(s); i++ {
				if s[i].Value == s[i-1].Value {
					t.Errorf("%s: a repeat is a sample: %+v", test.file, s[i])
				}
			}
			total += len(s)
		}
		if len(k.channels) != test.channels || total != test.samples {
			t.Errorf("%s: %d channels, %d samples", test.file, len(k.channels), total)
		}
		rpm, s := k.of("Engine Speed")
		if first := sample.Time(s[0].Time).Format(time.RFC3339Nano); rpm.Name != channel.RPM || !strings.HasPrefix(first, test.start) {
			t.Errorf("%s: %q from %s", test.file, rpm.Name, first)
		}
		low, high := s[0].Value, s[0].Value
		for _, v := range s {
			low, high = min(low, v.Value), max(high, v.Value)
		}
		if low != test.minRPM || high != test.maxRPM {
			t.Errorf("%s: rpm %g to %g", test.file, low, high)
		}
		if c, s := k.of("Desired Lambda"); c.Name != channel.AFRTarget || c.Unit != sample.AFR || s[0].Value < test.minTarget {
			t.Errorf("%s: %+v %v", test.file, c, s[0])
		}
		c, s := k.of("Engine Temperature")
		if c.Name != channel.ECT || c.NativeUnit != sample.Celsius || c.Unit != sample.Fahrenheit {
			t.Errorf("%s: %+v", test.file, c)
		}
		for _, v := range s {
			if v.Value < 177 || v.Value > test.maxCelsi*1.8+33 {
				t.Errorf("%s: engine at %g °F", test.file, v.Value)
			}
		}
		if c, s := k.of(test.unnamed); c.Name != "" || len(s) == 0 {
			t.Errorf("%s: %+v, %d samples", test.file, c, len(s))
		}
	}
}

const small = `"Timestamp","Engine Speed","Desired Lambda","chan_4"
"2026-01-02 10:00:00.000","1000","14.7","0"
"2026-01-02 10:00:00.050","1000","14.6","0"
"2026-01-02 10:00:00.100","1001","14.6",""
`

func TestA5RepeatsAreNoSamplesAndTimesAreOfTheZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("two", 2*3600)
	k, err := read(t, []byte(small), zone)
	if err != nil || len(k.problems) > 0 {
		t.Fatal(err, k.problems)
	}
	_, rpm := k.of("Engine Speed")
	_, target := k.of("Desired Lambda")
	_, unnamed := k.of("chan_4")
	if len(rpm) != 2 || len(target) != 2 || len(unnamed) != 1 || unnamed[0].Value != 0 {
		t.Errorf("%v %v %v", rpm, target, unnamed)
	}
	if at := sample.Time(rpm[1].Time).UTC().Format(stamps); at != "2026-01-02 08:00:00.1" {
		t.Errorf("second rpm at %s", at)
	}
}

func TestA3ALambdaThatIsOneStaysLambda(t *testing.T) {
	t.Parallel()
	k, err := read(t, []byte(strings.ReplaceAll(small, `"14.`, `"0.9`)), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := k.of("Desired Lambda"); c.Name != channel.LambdaTarget || c.NativeUnit != sample.Lambda {
		t.Errorf("%+v", c)
	}
}

func TestA2DamageSpoilsWhatItHitsAndIsLocated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  string
		want []string
	}{
		"bad cell":       {`"2026-01-02 10:00:01","x","14.6","0"` + "\n", []string{"5:2"}},
		"bad time":       {`"yesterday","1","14.6","0"` + "\n", []string{"5:1"}},
		"too many cells": {`"2026-01-02 10:00:01","1","14.6","0","7"` + "\n", []string{"5:5"}},
		"too few cells":  {`"2026-01-02 10:00:01","1"` + "\n", []string{"5:3"}},
		"cut off":        {`"2026-01-02 10:00:01","10`, []string{"5:0"}},
		"cut in a cell":  {`"2026-01-02 10:00:01","1","14.6","1`, []string{"5:0"}},
		"blank":          {"\n\r\n", nil},
	} {
		k, err := read(t, []byte(small+test.row), time.UTC)
		if err != nil || !slices.Equal(k.problems, test.want) {
			t.Errorf("%s: %v, %v", name, err, k.problems)
		}
	}
}

func TestA1OtherTablesAreNotTaken(t *testing.T) {
	t.Parallel()
	f, _ := New(format.Settings{})
	for _, file := range []string{
		`"Timestamp","chan_1"` + "\n" + `"2026-01-02 10:00:00.25","1"` + "\n", `"Timestamp","RPM","Desired Lambda"` + "\n",
		`"Timestamp","Idle Air Control Motor Positio"` + "\r\n",
	} {
		if c := f.Detect([]byte(file), "x"); c != format.ByContent {
			t.Errorf("%q: %d", file, c)
		}
	}
	for _, file := range []string{
		"", "\x00\x01", `"Timestamp","RPM"` + "\n", "Timestamp,chan_1\n2026-01-02 10:00:00,1\n",
		`"Timestamp","chan_1"` + "\n" + `"0.1","1"` + "\n", `"Time","chan_1"` + "\n", `"Timestamp","chan_x"` + "\n",
		`"Timestamp","chan_1"` + "\n" + `2026-01-02 10:00:00,1` + "\n",
	} {
		if c := f.Detect([]byte(file), "jetdrive.csv"); c != format.No {
			t.Errorf("%q: %d", file, c)
		}
	}
}
