package queue

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"dynotap/sample"
)

// errGone: the driver does not have an item that it had.
var errGone = errors.New("item is gone")

// Dequeue leases up to limit items, in order, to be settled by Settle. It
// waits until there is one or ctx ends, and then gives none and no error. The
// payloads are the queue's: do not change them. An item whose lease ends
// (Settings.LeaseTimeout) before it is settled is delivered again.
func (q *Queue) Dequeue(ctx context.Context, limit int) ([]Item, error) {
	w := q.newWork()
	defer q.endWork(w)
	var err error
	w.entries, err = q.lease(ctx, w.entries, limit, false, q.settings.LeaseTimeout)
	if len(w.entries) == 0 {
		return nil, err
	}
	return itemsOf(make([]Item, 0, len(w.entries)), w.entries), err
}

func itemsOf(items []Item, entries []*entry) []Item {
	items = items[:0]
	for _, e := range entries {
		items = append(items, e.item)
	}
	return items
}

// everySequence bounds nothing.
const everySequence = math.MaxUint64

// lease appends what is ready to entries, waiting for it if need be. With
// batching it waits as CONFORMANCE Q7 says.
func (q *Queue) lease(ctx context.Context, entries []*entry, limit int, batching bool, timeout time.Duration) ([]*entry, error) {
	for {
		q.mu.Lock()
		now := q.now()
		q.ripen(now)
		wait, coming := q.wait(now, batching)
		if coming && wait == 0 {
			var err error
			if entries, err = q.take(ctx, entries, limit, everySequence, now, timeout); err != nil || len(entries) > 0 {
				return entries, err
			}
			continue
		}
		q.mu.Unlock()
		var timer <-chan time.Time
		if coming {
			timer = time.After(wait)
		}
		select {
		case <-q.wake:
		case <-timer:
		case <-ctx.Done():
			q.stir() // the token may have been for somebody else
			return entries, nil
		}
	}
}

// takeReady leases what is ready now, up to limit and to a sequence number,
// until it is settled.
func (q *Queue) takeReady(ctx context.Context, limit int, last uint64) ([]*entry, error) {
	q.mu.Lock()
	now := q.now()
	q.ripen(now)
	return q.take(ctx, nil, limit, last, now, 0)
}

// take leases what is ready. The lock is held, and given up.
func (q *Queue) take(ctx context.Context, entries []*entry, limit int, last uint64, now time.Time, timeout time.Duration) ([]*entry, error) {
	for {
		var missing sample.Priority
		var unloaded bool
		entries, missing, unloaded = q.gather(entries, limit, last, now, timeout)
		q.mu.Unlock()
		if !unloaded {
			break
		}
		if err := q.load(ctx, missing, 0); err != nil {
			if len(entries) == 0 {
				return entries, err
			}
			break
		}
		q.mu.Lock()
	}
	for _, e := range entries {
		if e.absent || e.damage != nil {
			return q.complete(ctx, entries)
		}
	}
	return entries, nil
}

// gather leases from memory, up to limit and to a sequence number; it tells the
// class that must be loaded before it can go on.
func (q *Queue) gather(entries []*entry, limit int, last uint64, now time.Time, timeout time.Duration) (_ []*entry, missing sample.Priority, unloaded bool) {
	rest := false
	for i := range q.classes {
		c := &q.classes[i]
		for len(entries) < limit && c.next() != nil && c.next().item.ID.Sequence() <= last {
			e := c.pop()
			q.leases++
			e.item.lease, e.taken = q.leases, now
			if timeout > 0 {
				e.expires = now.Add(timeout)
				q.endLeaseBy(e.expires)
			}
			q.leased[e.item.ID] = e
			entries = append(entries, e)
		}
		if len(entries) < limit && c.disk > 0 && c.next() == nil {
			return entries, sample.Priority(i), true
		}
		rest = rest || c.ready() > 0
	}
	if rest {
		q.stir()
	}
	return entries, 0, false
}

// complete fetches the payloads that are not in memory and sets aside what is
// damaged.
func (q *Queue) complete(ctx context.Context, entries []*entry) ([]*entry, error) {
	var errs []error
	entries = slices.DeleteFunc(entries, func(e *entry) bool {
		err := q.restore(ctx, e)
		if err == nil && e.damage == nil {
			return false
		}
		if err == nil {
			q.logger.Error("queue item is damaged", "id", e.item.ID.String(), "source", e.item.Source, "error", e.damage)
			err = q.settle(ctx, []*entry{e}, []Result{{Kind: Rejected, Reason: ReasonDamaged, Err: e.damage}})
		}
		switch {
		case errors.Is(err, errGone):
			q.lose(e)
		case err != nil:
			errs = append(errs, err)
			q.mu.Lock()
			q.putBack([]*entry{e})
			q.mu.Unlock()
		}
		return true
	})
	if len(entries) > 0 {
		return entries, nil
	}
	return entries, errors.Join(errs...)
}

// restore fetches a payload that is not in memory.
func (q *Queue) restore(ctx context.Context, e *entry) error {
	if !e.absent {
		return nil
	}
	found, err := q.driver.Fetch(ctx, e.item.ID-1, e.item.ID, 1, math.MaxInt)
	if err != nil {
		return fmt.Errorf("fetch payload from queue: %w", err)
	}
	if len(found) == 0 {
		return errGone
	}
	e.item.Payload, e.absent, e.damage = found[0].Item.Payload, false, found[0].Damage
	return nil
}

// lose counts a leased item that the driver has no more: somebody else took it
// away.
func (q *Queue) lose(e *entry) {
	q.logger.Error("queue item is missing", "id", e.item.ID.String(), "source", e.item.Source)
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.leased, e.item.ID)
	q.stats.held[e.item.ID.Class()]--
	q.stats.drop(e.item.Source, ReasonMissing, e.item.Samples)
	q.tell(Event{Source: e.item.Source, Items: 1, Samples: e.item.Samples, From: Queued, To: Dropped, Reason: ReasonMissing})
	q.recycle(e)
	q.free(1)
}

// putBack ends leases without a result; the lock is held.
func (q *Queue) putBack(entries []*entry) {
	for _, e := range entries {
		delete(q.leased, e.item.ID)
		q.giveBack(e)
	}
}

// ripen returns what waited long enough and what was leased too long.
func (q *Queue) ripen(now time.Time) {
	for len(q.delayed) > 0 && !q.delayed[0].due.After(now) {
		q.giveBack(q.undelay(0))
	}
	if q.leaseEnd.IsZero() || now.Before(q.leaseEnd) {
		return
	}
	q.leaseEnd = time.Time{}
	var ended []*entry
	for _, e := range q.leased {
		switch {
		case e.expires.IsZero() || e.settling:
		case !e.expires.After(now):
			ended = append(ended, e)
		default:
			q.endLeaseBy(e.expires)
		}
	}
	q.putBack(ended)
}

// endLeaseBy has ripen look at the leases no later than then.
func (q *Queue) endLeaseBy(then time.Time) {
	if q.leaseEnd.IsZero() || then.Before(q.leaseEnd) {
		q.leaseEnd = then
	}
}

func (q *Queue) delay(e *entry) {
	if q.delayedBytes+len(e.item.Payload) > windowBytes {
		e.item.Payload, e.absent = nil, true
	}
	q.delayedBytes += len(e.item.Payload)
	heap.Push(&q.delayed, e)
}

func (q *Queue) undelay(at int) *entry {
	e := heap.Remove(&q.delayed, at).(*entry) //nolint:forcetypeassert // the heap holds nothing else
	q.delayedBytes -= len(e.item.Payload)
	return e
}

// Clear removes every item that is not leased and gives their number; they
// count as discarded.
func (q *Queue) Clear(ctx context.Context) (int, error) {
	q.mu.Lock()
	last := q.sequence
	for len(q.delayed) > 0 {
		q.giveBack(q.undelay(0))
	}
	q.mu.Unlock()
	cleared := 0
	for {
		// What came later stays where it is: taken out for a moment, it would be
		// passed by what came after it.
		entries, err := q.takeReady(ctx, fetchItems, last)
		if err != nil {
			return cleared, fmt.Errorf("clear queue: %w", err)
		}
		if len(entries) == 0 {
			return cleared, nil
		}
		if err := q.discard(ctx, entries); err != nil {
			q.mu.Lock()
			q.putBack(entries)
			q.mu.Unlock()
			return cleared, fmt.Errorf("clear queue: %w", err)
		}
		cleared += len(entries)
	}
}

func (q *Queue) discard(ctx context.Context, entries []*entry) error {
	changes := make([]Change, len(entries))
	for i, e := range entries {
		changes[i] = Change{Op: Remove, Item: &e.item}
	}
	if err := q.driver.Apply(ctx, changes); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range entries {
		delete(q.leased, e.item.ID)
		q.stats.held[e.item.ID.Class()]--
		q.tell(Event{Source: e.item.Source, Items: 1, Samples: e.item.Samples, From: Queued, To: Discarded})
		q.recycle(e)
	}
	q.free(len(entries))
	return nil
}
