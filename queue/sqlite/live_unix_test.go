//go:build unix

package sqlite_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
)

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOneTransaction is what a single small batch costs that has nobody
// to share a commit with: a row of 600 bytes, a batch into the queue, and its
// whole way into the chunks.
func BenchmarkOneTransaction(b *testing.B) {
	payload := bytes.Repeat([]byte{7}, 600)
	measure := func(b *testing.B, one func() error) {
		b.Helper()
		start := cpu(b)
		for b.Loop() {
			if err := one(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpu(b)-start).Microseconds())/float64(b.N), "cpu-µs/op")
	}
	for name, fsync := range map[string]bool{"fsync": true, "nofsync": false} {
		d, err := db.Open(b.Context(), b.TempDir(), db.Options{Fsync: fsync})
		if err != nil {
			b.Fatal(err)
		}
		i := 0
		b.Run("row/"+name, func(b *testing.B) {
			measure(b, func() error {
				return d.Write(context.Background(), func(tx *db.Tx) error {
					i++
					binary.LittleEndian.PutUint64(payload, uint64(i)) // the same bytes again would not be written
					return tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, string(rune('a'+i%26)), payload)
				})
			})
		})
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
		l := newLoop(b, db.Options{Fsync: fsync}, payload)
		b.Run("enqueue/"+name, func(b *testing.B) {
			measure(b, func() error {
				_, err := l.queue.Enqueue(context.Background(), l.item)
				return err
			})
		})
		if _, err := l.queue.Clear(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.Run("enqueue+move/"+name, func(b *testing.B) {
			measure(b, func() error {
				ctx := context.Background()
				if _, err := l.queue.Enqueue(ctx, l.item); err != nil {
					return err
				}
				items, err := l.queue.Dequeue(ctx, 1)
				if err != nil {
					return err
				}
				return l.queue.Settle(ctx, items, l.moved)
			})
		})
	}
}

// loop is a queue and what to put through it. How it compares with a bare loop
// over the same engine, "dynotap bench queue" tells.
type loop struct {
	queue *queue.Queue
	item  queue.Item
	moved []queue.Result // stored as a chunk in the transaction that removes it
}

func newLoop(b *testing.B, opts db.Options, payload []byte) *loop {
	b.Helper()
	s := queue.Defaults()
	s.MaxSize = math.MaxInt32
	q, err := queue.New(newMedium(b, opts).Driver(b), s, queue.Options{})
	if err != nil {
		b.Fatal(err)
	}
	set := make([]byte, 32)
	store := func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO chunks (capture, batch, set_id, first_us, last_us, samples, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			"0190a7e2-0000-7000-8000-000000000000", set[:16], set, 1, 2, 60, payload)
	}
	return &loop{
		queue: q,
		item:  queue.Item{Source: "jetdrive", Priority: sample.Normal, Samples: 60, Payload: payload},
		moved: []queue.Result{{Effect: store}},
	}
}
