package window_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"dynotap/run/window"
	"dynotap/sample"

	"pgregory.net/rapid"
)

const ms = 1000

func reading(ch uint32, at int64, v float64) sample.Sample {
	return sample.Sample{Channel: ch, Time: at, Value: v}
}

// gather gives all windows of a stream.
func gather(s window.Settings, samples ...sample.Sample) (list []window.Window, losses window.Losses) {
	a := window.New(s, func(w window.Window) { list = append(list, w) })
	for _, s := range samples {
		a.Add(s)
	}
	a.Flush()
	return list, a.Losses()
}

// text is a window as start:channel=statistic, counts of 0 marked by ~.
func text(list []window.Window, s window.Statistic) (out []string) {
	for _, w := range list {
		line := fmt.Sprintf("%d:", w.Start/ms)
		for _, c := range w.Cells {
			if v, ok := c.Value(s); ok {
				mark := ""
				if c.Count == 0 {
					mark = "~"
				}
				line += fmt.Sprintf(" %d=%s%g", c.Channel, mark, v)
			}
		}
		out = append(out, line)
	}
	return out
}

func TestA5Windows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		settings window.Settings
		samples  []sample.Sample
		by       window.Statistic
		want     []string
		losses   window.Losses
	}{
		{"aligned to multiples of 50 ms", window.Settings{},
			[]sample.Sample{reading(1, 49*ms+999, 1), reading(1, 50*ms, 2), reading(1, 99*ms+999, 3), reading(1, 100*ms, 4)}, window.Last,
			[]string{"0: 1=1", "50: 1=3", "100: 1=4"}, window.Losses{}},
		{"negative times too", window.Settings{}, []sample.Sample{reading(1, -1, 1), reading(1, -50*ms, 2), reading(1, 0, 3)}, window.Count,
			[]string{"-50: 1=2", "0: 1=1"}, window.Losses{}},
		{"mean", window.Settings{}, []sample.Sample{reading(1, 0, 1), reading(1, 10*ms, 3), reading(2, 20*ms, 7)}, window.Mean,
			[]string{"0: 1=2 2=7"}, window.Losses{}},
		{"least", window.Settings{}, []sample.Sample{reading(1, 0, 3), reading(1, 10*ms, -1), reading(1, 20*ms, 2)}, window.Min, []string{"0: 1=-1"}, window.Losses{}},
		{"greatest", window.Settings{}, []sample.Sample{reading(1, 0, -3), reading(1, 10*ms, -1), reading(1, 20*ms, -2)}, window.Max, []string{"0: 1=-1"}, window.Losses{}},
		{"the last by time, not by arrival", window.Settings{}, []sample.Sample{reading(1, 20*ms, 1), reading(1, 10*ms, 2)}, window.Last,
			[]string{"0: 1=1"}, window.Losses{}},
		{"of one time the later arrival", window.Settings{}, []sample.Sample{reading(1, 20*ms, 1), reading(1, 20*ms, 2)}, window.Last,
			[]string{"0: 1=2"}, window.Losses{}},
		{"out of order within the wait", window.Settings{}, []sample.Sample{reading(1, 130*ms, 1), reading(1, 40*ms, 2), reading(1, 90*ms, 3)}, window.Last,
			[]string{"0: 1=2", "50: 1=3", "100: 1=1"}, window.Losses{}},
		{"later than the wait", window.Settings{}, []sample.Sample{reading(1, 200*ms, 1), reading(1, 49*ms, 2), reading(1, 120*ms, 3)}, window.Last,
			[]string{"100: 1=3", "200: 1=1"}, window.Losses{Late: 1}},
		{"a silent channel keeps its value until it expires", window.Settings{Expire: 100 * time.Millisecond},
			[]sample.Sample{reading(1, 0, 9), reading(2, 0, 1), reading(2, 60*ms, 2), reading(2, 110*ms, 3)}, window.Last,
			[]string{"0: 1=9 2=1", "50: 1=~9 2=2", "100: 2=3"}, window.Losses{}},
		{"a silent channel has no mean", window.Settings{},
			[]sample.Sample{reading(1, 0, 9), reading(2, 60*ms, 2)}, window.Mean, []string{"0: 1=9", "50: 2=2"}, window.Losses{}},
		{"after a gap nothing is held", window.Settings{}, []sample.Sample{reading(1, 0, 9), reading(2, 5000*ms, 2)}, window.Last,
			[]string{"0: 1=9", "5000: 2=2"}, window.Losses{}},
		{"a clock that wraps or restarts begins anew", window.Settings{},
			[]sample.Sample{reading(1, 4294967*ms, 1), reading(3, 4294967*ms, 7), reading(1, 0, 2), reading(2, 60*ms, 3)}, window.Last,
			[]string{"4294950: 1=1 3=7", "0: 1=2", "50: 1=~2 2=3"}, window.Losses{Restarts: 1}},
		{"one clock gone wild for one sample", window.Settings{},
			[]sample.Sample{reading(1, 0, 1), reading(1, 9_000_000*ms, 2), reading(1, 50*ms, 3)}, window.Last,
			[]string{"0: 1=1", "9000000: 1=2", "50: 1=3"}, window.Losses{Restarts: 1}},
		{"bad and infinite values count for nothing", window.Settings{},
			[]sample.Sample{{Channel: 1, Quality: sample.Bad, Value: 1}, reading(1, 0, math.NaN()), reading(1, 0, math.Inf(1)), {Channel: 1, Quality: sample.Suspect, Value: 5}},
			window.Last, []string{"0: 1=5"}, window.Losses{Unusable: 3}},
		{"another width", window.Settings{Width: 20 * time.Millisecond}, []sample.Sample{reading(1, 19*ms, 1), reading(1, 20*ms, 2)}, window.Last,
			[]string{"0: 1=1", "20: 1=2"}, window.Losses{}},
		{"nothing", window.Settings{}, nil, window.Last, nil, window.Losses{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list, losses := gather(c.settings, c.samples...)
			if got := text(list, c.by); !slices.Equal(got, c.want) || losses != c.losses {
				t.Errorf("%q %+v, want %q %+v", got, losses, c.want, c.losses)
			}
		})
	}
}

// Whatever comes: every sample is in one window, or counted as left out; windows
// are aligned, ascend between restarts, and hold what their statistics say.
func TestA5EverySampleIsCountedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := window.Settings{
			Width: time.Duration(rapid.IntRange(1, 100_000).Draw(t, "width")) * time.Microsecond,
			Wait:  time.Duration(rapid.IntRange(1, 200_000).Draw(t, "wait")) * time.Microsecond,
		}
		now := rapid.Int64Range(-1e12, 1e12).Draw(t, "start")
		var samples []sample.Sample
		for range rapid.IntRange(0, 200).Draw(t, "samples") {
			now += rapid.OneOf(rapid.Int64Range(-300_000, 300_000), rapid.Int64Range(-1e10, 1e10)).Draw(t, "step")
			v := rapid.OneOf(rapid.Float64Range(-5, 5), rapid.Just(math.NaN())).Draw(t, "value")
			samples = append(samples, reading(rapid.Uint32Range(0, 3).Draw(t, "channel"), now, v))
		}
		list, losses := gather(s, samples...)
		var counted, restarts int64
		for i, w := range list {
			if rest := w.Start % s.Width.Microseconds(); rest != 0 {
				t.Fatalf("window %d is not aligned", w.Start)
			}
			if i > 0 && w.Start <= list[i-1].Start {
				restarts++
			}
			for _, c := range w.Cells {
				counted += int64(c.Count)
				if c.Count > 0 && (c.Low > c.Last || c.High < c.Last || c.At < w.Start || c.At >= w.Start+s.Width.Microseconds()) {
					t.Fatalf("cell %+v of window %d", c, w.Start)
				}
			}
		}
		if counted+losses.Late+losses.Unusable != int64(len(samples)) {
			t.Fatalf("%d in windows, %+v, of %d", counted, losses, len(samples))
		}
		if restarts > losses.Restarts {
			t.Fatalf("time stepped back %d times, %d restarts", restarts, losses.Restarts)
		}
	})
}

func TestStatisticsAreRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"last", "mean", "min", "max", "count"} {
		if s, err := window.ParseStatistic(name); err != nil || s.String() != name {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if _, err := window.ParseStatistic("median"); err == nil {
		t.Error("median was read")
	}
}
