// Package series is one channel's values over time as plain slices, and what is
// computed from two of them: power from force and speed, torque from power.
//
// Nothing here changes what it is given.
package series

import (
	"math"
	"sort"
)

// Series is values over time. Times are in µs and ascend strictly; both slices
// have one length; values are finite.
type Series struct {
	Times  []int64
	Values []float64
}

// Len is the number of values.
func (s Series) Len() int { return len(s.Times) }

// At gives the value at a time: on the line between its neighbours where those
// are no further apart than gap µs, or that of a sample at this very time.
func (s Series) At(t, gap int64) (float64, bool) {
	i := sort.Search(len(s.Times), func(i int) bool { return s.Times[i] >= t })
	switch {
	case i < len(s.Times) && s.Times[i] == t:
		return s.Values[i], true
	case i == 0 || i == len(s.Times) || s.Times[i]-s.Times[i-1] > gap:
		return 0, false
	}
	part := float64(t-s.Times[i-1]) / float64(s.Times[i]-s.Times[i-1])
	return s.Values[i-1] + (s.Values[i]-s.Values[i-1])*part, true
}

// Between gives the part at from <= t <= to, which shares memory with s.
func (s Series) Between(from, to int64) Series {
	i := sort.Search(len(s.Times), func(i int) bool { return s.Times[i] >= from })
	j := sort.Search(len(s.Times), func(i int) bool { return s.Times[i] > to })
	if i >= j {
		return Series{}
	}
	return Series{s.Times[i:j:j], s.Values[i:j:j]}
}

// Scaled multiplies every value.
func (s Series) Scaled(factor float64) Series {
	out := Series{append([]int64(nil), s.Times...), make([]float64, len(s.Values))}
	for i, v := range s.Values {
		out.Values[i] = v * factor
	}
	return out
}

// Peak is the index of the highest value, the first of equal ones; -1 where
// there is none.
func (s Series) Peak() int {
	best := -1
	for i, v := range s.Values {
		if best < 0 || v > s.Values[best] {
			best = i
		}
	}
	return best
}

// With combines s with another series at the times of s, where the other has a
// value by At with the gap. Times without one, and results that are not finite,
// are left out.
func (s Series) With(other Series, gap int64, f func(a, b float64) float64) Series {
	var out Series
	for i, t := range s.Times {
		b, ok := other.At(t, gap)
		if !ok {
			continue
		}
		if v := f(s.Values[i], b); !math.IsNaN(v) && !math.IsInf(v, 0) {
			out.Times, out.Values = append(out.Times, t), append(out.Values, v)
		}
	}
	return out
}

// Constants of the definitions. One horsepower is 550 ft·lbf/s: with a speed in
// miles an hour (5280 ft in 3600 s) that is 375 lbf·mph, with a rotation
// 33000/2π ft·lb·rpm, about 5252.113.
const (
	DrumConstant  = 375.0
	ShaftConstant = 33000 / (2 * math.Pi)
)

// slowest is the rpm below which a quotient by rpm means nothing.
const slowest = 100

// DrumPower is the power in hp at the drum's rim from force in lbf and speed in
// mph, at the times of the force. It carries no weather correction.
func DrumPower(force, speed Series, gap int64) Series {
	return force.With(speed, gap, func(lbf, mph float64) float64 { return lbf * mph / DrumConstant })
}

// ShaftPower is the power in hp from torque in ft·lb and rpm, at the times of
// the torque. It carries the correction of the torque.
func ShaftPower(torque, rpm Series, gap int64) Series {
	return torque.With(rpm, gap, func(ftlb, n float64) float64 { return ftlb * n / ShaftConstant })
}

// ShaftTorque is the torque in ft·lb from power in hp and rpm, at the times of
// the power, where the shaft turns at 100 rpm or more. It carries the
// correction of the power.
func ShaftTorque(power, rpm Series, gap int64) Series {
	return power.With(rpm, gap, func(hp, n float64) float64 {
		if n < slowest {
			return math.NaN()
		}
		return hp * ShaftConstant / n
	})
}
