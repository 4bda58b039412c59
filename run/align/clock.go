package align

import (
	"errors"
	"math"
	"time"

	"dynotap/run/series"
)

// Shift is the offset between two clocks, and how sure it is.
type Shift struct {
	// Offset is how far the second clock is ahead of the first: take it away
	// from the second's times. Resolution is some milliseconds at best.
	Offset time.Duration
	// Correlation is that of the two series at this offset, -1 to 1. It is
	// negative where one falls when the other rises, as mixture does with load.
	Correlation float64
	// Confidence is 0 to 1: how strong the correlation is, over how much of the
	// shorter series, and how much stronger than at the next best offset. Below 0.3 nothing should rest on it: the
	// series do not resemble each other, or repeat themselves.
	Confidence float64
}

// ErrNoOverlap says that two series have too little in common to be compared.
var ErrNoOverlap = errors.New("the two series do not change together for long enough to compare their clocks")

// The grid on which series are compared: 10 ms, or coarser for long ones and
// for large offsets so that work stays bounded.
const (
	gridStep    = 10_000 // µs
	gridMost    = 1 << 15
	lagsMost    = 1 << 14
	gridGap     = 1_000_000 // µs over which values are joined
	leastPart   = 0.5       // of the shorter series must overlap at any offset
	leastValues = 16
)

// Clocks finds the offset between the clocks of two series that follow the same
// event, such as the rpm of the dyno and that of a logger, within most to either
// side, by normalised cross-correlation: the offset at which the magnitude of
// Pearson's coefficient over the common stretch, times the part of the shorter
// series that lies in it, is highest, refined by a parabola through its
// neighbours. (Without the part, two straight rises would match at any offset.)
// A series that does not change, or that has fewer than
// 16 values on the grid, gives ErrNoOverlap.
func Clocks(first, second series.Series, most time.Duration) (Shift, error) {
	step := max(gridStep, span(first)/gridMost, span(second)/gridMost, 2*most.Microseconds()/lagsMost)
	if first.Len() == 0 || second.Len() == 0 {
		return Shift{}, ErrNoOverlap
	}
	a, b := sampled(first, step), sampled(second, step)
	base := second.Times[0] - first.Times[0]
	reach := most.Microseconds()
	low, high := -(reach+base)/step, (reach-base)/step
	scores := make([]float64, 0, max(0, high-low+1))
	full := float64(min(known(a), known(b)))
	for lag := low; lag <= high; lag++ {
		r, n := pearson(a, b, int(lag))
		if n < leastValues || n < leastPart*full {
			r = 0
		}
		scores = append(scores, r*n/full)
	}
	best := 0
	for i, r := range scores {
		if math.Abs(r) > math.Abs(scores[best]) {
			best = i
		}
	}
	if len(scores) == 0 || scores[best] == 0 {
		return Shift{}, ErrNoOverlap
	}
	// b[i+lag] goes with a[i]: second's time is base + lag·step ahead.
	lag := float64(low) + float64(best) + vertex(scores, best)
	peak := math.Abs(scores[best])
	r, _ := pearson(a, b, int(low)+best)
	return Shift{
		Offset:      time.Duration(math.Round(float64(base)+lag*float64(step))) * time.Microsecond,
		Correlation: r,
		Confidence:  peak * (1 - runnerUp(scores, best)/peak),
	}, nil
}

func span(s series.Series) int64 {
	if s.Len() == 0 {
		return 0
	}
	return s.Times[s.Len()-1] - s.Times[0]
}

// sampled puts a series on the grid; NaN where it has gaps.
func sampled(s series.Series, step int64) []float64 {
	out := make([]float64, span(s)/step+1)
	for i := range out {
		v, ok := s.At(s.Times[0]+int64(i)*step, gridGap)
		if !ok {
			v = math.NaN()
		}
		out[i] = v
	}
	return out
}

// known counts the values that are there.
func known(list []float64) (n int) {
	for _, v := range list {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// pearson is the correlation of a[i] with b[i+lag] and of how many values; 0
// where one of them does not change.
func pearson(a, b []float64, lag int) (r, n float64) {
	from, to := max(0, -lag), min(len(a), len(b)-lag)
	var x, y, xx, yy, xy float64
	if from < to {
		// Taken from the first values, so that sums of squares keep their digits.
		x0, y0 := a[from], b[from+lag]
		if math.IsNaN(x0) || math.IsNaN(y0) {
			x0, y0 = 0, 0
		}
		for i := from; i < to; i++ {
			u, v := a[i]-x0, b[i+lag]-y0
			if math.IsNaN(u) || math.IsNaN(v) {
				continue
			}
			n++
			x, y, xx, yy, xy = x+u, y+v, xx+u*u, yy+v*v, xy+u*v
		}
	}
	vx, vy := xx-x*x/n, yy-y*y/n
	if n == 0 || vx <= 1e-12*xx || vy <= 1e-12*yy {
		return 0, n
	}
	return (xy - x*y/n) / math.Sqrt(vx*vy), n
}

// vertex is where the parabola through the best score and its neighbours has
// its peak, -0.5 to 0.5 steps from it.
func vertex(scores []float64, best int) float64 {
	if best == 0 || best == len(scores)-1 {
		return 0
	}
	l, m, r := math.Abs(scores[best-1]), math.Abs(scores[best]), math.Abs(scores[best+1])
	bend := l - 2*m + r
	if bend >= 0 {
		return 0
	}
	return max(-0.5, min(0.5, (l-r)/(2*bend)))
}

// runnerUp is the highest magnitude beyond the hill that the best score stands
// on, 0 where there is no other hill.
func runnerUp(scores []float64, best int) float64 {
	left, right := best, best
	for left > 0 && math.Abs(scores[left-1]) <= math.Abs(scores[left]) {
		left--
	}
	for right < len(scores)-1 && math.Abs(scores[right+1]) <= math.Abs(scores[right]) {
		right++
	}
	var second float64
	for i, r := range scores {
		if i < left || i > right {
			second = max(second, math.Abs(r))
		}
	}
	return second
}
