package winpep

import (
	"math"

	"dynotap/channel"
	"dynotap/sample"
)

// standard finds out which standard the corrected columns carry, because no
// export names it: SAE J1349 where the file's own factor is that of its own
// weather, and the columns are their uncorrected partners times that factor.
type standard struct {
	factor                          int // columns; 0: there is none
	temperature, pressure, humidity int
	weather                         [3]float64 // the last seen, NaN before
	first                           float64    // factor
	changed                         bool
	equal, compared                 int // rows
	pairs                           []pair
}

// pair is a column and the same one before correction.
type pair struct {
	column, raw    int
	fits, compared int
}

const (
	// rounding is how far a factor of three digits may be off.
	rounding = 0.001
	// looseness is how far the quotient of two rounded values may be off.
	looseness = 0.002
)

func newStandard(set *sample.ChannelSet) standard {
	nan := math.NaN()
	s := standard{weather: [3]float64{nan, nan, nan}, first: nan}
	resolved := set.Channels()
	for name, column := range map[string]*int{
		channel.CorrectionFactor: &s.factor, channel.AmbientTemp: &s.temperature,
		channel.Barometric: &s.pressure, channel.Humidity: &s.humidity,
	} {
		if i, ok := channel.Preferred(set, name); ok {
			*column = i
		}
	}
	type quantity struct{ device, label string }
	raw := map[quantity]int{}
	for i, c := range resolved {
		if c.Corrected == sample.CorrectionNone {
			raw[quantity{c.Provider, c.Label}] = i
		}
	}
	for i, c := range resolved {
		if r, ok := raw[quantity{c.Provider, c.Label + " (uncorrected)"}]; ok && c.Corrected == sample.CorrectionUnknown {
			s.pairs = append(s.pairs, pair{column: i, raw: r})
		}
	}
	return s
}

// row looks at the values of a row in the units of the exports: °F, kPa, %.
func (s *standard) row(values []float64) {
	if s.factor == 0 {
		return
	}
	for i, column := range [3]int{s.temperature, s.pressure, s.humidity} {
		if column > 0 && !math.IsNaN(values[column]) {
			s.weather[i] = values[column]
		}
	}
	factor := values[s.factor]
	if math.IsNaN(factor) {
		return
	}
	if math.IsNaN(s.first) {
		s.first = factor
	}
	s.changed = s.changed || factor != s.first
	if f := saeFactor((s.weather[0]-32)/1.8, s.weather[1], s.weather[2]); !math.IsNaN(f) {
		if s.compared++; math.Abs(f-factor) <= rounding {
			s.equal++
		}
	}
	for i := range s.pairs {
		p := &s.pairs[i]
		v, raw := values[p.column], values[p.raw]
		if v > 1 && raw > 1 {
			if p.compared++; math.Abs(v/raw-factor) <= looseness {
				p.fits++
			}
		}
	}
}

// saeFactor is SAE J1349 JUN90 as run/correct has it, which a test holds it to:
// °C, kPa, %; NaN where one is missing. Formats stand below that room and
// cannot ask it.
func saeFactor(celsius, kpa, humidity float64) float64 {
	vapour := humidity / 100 * 6.1121 * math.Exp((18.678-celsius/234.5)*(celsius/(257.14+celsius)))
	dry := kpa*10 - vapour
	return 1.18*(990/dry)*math.Sqrt((celsius+273)/298) - 0.18
}

// isSAE asks for nine of ten rows, because weather and factor need not be
// written at the same moment.
func (s *standard) isSAE() bool { return most(s.equal, s.compared) }

func most(n, of int) bool { return of > 0 && 10*n >= 9*of }

// carriedBy is the correction of a column, CorrectionUnknown where nothing
// proves one.
func (s *standard) carriedBy(column int) sample.Correction {
	for _, p := range s.pairs {
		if p.column == column && s.isSAE() && most(p.fits, p.compared) {
			return sample.CorrectionSAE
		}
	}
	return sample.CorrectionUnknown
}

// constant gives the file's factor where it is the same all over.
func (s *standard) constant() (float64, bool) {
	return s.first, !s.changed && !math.IsNaN(s.first)
}
