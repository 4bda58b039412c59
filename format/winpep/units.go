package winpep

import (
	"fmt"
	"math"
	"slices"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// measured is how many rows tell in which unit a column is.
const measured = 4000

// exported is the unit that the exports have without saying so (PROTOCOLS 3);
// NoUnit where it is the canonical one.
func exported(u sample.Unit) sample.Unit {
	switch u {
	case sample.InchHg, sample.PSI:
		return sample.Kilopascal
	case sample.G:
		return sample.MileHourSecond
	}
	return sample.NoUnit
}

// wattage turns lb·ft times rpm into horsepower (PROTOCOLS 3).
const wattage = 5252

// measure finds the unit of every column whose header does not name it: of
// speeds of rotation by the physics, because exports give them in thousands of
// rpm, and of injector times by their magnitude, because PV gives seconds.
func (f *Format) measure(rows *text.Rows, h *header) (map[int]sample.Unit, error) {
	resolved := make([]sample.Channel, len(h.columns))
	for i, c := range h.columns {
		resolved[i] = f.resolver.Resolve(sample.Channel{Provider: c.device, Label: c.label})
	}
	values := make([][]float64, len(h.columns)) // by row, NaN where missing
	for n := 0; n < measured && rows.Next(); n++ {
		cells := h.cells(rows)
		for i := range values {
			v := math.NaN()
			if i < len(cells) {
				if parsed, kind := number(cells[i]); kind == text.Number {
					v = parsed
				}
			}
			values[i] = append(values[i], v)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, &format.Error{Line: rows.Line(), Err: fmt.Errorf("read rows: %w", err)}
	}
	out := map[int]sample.Unit{}
	for i, c := range resolved {
		q, known := channel.Lookup(c.Name)
		switch {
		case i == 0 || !known || bracketed(h.columns[i].label):
		case q.Unit == sample.RPM:
			out[i] = rotation(values[i], physics(resolved, values))
		case q.Family == channel.InjectorTime:
			out[i] = injection(values[i])
		default:
			out[i] = exported(q.Unit)
		}
	}
	return out, nil
}

// bracketed reports whether a label names its unit itself.
func bracketed(label string) bool {
	c := splitUnit(label)
	_, ok := sample.ParseUnit(c)
	return ok
}

func splitUnit(label string) string {
	for i := len(label) - 1; i >= 0; i-- {
		if label[i] == '(' && label[len(label)-1] == ')' {
			return label[i+1 : len(label)-1]
		}
	}
	return ""
}

// physics is, row by row, the rpm that power and torque of the dyno imply; NaN
// where they do not.
func physics(resolved []sample.Channel, values [][]float64) []float64 {
	set := sample.NewChannelSet(provider, resolved)
	power, hasPower := channel.Preferred(set, channel.Horsepower)
	torque, hasTorque := channel.Preferred(set, channel.Torque)
	if !hasPower || !hasTorque {
		return nil
	}
	out := make([]float64, len(values[power]))
	for i := range out {
		out[i] = math.NaN()
		if p, t := values[power][i], values[torque][i]; p > 1 && t > 1 {
			out[i] = p * wattage / t
		}
	}
	return out
}

// slow is the greatest median that is taken for thousands of rpm where physics
// says nothing: no engine turns 60,000 times a minute or idles at 60.
const slow = 60

// rotation is the unit of a speed of rotation: the nearest of x1 and x1000 to
// what physics says.
func rotation(values, implied []float64) sample.Unit {
	var ratios []float64
	for i, v := range values {
		if i < len(implied) && v > 0 && implied[i] > 0 {
			ratios = append(ratios, math.Log10(implied[i]/v))
		}
	}
	if r, ok := median(ratios); ok {
		if r > 1.5 {
			return sample.KiloRPM
		}
		return sample.RPM
	}
	if m, ok := median(positive(values)); ok && m < slow {
		return sample.KiloRPM
	}
	return sample.RPM
}

// injection is the unit of an injector time: no injector opens for less than
// 0.2 ms or as long as 0.2 s.
func injection(values []float64) sample.Unit {
	if m, ok := median(positive(values)); ok && m < 0.2 {
		return sample.Second
	}
	return sample.Millisecond
}

func positive(values []float64) (out []float64) {
	for _, v := range values {
		if v > 0 {
			out = append(out, v)
		}
	}
	return out
}

func median(values []float64) (float64, bool) {
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	return values[len(values)/2], true
}
