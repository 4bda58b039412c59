// Package correct computes the factor by which power and torque are brought
// from the weather of the day to that of a standard, so that runs of different
// days can be compared.
//
// A factor is never 1 because something is missing, and it is never applied to
// values that carry a correction already (DESIGN decision 12).
package correct

import (
	"errors"
	"fmt"
	"math"

	"dynotap/sample"
)

// Standard is a reference weather with its formula.
type Standard uint8

// The standards of dyno software. None leaves values as they were measured.
const (
	None Standard = iota
	// SAE is SAE J1349 JUN90: 25 °C and 990 hPa of dry air, friction of 15 %.
	SAE
	// STD is SAE J607: 60 °F and 29.92 inHg of dry air, here with the friction
	// of SAE. It reads some 5 % higher than SAE.
	STD
)

// Standards lists what Parse reads.
func Standards() []string { return []string{"none", "sae", "std"} }

// Parse reads "none", "sae" or "std".
func Parse(name string) (Standard, error) {
	for i, n := range Standards() {
		if n == name {
			return Standard(i), nil
		}
	}
	return None, fmt.Errorf("unknown correction %q: use sae, std or none", name)
}

// String gives what Parse reads.
func (s Standard) String() string {
	if list := Standards(); int(s) < len(list) {
		return list[s]
	}
	return fmt.Sprintf("standard(%d)", uint8(s))
}

// Title is the standard as a sheet names it.
func (s Standard) Title() string {
	switch s {
	case SAE:
		return "SAE J1349"
	case STD:
		return "STD (SAE J607)"
	}
	return "uncorrected"
}

// Carried is how a channel says that its values carry this standard.
func (s Standard) Carried() sample.Correction {
	switch s {
	case SAE:
		return sample.CorrectionSAE
	case STD:
		return sample.CorrectionSTD
	}
	return sample.CorrectionNone
}

// Weather is the air that the engine breathes. What is nil was not measured.
type Weather struct {
	// Temperature is in °C, -40 to 65.
	Temperature *float64
	// Pressure is the absolute pressure at the place, not reduced to sea
	// level, in kPa, 50 to 115.
	Pressure *float64
	// Humidity is relative, in %, 0 to 100.
	Humidity *float64
}

// What Compute cannot do.
var (
	// ErrNoWeather says that a reading is missing.
	ErrNoWeather = errors.New("weather is missing")
	// ErrWeather says that a reading cannot be true.
	ErrWeather = errors.New("weather cannot be true")
	// ErrCorrected says that values carry a correction, or may carry one.
	ErrCorrected = errors.New("cannot be corrected")
)

// The bounds within which SAE J1349 allows its factor to be used.
const (
	Lowest  = 0.93
	Highest = 1.07
)

// Factor is what uncorrected power and torque are multiplied by.
type Factor struct {
	Standard Standard
	// Value is about 0.8 to 1.4.
	Value float64
	// Warning says what makes the factor doubtful; empty: nothing.
	Warning string
}

// The constants of the formulas. The friction, 15 % of what the engine makes,
// does not depend on the weather: a factor is (1+f)·ratio - f with f = 0.18.
const (
	friction      = 0.18
	kelvin        = 273.0 // as the standards round it
	hpaPerInHg    = 33.86388640341
	saePressure   = 990.0              // hPa, dry
	saeAbsolute   = 298.0              // K
	stdPressure   = 29.92 * hpaPerInHg // hPa, dry
	stdFahrenheit = 460.0 + 60.0       // °R
	rankine       = 460.0              // as the standard rounds it
)

// Compute gives the factor of a standard for a weather:
//
//	SAE: 1.180 · (990 / Pd) · √((T + 273) / 298) - 0.180       Pd in hPa, T in °C
//	STD: 1.180 · (29.92 / Pd) · √((T + 460) / 520) - 0.180     Pd in inHg, T in °F
//
// Pd is the pressure of the dry air, Pressure less that of the water in it.
// The first is SAE J1349 JUN90; its factors equal those that WinPEP 8 writes
// into its exports. The second has the reference weather of SAE J607 and, for
// want of a published formula, the friction of the first. ErrNoWeather where
// something was not measured, ErrWeather where it cannot be true. A factor of
// None does not exist: use values as they are.
func Compute(s Standard, w Weather) (Factor, error) {
	if s != SAE && s != STD {
		return Factor{}, fmt.Errorf("correction factor for %q: there is none", s)
	}
	dry, err := dryPressure(w)
	if err != nil {
		return Factor{}, fmt.Errorf("%s correction factor: %w", s, err)
	}
	t := *w.Temperature
	ratio := saePressure / dry * math.Sqrt((t+kelvin)/saeAbsolute)
	if s == STD {
		ratio = stdPressure / dry * math.Sqrt((t*1.8+32+rankine)/stdFahrenheit)
	}
	f := Factor{Standard: s, Value: (1+friction)*ratio - friction}
	if s == SAE && (f.Value < Lowest || f.Value > Highest) {
		f.Warning = fmt.Sprintf("the SAE factor %.3f is outside %.2f to %.2f, where SAE J1349 does not allow it", f.Value, Lowest, Highest)
	}
	return f, nil
}

// dryPressure gives the pressure without the water's, in hPa.
func dryPressure(w Weather) (float64, error) {
	readings := []struct {
		name      string
		value     *float64
		low, high float64
		unit      string
	}{
		{"air temperature", w.Temperature, -40, 65, "°C"},
		{"absolute pressure", w.Pressure, 50, 115, "kPa"},
		{"relative humidity", w.Humidity, 0, 100, "%"},
	}
	for _, r := range readings {
		switch {
		case r.value == nil:
			return 0, fmt.Errorf("%w: no %s", ErrNoWeather, r.name)
		case !(*r.value >= r.low && *r.value <= r.high):
			return 0, fmt.Errorf("%w: %s %.4g %s is not within %g to %g", ErrWeather, r.name, *r.value, r.unit, r.low, r.high)
		}
	}
	dry := *w.Pressure*10 - *w.Humidity/100*SaturationPressure(*w.Temperature)
	return dry, nil
}

// SaturationPressure is the pressure of water vapour over water in hPa at a
// temperature in °C, -40 to 65: Buck's equation of 1981 with the constants of
// 1996, within 0.1 % there.
func SaturationPressure(celsius float64) float64 {
	return 6.1121 * math.Exp((18.678-celsius/234.5)*(celsius/(257.14+celsius)))
}

// Scale gives the factor that brings values that carry a correction, as their
// channel says, to the standard: f for uncorrected ones, 1 where they carry
// that standard. ErrCorrected where they carry another one, or nobody knows
// (DESIGN decision 12).
func (f Factor) Scale(carried sample.Correction) (float64, error) {
	switch carried {
	case f.Standard.Carried():
		return 1, nil
	case sample.CorrectionNone:
		return f.Value, nil
	case sample.CorrectionUnknown:
		return 0, fmt.Errorf("%w to %s: nobody knows whether the values carry a correction already", ErrCorrected, f.Standard)
	}
	return 0, fmt.Errorf("%w to %s: the values carry %s already", ErrCorrected, f.Standard, carried)
}
