package queuetest

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

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
		{queue.Filter{DiedBy: time.Now()}, 3, 10, "l2 o1"},
		{queue.Filter{Source: testSource, Reason: "reason 0", Priority: &high}, 0, 10, "h1"},
		{queue.Filter{ID: queue.MakeID(sample.Critical, 1)}, 0, 10, ""},
		{queue.Filter{}, 0, 0, ""},
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
	var log journal
	b.logger = slog.New(slog.NewTextHandler(&log, nil))
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
	now = now.Add(time.Hour - time.Second) // only their age is against them
	kill("8")
	left("7", "8")
	if n := b.books.place(queue.Dropped); n != 6 {
		t.Errorf("%d dropped", n)
	}
	want := queue.Drop{Source: testSource, Reason: queue.ReasonDeadFull, Items: 6, Samples: 6}
	if got := q.Stats().Dropped; len(got) != 1 || got[0] != want {
		t.Errorf("dropped %+v", got)
	}
	if !strings.Contains(log.String(), "dead letters evicted") {
		t.Errorf("evictions were not logged: %s", log.String())
	}
	if b.medium.Durable() {
		now = now.Add(2 * time.Hour)
		q = b.reopen(t, s)
		left()
	}
}

// testDeadOrder: the order is that of the deaths by the wall clock, and of the
// ids where that says nothing.
func testDeadOrder(b *bench) {
	t := b.t
	now := time.Unix(1700000000, 0)
	b.now = func() time.Time { return now }
	q := b.open(t, settings())
	put(t, q, sample.Normal, "a", "b", "c", "d", "e", "f")
	items := lease(t, q, 6)
	slices.Reverse(items)
	reject := queue.Result{Kind: queue.Rejected, Reason: "r"}
	settle(t, q, items[:3], reject) // f e d
	now = now.Add(-time.Hour)       // the clock was set
	settle(t, q, items[3:5], reject)
	now = now.Add(30 * time.Minute)
	settle(t, q, items[5:], reject)
	listed := func() string {
		letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(deadTexts(letters), " ")
	}
	const want = "b c a d e f"
	if got := listed(); got != want {
		t.Errorf("dead letters %q, want %q", got, want)
	}
	if b.medium.Durable() {
		q = b.reopen(t, settings())
		if got := listed(); got != want {
			t.Errorf("dead letters after a restart %q, want %q", got, want)
		}
	}
	if n, err := q.ForgetAll(ctxOf(t), queue.Filter{}); n != 6 || err != nil {
		t.Errorf("forgot %d, %v", n, err) // those of a later clock, too
	}
}
