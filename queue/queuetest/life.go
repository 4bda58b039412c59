package queuetest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

func testStats(b *bench) {
	t := b.t
	now := time.Unix(1700000000, 0)
	b.now = func() time.Time { return now }
	s := settings()
	s.RetryInitial, s.RetryMax = time.Hour, time.Hour
	q := b.open(t, s)
	put(t, q, sample.Normal, names("n", 100)...)
	put(t, q, sample.Low, "l")
	now = now.Add(2 * time.Second)
	items := lease(t, q, 100)
	now = now.Add(time.Second)
	settle(t, q, items[:98], queue.Result{})
	settle(t, q, items[98:99], queue.Result{Kind: queue.Rejected, Reason: "r"})
	settle(t, q, items[99:], queue.Result{Kind: queue.Retry, Err: errTry})
	lease(t, q, 1)
	st := q.Stats()
	if st.TotalEnqueued != 101 || st.TotalProcessed != 98 || st.TotalFailed != 1 || st.TotalRetried != 1 || st.TotalDropped != 0 ||
		st.CurrentSize != 2 || st.HighWatermark != 101 || st.Leased != 1 || st.Delayed != 1 || st.DeadLetters != 1 ||
		st.ByPriority["normal"] != 1 || st.ByPriority["low"] != 1 || st.ByPriority["high"] != 0 || len(st.ByPriority) != sample.Priorities {
		t.Errorf("stats %+v", st)
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if got < want*0.99 || got > want*1.15 {
			t.Errorf("%s %v, want about %v", name, got, want)
		}
	}
	near("rate", st.Rate, 98/3.0)
	near("latency", st.Latency.Mean, 3)
	near("p50", st.Latency.P50, 3)
	near("p99", st.Latency.P99, 3)
	near("max", st.Latency.Max, 3)
	near("processing", st.Processing.P99, 1)
	near("age", st.OldestAge, 3)
	now = now.Add(30 * time.Second)
	if st := q.Stats(); st.Rate != 0 || st.Latency.Count != 98 {
		t.Errorf("after half a minute %+v", st)
	}
	now = now.Add(5 * time.Minute)
	if st := q.Stats(); st.Latency.Count != 0 {
		t.Errorf("after five minutes %+v", st)
	}
}

// testLatency settles one item a second, each a second later after it came.
func testLatency(b *bench) {
	t := b.t
	now := time.Unix(1700000000, 0)
	b.now = func() time.Time { return now }
	q := b.open(t, settings())
	if st := q.Stats(); st.Rate != 0 || st.Latency != (queue.Durations{}) || st.OldestAge != 0 {
		t.Errorf("at first %+v", st)
	}
	put(t, q, sample.Normal, names("n", 100)...)
	for range 100 {
		items := lease(t, q, 1)
		now = now.Add(time.Second)
		settle(t, q, items, queue.Result{})
	}
	st := q.Stats()
	near := func(name string, got, want float64) {
		t.Helper()
		if got < want*0.9 || got > want*1.13 {
			t.Errorf("%s %v, want about %v", name, got, want)
		}
	}
	near("mean", st.Latency.Mean, 50.5)
	near("p50", st.Latency.P50, 50)
	near("p99", st.Latency.P99, 99)
	near("processing", st.Processing.Mean, 1)
	near("rate", st.Rate, 1)
	if st.Latency.Count != 100 || st.Latency.Max != 100 || st.Processing.Max != 1 || st.OldestAge != 0 {
		t.Errorf("latency %+v, processing %+v, age %v", st.Latency, st.Processing, st.OldestAge)
	}
	rate := st.Rate
	for range 12 { // it decays, and does not stay
		now = now.Add(time.Second)
		if st = q.Stats(); st.Rate > rate {
			t.Errorf("rate %v after %v", st.Rate, rate)
		}
		rate = st.Rate
	}
	if rate != 0 {
		t.Errorf("rate %v of nothing", rate)
	}
}

func testRestart(b *bench) {
	t := b.t
	if !b.medium.Durable() {
		t.Skip("the medium does not outlive the process")
	}
	s := settings()
	s.MaxSize = 4
	s.DropOnFull, s.DropOldest = true, true
	q := b.open(t, s)
	put(t, q, sample.Low, "evicted", "l1")
	put(t, q, sample.High, "done", "h1")
	put(t, q, sample.Normal, "dead")
	items := lease(t, q, 3)
	if got := texts(items); !slices.Equal(got, []string{"done", "h1", "dead"}) {
		t.Fatalf("leased %q", got)
	}
	err := q.Settle(ctxOf(t), items, []queue.Result{{}, {Kind: queue.Retry, Err: errTry}, {Kind: queue.Rejected, Reason: "r"}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, sample.High, "h2")
	lease(t, q, 3) // never acknowledged
	q = b.reopen(t, s)
	if n := q.Len(); n != 3 {
		t.Errorf("%d items", n)
	}
	if q, d := b.books.place(queue.Queued), b.books.place(queue.Dead); q != 3 || d != 1 {
		t.Errorf("recovered %d and %d dead", q, d)
	}
	again := lease(t, q, 3)
	if got := texts(again); !slices.Equal(got, []string{"h1", "h2", "l1"}) {
		t.Errorf("came back: %q", got)
	}
	if again[0].Attempts != 1 || again[0].LastError != errTry.Error() || again[1].Attempts != 0 {
		t.Errorf("came back: %+v", again)
	}
}

func testSequence(b *bench) {
	t := b.t
	if !b.medium.Durable() {
		t.Skip("the medium does not outlive the process")
	}
	var last uint64
	q := b.open(t, settings())
	for range 2 { // a full group and nothing else
		ids, err := q.EnqueueAll(ctxOf(t), itemsNamed(sample.Normal, names("n", 256)))
		if err != nil || ids[0].Sequence() <= last {
			t.Errorf("sequence %d after %d, %v", ids[0].Sequence(), last, err)
		}
		last = ids[255].Sequence()
		settle(t, q, lease(t, q, 256), queue.Result{})
		q = b.reopen(t, settings())
	}
	for range 3 {
		for _, p := range []sample.Priority{sample.Bulk, sample.Critical, sample.Normal} {
			id := put(t, q, p, "x")[0]
			if id.Sequence() <= last || id.Class() != p {
				t.Errorf("sequence %d of class %v after %d", id.Sequence(), id.Class(), last)
			}
			last = id.Sequence()
		}
		settle(t, q, lease(t, q, 3), queue.Result{})
		q = b.reopen(t, settings())
	}
}

func testIDs(b *bench) {
	t := b.t
	q := b.open(t, settings())
	id := put(t, q, sample.Low, "x")[0]
	text, err := json.Marshal(id)
	if err != nil || text[0] != '"' {
		t.Fatalf("%s, %v", text, err)
	}
	var back queue.ID
	if err := json.Unmarshal(text, &back); err != nil || back != id {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "../../etc/passwd", "ffffffffffffffff", "1", strings.Repeat("0", 15) + "/"} {
		if _, err := queue.ParseID(bad); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func testDrain(b *bench) {
	t := b.t
	s := settings()
	s.BatchSize, s.FlushInterval = 10, time.Hour
	s.RetryInitial, s.RetryMax = time.Hour, time.Hour
	q := b.open(t, s)
	put(t, q, sample.Normal, names("n", 45)...)
	calls := 0
	process := func(_ context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		for i := range results {
			if calls == 0 {
				results[i] = queue.Result{Kind: queue.Retry, Err: errTry}
			}
		}
		calls++
		return results
	}
	report, err := q.Drain(ctxOf(t), process, 25)
	if err != nil || report != (queue.DrainReport{Done: 15, Failed: 10, Left: 30}) {
		t.Errorf("report %+v, %v", report, err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if report, err := q.Drain(over, process, -1); err != nil || report != (queue.DrainReport{Left: 30}) {
		t.Errorf("report %+v, %v", report, err)
	}
	report, err = q.Drain(ctxOf(t), process, -1)
	if err != nil || report != (queue.DrainReport{Done: 20, Left: 10}) {
		t.Errorf("report %+v, %v", report, err)
	}
}

func testMany(b *bench) {
	t := b.t
	s := settings()
	s.Workers, s.BatchSize = 4, 7
	s.MaxSize = 50
	q := b.open(t, s)
	var mu sync.Mutex
	seen := map[string]int{}
	all := make(chan struct{})
	const producers, each = 10, 100
	err := q.Start(ctxOf(t), func(_ context.Context, items []queue.Item) []queue.Result {
		mu.Lock()
		defer mu.Unlock()
		for i := range items {
			seen[string(items[i].Payload)]++
		}
		if len(seen) == producers*each {
			select {
			case <-all:
			default:
				close(all)
			}
		}
		return make([]queue.Result, len(items))
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for _, name := range names(strconv.Itoa(p), each) {
				b.books.offer("src", 1)
				if _, err := q.Enqueue(ctxOf(t), item(sample.Priority(p%sample.Priorities), name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	select {
	case <-all:
	case <-ctxOf(t).Done():
	}
	if err := q.Stop(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s processed %d times", name, n)
		}
	}
	if st := q.Stats(); len(seen) != producers*each || st.TotalProcessed != producers*each || st.CurrentSize != 0 || b.books.place(queue.Processed) != producers*each {
		t.Errorf("%d seen, stats %+v", len(seen), st)
	}
	expectEmpty(t, q)
}
