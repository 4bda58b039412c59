package correct_test

import (
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dynotap/run/correct"
	"dynotap/sample"

	"pgregory.net/rapid"
)

func weather(celsius, kpa, percent float64) correct.Weather {
	return correct.Weather{Temperature: &celsius, Pressure: &kpa, Humidity: &percent}
}

func TestAFactorAtTheReferenceWeatherIsOne(t *testing.T) {
	t.Parallel()
	for s, w := range map[correct.Standard]correct.Weather{
		correct.SAE: weather(25, 99, 0),
		correct.STD: weather(60.0/1.8-32/1.8, 29.92*3.386388640341, 0),
	} {
		f, err := correct.Compute(s, w)
		if err != nil || math.Abs(f.Value-1) > 1e-9 || f.Warning != "" || f.Standard != s {
			t.Errorf("%s: %+v, %v", s, f, err)
		}
	}
}

func TestFactors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		standard correct.Standard
		w        correct.Weather
		want     float64
		warns    bool
		err      error
	}{
		// By hand, with 23.39, 56.2 and 31.7 hPa of saturation at 20, 35 and 25 °C.
		{"SAE in a cell", correct.SAE, weather(20, 101.25, 50), 1.18*(990/(1012.5-11.692))*math.Sqrt(293.0/298) - 0.18, false, nil},
		{"SAE, hot and humid", correct.SAE, weather(35, 98, 80), 1.0902, true, nil},
		{"STD in a cell", correct.STD, weather(20, 101.25, 50), 1.18*(1013.207/(1012.5-11.692))*math.Sqrt((68.0+460)/520) - 0.18, false, nil},
		{"SAE in the mountains is warned of", correct.SAE, weather(25, 83, 20), 1.2383, true, nil},
		{"STD in the mountains", correct.STD, weather(25, 83, 20), 1.2951, false, nil},
		{"no temperature", correct.SAE, correct.Weather{Pressure: new(99.0), Humidity: new(1.0)}, 0, false, correct.ErrNoWeather},
		{"no pressure", correct.STD, correct.Weather{Temperature: new(20.0), Humidity: new(1.0)}, 0, false, correct.ErrNoWeather},
		{"no humidity", correct.SAE, correct.Weather{Temperature: new(20.0), Pressure: new(99.0)}, 0, false, correct.ErrNoWeather},
		{"nothing", correct.SAE, correct.Weather{}, 0, false, correct.ErrNoWeather},
		{"pressure in inHg", correct.SAE, weather(20, 29.3, 50), 0, false, correct.ErrWeather},
		{"temperature in °F", correct.SAE, weather(77, 99, 50), 0, false, correct.ErrWeather},
		{"humidity above 100", correct.SAE, weather(25, 99, 101), 0, false, correct.ErrWeather},
		{"NaN", correct.SAE, weather(math.NaN(), 99, 50), 0, false, correct.ErrWeather},
		{"infinite", correct.SAE, weather(25, math.Inf(1), 50), 0, false, correct.ErrWeather},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := correct.Compute(c.standard, c.w)
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Fatalf("error %v", err)
			}
			if math.Abs(f.Value-c.want) > 0.0005 || (f.Warning != "") != c.warns {
				t.Errorf("%+v, want %.4f", f, c.want)
			}
		})
	}
	if _, err := correct.Compute(correct.None, weather(25, 99, 0)); err == nil {
		t.Error("a factor of no standard")
	}
}

// Steam tables: 6.11 hPa at 0 °C, 23.39 at 20, 31.69 at 25, 73.8 at 40.
func TestSaturationPressureAgreesWithSteamTables(t *testing.T) {
	t.Parallel()
	for celsius, hpa := range map[float64]float64{0: 6.112, 10: 12.28, 20: 23.39, 25: 31.69, 30: 42.47, 40: 73.84} {
		if got := correct.SaturationPressure(celsius); math.Abs(got/hpa-1) > 0.001 {
			t.Errorf("%g °C: %.3f hPa, want %.2f", celsius, got, hpa)
		}
	}
}

// Warmer, thinner and moister air makes the factor greater.
func TestAFactorGrowsAsTheAirGetsThinner(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom([]correct.Standard{correct.SAE, correct.STD}).Draw(t, "standard")
		c, p, h := rapid.Float64Range(-10, 45).Draw(t, "°C"), rapid.Float64Range(75, 105).Draw(t, "kPa"), rapid.Float64Range(0, 95).Draw(t, "%")
		value := func(w correct.Weather) float64 {
			f, err := correct.Compute(s, w)
			if err != nil {
				t.Fatal(err)
			}
			return f.Value
		}
		base := value(weather(c, p, h))
		if value(weather(c+1, p, h)) <= base || value(weather(c, p-1, h)) <= base || value(weather(c, p, h+5)) <= base {
			t.Fatalf("at %g °C, %g kPa, %g %%", c, p, h)
		}
	})
}

func TestAFactorIsNeverAppliedTwice(t *testing.T) {
	t.Parallel()
	f := correct.Factor{Standard: correct.SAE, Value: 0.977}
	for carried, want := range map[sample.Correction]float64{sample.CorrectionNone: 0.977, sample.CorrectionSAE: 1} {
		if got, err := f.Scale(carried); err != nil || got != want {
			t.Errorf("%s: %g, %v", carried, got, err)
		}
	}
	for _, carried := range []sample.Correction{sample.CorrectionSTD, sample.CorrectionUnknown} {
		if got, err := f.Scale(carried); !errors.Is(err, correct.ErrCorrected) || got != 0 {
			t.Errorf("%s: %g, %v", carried, got, err)
		}
	}
}

func TestStandardsAreRead(t *testing.T) {
	t.Parallel()
	for _, name := range correct.Standards() {
		s, err := correct.Parse(name)
		if err != nil || s.String() != name || s.Title() == "" {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if _, err := correct.Parse("din"); err == nil {
		t.Error("din was read")
	}
}

// The golden test: the factor that WinPEP 8 wrote beside the weather it
// measured, and the ratio of its corrected and uncorrected power.
func TestTheFactorIsThatOfWinPEP(t *testing.T) {
	t.Parallel()
	rows := export(t)
	checked := 0
	for _, r := range rows {
		w := correct.Weather{Temperature: r.number("(DWRT ATMO) Temperature 1"), Pressure: r.number("(DWRT ATMO) Pressure"), Humidity: r.number("(DWRT ATMO) Humidity")}
		written := r.number("(DWRT CPU) Correction Factor")
		if w.Temperature != nil {
			*w.Temperature = (*w.Temperature - 32) / 1.8
		}
		if written == nil || w.Temperature == nil || w.Pressure == nil || w.Humidity == nil {
			if _, err := correct.Compute(correct.SAE, w); !errors.Is(err, correct.ErrNoWeather) {
				t.Errorf("a row without all of the weather: %v", err)
			}
			continue
		}
		f, err := correct.Compute(correct.SAE, w)
		if err != nil {
			t.Fatal(err)
		}
		ratio := *r.number("(DWRT CPU) Power") / *r.number("(DWRT CPU) Power (uncorrected)")
		if math.Abs(f.Value-*written) > 0.0005 || math.Abs(f.Value-ratio) > 0.0005 {
			t.Errorf("factor %.5f, the file says %.3f and divides to %.5f", f.Value, *written, ratio)
		}
		checked++
	}
	if checked == 0 {
		t.Error("no row holds all of the weather")
	}
}

type row map[string]string

// number gives a cell; nil where it is empty.
func (r row) number(column string) *float64 {
	text, ok := r[column]
	if !ok || text == "" {
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return &v
}

func export(t *testing.T) (rows []row) {
	t.Helper()
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "samples")
	}
	text, err := os.ReadFile(filepath.Join(dir, "winpep", "winpep8-export-excerpt.txt"))
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("the WinPEP sample is not here: set DYNOTAP_SAMPLES")
	}
	r := csv.NewReader(strings.NewReader(string(text)))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	cells, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range cells[1:] {
		out := row{}
		for i, cell := range line {
			if i < len(cells[0]) {
				out[strings.TrimSpace(cells[0][i])] = strings.TrimSpace(cell)
			}
		}
		rows = append(rows, out)
	}
	return rows
}
