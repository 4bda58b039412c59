package sqlite_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

const group = 256

// BenchmarkAgainstBare times the queue beside the least that the same engine
// can do for the same outcome: one table of id and payload, prepared
// statements, the same groups and fsyncs. What a store makes of a moved item is
// the same in both. "ratio" is queue to bare.
func BenchmarkAgainstBare(b *testing.B) {
	for _, size := range []int{200, 1700} {
		payload := bytes.Repeat([]byte{7}, size)
		for _, work := range []string{"enqueue", "dequeue", "move"} {
			b.Run(fmt.Sprintf("%s/%dB", work, size), func(b *testing.B) {
				q, bare := newLoop(b, payload), newBare(b, payload)
				var ours, theirs time.Duration
				for b.Loop() {
					ours += q.run(b, work)
					theirs += bare.run(b, work)
				}
				items := float64(b.N * group)
				b.ReportMetric(items/ours.Seconds(), "items/s")
				b.ReportMetric(items/theirs.Seconds(), "bare/s")
				b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// loop drives the queue.
type loop struct {
	queue   *queue.Queue
	items   []queue.Item
	results map[string][]queue.Result
}

func newLoop(b *testing.B, payload []byte) *loop {
	b.Helper()
	return newLoopOn(b, db.Options{Fsync: true}, payload)
}

func newLoopOn(b *testing.B, opts db.Options, payload []byte) *loop {
	b.Helper()
	d, err := db.Open(context.Background(), b.TempDir(), opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	s := queue.Defaults()
	s.MaxSize = 1 << 30
	q, err := queue.New(sqlite.New(d), s, queue.Options{})
	if err != nil {
		b.Fatal(err)
	}
	l := &loop{queue: q, results: map[string][]queue.Result{"dequeue": make([]queue.Result, group)}}
	set := make([]byte, 32)
	moved := queue.Result{Effect: func(tx *db.Tx) error {
		stmt, err := tx.Prepare(insertChunk)
		if err != nil {
			return err
		}
		return chunk(stmt, payload, set)
	}}
	for range group {
		l.items = append(l.items, queue.Item{Source: "jetdrive", Priority: sample.Normal, Samples: 60, Payload: payload})
		l.results["move"] = append(l.results["move"], moved)
	}
	return l
}

// BenchmarkMillion starts on a million waiting items and takes some of them.
func BenchmarkMillion(b *testing.B) {
	const items, taken = 1_000_000, 20_000
	ctx := context.Background()
	m := newMedium(b, db.Options{})
	s := queue.Defaults()
	s.MaxSize = 1 << 30
	start := func() (*queue.Queue, time.Duration) {
		began := time.Now()
		q, err := queue.New(m.Driver(b), s, queue.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return q, time.Since(began)
	}
	take := func(q *queue.Queue) float64 {
		began := time.Now()
		for range taken / group {
			got, err := q.Dequeue(ctx, group)
			if err != nil || len(got) != group {
				b.Fatal(len(got), err)
			}
			if err := q.Settle(ctx, got, make([]queue.Result, group)); err != nil {
				b.Fatal(err)
			}
		}
		return taken / time.Since(began).Seconds()
	}
	batch := make([]queue.Item, 1000)
	for i := range batch {
		batch[i] = queue.Item{Source: "s", Priority: sample.Priority(i % sample.Priorities), Samples: 1, Payload: bytes.Repeat([]byte{7}, 200)}
	}
	fill := func(q *queue.Queue, n int) {
		for range n / len(batch) {
			if _, err := q.EnqueueAll(ctx, batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		q, _ := start()
		fill(q, taken+1000)
		few := take(q)
		fill(q, items)
		m.Close(b)
		q, took := start()
		var mem runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&mem)
		b.ReportMetric(took.Seconds(), "s-start")
		b.ReportMetric(float64(mem.HeapAlloc)/(1<<20), "MiB-heap")
		b.ReportMetric(few, "few-items/s")
		b.ReportMetric(take(q), "million-items/s")
		if _, err := q.Clear(ctx); err != nil {
			b.Fatal(err)
		}
		m.Close(b)
	}
}

const insertChunk = `INSERT INTO chunks (capture, batch, set_id, first_us, last_us, samples, body) VALUES (?, ?, ?, ?, ?, ?, ?)`

func chunk(stmt *sqlite3.Stmt, payload, set []byte) error {
	for i, err := range []error{
		stmt.BindText(1, "0190a7e2-0000-7000-8000-000000000000"), stmt.BindBlob(2, set[:16]), stmt.BindBlob(3, set),
		stmt.BindInt64(4, 1), stmt.BindInt64(5, 2), stmt.BindInt64(6, 60), stmt.BindBlob(7, payload),
	} {
		if err != nil {
			return fmt.Errorf("parameter %d: %w", i, err)
		}
	}
	return stmt.Exec()
}

func (l *loop) run(b *testing.B, work string) time.Duration {
	b.Helper()
	ctx := context.Background()
	start := time.Now()
	if _, err := l.queue.EnqueueAll(ctx, l.items); err != nil {
		b.Fatal(err)
	}
	enqueued := time.Now()
	results := l.results[work]
	if work == "enqueue" {
		results = l.results["dequeue"]
	}
	items, err := l.queue.Dequeue(ctx, group)
	if err != nil || len(items) != group {
		b.Fatal(len(items), err)
	}
	if err := l.queue.Settle(ctx, items, results); err != nil {
		b.Fatal(err)
	}
	if work == "enqueue" {
		return enqueued.Sub(start)
	}
	return time.Since(enqueued)
}

// bare is the same work without a queue.
type bare struct {
	conn                                  *sqlite3.Conn
	begin, commit, put, take, drop, chunk *sqlite3.Stmt
	payload, set                          []byte
	next                                  int64
}

func newBare(b *testing.B, payload []byte) *bare {
	b.Helper()
	conn, err := sqlite3.Open(filepath.Join(b.TempDir(), "bare.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	err = conn.Exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
		CREATE TABLE q (id INTEGER PRIMARY KEY, payload BLOB);
		CREATE TABLE chunks (seq INTEGER PRIMARY KEY AUTOINCREMENT, capture TEXT NOT NULL, batch BLOB NOT NULL, set_id BLOB NOT NULL,
			first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, samples INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
		CREATE INDEX chunks_by_capture ON chunks (capture, seq, first_us, last_us, samples)`)
	if err != nil {
		b.Fatal(err)
	}
	x := &bare{conn: conn, payload: payload, set: make([]byte, 32)}
	for sql, stmt := range map[string]**sqlite3.Stmt{
		`BEGIN IMMEDIATE`:             &x.begin,
		`COMMIT`:                      &x.commit,
		`INSERT INTO q VALUES (?, ?)`: &x.put,
		`SELECT id, payload FROM q ORDER BY id LIMIT 256`: &x.take,
		`DELETE FROM q WHERE id = ?`:                      &x.drop,
		insertChunk:                                       &x.chunk,
	} {
		if *stmt, _, err = conn.Prepare(sql); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

func (x *bare) run(b *testing.B, work string) time.Duration {
	b.Helper()
	must := func(errs ...error) {
		for _, err := range errs {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	start := time.Now()
	must(x.begin.Exec())
	for range group {
		x.next++
		must(x.put.BindInt64(1, x.next), x.put.BindBlob(2, x.payload), x.put.Exec())
	}
	must(x.commit.Exec())
	enqueued := time.Now()
	must(x.begin.Exec())
	var ids []int64
	var bodies [][]byte
	for x.take.Step() {
		ids = append(ids, x.take.ColumnInt64(0))
		bodies = append(bodies, x.take.ColumnBlob(1, nil))
	}
	must(x.take.Reset())
	for i, id := range ids {
		if work == "move" {
			must(chunk(x.chunk, bodies[i], x.set))
		}
		must(x.drop.BindInt64(1, id), x.drop.Exec())
	}
	must(x.commit.Exec())
	if work == "enqueue" {
		return enqueued.Sub(start)
	}
	return time.Since(enqueued)
}
