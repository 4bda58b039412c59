package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dynotap/sample"
)

// verdict is what a full or not yet full queue says to a newcomer.
type verdict uint8

const (
	admitted verdict = iota
	refused          // dropped and counted
	waiting          // no room: wait
	unloaded         // the one to be evicted is with the driver: load its class
)

// admit finds room for a newcomer and adds it to the request, with the victim
// that makes room for it where one is needed (CONFORMANCE Q3). The lock is
// held.
func (q *Queue) admit(r *request, item *Item) (verdict, sample.Priority) {
	class := q.class(item.Priority)
	var victim *entry
	switch {
	case r.granted:
		r.granted = false
	case q.size < q.settings.MaxSize && (len(q.room) == 0 || q.settings.DropOnFull):
		q.size++
	case !q.settings.DropOnFull:
		return waiting, class
	default:
		least, ok := q.leastUrgent()
		for _, e := range r.entries {
			if c := q.class(e.item.Priority); !ok || c > least {
				return waiting, class // the one to be evicted is in this very request: commit it first
			}
		}
		if !ok || least < class || least == class && !q.settings.DropOldest {
			q.stats.drop(item.Source, ReasonFull, item.Samples)
			q.tell(Event{Source: item.Source, Items: 1, Samples: item.Samples, From: Queued, To: Dropped, Reason: ReasonFull})
			return refused, class
		}
		if victim = q.oldest(least); victim == nil {
			return unloaded, least
		}
	}
	e := q.newEntry()
	e.item = *item
	r.entries = append(r.entries, e)
	if victim != nil {
		r.victims = append(r.victims, victim)
	}
	return admitted, class
}

// leastUrgent is the last class that has an item which is not leased.
func (q *Queue) leastUrgent() (sample.Priority, bool) {
	least, ok := sample.Critical, false
	for i := range q.classes {
		if q.classes[i].ready() > 0 {
			least, ok = sample.Priority(i), true
		}
	}
	for _, e := range q.delayed {
		if c := e.item.ID.Class(); !ok || c > least {
			least, ok = c, true
		}
	}
	return least, ok
}

// oldest takes the first item of a class out of it, delayed or not; nil while
// that item is with the driver.
func (q *Queue) oldest(p sample.Priority) *entry {
	c := &q.classes[p]
	first := c.next()
	at := -1
	for i, e := range q.delayed {
		if e.item.ID.Class() == p && (first == nil || e.item.ID < first.item.ID) {
			first, at = e, i
		}
	}
	switch {
	case at >= 0:
		q.undelay(at)
	case first != nil:
		c.pop()
	}
	return first
}

// overcome waits for what keeps a newcomer out. The lock is held, and given
// up.
func (q *Queue) overcome(ctx context.Context, r *request, v verdict, class sample.Priority) error {
	if v == unloaded {
		q.mu.Unlock()
		return q.load(ctx, class, 0)
	}
	room := make(chan struct{})
	q.room = append(q.room, room)
	began := q.now()
	q.stats.waits++
	q.mu.Unlock()
	select {
	case <-room:
		r.granted = true
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stats.waited += q.now().Sub(began)
	if r.granted {
		return nil
	}
	if i := slices.Index(q.room, room); i >= 0 {
		q.room = slices.Delete(q.room, i, i+1)
	} else {
		q.free(1) // the place that was handed over in this moment
	}
	return fmt.Errorf("wait for room in the queue: %w", ctx.Err())
}

// load fetches the next items of a class, unless more than stock of those in
// order are in memory.
func (q *Queue) load(ctx context.Context, p sample.Priority, stock int) error {
	q.loading.Lock()
	defer q.loading.Unlock()
	c := &q.classes[p]
	q.mu.Lock()
	after, upTo, missing := c.loaded, c.newest, c.disk
	enough := missing == 0 || c.head.len() > stock
	q.mu.Unlock()
	if enough {
		return nil
	}
	return q.fetch(ctx, p, max(after, MakeID(p, 0)), upTo, missing)
}

// runsLow gives the first class of which a fetch would be wanted soon. The
// lock is held.
func (q *Queue) runsLow() (p sample.Priority, low bool) {
	for i := range q.classes {
		if c := &q.classes[i]; c.disk > 0 && c.head.len() <= q.fetchLimit() && c.bytes+fetchBytes <= windowBytes {
			return sample.Priority(i), true
		}
	}
	return 0, false
}

func (q *Queue) fetchLimit() int { return max(fetchItems, q.settings.BatchSize) }

// fetch loads what follows; loading is locked.
func (q *Queue) fetch(ctx context.Context, p sample.Priority, after, upTo ID, missing int) error {
	found, err := q.driver.Fetch(ctx, after, upTo, min(missing, q.fetchLimit()), fetchBytes)
	if err != nil {
		return fmt.Errorf("fetch from queue: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	c := &q.classes[p]
	for i := range found {
		e := q.newEntry()
		e.item, e.damage = found[i].Item, found[i].Damage
		c.loaded = e.item.ID
		c.push(e)
	}
	c.disk -= len(found)
	if len(found) == 0 { // somebody else took them away
		q.logger.Error("queue items are missing", "class", p.String(), "items", missing)
		c.loaded, c.disk = upTo, c.disk-missing
		q.stats.held[p] -= missing
		q.free(missing)
	}
	return nil
}

// wait is how long until something is ready, as far as is known; ok is false
// when nothing is on its way. Batching asks for what a processor waits for
// (CONFORMANCE Q7). The lock is held.
func (q *Queue) wait(now time.Time, batching bool) (d time.Duration, ok bool) {
	ready := 0
	for i := range q.classes {
		n := q.classes[i].ready()
		if n > 0 && i <= int(sample.High) {
			return 0, true
		}
		ready += n
	}
	if ready > 0 && (!batching || ready >= q.settings.BatchSize || q.size >= q.settings.MaxSize) {
		return 0, true
	}
	if ready > 0 {
		d, ok = q.settings.FlushInterval, true
		for i := range q.classes {
			if c := &q.classes[i]; c.ready() > 0 {
				next := c.next()
				if next == nil || next.arrived.IsZero() || !next.due.IsZero() {
					return 0, true
				}
				d = min(d, next.arrived.Add(q.settings.FlushInterval).Sub(now))
			}
		}
	}
	at := func(t time.Time) {
		if until := t.Sub(now); !ok || until < d {
			d, ok = until, true
		}
	}
	if len(q.delayed) > 0 {
		at(q.delayed[0].due)
	}
	if end := q.leaseEnd; !end.IsZero() {
		at(end)
	}
	return max(d, 0), ok
}
