package innovate

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// usb is an adapter's latency: what comes is handed on at the next tick of the
// timer, and the system adds up to a millisecond, now and then forty.
func usb(sent float64, r *rand.Rand) int64 {
	const timer = 16_000
	at := math.Ceil(sent/timer)*timer + r.Float64()*1000
	if r.IntN(50) == 0 {
		at += 40_000
	}
	return int64(at)
}

func TestPhaseTakesJitterOut(t *testing.T) {
	t.Parallel()
	for name, drift := range map[string]float64{
		"exact": 0, "fast quartz": -1e-4, "slow quartz": 1e-4, "slow resonator": 5e-3, "fast resonator": -5e-3,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, 4))
			var p phase
			var into []int64
			period := packetPeriod * (1 + drift)
			before, arrivedBefore := int64(0), int64(0)
			worst, raw, low, high := 0.0, 0.0, math.Inf(1), math.Inf(-1)
			for i := range 2000 {
				sent := 1e15 + float64(i)*period
				arrived := max(usb(sent, r), arrivedBefore)
				into = p.stamp(into, arrived, 1)
				if into[0] <= before || into[0] > arrived {
					t.Fatalf("packet %d: time %d after %d, arrived %d", i, into[0], before, arrived)
				}
				if i > window && p.settled() {
					worst = max(worst, math.Abs(float64(into[0]-before)-period))
					raw = max(raw, math.Abs(float64(arrived-arrivedBefore)-period))
					low, high = min(low, float64(into[0])-sent), max(high, float64(into[0])-sent)
				}
				before, arrivedBefore = into[0], arrived
			}
			if worst > 1000 || high-low > 2500 || low < -1500 {
				t.Errorf("intervals off by up to %.0f µs (arrivals: %.0f), offset %.0f to %.0f µs", worst, raw, low, high)
			}
			t.Logf("intervals off by up to %.0f µs (arrivals: %.0f), offset %.0f to %.0f µs", worst, raw, low, high)
		})
	}
}

func TestPhaseFindsItsPlaceAfterLostPackets(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	var p phase
	var into []int64
	before, run := int64(0), 0
	for i := range 3000 {
		if i > window && r.IntN(3) == 0 && run < longestGap-2 {
			run++
			continue // lost, in runs too
		}
		run = 0
		sent := 1e15 + float64(i)*packetPeriod
		into = p.stamp(into, int64(sent+r.Float64()*15_000), 1)
		if off := float64(into[0]) - sent; i > window && (off < -1500 || off > 4000) {
			t.Fatalf("packet %d is put %.0f µs after it was sent", i, off)
		}
		if into[0] <= before {
			t.Fatal("not in order")
		}
		before = into[0]
	}
}

func TestPhaseSpreadsWhatWasHeldUp(t *testing.T) {
	t.Parallel()
	var p phase
	for i := range 100 {
		p.stamp(nil, 1e15+int64(float64(i)*packetPeriod), 1)
	}
	// The machine stood still for ten periods: ten packets at once.
	got := p.stamp(nil, 1e15+int64(109.3*packetPeriod), 10)
	for i, at := range got {
		if off := float64(at) - (1e15 + float64(100+i)*packetPeriod); math.Abs(off) > 100 {
			t.Errorf("packet %d of the burst is put %.0f µs off", i, off)
		}
	}
	// The very first ones may be held up as well.
	var q phase
	first := q.stamp(nil, 1e15, 3)
	if first[2] != 1e15 || first[1]-first[0] != 81_920 || first[2]-first[1] != 81_920 {
		t.Errorf("%v", first)
	}
}

func TestPhaseLocksAnewAfterAGap(t *testing.T) {
	t.Parallel()
	const begin = int64(1e15)
	run := func(p *phase, from float64, n int) (last int64) {
		for i := range n {
			last = p.stamp(nil, begin+int64(from+float64(i)*packetPeriod), 1)[0]
		}
		return last
	}
	for name, gap := range map[string]float64{"long": 1e6 + 30_000, "short, later": packetPeriod + 37_000, "short, sooner": 37_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p phase
			end := run(&p, 0, 200)
			from := float64(end-begin) + gap
			n := 1 // of a long gap the first packet is right already
			if name != "long" {
				n = restartAfter + 1
			}
			if last, sent := run(&p, from, n), begin+int64(from+float64(n-1)*packetPeriod); sent-last > 200 || last > sent {
				t.Errorf("put %d µs before it came", sent-last)
			}
		})
	}
}

// Whatever the arrivals, times rise and are never ahead.
func TestPhaseIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p phase
		var into []int64
		arrived, before := int64(1e15), int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "chunks") {
			packets := rapid.IntRange(1, 12).Draw(t, "packets")
			arrived += rapid.OneOf(rapid.Int64Range(20, 200_000), rapid.Int64Range(20, 3_000_000)).Draw(t, "after")
			into = p.stamp(into, arrived, packets)
			for _, at := range into {
				if at <= before || at > arrived {
					t.Fatalf("%d after %d, arrived %d", at, before, arrived)
				}
				before = at
			}
		}
	})
}
