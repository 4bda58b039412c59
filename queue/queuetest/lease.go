package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
)

var errTry = errors.New("try again")

func testLeaseEnds(b *bench) {
	driver, stop := outside(b.medium.Driver(b.t))
	defer stop()
	synctest.Test(b.t, func(t *testing.T) {
		s := settings()
		s.LeaseTimeout = 10 * time.Second
		q := b.start(t, driver, s)
		put(t, q, sample.Normal, "a", "b")
		first := lease(t, q, 2)
		settle(t, q, first[1:], queue.Result{})
		began := time.Now()
		again := lease(t, q, 1) // waits for the end of a's lease
		if got := texts(again); !slices.Equal(got, []string{"a"}) || again[0].Attempts != 0 || time.Since(began) != s.LeaseTimeout {
			t.Fatalf("came again after %v: %+v", time.Since(began), again)
		}
		err := q.Settle(ctxOf(t), first, make([]queue.Result, 2))
		if !errors.Is(err, queue.ErrNotLeased) {
			t.Errorf("settled by an old lease: %v", err)
		}
		settle(t, q, again, queue.Result{})
		expectEmpty(t, q)
	})
}

// testLeaseEndsAfterFailedSettle: a settlement that fails does not keep the
// lease from ending.
func testLeaseEndsAfterFailedSettle(b *bench) {
	f := b.faults()
	driver, stop := outside(b.medium.Driver(b.t))
	defer stop()
	synctest.Test(b.t, func(t *testing.T) {
		s := settings()
		s.LeaseTimeout = 10 * time.Second
		q := b.start(t, driver, s)
		put(t, q, sample.Normal, "a")
		began := time.Now()
		items := lease(t, q, 1)
		f.set(&f.before, 1)
		f.meanwhile = func() {
			time.Sleep(15 * time.Second)
			if n := q.Stats().Leased; n != 1 {
				t.Errorf("%d leased while it is settled", n)
			}
			expectEmpty(t, q) // its lease does not end now
		}
		if err := q.Settle(ctxOf(t), items, make([]queue.Result, 1)); !errors.Is(err, errMedium) {
			t.Errorf("settled: %v", err)
		}
		f.meanwhile = nil
		again := lease(t, q, 1)
		if d := time.Since(began); string(again[0].Payload) != "a" || d < 15*time.Second || d > 16*time.Second {
			t.Errorf("came again after %v: %+v", d, again)
		}
		if err := q.Settle(ctxOf(t), items, make([]queue.Result, 1)); !errors.Is(err, queue.ErrNotLeased) {
			t.Errorf("settled by an old lease: %v", err)
		}
		settle(t, q, again, queue.Result{})
	})
}

func testSettledIsGone(b *bench) {
	t := b.t
	q := b.open(t, settings())
	put(t, q, sample.Normal, "a", "b", "c")
	items := lease(t, q, 3)
	settle(t, q, items[1:2], queue.Result{})
	if err := q.Settle(ctxOf(t), items[1:2], make([]queue.Result, 1)); !errors.Is(err, queue.ErrNotLeased) {
		t.Errorf("settled twice: %v", err)
	}
	if err := q.Settle(ctxOf(t), items, nil); err == nil {
		t.Error("settled without results")
	}
	if n := q.Len(); n != 2 {
		t.Errorf("%d items", n)
	}
	if b.medium.Durable() {
		q = b.reopen(t, settings())
		expect(t, q, "a", "c")
		b.reopen(t, settings())
		expectEmpty(t, b.queue)
	}
}

func testDeadlinePeekClear(b *bench) {
	t := b.t
	s := settings()
	s.RetryInitial, s.RetryMax = time.Hour, time.Hour
	q := b.open(t, s)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if items, err := q.Dequeue(ctx, 1); err != nil || len(items) != 0 || time.Since(start) < 30*time.Millisecond {
		t.Errorf("empty queue gave %v, %v after %v", items, err, time.Since(start))
	}
	put(t, q, sample.Low, "l1", "l2")
	put(t, q, sample.High, "h1")
	for range 2 {
		if items, err := q.Peek(ctxOf(t), 2); err != nil || !slices.Equal(texts(items), []string{"h1", "l1"}) {
			t.Errorf("peek %q, %v", texts(items), err)
		}
	}
	settle(t, q, lease(t, q, 1), queue.Result{Kind: queue.Retry, Err: errTry}) // h1 is delayed
	leased := lease(t, q, 1)
	put(t, q, sample.Normal, names("n", 1500)...)
	if n := q.Len(); n != 1503 {
		t.Errorf("%d items", n)
	}
	if n, err := q.Clear(ctxOf(t)); err != nil || n != 1502 {
		t.Errorf("cleared %d, %v", n, err)
	}
	if n := b.books.place(queue.Discarded); n != 1502 {
		t.Errorf("%d discarded", n)
	}
	settle(t, q, leased, queue.Result{})
	expectEmpty(t, q)
	if b.medium.Durable() {
		expectEmpty(t, b.reopen(t, settings()))
	}
	put(t, b.queue, sample.Low, "later")
	expect(t, b.queue, "later")
}

func testOutcomes(b *bench) {
	t := b.t
	s := settings()
	s.MaxRetries = 2
	q := b.open(t, s)
	put(t, q, sample.Normal, "done", "rejected", "retry", "last")
	items := lease(t, q, 4)
	err := q.Settle(ctxOf(t), items, []queue.Result{
		{}, {Kind: queue.Rejected, Reason: "no such channel"}, {Kind: queue.Retry, Err: errors.New("first")}, {},
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, sample.Normal, "newer")
	for _, reason := range []string{"second", "third"} { // keeps its place before the newer one
		items := lease(t, q, 1)
		if string(items[0].Payload) != "retry" || items[0].FirstError != "first" {
			t.Fatalf("dequeued %+v", items[0])
		}
		settle(t, q, items, queue.Result{Kind: queue.Retry, Err: errors.New(reason)})
	}
	expect(t, q, "newer")
	letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
	if err != nil || len(letters) != 2 {
		t.Fatalf("dead letters %+v, %v", letters, err)
	}
	if l := letters[0]; string(l.Payload) != "rejected" || l.Reason != "no such channel" || l.Attempts != 1 {
		t.Errorf("dead letter %+v", l)
	}
	if l := letters[1]; string(l.Payload) != "retry" || l.Reason != queue.ReasonExhausted || l.Attempts != 3 ||
		l.FirstError != "first" || l.LastError != "third" {
		t.Errorf("dead letter %+v", l)
	}
}

func testPanic(b *bench) {
	t := b.t
	s := settings()
	s.MaxRetries = 0
	q := b.open(t, s)
	put(t, q, sample.Normal, "a", "bad", "b")
	report, err := q.Drain(ctxOf(t), func(_ context.Context, items []queue.Item) []queue.Result {
		for i := range items {
			if string(items[i].Payload) == "bad" {
				panic("boom")
			}
		}
		return make([]queue.Result, len(items))
	}, -1)
	if err != nil || report != (queue.DrainReport{Done: 2, Failed: 1}) {
		t.Errorf("report %+v, %v", report, err)
	}
	letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
	if err != nil || len(letters) != 1 || string(letters[0].Payload) != "bad" || !strings.Contains(letters[0].LastError, "boom") {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
}

// testEffects: an effect that fails or panics is undone and is its item's
// failure; the others are done, once.
func testEffects(b *bench) {
	t := b.t
	q := b.open(t, settings())
	put(t, q, sample.Normal, "a", "bad", "b", "c", "panic")
	items := lease(t, q, 5)
	results := make([]queue.Result, len(items))
	for i := range results {
		name := string(items[i].Payload)
		results[i].Effect = func(tx *db.Tx) error {
			if err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, 1)`, "effect "+name); err != nil {
				return err
			}
			switch name {
			case "bad":
				return errTry
			case "panic":
				panic("boom")
			}
			return nil
		}
	}
	for _, part := range []struct{ from, to int }{{0, 3}, {3, 5}} {
		if err := q.Settle(ctxOf(t), items[part.from:part.to], results[part.from:part.to]); err != nil {
			t.Fatal(err)
		}
	}
	again := lease(t, q, 2)
	for i, want := range []struct{ name, says string }{{"bad", errTry.Error()}, {"panic", "boom"}} {
		if it := &again[i]; string(it.Payload) != want.name || it.Attempts != 1 || !strings.Contains(it.LastError, want.says) {
			t.Errorf("came again: %+v", *it)
		}
	}
	done := ""
	settle(t, q, again[:1], queue.Result{Effect: func(tx *db.Tx) error {
		done = ""
		return tx.Query(`SELECT key FROM meta WHERE key LIKE 'effect %' ORDER BY key`, func(s *sqlite3.Stmt) error {
			done += strings.TrimPrefix(s.ColumnText(0), "effect ")
			return nil
		})
	}})
	if done != "abc" {
		t.Errorf("effects of %q are done", done)
	}
	settle(t, q, again[1:], queue.Result{})
	expectEmpty(t, q)
}

// testProcessorDisk has a processor meet a disk that cannot be read: the item
// concerned waits without losing an attempt, the others go on.
func testProcessorDisk(b *bench) {
	t := b.t
	q := b.open(t, settings())
	put(t, q, sample.Normal, "a", "b")
	broken := fmt.Errorf("read channel set: %w", db.ErrIO)
	process := func(_ context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		for i := range items {
			if broken != nil && string(items[i].Payload) == "a" {
				results[i] = queue.Result{Kind: queue.Retry, Err: broken}
			}
		}
		return results
	}
	for range 2 * queue.Defaults().MaxRetries {
		if _, err := q.Drain(ctxOf(t), process, -1); !errors.Is(err, db.ErrIO) {
			t.Errorf("drained with %v", err)
		}
	}
	if st := q.Stats(); st.CurrentSize != 1 || st.Leased != 0 || st.TotalRetried != 0 || st.TotalFailed != 0 || st.TotalProcessed != 1 {
		t.Errorf("stats %+v", st)
	}
	if items := lease(t, q, 1); string(items[0].Payload) != "a" || items[0].Attempts != 0 {
		t.Errorf("leased %+v", items)
	} else {
		settle(t, q, items, queue.Result{})
	}
	put(t, q, sample.Normal, "a") // and in the background
	calls := make(chan bool, 100)
	slow := func(ctx context.Context, items []queue.Item) []queue.Result {
		calls <- true
		return process(ctx, items)
	}
	if err := q.Start(ctxOf(t), slow); err != nil {
		t.Fatal(err)
	}
	<-calls
	<-calls // tried again by itself
	if err := q.Stop(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	broken = nil
	if items := lease(t, q, 1); items[0].Attempts != 0 {
		t.Errorf("leased %+v", items)
	} else {
		settle(t, q, items, queue.Result{})
	}
	expectEmpty(t, q)
}

func testEffectDisk(b *bench) {
	t := b.t
	q := b.open(t, settings())
	put(t, q, sample.Normal, "a", "b")
	items := lease(t, q, 2)
	full := true
	results := slices.Repeat([]queue.Result{{Effect: func(*db.Tx) error {
		if full {
			return fmt.Errorf("insert: %w", db.ErrDiskFull)
		}
		return nil
	}}}, 2)
	if err := q.Settle(ctxOf(t), items, slices.Clone(results)); !errors.Is(err, db.ErrDiskFull) {
		t.Errorf("settled with %v", err)
	}
	if st := q.Stats(); st.Leased != 2 || st.TotalRetried != 0 || st.TotalProcessed != 0 {
		t.Errorf("stats %+v", st)
	}
	full = false
	if err := q.Settle(ctxOf(t), items, results); err != nil {
		t.Error(err)
	}
	expectEmpty(t, q)
}

func testRetryFull(b *bench) {
	t := b.t
	for _, s := range []queue.Settings{full(2, true, true), full(2, true, false), full(2, false, false)} {
		s.MaxRetries = 3
		q := b.open(t, s)
		put(t, q, sample.Normal, "a", "b")
		for range 3 {
			items := lease(t, q, 2)
			if s.DropOnFull {
				if _, err := q.Enqueue(ctxOf(t), item(sample.Critical, "c")); !errors.Is(err, queue.ErrFull) {
					t.Fatal(err)
				}
			}
			settle(t, q, items, queue.Result{Kind: queue.Retry, Err: errTry})
		}
		if st := q.Stats(); st.DeadLetters != 0 || st.TotalRetried != 6 {
			t.Errorf("stats %+v", st)
		}
		expect(t, q, "a", "b")
		b.medium.Close(t)
	}
}

// testPeek has items in memory, given back with and without their payload, and
// on the medium only.
func testPeek(b *bench) {
	t := b.t
	s := settings()
	s.MaxSize, s.MaxRetries = 20000, 5
	q := b.open(t, s)
	again := queue.Result{Kind: queue.Retry, Err: errTry}
	var want []string
	for i := range 60 { // more than is kept in memory, by size
		want = append(want, fmt.Sprint("big ", i, strings.Repeat("x", 100_000)))
	}
	put(t, q, sample.Low, want...)
	settle(t, q, lease(t, q, 60), again)
	normal := names("n", 5000) // more, by number
	want = append(slices.Clone(normal[1:]), want...)
	if _, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, normal)); err != nil {
		t.Fatal(err)
	}
	put(t, q, sample.High, "leased")
	settle(t, q, lease(t, q, 100)[50:], again)
	// Of the first 100, 50 are leased now: "leased" and 49 of normal.
	want = want[48:]
	before := q.Stats()
	for _, limit := range []int{0, 1, 60, 4600, 4990, len(want), len(want) + 100} {
		items, err := q.Peek(ctxOf(t), limit)
		if got := texts(items); err != nil || !slices.Equal(got, want[:min(limit, len(want))]) {
			t.Fatalf("peeked %d of %d, %v", len(got), limit, err)
		}
	}
	if st := q.Stats(); st.CurrentSize != before.CurrentSize || st.Leased != before.Leased || st.Leased != 50 || st.TotalRetried != before.TotalRetried {
		t.Errorf("stats %+v, before %+v", st, before)
	}
	if got := texts(lease(t, q, len(want))); !slices.Equal(got, want) {
		t.Error("came otherwise than they were shown")
	}
}
