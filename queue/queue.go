package queue

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"dynotap/internal/startstop"
	"dynotap/sample"
)

// Queue is the one queue in front of the store. It is safe for concurrent use.
type Queue struct {
	driver   Driver
	effects  EffectSettler // nil: the driver cannot
	settings Settings
	options  Options
	logger   *slog.Logger
	now      func() time.Time

	wake    chan struct{} // a token for one waiter: something may be ready
	works   sync.Pool     // of *workspace
	loading sync.Mutex    // held around Fetch of waiting items, and what must not race with it
	burials sync.Mutex    // held around every change of dead letters until it has been told
	service startstop.Service
	abort   context.CancelFunc // ends the processors' context

	mu           sync.Mutex
	sequence     uint64
	classes      [sample.Priorities]class
	delayed      byDue
	delayedBytes int // payloads in delayed
	leased       map[ID]*entry
	leases       uint64    // the last token given out
	leaseEnd     time.Time // no lease ends before; zero: none ends
	size         int       // all items and the room promised to newcomers
	dead         int
	room         []chan struct{} // newcomers waiting for room, in their order; closing one hands it a place
	line         commitLine
	spare        []*entry
	stats        counters
}

// New opens a queue over what the driver holds and tells the observer about it
// (Nowhere to Queued and Dead). The driver, and a database below it, stay the
// caller's to close, after Stop.
func New(driver Driver, settings Settings, opts Options) (*Queue, error) {
	if err := settings.check(); err != nil {
		return nil, err
	}
	q := &Queue{
		driver: driver, settings: settings, options: opts,
		logger: opts.Logger, now: opts.Now,
		wake:   make(chan struct{}, 1),
		leased: make(map[ID]*entry),
	}
	q.effects, _ = driver.(EffectSettler)
	if q.logger == nil {
		q.logger = slog.New(slog.DiscardHandler)
	}
	if q.now == nil {
		q.now = time.Now
	}
	state, err := driver.Load(context.Background())
	if err != nil {
		return nil, fmt.Errorf("load queue: %w", err)
	}
	q.adopt(state)
	for i := range q.classes {
		if err := q.load(context.Background(), sample.Priority(i), 0); err != nil {
			return nil, fmt.Errorf("load queue: %w", err)
		}
	}
	return q, q.trimDead(context.Background())
}

func (q *Queue) adopt(state State) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sequence = state.Sequence
	q.stats.start(q.now(), state.Sequence)
	for _, t := range state.Totals {
		event := Event{Source: t.Source, Items: t.Items, Samples: t.Samples, To: Queued}
		if t.Dead {
			event.To = Dead
			q.dead += t.Items
		} else {
			c := &q.classes[t.Class]
			c.disk += t.Items
			c.newest = MakeID(t.Class, state.Sequence)
			q.size += t.Items
			q.stats.held[t.Class] += t.Items
		}
		q.tell(event)
	}
	q.stats.high = q.size
}

// Enqueue accepts one item: when it returns an id, the item is as durable as
// the driver promises. Payload and metadata are copied at once.
//
// With a full queue it drops by the settings' policy (ErrFull when the
// newcomer was dropped) or waits for room until ctx ends. ErrPriority, ctx's
// error and the driver's mean that the item was not accepted and nothing was
// counted: it is still the caller's.
func (q *Queue) Enqueue(ctx context.Context, item Item) (ID, error) {
	if !item.Priority.Valid() {
		return 0, fmt.Errorf("%w: %d", ErrPriority, item.Priority)
	}
	item.own()
	r := q.newRequest()
	defer q.endRequest(r)
	for {
		q.mu.Lock()
		verdict, class := q.admit(r, &item)
		switch verdict {
		case admitted:
			if err := q.commit(ctx, r); err != nil { // unlocks
				return 0, err
			}
			return r.ids[0], nil
		case refused:
			q.mu.Unlock()
			return 0, ErrFull
		}
		if err := q.overcome(ctx, r, verdict, class); err != nil { // unlocks
			return 0, err
		}
	}
}

// EnqueueAll accepts items in their order, which it also keeps against other
// items of the same class. It gives an id for each, 0 for what was dropped
// (the error then is ErrFull) or not accepted (the error is the reason). An
// invalid priority refuses all. The items accepted at once share a commit; a
// long list is accepted in parts.
func (q *Queue) EnqueueAll(ctx context.Context, items []Item) ([]ID, error) {
	for i := range items {
		if !items[i].Priority.Valid() {
			return nil, fmt.Errorf("%w: %d of item %d", ErrPriority, items[i].Priority, i)
		}
	}
	ids := make([]ID, len(items))
	r := q.newRequest()
	defer q.endRequest(r)
	full, next, reported := 0, 0, 0
	where := make([]int, 0, min(len(items), maxRequest))
	for next < len(items) {
		q.mu.Lock()
		verdict, class := admitted, sample.Critical
		for next < len(items) && len(r.entries) < maxRequest {
			item := items[next]
			item.own()
			if verdict, class = q.admit(r, &item); verdict == waiting || verdict == unloaded {
				break
			}
			if verdict == admitted {
				where = append(where, next)
			} else {
				full++
			}
			next++
		}
		var err error
		switch {
		case len(r.entries) > 0:
			err = q.commit(ctx, r) // unlocks
		case verdict == waiting || verdict == unloaded:
			err = q.overcome(ctx, r, verdict, class) // unlocks
		default:
			q.mu.Unlock()
		}
		if err != nil {
			return ids, fmt.Errorf("%d of %d items accepted: %w", reported, len(items), err)
		}
		for i, id := range r.ids {
			ids[where[i]] = id
		}
		reported += len(r.ids)
		where = where[:0]
		r.reset()
	}
	if full > 0 {
		return ids, fmt.Errorf("%d of %d items dropped: %w", full, len(items), ErrFull)
	}
	return ids, nil
}

func (item *Item) own() {
	item.Payload = bytes.Clone(item.Payload)
	item.Metadata = maps.Clone(item.Metadata)
}

// Len counts the items: waiting, delayed and leased.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats.size()
}

func (q *Queue) class(p sample.Priority) sample.Priority {
	if q.settings.PriorityEnabled {
		return p
	}
	return sample.Normal
}

// tell passes an event on; the lock is held.
func (q *Queue) tell(e Event) {
	if q.options.Observer != nil && e.Items > 0 {
		q.options.Observer(e)
	}
}

// free gives room back: to those who wait for it, in their order, or to all.
func (q *Queue) free(n int) {
	for ; n > 0; n-- {
		if len(q.room) > 0 && q.size <= q.settings.MaxSize {
			close(q.room[0])
			q.room = q.room[1:]
		} else {
			q.size--
		}
	}
}

// stir leaves a token for one waiter.
func (q *Queue) stir() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *Queue) newEntry() *entry {
	if n := len(q.spare); n > 0 {
		e := q.spare[n-1]
		q.spare[n-1] = nil
		q.spare = q.spare[:n-1]
		return e
	}
	return new(entry)
}

// workspace is memory that one call uses and the next one uses again.
type workspace struct {
	entries []*entry
	results []Result
	changes []Change
}

func (q *Queue) newWork() *workspace {
	if w, ok := q.works.Get().(*workspace); ok {
		return w
	}
	return new(workspace)
}

// endWork gives a workspace back; nothing refers to what is in it.
func (q *Queue) endWork(w *workspace) {
	clear(w.entries)
	clear(w.results)
	clear(w.changes)
	w.entries, w.results, w.changes = w.entries[:0], w.results[:0], w.changes[:0]
	q.works.Put(w)
}

// recycle takes an entry that nothing refers to any more.
func (q *Queue) recycle(e *entry) {
	*e = entry{}
	if len(q.spare) < windowItems {
		q.spare = append(q.spare, e)
	}
}
