package jetdrive

import (
	"testing"

	"pgregory.net/rapid"

	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

// session is the session time at which the tests begin, µs.
const session = int64(1_700_000_000_000_000)

func stamped(stamps ...uint32) []klhdv.Value {
	values := make([]klhdv.Value, len(stamps))
	for i, s := range stamps {
		values[i] = klhdv.Value{Channel: uint16(i), Stamp: s}
	}
	return values
}

// A provider with a steady clock keeps the differences of its timestamps to
// the microsecond, whatever its offset, across the wrap, from the first packet
// on and through the change from arrival to synchronised.
func TestClockKeepsDifferencesExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c hostClock
		start := rapid.Uint32().Draw(t, "clock offset")
		jitter := rapid.SliceOfN(rapid.Int64Range(0, 9_000), 200, 200).Draw(t, "delays")
		tripEvery := rapid.SampledFrom([]int{0, 7, 50}).Draw(t, "ping every")
		var first int64
		for i, delay := range jitter {
			stamp := start + uint32(i)*100
			sent := session + int64(i)*100_000
			at := c.observe(stamped(stamp, stamp), sent+delay, inOrder).at(stamp)
			if i == 0 {
				first = at
			}
			if want := first + int64(i)*100_000; at != want {
				t.Fatalf("packet %d: time %d, want %d (off by %d)", i, at, want, at-want)
			}
			if late := at - (sent + delay); late < -9_000 || late > 9_000 {
				t.Fatalf("packet %d: %d µs after its arrival", i, late)
			}
			if tripEvery > 0 && i%tripEvery == 3 {
				c.answered(trip{sent: sent + 1000, back: sent + 1000 + 2*delay, remote: stamp + uint32(1+delay/1000)})
			}
		}
	})
}

func TestClockNeverStepsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c hostClock
		stamp, arrival := rapid.Uint32().Draw(t, "first"), session
		last, lastArrival := int64(0), int64(0)
		n := rapid.IntRange(1, 80).Draw(t, "packets")
		for i := range n {
			stamp += rapid.OneOf(rapid.Uint32Range(0, 200), rapid.Uint32Range(0, 20_000), rapid.Uint32()).Draw(t, "step")
			arrival += rapid.OneOf(rapid.Int64Range(0, 300_000), rapid.Int64Range(0, 90_000_000)).Draw(t, "wait")
			if rapid.Bool().Draw(t, "pong") {
				c.answered(trip{sent: arrival - rapid.Int64Range(0, 100_000).Draw(t, "trip"), back: arrival, remote: stamp})
			}
			if rapid.IntRange(0, 9).Draw(t, "clear") == 0 {
				c.doubt()
			}
			before := c.newest
			at := c.observe(stamped(stamp), arrival, inOrder).at(stamp)
			forward := int32(stamp-before) >= 0 || c.newest == stamp
			if i > 0 && forward && at < last {
				t.Fatalf("packet %d: time %d after %d (arrivals %d, %d)", i, at, last, lastArrival, arrival)
			}
			last, lastArrival = max(last, at), arrival
		}
	})
}

// feed sends one packet every 50 ms for the given seconds, each delayed by
// what delay says, and gives the greatest distance of a time from the true
// moment of sending in the last second.
func feed(c *hostClock, startStamp uint32, sent, seconds int64, delay func(i int64) int64) (worst int64) {
	for i := range seconds * 20 {
		stamp := startStamp + uint32(i)*50
		at := c.observe(stamped(stamp), sent+i*50_000+delay(i), inOrder).at(stamp)
		if i >= (seconds-1)*20 {
			worst = max(worst, at-(sent+i*50_000), (sent+i*50_000)-at)
		}
	}
	return worst
}

func TestClockSlewsALargeErrorAway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		firstDelay  int64
		seconds     int64
		wantAtMost  int64 // µs at the end
		wantAtLeast int64
	}{
		{"9 ms stay", 9_000, 30, 9_000, 9_000},
		{"30 ms are gone after 6 s", 30_000, 8, 1_000, 0},
		{"400 ms are gone after 26 s", 400_000, 30, 1_000, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var c hostClock
			worst := feed(&c, 77, session, test.seconds, func(i int64) int64 {
				if i == 0 {
					return test.firstDelay
				}
				return 0
			})
			if worst > test.wantAtMost || worst < test.wantAtLeast {
				t.Errorf("off by %d µs, want %d to %d", worst, test.wantAtLeast, test.wantAtMost)
			}
			if c.epochs != 1 {
				t.Errorf("%d epochs, want 1", c.epochs)
			}
		})
	}
}

func TestClockFollowsACrystal(t *testing.T) {
	t.Parallel()
	for _, ppm := range []int64{-200, 200} {
		var c hostClock
		// A clock that is off by 200 ppm is 120 ms off after ten minutes.
		worst := feed(&c, 0, session, 600, func(i int64) int64 { return 500_000 + i*50*ppm/1000 })
		offset := int64(500_000) + 600*20*50*ppm/1000
		if off := worst - offset; off < -25_000 || off > 25_000 {
			t.Errorf("%d ppm: %d µs from the arrival", ppm, off)
		}
		if c.epochs != 1 {
			t.Errorf("%d ppm: %d epochs", ppm, c.epochs)
		}
	}
}

func TestClockBeginsAnewWhenTheProviderDoes(t *testing.T) {
	t.Parallel()
	none := func(int64) int64 { return 0 }
	tests := []struct {
		name         string
		first, again uint32 // timestamps of the two lives, 20 s and 100 s into the test
		clear        bool
	}{
		{"back to 0", 1_000_000, 0, false},
		{"back across half the range", 3_000_000_000, 0, false},
		{"ahead", 1000, 2_000_000, false},
		{"less far than expected, after a clear", 1000, 30_000, true},
		{"less far than expected, unannounced", 1000, 30_000, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var c hostClock
			feed(&c, test.first, session, 20, none)
			seconds := int64(20)
			if test.clear {
				seconds = 1 // it is known at once
				c.doubt()
			}
			if worst := feed(&c, test.again, session+100_000_000, seconds, none); worst > 1000 {
				t.Errorf("off by %d µs after the restart", worst)
			}
			if c.epochs != 2 {
				t.Errorf("%d epochs, want 2", c.epochs)
			}
		})
	}
}

// A process that did not run for three seconds finds what waited in the
// socket; that is no restart, and the differences stay exact.
func TestClockSurvivesAStall(t *testing.T) {
	t.Parallel()
	var c hostClock
	worst := feed(&c, 5, session, 20, func(i int64) int64 {
		if i >= 100 && i < 160 {
			return (160 - i) * 50_000
		}
		return 0
	})
	if worst != 0 || c.epochs != 1 {
		t.Errorf("off by %d µs, %d epochs", worst, c.epochs)
	}
}

func TestClockTakesNoOrdersFromOneBadTimestamp(t *testing.T) {
	t.Parallel()
	var c hostClock
	for i := range uint32(100) {
		stamp := 3_000_000_000 + i*50
		// Channel 1 was never updated: its timestamp stays 0.
		m := c.observe(stamped(stamp, 0), session+int64(i)*50_000, inOrder)
		if want := session + int64(i)*50_000; m.at(stamp) != want {
			t.Fatalf("packet %d: time %d, want %d", i, m.at(stamp), want)
		}
	}
	if c.epochs != 1 {
		t.Errorf("%d epochs, want 1", c.epochs)
	}
}

func TestClockLatePacketsTeachNothing(t *testing.T) {
	t.Parallel()
	var c hostClock
	c.observe(stamped(1000), session, inOrder)
	if at := c.observe(stamped(950), session+2_000, late).at(950); at != session-50_000 {
		t.Errorf("late packet at %d, want %d", at, session-50_000)
	}
	c.observe(stamped(3000), session+2_000_000, inOrder)
	c.observe(stamped(1050), session+2_001_000, late)
	if at := c.observe(stamped(3050), session+2_050_000, inOrder).at(3050); at != session+2_050_000 || c.epochs != 1 {
		t.Errorf("next packet at %d, want %d; %d epochs", at, session+2_050_000, c.epochs)
	}
}

func TestClockQuality(t *testing.T) {
	t.Parallel()
	var c hostClock
	if got := c.quality(session); got != sample.ClockArrival {
		t.Errorf("before any packet: %v", got)
	}
	feed(&c, 0, session, 1, func(int64) int64 { return 0 })
	if got := c.quality(session + 950_000); got != sample.ClockArrival {
		t.Errorf("in the first second: %v", got)
	}
	if got := c.quality(session + 1_000_000); got != sample.ClockPassive {
		t.Errorf("after a second: %v", got)
	}
	c.answered(trip{sent: session + 1_000_000, back: session + 1_002_000, remote: 1001})
	if got := c.quality(session + 1_010_000); got != sample.ClockSynced {
		t.Errorf("after a pong: %v", got)
	}
	if got := c.quality(session + 62_000_001); got != sample.ClockPassive {
		t.Errorf("a minute after the last pong: %v", got)
	}
}

func TestClockSyncUsesTheQuickestTrip(t *testing.T) {
	t.Parallel()
	var c hostClock
	// The values come 300 ms late, which only a ping can tell.
	c.answered(trip{sent: session, back: session + 80_000, remote: 500})
	c.answered(trip{sent: session + 100_000, back: session + 102_000, remote: 601})
	c.answered(trip{sent: session + 200_000, back: session + 290_000, remote: 800})
	at := c.observe(stamped(1000), session+800_000, inOrder).at(1000)
	if want := session + 500_000; at != want {
		t.Errorf("time %d µs from the quickest trip's, want 0", at-want)
	}
	best, ok := c.trips.best(session + 800_000)
	if !ok || best.roundTrip() != 2_000 {
		t.Errorf("best trip %+v", best)
	}
	// A pong of a clock that is not the values' is left out.
	c.answered(trip{sent: session + 900_000, back: session + 900_100, remote: 4_000_000})
	if best, _ := c.trips.best(session + 900_100); best.remote != 601 {
		t.Errorf("a foreign clock became the best trip: %+v", best)
	}
}

func TestSlidingMinForgetsAfterAMinute(t *testing.T) {
	t.Parallel()
	var m slidingMin
	m.reset()
	m.add(session, 5)
	m.add(session+10_000_000, 9)
	if got, ok := m.min(session + 50_000_000); !ok || got != 5 {
		t.Errorf("min %d %v, want 5", got, ok)
	}
	if got, ok := m.min(session + 64_000_000); !ok || got != 9 {
		t.Errorf("min %d %v, want 9", got, ok)
	}
	if _, ok := m.min(session + 90_000_000); ok {
		t.Error("a minimum after all readings are too old")
	}
}
