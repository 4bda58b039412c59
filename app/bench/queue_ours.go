package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

// roomy are the default settings, for as many items as are measured.
func roomy() queue.Settings {
	s := queue.Defaults()
	s.MaxSize = math.MaxInt32
	return s
}

// ours is the queue in a directory of its own, or in memory.
type ours struct {
	contest
	dir     string
	db      *db.DB // nil in memory
	queue   *queue.Queue
	items   []queue.Item
	taken   []queue.Item
	results [works][]queue.Result
	chunks  int
}

func (b *queueBench) openQueue(c contest) (keeper, error) { return b.openOurs(c) }

func (b *queueBench) openOurs(c contest) (*ours, error) {
	o := &ours{contest: c}
	if b.backend == SQLiteBackend {
		var err error
		if o.dir, err = b.place(); err != nil {
			return nil, err
		}
	}
	if err := o.start(); err != nil {
		return nil, errors.Join(err, o.close())
	}
	payload, set := c.body(), make([]byte, 32)
	for i := range c.group {
		o.items = append(o.items, queue.Item{Source: "jetdrive", Priority: c.priority(i), Samples: 60, Payload: payload})
		o.results[dequeue] = append(o.results[dequeue], queue.Result{})
		o.results[move] = append(o.results[move], queue.Result{Effect: func(tx *db.Tx) error {
			stmt, err := tx.Prepare(insertChunk)
			if err != nil {
				return err
			}
			return chunk(stmt, o.taken[i].Payload, set)
		}})
	}
	return o, nil
}

// start opens the directory and the queue in it.
func (o *ours) start() (err error) {
	var driver queue.Driver = memory.New()
	if o.dir != "" {
		if o.db, err = db.Open(context.Background(), o.dir, db.Options{Fsync: true}); err != nil {
			return err
		}
		driver = sqlite.New(o.db)
	}
	o.queue, err = queue.New(driver, roomy(), queue.Options{})
	return err
}

// stop closes the directory and leaves it there.
func (o *ours) stop() error {
	if o.db == nil {
		return nil
	}
	err := o.db.Close()
	o.db = nil
	return err
}

func (o *ours) put() error {
	ctx := context.Background()
	if o.group == 1 {
		_, err := o.queue.Enqueue(ctx, o.items[0])
		return err
	}
	_, err := o.queue.EnqueueAll(ctx, o.items)
	return err
}

func (o *ours) take(w work) (err error) {
	ctx := context.Background()
	if o.taken, err = o.queue.Dequeue(ctx, o.group); err != nil {
		return err
	}
	if err := expect("came from the queue", len(o.taken), o.group); err != nil {
		return err
	}
	if w == move {
		o.chunks += o.group
	}
	return o.queue.Settle(ctx, o.taken, o.results[w])
}

func (o *ours) tidy() error {
	if o.chunks < o.mostChunks() {
		return nil
	}
	o.chunks = 0
	return o.db.Write(context.Background(), func(tx *db.Tx) error { return tx.Exec(deleteChunks) })
}

func (o *ours) close() error {
	err := o.stop()
	if o.dir != "" {
		err = errors.Join(err, os.RemoveAll(o.dir))
	}
	return err
}

// fill puts n items.
func (o *ours) fill(n int) error {
	ctx := context.Background()
	items := make([]queue.Item, min(n, 1000))
	for i := range items {
		items[i] = queue.Item{Source: "jetdrive", Priority: sample.Normal, Samples: 60, Payload: o.body()}
	}
	for ; n > 0; n -= len(items) {
		items = items[:min(n, len(items))]
		if _, err := o.queue.EnqueueAll(ctx, items); err != nil {
			return err
		}
	}
	return nil
}

// drain takes and settles everything.
func (o *ours) drain() error {
	ctx := context.Background()
	results := make([]queue.Result, 1024)
	for o.queue.Len() > 0 {
		items, err := o.queue.Dequeue(ctx, len(results))
		if err != nil {
			return err
		}
		if err := o.queue.Settle(ctx, items, results[:len(items)]); err != nil {
			return err
		}
	}
	return nil
}

// fileMiB is what the database takes on the disk, its log included.
func (o *ours) fileMiB() (float64, error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return 0, err
	}
	var bytes int64
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), db.FileName) || strings.HasSuffix(e.Name(), "-shm") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return 0, err
		}
		bytes += info.Size()
	}
	return float64(bytes) / (1 << 20), nil
}

// What a store makes of a moved item is the same for the queue and for the
// bare loop.
const (
	insertChunk  = `INSERT INTO chunks (capture, batch, set_id, first_us, last_us, samples, body) VALUES (?, ?, ?, ?, ?, ?, ?)`
	deleteChunks = `DELETE FROM chunks`
)

func chunk(stmt *sqlite3.Stmt, payload, set []byte) error {
	for i, err := range []error{
		stmt.BindText(1, "0190a7e2-0000-7000-8000-000000000000"), stmt.BindBlob(2, set[:16]), stmt.BindBlob(3, set),
		stmt.BindInt64(4, 1), stmt.BindInt64(5, 2), stmt.BindInt64(6, 60), stmt.BindBlob(7, payload),
	} {
		if err != nil {
			return fmt.Errorf("bind parameter %d: %w", i+1, err)
		}
	}
	return stmt.Exec()
}
