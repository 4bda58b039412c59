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
