package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/internal/db/dbtest"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

// openQueue opens a queue on a disk that a test breaks.
func openQueue(t *testing.T, dir, vfs string, s queue.Settings, opts queue.Options) (*db.DB, *queue.Queue) {
	t.Helper()
	d := openPower(t, dir, db.Options{Fsync: true, VFS: vfs})
	q, err := queue.New(sqlite.New(d), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return d, q
}

// named are items of one class.
func named(names ...string) []queue.Item {
	items := make([]queue.Item, len(names))
	for i, name := range names {
		items[i] = queue.Item{Source: "s", Priority: sample.High, Samples: 3, Payload: []byte(name)}
	}
	return items
}

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

// TestQ13DiskFailsNowAndThen: producers try again what was not accepted, and
// in the end everything was accepted and took effect, once.
func TestQ13DiskFailsNowAndThen(t *testing.T) {
	t.Parallel()
	faults := dbtest.NewFaults(t)
	faults.SkipSync()
	d, q := openQueue(t, t.TempDir(), faults.Name, insistent(), queue.Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	var refused sync.Map
	insist(t, d, q, 40, 300, func(err error) {
		if !errors.Is(err, db.ErrIO) && !errors.Is(err, db.ErrDiskFull) && !errors.Is(err, db.ErrRolledBack) {
			t.Errorf("enqueue: %v", err)
		}
		refused.Store(err.Error(), true)
	}, func(round int) {
		faults.FailSteps(0, 0)
		if round%4 == 0 {
			faults.FailSteps(1+rnd.Int64N(30), 1+rnd.Int64N(10))
		}
		faults.FailSync(round%4 == 1)
		faults.Full(round%4 == 2)
	})
	errs := 0
	refused.Range(func(any, any) bool { errs++; return true })
	if errs < 2 {
		t.Errorf("%d kinds of errors", errs)
	}
}

func insistent() queue.Settings {
	s := queue.Defaults()
	s.DropOnFull, s.FlushInterval, s.BatchSize = false, 0, 7
	return s
}

// insist enqueues from four producers, at least so many items each, every item
// until it is accepted, and processes at the same time. trouble is called in rounds until everybody has got
// through, and then with a round of -1, which must leave the disk sound.
func insist(t *testing.T, d *db.DB, q *queue.Queue, each, size int, refused func(error), trouble func(round int)) {
	t.Helper()
	const producers = 4
	err := q.Start(context.Background(), func(_ context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		for i := range items {
			results[i].Effect = effect(nameOf(items[i].Payload))
		}
		return results
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var enough atomic.Bool
	var accepted atomic.Int64
	for p := range producers {
		wg.Go(func() {
			for i := 0; i < each || !enough.Load(); i++ {
				payload := fmt.Appendf(nil, "%d-%d %s", p, i, strings.Repeat("x", size))
				for {
					_, err := q.Enqueue(context.Background(), queue.Item{Source: "s", Priority: sample.High, Payload: payload})
					if err == nil {
						accepted.Add(1)
						break
					}
					refused(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for round, going := 0, true; going; round++ {
		enough.Store(round >= 12)
		trouble(round)
		select {
		case <-done:
			going = false
		case <-time.After(5 * time.Millisecond):
		}
	}
	trouble(-1)
	until(t, "the queue is empty", func() bool { return q.Len() == 0 })
	if err := q.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	kept, effects := keptAndDone(t, d)
	for name, n := range effects {
		if n != 1 {
			t.Errorf("%s took effect %d times", name, n)
		}
	}
	if st := q.Stats(); len(kept) != 0 || int64(len(effects)) != accepted.Load() || st.TotalEnqueued != accepted.Load() ||
		st.TotalProcessed != accepted.Load() || st.TotalDropped != 0 || st.DeadLetters != 0 {
		t.Errorf("%d kept, %d took effect, statistics %+v", len(kept), len(effects), st)
	}
	if err := sound(context.Background(), d); err != nil {
		t.Error(err)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestQ13FailingReadsLoseNothing: what cannot be read now is read later.
func TestQ13FailingReadsLoseNothing(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*dbtest.Faults, bool){
		"reads fail": (*dbtest.Faults).FailRead, "short reads": (*dbtest.Faults).ShortRead,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const items = 1200 // more than are kept in memory
			dir, faults := t.TempDir(), dbtest.NewFaults(t)
			d, q := openQueue(t, dir, faults.Name, queue.Defaults(), queue.Options{})
			group := make([]queue.Item, items)
			for i := range group {
				group[i] = queue.Item{Source: "s", Payload: fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 9000))}
			}
			if _, err := q.EnqueueAll(t.Context(), group); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			fail(faults, true)
			if d, err := db.Open(t.Context(), dir, db.Options{VFS: faults.Name}); err == nil {
				t.Error("opened without reading")
				_ = d.Close()
			} else {
				t.Log(err)
			}
			fail(faults, false)
			_, q = openQueue(t, dir, faults.Name, queue.Defaults(), queue.Options{})
			var got []string
			var dequeue, settle error // the first ones
			for rounds := 0; len(got) < items && rounds < 2*items; rounds++ {
				fail(faults, len(got) > 0 && dequeue == nil)
				taken, err := q.Dequeue(t.Context(), 50)
				for err == nil && dequeue == nil && len(got) > 0 { // until none is in memory
					var more []queue.Item
					more, err = q.Dequeue(t.Context(), 50)
					taken = append(taken, more...)
				}
				if dequeue == nil {
					dequeue = err
				}
				answers := make([]queue.Result, len(taken))
				fail(faults, len(got) > 0 && settle == nil)
				err = q.Settle(t.Context(), taken, answers)
				fail(faults, false)
				if err != nil {
					settle = err
					err = q.Settle(t.Context(), taken, answers)
				}
				if err != nil {
					t.Fatal(err)
				}
				for i := range taken {
					got = append(got, nameOf(taken[i].Payload))
				}
			}
			t.Logf("dequeue: %v; settle: %v", dequeue, settle)
			for i, name := range got {
				if name != fmt.Sprint(i) {
					t.Fatalf("item %d is %s", i, name)
				}
			}
			if dequeue == nil || settle == nil || len(got) != items || q.Len() != 0 || q.Stats().DeadLetters != 0 {
				t.Errorf("took %d, statistics %+v", len(got), q.Stats())
			}
		})
	}
}

// TestQ13SlowDisk: while the disk takes its time, everybody is served who
// needs it not, and who waits for it may give up before his turn.
func TestQ13SlowDisk(t *testing.T) {
	t.Parallel()
	faults := dbtest.NewFaults(t)
	_, q := openQueue(t, t.TempDir(), faults.Name, queue.Defaults(), queue.Options{})
	if _, err := q.EnqueueAll(t.Context(), named("a", "b")); err != nil {
		t.Fatal(err)
	}
	release := faults.Hold()
	patience := time.AfterFunc(20*time.Second, release)
	steps := faults.Steps()
	held := make(chan error, 1)
	go func() { _, err := q.Enqueue(context.Background(), named("c")[0]); held <- err }()
	until(t, "the disk is asked", func() bool { return faults.Steps() > steps })
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() { _, err := q.Enqueue(ctx, named("d")[0]); gaveUp <- err }()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("enqueue of one who gave up: %v", err)
	}
	if st := q.Stats(); st.CurrentSize != 2 || q.Len() != 2 {
		t.Errorf("statistics %+v", st)
	}
	if items, err := q.Peek(t.Context(), 5); err != nil || len(items) != 2 {
		t.Errorf("peeked %v, %v", items, err)
	}
	items, err := q.Dequeue(t.Context(), 5)
	if err != nil || len(items) != 2 || string(items[0].Payload) != "a" {
		t.Errorf("dequeued %v, %v", items, err)
	}
	if !patience.Stop() {
		t.Fatal("nobody was served before the disk was")
	}
	release()
	if err := errors.Join(<-held, q.Settle(t.Context(), items, make([]queue.Result, len(items)))); err != nil {
		t.Error(err)
	}
	if items, err := q.Peek(t.Context(), 5); err != nil || len(items) != 1 || string(items[0].Payload) != "c" {
		t.Errorf("peeked %v, %v", items, err)
	}
}

// TestQ13FailedFsyncThenKill: an item whose fsync failed was not accepted; when
// the program is killed in that moment it is there as a whole or not at all.
func TestQ13FailedFsyncThenKill(t *testing.T) {
	t.Parallel()
	faults, dir := dbtest.NewFaults(t), t.TempDir()
	_, q := openQueue(t, dir, faults.Name, queue.Defaults(), queue.Options{})
	if _, err := q.EnqueueAll(t.Context(), named("a", "b")); err != nil {
		t.Fatal(err)
	}
	faults.FailSync(true)
	if _, err := q.EnqueueAll(t.Context(), named("c", "d")); !errors.Is(err, db.ErrIO) {
		t.Errorf("enqueue: %v", err)
	}
	left := t.TempDir()
	for _, name := range []string{db.FileName, db.FileName + "-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(left, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	faults.FailSync(false)
	d, after := openQueue(t, left, "", queue.Defaults(), queue.Options{})
	if err := sound(t.Context(), d); err != nil || after.Len() != 2 && after.Len() != 4 {
		t.Errorf("%d items, %v", after.Len(), err)
	}
	t.Logf("%d items of 2 accepted and 2 refused", after.Len())
}
