package run

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dynotap/sample"
	"dynotap/store"
	"dynotap/store/segment"
)

// shelf is a Reader of samples in memory.
type shelf struct {
	channels []store.Channel
	points   [][]store.Point
}

// column adds a channel; its points are time and value in turn.
func (s *shelf) column(device, label, name string, unit sample.Unit, points ...store.Point) *shelf {
	ch := sample.Channel{
		Key: device + "/" + label, Provider: device, ID: uint32(len(s.channels)), Label: label, NativeUnit: unit, Name: name, Unit: unit,
	}
	s.channels = append(s.channels, segment.Describe(sourceName, ch.Key, &ch))
	slices.SortStableFunc(points, func(a, b store.Point) int { return cmp.Compare(a.Time, b.Time) })
	s.points = append(s.points, points)
	return s
}

func (s *shelf) Read(_ context.Context, q store.Query, fn func(*store.Channel, []store.Point) error) error {
	for i := range s.channels {
		if len(q.Channels) > 0 && !slices.Contains(q.Channels, s.channels[i].Key) {
			continue
		}
		for _, p := range s.points[i] {
			if (q.FromUS == nil || p.Time >= *q.FromUS) && (q.ToUS == nil || p.Time < *q.ToUS) {
				if err := fn(&s.channels[i], []store.Point{p}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// every gives points one after another every stepMS.
func every(stepMS int64, values ...float64) (points []store.Point) {
	for i, v := range values {
		points = append(points, store.Point{Time: int64(i) * stepMS * 1000, Value: v})
	}
	return points
}

func bad(p store.Point) store.Point { p.Quality = sample.Bad; return p }

func summarise(tb testing.TB, s *shelf) Summary {
	tb.Helper()
	sum, err := Summarise(tb.Context(), s, "c1", math.MinInt64, math.MaxInt64)
	if err != nil {
		tb.Fatal(err)
	}
	return sum
}

func TestV9AndA7PeaksOfASummary(t *testing.T) {
	t.Parallel()
	hp, tq, rpm := sample.Horsepower, sample.FootPound, sample.RPM
	at := func(ms int64, v float64) store.Point { return store.Point{Time: ms * 1000, Value: v} }
	cases := map[string]struct {
		s                    *shelf
		hp, hpRPM, tq, tqRPM float64 // NaN: not computable
	}{
		"all there": {new(shelf).column("dyno", "Power", "horsepower", hp, every(100, 10, 50, 40)...).
			column("dyno", "Torque", "torque", tq, every(100, 90, 80, 70)...).
			column("dyno", "RPM", "rpm", rpm, every(100, 3000, 4000, 5000)...), 50, 4000, 90, 3000},
		"no torque": {new(shelf).column("dyno", "Power", "horsepower", hp, every(100, 10, 50, 40)...).
			column("dyno", "RPM", "rpm", rpm, every(100, 3000, 4000, 5000)...), 50, 4000, math.NaN(), math.NaN()},
		"no rpm": {new(shelf).column("dyno", "Power", "horsepower", hp, every(100, 10, 50, 40)...), 50, math.NaN(), math.NaN(), math.NaN()},
		"rpm between its samples": {new(shelf).column("dyno", "Power", "horsepower", hp, at(0, 1), at(150, 80), at(300, 2)).
			column("dyno", "RPM", "rpm", rpm, at(100, 4000), at(200, 4200)), 80, 4100, math.NaN(), math.NaN()},
		"rpm on one side only": {new(shelf).column("dyno", "Power", "horsepower", hp, at(0, 1), at(150, 80)).
			column("dyno", "RPM", "rpm", rpm, at(0, 3900), at(100, 4000)), 80, 4000, math.NaN(), math.NaN()},
		"rpm too far away": {new(shelf).column("dyno", "Power", "horsepower", hp, at(0, 1), at(5000, 80)).
			column("dyno", "RPM", "rpm", rpm, at(0, 3900), at(9000, 4000)), 80, math.NaN(), math.NaN(), math.NaN()},
		"bad samples never make a peak": {new(shelf).column("dyno", "Power", "horsepower", hp, at(0, 10), bad(at(100, 900)), at(200, 50)).
			column("dyno", "RPM", "rpm", rpm, at(0, 3000), at(200, 4000), bad(at(200, 1))), 50, 4000, math.NaN(), math.NaN()},
		"nor do NaN and infinity": {new(shelf).column("dyno", "Power", "horsepower", hp, at(0, math.NaN()), at(100, math.Inf(1)), at(200, 50), at(300, math.Inf(-1))), 50, math.NaN(), math.NaN(), math.NaN()},
		"negative only": {new(shelf).column("dyno", "Power", "horsepower", hp, every(100, -9, -3, -5)...).
			column("dyno", "RPM", "rpm", rpm, every(100, 3000, 4000, 5000)...), -3, 4000, math.NaN(), math.NaN()},
		"a zero is a value":      {new(shelf).column("dyno", "Power", "horsepower", hp, every(100, -9, 0, -5)...), 0, math.NaN(), math.NaN(), math.NaN()},
		"the peak may come last": {new(shelf).column("dyno", "Power", "horsepower", hp, every(10, append(make([]float64, 500), 70)...)...), 70, math.NaN(), math.NaN(), math.NaN()},
		"the dyno's before another's": {new(shelf).column("ecu", "Power", "horsepower", hp, every(10, 200, 201, 202, 203, 204, 205)...).
			column("dyno", "Power", "horsepower", hp, every(100, 10, 50, 40)...).
			column("ecu", "RPM", "rpm", rpm, every(10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)...).
			column("dyno", "RPM", "rpm", rpm, every(100, 3000, 4000, 5000)...).
			column("dyno", "Force", "force", sample.PoundForce, every(100, 3, 4, 5)...), 50, 4000, math.NaN(), math.NaN()},
		"another device's rpm where the dyno has none": {new(shelf).column("dyno", "Power", "horsepower", hp, every(100, 10, 50, 40)...).
			column("ecu", "RPM", "rpm", rpm, every(100, 3000, 4000, 5000)...), 50, 4000, math.NaN(), math.NaN()},
		"first of equals": {new(shelf).column("dyno", "Power", "horsepower", hp, every(100, 10, 50, 50)...).
			column("dyno", "RPM", "rpm", rpm, every(100, 3000, 4000, 5000)...), 50, 4000, math.NaN(), math.NaN()},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := summarise(t, c.s)
			for what, pair := range map[string]struct {
				got  *float64
				want float64
			}{"hp": {s.PeakHP, c.hp}, "hp rpm": {s.HPPeakRPM, c.hpRPM}, "torque": {s.PeakTorque, c.tq}, "torque rpm": {s.TorquePeakRPM, c.tqRPM}} {
				if (pair.got == nil) != math.IsNaN(pair.want) || pair.got != nil && math.Abs(*pair.got-pair.want) > 1e-9 {
					t.Errorf("%s is %s, want %g", what, figure(pair.got), pair.want)
				}
			}
			if _, err := json.Marshal(s); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestA7SummaryCountsAndIsTheContract(t *testing.T) {
	t.Parallel()
	points := every(50, 1, 2, 3, 4)
	points[1].Quality = sample.Suspect
	s := summarise(t, new(shelf).
		column("dyno", "Power", "horsepower", sample.Horsepower, append(points, bad(store.Point{Time: 400_000, Value: -999}))...).
		column("ecu", "Mode", "", sample.NoUnit, every(50, 7, 7)...))
	if s.DurationMS != 400 || s.DataPointCount != 5 || s.SampleCount != 7 || s.Suspect != 1 || s.Bad != 1 || len(s.Channels) != 2 {
		t.Errorf("summary %+v", s)
	}
	c := s.Channels[0]
	if c.Samples != 5 || c.Good != 3 || c.Suspect != 1 || c.Bad != 1 || *c.Min != 1 || *c.Max != 4 || c.Unit != sample.Horsepower {
		t.Errorf("channel %+v", c)
	}
	run := Run{Summary: s}
	body, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(body, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{
		"id", "source", "name", "started_at", "duration_ms", "data_point_count", "sample_count",
		"peak_hp", "hp_peak_rpm", "peak_torque", "torque_peak_rpm", "channels", "rejected",
	} {
		if _, ok := keys[k]; !ok {
			t.Errorf("no key %q in %s", k, body)
		}
	}
	first := keys["channels"].([]any)[0].(map[string]any)
	got := slices.Sorted(maps.Keys(first))
	want := []string{"bad", "device", "good", "key", "label", "max", "min", "name", "native_unit", "samples", "suspect", "unit"}
	if !slices.Equal(got, want) {
		t.Errorf("keys of a channel: %v", got)
	}
}

func TestV9SummaryDoesNotDependOnTheOrderOfBatches(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 5, 15)
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		random := rand.New(rand.NewPCG(seed, 2))
		mixed := slices.Clone(batches)
		random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		var a, b tally
		for i := range batches {
			a.addBatch(sourceName, batches[i])
			b.addBatch(sourceName, mixed[i])
		}
		line := func(t *tally) string {
			text := fmt.Sprint(t.First, t.Last, t.Samples)
			list := slices.SortedFunc(slices.Values(t.Channels), func(a, b *channelTally) int { return cmp.Compare(a.Channel.Key, b.Channel.Key) })
			for _, c := range list {
				text += fmt.Sprintf("\n%+v %v %v %v %v", c.Channel, c.Count, c.Min, c.Max, c.MaxAt)
			}
			return text
		}
		if line(&a) != line(&b) {
			rt.Errorf("mixed batches give\n%s\nnot\n%s", line(&b), line(&a))
		}
	})
}

func TestNameThatArrivesLateCountsForAllSamples(t *testing.T) {
	t.Parallel()
	unnamed := resolved(t, sourceName, sample.Channel{Provider: "DWRT CPU", ID: 5, Label: "chan_5"})
	named := resolved(t, sourceName, sample.Channel{Provider: "DWRT CPU", ID: 5, Label: "Power", NativeUnit: sample.Kilowatt})
	one := func(set *sample.ChannelSet, at int64, v float64) *sample.Batch {
		return &sample.Batch{Set: set, Samples: []sample.Sample{{Time: at, Value: v}}}
	}
	var tl tally
	for _, b := range []*sample.Batch{one(unnamed, 1, 60), one(unnamed, 2, 10), one(named, 3, 50), one(named, 5, 20), one(unnamed, 4, 63.4)} {
		if b.Samples[0].Time == 4 {
			tl.sets = nil // as after a restart
		}
		tl.addBatch(sourceName, b)
	}
	c := tl.preferred("horsepower", nil)
	if c == nil || len(tl.Channels) != 1 {
		t.Fatalf("channels %+v", tl.Channels)
	}
	if math.Abs(c.Max-85.02) > 0.01 || math.Abs(c.Min-13.41) > 0.01 || c.MaxAt != 4 || c.samples() != 5 || c.Channel.Label != "Power" {
		t.Errorf("%g to %g hp at %d, %+v", c.Min, c.Max, c.MaxAt, c.Channel)
	}
}

// checker counts distinct times the simple way.
type checker map[int64]bool

func (c checker) count(from, to int64) (n int64, err error) {
	for t := range c {
		if t >= from && t <= to {
			n++
		}
	}
	return n, nil
}

func TestDistinctTimesAreCountedExactly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var ts times
		all := checker{}
		now := rapid.Int64Range(-1e9, 1e9).Draw(rt, "start")
		for range rapid.IntRange(0, 400).Draw(rt, "n") {
			switch rapid.IntRange(0, 9).Draw(rt, "kind") {
			case 0:
				now += rapid.Int64Range(-20, 20).Draw(rt, "minutes") * minuteMicros
			case 1:
				now -= rapid.Int64Range(0, 300_000).Draw(rt, "late")
			case 2: // again
			default:
				now += rapid.Int64Range(0, 2_000_000).Draw(rt, "step")
			}
			ts.add(now)
			all[now] = true
			if rapid.IntRange(0, 99).Draw(rt, "restart") == 0 {
				body, err := json.Marshal(ts.frozen())
				if err != nil {
					rt.Fatal(err)
				}
				ts = times{}
				if err := json.Unmarshal(body, &ts); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.IntRange(0, 20).Draw(rt, "save") == 0 {
				if err := ts.recount(all.count); err != nil {
					rt.Fatal(err)
				}
				if got := ts.total(); got != int64(len(all)) {
					rt.Fatalf("%d distinct times, want %d", got, len(all))
				}
			}
		}
		if err := ts.recount(all.count); err != nil {
			rt.Fatal(err)
		}
		if got := ts.total(); got != int64(len(all)) {
			rt.Fatalf("%d distinct times, want %d", got, len(all))
		}
		if len(ts.open) > openMinutes {
			rt.Fatalf("%d minutes are open", len(ts.open))
		}
	})
}

func TestDistinctTimesInBoundedMemory(t *testing.T) {
	t.Parallel()
	s := new(shelf)
	want := checker{}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 20 {
		var points []store.Point
		for range 500 {
			at := random.Int64N(30*minuteMicros) - 3*minuteMicros
			if i%2 == 0 {
				at -= at % 50_000
			}
			want[at] = true
			points = append(points, store.Point{Time: at})
		}
		s.column("dyno", fmt.Sprint(i), "", sample.NoUnit, points...)
	}
	for _, memory := range []int{10, 500, 4000, memorySamples} {
		g := gathering{reader: s, capture: "c1", memory: memory}
		n, err := g.gather(t.Context(), math.MinInt64, math.MaxInt64)
		if err != nil || n != int64(len(want)) {
			t.Errorf("memory of %d: %d distinct times, want %d (%v)", memory, n, len(want), err)
		}
	}
	from, to := minuteMicros/2, 7*minuteMicros/2
	part, _ := want.count(int64(from), int64(to))
	for _, memory := range []int{10, memorySamples} {
		g := gathering{reader: s, capture: "c1", memory: memory}
		if n, err := g.gather(t.Context(), int64(from), int64(to)); err != nil || n != part {
			t.Errorf("memory of %d: %d distinct times of a part, want %d (%v)", memory, n, part, err)
		}
	}
}

func TestWindowsHoldNoMoreThanTheirBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.MapOf(rapid.Int64Range(-500, 500), rapid.Int64Range(1, 300)).Draw(t, "minutes")
		left := maps.Clone(minutes)
		last := int64(math.MinInt64)
		for _, w := range windows(minutes, 256) {
			held, in := int64(0), 0
			for m, n := range minutes {
				if m*minuteMicros >= w[0] && (m+1)*minuteMicros-1 <= w[1] {
					held += n
					in++
					delete(left, m)
				}
			}
			if held > 256 && in > 1 || w[0] <= last || w[1] <= w[0] {
				t.Fatalf("window %v holds %d samples in %d minutes", w, held, in)
			}
			last = w[1]
		}
		if len(left) > 0 {
			t.Fatalf("minutes %v are in no window", left)
		}
	})
}

func BenchmarkTake(b *testing.B) {
	batches, _ := demo(b, 50, 20)
	tr := NewTracker(nil, store.Capture{Source: sourceName}, Settings{})
	shift := batches[len(batches)-1].Samples[0].Time - epoch + 20_000
	i, n := 0, 0
	for b.Loop() {
		tr.take(batches[i])
		n += len(batches[i].Samples)
		for k := range batches[i].Samples {
			batches[i].Samples[k].Time += shift
		}
		i = (i + 1) % len(batches)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Msamples/s")
}
