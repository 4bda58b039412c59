package queuetest

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

func testPriorityThenOrder(b *bench) {
	t := b.t
	q := b.open(t, settings())
	put(t, q, sample.Bulk, "b1", "b2")
	put(t, q, sample.Low, "l1")
	put(t, q, sample.Normal, "n1", "n2")
	put(t, q, sample.Critical, "c1")
	put(t, q, sample.High, "h1", "h2")
	put(t, q, sample.Critical, "c2")
	put(t, q, sample.Bulk, "b3")
	first := lease(t, q, 3)
	put(t, q, sample.High, "h3")
	if got, want := texts(first), []string{"c1", "c2", "h1"}; !slices.Equal(got, want) {
		t.Fatalf("first %q, want %q", got, want)
	}
	settle(t, q, first, queue.Result{})
	expect(t, q, "h2", "h3", "n1", "n2", "l1", "b1", "b2", "b3")
}

func testOrderWhateverTheClock(b *bench) {
	t := b.t
	steps := []time.Duration{0, -time.Hour, 24 * time.Hour, -48 * time.Hour, 0, 1}
	i := 0
	b.now = func() time.Time {
		i++
		return time.Unix(1700000000, 0).Add(steps[i%len(steps)])
	}
	q := b.open(t, settings())
	want := names("x", 40)
	put(t, q, sample.Normal, want[:20]...)
	if b.medium.Durable() {
		q = b.reopen(t, settings())
	}
	put(t, q, sample.Normal, want[20:]...)
	expect(t, q, want...)
}

func testOneClass(b *bench) {
	t := b.t
	s := settings()
	s.PriorityEnabled = false
	q := b.open(t, s)
	put(t, q, sample.Bulk, "1")
	put(t, q, sample.Critical, "2")
	put(t, q, sample.Low, "3")
	items := lease(t, q, 3)
	if got := texts(items); !slices.Equal(got, []string{"1", "2", "3"}) || items[1].Priority != sample.Critical {
		t.Errorf("dequeued %q, the second with priority %v", got, items[1].Priority)
	}
}

// testBeyondWindow has more items than the queue keeps in memory, in two
// classes, with returns and newcomers in between.
func testBeyondWindow(b *bench) {
	t := b.t
	s := settings()
	s.MaxSize = 20000
	s.BatchSize = 700
	q := b.open(t, s)
	want := names("n", 6000)
	if _, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, want[:5500])); err != nil {
		t.Fatal(err)
	}
	big := slices.Repeat([]byte{7}, 100_000) // 6 MB: beyond the window by size
	for range 60 {
		if _, err := q.Enqueue(ctxOf(t), queue.Item{Source: "big", Priority: sample.Low, Payload: big}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for len(got) < 5000 {
		items := lease(t, q, 500)
		if len(got)%1000 == 0 { // every other batch is tried again first
			settle(t, q, items, queue.Result{Kind: queue.Retry, Err: errors.New("again")})
			items = lease(t, q, 500)
		}
		got = append(got, texts(items)...)
		settle(t, q, items, queue.Result{})
	}
	if _, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, want[5500:])); err != nil {
		t.Fatal(err)
	}
	items := lease(t, q, 1000)
	got = append(got, texts(items)...)
	if !slices.Equal(got, want) {
		t.Fatal("order is broken")
	}
	settle(t, q, items, queue.Result{})
	for _, it := range lease(t, q, 60) {
		if !bytes.Equal(it.Payload, big) {
			t.Fatal("payload is broken")
		}
	}
}

func testInvalidPriority(b *bench) {
	t := b.t
	q := b.open(t, settings())
	if id, err := q.Enqueue(ctxOf(t), item(5, "x")); !errors.Is(err, queue.ErrPriority) || id != 0 {
		t.Errorf("enqueue: %v, %v", id, err)
	}
	if _, err := q.EnqueueAll(ctxOf(t), []queue.Item{item(0, "a"), item(200, "b")}); !errors.Is(err, queue.ErrPriority) {
		t.Errorf("enqueue all: %v", err)
	}
	if n := q.Len(); n != 0 {
		t.Errorf("%d items stored", n)
	}
	expectEmpty(t, q)
}

func testCopied(b *bench) {
	t := b.t
	q := b.open(t, settings())
	it := item(sample.Normal, "before")
	it.Metadata = map[string]string{"k": "before"}
	if _, err := q.Enqueue(ctxOf(t), it); err != nil {
		t.Fatal(err)
	}
	all := []queue.Item{it}
	if _, err := q.EnqueueAll(ctxOf(t), all); err != nil {
		t.Fatal(err)
	}
	copy(it.Payload, "after!")
	it.Metadata["k"] = "after"
	for _, got := range lease(t, q, 2) {
		if string(got.Payload) != "before" || got.Metadata["k"] != "before" {
			t.Errorf("dequeued %q, %v", got.Payload, got.Metadata)
		}
	}
}

func testKeepsEverything(b *bench) {
	t := b.t
	q := b.open(t, settings())
	before := time.Now().Add(-time.Millisecond)
	want := []queue.Item{
		{Source: "jetdrive", Priority: sample.High, Samples: 60, Payload: []byte{0, 1, 255}, Metadata: map[string]string{"a": "ü", "": "x"}},
		{Source: "", Priority: sample.Normal, Payload: []byte{}},
		{Source: "with\x01odd'\"name", Priority: sample.Low, Samples: 1 << 40, Payload: nil},
	}
	for _, w := range want {
		if _, err := q.Enqueue(ctxOf(t), w); err != nil {
			t.Fatal(err)
		}
	}
	check := func(items []queue.Item) {
		t.Helper()
		for i, got := range items {
			w := want[i]
			if got.Source != w.Source || got.Priority != w.Priority || got.Samples != w.Samples || !bytes.Equal(got.Payload, w.Payload) ||
				len(got.Metadata) != len(w.Metadata) || got.Metadata["a"] != w.Metadata["a"] {
				t.Errorf("dequeued %+v, want %+v", got, w)
			}
			if got.Enqueued.Before(before) || got.Enqueued.After(time.Now()) || got.Enqueued.Nanosecond()%1000 != 0 {
				t.Errorf("enqueued at %v", got.Enqueued)
			}
		}
	}
	items := lease(t, q, 3)
	check(items)
	if b.medium.Durable() {
		q = b.reopen(t, settings())
		again := lease(t, q, 3)
		check(again)
		for i := range again {
			if again[i].ID != items[i].ID || !again[i].Enqueued.Equal(items[i].Enqueued) {
				t.Errorf("after restart %+v, before %+v", again[i], items[i])
			}
		}
	}
}
