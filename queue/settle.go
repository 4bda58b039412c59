package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dynotap/internal/db"
)

var errNoApply = errors.New("the queue's driver cannot commit effects and Options.Apply is not set")

// Settle ends leases that Dequeue gave, an answer for each item. When it
// returns nil, what is done is gone for good. When it fails because of the
// driver nothing has changed: the leases go on, settle again. Items whose
// lease has ended are left alone and reported as ErrNotLeased, the others
// settled.
func (q *Queue) Settle(ctx context.Context, items []Item, results []Result) error {
	if len(items) != len(results) {
		return fmt.Errorf("settle: %d results for %d items", len(results), len(items))
	}
	w := q.newWork()
	defer q.endWork(w)
	var lost []error
	q.mu.Lock()
	for i := range items {
		e := q.leased[items[i].ID]
		if e == nil || e.item.lease != items[i].lease || e.settling {
			lost = append(lost, fmt.Errorf("%w: %s", ErrNotLeased, items[i].ID))
			continue
		}
		e.settling = true // ours alone
		w.entries, w.results = append(w.entries, e), append(w.results, results[i])
	}
	q.mu.Unlock()
	if err := q.settle(ctx, w.entries, w.results); err != nil {
		q.mu.Lock()
		for _, e := range w.entries {
			e.settling = false
			if !e.expires.IsZero() {
				q.endLeaseBy(e.expires)
			}
		}
		q.mu.Unlock()
		return err
	}
	return errors.Join(lost...)
}

// settle makes the results durable, or changes nothing and fails. An effect
// that failed is a retry. Effects that Options.Apply committed are taken out of
// results, so that a repetition does not commit them again.
func (q *Queue) settle(ctx context.Context, entries []*entry, results []Result) error {
	if len(entries) == 0 {
		return nil
	}
	if q.effects == nil {
		if err := q.applyEffects(ctx, results); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	w := q.newWork()
	defer q.endWork(w)
	now := q.now()
	buries := false
	for i, e := range entries {
		c := q.change(e, &results[i], now)
		w.changes = append(w.changes, c)
		buries = buries || c.Op == Bury
	}
	defer q.loadAhead(ctx)()
	over, err := q.carryOut(ctx, entries, w.changes, buries, now)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if q.effects != nil {
		q.tryAgain(ctx, entries, w.changes)
	}
	if over {
		q.trim(ctx)
	}
	return nil
}

// loadAhead fetches, while the disk is busy with a settlement, what would have
// to be waited for next. The function that it gives waits for it. A failure is
// left to those who need the items.
func (q *Queue) loadAhead(ctx context.Context) (wait func()) {
	q.mu.Lock()
	class, low := q.runsLow()
	q.mu.Unlock()
	if !low {
		return func() {}
	}
	var ahead sync.WaitGroup
	ahead.Go(func() { _ = q.load(ctx, class, q.fetchLimit()) })
	return ahead.Wait
}

// carryOut makes changes durable and then visible. A new dead letter is not
// revived or deleted before it has been told of.
func (q *Queue) carryOut(ctx context.Context, entries []*entry, changes []Change, buries bool, now time.Time) (over bool, err error) {
	if buries {
		q.burials.Lock()
		defer q.burials.Unlock()
	}
	if q.effects != nil {
		err = q.effects.ApplyEffects(ctx, changes)
	} else {
		err = q.driver.Apply(ctx, changes)
	}
	if err != nil {
		return false, err
	}
	return q.finish(entries, changes, now), nil
}

// tryAgain counts a failed attempt of each item whose effect failed. Where
// even that fails, the item is ready again as if it had not been leased.
func (q *Queue) tryAgain(ctx context.Context, entries []*entry, changes []Change) {
	var failed []*entry
	var results []Result
	for i, e := range entries {
		if err := changes[i].Err; err != nil {
			failed, results = append(failed, e), append(results, Result{Kind: Retry, Err: err})
		}
	}
	if err := q.settle(ctx, failed, results); err != nil {
		q.logger.Error("count failed attempts", "items", len(failed), "error", err)
		q.mu.Lock()
		q.putBack(failed)
		q.mu.Unlock()
	}
}

// applyEffects has the effects committed elsewhere. The results are changed:
// an effect that was committed is not there any more.
func (q *Queue) applyEffects(ctx context.Context, results []Result) error {
	var effects []db.Effect
	var of []int
	for i := range results {
		if results[i].Kind == Done && results[i].Effect != nil {
			effects, of = append(effects, results[i].Effect), append(of, i)
		}
	}
	if len(effects) == 0 {
		return nil
	}
	errs := slices.Repeat([]error{errNoApply}, len(effects))
	if q.options.Apply != nil {
		errs = q.options.Apply(ctx, effects)
	}
	if len(errs) != len(effects) {
		return fmt.Errorf("apply effects: %d outcomes for %d effects", len(errs), len(effects))
	}
	var disk error
	for i, err := range errs {
		switch {
		case err == nil:
			results[of[i]].Effect = nil
		case db.Environmental(err) || ctx.Err() != nil:
			disk = err
		default:
			results[of[i]] = Result{Kind: Retry, Err: err}
		}
	}
	return disk
}

// change says what a result does to an item. The item itself changes when it
// is done: see finish.
func (q *Queue) change(e *entry, r *Result, now time.Time) Change {
	if r.Kind == Done {
		return Change{Op: Remove, Item: &e.item, Effect: r.Effect}
	}
	item := e.item
	item.Attempts++
	item.LastError = r.Reason
	if r.Err != nil {
		item.LastError = r.Err.Error()
	}
	if item.FirstError == "" {
		item.FirstError = item.LastError
	}
	switch {
	case r.Kind == Rejected:
		return Change{Op: Bury, Item: &item, Reason: r.Reason, Died: wall(now)}
	case item.Attempts > q.settings.MaxRetries:
		return Change{Op: Bury, Item: &item, Reason: ReasonExhausted, Died: wall(now)}
	}
	return Change{Op: Update, Item: &item}
}

// finish makes durable changes visible. It tells whether there may be more
// dead letters than there should.
func (q *Queue) finish(entries []*entry, changes []Change, now time.Time) (over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var run Event
	move := func(e *entry, to Place, reason string) {
		if run.Source != e.item.Source || run.To != to || run.Reason != reason {
			q.tell(run)
			run = Event{Source: e.item.Source, From: Queued, To: to, Reason: reason}
		}
		run.Items++
		run.Samples += e.item.Samples
	}
	left, retried := 0, false
	for i := range changes {
		c, e := &changes[i], entries[i]
		if c.Err != nil {
			continue
		}
		delete(q.leased, e.item.ID)
		switch c.Op {
		case Remove:
			q.stats.done(e, now)
			move(e, Processed, "")
		case Bury:
			q.stats.failed++
			q.dead++
			move(e, Dead, c.Reason)
		default:
			q.stats.retried++
			retried = true
			e.item.Attempts, e.item.FirstError, e.item.LastError = c.Item.Attempts, c.Item.FirstError, c.Item.LastError
			e.endLease()
			e.due = now.Add(q.settings.delay(e.item.Attempts))
			q.delay(e)
			continue
		}
		q.stats.held[e.item.ID.Class()]--
		left++
		q.recycle(e)
	}
	q.tell(run)
	q.free(left)
	if retried {
		q.stir()
	}
	return q.overDead(now)
}

// wall is the time as items carry it.
func wall(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }
