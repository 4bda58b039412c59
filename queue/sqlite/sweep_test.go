package sqlite_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/internal/db/dbtest"
	"dynotap/queue"
)

// TestQ13FaultAtEveryStep fails each write, truncation and fsync of each kind
// of change, the one alone and all from there on: the change is made or not,
// as its caller was told, and can be made afterwards.
func TestQ13FaultAtEveryStep(t *testing.T) {
	t.Parallel()
	all := func(kind queue.Kind) func(*queue.Queue, []queue.Item) error {
		return func(q *queue.Queue, leased []queue.Item) error {
			results := make([]queue.Result, len(leased))
			for i := range results {
				results[i] = queue.Result{Kind: kind, Reason: "no"}
				if kind == queue.Done {
					results[i].Effect = effect(string(leased[i].Payload))
				}
			}
			return q.Settle(context.Background(), leased, results)
		}
	}
	ctx := context.Background()
	for name, c := range map[string]struct {
		waiting, dead []string
		lease         bool
		act           func(q *queue.Queue, leased []queue.Item) error
		before, after string
	}{
		"enqueue": {
			[]string{"a"}, nil, false,
			func(q *queue.Queue, _ []queue.Item) error { _, err := q.Enqueue(ctx, named("b")[0]); return err },
			"waiting a.0 dead  done ", "waiting a.0 b.0 dead  done ",
		},
		"enqueue a group": {
			[]string{"a"}, nil, false,
			func(q *queue.Queue, _ []queue.Item) error { _, err := q.EnqueueAll(ctx, named("b", "c")); return err },
			"waiting a.0 dead  done ", "waiting a.0 b.0 c.0 dead  done ",
		},
		"evict": {
			[]string{"a", "b", "c", "d"}, nil, false,
			func(q *queue.Queue, _ []queue.Item) error { _, err := q.Enqueue(ctx, named("e")[0]); return err },
			"waiting a.0 b.0 c.0 d.0 dead  done ", "waiting b.0 c.0 d.0 e.0 dead  done ",
		},
		"settle": {
			[]string{"a", "b"}, nil, true, all(queue.Done),
			"waiting a.0 b.0 dead  done ", "waiting dead  done a=1 b=1 ",
		},
		"retry": {
			[]string{"a", "b"}, nil, true, all(queue.Retry),
			"waiting a.0 b.0 dead  done ", "waiting a.1 b.1 dead  done ",
		},
		"bury": {
			[]string{"a", "b"}, nil, true, all(queue.Rejected),
			"waiting a.0 b.0 dead  done ", "waiting dead a.1 b.1 done ",
		},
		"revive": {
			[]string{"b"}, []string{"a"}, false,
			func(q *queue.Queue, _ []queue.Item) error { _, err := q.ReviveAll(ctx, queue.Filter{}); return err },
			"waiting b.0 dead a.1 done ", "waiting a.0 b.0 dead  done ",
		},
		"forget": {
			[]string{"b"}, []string{"a"}, false,
			func(q *queue.Queue, _ []queue.Item) error { _, err := q.ForgetAll(ctx, queue.Filter{}); return err },
			"waiting b.0 dead a.1 done ", "waiting b.0 dead  done ",
		},
		"clear": {
			[]string{"a", "b"}, nil, false,
			func(q *queue.Queue, _ []queue.Item) error { _, err := q.Clear(ctx); return err },
			"waiting a.0 b.0 dead  done ", "waiting dead  done ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &broken{t: t, faults: dbtest.NewFaults(t), dir: t.TempDir()}
			b.faults.SkipSync()
			s := queue.Defaults()
			s.MaxSize, s.RetryInitial = 4, 0
			b.db, b.queue = openQueue(t, b.dir, b.faults.Name, s, queue.Options{})
			// A checkpoint is part of every commit.
			if err := b.db.Write(ctx, func(tx *db.Tx) error { return tx.Exec(`PRAGMA wal_autocheckpoint=1`) }); err != nil {
				t.Fatal(err)
			}
			for _, count := range []int64{1, 1 << 40} {
				n, failed := int64(1), 0
				for again := true; again; n++ {
					leased := b.prepare(c.waiting, c.dead, c.lease)
					b.expect(n, c.before)
					steps := b.faults.Steps()
					b.faults.FailSteps(n, count)
					err := c.act(b.queue, leased)
					again = b.faults.Steps()-steps >= n
					b.faults.FailSteps(0, 0)
					if err == nil {
						b.expect(n, c.after)
						continue
					}
					failed++
					if !db.Environmental(err) {
						t.Errorf("step %d: %v", n, err)
					}
					b.expect(n, c.before)
					if err := c.act(b.queue, leased); err != nil {
						t.Errorf("step %d, again: %v", n, err)
					}
					b.expect(n, c.after)
				}
				if failed == 0 {
					t.Error("no fault did any harm")
				}
				t.Logf("%d steps, %d fatal", n-2, failed)
			}
			if err := b.db.Close(); err != nil {
				t.Error(err)
			}
			b.db, b.queue = openQueue(t, b.dir, "", s, queue.Options{})
			b.expect(0, c.after)
		})
	}
}

// broken is a queue on a disk that fails.
type broken struct {
	t      *testing.T
	faults *dbtest.Faults
	dir    string
	db     *db.DB
	queue  *queue.Queue
}

// prepare makes the queue hold what it is told, and nothing else.
func (b *broken) prepare(waiting, dead []string, lease bool) (leased []queue.Item) {
	t, ctx := b.t, b.t.Context()
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.queue.Clear(ctx)
	must(err)
	_, err = b.queue.ForgetAll(ctx, queue.Filter{})
	must(err)
	must(b.db.Write(ctx, func(tx *db.Tx) error { return tx.Exec(`DELETE FROM meta WHERE key LIKE 'item %'`) }))
	if len(dead) > 0 {
		_, err = b.queue.EnqueueAll(ctx, named(dead...))
		must(err)
		items, err := b.queue.Dequeue(ctx, len(dead))
		must(err)
		results := make([]queue.Result, len(items))
		for i := range results {
			results[i] = queue.Result{Kind: queue.Rejected, Reason: "no"}
		}
		must(b.queue.Settle(ctx, items, results))
	}
	_, err = b.queue.EnqueueAll(ctx, named(waiting...))
	must(err)
	if lease {
		leased, err = b.queue.Dequeue(ctx, len(waiting))
		must(err)
	}
	return leased
}

// expect compares what lies in the tables, and what the queue says of it.
func (b *broken) expect(step int64, want string) {
	b.t.Helper()
	var got strings.Builder
	counts := map[string]int{}
	list := func(c *db.Conn, name, sql string) error {
		got.WriteString(name)
		return c.Query(sql, func(s *sqlite3.Stmt) error {
			counts[name]++
			got.WriteString(s.ColumnText(0) + " ")
			return nil
		})
	}
	err := b.db.Read(b.t.Context(), func(c *db.Conn) error {
		return errors.Join(
			list(c, "waiting ", `SELECT cast(payload AS TEXT) || '.' || attempts FROM queue ORDER BY id`),
			list(c, "dead ", `SELECT cast(payload AS TEXT) || '.' || attempts FROM dead_letters ORDER BY id`),
			list(c, "done ", `SELECT substr(key, 6) || '=' || value FROM meta WHERE key LIKE 'item %' ORDER BY key`))
	})
	if err := errors.Join(err, sound(b.t.Context(), b.db)); err != nil {
		b.t.Errorf("step %d: %v", step, err)
	}
	if text := strings.ReplaceAll(got.String(), "dead done", "dead  done"); text != want {
		b.t.Errorf("step %d: found %q, want %q", step, text, want)
	}
	if st := b.queue.Stats(); st.CurrentSize != counts["waiting "] || st.DeadLetters != counts["dead "] || st.CurrentSize != b.queue.Len() {
		b.t.Errorf("step %d: found %q, the statistics say %+v", step, got.String(), st)
	}
}
