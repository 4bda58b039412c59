package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dynotap/queue"
	"dynotap/sample"
)

// testSum looks at the books while everything happens at once: at every look
// nothing has vanished and no column is negative.
func testSum(t *testing.T, b *bench) {
	s := full(20, true, true)
	s.BatchSize, s.Workers, s.MaxRetries = 5, 2, 1
	s.DeadLetterMax = 10
	q := b.open(t, s)
	check := func() {
		b.books.mu.Lock()
		defer b.books.mu.Unlock()
		for source, a := range b.books.accounts {
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
		wg.Go(func() {
			source := fmt.Sprint("source ", p%2)
			for i := range 100 {
				n := 1 + i%7
				b.books.offer(source, n)
				_, err := q.Enqueue(ctxOf(t), queue.Item{Source: source, Samples: n, Priority: sample.Priority(i % sample.Priorities)})
				if err != nil && !errors.Is(err, queue.ErrFull) {
					t.Error(err)
				}
				check()
				if i%25 == 24 {
					_, err := q.ReviveAll(ctxOf(t), queue.Filter{Source: source})
					if err != nil && !errors.Is(err, queue.ErrFull) {
						t.Error(err)
					}
					if _, err := q.ForgetAll(ctxOf(t), queue.Filter{Reason: "r"}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := q.Stop(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := q.Clear(ctxOf(t)); err != nil {
		t.Error(err)
	}
	st := q.Stats()
	dead := 0
	for source, a := range b.books.accounts {
		if a.at[queue.Queued] != 0 {
			t.Errorf("%s: %d samples in an empty queue", source, a.at[queue.Queued])
		}
		dead += a.at[queue.Dead]
	}
	if st.CurrentSize != 0 || (st.DeadLetters == 0) != (dead == 0) {
		t.Errorf("%d dead samples, stats %+v", dead, st)
	}
	if b.medium.Durable() { // what a new start counts is what the old one knew
		b.reopen(t, s)
		again := 0
		for source, a := range b.books.accounts {
			if a.at[queue.Queued] != 0 {
				t.Errorf("%s: %d samples came back", source, a.at[queue.Queued])
			}
			again += a.at[queue.Dead]
		}
		if again != dead {
			t.Errorf("%d dead samples came back, want %d", again, dead)
		}
	}
}

// model is the simplest queue there is: a list.
type model struct {
	waiting []entry // in order of delivery
	leased  []queue.Item
	dead    []entry
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

// testModel compares the queue with the model after random histories.
func testModel(t *testing.T, b *bench) {
	s := settings()
	s.MaxRetries = 2
	q := b.open(t, s)
	number := 0
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := q.Clear(ctxOf(t)); err != nil {
			rt.Fatal(err)
		}
		if _, err := q.ForgetAll(ctxOf(t), queue.Filter{}); err != nil {
			rt.Fatal(err)
		}
		m := &model{}
		byText := map[string]entry{}
		defer func() { // leave nothing leased behind
			for _, it := range m.leased {
				settle(t, q, []queue.Item{it}, queue.Result{})
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				st := q.Stats()
				if st.CurrentSize != len(m.waiting)+len(m.leased) || st.Leased != len(m.leased) || st.DeadLetters != len(m.dead) {
					rt.Fatalf("size %d, leased %d, dead %d; model %d, %d, %d",
						st.CurrentSize, st.Leased, st.DeadLetters, len(m.waiting)+len(m.leased), len(m.leased), len(m.dead))
				}
			},
			"enqueue": func(rt *rapid.T) {
				n := rapid.IntRange(1, 5).Draw(rt, "n")
				var items []queue.Item
				for range n {
					number++
					e := entry{priority: sample.Priority(rapid.IntRange(0, 4).Draw(rt, "priority")), number: number}
					m.add(e)
					byText[e.text()] = e
					items = append(items, item(e.priority, e.text()))
				}
				if _, err := q.EnqueueAll(ctxOf(t), items); err != nil {
					rt.Fatal(err)
				}
			},
			"dequeue": func(rt *rapid.T) {
				n := rapid.IntRange(1, 4).Draw(rt, "n")
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if len(m.waiting) == 0 {
					rt.Skip("empty")
				}
				items, err := q.Dequeue(ctx, n)
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
			},
			"settle": func(rt *rapid.T) {
				if len(m.leased) == 0 {
					rt.Skip("none leased")
				}
				i := rapid.IntRange(0, len(m.leased)-1).Draw(rt, "which")
				it := m.leased[i]
				kind := queue.Kind(rapid.IntRange(0, 2).Draw(rt, "kind"))
				settle(t, q, []queue.Item{it}, queue.Result{Kind: kind, Reason: "r", Err: errTry})
				m.leased = slices.Delete(m.leased, i, i+1)
				e := byText[string(it.Payload)]
				e.attempts = it.Attempts + 1
				switch {
				case kind == queue.Done:
				case kind == queue.Retry && e.attempts <= s.MaxRetries:
					m.add(e)
				default:
					m.dead = append(m.dead, e)
				}
			},
			"revive": func(rt *rapid.T) {
				letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 100)
				if err != nil || len(letters) != len(m.dead) {
					rt.Fatalf("%d dead letters, %v, want %d", len(letters), err, len(m.dead))
				}
				if len(letters) == 0 {
					rt.Skip("none dead")
				}
				i := rapid.IntRange(0, len(letters)-1).Draw(rt, "which")
				if err := q.Revive(ctxOf(t), letters[i].ID); err != nil {
					rt.Fatal(err)
				}
				at := slices.IndexFunc(m.dead, func(e entry) bool { return e.text() == string(letters[i].Payload) })
				e := m.dead[at]
				e.attempts = 0
				m.dead = slices.Delete(m.dead, at, at+1)
				m.add(e)
			},
			"restart": func(rt *rapid.T) {
				if !b.medium.Durable() || rapid.IntRange(0, 4).Draw(rt, "seldom") > 0 {
					rt.Skip("no restart")
				}
				q = b.reopen(t, s)
				for _, it := range m.leased {
					e := byText[string(it.Payload)]
					e.attempts = it.Attempts
					m.add(e)
				}
				m.leased = nil
			},
		})
	})
}
