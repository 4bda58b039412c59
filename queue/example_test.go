package queue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/sample"
)

// A queue is made from a driver and settings. Defaults are those of a
// configuration file that says nothing.
func ExampleNew() {
	settings := queue.Defaults()
	settings.MaxSize = 1000
	settings.DropOnFull = false // when it is full, those who enqueue wait

	q, err := queue.New(memory.New(), settings, queue.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(q.Len(), "items,", q.Stats().WhenFull, "when full")

	settings.MaxSize = 0
	_, err = queue.New(memory.New(), settings, queue.Options{})
	fmt.Println(err)
	// Output:
	// 0 items, wait when full
	// invalid queue settings: max_size must be greater than 0
}

// newQueue is a queue in memory that does not wait for full batches.
func newQueue() *queue.Queue {
	settings := queue.Defaults()
	settings.FlushInterval = 0
	settings.RetryInitial = time.Millisecond
	q, err := queue.New(memory.New(), settings, queue.Options{})
	if err != nil {
		panic(err)
	}
	return q
}

// An item that Enqueue has given an id is accepted: as durable as the driver
// makes it.
func ExampleQueue_Enqueue() {
	q := newQueue()
	ctx := context.Background()

	_, err := q.Enqueue(ctx, queue.Item{
		Source: "jetdrive", Priority: sample.High, Samples: 60,
		Payload:  []byte("one batch"),
		Metadata: map[string]string{"provider": "0x43FD"},
	})
	fmt.Println(q.Len(), err)

	_, err = q.Enqueue(ctx, queue.Item{Source: "jetdrive", Priority: 9})
	fmt.Println(errors.Is(err, queue.ErrPriority))
	// Output:
	// 1 <nil>
	// true
}

// Items that are enqueued together share a commit.
func ExampleQueue_EnqueueAll() {
	q := newQueue()
	ids, err := q.EnqueueAll(context.Background(), []queue.Item{
		{Source: "import", Priority: sample.Bulk, Payload: []byte("first")},
		{Source: "import", Priority: sample.Bulk, Payload: []byte("second")},
	})
	fmt.Println(len(ids), err)
	// Output: 2 <nil>
}

// Start hands batches to a processor in the background, the most urgent items
// first. It answers for each item: done, rejected for good, or try again.
func ExampleQueue_Start() {
	q := newQueue()
	ctx := context.Background()
	for _, item := range []queue.Item{
		{Source: "innovate", Priority: sample.Low, Payload: []byte("sensor status")},
		{Source: "jetdrive", Priority: sample.Critical, Payload: []byte("oil pressure")},
		{Source: "jetdrive", Priority: sample.High, Payload: []byte("rpm")},
	} {
		if _, err := q.Enqueue(ctx, item); err != nil {
			fmt.Println(err)
		}
	}

	done := make(chan struct{}, 3)
	err := q.Start(ctx, func(_ context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		for i := range items {
			fmt.Printf("%s: %s\n", items[i].Priority, items[i].Payload)
			results[i] = queue.Result{Kind: queue.Done}
			done <- struct{}{}
		}
		return results
	})
	if err != nil {
		fmt.Println(err)
	}
	for range 3 {
		<-done
	}
	if err := q.Stop(ctx); err != nil { // finishes the batch in hand
		fmt.Println(err)
	}
	fmt.Println(q.Len(), "left")
	// Output:
	// critical: oil pressure
	// high: rpm
	// low: sensor status
	// 0 left
}

// Who wants to do the processing himself leases items and settles them. What
// is not settled comes again.
func ExampleQueue_Dequeue() {
	q := newQueue()
	ctx := context.Background()
	_, err := q.Enqueue(ctx, queue.Item{Source: "jetdrive", Payload: []byte("rpm")})
	if err != nil {
		fmt.Println(err)
	}
	items, err := q.Dequeue(ctx, 10)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s, %d in the queue\n", items[0].Payload, q.Len())
	err = q.Settle(ctx, items, []queue.Result{{Kind: queue.Done}})
	fmt.Printf("%d in the queue, %v\n", q.Len(), err)
	// Output:
	// rpm, 1 in the queue
	// 0 in the queue, <nil>
}

// Drain processes what is there without a background worker.
func ExampleQueue_Drain() {
	q := newQueue()
	ctx := context.Background()
	for range 3 {
		if _, err := q.Enqueue(ctx, queue.Item{Source: "import"}); err != nil {
			fmt.Println(err)
		}
	}
	report, err := q.Drain(ctx, rejectAll("not wanted"), 2)
	fmt.Printf("%+v %v\n", report, err)
	// Output: {Done:0 Failed:2 Left:1} <nil>
}

func rejectAll(reason string) queue.Processor {
	return func(_ context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		for i := range results {
			results[i] = queue.Result{Kind: queue.Rejected, Reason: reason, Err: errors.New("no channel 7 in its set")}
		}
		return results
	}
}

// withDeadLetter is a queue whose one item was rejected.
func withDeadLetter(ctx context.Context) *queue.Queue {
	q := newQueue()
	_, err := q.Enqueue(ctx, queue.Item{Source: "jetdrive", Priority: sample.High, Payload: []byte("rpm")})
	if err != nil {
		panic(err)
	}
	if _, err := q.Drain(ctx, rejectAll("undecodable"), -1); err != nil {
		panic(err)
	}
	return q
}

// A dead letter keeps the item and says why it was given up.
func ExampleQueue_DeadLetters() {
	ctx := context.Background()
	q := withDeadLetter(ctx)
	letters, err := q.DeadLetters(ctx, queue.Filter{Source: "jetdrive"}, 0, 100)
	if err != nil {
		fmt.Println(err)
	}
	for _, d := range letters {
		fmt.Printf("%s %s, attempt %d: %s: %s\n", d.Priority, d.Payload, d.Attempts, d.Reason, d.LastError)
	}
	// Output: high rpm, attempt 1: undecodable: no channel 7 in its set
}

// A revived dead letter is processed again, with its priority and all its
// attempts.
func ExampleQueue_Revive() {
	ctx := context.Background()
	q := withDeadLetter(ctx)
	letters, err := q.DeadLetters(ctx, queue.Filter{}, 0, 1)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(q.Revive(ctx, letters[0].ID))
	fmt.Println(errors.Is(q.Revive(ctx, letters[0].ID), queue.ErrNotFound))

	items, err := q.Dequeue(ctx, 1)
	fmt.Printf("%s %s, %d attempts, %v\n", items[0].Priority, items[0].Payload, items[0].Attempts, err)
	// Output:
	// <nil>
	// true
	// high rpm, 0 attempts, <nil>
}

// Clear removes what waits, on disk too; dead letters stay.
func ExampleQueue_Clear() {
	ctx := context.Background()
	q := withDeadLetter(ctx)
	if _, err := q.Enqueue(ctx, queue.Item{Source: "jetdrive"}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(q.Clear(ctx))
	fmt.Println(q.Len(), q.Stats().DeadLetters)
	// Output:
	// 1 <nil>
	// 0 1
}

// Stats is the queue at one moment.
func ExampleQueue_Stats() {
	ctx := context.Background()
	q := withDeadLetter(ctx)
	if _, err := q.Enqueue(ctx, queue.Item{Source: "jetdrive", Priority: sample.High}); err != nil {
		fmt.Println(err)
	}
	s := q.Stats()
	fmt.Println("accepted", s.TotalEnqueued, "failed", s.TotalFailed, "dropped", s.TotalDropped)
	fmt.Println("waiting", s.CurrentSize, "of", s.MaxSize, "high", s.ByPriority["high"], "dead letters", s.DeadLetters)
	// Output:
	// accepted 2 failed 1 dropped 0
	// waiting 1 of 10000 high 1 dead letters 1
}
