package align_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dynotap/run/align"
	"dynotap/run/series"
	"dynotap/sim"

	"pgregory.net/rapid"
)

func TestA6TheNearestReading(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		points, readings []int64
		tolerance        time.Duration
		want             []int
	}{
		{"nearest on either side", []int64{100, 200}, []int64{90, 140, 195, 260}, 100, []int{0, 2}},
		{"each is used once, by the closest point", []int64{100, 110}, []int64{108}, 100, []int{align.None, 0}},
		{"the other point takes the next", []int64{100, 110}, []int64{60, 108}, 100, []int{0, 1}},
		{"the tolerance counts in", []int64{100}, []int64{200}, 100, []int{0}},
		{"beyond the tolerance", []int64{100}, []int64{201}, 100, []int{align.None}},
		{"of equal distances the earlier point", []int64{100, 200}, []int64{150}, 100, []int{0, align.None}},
		{"repeats", []int64{100, 100}, []int64{100, 100, 100}, 0, []int{1, 0}},
		{"no readings", []int64{1, 2}, nil, 100, []int{align.None, align.None}},
		{"no points", nil, []int64{1, 2}, 100, []int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := align.Nearest(c.points, c.readings, c.tolerance*time.Microsecond); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// slowly is the same by its definition: of all pairs that are left, the closest.
func slowly(points, readings []int64, tolerance int64) (distance int64, pairs int) {
	taken, used := make([]bool, len(points)), make([]bool, len(readings))
	for {
		best, p, r := int64(math.MaxInt64), -1, -1
		for i := range points {
			for j := range readings {
				if d := max(points[i]-readings[j], readings[j]-points[i]); !taken[i] && !used[j] && d <= tolerance && d < best {
					best, p, r = d, i, j
				}
			}
		}
		if p < 0 {
			return distance, pairs
		}
		taken[p], used[r] = true, true
		distance += best
		pairs++
	}
}

func TestA6EachReadingIsUsedOnceAndTheClosestFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		times := func(name string) []int64 {
			list := rapid.SliceOfN(rapid.Int64Range(-2000, 2000), 0, 40).Draw(t, name)
			slices.Sort(list)
			return list
		}
		points, readings := times("points"), times("readings")
		tolerance := rapid.Int64Range(0, 300).Draw(t, "tolerance")
		p, r := slices.Clone(points), slices.Clone(readings)
		got := align.Nearest(points, readings, time.Duration(tolerance)*time.Microsecond)
		if !slices.Equal(p, points) || !slices.Equal(r, readings) {
			t.Fatal("an input was changed")
		}
		used := map[int]bool{}
		free := func(j int) bool { return !slices.Contains(got, j) }
		for i, j := range got {
			if j == align.None {
				for k := range readings {
					if free(k) && max(points[i]-readings[k], readings[k]-points[i]) <= tolerance {
						t.Fatalf("point %d has no reading though %d is free", i, k)
					}
				}
				continue
			}
			apart := max(points[i]-readings[j], readings[j]-points[i])
			if used[j] || apart > tolerance {
				t.Fatalf("reading %d, %d µs apart, used before: %t", j, apart, used[j])
			}
			used[j] = true
			for k := range readings {
				if free(k) && max(points[i]-readings[k], readings[k]-points[i]) < apart {
					t.Fatalf("point %d has reading %d though %d is closer and free", i, j, k)
				}
			}
		}
		// Of equal distances either may come first, which may change what is
		// left: only without them does the definition say one thing.
		if distinct(points, readings) {
			var sum int64
			for i, j := range got {
				if j != align.None {
					sum += max(points[i]-readings[j], readings[j]-points[i])
				}
			}
			if distance, pairs := slowly(points, readings, tolerance); sum != distance || len(used) != pairs {
				t.Fatalf("%d pairs %d µs apart in all, want %d and %d", len(used), sum, pairs, distance)
			}
		}
	})
}

func distinct(points, readings []int64) bool {
	seen := map[int64]bool{}
	for _, p := range points {
		for _, r := range readings {
			d := max(p-r, r-p)
			if seen[d] {
				return false
			}
			seen[d] = true
		}
	}
	return true
}

func TestA6Merge(t *testing.T) {
	t.Parallel()
	sensor := series.Series{Times: []int64{1_000_000, 1_082_000, 1_900_000}, Values: []float64{14.7, 13.1, 12.9}}
	before := fmt.Sprint(sensor)
	m := align.Merge([]int64{0, 50_000, 100_000, 150_000}, sensor, time.Second, align.DefaultTolerance)
	if fmt.Sprint(m.Values) != "[14.7 NaN 13.1 NaN]" || m.Used != 2 || m.Unused != 1 || fmt.Sprint(sensor) != before {
		t.Errorf("%+v", m)
	}
}

// demo is the engine speed of the simulated cell as a device with a clock of its
// own sees it.
func demo(t *testing.T, from, to, step, ahead time.Duration, sigma float64) (s series.Series) {
	t.Helper()
	cell, err := sim.New(sim.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, uint64(step)))
	for at := from; at < to; at += step {
		s.Times = append(s.Times, (at + ahead).Microseconds())
		s.Values = append(s.Values, cell.At(at).RPM+sigma*r.NormFloat64())
	}
	return s
}

func TestA6ClocksThatDifferAreAligned(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for _, c := range []struct {
		name        string
		ahead, most time.Duration
		step        time.Duration
		within      time.Duration
	}{
		{"equal", 0, 5 * time.Second, 82 * time.Millisecond, 2 * time.Millisecond},
		{"ahead", 1234 * time.Millisecond, 5 * time.Second, 82 * time.Millisecond, 2 * time.Millisecond},
		{"behind", -2718 * time.Millisecond, 5 * time.Second, 50 * time.Millisecond, 2 * time.Millisecond},
		{"another rate", 333 * time.Millisecond, 2 * time.Second, 13 * time.Millisecond, 2 * time.Millisecond},
		{"an hour", hour, hour + 5*time.Second, 82 * time.Millisecond, 300 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			first := demo(t, 0, 20*time.Second, 50*time.Millisecond, 0, 5)
			second := demo(t, time.Second+3456*time.Microsecond, 19*time.Second, c.step, c.ahead, 5)
			before := fmt.Sprint(first, second)
			got, err := align.Clocks(first, second, c.most)
			if err != nil {
				t.Fatal(err)
			}
			if off := (got.Offset - c.ahead).Abs(); off > c.within || got.Correlation < 0.99 || got.Confidence < 0.3 {
				t.Errorf("%+v, want an offset of %v", got, c.ahead)
			}
			if fmt.Sprint(first, second) != before {
				t.Error("an input was changed")
			}
		})
	}
}

func TestA6ConfidenceSaysWhatToTrust(t *testing.T) {
	t.Parallel()
	one := demo(t, 0, 20*time.Second, 50*time.Millisecond, 0, 5)
	inverse := one.Scaled(-0.001)
	if got, err := align.Clocks(one, inverse, 5*time.Second); err != nil || got.Correlation > -0.99 || got.Offset.Abs() > 5*time.Millisecond || got.Confidence < 0.3 {
		t.Errorf("mixture that falls under load: %+v, %v", got, err)
	}
	// Three equal pulls: any of them may be any other.
	many := demo(t, 0, 80*time.Second, 50*time.Millisecond, 0, 5)
	if got, err := align.Clocks(many, many, 45*time.Second); err != nil || got.Confidence > 0.3 {
		t.Errorf("pulls that repeat: %+v, %v", got, err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	noise := one.Scaled(1)
	for i := range noise.Values {
		noise.Values[i] = r.NormFloat64()
	}
	if got, err := align.Clocks(one, noise, 5*time.Second); err == nil && got.Confidence > 0.3 {
		t.Errorf("noise: %+v", got)
	}
}

func TestA6WhatCannotBeAlignedIsAnError(t *testing.T) {
	t.Parallel()
	one := demo(t, 0, 20*time.Second, 50*time.Millisecond, 0, 5)
	flat := one.Scaled(0)
	for name, second := range map[string]series.Series{
		"empty": {}, "one value": {Times: []int64{5}, Values: []float64{1}}, "flat": flat,
		"a year away": demo(t, 0, 20*time.Second, 50*time.Millisecond, 365*24*time.Hour, 5),
	} {
		if got, err := align.Clocks(one, second, 5*time.Second); !errors.Is(err, align.ErrNoOverlap) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got, err := align.Clocks(second, one, 5*time.Second); !errors.Is(err, align.ErrNoOverlap) {
			t.Errorf("%s as the first: %+v, %v", name, got, err)
		}
	}
}
