package sample_test

import (
	"math"
	"slices"
	"testing"

	"dynotap/sample"

	"pgregory.net/rapid"
)

// near allows what one rounding of a factor costs.
func near(got, want float64) bool {
	return math.Abs(got-want) <= 4e-16*math.Abs(want)
}

// The factors of PROTOCOLS 8, written again so that a slip in either shows.
func TestV3UnitFactors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to sample.Unit
		value    float64
		want     float64
	}{
		{sample.MilePerHour, sample.KilometrePerHour, 1, 1.609344},
		{sample.PoundForce, sample.Newton, 1, 4.4482216152605},
		{sample.FootPound, sample.NewtonMetre, 1, 1.3558179483314},
		{sample.Horsepower, sample.Kilowatt, 1, 0.74569987158227},
		{sample.Kilowatt, sample.Horsepower, 0.74569987158227, 1},
		{sample.PSI, sample.Kilopascal, 1, 6.8947572931684},
		{sample.InchHg, sample.Kilopascal, 1, 3.386388640341},
		{sample.KilometreHourSecond, sample.G, 1, 0.0283254504},
		{sample.Lambda, sample.AFR, 1, 14.7},
		{sample.AFR, sample.Lambda, 14.7, 1},
		{sample.Celsius, sample.Fahrenheit, 0, 32},
		{sample.Celsius, sample.Fahrenheit, 90, 194},
		{sample.Celsius, sample.Fahrenheit, 100, 212},
		{sample.Celsius, sample.Fahrenheit, -40, -40},
		{sample.KiloRPM, sample.RPM, 3.5, 3500},
		{sample.Second, sample.Millisecond, 0.0075, 7.5},
		{sample.Foot, sample.Metre, 1, 0.3048},
		{sample.Bar, sample.Kilopascal, 1, 100},
		{sample.Millibar, sample.Kilopascal, 1013.25, 101.325},
		{sample.MetricHorsepower, sample.Kilowatt, 1, 0.73549875},
		{sample.MetricHorsepower, sample.Horsepower, 100, 98.6320070619531},
		{sample.KilogramMetre, sample.NewtonMetre, 10, 98.0665},
		{sample.MetrePerSecond, sample.KilometrePerHour, 10, 36},
		{sample.MileHourSecond, sample.KilometreHourSecond, 1, 1.609344},
	} {
		conv, ok := c.from.To(c.to)
		if !ok {
			t.Errorf("%s does not convert to %s", c.from, c.to)
			continue
		}
		if got := conv.Apply(c.value); !near(got, c.want) {
			t.Errorf("%v %s = %.17g %s, want %.17g", c.value, c.from, got, c.to, c.want)
		}
	}
}

func TestV3KilowattIsNotHorsepower(t *testing.T) {
	t.Parallel()
	conv, _ := sample.Kilowatt.To(sample.Horsepower)
	if hp := conv.Apply(63.4); math.Abs(hp-85) > 0.03 {
		t.Errorf("63.4 kW = %v hp, want 85", hp)
	}
	if hp := conv.Apply(1); math.Abs(hp-1.34102) > 1e-5 {
		t.Errorf("1 kW = %v hp, want 1.34102", hp)
	}
}

func TestUnitsThatMeasureDifferentThingsDoNotConvert(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]sample.Unit{
		{sample.Kilowatt, sample.NewtonMetre},
		{sample.KilometrePerHour, sample.RPM},
		{sample.Volt, sample.AFR},
		{sample.NoUnit, sample.Horsepower},
		{sample.Kilopascal, sample.NoUnit},
		{sample.Percent, sample.Degree},
		{sample.RPMPerKilometreHour, sample.RPM},
		{"furlong", sample.Metre},
	} {
		if _, ok := pair[0].To(pair[1]); ok {
			t.Errorf("%q converts to %q", pair[0], pair[1])
		}
	}
	if conv, ok := sample.Unit("furlong").To("furlong"); !ok || !conv.IsIdentity() {
		t.Error("a unit does not convert to itself")
	}
}

func TestConversionsThereAndBackProperty(t *testing.T) {
	t.Parallel()
	units := allUnits()
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.SampledFrom(units).Draw(t, "from"), rapid.SampledFrom(units).Draw(t, "to")
		conv, ok := from.To(to)
		back, okBack := to.To(from)
		if ok != okBack {
			t.Fatalf("%s to %s: %v, back: %v", from, to, ok, okBack)
		}
		if !ok {
			return
		}
		v := rapid.Float64Range(-1e6, 1e6).Draw(t, "value")
		for name, got := range map[string]float64{
			"the way back": back.Apply(conv.Apply(v)),
			"the inverse":  conv.Invert().Apply(conv.Apply(v)),
		} {
			if math.Abs(got-v) > 1e-9 {
				t.Fatalf("%v %s to %s by %s gives %v", v, from, to, name, got)
			}
		}
	})
}

func TestShownUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit, us, metric sample.Unit
	}{
		{sample.Kilowatt, sample.Horsepower, sample.Kilowatt},
		{sample.Horsepower, sample.Horsepower, sample.Kilowatt},
		{sample.NewtonMetre, sample.FootPound, sample.NewtonMetre},
		{sample.Celsius, sample.Fahrenheit, sample.Celsius},
		{sample.Kilopascal, sample.Kilopascal, sample.Kilopascal},
		{sample.InchHg, sample.InchHg, sample.Kilopascal},
		{sample.Newton, sample.PoundForce, sample.Newton},
		{sample.KilometrePerHour, sample.MilePerHour, sample.KilometrePerHour},
		{sample.Volt, sample.Volt, sample.Volt},
		{sample.NoUnit, sample.NoUnit, sample.NoUnit},
	} {
		if got := c.unit.Shown(sample.US); got != c.us {
			t.Errorf("%s is shown as %s in US units, want %s", c.unit, got, c.us)
		}
		if got := c.unit.Shown(sample.Metric); got != c.metric {
			t.Errorf("%s is shown as %s in metric units, want %s", c.unit, got, c.metric)
		}
	}
}

func TestShownUnitsConvertProperty(t *testing.T) {
	t.Parallel()
	for _, u := range allUnits() {
		for _, system := range []sample.System{sample.US, sample.Metric} {
			if _, ok := u.To(u.Shown(system)); !ok {
				t.Errorf("%s does not convert to what it is shown as, %s", u, u.Shown(system))
			}
		}
	}
}

func TestParseUnit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sample.Unit{
		"ft-lb": sample.FootPound, "ft lb": sample.FootPound, "N·m": sample.NewtonMetre, "Nm": sample.NewtonMetre,
		"deg F": sample.Fahrenheit, "°C": sample.Celsius, " kPa ": sample.Kilopascal, "KPH": sample.KilometrePerHour,
		"kph/s": sample.KilometreHourSecond, "rpm x1000": sample.KiloRPM, "in Hg": sample.InchHg, "λ": sample.Lambda,
		"kg/hr": sample.KilogramPerHour, "%": sample.Percent, "PS": sample.MetricHorsepower, "ch": sample.MetricHorsepower, "CV": sample.MetricHorsepower,
		"U/min": sample.RPM, "tr/min": sample.RPM, "hPa": sample.Millibar, "m/s": sample.MetrePerSecond, "mkg": sample.KilogramMetre,
		"Meters/second": sample.MetrePerSecond, "lb.ft": sample.FootPound, "LA": sample.Lambda, "deg BTDC": sample.Degree,
		"ºC": sample.Celsius, "℃": sample.Celsius, "ºF": sample.Fahrenheit, "℉": sample.Fahrenheit, "º": sample.Degree, "dBTDC": sample.Degree, "°KW": sample.Degree, "RPM/1000": sample.KiloRPM,
	} {
		if got, ok := sample.ParseUnit(text); !ok || got != want {
			t.Errorf("ParseUnit(%q) = %q, %v, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "furlong", "uncorrected", "kPaa"} {
		if got, ok := sample.ParseUnit(text); ok {
			t.Errorf("ParseUnit(%q) = %q", text, got)
		}
	}
	for _, u := range allUnits() {
		if got, ok := sample.ParseUnit(string(u)); !ok || got != u {
			t.Errorf("ParseUnit does not read the unit's own symbol %q: %q, %v", u, got, ok)
		}
	}
}

func TestParseSystem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sample.System{"us": sample.US, "Imperial": sample.US, "METRIC": sample.Metric} {
		if got, ok := sample.ParseSystem(text); !ok || got != want {
			t.Errorf("ParseSystem(%q) = %v, %v", text, got, ok)
		}
	}
	if _, ok := sample.ParseSystem("nautical"); ok {
		t.Error("ParseSystem reads nautical")
	}
}

func allUnits() []sample.Unit {
	return []sample.Unit{
		sample.Second, sample.Millisecond, sample.Metre, sample.Foot, sample.KilometrePerHour, sample.MilePerHour,
		sample.Newton, sample.PoundForce, sample.Kilowatt, sample.Horsepower, sample.NewtonMetre, sample.FootPound,
		sample.Celsius, sample.Fahrenheit, sample.Kilopascal, sample.PSI, sample.InchHg, sample.Bar, sample.RPM,
		sample.KiloRPM, sample.RPMPerKilometreHour, sample.KilometreHourSecond, sample.MileHourSecond, sample.G,
		sample.MetricHorsepower, sample.KilogramMetre, sample.MetrePerSecond, sample.Millibar, sample.AFR, sample.Lambda, sample.KilogramPerHour, sample.Volt, sample.Ampere, sample.Percent, sample.Degree,
	}
}

func TestChannelKeysAreInTheOrderOfTheirNumbers(t *testing.T) {
	t.Parallel()
	want := []string{"", "a", "a/x/0", "csv/2/0", "csv/2/1", "csv/2/10", "csv/10/0", "csv/two/1", "d/1/2/3", "d/1/10/3"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, sample.CompareChannelKeys)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
