package queue_test

import (
	"context"
	"testing"

	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/sample"
)

// watched calls back, once each, when something is removed and after that when
// something is fetched.
type watched struct {
	queue.Driver
	removed, fetched func()
}

func (w *watched) Apply(ctx context.Context, changes []queue.Change) error {
	if do := w.removed; do != nil && changes[0].Op == queue.Remove {
		w.removed = nil
		do()
	}
	return w.Driver.Apply(ctx, changes)
}

func (w *watched) Fetch(ctx context.Context, after, upTo queue.ID, limit, maxBytes int) ([]queue.Stored, error) {
	if do := w.fetched; do != nil && w.removed == nil {
		w.fetched = nil
		do()
	}
	return w.Driver.Fetch(ctx, after, upTo, limit, maxBytes)
}

// TestQ1ClearIsPassedByNobody: what comes while the queue is cleared stays, and
// in order.
func TestQ1ClearIsPassedByNobody(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := &watched{Driver: memory.New()}
	q, err := queue.New(w, queue.Defaults(), queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	many := make([]queue.Item, 6000) // more than are kept in memory
	for i := range many {
		many[i].Priority = sample.Bulk
	}
	if _, err := q.EnqueueAll(ctx, many); err != nil {
		t.Fatal(err)
	}
	put := func(name string) {
		if _, err := q.Enqueue(ctx, queue.Item{Priority: sample.High, Payload: []byte(name)}); err != nil {
			t.Error(err)
		}
	}
	came := make(chan string, 3)
	take := func() {
		items, err := q.Dequeue(ctx, 1)
		if err != nil || len(items) != 1 {
			t.Errorf("dequeued %d items, %v", len(items), err)
			return
		}
		came <- string(items[0].Payload)
	}
	w.removed = func() { put("first") }
	w.fetched = func() {
		put("second")
		take()
	}
	if n, err := q.Clear(ctx); n != 6000 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
	take()
	if a, b := <-came, <-came; a != "first" || b != "second" || q.Len() != 2 {
		t.Errorf("%s came before %s, %d left", a, b, q.Len())
	}
}
