package sqlite_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
)

// setClock is a clock whose wall time somebody sets. Its monotonic time goes
// on, as the system's does, at the pace of a bubble.
type setClock struct {
	real  time.Time // has a monotonic reading, which a bubble's times have not
	began time.Time // the bubble's time then
	ahead atomic.Int64
}

const year = 365 * 24 * 3600 // seconds

// newClock gives a clock that is right at first, to be made outside of the
// bubble that enters it.
func newClock() *setClock { return &setClock{real: time.Now()} }

func (c *setClock) enter() *setClock {
	c.began = time.Now()
	return c
}

// set puts the wall clock so many seconds ahead of the right time.
func (c *setClock) set(ahead int64) { c.ahead.Store(ahead) }

func (c *setClock) now() time.Time {
	t := c.real.Add(time.Since(c.began))
	// The seconds of the wall clock are bits 30 to 62 of the first word of a
	// time that has a monotonic reading (see type Time in package time).
	*(*uint64)(unsafe.Pointer(&t)) += uint64(c.ahead.Load()) << 30
	return t
}

func TestSetClock(t *testing.T) {
	t.Parallel()
	clock := newClock()
	synctest.Test(t, func(t *testing.T) {
		c := clock.enter()
		before := c.now()
		for i, years := range []int64{30, -30} {
			c.set(years * year)
			time.Sleep(time.Second)
			after := c.now()
			passed := int64(i + 1)
			if d := after.Unix() - before.Unix(); d != years*year+passed {
				t.Errorf("the wall clock was set by %d s", d)
			}
			if d := after.Sub(before); d != time.Duration(passed)*time.Second {
				t.Errorf("%v passed", d)
			}
		}
	})
}

// desk is a queue whose clock is set.
type desk struct {
	t     *testing.T
	dir   string
	clock *setClock
	log   strings.Builder
	db    *db.DB
	queue *queue.Queue
}

func (d *desk) open(s queue.Settings) {
	d.t.Helper()
	var err error
	if d.db, err = db.Open(d.t.Context(), d.dir, db.Options{}); err != nil {
		d.t.Fatal(err)
	}
	d.queue, err = queue.New(sqlite.New(d.db), s, queue.Options{Now: d.clock.now, Logger: slog.New(slog.NewTextHandler(&d.log, nil))})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) close() {
	d.t.Helper()
	if err := d.db.Close(); err != nil {
		d.t.Error(err)
	}
}

func (d *desk) put(names ...string) {
	d.t.Helper()
	if _, err := d.queue.EnqueueAll(d.t.Context(), named(names...)); err != nil {
		d.t.Fatal(err)
	}
}

// take leases what is ready now.
func (d *desk) take(want string) []queue.Item {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	cancel()
	items, err := d.queue.Dequeue(ctx, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	var got []string
	for i := range items {
		got = append(got, string(items[i].Payload))
	}
	if text := strings.Join(got, " "); text != want {
		d.t.Errorf("took %q, want %q", text, want)
	}
	return items
}

func (d *desk) settle(items []queue.Item, kind queue.Kind) {
	d.t.Helper()
	results := make([]queue.Result, len(items))
	for i := range results {
		results[i] = queue.Result{Kind: kind, Reason: "no"}
	}
	if err := d.queue.Settle(d.t.Context(), items, results); err != nil {
		d.t.Error(err)
	}
}

func (d *desk) letters() string {
	d.t.Helper()
	letters, err := d.queue.DeadLetters(d.t.Context(), queue.Filter{}, 0, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	var got []string
	for i := range letters {
		got = append(got, string(letters[i].Payload))
	}
	return strings.Join(got, " ")
}

// sane checks what statistics never are, whatever the clock says.
func (d *desk) sane(longest time.Duration) {
	d.t.Helper()
	st := d.queue.Stats()
	for name, v := range map[string]float64{
		"oldest age": st.OldestAge, "rate": st.Rate, "mean latency": st.Latency.Mean, "mean processing": st.Processing.Mean,
	} {
		if v < 0 {
			d.t.Errorf("%s is %v", name, v)
		}
	}
	if st.Latency.Max > longest.Seconds() || st.Processing.Max > longest.Seconds() || st.Latency.Mean > longest.Seconds() || st.Rate > 100 {
		d.t.Errorf("statistics after at most %v: %+v", longest, st)
	}
}

// TestQ13ClockIsSet: the wall clock jumps by decades while items wait, are
// leased, wait for another attempt and die. Nothing but dates follows it.
func TestQ13ClockIsSet(t *testing.T) {
	t.Parallel()
	for _, years := range []int64{30, -30} {
		t.Run(fmt.Sprint(years), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			clock := newClock()
			synctest.Test(t, func(t *testing.T) {
				d := &desk{t: t, dir: dir, clock: clock.enter()}
				s := queue.Defaults()
				s.MaxRetries, s.RetryInitial, s.RetryMax, s.LeaseTimeout = 2, 10*time.Second, 10*time.Second, time.Minute
				d.open(s)
				d.put("a", "b", "c")
				d.clock.set(years * year)
				d.put("d", "e")
				d.sane(0)
				leased := d.take("a b c d e")
				d.settle(leased[:2], queue.Retry)
				d.clock.set(0)
				d.put("f")
				d.take("f")
				d.clock.set(years * year)
				time.Sleep(9 * time.Second)
				d.take("") // a and b wait for another second, the leases last
				d.settle(leased[2:3], queue.Done)
				time.Sleep(time.Second)
				retried := d.take("a b")
				d.sane(10 * time.Second)
				if st := d.queue.Stats(); st.Rate == 0 || st.Latency.Count != 1 || st.Latency.Max != 9 {
					t.Errorf("statistics %+v", st)
				}
				time.Sleep(50 * time.Second)
				d.clock.set(0)
				d.settle(retried, queue.Done)
				d.settle(d.take("d e f"), queue.Done) // a minute has passed since they were leased
				d.sane(time.Minute)
				if st := d.queue.Stats(); st.TotalProcessed != 6 || st.Leased != 0 {
					t.Errorf("statistics %+v", st)
				}
				d.close()
			})
		})
	}
}

// TestQ13RestartWithAnEarlierClock: order is by sequence, what died is listed
// by its date, and no age is negative.
func TestQ13RestartWithAnEarlierClock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := newClock()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, dir: dir, clock: clock.enter()}
		d.open(queue.Defaults())
		d.put("a", "b", "c", "d", "e", "f")
		items := d.take("a b c d e f")
		d.settle(items[1:2], queue.Rejected)
		d.settle(items[0:1], queue.Rejected)
		d.close()
		d.clock.set(-30 * year)
		d.open(queue.Defaults())
		d.put("g")
		if st := d.queue.Stats(); st.OldestAge != 0 || st.CurrentSize != 5 {
			t.Errorf("statistics %+v", st)
		}
		items = d.take("c d e f g")
		time.Sleep(time.Second)
		d.settle(items[:1], queue.Rejected)
		d.settle(items[1:], queue.Done)
		d.sane(time.Second)
		for range 2 {
			if got := d.letters(); got != "c a b" { // a and b died in the same moment, in the future
				t.Errorf("dead letters %q", got)
			}
			d.close()
			d.clock.set(0)
			d.open(queue.Defaults())
		}
		d.close()
	})
}

// TestQ13ClockSetForwardEvictsVisibly: dead letters with a bound on their age
// follow the wall clock. When it is set far ahead, the next look at their age
// evicts them, and says so.
func TestQ13ClockSetForwardEvictsVisibly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := newClock()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, dir: dir, clock: clock.enter()}
		s := queue.Defaults()
		s.DeadLetterAge = 24 * time.Hour
		d.open(s)
		d.put("a", "b", "c", "d")
		items := d.take("a b c d")
		d.settle(items[:2], queue.Rejected)
		d.clock.set(-year)
		time.Sleep(3 * time.Hour)
		d.settle(items[2:3], queue.Rejected)
		if got := d.letters(); got != "c a b" || d.queue.Stats().TotalDropped != 0 {
			t.Errorf("after the clock was set back: dead letters %q", got)
		}
		d.clock.set(year)
		time.Sleep(3 * time.Hour)
		d.settle(items[3:], queue.Rejected)
		st := d.queue.Stats()
		if got := d.letters(); got != "d" || st.DeadLetters != 1 {
			t.Errorf("after the clock was set forward: dead letters %q, statistics %+v", got, st)
		}
		if len(st.Dropped) != 1 || st.Dropped[0].Reason != queue.ReasonDeadFull || st.Dropped[0].Items != 3 || st.Dropped[0].Samples != 9 {
			t.Errorf("dropped %+v", st.Dropped)
		}
		if !strings.Contains(d.log.String(), "dead letters evicted") {
			t.Errorf("logged %q", d.log.String())
		}
		d.close()
	})
}

// TestQ10ReviveAllAfterTheClockWasSetBack: what died "in the future" is
// revived too.
func TestQ10ReviveAllAfterTheClockWasSetBack(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, dir: dir, clock: clock.enter()}
		d.open(queue.Defaults())
		d.put("a", "b")
		d.settle(d.take("a b"), queue.Rejected)
		d.clock.set(-3600)
		if n, err := d.queue.ReviveAll(t.Context(), queue.Filter{}); err != nil || n != 2 {
			t.Errorf("revived %d of 2, %v", n, err)
		}
		d.close()
	})
}

// TestQ11LatencyLeavesOutWhatWasFoundAtStart: how long the program did not run
// is no latency, least of all after the clock was set.
func TestQ11LatencyLeavesOutWhatWasFoundAtStart(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, dir: dir, clock: clock.enter()}
		d.open(queue.Defaults())
		names := make([]string, 12)
		want := ""
		for i := range names {
			names[i] = string(rune('a' + i))
			want += names[i] + " "
		}
		d.put(names...)
		d.close()
		d.clock.set(30 * year)
		d.open(queue.Defaults())
		d.settle(d.take(want[:len(want)-1]), queue.Done)
		if st := d.queue.Stats(); st.Latency.Count != 0 || st.TotalProcessed != 12 {
			t.Errorf("stats %+v", st)
		}
		d.close()
	})
}

// TestQ11OldestAgeKnowsNoWallClock: the age of an item of this run is measured.
func TestQ11OldestAgeKnowsNoWallClock(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, dir: dir, clock: clock.enter()}
		d.open(queue.Defaults())
		d.put("a")
		time.Sleep(time.Second)
		for _, ahead := range []int64{0, year, -year} {
			d.clock.set(ahead)
			if st := d.queue.Stats(); st.OldestAge < 0.99 || st.OldestAge > 1.01 {
				t.Errorf("set by %d s: oldest age %v", ahead, st.OldestAge)
			}
		}
		d.close()
	})
}
