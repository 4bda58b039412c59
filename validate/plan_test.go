package validate_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/validate"

	"pgregory.net/rapid"
)

const at = 1_750_000_000_000_000

func settings(change func(*validate.Settings)) validate.Settings {
	s := validate.DefaultSettings()
	if change != nil {
		change(&s)
	}
	return s
}

// named makes a set of canonical channels in their canonical units.
func named(names ...string) *sample.ChannelSet {
	channels := make([]sample.Channel, len(names))
	for i, name := range names {
		q, _ := channel.Lookup(name)
		channels[i] = sample.Channel{Key: name, Label: name, Name: q.Name, NativeUnit: q.Unit, Unit: q.Unit}
	}
	return sample.NewChannelSet("test", channels)
}

func qualityOf(name string, value float64) sample.Quality {
	var n validate.Counts
	p := validate.Compile(named(name), settings(func(s *validate.Settings) { s.RejectNaN, s.RejectInf = false, false }), validate.DefaultRanges())
	return p.Check([]sample.Sample{{Time: at, Value: value}}, &n)[0].Quality
}

// The guide's table and the additions of V1, written again.
func TestV1Ranges(t *testing.T) {
	t.Parallel()
	none := math.NaN()
	table := map[string][4]float64{
		"rpm": {0, 20000, 500, 15000}, "afr": {6, 35, 10, 20}, "map": {0, 300, 20, 250}, "horsepower": {-50, 2000, none, 1000},
		"torque": {-100, 2000, none, 800}, "tps": {0, 100, none, none}, "iat": {-40, 300, 32, 200},
		"rpm_drum": {0, 10000, 0, 8000}, "ect": {-40, 350, 100, 250}, "lambda": {0.4, 2.4, 0.7, 1.4}, "force": {-500, 2000, none, none},
		"acceleration": {-5, 10, none, none}, "voltage": {0, 20, 11, 15}, "knock": {0, 100, none, 30}, "barometric": {20, 35, 28, 31},
		"humidity": {0, 100, none, none}, "ambient_temp": {-40, 150, 32, 110},
	}
	for name := range validate.DefaultRanges() {
		if _, ok := table[name]; !ok {
			t.Errorf("a range for %s that V1 does not have", name)
		}
	}
	family := map[string][]string{
		"afr":    {"afr_front", "afr_rear", "afr_2", "afr_target"},
		"lambda": {"lambda_front", "lambda_rear", "lambda_target"}, "knock": {"knock_front", "knock_rear"},
	}
	for name, want := range table {
		for _, member := range append([]string{name}, family[name]...) {
			least, most, warnMin, warnMax := want[0], want[1], want[2], want[3]
			if math.IsNaN(warnMin) {
				warnMin = least
			}
			if math.IsNaN(warnMax) {
				warnMax = most
			}
			for value, quality := range map[float64]sample.Quality{
				math.Nextafter(least, -1e9): sample.Bad, math.Nextafter(most, 1e9): sample.Bad,
				warnMin: sample.Good, warnMax: sample.Good, (warnMin + warnMax) / 2: sample.Good,
			} {
				if got := qualityOf(member, value); got != quality {
					t.Errorf("%s of %.17g is %s, want %s", member, value, got, quality)
				}
			}
			if warnMin > least && (qualityOf(member, least) != sample.Suspect || qualityOf(member, math.Nextafter(warnMin, -1e9)) != sample.Suspect) {
				t.Errorf("%s from %g to below %g is not suspect", member, least, warnMin)
			}
			if warnMax < most && (qualityOf(member, most) != sample.Suspect || qualityOf(member, math.Nextafter(warnMax, 1e9)) != sample.Suspect) {
				t.Errorf("%s from above %g to %g is not suspect", member, warnMax, most)
			}
		}
	}
}

func TestV2ChannelsWithoutRange(t *testing.T) {
	t.Parallel()
	set := sample.NewChannelSet("test", []sample.Channel{{Label: "rpm of something"}})
	for value, want := range map[float64]sample.Quality{
		1e300: sample.Good, -1e300: sample.Good, math.MaxFloat64: sample.Good, 0: sample.Good,
		math.NaN(): sample.Bad, math.Inf(1): sample.Bad, math.Inf(-1): sample.Bad,
	} {
		var n validate.Counts
		p := validate.Compile(set, settings(func(s *validate.Settings) { s.RejectNaN, s.RejectInf = false, false }), validate.DefaultRanges())
		if got := p.Check([]sample.Sample{{Time: at, Value: value}}, &n)[0].Quality; got != want {
			t.Errorf("%v is %s, want %s", value, got, want)
		}
	}
	for _, name := range []string{"ve", "injector_time", "fuel_pressure", "speed"} {
		if got := qualityOf(name, 1e6); got != sample.Good {
			t.Errorf("%s, which has no range, is %s", name, got)
		}
	}
}

func TestV3UnitsBeforeRanges(t *testing.T) {
	t.Parallel()
	r, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		label string
		unit  sample.Unit
		value float64
		want  sample.Quality
	}{
		{"Power", sample.Kilowatt, 63.4, sample.Good},
		{"Power", sample.Kilowatt, 745, sample.Good},    // 999 hp
		{"Power", sample.Kilowatt, 746, sample.Suspect}, // 1000.4 hp
		{"Power", sample.Kilowatt, 1492, sample.Bad},    // 2000.8 hp
		{"ECT", sample.Celsius, 90, sample.Good},        // 194 °F
		{"ECT", sample.Celsius, 37, sample.Suspect},     // 98.6 °F
		{"ECT", sample.Celsius, 177, sample.Bad},        // 350.6 °F
		{"Engine RPM", sample.KiloRPM, 3.5, sample.Good},
		{"Engine RPM", sample.KiloRPM, 0.4, sample.Suspect},
		{"Barometric Pressure", sample.Kilopascal, 101.3, sample.Good},
		{"WBO2 F", sample.Lambda, 0.9, sample.Good},
	} {
		set := r.ResolveSet(sample.NewChannelSet("x", []sample.Channel{{Label: c.label, NativeUnit: c.unit}}))
		var n validate.Counts
		got := validate.Compile(set, settings(nil), validate.DefaultRanges()).Check([]sample.Sample{{Time: at, Value: c.value}}, &n)
		if got[0].Quality != c.want || got[0].Value != c.value {
			t.Errorf("%s of %v %s is %s with value %v, want %s and the native value", c.label, c.value, c.unit, got[0].Quality, got[0].Value, c.want)
		}
	}
}

func TestV5Settings(t *testing.T) {
	t.Parallel()
	input := []sample.Sample{
		{Time: at, Value: 3500},
		{Time: at + 1, Value: math.NaN()},
		{Time: at + 2, Value: math.Inf(1)},
		{Time: at + 3, Value: -5},
		{Time: at + 4, Value: 30000},
		{Time: at + 5, Value: 100},
		{Time: at + 6, Value: 16000},
		{Time: at + 7, Value: 4000, Quality: sample.Suspect},
		{Time: at + 8, Value: 4000, Channel: 7},
		{Time: -1, Value: 4000},
	}
	all := func(s *validate.Settings) { s.RejectNaN, s.RejectInf, s.RejectOutOfRange = true, true, true }
	none := func(s *validate.Settings) { s.RejectNaN, s.RejectInf, s.RejectOutOfRange = false, false, false }
	for name, c := range map[string]struct {
		change    func(*validate.Settings)
		qualities string // of the inputs, - for a dropped one
		rejected  map[validate.Reason]uint64
		bad       uint64
		suspect   uint64
	}{
		"enabled false":       {func(s *validate.Settings) { s.Enabled, s.StrictMode = false, true }, "gggggggsgg", nil, 0, 0},
		"the guide":           {nil, "g--bbsss--", map[validate.Reason]uint64{validate.NaN: 1, validate.Infinite: 1}, 2, 3},
		"reject everything":   {all, "g----sss--", map[validate.Reason]uint64{validate.NaN: 1, validate.Infinite: 1, validate.Below: 1, validate.Above: 1}, 0, 3},
		"reject nothing":      {none, "gbbbbsss--", nil, 4, 3},
		"reject NaN":          {func(s *validate.Settings) { none(s); s.RejectNaN = true }, "g-bbbsss--", map[validate.Reason]uint64{validate.NaN: 1}, 3, 3},
		"reject infinity":     {func(s *validate.Settings) { none(s); s.RejectInf = true }, "gb-bbsss--", map[validate.Reason]uint64{validate.Infinite: 1}, 3, 3},
		"reject out of range": {func(s *validate.Settings) { none(s); s.RejectOutOfRange = true }, "gbb--sss--", map[validate.Reason]uint64{validate.Below: 1, validate.Above: 1}, 2, 3},
		"strict":              {func(s *validate.Settings) { s.StrictMode = true }, "g---------", map[validate.Reason]uint64{validate.NaN: 1, validate.Infinite: 1, validate.Strict: 5}, 0, 0},
	} {
		samples, n := slices.Clone(input), validate.Counts{}
		got := validate.Compile(named("rpm"), settings(c.change), validate.DefaultRanges()).Check(samples, &n)
		var want []sample.Sample
		for i, q := range c.qualities {
			if q != '-' {
				s := input[i]
				s.Quality = map[rune]sample.Quality{'g': sample.Good, 's': sample.Suspect, 'b': sample.Bad}[q]
				want = append(want, s)
			}
		}
		if !equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if name == "enabled false" {
			if n != (validate.Counts{Unchecked: 10}) {
				t.Errorf("%s: counts %+v", name, n)
			}
			continue
		}
		rejected := [validate.Reasons]uint64{validate.Timestamp: 1, validate.Channel: 1}
		for reason, count := range c.rejected {
			rejected[reason] = count
		}
		if n.Rejected != rejected || n.Bad != c.bad || n.Suspect != c.suspect || n.Good != 1 {
			t.Errorf("%s: counts %+v", name, n)
		}
		if n.First.Reason != validate.NaN || n.First.Sample.Time != at+1 || !n.Troubled() {
			t.Errorf("%s: first trouble %+v", name, n.First)
		}
	}
}

func equal(a, b []sample.Sample) bool {
	return slices.EqualFunc(a, b, func(x, y sample.Sample) bool {
		sameValue := math.Float64bits(x.Value) == math.Float64bits(y.Value)
		x.Value, y.Value = 0, 0
		return sameValue && x == y
	})
}

// A source's worse opinion stays; a better one does not help.
func TestV4TheWorseQualityStays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value        float64
		marked, want sample.Quality
		reason       validate.Reason
	}{
		{3500, sample.Bad, sample.Bad, validate.Marked},
		{3500, sample.Suspect, sample.Suspect, validate.Marked},
		{100, sample.Bad, sample.Bad, validate.Low},
		{-1, sample.Suspect, sample.Bad, validate.Below},
		{3500, sample.Quality(77), sample.Bad, validate.Marked},
	} {
		var n validate.Counts
		got := validate.Compile(named("rpm"), settings(nil), validate.DefaultRanges()).Check([]sample.Sample{{Time: at, Value: c.value, Quality: c.marked}}, &n)
		if got[0].Quality != c.want || n.Flagged[c.reason] != 1 {
			t.Errorf("%v marked %s is %s, flagged %v", c.value, c.marked, got[0].Quality, n.Flagged)
		}
	}
}

func TestV7Timestamps(t *testing.T) {
	t.Parallel()
	p := validate.Compile(named("rpm", "torque"), settings(nil), validate.DefaultRanges())
	var n validate.Counts
	check := func(channel uint32, times ...int64) int {
		var in []sample.Sample
		for _, time := range times {
			in = append(in, sample.Sample{Time: time, Value: 600, Channel: channel})
		}
		return len(p.Check(in, &n))
	}
	if kept := check(0, 0, 1, at, validate.MaxTime-1); kept != 4 || n.OutOfOrder != 0 {
		t.Errorf("kept %d of 4 good times, %d out of order", kept, n.OutOfOrder)
	}
	if kept := check(0, -1, math.MinInt64, validate.MaxTime, math.MaxInt64); kept != 0 || n.Rejected[validate.Timestamp] != 4 {
		t.Errorf("kept %d absurd times, counts %+v", kept, n)
	}
	n = validate.Counts{}
	// Per channel, across batches, equal times allowed, counted but kept.
	if kept := check(1, at, at, at+10, at+5, at+7); kept != 5 || n.OutOfOrder != 1 {
		t.Errorf("kept %d of 5, %d out of order, want 1", kept, n.OutOfOrder)
	}
	if check(1, at+6); n.OutOfOrder != 2 {
		t.Errorf("%d out of order after the next batch, want 2", n.OutOfOrder)
	}
	// Also among samples that are not good.
	suspect := []sample.Sample{{Time: at + 5, Value: 900, Channel: 1}}
	if p.Check(suspect, &n); n.OutOfOrder != 3 || suspect[0].Quality != sample.Suspect {
		t.Errorf("%d out of order, want 3; quality %s", n.OutOfOrder, suspect[0].Quality)
	}
}

func TestV10ConfiguredRanges(t *testing.T) {
	t.Parallel()
	base := validate.DefaultRanges()
	got, err := base.Override(validate.Ranges{
		"rpm": {Max: new(9000.0)}, "map_kpa": {WarnMax: new(120.0)}, "afr": {WarnMin: new(11.0)},
		"lambda_front": {Min: new(0.5)}, "ve": {Max: new(150.0)}, "tps": {},
	})
	if err != nil {
		t.Fatal(err)
	}
	quality := func(name string, value float64) sample.Quality {
		var n validate.Counts
		return validate.Compile(named(name), settings(nil), got).Check([]sample.Sample{{Time: at, Value: value}}, &n)[0].Quality
	}
	for _, c := range []struct {
		name  string
		value float64
		want  sample.Quality
	}{
		{"rpm", 9001, sample.Bad}, {"rpm", 8999, sample.Good}, {"rpm", 400, sample.Suspect}, {"map", 121, sample.Suspect},
		{"afr", 10.5, sample.Suspect}, {"afr_front", 10.5, sample.Suspect}, {"afr_front", 5, sample.Bad},
		{"lambda_front", 0.45, sample.Bad}, {"lambda", 0.45, sample.Suspect}, {"lambda_front", 1.5, sample.Suspect},
		{"ve", 151, sample.Bad}, {"ve", -1e9, sample.Good}, {"tps", 101, sample.Bad},
	} {
		if q := quality(c.name, c.value); q != c.want {
			t.Errorf("%s of %v is %s, want %s", c.name, c.value, q, c.want)
		}
	}
	if *base["rpm"].Max != 20000 {
		t.Error("the table itself was changed")
	}
	if only, err := validate.Ranges(nil).Override(validate.Ranges{"rpm": {Max: new(1.0)}}); err != nil || *only["rpm"].Max != 1 {
		t.Errorf("override of nothing: %v, %v", only, err)
	}
}

func TestV10ConfiguredRangesErrors(t *testing.T) {
	t.Parallel()
	_, err := validate.DefaultRanges().Override(validate.Ranges{"rmp": {}})
	var unknown *channel.UnknownNameError
	if !errors.As(err, &unknown) || unknown.Nearest != "map" && unknown.Nearest != "rpm" {
		t.Errorf("got %v", err)
	}
	for name, r := range map[string]validate.Range{
		"min above max":         {Min: new(5.0), Max: new(4.0)},
		"min above the table's": {Min: new(30000.0)},
		"warnings crossed":      {WarnMin: new(5.0), WarnMax: new(4.0)},
		"NaN":                   {Min: new(math.NaN())},
		"infinite":              {WarnMax: new(math.Inf(1))},
	} {
		if _, err := validate.DefaultRanges().Override(validate.Ranges{"rpm": r}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The fast check, the counts and the check in words agree on everything.
func TestV4PlanAndRulesAgreeProperty(t *testing.T) {
	t.Parallel()
	channels := []sample.Channel{
		{Key: "0", Label: "Power", Name: "horsepower", NativeUnit: sample.Kilowatt, Unit: sample.Horsepower},
		{Key: "1", Label: "ECT", Name: "ect", NativeUnit: sample.Celsius, Unit: sample.Fahrenheit},
		{Key: "2", Label: "RPM", Name: "rpm", NativeUnit: sample.RPM, Unit: sample.RPM},
		{Key: "3", Label: "Gear", NativeUnit: sample.Newton, Unit: sample.PoundForce},
	}
	value := rapid.OneOf(
		rapid.Float64Range(-3000, 30000), rapid.Float64Range(0, 120), rapid.Float64(),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 0, 500, 15000}),
	)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) bool { return rapid.Bool().Draw(t, name) }
		rules := validate.Rules{Ranges: validate.DefaultRanges(), Settings: validate.Settings{
			Enabled: rapid.IntRange(0, 5).Draw(t, "enabled") > 0, StrictMode: draw("strict"), MaxValidationErrors: 10,
			RejectNaN: draw("nan"), RejectInf: draw("inf"), RejectOutOfRange: draw("range"),
		}}
		one := rapid.Custom(func(t *rapid.T) sample.Sample {
			return sample.Sample{
				Time: rapid.OneOf(rapid.Int64Range(0, 100), rapid.Int64()).Draw(t, "time"), Value: value.Draw(t, "value"),
				Channel: uint32(rapid.IntRange(0, 3).Draw(t, "channel")),
				Quality: sample.Quality(rapid.IntRange(0, 2).Draw(t, "quality")),
			}
		})
		in := rapid.SliceOf(one).Draw(t, "samples")
		var want []sample.Sample
		var readings []validate.Reading
		for _, s := range in {
			r := validate.Reading{Source: "x", Channel: channels[s.Channel], Time: s.Time, Quality: s.Quality, Value: s.Value}
			readings = append(readings, r)
			if got := rules.CheckSample(r); !got.Rejected {
				s.Quality = got.Quality
				want = append(want, s)
			}
		}
		var n validate.Counts
		got := rules.Compile(sample.NewChannelSet("x", channels)).Check(slices.Clone(in), &n)
		if !equal(got, want) {
			t.Fatalf("plan %v, rules %v", got, want)
		}
		if sum := n.Unchecked + n.Good + n.Suspect + n.Bad + n.Failed(); sum != uint64(len(in)) {
			t.Fatalf("%d samples, counted %d: %+v", len(in), sum, n)
		}
		var flagged uint64
		for _, f := range n.Flagged {
			flagged += f
		}
		if flagged != n.Suspect+n.Bad {
			t.Fatalf("flagged %d, suspect %d, bad %d", flagged, n.Suspect, n.Bad)
		}
		batch := rules.CheckBatch(readings)
		if batch.Rejected != int(n.Failed()) || batch.OutOfOrder != int(n.OutOfOrder) || batch.Checked != len(in) {
			t.Fatalf("batch %+v, counts %+v", batch, n)
		}
	})
}

func TestCountsAdd(t *testing.T) {
	t.Parallel()
	p := validate.Compile(named("rpm"), settings(nil), validate.DefaultRanges())
	var sum validate.Counts
	for _, value := range []float64{3500, 100, math.NaN(), -1} {
		var n validate.Counts
		p.Check([]sample.Sample{{Time: at, Value: value}}, &n)
		sum.Add(&n)
	}
	if sum.Good != 1 || sum.Suspect != 1 || sum.Bad != 1 || sum.Failed() != 1 || sum.First.Reason != validate.Low {
		t.Errorf("sum %+v", sum)
	}
	for r := range validate.Reasons {
		if name := validate.Reason(r).String(); name == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
	if got := validate.Reason(99).String(); got != "reason(99)" {
		t.Errorf("got %s", got)
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	p, in := benchmarkPlan(nil)
	in[3].Value, in[4].Value = math.NaN(), -1
	work := make([]sample.Sample, len(in))
	var n validate.Counts
	if allocs := testing.AllocsPerRun(100, func() {
		copy(work, in)
		p.Check(work, &n)
	}); allocs != 0 {
		t.Errorf("%v allocations a batch", allocs)
	}
}

// A thousand samples of 60 channels, half of them with ranges and in metric
// units.
func benchmarkPlan(change func(*validate.Settings)) (*validate.Plan, []sample.Sample) {
	r, _ := channel.NewResolver(nil)
	var channels []sample.Channel
	for i := range 60 {
		channels = append(channels, []sample.Channel{
			{Label: "Engine RPM", NativeUnit: sample.RPM}, {Label: "Power", NativeUnit: sample.Kilowatt},
			{Label: "chan_7", NativeUnit: sample.Newton}, {Label: "chan_8"},
		}[i%4])
	}
	in := make([]sample.Sample, 1000)
	for i := range in {
		in[i] = sample.Sample{Time: at + int64(i), Value: 600, Channel: uint32(i % 60)}
	}
	set := r.ResolveSet(sample.NewChannelSet("jetdrive", channels))
	return validate.Compile(set, settings(change), validate.DefaultRanges()), in
}

func BenchmarkCheck(b *testing.B) {
	for name, c := range map[string]struct {
		change func(*validate.Settings)
		spoil  float64 // put into every tenth sample
	}{
		"good":          {nil, 600},
		"tenth bad":     {nil, -100},
		"tenth dropped": {nil, math.NaN()},
		"disabled":      {func(s *validate.Settings) { s.Enabled = false }, 600},
	} {
		b.Run(name, func(b *testing.B) {
			p, in := benchmarkPlan(c.change)
			for i := 0; i < len(in); i += 10 {
				in[i].Value = c.spoil
			}
			work, n := slices.Clone(in), validate.Counts{}
			b.ReportAllocs()
			for b.Loop() {
				if name != "good" {
					copy(work, in)
				}
				p.Check(work, &n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(in)), "ns/sample")
		})
	}
}
