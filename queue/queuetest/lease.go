package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
)

var errTry = errors.New("try again")

func testLeaseEnds(b *bench) {
	t := b.t
	s := settings()
	s.LeaseTimeout = 20 * time.Millisecond
	q := b.open(t, s)
	put(t, q, sample.Normal, "a", "b")
	first := lease(t, q, 2)
	settle(t, q, first[1:], queue.Result{})
	again := lease(t, q, 1) // waits for the end of a's lease
	if got := texts(again); !slices.Equal(got, []string{"a"}) || again[0].Attempts != 0 {
		t.Fatalf("came again: %+v", again)
	}
	err := q.Settle(ctxOf(t), first, make([]queue.Result, 2))
	if !errors.Is(err, queue.ErrNotLeased) {
		t.Errorf("settled by an old lease: %v", err)
	}
	settle(t, q, again, queue.Result{})
	expectEmpty(t, q)
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

func testEffects(b *bench) {
	t := b.t
	q := b.open(t, settings())
	put(t, q, sample.Normal, "a", "bad", "b")
	items := lease(t, q, 3)
	results := make([]queue.Result, 3)
	for i := range results {
		results[i].Effect = func(tx *db.Tx) error {
			err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, 1)`, "effect "+string(items[i].Payload))
			if err == nil && i == 1 {
				err = errTry
			}
			return err
		}
	}
	if err := q.Settle(ctxOf(t), items, results); err != nil {
		t.Fatal(err)
	}
	again := lease(t, q, 1)
	if string(again[0].Payload) != "bad" || again[0].Attempts != 1 || !strings.Contains(again[0].LastError, errTry.Error()) {
		t.Errorf("came again: %+v", again[0])
	}
	settle(t, q, again, queue.Result{Effect: func(tx *db.Tx) error {
		return tx.Exec(`UPDATE meta SET value = 2 WHERE key = 'effect a'`)
	}})
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

func deadTexts(letters []queue.DeadLetter) []string {
	out := make([]string, 0, len(letters))
	for i := range letters {
		out = append(out, string(letters[i].Payload))
	}
	return out
}

// withDead leaves the dead letters h1 h2 l1 l2 o1, in this order.
func (b *bench) withDead(t *testing.T) *queue.Queue {
	t.Helper()
	q := b.open(t, settings())
	put(t, q, sample.Low, "l1", "l2")
	put(t, q, sample.High, "h1", "h2")
	if _, err := q.Enqueue(ctxOf(t), queue.Item{Source: "other", Priority: sample.Bulk, Samples: 9, Payload: []byte("o1")}); err != nil {
		t.Fatal(err)
	}
	for i, it := range lease(t, q, 5) {
		settle(t, q, []queue.Item{it}, queue.Result{Kind: queue.Rejected, Reason: fmt.Sprint("reason ", i%2), Err: errTry})
	}
	if b.medium.Durable() {
		q = b.reopen(t, settings())
	}
	return q
}

func testDeadList(b *bench) {
	t := b.t
	q := b.withDead(t)
	high := sample.High
	for _, c := range []struct {
		filter        queue.Filter
		offset, limit int
		want          string
	}{
		{queue.Filter{}, 0, 10, "h1 h2 l1 l2 o1"},
		{queue.Filter{}, 1, 2, "h2 l1"},
		{queue.Filter{}, 9, 2, ""},
		{queue.Filter{Source: "other"}, 0, 10, "o1"},
		{queue.Filter{Priority: &high}, 1, 10, "h2"},
		{queue.Filter{Reason: "reason 1"}, 0, 10, "h2 l2"},
		{queue.Filter{DiedBy: time.Unix(1, 0)}, 0, 10, ""},
	} {
		letters, err := q.DeadLetters(ctxOf(t), c.filter, c.offset, c.limit)
		if got := strings.Join(deadTexts(letters), " "); got != c.want || err != nil {
			t.Errorf("%+v from %d: %q, %v, want %q", c.filter, c.offset, got, err, c.want)
		}
	}
	letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 1, 1)
	if err != nil || len(letters) != 1 {
		t.Fatal(letters, err)
	}
	got, err := q.DeadLetter(ctxOf(t), letters[0].ID)
	if err != nil || string(got.Payload) != "h2" || got.Priority != sample.High || got.Attempts != 1 || got.LastError != errTry.Error() || got.Died.IsZero() {
		t.Errorf("dead letter %+v, %v", got, err)
	}
}

func testRevive(b *bench) {
	t := b.t
	q := b.withDead(t)
	letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
	if err != nil || len(letters) != 5 {
		t.Fatal(letters, err)
	}
	if err := q.Revive(ctxOf(t), letters[2].ID); err != nil {
		t.Fatal(err)
	}
	if err := q.Revive(ctxOf(t), letters[2].ID); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("revived twice: %v", err)
	}
	if err := q.Forget(ctxOf(t), letters[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := q.Forget(ctxOf(t), letters[0].ID); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("forgotten twice: %v", err)
	}
	high := sample.High
	if n, err := q.ReviveAll(ctxOf(t), queue.Filter{Priority: &high}); n != 1 || err != nil {
		t.Errorf("revived %d, %v", n, err)
	}
	put(t, q, sample.Low, "l3")
	items := lease(t, q, 3)
	if got := texts(items); !slices.Equal(got, []string{"h2", "l1", "l3"}) || items[0].Attempts != 0 || items[0].Priority != sample.High {
		t.Errorf("revived %q", got)
	}
	settle(t, q, items, queue.Result{})
	if n, err := q.ForgetAll(ctxOf(t), queue.Filter{}); n != 2 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
	if b.medium.Durable() {
		q = b.reopen(t, settings())
	}
	letters, err = q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
	if err != nil || len(letters) != 0 || q.Stats().DeadLetters != 0 {
		t.Errorf("left %q, %v", deadTexts(letters), err)
	}
	expectEmpty(t, q)
}

// testReviveFull: a full queue leaves the dead letter as it is.
func testReviveFull(b *bench) {
	t := b.t
	q := b.open(t, full(2, false, false))
	put(t, q, sample.Normal, "a", "b")
	settle(t, q, lease(t, q, 2), queue.Result{Kind: queue.Rejected, Reason: "r"})
	put(t, q, sample.Normal, "c")
	if n, err := q.ReviveAll(ctxOf(t), queue.Filter{}); n != 1 || !errors.Is(err, queue.ErrFull) {
		t.Errorf("revived %d, %v", n, err)
	}
	if st := q.Stats(); st.DeadLetters != 1 || st.CurrentSize != 2 {
		t.Errorf("stats %+v", st)
	}
	expect(t, q, "a", "c")
}

func testDeadBounded(b *bench) {
	t := b.t
	now := time.Unix(1700000000, 0)
	b.now = func() time.Time { return now }
	s := settings()
	s.DeadLetterMax, s.DeadLetterAge = 3, time.Hour
	q := b.open(t, s)
	kill := func(names ...string) {
		t.Helper()
		put(t, q, sample.Normal, names...)
		settle(t, q, lease(t, q, len(names)), queue.Result{Kind: queue.Rejected, Reason: "r"})
	}
	left := func(want ...string) {
		t.Helper()
		letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
		got := deadTexts(letters)
		if err != nil || !slices.Equal(got, want) || q.Stats().DeadLetters != len(want) {
			t.Errorf("left %q, %v, want %q", got, err, want)
		}
	}
	kill("1", "2", "3")
	left("1", "2", "3")
	now = now.Add(time.Minute)
	kill("4", "5")
	left("3", "4", "5")
	now = now.Add(time.Hour - time.Second)
	kill("6")
	left("4", "5", "6")
	now = now.Add(8 * time.Minute)
	kill("7")
	left("6", "7")
	if n := b.books.place(queue.Dropped); n != 5 {
		t.Errorf("%d dropped", n)
	}
	if b.medium.Durable() {
		now = now.Add(2 * time.Hour)
		q = b.reopen(t, s)
		left()
	}
}
