package winpep

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"dynotap/run/correct"
	"dynotap/sample"
)

// rowsOf repeats a row n times, 50 ms apart, from a row number on.
func rowsOf(from, n int, cells string) string {
	var out strings.Builder
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&out, "%.2f, %s, \n", float64(i)*0.05, cells)
	}
	return out.String()
}

func TestA4AScaleShowsHoweverLate(t *testing.T) {
	t.Parallel()
	file := "Time, (A) Engine RPM, (B) Power, (PV) Injector Time Front, \n" + rowsOf(0, 6000, " , 1, ") + rowsOf(6000, 20, "3.5, 1, 0.004")
	k, err := read(t, []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "krpm", k.values["A:Engine RPM"][300_000], 3500, 1e-9)
	near(t, "injector", k.values["PV:Injector Time Front"][300_000], 4, 1e-9)
}

func TestA4TheSameQuantityOfSeveralDevicesStaysApart(t *testing.T) {
	t.Parallel()
	file := "Time, (A) Engine RPM, (B) Engine RPM, (B) Engine RPM, (Drum) Digital RPM 1, \n" + rowsOf(0, 3, "2.0, 2100, 2.2, 500")
	k, err := read(t, []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, c := range k.channels {
		keys[c.Key] = true
	}
	if len(keys) != 4 || k.channels[0].NativeUnit != sample.KiloRPM || k.channels[1].NativeUnit != sample.RPM || k.channels[2].NativeUnit != sample.KiloRPM {
		t.Errorf("%+v", k.channels)
	}
}

// weathered is an export whose factor is to be judged.
func weathered(factor, power, raw string) string {
	return "Time, (ATMO) Humidity, (ATMO) Pressure, (ATMO) Temperature 1, (DWRT CPU) Correction Factor, (DWRT CPU) Power, (DWRT CPU) Power (uncorrected), (PV) Power, \n" +
		rowsOf(0, 20, "20.179, 100.384, 66.52, "+factor+", "+power+", "+raw+", 50")
}

func TestV9PowerSaysWhatItCarriesWhereTheFileProvesIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file string
		want sample.Correction
	}{
		"SAE":                    {weathered("0.977", "97.7", "100"), sample.CorrectionSAE},
		"another standard":       {weathered("1.012", "101.2", "100"), sample.CorrectionUnknown},
		"power without it":       {weathered("0.977", "100", "100"), sample.CorrectionUnknown},
		"no weather":             {strings.ReplaceAll(weathered("0.977", "97.7", "100"), "66.52", ""), sample.CorrectionUnknown},
		"weather that cannot be": {strings.ReplaceAll(weathered("0.977", "97.7", "100"), "66.52", "-900"), sample.CorrectionUnknown},
	} {
		k, err := read(t, []byte(test.file))
		if err != nil {
			t.Fatal(err)
		}
		if got := k.channels[4].Corrected; k.channels[4].Label != "Power" || got != test.want {
			t.Errorf("%s: %s carries %v, want %v", name, k.channels[4].Label, got, test.want)
		}
		if k.channels[5].Corrected != sample.CorrectionNone || k.channels[6].Corrected != sample.CorrectionUnknown {
			t.Errorf("%s: uncorrected carries %v, another device's %v", name, k.channels[5].Corrected, k.channels[6].Corrected)
		}
	}
	if k, _ := read(t, []byte(weathered("0.977", "97.7", "100")+rowsOf(20, 1, "20.179, 100.384, 66.52, 0.978, 97.8, 100, 50"))); k.facts["correction_factor"] != "" {
		t.Errorf("a factor that changes is the run's: %v", k.facts)
	}
}

func TestV9TheFactorIsThatOfTheRunAnalysis(t *testing.T) {
	t.Parallel()
	for celsius := -40.0; celsius <= 65; celsius += 15 {
		for kpa := 50.0; kpa <= 115; kpa += 5 {
			for humidity := 0.0; humidity <= 100; humidity += 25 {
				want, err := correct.Compute(correct.SAE, correct.Weather{Temperature: &celsius, Pressure: &kpa, Humidity: &humidity})
				if got := saeFactor(celsius, kpa, humidity); err != nil || math.Abs(got-want.Value) > 1e-9 {
					t.Errorf("%g °C, %g kPa, %g %%: %v, want %v, %v", celsius, kpa, humidity, got, want.Value, err)
				}
			}
		}
	}
}
