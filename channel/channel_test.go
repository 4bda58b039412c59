package channel_test

import (
	"strings"
	"testing"

	"dynotap/channel"
	"dynotap/sample"

	"pgregory.net/rapid"
)

func resolver(tb testing.TB, user channel.Mapping) *channel.Resolver {
	tb.Helper()
	r, err := channel.NewResolver(user)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

type want struct {
	provider, label string
	native          sample.Unit
	name            string
	unit            sample.Unit
}

func check(t *testing.T, r *channel.Resolver, w want) {
	t.Helper()
	got := r.Resolve(sample.Channel{Provider: w.provider, Label: w.label, NativeUnit: w.native})
	if got.Name != w.name || got.Unit != w.unit {
		t.Errorf("%s:%q in %q is %q in %q, want %q in %q", w.provider, w.label, w.native, got.Name, got.Unit, w.name, w.unit)
	}
}

func TestV2WholeWordsNeverSubstrings(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for _, w := range []want{
		{"", "Injector Time", sample.Second, "injector_time", sample.Millisecond},
		{"", "Fuel Pressure", sample.Kilopascal, "fuel_pressure", sample.PSI},
		{"", "Spark Map", sample.NoUnit, "", sample.NoUnit},
		{"", "Corrected HP", sample.NoUnit, "horsepower", sample.Horsepower},
		{"", "Direction", sample.NoUnit, "", sample.NoUnit},
		{"", "Map Load", sample.Percent, "", sample.Percent},
		{"", "Effective Displacement", sample.NoUnit, "", sample.NoUnit},
		{"", "Rear Adaptive Fuel Factor", sample.Percent, "", sample.Percent},
		{"", "AFR Error", sample.NoUnit, "", sample.NoUnit},
		{"", "RPM Limit", sample.RPM, "", sample.RPM},
		{"", "Idle Set Speed", sample.RPM, "", sample.RPM},
		{"", "Throttle Position Sensor Voltage", sample.Volt, "", sample.Volt},
		{"", "Internal Temp 1", sample.Celsius, "", sample.Fahrenheit},
		{"", "Knock Count", sample.NoUnit, "", sample.NoUnit},
		{"", "chan_6", sample.Kilowatt, "", sample.Horsepower},
		{"", "Warm-up Fuel AFR (Lambda)", sample.NoUnit, "", sample.Lambda},
		{"", "VE New Front", sample.NoUnit, "", sample.NoUnit},
		{"", "", sample.NoUnit, "", sample.NoUnit},
		{"", "1", sample.NoUnit, "", sample.NoUnit},
		{"", "F", sample.NoUnit, "", sample.NoUnit},
	} {
		check(t, r, w)
	}
}

func TestV2NamesThatResolve(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for _, w := range []want{
		{"", "ECT", sample.NoUnit, "ect", sample.Fahrenheit},
		{"", "Coolant Temp (F)", sample.NoUnit, "ect", sample.Fahrenheit},
		{"", "IAT F", sample.NoUnit, "iat", sample.Fahrenheit},
		{"", "Intake Air Temperature", sample.Celsius, "iat", sample.Fahrenheit},
		{"", "Engine Temperature", sample.Celsius, "ect", sample.Fahrenheit},
		{"", "Engine Speed (RPM)", sample.NoUnit, "rpm", sample.RPM},
		{"", "engineSpeed", sample.NoUnit, "rpm", sample.RPM},
		{"", "rpm ", sample.NoUnit, "rpm", sample.RPM},
		{"", "RPM x1000", sample.NoUnit, "rpm", sample.RPM},
		{"", "Power", sample.Kilowatt, "horsepower", sample.Horsepower},
		{"", "Power [kW]", sample.NoUnit, "horsepower", sample.Horsepower},
		{"", "Torque", sample.NewtonMetre, "torque", sample.FootPound},
		{"", "Torque ft lb", sample.NoUnit, "torque", sample.FootPound},
		{"", "Speed", sample.KilometrePerHour, "speed", sample.MilePerHour},
		{"", "MPH", sample.NoUnit, "speed", sample.MilePerHour},
		{"", "Air/Fuel Ratio 1", sample.AFR, "afr", sample.AFR},
		{"", "Air/Fuel Ratio 2", sample.AFR, "afr_2", sample.AFR},
		{"", "A/F", sample.NoUnit, "afr", sample.AFR},
		{"", "AFR2", sample.NoUnit, "afr_2", sample.AFR},
		{"", "LC1 AFR", sample.NoUnit, "afr", sample.AFR},
		{"", "LC2 Volts Petrol AFR2", sample.NoUnit, "afr_2", sample.AFR},
		{"", "AFRFront", sample.NoUnit, "afr_front", sample.AFR},
		{"", "WBO2 AFR Front", sample.NoUnit, "afr_front", sample.AFR},
		{"", "AFR 1 Front", sample.NoUnit, "afr_front", sample.AFR},
		{"", "AFR 2 Front", sample.NoUnit, "", sample.NoUnit},
		{"", "AFR Front Rear", sample.NoUnit, "", sample.NoUnit},
		{"", "AFR 1 2", sample.NoUnit, "", sample.NoUnit},
		{"", strings.Repeat(" ", 300) + "AFR", sample.NoUnit, "", sample.NoUnit},
		{"", "WBO2 R", sample.NoUnit, "afr_rear", sample.AFR},
		{"", "WBO2 F", sample.Lambda, "lambda_front", sample.Lambda},
		{"", "λ", sample.NoUnit, "lambda", sample.Lambda},
		{"", "AT Lambda 2", sample.NoUnit, "lambda_2", sample.Lambda},
		{"", "Desired Lambda", sample.NoUnit, "lambda_target", sample.Lambda},
		{"", "Desired Lambda", sample.AFR, "afr_target", sample.AFR},
		{"", "Desired Air/Fuel", sample.NoUnit, "afr_target", sample.AFR},
		{"", "MAP (psi)", sample.NoUnit, "map", sample.Kilopascal},
		{"", "TPS %", sample.NoUnit, "tps", sample.Percent},
		{"", "Advance F", sample.NoUnit, "spark_advance_front", sample.Degree},
		{"", "Engine (rpm)", sample.NoUnit, "rpm", sample.RPM},
		{"", "Engine", sample.NoUnit, "", sample.NoUnit},
		{"", "RPM (x1000)", sample.NoUnit, "rpm", sample.RPM},
		{"", "Engine RPM (x1000)", sample.NoUnit, "rpm", sample.RPM},
		{"", "RPM/1000", sample.NoUnit, "rpm", sample.RPM},
		{"", "Exhaust Lambda", sample.Lambda, "lambda", sample.Lambda},
		{"", "WB EQ Ratio 1 (SAE)", sample.Lambda, "lambda", sample.Lambda},
		{"", "WB EQ Ratio 1 (SAE)", sample.NoUnit, "", sample.NoUnit},
		{"", "Inlet Manifold Pressure", sample.PSI, "map", sample.Kilopascal},
		{"", "Ign. angle", sample.Degree, "spark_advance", sample.Degree},
		{"", "SPK: Spark Advance", sample.Degree, "spark_advance", sample.Degree},
		{"", "Batt V", sample.Volt, "voltage", sample.Volt},
		{"", "Batt V", sample.Percent, "", sample.Percent},
		{"", "PW", sample.Millisecond, "injector_time", sample.Millisecond},
		{"", "PW", sample.NoUnit, "", sample.NoUnit},
		{"", "AF Sens 1 Ratio (AFR)", sample.NoUnit, "afr", sample.AFR},
		{"", "Coolant 95 ℃ max", sample.NoUnit, "", sample.NoUnit},
		{"", "Engine RPM (SAE)", sample.RPM, "rpm", sample.RPM},
		{"", "Engine Coolant Temp (SAE)", sample.Fahrenheit, "ect", sample.Fahrenheit},
		{"", "SAE.VSS", sample.KilometrePerHour, "speed", sample.MilePerHour},
		{"", "Advance (R)", sample.Degree, "spark_advance_rear", sample.Degree},
		{"", "Spark Knock F", sample.NoUnit, "knock_front", sample.Degree},
		{"", "Rear Spark Knock Retard", sample.Degree, "knock_rear", sample.Degree},
		{"", "INJ PW F", sample.Millisecond, "injector_time_front", sample.Millisecond},
		{"", "VE Rear", sample.NoUnit, "ve_rear", sample.Percent},
		{"", "B+", sample.NoUnit, "voltage", sample.Volt},
		{"", "VSS", sample.KilometrePerHour, "speed", sample.MilePerHour},
		{"", "Force Drum 1", sample.Newton, "force", sample.PoundForce},
		{"", "Force Drum 2", sample.Newton, "", sample.PoundForce},
		{"", "Acceleration ((km/h)/s)", sample.NoUnit, "acceleration", sample.G},
		{"", "Barometric Pressure", sample.Kilopascal, "barometric", sample.InchHg},
		{"", "Distance", sample.Metre, "distance", sample.Foot},
		{"", "Time (s)", sample.NoUnit, "time", sample.Second},
		// Torque Pro, Link, Holley.
		{"", "Speed (OBD)(km/h)", sample.NoUnit, "speed", sample.MilePerHour},
		{"", "GPS Speed (Meters/second)", sample.NoUnit, "", sample.MetrePerSecond},
		{"", "Throttle Position(Manifold)(%)", sample.NoUnit, "tps", sample.Percent},
		{"", "Air Fuel Ratio(Measured)(:1)", sample.NoUnit, "afr", sample.AFR},
		{"", "Air Fuel Ratio(Commanded)(:1)", sample.NoUnit, "afr_target", sample.AFR},
		{"", "Horsepower (At the wheels)(hp)", sample.NoUnit, "horsepower", sample.Horsepower},
		{"", "TP (Main) (%)", sample.NoUnit, "tps", sample.Percent},
		{"", "Lambda 1 (LA)", sample.NoUnit, "lambda", sample.Lambda},
		{"", "AFR Average", sample.AFR, "afr", sample.AFR},
		{"", "CTS", sample.Fahrenheit, "ect", sample.Fahrenheit},
	} {
		check(t, r, w)
	}
}

func TestV2DeviceContext(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for _, w := range []want{
		{"DWRT ATMO", "Pressure", sample.Kilopascal, "barometric", sample.InchHg},
		{"DWRT ATMO", "Absolute Pressure", sample.Kilopascal, "barometric", sample.InchHg},
		{"DWRT CPU", "Pressure", sample.Kilopascal, "", sample.Kilopascal},
		{"DWRT ATMO", "Temperature °C 1", sample.Celsius, "ambient_temp", sample.Fahrenheit},
		{"DWRT ATMO", "Temperature 2", sample.Celsius, "", sample.Fahrenheit},
		{"Python Dyno", "Temperature °C 1", sample.Celsius, "", sample.Fahrenheit},
		{"DWRT CPU", "Humidity", sample.Percent, "humidity", sample.Percent},
		{"PV", "ET", sample.NoUnit, "ect", sample.Fahrenheit},
		{"", "ET", sample.NoUnit, "", sample.NoUnit},
		{"", "ET", sample.Celsius, "ect", sample.Fahrenheit},
		{"Slips", "ET", sample.Second, "", sample.Second},
		{"PV", "Air Temp", sample.Celsius, "iat", sample.Fahrenheit},
		{"DWRT ATMO", "Air Temp", sample.Celsius, "ambient_temp", sample.Fahrenheit},
		{"", "Air Temp", sample.Celsius, "", sample.Fahrenheit},
	} {
		check(t, r, w)
	}
}

func TestV3UnitsMustAgree(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for _, w := range []want{
		{"", "Power", sample.Percent, "", sample.Percent},
		{"", "MAP", sample.Volt, "", sample.Volt},
		{"", "AFR", sample.Volt, "", sample.Volt},
		{"", "Engine Speed", sample.KilometrePerHour, "", sample.MilePerHour},
		{"", "Drum Speed", sample.KilometrePerHour, "speed", sample.MilePerHour},
		{"", "Drum Speed", sample.RPM, "rpm_drum", sample.RPM},
		{"", "Throttle Position Sensor", sample.NoUnit, "", sample.NoUnit},
		{"", "Throttle Position Sensor", sample.Percent, "tps", sample.Percent},
		{"", "Power (V)", sample.NoUnit, "", sample.Volt},
		{"", "Coolant Temp (bananas)", sample.NoUnit, "", sample.NoUnit},
		{"", "Accel", sample.NoUnit, "", sample.NoUnit},
	} {
		check(t, r, w)
	}
	// The native unit counts where the label says another of the same kind.
	c := r.Resolve(sample.Channel{Label: "Coolant Temp (F)", NativeUnit: sample.Celsius})
	if got := c.Conversion().Apply(90); got != 194 {
		t.Errorf("90 °C = %v °F", got)
	}
	for _, label := range []string{"RPM (x1000)", "Engine RPM (x1000)", "RPM/1000", "Engine Speed (1000 rpm)"} {
		c := r.Resolve(sample.Channel{Label: label})
		if got := c.Conversion().Apply(3.5); c.Name != "rpm" || got != 3500 {
			t.Errorf("3.5 of %s is %v of %q", label, got, c.Name)
		}
	}
	// A unit in the label alone becomes the native one.
	c = r.Resolve(sample.Channel{Label: "Coolant Temp (C)"})
	if got := c.Conversion().Apply(90); got != 194 || c.NativeUnit != sample.Celsius {
		t.Errorf("90 °C of the label = %v °F, native %q", got, c.NativeUnit)
	}
	c = r.Resolve(sample.Channel{Label: "Boost Pressure Raw (psi)"})
	if c.Name != "" || c.NativeUnit != sample.PSI || c.Unit != sample.PSI {
		t.Errorf("an unknown channel with a unit in brackets is %+v", c)
	}
}

func TestCorrection(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for label, want := range map[string]sample.Correction{
		"Power": sample.CorrectionUnknown, "Power (uncorrected)": sample.CorrectionNone,
		"Torque Drum 1 (uncorrected)": sample.CorrectionNone, "Power (SAE)": sample.CorrectionSAE,
		"STD Power": sample.CorrectionSTD, "Corrected HP": sample.CorrectionUnknown, "HP uncorrected": sample.CorrectionNone,
	} {
		c := r.Resolve(sample.Channel{Label: label})
		if c.Name != "horsepower" && c.Name != "torque" || c.Corrected != want {
			t.Errorf("%q is %q, corrected %s, want %s", label, c.Name, c.Corrected, want)
		}
	}
	if c := r.Resolve(sample.Channel{Label: "Power", Corrected: sample.CorrectionSAE}); c.Corrected != sample.CorrectionSAE {
		t.Errorf("what the source knew became %s", c.Corrected)
	}
	if c := r.Resolve(sample.Channel{Label: "Engine RPM (uncorrected)"}); c.Name != "" {
		t.Errorf("an uncorrected rpm is %s", c.Name)
	}
	mapped := resolver(t, channel.Mapping{"Leistung uncorrected": "horsepower"})
	if c := mapped.Resolve(sample.Channel{Label: "Leistung uncorrected"}); c.Corrected != sample.CorrectionNone {
		t.Errorf("a mapped label that says uncorrected is %s", c.Corrected)
	}
}

func TestA3AliasesOfTheGuide(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for label, w := range map[string]struct {
		name   string
		native sample.Unit
	}{
		"timestamp_ms": {"time", sample.Millisecond},
		"rpm":          {"rpm", sample.RPM},
		"horsepower":   {"horsepower", sample.Horsepower},
		"torque":       {"torque", sample.FootPound},
		"afr":          {"afr", sample.AFR},
		"afr_front":    {"afr_front", sample.AFR},
		"afr_rear":     {"afr_rear", sample.AFR},
		"map_kpa":      {"map", sample.Kilopascal},
		"tps":          {"tps", sample.Percent},
		"iat":          {"iat", sample.Fahrenheit},
		"ect":          {"ect", sample.Fahrenheit},
		"speed_mph":    {"speed", sample.MilePerHour},
		"force_lbs":    {"force", sample.PoundForce},
		"acceleration": {"acceleration", sample.G},
	} {
		spaced := strings.ReplaceAll(label, "_", " ")
		for _, l := range []string{label, strings.ToUpper(label), " " + spaced + " ", strings.ToUpper(spaced)} {
			c := r.Resolve(sample.Channel{Label: l})
			if c.Name != w.name || c.NativeUnit != w.native {
				t.Errorf("%q is %q in %q, want %q in %q", l, c.Name, c.NativeUnit, w.name, w.native)
			}
		}
	}
}

func TestA4EngineAndDrumRPM(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for _, w := range []want{
		{"DWRT CPU", "Engine RPM", sample.RPM, "rpm", sample.RPM},
		{"DWRT CPU", "Digital RPM 1", sample.RPM, "rpm_drum", sample.RPM},
		{"DWRT CPU", "Digital RPM 2", sample.RPM, "", sample.RPM},
		{"DWRT CPU", "Drum RPM", sample.RPM, "rpm_drum", sample.RPM},
		{"", "Roller RPM", sample.RPM, "rpm_drum", sample.RPM},
		{"", "rpm_drum", sample.NoUnit, "rpm_drum", sample.RPM},
		{"Harley - ECU Type 14", "Digital RPM 1", sample.RPM, "", sample.RPM},
		{"Dynojet Power Vision", "Digital RPM 1", sample.RPM, "", sample.RPM},
	} {
		check(t, r, w)
	}
}

// Two providers with the same channel id and name stay two channels.
func TestA4ProvidersKeepTheirChannels(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	set := sample.NewChannelSet("jetdrive", []sample.Channel{
		{Key: "DWRT CPU/6/0", Provider: "DWRT CPU", HostID: 0x43FD, ID: 6, Label: "Humidity", NativeUnit: sample.Percent},
		{Key: "DWRT ATMO/6/0", Provider: "DWRT ATMO", HostID: 0x43FE, ID: 6, Label: "Humidity", NativeUnit: sample.Percent},
	})
	got := r.ResolveSet(set)
	if got.Len() != 2 || got.Channels()[0].Key == got.Channels()[1].Key || got.Channels()[1].Name != "humidity" {
		t.Errorf("got %+v", got.Channels())
	}
	if got.ID() == set.ID() || got.Source() != "jetdrive" || set.Channels()[0].Name != "" {
		t.Error("the native set was changed, or the resolved one is the same")
	}
}

func TestPreferred(t *testing.T) {
	t.Parallel()
	r := resolver(t, channel.Mapping{"My speed": "speed"})
	channels := []sample.Channel{
		{Provider: "PV", Label: "Engine Speed"},
		{Provider: "DWRT CPU", Label: "Power Drum 1"},
		{Provider: "DWRT CPU", Label: "Power (uncorrected)"},
		{Provider: "DWRT CPU", Label: "Power"},
		{Provider: "DWRT CPU", Label: "Engine RPM"},
		{Provider: "DWRT CPU", Label: "Speed"},
		{Provider: "PV", Label: "My speed"},
		{Provider: "PV", Label: "MAP"},
		{Provider: "Harley - ECU", Label: "MAP"},
	}
	set := r.ResolveSet(sample.NewChannelSet("winpep", channels))
	for name, want := range map[string]int{"rpm": 4, "horsepower": 3, "speed": 6, "map": 7} {
		if got, ok := channel.Preferred(set, name); !ok || got != want {
			t.Errorf("preferred %s is %d, %v, want %d", name, got, ok, want)
		}
	}
	if _, ok := channel.Preferred(set, "torque"); ok {
		t.Error("a torque that is not there is preferred")
	}
}

func TestCanonicalTable(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	seen := map[string]bool{}
	for _, q := range channel.Canonical {
		if seen[q.Name] {
			t.Errorf("%s stands in the table twice", q.Name)
		}
		seen[q.Name] = true
		if family, ok := channel.Lookup(q.Family); !ok || family.Unit != q.Unit || family.Family != q.Family {
			t.Errorf("%s: family %q is %+v", q.Name, q.Family, family)
		}
		if u, ok := sample.ParseUnit(string(q.Unit)); q.Unit != sample.NoUnit && (!ok || u != q.Unit) {
			t.Errorf("%s: unit %q", q.Name, q.Unit)
		}
		if got, ok := channel.Find(q.Name); !ok || got != q {
			t.Errorf("Find(%q) = %+v", q.Name, got)
		}
		for _, label := range []string{q.Name, strings.ToUpper(strings.ReplaceAll(q.Name, "_", " "))} {
			for _, provider := range []string{"", "DWRT CPU", "DWRT ATMO", "PV"} {
				c := r.Resolve(sample.Channel{Provider: provider, Label: label})
				if c.Name != q.Name || c.Unit != q.Unit || c.NativeUnit != q.Unit {
					t.Errorf("%s:%s resolves to %+v", provider, label, c)
				}
			}
		}
	}
}

func TestFindAndNearest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"map_kpa": "map", "speed_mph": "speed", "force_lbs": "force", "afr_2": "afr_2"} {
		if q, ok := channel.Find(text); !ok || q.Name != want {
			t.Errorf("Find(%q) = %q, %v", text, q.Name, ok)
		}
	}
	for _, text := range []string{"", "iat_c", "power_kw", "fuel", "x"} {
		if q, ok := channel.Find(text); ok {
			t.Errorf("Find(%q) = %q", text, q.Name)
		}
	}
	for text, want := range map[string]string{"prm": "rpm", "afr_frnt": "afr_front", "humidty": "humidity"} {
		if got := channel.Nearest(text); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", text, got, want)
		}
	}
}

var units = []sample.Unit{
	sample.NoUnit, sample.Second, sample.Metre, sample.KilometrePerHour, sample.Newton, sample.Kilowatt, sample.NewtonMetre,
	sample.Celsius, sample.Kilopascal, sample.RPM, sample.RPMPerKilometreHour, sample.KilometreHourSecond, sample.AFR,
	sample.KilogramPerHour, sample.Lambda, sample.Volt, sample.Ampere, sample.Percent, "furlong",
}

// checkPromises holds what Resolve promises of any channel.
func checkPromises(t interface{ Fatalf(string, ...any) }, r *channel.Resolver, c sample.Channel) {
	got := r.Resolve(c)
	if again := r.Resolve(got); again != got {
		t.Fatalf("%+v resolves to %+v, then to %+v", c, got, again)
	}
	if _, ok := got.NativeUnit.To(got.Unit); !ok {
		t.Fatalf("%+v: %q does not convert to %q", c, got.NativeUnit, got.Unit)
	}
	if q, ok := channel.Lookup(got.Name); got.Name != "" && (!ok || q.Unit != got.Unit) {
		t.Fatalf("%+v resolves to %q in %q", c, got.Name, got.Unit)
	}
	if c.NativeUnit != sample.NoUnit && got.NativeUnit != c.NativeUnit {
		t.Fatalf("%+v: native unit became %q", c, got.NativeUnit)
	}
	got.Name, got.Unit, got.NativeUnit, got.Corrected = c.Name, c.Unit, c.NativeUnit, c.Corrected
	if got != c {
		t.Fatalf("%+v became %+v", c, got)
	}
}

func TestResolveProperty(t *testing.T) {
	t.Parallel()
	r := resolver(t, channel.Mapping{"engine": "rpm"})
	word := rapid.SampledFrom(strings.Split("Engine Speed RPM Power AFR Lambda Front F R 1 2 (F) (kW) [psi] (km/h) Temp °C % "+
		"Drum Digital Time uncorrected SAE Knock MAP Coolant WBO2 engine x1000 ( ) λ Pressure desired", " "))
	rapid.Check(t, func(t *rapid.T) {
		label := strings.Join(rapid.SliceOfN(word, 0, 5).Draw(t, "words"), rapid.SampledFrom([]string{" ", "", "_", ", "}).Draw(t, "between"))
		checkPromises(t, r, sample.Channel{
			Provider: rapid.SampledFrom([]string{"", "DWRT CPU", "DWRT ATMO", "PV"}).Draw(t, "provider"), Label: label,
			NativeUnit: rapid.SampledFrom(units).Draw(t, "unit"),
		})
	})
}

func FuzzResolve(f *testing.F) {
	f.Add("DWRT CPU", "Engine RPM", "rpm")
	f.Add("", "Temperature °C 1", "")
	f.Add("", "((((", "furlong")
	f.Add("", "Throttle Position Sensor Volta", "V")
	r := resolver(f, channel.Mapping{"a": "rpm"})
	f.Fuzz(func(t *testing.T, provider, label, unit string) {
		checkPromises(t, r, sample.Channel{Provider: provider, Label: label, NativeUnit: sample.Unit(unit)})
	})
}

func BenchmarkResolveSet60(b *testing.B) {
	r := resolver(b, nil)
	channels := make([]sample.Channel, 60)
	for i := range channels {
		channels[i] = sample.Channel{Provider: "DWRT CPU", Label: []string{"Engine RPM", "Power", "WBO2 AFR Front", "chan_7"}[i%4]}
	}
	set := sample.NewChannelSet("jetdrive", channels)
	for b.Loop() {
		r.ResolveSet(set)
	}
}
