// Package smooth calms noisy curves for the eye, by the levels 0 to 5 that dyno
// software offers. It is for pictures: what is stored stays as it was measured.
package smooth

import (
	"fmt"
	"math"
	"time"

	"dynotap/run/series"
)

// Highest is the strongest level; 0 changes nothing.
const Highest = 5

// Reach gives how far a level looks to either side of a sample: 0, 0.1, 0.2,
// 0.35, 0.5 and 0.75 s.
func Reach(level int) (time.Duration, error) {
	if level < 0 || level > Highest {
		return 0, fmt.Errorf("smoothing %d: levels are 0 (none) to %d", level, Highest)
	}
	return [Highest + 1]time.Duration{
		0, 100 * time.Millisecond, 200 * time.Millisecond, 350 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond,
	}[level], nil
}

// Apply smooths a series by a level, into a new one at the same times. Each
// value becomes that of the straight line that fits its neighbours best (local
// linear regression, Cleveland 1979) with weights that fall from 1 to 0 at the
// level's reach. A straight line stays as it is, up to its ends; a peak loses
// what a triangular mean loses: curvature × reach² / 12. Work grows with the
// samples times those within reach.
//
// Dyno makers do not publish what their levels do; only the numbers are theirs.
func Apply(s series.Series, level int) (series.Series, error) {
	reach, err := Reach(level)
	if err != nil {
		return series.Series{}, err
	}
	out := series.Series{Times: append([]int64(nil), s.Times...), Values: append([]float64(nil), s.Values...)}
	if reach == 0 {
		return out, nil
	}
	from, width := 0, reach.Microseconds()
	for i, t := range s.Times {
		for s.Times[from] <= t-width {
			from++
		}
		out.Values[i] = fit(s, from, t, width)
	}
	return out, nil
}

// fit is the value at t of the line through the neighbours, the first of which
// is given.
func fit(s series.Series, from int, t, width int64) float64 {
	var w, x, y, xx, xy float64
	for i := from; i < len(s.Times) && s.Times[i] < t+width; i++ {
		dt := float64(s.Times[i]-t) / float64(width)
		weight := 1 - math.Abs(dt)
		w += weight
		x += weight * dt
		y += weight * s.Values[i]
		xx += weight * dt * dt
		xy += weight * dt * s.Values[i]
	}
	if spread := w*xx - x*x; spread > 1e-9*w*w {
		return (xx*y - x*xy) / spread
	}
	return y / w
}
