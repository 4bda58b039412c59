package bench

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestQueueIsMeasured tries everything once, with sizes that tell nothing
// about speed. Not in parallel: allocations are counted for the whole process.
func TestQueueIsMeasured(t *testing.T) {
	for backend, want := range map[string][]string{
		MemoryBackend: {"enqueue", "dequeue", "enqueue, mixed priorities"},
		SQLiteBackend: {"enqueue", "dequeue", "move to chunk", "enqueue, mixed priorities", "64 producers to one", "p99 of an enqueue at 10,000 items/s offered"},
	} {
		t.Run(backend, func(t *testing.T) {
			dir := t.TempDir()
			report, err := Queue(QueueOptions{Backend: backend, Dir: dir, Rounds: 2, Quick: true})
			if err != nil {
				t.Fatal(err)
			}
			if report.Benchmark != "queue" || report.Backend != backend || report.Rounds != 2 || report.Note == "" {
				t.Errorf("report: %+v", report)
			}
			if (report.Directory == dir) != (backend == SQLiteBackend) {
				t.Errorf("directory %q", report.Directory)
			}
			var names []string
			for _, r := range report.Results {
				names = append(names, r.Name)
				checkFigures(t, backend, r)
			}
			for _, name := range want {
				if !slices.Contains(names, name) {
					t.Errorf("%q is missing among %q", name, names)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func checkFigures(t *testing.T, backend string, r Result) {
	t.Helper()
	// Of allocations the least is the best, and none is possible.
	none := r.Unit == "allocations/item" || r.Unit == "bytes/item"
	if r.Median <= 0 && !none || r.Min > r.Median || r.Max < r.Median {
		t.Errorf("%s: least %v, median %v, most %v", r.Name, r.Min, r.Median, r.Max)
	}
	for what, v := range map[string]*float64{
		"bare": r.BareMedian, "file": r.FileMedian, "to bare": r.RatioToBare, "to file": r.RatioToFile, "target": r.Target,
	} {
		if v != nil && *v <= 0 {
			t.Errorf("%s, groups of %d: %s is %v", r.Name, r.Group, what, *v)
		}
	}
	if (r.BareMedian == nil) != (r.RatioToBare == nil) || (r.FileMedian == nil) != (r.RatioToFile == nil) {
		t.Errorf("a ratio or what it is to is missing: %+v", r)
	}
	if works := slices.Contains(workNames[:], r.Name); works && (r.RatioToBare == nil || (r.RatioToFile != nil) != (backend == SQLiteBackend)) {
		t.Errorf("%s: to bare %v, to file %v", r.Name, r.RatioToBare, r.RatioToFile)
	}
	if (r.TargetMet != nil) != (r.Target != nil || r.RatioTarget != nil) {
		t.Errorf("%s: target %v, ratio %v, met %v", r.Name, r.Target, r.RatioTarget, r.TargetMet)
	}
}

func TestQueueRefusesAnUnknownBackend(t *testing.T) {
	t.Parallel()
	if _, err := Queue(QueueOptions{Backend: "paper", Rounds: 1, Quick: true}); err == nil {
		t.Error("no error")
	}
}

// TestRatiosAreOfRounds: what ran side by side is compared, not what is as
// fast.
func TestRatiosAreOfRounds(t *testing.T) {
	t.Parallel()
	ours, bare := []float64{30, 10, 20}, []float64{10, 20, 10}
	r := beside(result("x", "items/s", ours), ours, bare)
	if *r.RatioToBare != 2 || *r.BareMedian != 10 || r.Median != 20 || r.Min != 10 || r.Max != 30 {
		t.Errorf("ratio %v of 3, 0.5 and 2; bare %v; %+v", *r.RatioToBare, *r.BareMedian, r)
	}
}

func TestRoundEnds(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, test := range []struct {
		name  string
		took  [works]time.Duration
		moves bool
		want  bool
	}{
		{"each long enough", [works]time.Duration{10 * ms, 10 * ms, 0}, false, true},
		{"one too short", [works]time.Duration{20 * ms, 9 * ms, 0}, false, false},
		{"move too short", [works]time.Duration{10 * ms, 10 * ms, 9 * ms}, true, false},
		{"all of it long enough", [works]time.Duration{39 * ms, 1 * ms, 0}, false, true},
		{"nothing taken yet", [works]time.Duration{100 * ms, 0, 0}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := contest{moves: test.moves}
			if got := c.enough(&tally{took: test.took}, 10*ms); got != test.want {
				t.Errorf("enough: %v", got)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	low, high := 0.5, 0.9
	for _, test := range []struct {
		name string
		r    Result
		want bool
	}{
		{"above the least", Result{Median: 3}.wanted(2), true},
		{"below the least", Result{Median: 1}.wanted(2), false},
		{"below the most", Result{Median: 1}.atMost(2), true},
		{"above the most", Result{Median: 3}.atMost(2), false},
		{"ratio reached", Result{RatioToBare: &high, RatioTarget: &low}, true},
		{"ratio missed", Result{RatioToBare: &low, RatioTarget: &high}, false},
		{"no ratio", Result{RatioTarget: &high}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.r.judge()
			if test.r.TargetMet == nil || *test.r.TargetMet != test.want {
				t.Errorf("met: %v, want %v", test.r.TargetMet, test.want)
			}
		})
	}
	r := Result{Median: 1}
	if r.judge(); r.TargetMet != nil {
		t.Error("met without a target")
	}
}

// BenchmarkQueue runs one keeper alone, to be looked at with -cpuprofile; what
// counts is measured side by side by "dynotap bench queue".
func BenchmarkQueue(b *testing.B) {
	q := &queueBench{backend: SQLiteBackend, dir: b.TempDir()}
	for name, open := range map[string]func(contest) (keeper, error){"queue": q.openQueue, "bare": q.openBare} {
		for w := range works {
			b.Run(name+"/"+strings.Fields(workNames[w])[0], func(b *testing.B) {
				c := contest{payload: smallPayload, group: targetGroup}
				k, err := open(c)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for left := b.N; left > 0; left -= benchmarkRow {
					alone(b, k, w, min(left, benchmarkRow))
				}
				b.ReportMetric(float64(b.N*c.group)/b.Elapsed().Seconds(), "items/s")
				if err := k.close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}

// benchmarkRow groups are put before they are taken.
const benchmarkRow = 256

// alone puts and takes groups, and times only what is asked for.
func alone(b *testing.B, k keeper, w work, groups int) {
	b.Helper()
	taking := max(w, dequeue)
	if w != enqueue {
		b.StopTimer()
	}
	_, err := timed(groups, k.put)
	if w == enqueue {
		b.StopTimer()
	} else {
		b.StartTimer()
	}
	_, taken := timed(groups, func() error { return k.take(taking) })
	b.StopTimer()
	if err := errors.Join(err, taken, k.tidy()); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}
