package winpep

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/run/correct"
	"dynotap/sample"
)

// taken is what a sink got: values by channel and time in ms, converted as the
// importer does.
type taken struct {
	tb       testing.TB
	runs     int
	facts    map[string]string
	channels []sample.Channel
	values   map[string]map[int64]float64 // by "device:label"
	problems []string
	warnings []string
}

func (k *taken) Begin(r format.Run) error { k.runs++; k.facts = r.Facts; return nil }

func (k *taken) Batch(b *sample.Batch) error {
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		return err
	}
	if len(b.Samples) == 0 || len(b.Samples) > format.MaxSamples || b.Clock != sample.ClockFile {
		k.tb.Errorf("a batch of %d samples", len(b.Samples))
	}
	k.channels = resolver.ResolveSet(b.Set).Channels()
	for _, s := range b.Samples {
		c := k.channels[s.Channel]
		name := c.Provider + ":" + c.Label
		if k.values[name] == nil {
			k.values[name] = map[int64]float64{}
		}
		k.values[name][s.Time/1000] = c.Conversion().Apply(s.Value)
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
	f, err := New(format.Settings{})
	if err != nil {
		tb.Fatal(err)
	}
	k := &taken{tb: tb, values: map[string]map[int64]float64{}}
	return k, f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), k)
}

func samplePath() string {
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "samples")
	}
	return filepath.Join(dir, "winpep", "winpep8-export-excerpt.txt")
}

func theSample(tb testing.TB) []byte {
	tb.Helper()
	file, err := os.ReadFile(samplePath())
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			tb.Fatal(err)
		}
		tb.Skip("the shared samples are not here: ", err)
	}
	return file
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

// The figures are those of the issue and of PROTOCOLS 3.
func TestA3TheRealExport(t *testing.T) {
	t.Parallel()
	k, err := read(t, theSample(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(k.channels) != 105 || len(k.problems) != 0 || k.runs != 1 {
		t.Errorf("%d channels, problems %v, %d runs", len(k.channels), k.problems, k.runs)
	}
	if empty := len(k.channels) - len(k.values); empty != 4 {
		t.Errorf("%d channels never hold a value, not 4", empty)
	}
	near(t, "rpm at 0.75 s", k.values["DWRT CPU:Engine RPM"][750], 1087, 1e-9)
	near(t, "rpm at 1.0 s", k.values["DWRT CPU:Engine RPM"][1000], 1706, 1e-9)
	near(t, "the ECU's rpm", k.values["PV:Engine Speed"][1000], 2587, 100)
	near(t, "power", k.values["DWRT CPU:Power"][1000], 37.304, 1e-9)
	near(t, "torque", k.values["DWRT CPU:Torque"][1000], 102.219, 1e-9)
	near(t, "pressure", k.values["DWRT ATMO:Pressure"][1000], 29.64, 0.005)
	if !maps.Equal(k.facts, map[string]string{"correction_factor": "0.977", "correction": "sae"}) {
		t.Errorf("facts %v", k.facts)
	}
	if _, there := k.values["DWRT CPU:Engine RPM"][0]; there {
		t.Error("an empty cell became a value")
	}
	for _, c := range k.channels {
		switch {
		case c.Provider == "DWRT ATMO" && c.Label == "Pressure":
			near(t, "native pressure", c.Conversion().Invert().Apply(k.values["DWRT ATMO:Pressure"][1000]), 100.384, 0.003)
		case c.Label == "Injector Time Front" && c.Provider == "PV" && c.NativeUnit != sample.Second,
			strings.HasSuffix(c.Label, "(uncorrected)") && c.Corrected != sample.CorrectionNone,
			(c.Label == "Power" || c.Label == "Torque" || strings.HasSuffix(c.Label, " Drum 1") && c.Label != "Force Drum 1") && c.Corrected != sample.CorrectionSAE,
			c.Label == "Acceleration" && c.NativeUnit != sample.MileHourSecond:
			t.Errorf("%+v", c)
		}
	}
}

func TestV9SAEOfTheRowsOwnWeatherIsTheFilesFactor(t *testing.T) {
	t.Parallel()
	k, err := read(t, theSample(t))
	if err != nil {
		t.Fatal(err)
	}
	var humidity float64
	for _, v := range k.values["DWRT ATMO:Humidity"] {
		humidity = v
	}
	rows := 0
	for at, factor := range k.values["DWRT CPU:Correction Factor"] {
		temperature, pressure := k.values["DWRT ATMO:Temperature 1"][at], k.values["DWRT ATMO:Pressure"][at]
		if temperature == 0 || pressure == 0 {
			continue
		}
		rows++
		temperature, pressure = (temperature-32)/1.8, pressure*3.386389
		f, err := correct.Compute(correct.SAE, correct.Weather{Temperature: &temperature, Pressure: &pressure, Humidity: &humidity})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "factor", f.Value, factor, 0.0005)
	}
	if rows < 3 {
		t.Errorf("%d rows have weather", rows)
	}
}

const small = "Time, (DWRT CPU) Engine RPM, (DWRT CPU) Power, (DWRT CPU) Torque, (PV) Engine Speed, (PV) T\u00e9mp, \n" +
	"0, , 40, 100, 2.1, 5, \n" +
	"0.05, 2.1, 41, , 2.1, , \n" +
	"0.1, 2.2, 42, 101, 2.2, 7, \n"

func TestA2EncodingsAndLineEnds(t *testing.T) {
	t.Parallel()
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(small)
	if err != nil {
		t.Fatal(err)
	}
	cp1252, err := charmap.Windows1252.NewEncoder().String(small)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"utf-8": small, "bom": "\ufeff" + small, "utf-16": utf16, "cp1252": cp1252, "crlf": strings.ReplaceAll(small, "\n", "\r\n"),
		"no end": strings.TrimSuffix(small, "\n"), "tabs": strings.ReplaceAll(small, ", ", "\t"), "semicolons": strings.ReplaceAll(small, ", ", ";"),
	} {
		f, _ := New(format.Settings{})
		if c := f.Detect([]byte(file), "x.csv"); c != format.ByContent {
			t.Errorf("%s: confidence %d", name, c)
		}
		k, err := read(t, []byte(file))
		if err != nil || len(k.problems) > 0 {
			t.Errorf("%s: %v, %v", name, err, k.problems)
			continue
		}
		if v := k.values["DWRT CPU:Engine RPM"]; len(v) != 2 || v[100] != 2200 || k.values["PV:T\u00e9mp"][100] != 7 {
			t.Errorf("%s: %v", name, k.values)
		}
	}
}

func TestA4ScalesAreDecidedByPhysicsForEachChannel(t *testing.T) {
	t.Parallel()
	file := "Time, (A) Engine RPM, (DWRT CPU) Power, (DWRT CPU) Torque, (B) Engine Speed\n0, 3.5, 50, 75, 3500\n0.1, 3.6, 51, 74, 3600\n"
	k, err := read(t, []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "krpm", k.values["A:Engine RPM"][100], 3600, 1e-9)
	near(t, "rpm", k.values["B:Engine Speed"][100], 3600, 1e-9)
	// Without power and torque by the size alone.
	k, err = read(t, []byte("Time, (A) Engine RPM, (B) Engine Speed\n0, 0.9, 950\n"))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "krpm", k.values["A:Engine RPM"][0], 900, 1e-9)
	near(t, "rpm", k.values["B:Engine Speed"][0], 950, 1e-9)
}

const aligned = "Time (s)   Speed (mph)   Power (hp)   LC1 AFR\r\n" +
	"  0.00        40.1        20.0        13.2\r\n" +
	"  0.05        41.0        22.5\r\n" +
	"  0.10                    23.5        12.9\r\n"

func TestA2TheAlignedTableOfOlderVersions(t *testing.T) {
	t.Parallel()
	f, _ := New(format.Settings{})
	for name, test := range map[string]struct {
		file   string
		speeds map[int64]float64
		afrs   map[int64]float64
		want   []string
	}{
		"a value is missing where nothing stands under the others": {aligned, map[int64]float64{0: 40.1, 50: 41}, map[int64]float64{0: 13.2, 100: 12.9}, nil},
		"no complete row tells where":                              {strings.Replace(aligned, "        13.2", "", 1), nil, nil, []string{"2:0", "3:0", "4:0"}},
		"values stand anywhere": {
			aligned + "          0.15        43.0          24.0   12.8\r\n",
			map[int64]float64{0: 40.1, 150: 43}, map[int64]float64{0: 13.2, 150: 12.8}, []string{"3:0", "4:0"},
		},
		"a value stands under two columns": {
			aligned + "  0.15                    2222222222222222222222\r\n",
			map[int64]float64{0: 40.1, 50: 41}, map[int64]float64{0: 13.2, 100: 12.9}, []string{"5:0"},
		},
		"tabs": {
			"Time (s)\tSpeed (mph)\tPower (hp)\tLC1 AFR\n0.00\t40.1\t20.0\t13.2\n0.05\t41\t22.5\t\n0.10\t\t23.5\t12.9\n",
			map[int64]float64{0: 40.1, 50: 41}, map[int64]float64{0: 13.2, 100: 12.9}, nil,
		},
	} {
		if c := f.Detect([]byte(test.file), "x.txt"); c != format.ByContent {
			t.Errorf("%s: confidence %d", name, c)
		}
		k, err := read(t, []byte(test.file))
		if err != nil || !slices.Equal(k.problems, test.want) || !maps.Equal(k.values["WinPEP:Speed (mph)"], test.speeds) || !maps.Equal(k.values["WinPEP:LC1 AFR"], test.afrs) {
			t.Errorf("%s: %v, %v, %v", name, err, k.values, k.problems)
		}
	}
}

func TestA2DamageSpoilsWhatItHitsAndIsLocated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  string
		want []string
		rows int // with a value of power
	}{
		"bad cell":       {"0.15, 2.2, abc, 101, 2.2, 7, \n", []string{"5:3"}, 3},
		"bad time":       {"x, 2.2, 42, 101, 2.2, 7, \n", []string{"5:1"}, 3},
		"too many cells": {"0.15, 2.2, 42, 101, 2.2, 7, 8\n", []string{"5:7"}, 3},
		"too few cells":  {"0.15, 2.2, 42\n0.2, 2.2, 43, 101, 2.2, 7, \n", []string{"5:4"}, 5},
		"cut off":        {"0.15, 2.2, 4", []string{"5:0"}, 3},
		"cut in a cell":  {"0.15, 2.2, 43, 101, 2.2, 7", []string{"5:6"}, 4},
		"blank line":     {"\n\n", nil, 3},
		"missing":        {"0.15, nan, -, , --, , \n", nil, 3},
	} {
		k, err := read(t, []byte(small+test.row))
		if err != nil || !slices.Equal(k.problems, test.want) || len(k.values["DWRT CPU:Power"]) != test.rows {
			t.Errorf("%s: %v, problems %v, %v", name, err, k.problems, k.values["DWRT CPU:Power"])
		}
	}
}

func TestJoinedExportsAreRunsOfTheirOwn(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]string{
		"export":  "Time, (DWRT CPU) Engine RPM, (DWRT CPU) Speed, \n0, 2.5, 40, \n0.05, 2.6, 41, \n",
		"aligned": "Time (s)  Speed  AFR\n     0.0     40   13\n     0.1     41   14\n",
	} {
		for _, file := range []string{one + one, one + "\ufeff" + one, one + "\r\n" + one} {
			k, err := read(t, []byte(file))
			if err != nil || k.runs != 2 || len(k.problems) > 0 || len(k.warnings) > 0 {
				t.Errorf("%s: %d runs, problems %v, warnings %q, %v", name, k.runs, k.problems, k.warnings, err)
			}
		}
	}
}

func TestA1OtherTablesAreNotTaken(t *testing.T) {
	t.Parallel()
	f, _ := New(format.Settings{})
	for _, file := range []string{"", "time,rpm,power\n0,1,2\n", "Timestamp,(A) B,(C) D\n", "\x00\x01\x02", "Time (s),Speed (mph),Power (hp)\n0,1,2\n"} {
		if c := f.Detect([]byte(file), "winpep.txt"); c != format.No {
			t.Errorf("%q: %d", file, c)
		}
		if _, err := read(t, []byte(file)); err == nil {
			t.Errorf("%q was read", file)
		}
	}
}

func FuzzWinPEP(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("Time (s)   Speed (mph)   Power (hp)\n  0.00   40.1   20.0\n"))
	f.Add([]byte(strings.ReplaceAll(small, "\n", "\r")))
	f.Add([]byte("Time;(A) Engine RPM;(B) Power\n0,5;1,5;3\n"))
	if file, err := os.ReadFile(samplePath()); err == nil {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) { checkAny(t, file) })
}
