package smooth_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"dynotap/run/series"
	"dynotap/run/smooth"

	"pgregory.net/rapid"
)

func at(n int, step int64, f func(i int) float64) (s series.Series) {
	for i := range n {
		s.Times, s.Values = append(s.Times, int64(i)*step), append(s.Values, f(i))
	}
	return s
}

func apply(t interface{ Fatal(...any) }, s series.Series, level int) series.Series {
	out, err := smooth.Apply(s, level)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLevelZeroChangesNothingAndEveryLevelCalmsMore(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	noise := at(2000, 50_000, func(int) float64 { return r.NormFloat64() })
	last := math.Inf(1)
	for level := 0; level <= smooth.Highest; level++ {
		got := apply(t, noise, level)
		sum := 0.0
		for _, v := range got.Values {
			sum += v * v
		}
		if sum >= last {
			t.Errorf("level %d is not calmer than the one before", level)
		}
		last = sum
		if level == 0 && fmt.Sprint(got) != fmt.Sprint(noise) {
			t.Error("level 0 changes something")
		}
	}
}

// Whatever the times: a straight line stays one, to its ends; what comes out
// has the same times; what went in is unchanged.
func TestAStraightLineStaysAndInputsAreNotChanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.IntRange(0, smooth.Highest).Draw(t, "level")
		var s series.Series
		now := int64(rapid.IntRange(-1e9, 1e9).Draw(t, "start"))
		slope := rapid.Float64Range(-1000, 1000).Draw(t, "slope")
		for _, step := range rapid.SliceOfN(rapid.Int64Range(1, 400_000), 0, 60).Draw(t, "steps") {
			now += step
			s.Times, s.Values = append(s.Times, now), append(s.Values, 5+slope*float64(now)/1e6)
		}
		before := fmt.Sprint(s)
		got := apply(t, s, level)
		if fmt.Sprint(s) != before || fmt.Sprint(got.Times) != fmt.Sprint(s.Times) {
			t.Fatal("the input or the times were changed")
		}
		for i, v := range got.Values {
			if math.Abs(v-s.Values[i]) > 1e-6*(1+math.Abs(s.Values[i])) {
				// Within a few µs of each other, neighbours say nothing of a slope.
				if math.Abs(v-s.Values[i]) > math.Abs(slope)*1e-3 {
					t.Fatalf("%g became %g", s.Values[i], v)
				}
			}
		}
	})
}

// The documented loss of a peak: curvature × reach² / 12.
func TestAPeakLosesWhatIsDocumented(t *testing.T) {
	t.Parallel()
	const bend = 40.0 // units a second squared
	parabola := at(4001, 1000, func(i int) float64 { s := float64(i)/1000 - 2; return 100 - bend/2*s*s })
	for level := 1; level <= smooth.Highest; level++ {
		reach, _ := smooth.Reach(level)
		want := bend * reach.Seconds() * reach.Seconds() / 12
		if lost := 100 - apply(t, parabola, level).Values[2000]; math.Abs(lost-want) > 0.01*want {
			t.Errorf("level %d: %g is lost, want %g", level, lost, want)
		}
	}
}

func TestWhatIsAloneStays(t *testing.T) {
	t.Parallel()
	far := at(5, 10_000_000, func(i int) float64 { return float64(i * i) })
	if got := apply(t, far, 5); fmt.Sprint(got) != fmt.Sprint(far) {
		t.Error(got)
	}
	if got := apply(t, series.Series{}, 5); got.Len() != 0 {
		t.Error(got)
	}
}

func TestUnknownLevelsAreRefused(t *testing.T) {
	t.Parallel()
	for _, level := range []int{-1, 6} {
		if _, err := smooth.Apply(series.Series{}, level); err == nil {
			t.Error(level)
		}
	}
}
