package validate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/validate"
)

func rules(change func(*validate.Settings)) validate.Rules {
	return validate.Rules{Settings: settings(change), Ranges: validate.DefaultRanges()}
}

func reading(name string, value any) validate.Reading {
	q, _ := channel.Lookup(name)
	return validate.Reading{
		Source: "jetdrive", Time: at, Value: value,
		Channel: sample.Channel{Key: name, Label: name, Name: q.Name, NativeUnit: q.Unit, Unit: q.Unit},
	}
}

func TestV4Results(t *testing.T) {
	t.Parallel()
	r := rules(nil)
	for _, c := range []struct {
		in      validate.Reading
		quality sample.Quality
		message string
		value   float64
	}{
		{reading("rpm", 3500.0), sample.Good, "", 3500},
		{reading("rpm", 0.0), sample.Suspect, "0 rpm is below 500 rpm, where values are usual", 0},
		{reading("rpm", 16000), sample.Suspect, "16000 rpm is above 15000 rpm, where values are usual", 16000},
		{reading("rpm", -1), sample.Bad, "-1 rpm is below the minimum of 0 rpm", -1},
		{reading("afr", 36.5), sample.Bad, "36.5 AFR is above the maximum of 35 AFR", 36.5},
		{reading("rpm", math.NaN()), sample.Bad, "value is NaN", math.NaN()},
		{reading("rpm", math.Inf(-1)), sample.Bad, "value is infinite", math.Inf(-1)},
		{reading("correction_factor", math.Inf(1)), sample.Bad, "value is infinite", math.Inf(1)},
		{
			validate.Reading{Time: at, Value: 63.4, Channel: sample.Channel{Name: "horsepower", NativeUnit: sample.Kilowatt, Unit: sample.Horsepower}},
			sample.Good, "", 63.4 / 0.74569987158227,
		},
	} {
		got := r.CheckSample(c.in)
		if got.Quality != c.quality || got.Valid != (c.quality != sample.Bad) || math.Abs(got.Value-c.value) > 1e-9 ||
			math.IsNaN(got.Value) != math.IsNaN(c.value) {
			t.Errorf("%v: got %+v", c.in.Value, got)
		}
		want, list := []validate.Issue(nil), got.Warnings
		if c.message != "" {
			want = []validate.Issue{{Message: c.message, Field: c.in.Channel.Name, Value: fmt.Sprint(c.in.Value), Source: "jetdrive"}}
		}
		if c.quality == sample.Bad {
			list = got.Errors
		}
		if !slices.Equal(list, want) || len(got.Errors)+len(got.Warnings) != len(want) {
			t.Errorf("%v: errors %v, warnings %v, want %v", c.in.Value, got.Errors, got.Warnings, want)
		}
	}
}

func TestV4StrictModeInWords(t *testing.T) {
	t.Parallel()
	got := rules(func(s *validate.Settings) { s.StrictMode = true }).CheckSample(reading("rpm", 100))
	if got.Valid || !got.Rejected || len(got.Errors) != 1 || len(got.Warnings) != 1 || !strings.Contains(got.Errors[0].Message, "strict_mode") {
		t.Errorf("got %+v", got)
	}
	marked := reading("rpm", 3500)
	marked.Quality = sample.Suspect
	if got := rules(nil).CheckSample(marked); !got.Valid || got.Quality != sample.Suspect || got.Warnings[0].Message != "marked by the source" {
		t.Errorf("got %+v", got)
	}
}

func TestV5SanitizeValues(t *testing.T) {
	t.Parallel()
	on, off := rules(nil), rules(func(s *validate.Settings) { s.SanitizeValues = false })
	if got := on.CheckSample(reading("rpm", " 3500 ")); !got.Valid || got.Value != 3500 {
		t.Errorf("sanitised: %+v", got)
	}
	if got := off.CheckSample(reading("rpm", "3500")); got.Valid || got.Errors[0].Message != "value is text, and sanitize_values is off" {
		t.Errorf("not sanitised: %+v", got)
	}
	for _, c := range []struct {
		text string
		want validate.Kind
	}{
		{"3500", validate.Number}, {"inf", validate.Number}, {"", validate.Missing},
		{" 3500", validate.Malformed}, {"-", validate.Malformed}, {"nan", validate.Malformed},
	} {
		if _, got := off.Settings.Number(c.text, '.'); got != c.want {
			t.Errorf("%q without sanitising is %d, want %d", c.text, got, c.want)
		}
	}
	if v, got := on.Settings.Number(" 1,5 ", ','); got != validate.Number || v != 1.5 {
		t.Errorf("sanitised: %v, %d", v, got)
	}
}

func TestV5Disabled(t *testing.T) {
	t.Parallel()
	r := rules(func(s *validate.Settings) { s.Enabled = false })
	for _, value := range []any{-5.0, math.NaN(), true, "x"} {
		if got := r.CheckSample(reading("rpm", value)); !got.Valid || got.Rejected || got.Quality != sample.Good {
			t.Errorf("%v: %+v", value, got)
		}
	}
}

func TestV5Defaults(t *testing.T) {
	t.Parallel()
	text := `{"enabled": true, "strict_mode": false, "max_validation_errors": 100, "sanitize_values": true, "reject_nan": true,
		"reject_inf": true, "reject_out_of_range": false, "log_warnings": true}`
	var guide validate.Settings
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&guide); err != nil || guide != validate.DefaultSettings() {
		t.Errorf("the guide says %+v (%v), the defaults are %+v", guide, err, validate.DefaultSettings())
	}
	if err := guide.Check(); err != nil {
		t.Error(err)
	}
	guide.MaxValidationErrors = -1
	if err := guide.Check(); err == nil {
		t.Error("max_validation_errors -1 is accepted")
	}
}

func TestV6ParseNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		decimal rune
		value   float64
		kind    validate.Kind
	}{
		{"3500.5", '.', 3500.5, validate.Number},
		{" 3500 ", '.', 3500, validate.Number},
		{"\u00a03500\t", '.', 3500, validate.Number},
		{"1,5", ',', 1.5, validate.Number},
		{"1,5", '.', 0, validate.Malformed},
		{"3500.5", ',', 0, validate.Malformed},
		{"1.234,5", ',', 0, validate.Malformed},
		{"0", '.', 0, validate.Number},
		{"-0.25", '.', -0.25, validate.Number},
		{"+.5", '.', 0.5, validate.Number},
		{"1e3", '.', 1000, validate.Number},
		{"1,5E-3", ',', 0.0015, validate.Number},
		{"inf", '.', math.Inf(1), validate.Number},
		{" -Infinity", '.', math.Inf(-1), validate.Number},
		{"", '.', 0, validate.Missing},
		{"   ", '.', 0, validate.Missing},
		{"-", '.', 0, validate.Missing},
		{"---", '.', 0, validate.Missing},
		{"NaN", '.', 0, validate.Missing},
		{"null", '.', 0, validate.Missing},
		{"None", '.', 0, validate.Missing},
		{"1_000", '.', 0, validate.Malformed},
		{"1 000", '.', 0, validate.Malformed},
		{"0x10", '.', 0, validate.Malformed},
		{"0x1p4", '.', 0, validate.Malformed},
		{"26D", '.', 0, validate.Malformed},
		{"garbage", '.', 0, validate.Malformed},
		{"1.2.3", '.', 0, validate.Malformed},
		{"1-2", '.', 0, validate.Malformed},
		{"1e999", '.', 0, validate.Malformed},
		{"infinite", '.', 0, validate.Malformed},
		{strings.Repeat("1", 65), '.', 0, validate.Malformed},
		{"\xff", '.', 0, validate.Malformed},
	} {
		v, kind := validate.ParseNumber(c.text, c.decimal)
		if kind != c.kind || kind == validate.Number && v != c.value || kind != validate.Number && !math.IsNaN(v) {
			t.Errorf("%q with %q: %v, kind %d, want %v, kind %d", c.text, c.decimal, v, kind, c.value, c.kind)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, text := range []string{"3500.5", " 1,5 ", "---", "inf", "1e3", "1_000"} {
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, comma bool) {
		decimal := '.'
		if comma {
			decimal = ','
		}
		v, kind := validate.ParseNumber(text, decimal)
		if (kind == validate.Number) == math.IsNaN(v) {
			t.Fatalf("%q: %v, kind %d", text, v, kind)
		}
		if kind != validate.Number || math.IsInf(v, 0) {
			return
		}
		again := strconv.FormatFloat(v, 'g', -1, 64)
		if got, kind := validate.ParseNumber(strings.ReplaceAll(again, ".", string(decimal)), decimal); kind != validate.Number || got != v {
			t.Fatalf("%q is %v, written %q and read as %v, kind %d", text, v, again, got, kind)
		}
	})
}

func BenchmarkParseNumber(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		validate.ParseNumber(" 3500.125 ", '.')
	}
}

func TestV7TimestampInWords(t *testing.T) {
	t.Parallel()
	for _, time := range []int64{-1, validate.MaxTime} {
		in := reading("rpm", 3500)
		in.Time = time
		got := rules(nil).CheckSample(in)
		if got.Valid || !got.Rejected || got.Errors[0].Field != "timestamp" || got.Errors[0].Value != strconv.FormatInt(time, 10) {
			t.Errorf("time %d: %+v", time, got)
		}
	}
}

func TestV8Jetdrive(t *testing.T) {
	t.Parallel()
	name := func(bytes int) string { return strings.Repeat("é", bytes/2) + strings.Repeat("e", bytes%2) }
	for _, c := range []struct {
		got  []validate.Issue
		want string // the field complained of
	}{
		{validate.CheckJetdriveProvider(1, name(50)), ""},
		{validate.CheckJetdriveProvider(65534, ""), ""},
		{validate.CheckJetdriveProvider(0, "x"), "provider id"},
		{validate.CheckJetdriveProvider(65535, "x"), "provider id"},
		{validate.CheckJetdriveProvider(1, name(51)), "provider name"},
		{validate.CheckJetdriveChannel(0, name(30)), ""},
		{validate.CheckJetdriveChannel(65535, "x"), ""},
		{validate.CheckJetdriveChannel(-1, "x"), "channel id"},
		{validate.CheckJetdriveChannel(65536, "x"), "channel id"},
		{validate.CheckJetdriveChannel(1, name(31)), "channel name"},
	} {
		if c.want == "" && len(c.got) > 0 || c.want != "" && (len(c.got) != 1 || c.got[0].Field != c.want || c.got[0].Message == "") {
			t.Errorf("got %v, want a complaint of %q", c.got, c.want)
		}
	}
}

func TestV8Innovate(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, c := range []struct {
		in   validate.WidebandReading
		want []string
	}{
		{validate.WidebandReading{Sensor: 1, Sensors: 1, AFR: 14.7, Lambda: 1}, nil},
		{validate.WidebandReading{Sensor: 6, Sensors: 6, AFR: 6, Lambda: 2.4}, nil},
		{validate.WidebandReading{Sensor: 1, Sensors: 2, AFR: 35, Lambda: 0.4}, nil},
		{validate.WidebandReading{Sensor: 1, Sensors: 1, AFR: nan, Lambda: nan}, nil},
		{validate.WidebandReading{Sensor: 0, Sensors: 2, AFR: 14.7, Lambda: 1}, []string{"sensor"}},
		{validate.WidebandReading{Sensor: 3, Sensors: 2, AFR: 14.7, Lambda: 1}, []string{"sensor"}},
		{validate.WidebandReading{Sensor: 1, Sensors: 1, AFR: 5.99, Lambda: 0.39}, []string{"afr", "lambda"}},
		{validate.WidebandReading{Sensor: 1, Sensors: 1, AFR: 35.01, Lambda: 2.41}, []string{"afr", "lambda"}},
		{validate.WidebandReading{Sensor: 1, Sensors: 1, AFR: math.Inf(1), Lambda: nan}, []string{"afr"}},
	} {
		var fields []string
		for _, issue := range validate.CheckInnovate(c.in) {
			fields = append(fields, issue.Field)
		}
		if !slices.Equal(fields, c.want) {
			t.Errorf("%+v: complaints of %v, want %v", c.in, fields, c.want)
		}
	}
}

func TestV9Run(t *testing.T) {
	t.Parallel()
	r := rules(nil)
	var points []validate.Point
	for i := range 200 { // out of order, odd ones first
		j := int64(2*i+1) % 201 // each of 0 to 199
		points = append(points, validate.Point{Time: at + j*50_000, Values: map[string]float64{
			"rpm": 2000 + float64(j)*20, "horsepower": 90 - math.Abs(float64(j)-150)/10, "torque": -5 - float64(j),
		}})
	}
	points[180].Values["horsepower"] = 5000 // beyond the first hundred, and no peak
	before := fmt.Sprint(points)
	got := r.CheckRun(points)
	if got.Points != 200 || got.Checked != 600 || got.Invalid != 1+104 || got.Valid {
		// torque is below -100 from j = 96 on: 104 of the 200
		t.Errorf("points %d, checked %d, invalid %d, valid %v", got.Points, got.Checked, got.Invalid, got.Valid)
	}
	if hp := got.Peaks["horsepower"]; hp.Value != 90 || hp.RPM != 5000 || hp.Time != at+150*50_000 {
		t.Errorf("horsepower peak %+v", hp)
	}
	if tq := got.Peaks["torque"]; tq.Value != -5 || tq.RPM != 2000 {
		t.Errorf("peak of negative torque %+v", tq)
	}
	if got.Duration != 199*50_000 {
		t.Errorf("duration %d", got.Duration)
	}
	if after := fmt.Sprint(points); after != before {
		t.Error("the input was changed")
	}
	if again := r.CheckRun(points); fmt.Sprint(again) != fmt.Sprint(got) {
		t.Error("a second check finds something else")
	}
	slices.Reverse(points)
	if turned := r.CheckRun(points); fmt.Sprint(turned) != fmt.Sprint(got) {
		t.Error("the order of the points matters")
	}
}

func TestV9RunEdges(t *testing.T) {
	t.Parallel()
	r := rules(nil)
	if got := r.CheckRun(nil); !got.Valid || len(got.Warnings) != 1 || got.Points != 0 || got.Duration != 0 {
		t.Errorf("an empty run: %+v", got)
	}
	one := r.CheckRun([]validate.Point{{Time: 0, Values: map[string]float64{"horsepower": -3}}})
	if !one.Valid || one.Duration != 0 || one.Peaks["horsepower"].Value != -3 || !math.IsNaN(one.Peaks["horsepower"].RPM) {
		t.Errorf("one point: %+v", one)
	}
	absurd := r.CheckRun([]validate.Point{
		{Time: -5, Values: map[string]float64{"horsepower": 100}}, {Time: 10, Values: map[string]float64{"horsepower": 50}},
		{Time: 40, Values: map[string]float64{"horsepower": 40}},
	})
	if absurd.Valid || absurd.Duration != 30 || absurd.Peaks["horsepower"].Value != 50 {
		t.Errorf("a point at an absurd time: %+v", absurd)
	}
}

func TestV11BatchListsUpToTheBound(t *testing.T) {
	t.Parallel()
	var in []validate.Reading
	for range 10 {
		in = append(in, reading("rpm", -1), reading("rpm", 100), reading("rpm", 3000))
	}
	got := rules(func(s *validate.Settings) { s.MaxValidationErrors = 3 }).CheckBatch(in)
	if got.Valid || got.Checked != 30 || got.Invalid != 10 || got.Suspect != 10 || got.Rejected != 0 {
		t.Errorf("counts %+v", got)
	}
	if len(got.Errors) != 3 || len(got.Warnings) != 4 || got.NotListed != 14 {
		t.Errorf("%d errors, %d warnings, %d not listed", len(got.Errors), len(got.Warnings), got.NotListed)
	}
	if last := got.Warnings[3].Message; last != "14 more issues are not listed (max_validation_errors is 3)" {
		t.Errorf("last warning %q", last)
	}
	if zero := rules(func(s *validate.Settings) { s.MaxValidationErrors = 0 }).CheckBatch(in); len(zero.Errors) != 0 || len(zero.Warnings) != 1 || zero.NotListed != 20 {
		t.Errorf("bound 0: %+v", zero)
	}
	if all := rules(nil).CheckBatch(in); len(all.Errors) != 10 || len(all.Warnings) != 10 || all.NotListed != 0 {
		t.Errorf("bound 100: %+v", all)
	}
}

func TestV11WrongTypesAreErrors(t *testing.T) {
	t.Parallel()
	for _, value := range []any{true, nil, []float64{1}, map[string]any{}, struct{}{}, 1i, "garbage", "", "1_000", json.Number("x"), new(1.0)} {
		got := rules(nil).CheckBatch([]validate.Reading{reading("rpm", value)})
		if got.Valid || got.Invalid != 1 || got.Rejected != 1 || len(got.Errors) != 1 {
			t.Errorf("%#v: %+v", value, got)
		}
	}
	for _, value := range []any{3500.0, float32(3500), 3500, int8(100), uint16(3500), uint64(3500), "3500", json.Number("3500")} {
		if got := rules(nil).CheckBatch([]validate.Reading{reading("rpm", value)}); !got.Valid {
			t.Errorf("%#v: %+v", value, got)
		}
	}
}

func TestV7BatchOutOfOrder(t *testing.T) {
	t.Parallel()
	var in []validate.Reading
	for _, p := range []struct {
		source string
		time   int64
	}{{"a", at}, {"b", at - 5}, {"a", at}, {"a", at - 1}, {"a", at + 1}} {
		r := reading("rpm", 3500)
		r.Source, r.Time = p.source, p.time
		in = append(in, r)
	}
	got := rules(nil).CheckBatch(in)
	if !got.Valid || got.OutOfOrder != 1 || len(got.Warnings) != 1 || got.Warnings[0].Field != "timestamp" {
		t.Errorf("got %+v", got)
	}
}

func TestV5LogWarnings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := sample.NewChannelSet("jetdrive", []sample.Channel{{Provider: "DWRT CPU", Label: "Engine RPM", Name: "rpm", NativeUnit: sample.RPM, Unit: sample.RPM}})
		check := func(value float64) *validate.Counts {
			n := new(validate.Counts)
			validate.Compile(set, settings(nil), validate.DefaultRanges()).Check([]sample.Sample{{Time: at, Value: value}}, n)
			return n
		}
		var out bytes.Buffer
		log := validate.NewWarningLog(slog.New(slog.NewTextHandler(&out, nil)), settings(nil), 10*time.Second)
		log.Report(set, check(3500))
		if out.Len() > 0 {
			t.Errorf("good samples are logged: %s", &out)
		}
		for range 1000 {
			log.Report(set, check(100))
		}
		if lines := strings.Count(out.String(), "\n"); lines != 1 {
			t.Errorf("%d lines at once, want 1:\n%s", lines, &out)
		}
		out.Reset()
		time.Sleep(10 * time.Second)
		log.Report(set, check(math.NaN()))
		line := out.String()
		for _, want := range []string{"suspect=999", "rejected_nan=1", "reason=nan", `channel="DWRT CPU:Engine RPM"`, "value=NaN", "unit=rpm"} {
			if !strings.Contains(line, want) {
				t.Errorf("the line lacks %s: %s", want, line)
			}
		}
		out.Reset()
		time.Sleep(10 * time.Second)
		quiet := validate.NewWarningLog(slog.New(slog.NewTextHandler(&out, nil)), settings(func(s *validate.Settings) { s.LogWarnings = false }), time.Second)
		if quiet.Report(set, check(100)); out.Len() > 0 {
			t.Errorf("log_warnings is off, yet: %s", &out)
		}
	})
}
