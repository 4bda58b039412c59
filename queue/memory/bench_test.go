package memory_test

import (
	"bytes"
	"context"
	"testing"

	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/sample"
)

func benchQueue(b *testing.B) *queue.Queue {
	b.Helper()
	s := queue.Defaults()
	s.MaxSize = 1 << 30
	q, err := queue.New(memory.New(), s, queue.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return q
}

const round = 100_000

// BenchmarkEnqueue and BenchmarkDequeue each time one half of the way of 200
// byte items, singly and in groups.
func BenchmarkEnqueue(b *testing.B) {
	it := queue.Item{Source: "s", Priority: sample.Normal, Samples: 10, Payload: bytes.Repeat([]byte{1}, 200)}
	b.Run("single", func(b *testing.B) {
		q := benchQueue(b)
		b.ReportAllocs()
		for i := range b.N {
			if i%round == 0 {
				b.StopTimer()
				empty(b, q)
				b.StartTimer()
			}
			if _, err := q.Enqueue(context.Background(), it); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, b.N)
	})
	b.Run("group256", func(b *testing.B) {
		q := benchQueue(b)
		items := make([]queue.Item, 256)
		for i := range items {
			items[i] = it
		}
		b.ReportAllocs()
		for i := range b.N {
			if i%(round/256) == 0 {
				b.StopTimer()
				empty(b, q)
				b.StartTimer()
			}
			if _, err := q.EnqueueAll(context.Background(), items); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, b.N*256)
	})
}

func BenchmarkDequeue(b *testing.B) {
	for name, group := range map[string]int{"single": 1, "group256": 256} {
		b.Run(name, func(b *testing.B) {
			q := benchQueue(b)
			fill := make([]queue.Item, round)
			for i := range fill {
				fill[i] = queue.Item{Source: "s", Priority: sample.Normal, Samples: 10, Payload: bytes.Repeat([]byte{1}, 200)}
			}
			results := make([]queue.Result, group)
			b.ReportAllocs()
			for range b.N {
				if q.Len() < group {
					b.StopTimer()
					if _, err := q.EnqueueAll(context.Background(), fill); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				items, err := q.Dequeue(context.Background(), group)
				if err != nil {
					b.Fatal(err)
				}
				if err := q.Settle(context.Background(), items, results[:len(items)]); err != nil {
					b.Fatal(err)
				}
			}
			perSecond(b, b.N*group)
		})
	}
}

func empty(b *testing.B, q *queue.Queue) {
	b.Helper()
	if _, err := q.Clear(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func perSecond(b *testing.B, items int) {
	b.Helper()
	b.ReportMetric(float64(items)/b.Elapsed().Seconds(), "items/s")
}
