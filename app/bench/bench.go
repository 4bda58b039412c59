// Package bench measures dynotap on the machine it runs on: decoding,
// validation, the queue and the whole way from the network to the disk, each
// beside a bare loop in the same run, so that the ratios hold on any machine.
package bench

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// Result is one measured figure: the median, least and most of several
// rounds.
type Result struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// Group is how many items share a call and a commit, PayloadBytes the size
	// of each; absent where there are no items.
	Group        int `json:"group,omitempty"`
	PayloadBytes int `json:"payload_bytes,omitempty"`
	// BareMedian and FileMedian are what the bare loop and the plain file
	// reached beside it, in Unit.
	BareMedian *float64 `json:"bare_median,omitempty"`
	FileMedian *float64 `json:"file_median,omitempty"`
	// RatioToBare is the median of the rounds' ratios to the bare loop that
	// ran beside them; absent for the bare loop itself.
	RatioToBare *float64 `json:"ratio_to_bare,omitempty"`
	// RatioToFile is the same to the plain file.
	RatioToFile *float64 `json:"ratio_to_file,omitempty"`
	// AllocsPerPacket is absent where it was not measured.
	AllocsPerPacket *float64 `json:"allocs_per_packet,omitempty"`
	// Target is what docs/performance.md asks for; absent for bare loops.
	Target *float64 `json:"target,omitempty"`
	// TargetIsMost: Target is the most that is allowed, not the least.
	TargetIsMost bool `json:"target_is_most,omitempty"`
	// RatioTarget is the least RatioToBare that is asked for.
	RatioTarget *float64 `json:"ratio_target,omitempty"`
	// TargetMet is absent where there is no target, or it was not judged.
	TargetMet *bool `json:"target_met,omitempty"`
	// Note says what the machine did not allow.
	Note string `json:"note,omitempty"`
}

// Report is what one benchmark prints.
type Report struct {
	Benchmark string `json:"benchmark"`
	Go        string `json:"go"`
	System    string `json:"system"`
	Cores     int    `json:"cores"`
	Rounds    int    `json:"rounds"`
	// Backend, Directory and FileSystem say where the items of the queue were
	// kept; absent elsewhere.
	Backend    string `json:"backend,omitempty"`
	Directory  string `json:"directory,omitempty"`
	FileSystem string `json:"file_system,omitempty"`
	// Note says what makes the figures doubtful.
	Note    string   `json:"note,omitempty"`
	Results []Result `json:"results"`
}

func newReport(name string, rounds int) Report {
	return Report{
		Benchmark: name, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.NumCPU(), Rounds: rounds,
	}
}

// roundTime is how long one round of a loop lasts.
const roundTime = 300 * time.Millisecond

// rate runs work, which does n units a call, for about a round and gives units
// per second.
func rate(n int, work func()) float64 {
	work() // warm
	calls := 0
	start := time.Now()
	for {
		for range 64 {
			work()
		}
		calls += 64
		if took := time.Since(start); took >= roundTime {
			return float64(n*calls) / took.Seconds()
		}
	}
}

// paired measures two loops in turn, round by round, so that a machine whose
// speed drifts drifts for both.
func paired(rounds int, ours, bare func() float64) (our, base, ratios []float64) {
	for range rounds {
		o, b := ours(), bare()
		our, base = append(our, o), append(base, b)
		ratios = append(ratios, o/b)
	}
	return our, base, ratios
}

func result(name, unit string, rounds []float64) Result {
	sorted := slices.Sorted(slices.Values(rounds))
	return Result{Name: name, Unit: unit, Median: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1]}
}

func (r Result) against(ratios []float64) Result {
	r.RatioToBare = medianOf(ratios)
	return r
}

func (r Result) wanted(target float64) Result {
	r.Target = &target
	return r
}

func (r Result) atMost(target float64) Result {
	r.TargetIsMost = true
	return r.wanted(target)
}

// judge says whether what was asked for was reached.
func (r *Result) judge() {
	if r.Target == nil && r.RatioTarget == nil {
		return
	}
	met := true
	if r.Target != nil {
		met = r.Median >= *r.Target
		if r.TargetIsMost {
			met = r.Median <= *r.Target
		}
	}
	if r.RatioTarget != nil {
		met = met && r.RatioToBare != nil && *r.RatioToBare >= *r.RatioTarget
	}
	r.TargetMet = &met
}

func (r Result) allocating(work func()) Result {
	n := testing.AllocsPerRun(100, work)
	r.AllocsPerPacket = &n
	return r
}

func medianOf(values []float64) *float64 {
	m := median(slices.Sorted(slices.Values(values)))
	return &m
}

// median of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
