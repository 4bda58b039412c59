//go:build unix

package sqlite_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynotap/internal/db"
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
		l := newLoopOn(b, db.Options{Fsync: fsync}, payload)
		b.Run("enqueue/"+name, func(b *testing.B) {
			measure(b, func() error {
				_, err := l.queue.Enqueue(context.Background(), l.items[0])
				return err
			})
		})
		if _, err := l.queue.Clear(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.Run("enqueue+move/"+name, func(b *testing.B) {
			measure(b, func() error {
				ctx := context.Background()
				if _, err := l.queue.Enqueue(ctx, l.items[0]); err != nil {
					return err
				}
				items, err := l.queue.Dequeue(ctx, 1)
				if err != nil {
					return err
				}
				return l.queue.Settle(ctx, items, l.results["move"][:1])
			})
		})
	}
}
