package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"dynotap/queue"
	"dynotap/sample"
)

// check looks at the books: nothing has vanished and no column is negative.
func (b *books) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for source, a := range b.accounts {
		sum := 0
		for place, n := range a.at {
			if n < 0 {
				t.Errorf("%s: %d samples %v", source, n, queue.Place(place))
			}
			sum += n
		}
		if sum != a.offered+a.recovered {
			t.Errorf("%s: offered %d, recovered %d, accounted %v", source, a.offered, a.recovered, a.at)
		}
	}
}

// total adds up a column.
func (b *books) total(p queue.Place) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.accounts {
		n += a.at[p]
	}
	return n
}

// testSum looks at the books while everything happens at once.
func testSum(b *bench) {
	t := b.t
	s := full(20, true, true)
	s.BatchSize, s.Workers, s.MaxRetries = 5, 2, 1
	s.DeadLetterMax = 10
	q := b.open(t, s)
	process := func(_ context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		for i := range results {
			results[i] = queue.Result{Kind: queue.Kind(rand.IntN(3)), Reason: "r", Err: errTry}
		}
		return results
	}
	if err := q.Start(ctxOf(t), process); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() { produce(b, fmt.Sprint("source ", p%2)) })
	}
	wg.Wait()
	if err := q.Stop(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	b.books.check(t)
	if _, err := q.Clear(ctxOf(t)); err != nil {
		t.Error(err)
	}
	dead := b.books.total(queue.Dead)
	if st := q.Stats(); st.CurrentSize != 0 || b.books.total(queue.Queued) != 0 || (st.DeadLetters == 0) != (dead == 0) {
		t.Errorf("%d samples queued, %d dead, stats %+v", b.books.total(queue.Queued), dead, st)
	}
	if !b.medium.Durable() {
		return
	}
	b.reopen(t, s) // what a new start counts is what the old one knew
	if n := b.books.total(queue.Queued); n != 0 {
		t.Errorf("%d samples came back", n)
	}
	if n := b.books.total(queue.Dead); n != dead {
		t.Errorf("%d dead samples came back, want %d", n, dead)
	}
}

// produce offers batches, revives and forgets, and looks at the books.
func produce(b *bench, source string) {
	t := b.t
	for i := range 100 {
		n := 1 + i%7
		b.books.offer(source, n)
		_, err := b.queue.Enqueue(ctxOf(t), queue.Item{Source: source, Samples: n, Priority: sample.Priority(i % sample.Priorities)})
		if err != nil && !errors.Is(err, queue.ErrFull) {
			t.Error(err)
		}
		b.books.check(t)
		if i%25 != 24 {
			continue
		}
		if _, err := b.queue.ReviveAll(ctxOf(t), queue.Filter{Source: source}); err != nil && !errors.Is(err, queue.ErrFull) {
			t.Error(err)
		}
		if _, err := b.queue.ForgetAll(ctxOf(t), queue.Filter{Reason: "r"}); err != nil {
			t.Error(err)
		}
	}
}

// model is the simplest queue there is: a list.
type model struct {
	waiting []entry // in order of delivery
	leased  []queue.Item
	dead    []entry
	byText  map[string]entry
}

type entry struct {
	priority sample.Priority
	number   int
	attempts int
}

func (e entry) text() string { return fmt.Sprintf("item %d", e.number) }

func (m *model) add(e entry) {
	i, _ := slices.BinarySearchFunc(m.waiting, e, func(a, b entry) int {
		if a.priority != b.priority {
			return int(a.priority) - int(b.priority)
		}
		return a.number - b.number
	})
	m.waiting = slices.Insert(m.waiting, i, e)
}

// history runs random actions on a queue and its model.
type history struct {
	t      *testing.T
	b      *bench
	s      queue.Settings
	number int
	model  model
}

// testModel compares the queue with the model after random histories.
func testModel(b *bench) {
	t := b.t
	h := &history{t: t, b: b, s: settings()}
	h.s.MaxRetries = 2
	b.open(t, h.s)
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := b.queue.Clear(ctxOf(t)); err != nil {
			rt.Fatal(err)
		}
		if _, err := b.queue.ForgetAll(ctxOf(t), queue.Filter{}); err != nil {
			rt.Fatal(err)
		}
		h.model = model{byText: map[string]entry{}}
		defer func() { // leave nothing leased behind
			for _, it := range h.model.leased {
				settle(t, b.queue, []queue.Item{it}, queue.Result{})
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"": h.compare, "enqueue": h.enqueue, "dequeue": h.dequeue,
			"settle": h.settle, "revive": h.revive, "restart": h.restart,
		})
	})
}

func (h *history) compare(rt *rapid.T) {
	m, st := &h.model, h.b.queue.Stats()
	if st.CurrentSize != len(m.waiting)+len(m.leased) || st.Leased != len(m.leased) || st.DeadLetters != len(m.dead) {
		rt.Fatalf("size %d, leased %d, dead %d; model %d, %d, %d",
			st.CurrentSize, st.Leased, st.DeadLetters, len(m.waiting)+len(m.leased), len(m.leased), len(m.dead))
	}
}

func (h *history) enqueue(rt *rapid.T) {
	n := rapid.IntRange(1, 5).Draw(rt, "n")
	items := make([]queue.Item, 0, n)
	for range n {
		h.number++
		e := entry{priority: sample.Priority(rapid.IntRange(0, 4).Draw(rt, "priority")), number: h.number}
		h.model.add(e)
		h.model.byText[e.text()] = e
		items = append(items, item(e.priority, e.text()))
	}
	if _, err := h.b.queue.EnqueueAll(ctxOf(h.t), items); err != nil {
		rt.Fatal(err)
	}
}

func (h *history) dequeue(rt *rapid.T) {
	m := &h.model
	if len(m.waiting) == 0 {
		rt.Skip("empty")
	}
	n := rapid.IntRange(1, 4).Draw(rt, "n")
	items, err := h.b.queue.Dequeue(ctxOf(h.t), n)
	want := m.waiting[:min(n, len(m.waiting))]
	if err != nil || len(items) != len(want) {
		rt.Fatalf("%q, %v, want %v", texts(items), err, want)
	}
	for i := range items {
		if string(items[i].Payload) != want[i].text() || items[i].Attempts != want[i].attempts {
			rt.Fatalf("%q after %d attempts, want %v", items[i].Payload, items[i].Attempts, want[i])
		}
	}
	m.waiting = slices.Delete(m.waiting, 0, len(want))
	m.leased = append(m.leased, items...)
}

func (h *history) settle(rt *rapid.T) {
	m := &h.model
	if len(m.leased) == 0 {
		rt.Skip("none leased")
	}
	i := rapid.IntRange(0, len(m.leased)-1).Draw(rt, "which")
	it := m.leased[i]
	kind := queue.Kind(rapid.IntRange(0, 2).Draw(rt, "kind"))
	settle(h.t, h.b.queue, []queue.Item{it}, queue.Result{Kind: kind, Reason: "r", Err: errTry})
	m.leased = slices.Delete(m.leased, i, i+1)
	e := m.byText[string(it.Payload)]
	e.attempts = it.Attempts + 1
	switch {
	case kind == queue.Done:
	case kind == queue.Retry && e.attempts <= h.s.MaxRetries:
		m.add(e)
	default:
		m.dead = append(m.dead, e)
	}
}

func (h *history) revive(rt *rapid.T) {
	m := &h.model
	letters, err := h.b.queue.DeadLetters(ctxOf(h.t), queue.Filter{}, 0, 100)
	if err != nil || len(letters) != len(m.dead) {
		rt.Fatalf("%d dead letters, %v, want %d", len(letters), err, len(m.dead))
	}
	if len(letters) == 0 {
		rt.Skip("none dead")
	}
	i := rapid.IntRange(0, len(letters)-1).Draw(rt, "which")
	if err := h.b.queue.Revive(ctxOf(h.t), letters[i].ID); err != nil {
		rt.Fatal(err)
	}
	at := slices.IndexFunc(m.dead, func(e entry) bool { return e.text() == string(letters[i].Payload) })
	e := m.dead[at]
	e.attempts = 0
	m.dead = slices.Delete(m.dead, at, at+1)
	m.add(e)
}

func (h *history) restart(rt *rapid.T) {
	m := &h.model
	if !h.b.medium.Durable() || rapid.IntRange(0, 4).Draw(rt, "seldom") > 0 {
		rt.Skip("no restart")
	}
	h.b.reopen(h.t, h.s)
	for _, it := range m.leased {
		e := m.byText[string(it.Payload)]
		e.attempts = it.Attempts
		m.add(e)
	}
	m.leased = nil
}
