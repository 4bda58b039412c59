package queue

import (
	"context"
	"fmt"
	"slices"
)

const (
	// maxRequest bounds the items of one request, maxCommit those that are
	// appended together, so that nobody waits long for others.
	maxRequest = 1024
	maxCommit  = 2048

	maxSpareRequests = 64
)

// request is newcomers on their way into the driver, with those that make room
// for them.
type request struct {
	entries []*entry
	victims []*entry
	ids     []ID
	err     error
	granted bool      // a place in the queue was handed over by one who left
	told    chan bool // true: commit for all in the line; false: it is done
}

func (r *request) reset() {
	clear(r.entries)
	clear(r.victims)
	r.entries, r.victims, r.ids, r.err = r.entries[:0], r.victims[:0], r.ids[:0], nil
}

// newRequest gives an empty request, to be returned by endRequest.
func (q *Queue) newRequest() *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.line.spare); n > 0 {
		r := q.line.spare[n-1]
		q.line.spare = q.line.spare[:n-1]
		return r
	}
	return &request{told: make(chan bool, 1)}
}

func (q *Queue) endRequest(r *request) {
	r.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.line.spare) < maxSpareRequests {
		q.line.spare = append(q.line.spare, r)
	}
}

// commitLine is where requests wait while one of them commits for all: so
// appends follow each other in the order of their ids, and producers at the
// same time share a commit.
type commitLine struct {
	busy    bool
	waiting []*request
	batch   []*request // being committed
	changes []Change
	spare   []*request
}

// commit carries the request into the driver, together with others. The lock
// is held, and given up. ctx bounds the waiting in the line only.
func (q *Queue) commit(ctx context.Context, r *request) error {
	q.line.waiting = append(q.line.waiting, r)
	if !q.line.busy {
		q.line.busy = true
		q.lead(ctx)
		q.mu.Unlock()
		return r.err
	}
	q.mu.Unlock()
	select {
	case lead := <-r.told:
		return q.follow(ctx, r, lead)
	case <-ctx.Done():
	}
	q.mu.Lock()
	if i := slices.Index(q.line.waiting, r); i >= 0 {
		q.line.waiting = slices.Delete(q.line.waiting, i, i+1)
		select {
		case <-r.told: // it was to lead
			q.succeed()
		default:
		}
		q.takeBack(r)
		q.mu.Unlock()
		return fmt.Errorf("wait for the queue: %w", ctx.Err())
	}
	q.mu.Unlock()
	return q.follow(ctx, r, <-r.told)
}

func (q *Queue) follow(ctx context.Context, r *request, lead bool) error {
	if lead {
		q.mu.Lock()
		q.lead(ctx)
		q.mu.Unlock()
	}
	return r.err
}

// lead commits the first of the line, which its own request is among, and
// names a successor. The lock is held, and given up in between.
func (q *Queue) lead(ctx context.Context) {
	line := &q.line
	items := 0
	for len(line.waiting) > 0 && (items == 0 || items+len(line.waiting[0].entries) <= maxCommit) {
		items += len(line.waiting[0].entries)
		line.batch = append(line.batch, line.waiting[0])
		line.waiting = slices.Delete(line.waiting, 0, 1)
	}
	now := q.now()
	enqueued := wall(now)
	changes := line.changes[:0]
	for _, r := range line.batch {
		for _, v := range r.victims {
			changes = append(changes, Change{Op: Remove, Item: &v.item})
		}
		for _, e := range r.entries {
			q.sequence++
			e.item.ID = MakeID(q.class(e.item.Priority), q.sequence)
			e.item.Attempts, e.item.FirstError, e.item.LastError = 0, "", ""
			e.item.Enqueued, e.arrived = enqueued, now
			changes = append(changes, Change{Op: Put, Item: &e.item})
		}
	}
	q.mu.Unlock()
	if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx) // others depend on it
	}
	err := q.driver.Apply(ctx, changes)
	q.mu.Lock()
	for _, r := range line.batch {
		if err != nil {
			r.err = fmt.Errorf("enqueue: %w", err)
			q.takeBack(r)
		} else {
			q.register(r)
		}
	}
	clear(changes)
	line.changes = changes[:0]
	for i, r := range line.batch {
		if i > 0 {
			r.told <- false // the first one leads
		}
	}
	clear(line.batch)
	line.batch = line.batch[:0]
	q.succeed()
}

// succeed lets the first in the line lead.
func (q *Queue) succeed() {
	q.line.busy = len(q.line.waiting) > 0
	if q.line.busy {
		q.line.waiting[0].told <- true
	}
}

// register makes what is durable now visible.
func (q *Queue) register(r *request) {
	for _, v := range r.victims {
		q.stats.drop(v.item.Source, ReasonEvicted, v.item.Samples)
		q.stats.held[v.item.ID.Class()]--
		q.tell(Event{Source: v.item.Source, Items: 1, Samples: v.item.Samples, From: Queued, To: Dropped, Reason: ReasonEvicted})
		q.recycle(v)
	}
	for _, e := range r.entries {
		r.ids = append(r.ids, e.item.ID)
		class := e.item.ID.Class()
		q.stats.held[class]++
		q.stats.enqueued++
		if !q.classes[class].add(e) {
			q.recycle(e)
		}
	}
	q.stats.high = max(q.stats.high, q.stats.size())
	if len(r.entries) > 0 {
		q.stir()
	}
}

// takeBack undoes what admit did.
func (q *Queue) takeBack(r *request) {
	for _, v := range r.victims {
		q.giveBack(v)
	}
	for _, e := range r.entries {
		q.recycle(e)
	}
	q.free(len(r.entries) - len(r.victims))
}

// giveBack returns an entry to its class.
func (q *Queue) giveBack(e *entry) {
	p := e.item.ID.Class()
	e.endLease()
	if !q.classes[p].giveBack(e) {
		q.recycle(e)
	}
	q.stir()
}
