package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"dynotap/queue"
	"dynotap/sample"
	"dynotap/validate"
)

// looks is how often the sum is looked at under load, at least.
const looks = 2000

// TestDecision7SumHoldsAtEveryLookUnderLoad looks at the ledger all the time
// while everything happens that can happen to a sample: it is rejected,
// dropped by policy, abandoned, tried again, stored, becomes a dead letter, is
// revived, forgotten, evicted or cleared away. At rest the ledger says what
// is really in the database.
func TestDecision7SumHoldsAtEveryLookUnderLoad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ memory, oldest bool }{
		"disk, the oldest is dropped":     {false, true},
		"disk, the newcomer is dropped":   {false, false},
		"memory, the oldest is dropped":   {true, true},
		"memory, the newcomer is dropped": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := openRig(t, dir, setup{
				memory: c.memory, store: smallSegments(), critical: []string{"rpm"}, process: moody,
				queue: func(s *queue.Settings) {
					s.MaxSize, s.BatchSize, s.DropOnFull, s.DropOldest = 12, 4, true, c.oldest
					s.MaxRetries, s.DeadLetterMax = 1, 4
				},
			})
			r.start()
			load(r, c.memory)
			if _, err := r.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			r.checkRest(c.memory)
			if t.Failed() || c.memory {
				return
			}
			before, _ := r.Ledger.Snapshot()
			r.close()
			r = openRig(t, dir, setup{})
			for source, was := range before {
				if a := r.account(source); a.Queued != was.Queued || a.Dead != was.Dead || a.Recovered != was.Queued+was.Dead {
					t.Errorf("%s before %+v, after %+v", source, was, a)
				}
			}
		})
	}
}

// moody fails now and then, in every way.
func moody(process queue.Processor) queue.Processor {
	return func(ctx context.Context, items []queue.Item) []queue.Result {
		if rand.IntN(50) == 0 {
			panic("a bad day")
		}
		results := process(ctx, items)
		for i := range results {
			switch rand.IntN(8) {
			case 0:
				results[i] = queue.Result{Kind: queue.Rejected, Reason: "no"}
			case 1, 2:
				results[i] = queue.Result{Kind: queue.Retry, Err: errors.New("later")}
			}
		}
		return results
	}
}

// load lets sources, a user and an onlooker loose on r until there were enough
// looks and everything has happened that can.
func load(r *rig, memory bool) {
	var all sync.WaitGroup
	seen := make(chan struct{})
	for i := range 3 {
		source := fmt.Sprintf("cell %d", i)
		accept := r.Intake.Lane(source, validate.DefaultSettings())
		all.Go(func() { produce(r, newFeed(source, r.clock.Micros()), accept, seen) })
	}
	all.Go(func() { meddle(r, seen) })
	all.Go(func() {
		defer close(seen)
		tick := time.NewTicker(200 * time.Microsecond) // without a pause it would be the only one at work
		defer tick.Stop()
		begun := time.Now()
		var last map[string]Account
		for n := 0; ; n++ {
			sources, total := r.Ledger.Snapshot()
			if why := implausible(sources, last, total); why != "" {
				r.t.Error(why)
				return
			}
			last = sources
			if missing := unheardOf(total, memory); n >= looks && missing == "" {
				r.t.Logf("%d looks, at last %+v", n, total)
				return
			} else if time.Since(begun) > time.Minute {
				r.t.Errorf("in a minute no samples were %s: %+v", missing, total)
				return
			}
			<-tick.C
		}
	})
	all.Wait()
}

// unheardOf names something that has not happened yet.
func unheardOf(total Account, memory bool) string {
	for what, n := range map[string]int64{
		"processed": total.Processed, "failed": total.Failed, "discarded": total.Discarded,
		"dropped by a full queue": total.DroppedBy[queue.ReasonFull] + total.DroppedBy[queue.ReasonEvicted],
		"stopped":                 total.DroppedBy[reasonStopped],
		"evicted dead letters":    total.DroppedBy[queue.ReasonDeadFull],
	} {
		if n == 0 && (what != "stopped" || !memory) { // a queue in memory takes a batch at once
			return what
		}
	}
	return ""
}

// produce emits a bundle of batches every now and then, more than the queue
// holds; some samples are no numbers, and the source is often told to stop.
func produce(r *rig, f *feed, accept func(context.Context, *sample.Batch) error, done <-chan struct{}) {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		b := f.next(1+i%7, sample.Priority(1+i%4))
		if i%5 == 0 {
			b.Samples[i%len(b.Samples)].Value = math.NaN()
		}
		ctx := context.Background()
		if i%7 == 6 {
			ctx = stopped
		}
		if err := accept(ctx, b); err != nil && ctx != stopped {
			r.t.Error(err)
			return
		}
		if i%16 != 15 {
			continue
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// meddle is a user at the dead letters.
func meddle(r *rig, done <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx := context.Background()
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		letters, err := r.Queue.DeadLetters(ctx, queue.Filter{}, 0, 1)
		if err != nil {
			r.t.Error(err)
		}
		switch {
		case i%40 == 0:
			_, err = r.Queue.Clear(ctx)
		case i%30 == 0:
			_, err = r.Queue.ForgetAll(ctx, queue.Filter{Source: "cell 1"})
		case i%10 == 0:
			_, err = r.Queue.ReviveAll(ctx, queue.Filter{Reason: "no"})
		case len(letters) == 0:
		case i%2 == 0:
			err = r.Queue.Revive(ctx, letters[0].ID)
		default:
			err = r.Queue.Forget(ctx, letters[0].ID)
		}
		if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, queue.ErrFull) {
			r.t.Error(err)
		}
	}
}

// implausible says what is wrong with a snapshot after an earlier one.
func implausible(sources, before map[string]Account, total Account) string {
	var sum Account
	for name, a := range sources {
		was := before[name]
		switch {
		case a.Balance() != 0:
			return fmt.Sprintf("the sum of %s is off by %d: %+v", name, a.Balance(), a)
		case a.Queued < 0 || a.Dead < 0:
			return fmt.Sprintf("%s has less than nothing: %+v", name, a)
		case a.Received < was.Received || a.Processed < was.Processed || a.Failed < was.Failed || a.Dropped < was.Dropped || a.Discarded < was.Discarded:
			return fmt.Sprintf("%s runs backwards: %+v after %+v", name, a, was)
		}
		sum.add(a)
	}
	if total.Balance() != 0 || !sameAccount(sum, total) {
		return fmt.Sprintf("the total is %+v, the sources add up to %+v", total, sum)
	}
	return ""
}

// checkRest counts what is really there.
func (r *rig) checkRest(memory bool) {
	r.t.Helper()
	sources, total := r.Ledger.Snapshot()
	stored := r.number(`SELECT (SELECT coalesce(sum(samples), 0) FROM chunks) + (SELECT coalesce(sum(samples), 0) FROM segments)`)
	if stored != total.Processed {
		r.t.Errorf("%d samples are stored, %d were booked as processed", stored, total.Processed)
	}
	dead, err := r.Queue.DeadLetters(r.t.Context(), queue.Filter{}, 0, 1000)
	if err != nil {
		r.t.Error(err)
	}
	for name, a := range sources {
		n := int64(0)
		for i := range dead {
			if dead[i].Source == name {
				n += int64(dead[i].Samples)
			}
		}
		if n != a.Dead {
			r.t.Errorf("%s: %d samples are dead letters, %d were booked", name, n, a.Dead)
		}
		if memory {
			continue
		}
		if n := r.number(`SELECT coalesce(sum(samples), 0) FROM queue WHERE source = ?`, name); n != a.Queued {
			r.t.Errorf("%s: %d samples are in the queue, %d were booked", name, n, a.Queued)
		}
		if n := r.number(`SELECT coalesce(sum(samples), 0) FROM dead_letters WHERE source = ?`, name); n != a.Dead {
			r.t.Errorf("%s: %d samples are dead letters, %d were booked", name, n, a.Dead)
		}
	}
	var queued int64
	items, err := r.Queue.Peek(r.t.Context(), 1000)
	if err != nil {
		r.t.Error(err)
	}
	for i := range items {
		queued += int64(items[i].Samples)
	}
	if r.Queue.Stats().Delayed == 0 && queued != total.Queued {
		r.t.Errorf("%d samples are ready in the queue, %d were booked", queued, total.Queued)
	}
}
