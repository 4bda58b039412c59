package haltech

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/formattest"
)

// small is a log as NSP writes it: two rates, so that most rows have gaps.
const small = "%DataLog%\r\nDataLogVersion : 1.1\r\nSoftware : Haltech NSP\r\nSoftwareVersion : 999.999.999.999\r\nDownloadDateTime : 20260729 06:58:28\r\n" +
	"Channel : RPM\r\nID : 384\r\nType : EngineSpeed\r\nDisplayMaxMin : 20000,0\r\n" +
	"Channel : Manifold Pressure\r\nID : 1\r\nType : Pressure\r\nDisplayMaxMin : 31013,1013\r\n" +
	"Channel : Coolant Temperature\r\nID : 2\r\nType : Temperature\r\n" +
	"Channel : Wideband O2 1\r\nID : 3\r\nType : AFR\r\nDisplayMaxMin : 2000,500\r\n" +
	"Channel : Battery Voltage\r\nID : 4\r\nType : BatteryVoltage\r\n" +
	"Channel : Fuel Pressure\r\nID : 5\r\nType : PulsesPerLongDistance\r\n" +
	"Log Source : 0\r\nLog Number : 0\r\nLog : 20260729 06:30:35\r\n" +
	"18:30:35.506,3411,326,3663,995,12531,7\r\n" +
	"18:30:35.559,3500,1254,,,,\r\n" +
	"18:30:35.612,,2147483647,-2147483645,8388607,12500,\r\n"

func TestA2ValuesAreScaledByTheirType(t *testing.T) {
	t.Parallel()
	f := New(format.Settings{})
	if c := f.Detect([]byte(small), "x.bin"); c != format.Signature {
		t.Errorf("confidence %d", c)
	}
	k, err := formattest.Read(t, f, []byte(small))
	if err != nil || len(k.Problems) > 0 || len(k.Runs) != 1 {
		t.Fatalf("%v %v", err, k.Problems)
	}
	run := &k.Runs[0]
	begun := time.Date(2026, 7, 29, 18, 30, 35, 506e6, time.UTC).UnixMicro()
	for label, want := range map[string][]float64{
		"RPM": {3411, 3500}, "Manifold Pressure": {32.6, 125.4}, "Coolant Temperature": {93.15}, "Wideband O2 1": {0.995},
		"Battery Voltage": {12.531, 12.5}, "Fuel Pressure": {7},
	} {
		got := run.Of(t, label)
		if len(got) != len(want) {
			t.Errorf("%s: %+v", label, got)
			continue
		}
		for i, s := range got {
			if d := s.Value - want[i]; d > 1e-9 || d < -1e-9 {
				t.Errorf("%s: %v, want %v", label, s.Value, want[i])
			}
		}
	}
	if rpm := run.Of(t, "RPM"); !run.Dated || rpm[0].Time != begun || rpm[1].Time != begun+53_000 || run.Facts["time_zone"] != "UTC" {
		t.Errorf("%+v %+v", run.Run, rpm)
	}
	if want := []string{"the scale of these types is not known, their numbers are kept as they stand: PulsesPerLongDistance"}; !slices.Equal(k.Warnings, want) {
		t.Errorf("%q", k.Warnings)
	}
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range run.Channels {
		names = append(names, resolver.Resolve(c).Name)
	}
	// A pressure of unknown scale is no fuel pressure.
	if want := []string{"rpm", "map", "ect", "lambda", "voltage", ""}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestA2Times(t *testing.T) {
	t.Parallel()
	log := func(began string, rows ...string) string {
		return signature + "\nDataLogVersion : 1\nChannel : RPM\nType : EngineSpeed\nLog : " + began + "\n" + strings.Join(rows, ",1000\n") + ",1000\n"
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: " + err.Error())
	}
	at := time.Date(2026, 7, 29, 16, 30, 35, 0, time.UTC).UnixMicro()
	for name, test := range map[string]struct {
		file  string
		dated bool
		want  []int64
	}{
		"of the zone":        {log("20260729 06:30:35", "18:30:35", "18:30:36.5"), true, []int64{at, at + 1_500_000}},
		"over midnight":      {log("", "23:59:59.5", "00:00:00.5", "00:00:01"), false, []int64{0, 1e6, 1.5e6}},
		"a clock never set":  {log("19800101 01:01:01", "01:01:01.005", "01:01:01.058"), false, []int64{0, 53_000}},
		"two clocks":         {log("20260729 06:30:35", "15:00:00", "15:00:01"), false, []int64{0, 1e6}},
		"a little late":      {log("20260729 06:30:35", "18:30:36"), true, []int64{at + 1e6}},
		"a damaged date":     {log("2026-07-29", "18:30:35"), false, []int64{0}},
		"a row that is back": {log("", "12:00:00", "11:59:59", "12:00:01"), false, []int64{0, -1e6, 1e6}},
	} {
		k, err := formattest.Read(t, New(format.Settings{Zone: berlin}), []byte(test.file))
		if err != nil || len(k.Runs) != 1 || k.Runs[0].Dated != test.dated {
			t.Errorf("%s: %v %+v", name, err, k.Runs)
			continue
		}
		var got []int64
		for _, s := range k.Runs[0].Samples {
			got = append(got, s.Time)
		}
		if !slices.Equal(got, test.want) || (name == "two clocks") != (len(k.Warnings) == 1) {
			t.Errorf("%s: %d, want %d; %q", name, got, test.want, k.Warnings)
		}
	}
}

func TestA2BadRowsAndHeads(t *testing.T) {
	t.Parallel()
	rows := small + "18:30:35.7,x,1,1,1,1,1\r\nnoon,1,1,1,1,1,1\r\n18:30:35.8,1,1,1,1,1,1,1\r\n\r\n18:30:35.9,1,1"
	k, err := formattest.Read(t, New(format.Settings{}), []byte(rows))
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, p := range k.Problems {
		places = append(places, fmt.Sprintf("%d:%d", p.Line, p.Column))
	}
	if want := []string{"33:2", "34:1", "35:8", "37:0"}; !slices.Equal(places, want) || k.Samples() != 14 {
		t.Errorf("%q, want %q; %d samples: %v", places, want, k.Samples(), k.Problems)
	}
	for file, want := range map[string]error{
		"":                                     errNoLog,
		"time,rpm\n0,1\n":                      errNoLog,
		signature + "\nDataLogVersion : 2.0\n": errVersion,
		signature + "\nDataLogVersion : 1.1\nChannel : RPM\n":                          errNoRows,
		signature + "\n18:30:35.506,1\n":                                               errNoRows,
		signature + "\n" + strings.Repeat("Channel : x\n", mostChannels+2) + "1:0:0,1": errHead,
		signature + "\n" + strings.Repeat("x\n", mostLines+1):                          errHead,
	} {
		k, err := formattest.Read(t, New(format.Settings{}), []byte(file))
		var at *format.Error
		if !errors.Is(err, want) || !errors.As(err, &at) || at.Line < 1 || len(k.Runs) > 0 {
			t.Errorf("%.60q: %v", file, err)
		}
	}
}

// longLog has rows whose values follow from their number.
func longLog(rows int) string {
	var out strings.Builder
	head, _, _ := strings.Cut(small, "18:30:35.506")
	out.WriteString(head)
	for i := range rows {
		ms := i * 50
		fmt.Fprintf(&out, "%02d:%02d:%02d.%03d,%d,%d,3663,995,12531,%d\r\n", 12+ms/3600_000, ms/60_000%60, ms/1000%60, ms%1000, 1000+i%5000, 1000+i%200, i)
	}
	return out.String()
}

func TestA8AnyByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	f := New(format.Settings{})
	for _, file := range []string{small, longLog(40)} {
		formattest.CheckDamaged(t, f, []byte(file), "x.csv")
	}
}

func TestA8WhatWasReadBeforeAnErrorIsKept(t *testing.T) {
	t.Parallel()
	file := longLog(60_000)
	sink := &formattest.Sink{TB: t}
	err := New(format.Settings{}).Read(t.Context(), formattest.Failing{In: strings.NewReader(file), From: 1_000_000}, int64(len(file)), sink)
	if !errors.Is(err, iotest.ErrTimeout) || sink.Samples() < 60_000 {
		t.Errorf("%d samples, %v", sink.Samples(), err)
	}
}

// All that is ever allocated is counted, not what is held at once.
func TestA8MemoryIsBounded(t *testing.T) { // alone: others allocate, too
	const bound = 100
	for name, file := range map[string]string{
		"rows":              longLog(200_000),
		"a row without end": small + strings.Repeat("1", 8<<20),
		"channels":          signature + "\n" + strings.Repeat("Channel : "+strings.Repeat("x", 500)+"\n", mostChannels) + "1:00:00,1\n",
		"notes":             signature + "\n" + strings.Repeat("Software : "+strings.Repeat("x", 500)+"\n", mostLines),
		"separators":        small + strings.Repeat(",", 8<<20),
	} {
		allocated, err := formattest.Allocated(t, New(format.Settings{}), []byte(file))
		if used := allocated >> 20; used > bound {
			t.Errorf("%s: %d MiB were allocated for %d KiB: %v", name, used, len(file)>>10, err)
		}
	}
}

func FuzzHaltech(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(longLog(5)))
	f.Add([]byte(signature + "\nChannel : RPM\nType : Raw\nLog : 19800101 01:01:01\n01:01:01.005,1\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		formattest.CheckAny(t, New(format.Settings{}), bytes.Clone(file), "x.csv", false)
	})
}
