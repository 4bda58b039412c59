package queuetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

// timed runs a test on a clock of its own, with a processor that notes what
// came when.
func timed(t *testing.T, b *bench, s queue.Settings, answer func(item queue.Item) queue.Result, test func(q *queue.Queue, came func() string)) {
	t.Helper()
	driver, stop := outside(b.medium.Driver(t))
	defer stop()
	synctest.Test(t, func(t *testing.T) {
		q := b.start(t, driver, s)
		start := time.Now()
		var mu sync.Mutex
		var notes []string
		err := q.Start(context.Background(), func(_ context.Context, items []queue.Item) []queue.Result {
			mu.Lock()
			defer mu.Unlock()
			results := make([]queue.Result, len(items))
			for i := range items {
				results[i] = answer(items[i])
			}
			notes = append(notes, fmt.Sprintf("%v:%s", time.Since(start), strings.Join(texts(items), ",")))
			return results
		})
		if err != nil {
			t.Fatal(err)
		}
		test(q, func() string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(notes, " ")
		})
		if err := q.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func done(queue.Item) queue.Result { return queue.Result{} }

func enqueue(t *testing.T, q *queue.Queue, p sample.Priority, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := q.Enqueue(context.Background(), item(p, n)); err != nil {
			t.Fatal(err)
		}
	}
}

func testUrgent(b *bench) {
	t := b.t
	s := settings()
	s.FlushInterval = 5 * time.Second
	timed(t, b, s, done, func(q *queue.Queue, came func() string) {
		enqueue(t, q, sample.Normal, "n")
		if got := came(); got != "" {
			t.Errorf("came %q", got)
		}
		enqueue(t, q, sample.High, "h")
		if got := came(); got != "0s:h,n" {
			t.Errorf("came %q", got)
		}
		enqueue(t, q, sample.Critical, "c")
		if got := came(); got != "0s:h,n 0s:c" {
			t.Errorf("came %q", got)
		}
	})
}

// testFullGoes fills a queue that is smaller than a batch: nobody waits for a
// batch that cannot come.
func testFullGoes(b *bench) {
	t := b.t
	s := settings()
	s.FlushInterval, s.BatchSize, s.MaxSize = 5*time.Second, 10, 2
	timed(t, b, s, done, func(q *queue.Queue, came func() string) {
		enqueue(t, q, sample.Normal, "n1", "n2", "n3")
		// A place that was promised to a newcomer counts before it is there.
		if got := came(); !slices.Contains([]string{"0s:n1,n2", "0s:n1 0s:n2", "0s:n1 0s:n2,n3"}, got) {
			t.Errorf("came %q", got)
		}
	})
}

func testFlush(b *bench) {
	t := b.t
	s := settings()
	s.FlushInterval, s.BatchSize = 5*time.Second, 3
	timed(t, b, s, done, func(q *queue.Queue, came func() string) {
		enqueue(t, q, sample.Normal, "n1")
		time.Sleep(4 * time.Second)
		enqueue(t, q, sample.Low, "l1")
		time.Sleep(999 * time.Millisecond)
		if got := came(); got != "" {
			t.Errorf("came %q", got)
		}
		time.Sleep(time.Millisecond) // five seconds after the oldest
		if got := came(); got != "5s:n1,l1" {
			t.Errorf("came %q", got)
		}
		time.Sleep(time.Second)
		enqueue(t, q, sample.Low, "l2", "l3")
		enqueue(t, q, sample.Bulk, "b1") // the batch is full
		if got := came(); got != "5s:n1,l1 6s:l2,l3,b1" {
			t.Errorf("came %q", got)
		}
	})
}

func testNoPause(b *bench) {
	t := b.t
	s := settings()
	s.FlushInterval, s.BatchSize = 5*time.Second, 10
	timed(t, b, s, done, func(q *queue.Queue, came func() string) {
		want := names("n", 95)
		if _, err := q.EnqueueAll(context.Background(), itemsNamed(sample.Normal, want)); err != nil {
			t.Fatal(err)
		}
		batches := strings.Fields(came())
		if len(batches) != 9 || !strings.HasPrefix(batches[8], "0s:n-00080,") {
			t.Errorf("%d batches at once: %q", len(batches), batches)
		}
		time.Sleep(5 * time.Second)
		if got := came(); !strings.HasSuffix(got, " 5s:n-00090,n-00091,n-00092,n-00093,n-00094") {
			t.Errorf("came %q", got)
		}
	})
}

func testBackoff(b *bench) {
	t := b.t
	s := settings()
	s.MaxRetries = 4
	s.RetryInitial, s.RetryBase, s.RetryMax = 100*time.Millisecond, 2, 300*time.Millisecond
	bad := func(it queue.Item) queue.Result {
		if string(it.Payload) == "bad" {
			return queue.Result{Kind: queue.Retry, Err: errTry}
		}
		return queue.Result{}
	}
	timed(t, b, s, bad, func(q *queue.Queue, came func() string) {
		enqueue(t, q, sample.High, "bad", "a")
		time.Sleep(50 * time.Millisecond)
		enqueue(t, q, sample.High, "b") // does not wait for the bad one
		time.Sleep(time.Hour)
		got := strings.Fields(came())
		at := strings.Join(got, " ")
		if want := "0s:bad 0s:a 50ms:b 100ms:bad 300ms:bad 600ms:bad 900ms:bad"; at != want && at != strings.Replace(want, "0s:bad 0s:a", "0s:bad,a", 1) {
			t.Errorf("came %q, want %q", at, want)
		}
		if st := q.Stats(); st.DeadLetters != 1 || st.TotalRetried != 4 || st.CurrentSize != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func testStop(b *bench) {
	t := b.t
	s := settings()
	s.BatchSize = 2
	want := names("n", 5)
	driver, end := outside(b.medium.Driver(t))
	defer end()
	synctest.Test(t, func(t *testing.T) {
		q := b.start(t, driver, s)
		if _, err := q.EnqueueAll(context.Background(), itemsNamed(sample.Normal, want)); err != nil {
			t.Fatal(err)
		}
		process := func(ctx context.Context, items []queue.Item) []queue.Result {
			select {
			case <-time.After(10 * time.Second):
				return make([]queue.Result, len(items))
			case <-ctx.Done():
				return slices.Repeat([]queue.Result{{Kind: queue.Retry, Err: ctx.Err()}}, len(items))
			}
		}
		stop := func(patience time.Duration) error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return q.Stop(ctx)
		}
		if err := stop(0); err != nil {
			t.Errorf("stop of what was not started: %v", err)
		}
		for i, patience := range []time.Duration{time.Minute, time.Second} {
			if err := q.Start(context.Background(), process); err != nil {
				t.Fatal(err)
			}
			if err := q.Start(context.Background(), process); err == nil {
				t.Error("started twice")
			}
			synctest.Wait()
			start := time.Now()
			err := stop(patience)
			if took := time.Since(start); (err != nil) != (i == 1) || took != []time.Duration{10 * time.Second, time.Second}[i] {
				t.Errorf("stop within %v: %v after %v", patience, err, took)
			}
			if n := q.Len(); n != 3 {
				t.Errorf("%d left", n)
			}
		}
		if err := stop(time.Minute); err != nil {
			t.Error(err)
		}
		items, err := q.Dequeue(context.Background(), 5)
		if got := texts(items); err != nil || !slices.Equal(got, want[2:]) {
			t.Errorf("left %q, %v", got, err)
		}
	})
}
