package queuetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"dynotap/queue"
	"dynotap/sample"
)

// journal is a log that can be read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

var errMedium = errors.New("the medium failed")

// faulty is a driver whose Apply and Fetch fail when they are told to.
type faulty struct {
	queue.Driver
	mu     sync.Mutex
	before int // Apply calls that fail before they do anything
	after  int // that fail though they did everything
	fetch  int // Fetch calls that fail

	meanwhile func() // before an Apply fails
}

// faultySettler commits effects too.
type faultySettler struct {
	*faulty
	settler queue.EffectSettler
}

// faults puts a faulty driver between the queue and the medium.
func (b *bench) faults() *faulty {
	f := new(faulty)
	b.wrap = func(d queue.Driver) queue.Driver {
		f.Driver = d
		if settler, ok := d.(queue.EffectSettler); ok {
			return faultySettler{f, settler}
		}
		return f
	}
	return f
}

func (f *faulty) next(n *int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *n == 0 {
		return nil
	}
	*n--
	return errMedium
}

func (f *faulty) set(n *int, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*n = times
}

func (f *faulty) around(ctx context.Context, do func(context.Context, []queue.Change) error, changes []queue.Change) error {
	if err := f.next(&f.before); err != nil {
		if f.meanwhile != nil {
			f.meanwhile()
		}
		return err
	}
	if err := do(ctx, changes); err != nil {
		return err
	}
	return f.next(&f.after)
}

func (f *faulty) Apply(ctx context.Context, changes []queue.Change) error {
	return f.around(ctx, f.Driver.Apply, changes)
}

func (f faultySettler) ApplyEffects(ctx context.Context, changes []queue.Change) error {
	return f.around(ctx, f.settler.ApplyEffects, changes)
}

func (f *faulty) Fetch(ctx context.Context, after, upTo queue.ID, limit, maxBytes int) ([]queue.Stored, error) {
	if err := f.next(&f.fetch); err != nil {
		return nil, err
	}
	return f.Driver.Fetch(ctx, after, upTo, limit, maxBytes)
}

// testNotAccepted: what the medium did not take is the caller's, and what was
// to make room for it stays.
func testNotAccepted(b *bench) {
	t := b.t
	f := b.faults()
	q := b.open(t, full(3, true, true))
	put(t, q, sample.Normal, "a")
	f.set(&f.before, 2)
	if id, err := q.Enqueue(ctxOf(t), item(sample.Normal, "b")); !errors.Is(err, errMedium) || id != 0 {
		t.Errorf("enqueue: %v, %v", id, err)
	}
	ids, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, []string{"c", "d"}))
	if !errors.Is(err, errMedium) || !slices.Equal(ids, make([]queue.ID, 2)) {
		t.Errorf("enqueue all: %v, %v", ids, err)
	}
	put(t, q, sample.Normal, "e", "f")
	f.set(&f.before, 1)
	if _, err := q.Enqueue(ctxOf(t), item(sample.High, "g")); !errors.Is(err, errMedium) {
		t.Errorf("enqueue into the full queue: %v", err)
	}
	if st := q.Stats(); st.TotalEnqueued != 3 || st.TotalDropped != 0 || st.CurrentSize != 3 || st.HighWatermark != 3 {
		t.Errorf("stats %+v", st)
	}
	if b.medium.Durable() {
		q = b.reopen(t, full(3, true, true))
	}
	expect(t, q, "a", "e", "f")
}

// testSettleAgain: a settlement that failed has changed nothing, or everything
// without a word; settled again it counts once.
func testSettleAgain(b *bench) {
	t := b.t
	f := b.faults()
	s := settings()
	q := b.open(t, s)
	for _, fault := range []*int{&f.before, &f.after} {
		put(t, q, sample.Normal, "done", "rejected", "retry")
		items := lease(t, q, 3)
		results := []queue.Result{{}, {Kind: queue.Rejected, Reason: "r"}, {Kind: queue.Retry, Err: errTry}}
		f.set(fault, 1)
		if err := q.Settle(ctxOf(t), items, results); !errors.Is(err, errMedium) {
			t.Fatalf("settled: %v", err)
		}
		if st := q.Stats(); st.Leased != 3 || st.CurrentSize != 3 || st.TotalProcessed+st.TotalRetried+st.TotalFailed != 0 {
			t.Errorf("stats %+v", st)
		}
		expectEmpty(t, q)
		if err := q.Settle(ctxOf(t), items, results); err != nil {
			t.Fatalf("settled again: %v", err)
		}
		if b.medium.Durable() {
			q = b.reopen(t, s)
		}
		letters, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
		if got := deadTexts(letters); err != nil || !slices.Equal(got, []string{"rejected"}) || letters[0].Attempts != 1 {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
		f.set(fault, 1)
		if n, err := q.ForgetAll(ctxOf(t), queue.Filter{}); n != 0 || !errors.Is(err, errMedium) {
			t.Errorf("forgot %d, %v", n, err)
		}
		if err := f.Driver.Apply(ctxOf(t), change(queue.Forget, &letters[0].Item)); err != nil {
			t.Errorf("forget again: %v", err)
		}
		again := lease(t, q, 1)
		if string(again[0].Payload) != "retry" || again[0].Attempts != 1 || again[0].LastError != errTry.Error() {
			t.Errorf("came again: %+v", again[0])
		}
		settle(t, q, again, queue.Result{})
		expectEmpty(t, q)
		q = b.reopenEmpty(t, s)
	}
}

// testFailedRevive: on failure the dead letter is as it was.
func testFailedRevive(b *bench) {
	t := b.t
	f := b.faults()
	q := b.withDead(t)
	before, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	f.set(&f.before, 2)
	if err := q.Revive(ctxOf(t), before[1].ID); !errors.Is(err, errMedium) {
		t.Errorf("revived: %v", err)
	}
	if n, err := q.ReviveAll(ctxOf(t), queue.Filter{}); n != 0 || !errors.Is(err, errMedium) {
		t.Errorf("revived %d, %v", n, err)
	}
	after, err := q.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
	if err != nil || len(after) != len(before) {
		t.Fatalf("dead letters %+v, %v", after, err)
	}
	for i := range after {
		if !same(&after[i].Item, &before[i].Item) || after[i].Reason != before[i].Reason || !after[i].Died.Equal(before[i].Died) {
			t.Errorf("dead letter %+v, before %+v", after[i], before[i])
		}
	}
	if st := q.Stats(); st.CurrentSize != 0 || st.DeadLetters != 5 {
		t.Errorf("stats %+v", st)
	}
	if err := q.Revive(ctxOf(t), before[1].ID); err != nil {
		t.Error(err)
	}
	expect(t, q, "h2")
}

// testFetchAgain: what cannot be fetched now comes later, in its order.
func testFetchAgain(b *bench) {
	t := b.t
	f := b.faults()
	s := settings()
	want := names("n", 6000)
	q := b.open(t, s)
	if _, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, want)); err != nil {
		t.Fatal(err)
	}
	var got []string
	failed := 0
	for len(got) < len(want) {
		items, err := q.Dequeue(ctxOf(t), 5000)
		if err == nil && len(got) == 0 { // the rest is on the medium
			f.set(&f.fetch, 2)
		}
		if errors.Is(err, errMedium) {
			failed++
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, texts(items)...)
	}
	if !slices.Equal(got, want) || failed == 0 {
		t.Errorf("%d items after %d failures, in order: %v", len(got), failed, slices.IsSorted(got))
	}
}

// testMissing takes items away behind the queue's back: one whose payload is
// not in memory, and one that is not there at all.
func testMissing(b *bench) {
	t := b.t
	f := b.faults()
	q := b.open(t, settings())
	big := names(strings.Repeat("x", 100_000), 60) // more than is kept in memory
	ids := put(t, q, sample.Normal, big...)
	settle(t, q, lease(t, q, 60), queue.Result{Kind: queue.Retry, Err: errTry})
	gone := &queue.Item{ID: ids[59], Source: testSource, Samples: 1}
	if err := f.Driver.Apply(ctxOf(t), change(queue.Remove, gone)); err != nil {
		t.Fatal(err)
	}
	expect(t, q, big[:59]...)
	want := queue.Drop{Source: testSource, Reason: queue.ReasonMissing, Items: 1, Samples: 1}
	if st := q.Stats(); len(st.Dropped) != 1 || st.Dropped[0] != want || st.CurrentSize != 0 || st.Leased != 0 {
		t.Errorf("stats %+v", st)
	}
	ids = put(t, q, sample.Normal, big...) // the last ones are with the driver only
	for _, id := range ids[50:] {
		gone.ID = id
		if err := f.Driver.Apply(ctxOf(t), change(queue.Remove, gone)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, q, big[:50]...)
	if st := q.Stats(); st.CurrentSize != 0 {
		t.Errorf("stats %+v", st)
	}
}
