package bench

import (
	"os"
	"slices"
	"testing"
)

// TestQueueIsMeasured tries everything once, with sizes that tell nothing
// about speed. Not in parallel: allocations are counted for the whole process.
func TestQueueIsMeasured(t *testing.T) {
	for backend, want := range map[string][]string{
		MemoryBackend: {"enqueue", "dequeue", "enqueue, mixed priorities"},
		SQLiteBackend: {"enqueue", "dequeue", "move to chunk", "enqueue, mixed priorities", "to one producer", "p99 of an enqueue at 10,000 items/s offered"},
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
	if onDisk := backend == SQLiteBackend; r.RatioToBare != nil && (r.RatioToFile != nil) != onDisk {
		t.Errorf("%s: beside a plain file: %v", r.Name, r.RatioToFile != nil)
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
