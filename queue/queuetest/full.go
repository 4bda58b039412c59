package queuetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

func full(size int, drop, oldest bool) queue.Settings {
	s := settings()
	s.MaxSize, s.DropOnFull, s.DropOldest = size, drop, oldest
	return s
}

func testEvicts(b *bench) {
	t := b.t
	q := b.open(t, full(5, true, true))
	put(t, q, sample.Bulk, "b1", "b2")
	put(t, q, sample.Normal, "n1", "n2")
	put(t, q, sample.High, "h1")
	put(t, q, sample.Bulk, "b3")       // evicts b1: the oldest of its own class
	put(t, q, sample.Critical, "c1")   // evicts b2
	put(t, q, sample.High, "h2")       // evicts b3
	put(t, q, sample.Normal, "n3")     // evicts n1
	put(t, q, sample.High, "h3", "h4") // evict n2, n3
	put(t, q, sample.High, "h5")       // evicts h1
	if got := q.Stats().Dropped; len(got) != 1 || got[0] != (queue.Drop{Source: "src", Reason: queue.ReasonEvicted, Items: 7, Samples: 7}) {
		t.Errorf("dropped %+v", got)
	}
	if b.medium.Durable() {
		q = b.reopen(t, full(5, true, true))
	}
	expect(t, q, "c1", "h2", "h3", "h4", "h5")
}

func testDropsNewcomer(b *bench) {
	t := b.t
	q := b.open(t, full(2, true, true))
	put(t, q, sample.High, "h1", "h2")
	for _, p := range []sample.Priority{sample.Normal, sample.Low, sample.Bulk} {
		if id, err := q.Enqueue(ctxOf(t), item(p, "late")); !errors.Is(err, queue.ErrFull) || id != 0 {
			t.Errorf("%v: %v, %v", p, id, err)
		}
	}
	leased := lease(t, q, 2) // leased items cannot make room
	if _, err := q.Enqueue(ctxOf(t), item(sample.Critical, "c")); !errors.Is(err, queue.ErrFull) {
		t.Errorf("while all is leased: %v", err)
	}
	settle(t, q, leased, queue.Result{})
	ids, err := q.EnqueueAll(ctxOf(t), []queue.Item{item(sample.Low, "1"), item(sample.Low, "2"), item(sample.Bulk, "3"), item(sample.Low, "4")})
	if !errors.Is(err, queue.ErrFull) || len(ids) != 4 || ids[0] == 0 || ids[1] == 0 || ids[2] != 0 || ids[3] == 0 {
		t.Errorf("enqueue all: %v, %v", ids, err)
	}
	expect(t, q, "2", "4")
}

func testRefuses(b *bench) {
	t := b.t
	q := b.open(t, full(3, true, false))
	put(t, q, sample.Normal, "n1", "n2")
	put(t, q, sample.Low, "l1")
	for _, p := range []sample.Priority{sample.Low, sample.Bulk} {
		if _, err := q.Enqueue(ctxOf(t), item(p, "late")); !errors.Is(err, queue.ErrFull) {
			t.Errorf("%v: %v", p, err)
		}
	}
	put(t, q, sample.Normal, "n3") // l1 makes room
	if _, err := q.Enqueue(ctxOf(t), item(sample.Normal, "late")); !errors.Is(err, queue.ErrFull) {
		t.Errorf("normal: %v", err)
	}
	expect(t, q, "n1", "n2", "n3")
}

func testBlocks(b *bench) {
	t := b.t
	q := b.open(t, full(2, false, false))
	put(t, q, sample.Normal, "n1", "n2")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := q.Enqueue(ctx, item(sample.Critical, "c0")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without room: %v", err)
	}
	if st := q.Stats(); st.WhenFull != "wait" || st.Waiting != 0 || st.TotalWaits != 1 || st.WaitSeconds <= 0 {
		t.Errorf("stats after a wait %+v", st)
	}
	entered := make(chan error)
	go func() {
		_, err := q.Enqueue(ctxOf(t), item(sample.Critical, "c1"))
		entered <- err
	}()
	for q.Stats().Waiting == 0 { // neither statistics nor dequeue wait
		runtime.Gosched()
	}
	if st := q.Stats(); st.CurrentSize != 2 || st.TotalWaits != 2 {
		t.Errorf("stats while one waits %+v", st)
	}
	items := lease(t, q, 1)
	select {
	case err := <-entered:
		t.Fatalf("entered while the room was leased: %v", err)
	default:
	}
	settle(t, q, items, queue.Result{})
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	if st := q.Stats(); st.TotalDropped != 0 || st.HighWatermark != 2 {
		t.Errorf("stats %+v", st)
	}
	expect(t, q, "c1", "n2")
}

// testBlockedOrder has producers wait with more than the queue holds while a
// consumer makes room: each producer's items arrive in its order, all of them.
func testBlockedOrder(b *bench) {
	t := b.t
	q := b.open(t, full(7, false, false))
	const producers, each = 5, 40
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			want := names(strconv.Itoa(p), each)
			ids, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, want[:each/2]))
			if err != nil || !slices.IsSorted(ids) || slices.Contains(ids, 0) {
				t.Errorf("enqueue all: %v, %v", ids, err)
			}
			for _, n := range want[each/2:] {
				if _, err := q.Enqueue(ctxOf(t), item(sample.Normal, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := map[string]int{}
	for range producers * each {
		items := lease(t, q, 1)
		name := string(items[0].Payload)
		if want := names(name[:1], each)[next[name[:1]]]; name != want {
			t.Fatalf("dequeued %s, want %s", name, want)
		}
		next[name[:1]]++
		if n := q.Len(); n > 7 {
			t.Fatalf("%d items in a queue of 7", n)
		}
		settle(t, q, items, queue.Result{})
	}
	wg.Wait()
	expectEmpty(t, q)
}

func testEvictsBeyondWindow(b *bench) {
	t := b.t
	const size = 5000 // more than is kept in memory
	s := full(size, true, true)
	q := b.open(t, s)
	want := names("n", size+1500)
	ids, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, want))
	if err != nil || slices.Contains(ids, 0) {
		t.Fatal(err)
	}
	if n := q.Len(); n != size {
		t.Errorf("%d items", n)
	}
	if b.medium.Durable() {
		q = b.reopen(t, s)
		ids, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.High, names("h", 1000))) // evict from what was not loaded yet
		if err != nil || slices.Contains(ids, 0) {
			t.Fatal(err)
		}
		expect(t, q, append(names("h", 1000), want[2500:]...)...)
		return
	}
	expect(t, q, want[1500:]...)
}

func testDropsCounted(b *bench) {
	t := b.t
	q := b.open(t, full(2, true, true))
	offer := func(source string, p sample.Priority, samples int) {
		_, err := q.Enqueue(ctxOf(t), queue.Item{Source: source, Priority: p, Samples: samples})
		if err != nil && !errors.Is(err, queue.ErrFull) {
			t.Fatal(err)
		}
	}
	offer("a", sample.Normal, 10)
	offer("b", sample.Normal, 20)
	offer("b", sample.Normal, 30) // evicts a's
	offer("a", sample.Bulk, 40)   // refused
	offer("b", sample.High, 50)   // evicts b's 20
	want := []queue.Drop{
		{Source: "a", Reason: queue.ReasonEvicted, Items: 1, Samples: 10},
		{Source: "a", Reason: queue.ReasonFull, Items: 1, Samples: 40},
		{Source: "b", Reason: queue.ReasonEvicted, Items: 1, Samples: 20},
	}
	st := q.Stats()
	if !slices.Equal(st.Dropped, want) || st.TotalDropped != 3 || st.TotalEnqueued != 4 {
		t.Errorf("stats %+v", st)
	}
	if rate := 100 * 3.0 / 7; st.DropRate != rate {
		t.Errorf("drop rate %v, want %v", st.DropRate, rate)
	}
}
