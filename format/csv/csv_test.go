package csv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"dynotap/format"
	"dynotap/sample"
)

func TestA2Tables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file string
		values     string // joined with "; "
		problems   string
		labels     string // joined with "|"; empty: not compared
	}{
		{"comma", "Time,RPM,AFR\n0.0,1000,13.5\n0.1,1100,13.25\n", "0 RPM 1000; 0 AFR 13.5; 100 RPM 1100; 100 AFR 13.25", "", "RPM|AFR"},
		{"semicolon and decimal comma", "Zeit;Drehzahl;AFR\n0,00;1000;13,5\n0,10;1100;13,25\n", "0 Drehzahl 1000; 0 AFR 13.5; 100 Drehzahl 1100; 100 AFR 13.25", "", ""},
		{"tab", "Time\tRPM\n0.5\t1000\n", "500 RPM 1000", "", ""},
		{"pipe", "Time|RPM\n0.5|1000\n", "500 RPM 1000", "", ""},
		{"spreadsheet that says how", "sep=;\nTime;RPM\n0.5;1000\n", "500 RPM 1000", "", ""},
		{"quoted", "\"Time\",\"RPM\"\n\"0.5\",\"1,000\"\n\"0.6\",\"1,250.5\"\n", "500 RPM 1000; 600 RPM 1250.5", "", ""},
		{"quoted decimal comma", "\"Time\",\"RPM\"\n\"0,5\",\"1000,25\"\n", "500 RPM 1000.25", "", ""},
		{"a comma in a header", "Time,\"Speed, rear\"\n0.5,10\n", "500 Speed, rear 10", "", "Speed, rear"},
		{"a line end in a header", "Time,\"Speed\n(mph)\"\n0.5,10\nx,11\n", "500 Speed\n(mph) 10", "4:1", ""},
		{"padded headers", " Time , rpm ,Engine Speed (RPM)\n0.5,10,20\n", "500 rpm 10; 500 Engine Speed (RPM) 20", "", "rpm|Engine Speed (RPM)"},
		{"CR LF", "Time,RPM\r\n0.5,1000\r\n", "500 RPM 1000", "", ""},
		{"CR", "Time,RPM\r0.5,1000\r", "500 RPM 1000", "", ""},
		{"last line without an end", "Time,RPM\n0.5,1000", "500 RPM 1000", "", ""},
		{"truncated last row", "Time,RPM,AFR\n0.5,1000,13\n0.6,11", "500 RPM 1000; 500 AFR 13", "3:0", ""},
		{"truncated in quotes", "\"Time\",\"RPM\"\n\"0.5\",\"1000\"\n\"0.6\",\"11", "500 RPM 1000", "3:2", ""},
		{"one bad cell", "Time,RPM,AFR\n0.5,oops,13\n0.6,1100,13.1\n", "500 AFR 13; 600 RPM 1100; 600 AFR 13.1", "2:2", ""},
		{"a row without a time", "Time,RPM\n,1\n0.6,2\nx,3\n", "600 RPM 2", "2:1 4:1", ""},
		{"missing is absent and zero is zero", "Time,RPM,AFR\n0,0,\n0.5,,0\n1,-,nan\n", "0 RPM 0; 500 AFR 0", "", ""},
		{"empty lines and rows", "Time,RPM\n\n0.5,1000\n,\n\n0.6,1100\n", "500 RPM 1000; 600 RPM 1100", "", ""},
		{"a short row", "Time,RPM,AFR\n0.5,1000\n0.6,1100,13\n", "500 RPM 1000; 600 RPM 1100; 600 AFR 13", "2:3", ""},
		{"a long row", "Time,RPM\n0.5,1000\n0.6,1,100\n0.7,1200,\n", "500 RPM 1000; 700 RPM 1200", "3:3", ""},
		{"trailing separators", "Time,RPM,\n0.5,1000,\n0.6,1100,\n", "500 RPM 1000; 600 RPM 1100", "", "RPM"},
		{"a value under no header", "Time,RPM,\n0.5,1000,\n" + strings.Repeat("0.6,1100,\n", bodySize) + "0.7,1,5\n",
			"500 RPM 1000; " + strings.Repeat("600 RPM 1100; ", bodySize) + "700 RPM 1", "63:3", ""},
		{"values under no header", "Time,RPM,\n0.5,1000,7\n", "500 RPM 1000; 500 column_3 7", "", "RPM|column_3"},
		{"duplicate headers", "Time,RPM,RPM\n0.5,1,2\n", "500 RPM 1; 500 RPM 2", "", "RPM|RPM"},
		{"words", "Time,RPM,Event\n0.5,1,start\n0.6,2,stop\n", "500 RPM 1; 600 RPM 2", "", "RPM"},
		{"a preamble", "Logger 5000\nVehicle: Bike\nRate;20\n\nTime,RPM\n0.5,1\n", "500 RPM 1", "", ""},
		{"a row of units", "Time,Speed\nms,km/h\n500,1\n", "500 Speed 1", "", "Speed"},
		{"units with dashes", "Time,Speed,Gear\n[s],[km/h],[-]\n.5,1,2\n", "500 Speed 1; 500 Gear 2", "", ""},
		{"times by another name", "Offset,Engine RPM\ns,rpm\n0.5,1\n0.6,2\n", "500 Engine RPM 1; 600 Engine RPM 2", "", ""},
		{"a log of HP Tuners", "HP Tuners CSV Log File\nVersion: 1.0\n\n[Channel Information]\n0,12\nOffset,Engine RPM\ns,rpm\n\n[Channel Data]\n0.5,1\n0.6,2\n",
			"500 Engine RPM 1; 600 Engine RPM 2", "", ""},
		{"a log of RaceChrono", "timestamp,rpm,speed\nunix time,rpm,m/s\n0.5,1,2\n0.6,3,4\n", "500 rpm 1; 500 speed 2; 600 rpm 3; 600 speed 4", "", "rpm|speed"},
		{"a log of RaceChrono that says where values are from", "timestamp,rpm,speed\nunix time,rpm,m/s\n,200: obd,100: gps\n0.5,1,2\n0.6,3,4\n", "500 rpm 1; 500 speed 2; 600 rpm 3; 600 speed 4", "", "rpm|speed"},
		{"a log of EFILive", "Frame,Time,SAE.RPM\n,,Engine Speed\n,ms,rpm\n0,500,1\n1,600,2\n", "500 Frame 0; 500 SAE.RPM 1; 600 Frame 1; 600 SAE.RPM 2", "", "Frame|SAE.RPM"},
		{"three rows of header, again", "Time,A\nms,rpm\n,from: obd\n500,1\nTime,A\nms,rpm\n,from: obd\n600,2\n", "500 A 1; run; 600 A 2", "", "A"},
		{"three rows of words without a time", "Time,A\n,one\n,two\n,three\n0.5,1\n", "500 A 1", "4:1", "A"},
		{"the end lost in a power failure", "Time,A\n0.5,1\n0.6,2\n" + strings.Repeat("\x00", 4096), "500 A 1; 600 A 2", "4:0", "A"},
		{"names that are units", "Time,RPM,MPH,AFR\n.5,1,2,3\n", "500 RPM 1; 500 MPH 2; 500 AFR 3", "", "RPM|MPH|AFR"},
		{"a title above names that are units", "Log,of,the,bike\nTime,RPM,MPH,AFR\n.5,1,2,3\n", "500 RPM 1; 500 MPH 2; 500 AFR 3", "", ""},
		{"one point among commas", "Zeit;A\n0,5;1,5\n0,6;1.5\n", "500 A 1.5", "3:2", ""},
		{"fractions of three digits", "Time (ms)\tA\n1\t0,125\n2\t0,250\n", "1 A 0.125; 2 A 0.25", "", ""},
		{"time is not first", "RPM,Time,AFR\n1,0.5,2\n", "500 RPM 1; 500 AFR 2", "", ""},
		{"the header again", "Time,RPM\n0.5,1\nTime,RPM\n0.1,2\n", "500 RPM 1; run; 100 RPM 2", "", ""},
		{"the header again above clock times", "Time,RPM\n12:00:00,1\n12:00:01,2\nTime,RPM\n13:00:00,3\n", "0 RPM 1; 1000 RPM 2; run; 0 RPM 3", "", ""},
		{"a ratio with exponents", "Time,X\n5e-1,1.5E3\n", "500 X 1500", "", ""},
		{"more digits than fit", "Time,X\n0.5,0.30000000000000004\n", "500 X 0.30000000000000004", "", ""},
		{"infinity is for validation", "Time,X\n0.5,inf\n0.6,1\n", "500 X +Inf; 600 X 1", "", ""},
		{"damage between quotes", "\"Time\",\"A\",\"B\"\n\"0.5\",\"1,\"2\"\n\"0.6\",\"3\",\"4\"\n", "500 B 2; 600 A 3; 600 B 4", "2:2", ""},
		{"a NUL", "Time,A,B\n0.5,1\x002,3\n0.6,4,5\n", "500 B 3; 600 A 4; 600 B 5", "2:2", ""},
		{"thousands or decimals, nobody knows", "Time\tA\n1\t1,234\n2\t5\n", "2000 A 5", "2:2", ""},
		{"decimals that come late", "ms;A\n" + strings.Repeat("1;5\n", bodySize) + "2;1,5\n3;1.250,5\n4;1.5\n",
			strings.Repeat("1 A 5; ", bodySize) + "2 A 1.5; 3 A 1250.5", "64:2", ""},
		{"names and no rows", "Time (s),RPM,AFR\n", "", "", ""},
		{"a row a value", "SECONDS;PID;VALUE;UNITS\n0,5;Engine RPM;1000;rpm\n0,6;Speed;1,5;km/h\n0,7;Engine RPM;;rpm\n0,8;Engine RPM;x;rpm\n0,9;;7;rpm\n1;Speed;2;km/h\n",
			"500 Engine RPM 1000; 600 Speed 1.5; 1000 Speed 2", "5:3 6:2", "Engine RPM|Speed"},
		{"a row a value, from two devices", "time,channel,name,unit,value,quality,device\n0.5,a/1/0,afr,AFR,13,good,a\n0.5,b/1/0,afr,AFR,14,bad,b\n0.6,a/2/0,,V,5,good,a\n",
			"500 afr 13; 500 afr 14; 600 a/2/0 5", "", "afr|afr|a/2/0"},
		{"a row a value, of two units", "Time (s)|Sensor|Wert|Einheit\n1|T|20|°C\n2|T|68|°F\n", "1000 T 20; 2000 T 68", "", "T|T"},
		{"a row a value, cut off", "Time (s),Name,Value\n1,A,2\n2,A,3\n3,A", "1000 A 2; 2000 A 3", "4:0", "A"},
		{"a row a value, the header again", "Time (s),Name,Value\n1,A,2\nTime (s),Name,Value\n1,B,3\n", "1000 A 2; run; 1000 B 3", "", "A|B"},
		{"a row a value, by the channel's number", "Time (s);Channel;Value\n1;7;2\n1;8;3\n2;7;4\n", "1000 Channel 7 2; 1000 Channel 8 3; 2000 Channel 7 4", "", "Channel 7|Channel 8"},
		{"a column of numbers that is called signal", "Time (s),Signal,Value\n1,2.5,3\n2,2.6,4\n", "1000 Signal 2.5; 1000 Value 3; 2000 Signal 2.6; 2000 Value 4", "", "Signal|Value"},
		{"a column that is called value", "Time (s),Value,RPM\n1,2,3\n", "1000 Value 2; 1000 RPM 3", "", "Value|RPM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := mustRead(t, c.file, format.Settings{})
			if got := strings.Join(k.values(), "; "); got != c.values {
				t.Errorf("samples\ngot  %s\nwant %s", got, c.values)
			}
			if got := strings.Join(k.places(), " "); got != c.problems {
				t.Errorf("problems at %s, want %s: %v", got, c.problems, k.problems)
			}
			if got := strings.Join(k.labels, "|"); c.labels != "" && got != c.labels {
				t.Errorf("labels %s, want %s", got, c.labels)
			}
			if c := New(format.Settings{}).Detect([]byte(c.file), "x.bin"); c != format.ByShape {
				t.Errorf("confidence %d", c)
			}
		})
	}
}

func TestA2Times(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: " + err.Error())
	}
	utc := func(s string) int64 {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMicro()
	}
	noon := utc("2026-11-23T12:03:04.5Z")
	for _, c := range []struct {
		name, header string
		cells        []string
		dated        bool
		want         []int64
	}{
		{"seconds", "Time (s)", []string{"0", "1", "2.5"}, false, []int64{0, 1e6, 2.5e6}},
		{"seconds that start later", "Time", []string{"100.05", "100.1"}, false, []int64{100_050_000, 100_100_000}},
		{"seconds before a trigger", "Time (s)", []string{"-1.5", "0", "1"}, false, []int64{0, 1.5e6, 2.5e6}},
		{"milliseconds", "timestamp_ms", []string{"0", "50", "1000"}, false, []int64{0, 50e3, 1e6}},
		{"milliseconds in brackets", "Zeit [ms]", []string{"0", "50"}, false, []int64{0, 50e3}},
		{"milliseconds alone", "ms", []string{"0", "50"}, false, []int64{0, 50e3}},
		{"microseconds", "Time (us)", []string{"0", "50"}, false, []int64{0, 50}},
		{"microseconds in Greek", "Time (µs)", []string{"0", "50"}, false, []int64{0, 50}},
		{"minutes", "Time (min)", []string{"0", "0.5"}, false, []int64{0, 30e6}},
		{"milliseconds by their steps", "Time", []string{"0", "50", "100"}, false, []int64{0, 50e3, 100e3}},
		{"microseconds by their steps", "Time", []string{"0", "50000", "100000"}, false, []int64{0, 50e3, 100e3}},
		{"clock", "Time", []string{"12:03:04.567", "12:03:04,617", "12:03:05"}, false, []int64{0, 50e3, 433e3}},
		{"clock with a colon before the fraction", "Time", []string{"12:03:04:567", "12:03:05:000"}, false, []int64{0, 433e3}},
		{"clock across midnight", "Time", []string{"23:59:59.9", "00:00:00.1", "00:00:01"}, false, []int64{0, 200e3, 1.1e6}},
		{"a damaged hour is no midnight", "Time", []string{"12:03:04", "00:03:05", "12:03:06"}, false, []int64{0, -43199e6, 2e6}},
		{"minutes and seconds", "Time", []string{"59:59.9", "00:00.1", "00:01"}, false, []int64{0, 200e3, 1.1e6}},
		{"elapsed past an hour", "Time", []string{"59:59.9", "1:00:00.1"}, false, []int64{0, 200e3}},
		{"clock under a name nobody knows", "Moment", []string{"12:03:04.5", "12:03:05"}, false, []int64{0, 500e3}},
		{"half days", "Time", []string{"11:59:59 AM", "12:00:01 PM", "1:00:00 PM"}, false, []int64{0, 2e6, 3601e6}},
		{"ISO with Z", "Timestamp", []string{"2026-11-23T12:03:04.5Z"}, true, []int64{noon}},
		{"ISO with a zone", "Timestamp", []string{"2026-11-23T13:03:04.5+01:00", "2026-11-23 07:03:05-0500"}, true, []int64{noon, noon + 500e3}},
		{"ISO without a zone", "Timestamp", []string{"2026-11-23 13:03:04.500"}, true, []int64{noon}},
		{"ISO in summer", "Timestamp", []string{"2026-07-01 14:00:00"}, true, []int64{utc("2026-07-01T12:00:00Z")}},
		{"ISO under another name", "X", []string{"2026-11-23T12:03:04.5Z"}, true, []int64{noon}},
		{"slashes, year first", "Time", []string{"2026/11/23 13:03:04.5"}, true, []int64{noon}},
		{"dots", "Datum", []string{"23.11.2026 13:03:04,5"}, true, []int64{noon}},
		{"dots that could be a month", "Zeit", []string{"03.04.2026 12:00:00"}, true, []int64{utc("2026-04-03T10:00:00Z")}},
		{"US", "Time", []string{"11/23/2026 1:03:04.5 PM"}, true, []int64{noon}},
		{"British", "Time", []string{"23/11/2026 13:03:04.5"}, true, []int64{noon}},
		{"the same either way", "Time", []string{"05/05/2026 12:00:00", "05/06/2026 12:00:00"}, true, nil},
		{"days as spreadsheets count them", "Zeitstempel", []string{"46349.5", "46349.50000025"}, true,
			[]int64{utc("2026-11-23T11:00:00Z"), utc("2026-11-23T11:00:00.0216Z")}},
		{"seconds of a day are no such days", "Time", []string{"46349.5", "46349.55"}, false, []int64{46349.5e6, 46349.55e6}},
		{"the month's name", "Device Time", []string{"23-Nov-2026 13:03:04.500", "23-nov.-2026 13:03:05"}, true, []int64{noon, noon + 500e3}},
		{"the month's name first", "Time", []string{"Nov 23, 2026 1:03:04.5 PM"}, true, []int64{noon}},
		{"the day of the week", "Time", []string{"Monday, November 23, 2026 13:03:04.5", "Mon Nov 23 2026 13:03:05"}, true, []int64{noon, noon + 500e3}},
		{"the month in German", "Zeit", []string{"1. März 2026 13:03:04.5", "1. Mär 2026 13:03:05"}, true,
			[]int64{utc("2026-03-01T12:03:04.5Z"), utc("2026-03-01T12:03:05Z")}},
		{"the month in French, on a mardi", "Heure", []string{"mar. 3 mars 2026 13:03:04.5", "mardi 3 août 2026 13:03:04.5"}, true,
			[]int64{utc("2026-03-03T12:03:04.5Z"), utc("2026-08-03T11:03:04.5Z")}},
		{"epoch seconds", "Timestamp", []string{"1795435384.5", "1795435384.55"}, true, []int64{noon, noon + 50e3}},
		{"epoch milliseconds", "timestamp_ms", []string{"1795435384500"}, true, []int64{noon}},
		{"epoch microseconds", "Time", []string{"1795435384500000"}, true, []int64{noon}},
		{"epoch nanoseconds", "Time", []string{"1795435384500000000"}, true, []int64{noon}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := "RPM;" + c.header + "\n"
			for _, cell := range c.cells {
				file += "1;" + cell + "\n"
			}
			k, err := readFile(t, []byte(file), format.Settings{Zone: berlin})
			if c.want == nil {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, s := range k.samples[0] {
				got = append(got, s.Time)
			}
			expect(t, "times", got, c.want)
			if k.runs[0].Dated != c.dated {
				t.Errorf("dated %v", k.runs[0].Dated)
			}
		})
	}
}

func TestA2DateAndClockInTwoColumns(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"Date,Time,RPM\n2026-11-23,23:59:59.5,1\n2026-11-24,00:00:00.5,2\n",
		"RPM;Uhrzeit;Datum\n1;23:59:59,5;23.11.2026\n2;00:00:00,5;24.11.2026\n",
	} {
		k := mustRead(t, file, format.Settings{})
		from := time.Date(2026, 11, 23, 23, 59, 59, 5e8, time.UTC).UnixMicro()
		if !k.runs[0].Dated || len(k.samples[0]) != 2 || k.samples[0][0].Time != from || k.samples[0][1].Time != from+1e6 {
			t.Errorf("%q: %+v %v", file, k.samples, k.problems)
		}
		expect(t, "facts", sortedFacts(k.runs[0]), []string{"time_zone=UTC"})
	}
}

// What cannot be known is asked, not guessed.
func TestA2ErrorsSayHowToMend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, want string
		line             int64
	}{
		{"no time", "x\nRPM,AFR\n1,2\n3,4\n", `"Time (s)"`, 2},
		{"dates either way", "Time,RPM\n03/04/2026 12:00:00,1\n", "2026-04-03", 1},
		{"dates both ways", "Time,RPM\n23/04/2026 12:00:00,1\n04/23/2026 12:00:00,1\n", "2026-04-03", 1},
		{"hours or minutes", "Time,RPM\n12:03,1\n12:04,2\n", "00:12:03", 1},
		{"no header", "0.1,2\n0.2,3\n", "column names", 1},
		{"empty", "", "column names", 1},
		{"prose", "Dear reader,\nthis is a letter.\n", "column names", 1},
		{"binary", "\x00\x01\x02\x03\x04\x05", "not a text file", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, err := readFile(t, []byte(c.file), format.Settings{})
			var at *format.Error
			if !errors.As(err, &at) || at.Line != c.line || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if len(k.runs) > 0 {
				t.Error("a run was begun")
			}
		})
	}
}

// TestA2LongTables: what is not a value is told of, and a column of words that
// are all different is no column of names.
func TestA2LongTables(t *testing.T) {
	t.Parallel()
	k := mustRead(t, "Time (s),Name,Value,Lap,Quality\n1,rpm,1000,1,good\n", format.Settings{Columns: map[string]string{"RPM": "rpm_drum"}})
	expect(t, "warnings", k.warnings, []string{`column 4, "Lap", was left out: the table has a row a value`})
	expect(t, "names", k.names, []string{"rpm_drum"})
	var file strings.Builder
	file.WriteString("Time (s),Name,Value\n")
	for i := range mostNames + 1 {
		fmt.Fprintf(&file, "%d,name %d,1\n", i, i)
	}
	_, err := readFile(t, []byte(file.String()), format.Settings{})
	var at *format.Error
	if !errors.As(err, &at) || at.Line != mostNames+2 || !strings.Contains(err.Error(), `column 2, "Name", holds more than 4096 names`) {
		t.Errorf("%v", err)
	}
}

// TestA2NamesBelowTheHeader: EFILive writes what its parameters mean into a row
// below them.
func TestA2NamesBelowTheHeader(t *testing.T) {
	t.Parallel()
	k := mustRead(t, "Frame,Time,GM.RPM,SAE.ECT,EXT.X\n,,rpm,°F,\nNumber,ms,Engine RPM,Coolant,Extra\n0,0,900,190,1\n1,100,910,190,2\n", format.Settings{})
	expect(t, "labels", k.labels, []string{"Frame", "Engine RPM", "SAE.ECT", "EXT.X"})
	if last := k.samples[0][len(k.samples[0])-1]; last.Time != 100_000 || len(k.warnings) > 0 {
		t.Errorf("%+v %q", last, k.warnings)
	}
}

// TestA2AiMSaysWhenItBegan: in the lines before the header.
func TestA2AiMSaysWhenItBegan(t *testing.T) {
	t.Parallel()
	const rows = "\"Time\",\"RPM\"\n\"s\",\"rpm\"\n\n\"0.05\",\"1000\"\n\"0.10\",\"1100\"\n"
	k := mustRead(t, "\"Format\",\"AiM CSV File\"\n\"Date\",\"Monday, June 3, 2024\"\n\"Time\",\"2:25:00 PM\"\n"+rows, format.Settings{})
	if want := time.Date(2024, 6, 3, 14, 25, 0, 50e6, time.UTC).UnixMicro(); !k.runs[0].Dated || k.samples[0][0].Time != want {
		t.Errorf("%+v %v", k.runs[0], k.samples[0])
	}
	k = mustRead(t, "\"Date\",\"some day\"\n\"Time\",\"later\"\n"+rows, format.Settings{})
	if k.runs[0].Dated || k.samples[0][0].Time != 50_000 {
		t.Errorf("%+v %v", k.runs[0], k.samples[0])
	}
}

const motec = `"Format","MoTeC CSV File",,,"Workbook",""
"Venue","Dyno",,,"Worksheet",""
"Vehicle","Bike",,,"Vehicle Desc",""
"Log Date","23/11/2026",,,"Origin Time","0.000","s"
"Log Time","12:03:04",,,"Start Time","0.000","s"
"Sample Rate","20.000","Hz",,"End Time","0.050","s"
"Duration","0.050","s",,"Start Distance","0","m"
"Range","entire outing",,,"End Distance","0","m"
"Beacon Markers",""


"Time","Engine RPM","Manifold Pres","Eng Oil Temp","Bat mV"
"s","rpm","kPa","C","mV"


"0.000","1000","100.5","90.0","12000"
"0.050","1100","101.5","","12001"
`

func TestA2MoTeC(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 23, 12, 3, 4, 0, time.UTC).UnixMicro()
	k := mustRead(t, motec, format.Settings{})
	for i := range k.samples[0] {
		k.samples[0][i].Time -= began
	}
	expect(t, "samples", k.values(), []string{
		"0 Engine RPM 1000", "0 Manifold Pres 100.5", "0 Eng Oil Temp 90", "0 Bat mV 12000",
		"50 Engine RPM 1100", "50 Manifold Pres 101.5", "50 Bat mV 12001",
	})
	expect(t, "units", k.units, []sample.Unit{sample.RPM, sample.Kilopascal, sample.Celsius, "mV"})
	if notes := k.runs[0].Notes; len(notes) != 9 || notes[1] != `"Venue","Dyno",,,"Worksheet",""` || !k.runs[0].Dated {
		t.Errorf("notes %q, dated %v", notes, k.runs[0].Dated)
	}
	if len(k.problems)+len(k.warnings) > 0 {
		t.Errorf("%v %v", k.problems, k.warnings)
	}
	expect(t, "facts", sortedFacts(k.runs[0]), []string{"sample_rate_hz=20", "time_zone=UTC"})

	// A date that may be two leaves the times as they are, and says so.
	k = mustRead(t, strings.Replace(motec, "23/11/2026", "03/11/2026", 1), format.Settings{})
	if k.runs[0].Dated || k.samples[0][6].Time != 50_000 || !contains(k.warnings, "03/11/2026") {
		t.Errorf("%v %q", k.runs[0].Dated, k.warnings)
	}
}

func TestA2RateInsteadOfTimes(t *testing.T) {
	t.Parallel()
	k := mustRead(t, "Sample Rate,20,Hz\n\nRPM,AFR\n1,2\n3,oops\n,\n5,6\n", format.Settings{})
	expect(t, "samples", k.values(), []string{"0 RPM 1", "0 AFR 2", "50 RPM 3", "100 RPM 5", "100 AFR 6"})
	if !contains(k.warnings, "20 Hz") {
		t.Errorf("%q", k.warnings)
	}
}

func TestA3UserMapping(t *testing.T) {
	t.Parallel()
	s := format.Settings{Columns: map[string]string{"meine  ZEIT (ms)": "time", "Drehzahl": "rpm"}}
	k := mustRead(t, "Drehzahl;Meine Zeit (ms);Time\n1000;50;7\n", s)
	expect(t, "samples", k.values(), []string{"50 Drehzahl 1000", "50 Time 7"})
	expect(t, "names", k.names, []string{"rpm", ""})
	if _, err := readFile(t, []byte("Time,RPM\n1,2\n"), format.Settings{Columns: map[string]string{"RPM": "rmp"}}); err == nil || !strings.Contains(err.Error(), `"rpm"`) {
		t.Errorf("a name there is not: %v", err)
	}
}

func TestA2WarningsForWhatIsAssumed(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"Time,RPM\n0,1\n50,2\n":           "milliseconds",
		"Time,RPM\n0,1\n1,2\n":            "seconds",
		"Time,RPM,rpm\n0.5,1,2\n":         "both named",
		"Time,A,B\n0.5,1,x\n0.6,2,y\n":    "words",
		"TIME,A,TIME,B\n0.5,1,0.53,2\n":   "the times of column 1 are taken for all columns",
		"Time,RPM\n":                      "no values",
		"Time (s),RPM,AFR\n\n \n":         "no values",
		"Sample rate,10\nA,B\n1,2\n3,4\n": "10 Hz",
	} {
		if k := mustRead(t, file, format.Settings{}); !contains(k.warnings, want) {
			t.Errorf("%q: %q, want %q", file, k.warnings, want)
		}
	}
	if k := mustRead(t, "Time (s),RPM\n0,1\n1,2\n", format.Settings{}); len(k.warnings) > 0 {
		t.Errorf("%q", k.warnings)
	}
}

func TestA1DetectsTablesOnly(t *testing.T) {
	t.Parallel()
	f := New(format.Settings{})
	for _, c := range []struct {
		head, name string
		want       format.Confidence
	}{
		{"Time,RPM\n0,1\n", "log", format.ByShape},
		{"RPM,AFR\n0,1\n", "log.txt", format.ByShape},
		{"Dear reader, hello\n", "log.txt", format.No},
		{"Dear reader, hello\n", "log.CSV", format.ByName},
		{"", "log.csv", format.No},
		{"\xfe\xce\xfa\xce\x00\x01\x02\x03\x00\x01\x02\x03", "log.csv", format.No},
	} {
		if got := f.Detect([]byte(c.head), c.name); got != c.want {
			t.Errorf("%q %s: %d, want %d", c.head, c.name, got, c.want)
		}
	}
	// The head of a larger file ends anywhere.
	file := []byte("Time,RPM\n" + strings.Repeat("0.5,1000\n", format.HeadSize/9+1))
	if got := f.Detect(file[:format.HeadSize], ""); got != format.ByShape {
		t.Errorf("a cut head: %d", got)
	}
}

// Where the look at the beginning ends inside a time, that is not taken for one.
func TestA2CutBeginning(t *testing.T) {
	t.Parallel()
	row := "5," + strings.Repeat(" ", 40_000) + "12:03:04\n"
	header := "RPM,Time\n"
	above := (layoutSize + len(":04\n") - len(header)) % len(row)
	file := strings.Repeat("x", above-1) + "\n" + header + strings.Repeat(row, 30)
	if k := mustRead(t, file, format.Settings{}); len(k.samples[0]) != 30 || len(k.problems) > 0 {
		t.Errorf("%d samples, %v", len(k.samples[0]), k.problems)
	}
}

func TestReadStops(t *testing.T) {
	t.Parallel()
	file := "Time,RPM\n" + strings.Repeat("0.5,1000\n", 100_000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(format.Settings{}).Read(ctx, strings.NewReader(file), int64(len(file)), &taken{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("full")
	if err := New(format.Settings{}).Read(t.Context(), strings.NewReader(file), int64(len(file)), &refusing{err: full}); !errors.Is(err, full) {
		t.Errorf("a sink that refuses: %v", err)
	}
	if k := mustRead(t, file, format.Settings{}); k.largest > format.MaxSamples || len(k.samples[0]) != 100_000 {
		t.Errorf("%d samples, batches of %d", len(k.samples[0]), k.largest)
	}
}

type refusing struct {
	taken
	err error
}

func (r *refusing) Batch(*sample.Batch) error { return r.err }
