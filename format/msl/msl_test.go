package msl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dynotap/format"
	"dynotap/format/formattest"
	"dynotap/sample"
)

const small = "\"MS2Extra comms330\"\r\n\"Capture Date: Mon Nov 23 14:00:00 2026\"\r\n" +
	"Time\tRPM\tMAP\tAFR\r\ns\trpm\tkPa\tAFR\r\n" +
	"0.000\t900\t40.1\t14.7\r\n0.100\t905\t\t14.6\r\nMARK 001 - Manual - Mon Nov 23\r\n0.200\t910\t40.3\t14.5\r\n"

func read(tb testing.TB, file string) (*formattest.Sink, error) {
	tb.Helper()
	return formattest.Read(tb, New(format.Settings{}), []byte(file))
}

// values says of a run what it holds, times in ms.
func values(k *formattest.Sink, run int) (out []string) {
	if run >= len(k.Runs) {
		return nil
	}
	for _, s := range k.Runs[run].Samples {
		out = append(out, fmt.Sprintf("%d %s %g", s.Time/1000, k.Runs[run].Channels[s.Channel].Label, s.Value))
	}
	return out
}

func places(k *formattest.Sink) (out []string) {
	for _, p := range k.Problems {
		out = append(out, fmt.Sprintf("%d:%d", p.Line, p.Column))
	}
	return out
}

func units(k *formattest.Sink, run int) (out []sample.Unit) {
	for _, c := range k.Runs[run].Channels {
		out = append(out, c.NativeUnit)
	}
	return out
}

var wantSmall = []string{
	"0 RPM 900", "0 MAP 40.1", "0 AFR 14.7", "100 RPM 905", "100 AFR 14.6", "200 RPM 910", "200 MAP 40.3", "200 AFR 14.5",
}

func TestA7ALogWithUnitsAndMarkers(t *testing.T) {
	t.Parallel()
	k, err := read(t, small)
	if err != nil || !slices.Equal(values(k, 0), wantSmall) || len(k.Problems) > 0 || len(k.Runs) != 1 || k.Runs[0].Dated {
		t.Fatalf("%v, %v, %v", err, values(k, 0), k.Problems)
	}
	if got := units(k, 0); !slices.Equal(got, []sample.Unit{sample.RPM, sample.Kilopascal, sample.AFR}) {
		t.Errorf("units %q", got)
	}
	if !slices.Equal(k.Warnings, []string{"line 7, after 0.100 s: MARK 001 - Manual - Mon Nov 23"}) {
		t.Errorf("%q", k.Warnings)
	}
	if !slices.Equal(k.Runs[0].Notes, []string{"MS2Extra comms330", "Capture Date: Mon Nov 23 14:00:00 2026"}) {
		t.Errorf("notes %q", k.Runs[0].Notes)
	}
}

func TestA2A3Dialects(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file   string
		values []string
		units  []sample.Unit
	}{
		"MegaSquirt 1, the unit of Time and others empty": {
			"\"20: MS1 Base Code 20\"\n\"Capture Date: Sat Dec 26 19:53:12 EST 2015\"\nTime\tSecL\tRPM\tMAP\tEngine\n\tsec\trpm\tkpa\tbits\n26853.346\t22\t909\t46\t9\n",
			[]string{"26853346 SecL 22", "26853346 RPM 909", "26853346 MAP 46", "26853346 Engine 9"},
			[]sample.Unit{sample.Second, sample.RPM, sample.Kilopascal, "bits"},
		},
		"MegaTune, no units": {
			"Time\tRPM\tMAP\n0.100\t900\t40\n", []string{"100 RPM 900", "100 MAP 40"}, []sample.Unit{"", ""},
		},
		"a signature without quotes": {
			"MSnS-extra format 024s\nTime\tRPM\tMAP\n0.100\t900\t40\n", []string{"100 RPM 900", "100 MAP 40"}, []sample.Unit{"", ""},
		},
		"rusEFI, Time not first": {
			"\"rusEFI 2021\"\nRPM\tMAP\tTime\tTPS\nrpm\tkPa\tsec\t%\n900\t30\t1.5\t3\n", []string{"1500 RPM 900", "1500 MAP 30", "1500 TPS 3"},
			[]sample.Unit{sample.RPM, sample.Kilopascal, sample.Percent},
		},
		"time in ms": {
			"\"x\"\nTime\tRPM\tCLT\nms\trpm\t°C\n1500\t900\t80\n", []string{"1500 RPM 900", "1500 CLT 80"}, []sample.Unit{sample.RPM, sample.Celsius},
		},
		"decimal comma": {
			"\"x\"\nTime\tRPM\tCLT\ns\trpm\tÂ°F\n0\t1\t2\n0,250\t900\t180,5\n", []string{"0 RPM 1", "0 CLT 2", "250 RPM 900", "250 CLT 180.5"}, []sample.Unit{sample.RPM, sample.Fahrenheit},
		},
		"quoted names and a tab at the end": {
			"\"x\"\n\"Time\"\t\"RPM\"\t\"Engine, state\"\ns\trpm\t\n0.5\t900\t7\t\n", []string{"500 RPM 900", "500 Engine, state 7"}, []sample.Unit{sample.RPM, ""},
		},
		"a mark before the units": {
			"\"x\"\nTime\tRPM\tMAP\nMARK 000 - start\ns\trpm\tkPa\n0.5\t900\t7\n", []string{"500 RPM 900", "500 MAP 7"}, []sample.Unit{sample.RPM, sample.Kilopascal},
		},
		"units again": {
			"\"x\"\nTime\tRPM\tMAP\ns\trpm\tkPa\ns\trpm\tkPa\n0.5\t900\t7\ns\trpm\tkPa\n", []string{"500 RPM 900", "500 MAP 7"}, []sample.Unit{sample.RPM, sample.Kilopascal},
		},
		"a name and a unit missing": {
			"\"x\"\nTime\t\tMAP\ns\trpm\n0.5\t900\t7\n", []string{"500 column_2 900", "500 MAP 7"}, []sample.Unit{sample.RPM, ""},
		},
		"names twice": {
			"\"x\"\nTime\tMAP\tMAP\ns\tkPa\tkPa\n0.5\t1\t2\n", []string{"500 MAP 1", "500 MAP 2"}, []sample.Unit{sample.Kilopascal, sample.Kilopascal},
		},
	} {
		for _, newline := range []string{"\n", "\r\n", "\r"} {
			file := strings.ReplaceAll(test.file, "\n", newline)
			k, err := read(t, file)
			if err != nil || len(k.Problems) > 0 || !slices.Equal(values(k, 0), test.values) || !slices.Equal(units(k, 0), test.units) {
				t.Errorf("%s: %v, %v, %v, %q", name, err, k.Problems, values(k, 0), units(k, 0))
			}
			if got := New(format.Settings{}).Detect([]byte(file), "x.msl"); got != format.ByContent {
				t.Errorf("%s: confidence %d", name, got)
			}
		}
	}
}

func TestA2NamesAgainBeginAnotherRun(t *testing.T) {
	t.Parallel()
	_, body, _ := strings.Cut(small, "2026\"\r\n")
	other := "\"MS3\"\r\n\"Capture Date: Tue\"\r\nTime\tTPS\tCLT\r\ns\t%\tC\r\n0.5\t1\t90\r\n"
	k, err := read(t, small+body+other)
	if err != nil || len(k.Runs) != 3 || len(k.Problems) > 0 || !slices.Equal(values(k, 1), wantSmall) {
		t.Fatalf("%v, %d runs, %v, %v", err, len(k.Runs), values(k, 1), k.Problems)
	}
	if got := values(k, 2); !slices.Equal(got, []string{"500 TPS 1", "500 CLT 90"}) || !slices.Equal(units(k, 2), []sample.Unit{sample.Percent, sample.Celsius}) {
		t.Errorf("%v, %q", got, units(k, 2))
	}
	if !slices.Equal(k.Runs[1].Notes, k.Runs[0].Notes) || !slices.Equal(k.Runs[2].Notes, []string{"MS3", "Capture Date: Tue"}) {
		t.Errorf("notes %q and %q", k.Runs[1].Notes, k.Runs[2].Notes)
	}
}

func TestA2ALineThatIsNoNoteIsRejectedAlthoughNamesCome(t *testing.T) {
	t.Parallel()
	_, body, _ := strings.Cut(small, "2026\"\r\n")
	k, err := read(t, small+"\"MS3\"\n0.3\t1\t2\t3\n"+body)
	if err != nil || len(k.Runs) != 2 || !slices.Equal(places(k), []string{"9:0"}) || !slices.Equal(k.Runs[1].Notes, k.Runs[0].Notes) {
		t.Errorf("%v, %d runs, %v", err, len(k.Runs), k.Problems)
	}
}

func TestA3ATemperatureWithoutAUnitIsSaid(t *testing.T) {
	t.Parallel()
	k, err := read(t, "\"x\"\nTime\tRPM\tCLT\tIAT\ns\trpm\t\t°C\n0\t900\t51\t20\n")
	if err != nil || len(k.Warnings) != 1 || !strings.HasPrefix(k.Warnings[0], "the file gives no unit for CLT: it is taken as °F") {
		t.Errorf("%v, %q", err, k.Warnings)
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
		{"\"MS1\"\n\"Capture Date: x\"\n" + bare, "x.txt", format.ByContent}, {"\"MS1\"\n" + bare, "x.txt", format.No},
		{"\"MS1\"\nTime\tRPM\tMAP\n\trpm\tkPa\n0\t1\t2\n", "x.txt", format.ByContent}, {"MS1\nTime\tRPM\tMAP\n\trpm\tkPa\n0\t1\t2\n", "x.txt", format.No},
		{"MS1\n\"Capture Date: x\"\n" + bare, "x.txt", format.No},
		{"\"Time\"\t\"RPM\"\t\"MAP\"\ns\trpm\tkPa\n", "x.txt", format.No},
		{bare, "x.csv", format.No}, {"", "x.msl", format.No}, {"\x00\x01", "x.msl", format.No}, {"time,rpm,map\n0,1,2\n", "x.msl", format.No},
		{strings.Repeat("\"note\"\n", mostNotes) + bare, "x.msl", format.ByContent}, {strings.Repeat("\"note\"\n", mostNotes+1) + bare, "x.msl", format.No},
	} {
		if c := f.Detect([]byte(test.file), test.name); c != test.want {
			t.Errorf("%.60q as %s: %d", test.file, test.name, c)
		}
		if _, err := read(t, test.file); test.want > format.No && err != nil {
			t.Errorf("%.60q: %v", test.file, err)
		}
	}
}

func TestA2DamageSpoilsWhatItHitsAndIsLocated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  string
		want []string
	}{
		"bad cell":             {"0.3\tx\t40\t14\n", []string{"9:2"}},
		"bad time":             {"x\t900\t40\t14\n", []string{"9:1"}},
		"no time":              {"\t900\t40\t14\n", []string{"9:1"}},
		"too many cells":       {"0.3\t900\t40\t14\t5\n", []string{"9:5"}},
		"too few cells":        {"0.3\t900\n", []string{"9:3"}},
		"cut off":              {"0.3\t90", []string{"9:0"}},
		"blank":                {"\n\r\n", nil},
		"a note and no names":  {"\"MS3\"\n0.3\t900\t40\t14\n", []string{"9:0"}},
		"notes at the end":     {"\"MS3\"\n\"x\"\n", []string{"9:0", "10:0"}},
		"a mark in quotes":     {"\"MARK 002\"\n", nil},
		"units that are other": {"s\trpm\tkPa\tV\n", []string{"9:1"}},
		"a quote never closed": {"0.3\t\"900\t40\t14\n", []string{"9:2"}},
	} {
		k, err := read(t, small+test.row)
		if err != nil || !slices.Equal(places(k), test.want) || len(k.Runs) != 1 || !slices.Equal(values(k, 0)[:len(wantSmall)], wantSmall) {
			t.Errorf("%s: %v, %v", name, err, places(k))
		}
	}
}

// A damaged first row is none of units.
func TestA2ADamagedFirstRowIsNotTheUnits(t *testing.T) {
	t.Parallel()
	if k, err := read(t, "Time\tRPM\tMAP\tAFR\nx\ns\trpm\tkPa\tV\n"); err != nil || !slices.Equal(places(k), []string{"2:1", "3:1"}) {
		t.Errorf("%v, %v", err, places(k))
	}
	k, err := read(t, "Time\tRPM\tMAP\tAFR\nx\t900\t40\t14\n1\t2\t3\t4\n")
	if err != nil || !slices.Equal(places(k), []string{"2:1"}) || !slices.Equal(units(k, 0), []sample.Unit{"", "", ""}) {
		t.Errorf("%v, %v, %q", err, places(k), units(k, 0))
	}
}

func TestV7TimesThatGoBackAreSaidOnce(t *testing.T) {
	t.Parallel()
	k, err := read(t, "Time\tRPM\tMAP\n5\t1\t1\n4\t1\t1\n6\t1\t1\n4\t1\t1\n")
	if err != nil || !slices.Equal(k.Warnings, []string{"line 3: times go back: the samples are kept and put in order"}) || k.Samples() != 8 {
		t.Errorf("%v, %q", err, k.Warnings)
	}
}

func TestA2NoNamesIsAnError(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", "\n\n", "1\t2\t3\n", strings.Repeat("x\n", 1000) + small} {
		var at *format.Error
		if k, err := read(t, file); !errors.Is(err, errNoNames) || !errors.As(err, &at) || at.Line != 1 || len(k.Runs) > 0 {
			t.Errorf("%.20q: %v", file, err)
		}
	}
}
