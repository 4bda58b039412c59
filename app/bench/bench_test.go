package bench

import "testing"

// TestBenchmarksMeasure runs the loops once: what they time is right, and
// nothing is allocated. How fast they are is not a test's business. Not in
// parallel: allocations are counted for the whole process.
func TestBenchmarksMeasure(t *testing.T) {
	for name, measure := range map[string]func(int) (Report, error){"decode": Decode, "validate": Validate} {
		t.Run(name, func(t *testing.T) {
			report, err := measure(1)
			if err != nil {
				t.Fatal(err)
			}
			if report.Benchmark != name || report.Rounds != 1 || len(report.Results) < 2 {
				t.Errorf("report: %+v", report)
			}
			for _, r := range report.Results {
				if r.Median <= 0 || r.Min > r.Median || r.Max < r.Median {
					t.Errorf("%s: least %v, median %v, most %v", r.Name, r.Min, r.Median, r.Max)
				}
			}
			first := report.Results[0]
			if first.RatioToBare == nil || first.Target == nil {
				t.Errorf("no ratio or target: %+v", first)
			}
			if first.AllocsPerPacket == nil || *first.AllocsPerPacket != 0 {
				t.Errorf("allocations a packet: %v", first.AllocsPerPacket)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		sorted []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{1, 3}, 2}, {[]float64{1, 2, 9}, 2}} {
		if got := median(test.sorted); got != test.want {
			t.Errorf("median of %v is %v", test.sorted, got)
		}
	}
}
