package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/vfs" // for the connection of a foreign tool

	"dynotap/queue"
	"dynotap/sample"
)

// foreignBusy is how long package db waits for a foreign tool that has locked
// the file; a write that was begun cannot be given up before.
const foreignBusy = 5 * time.Second

// stopGrace is what a stop may take beyond its deadline on a busy machine.
const stopGrace = 5 * time.Second

// lockDatabase holds the database's write lock as a foreign tool does.
func lockDatabase(t *testing.T, r *rig) (unlock func()) {
	t.Helper()
	conn, err := sqlite3.Open(r.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.BusyTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(conn.Exec(`ROLLBACK`), conn.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestPromise7StopIsBoundedOnALockedDatabase stops while nothing can be
// written: what is accepted stays for the next start.
func TestPromise7StopIsBoundedOnALockedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hold := newGate()
	r := openRig(t, dir, setup{process: func(process queue.Processor) queue.Processor {
		return func(ctx context.Context, items []queue.Item) []queue.Result {
			hold.wait()
			return process(ctx, items)
		}
	}})
	defer hold.let()
	r.start()
	accept := r.lane("cell")
	f := newFeed("cell", r.clock.Micros())
	for range 10 {
		if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	<-hold.reached
	unlock := lockDatabase(t, r)
	hold.let()
	const limit = 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begun := time.Now()
	left, err := r.Stop(ctx)
	if took := time.Since(begun); took > limit+foreignBusy+stopGrace {
		t.Errorf("stopping within %v took %v", limit, took)
	}
	if !errors.Is(err, context.DeadlineExceeded) || left.Samples != 300 || left.Items != 10 {
		t.Errorf("left %+v, %v", left, err)
	}
	unlock()
	r.close()
	endsWell(t, dir, f)
}

// endsWell starts and stops once more, and holds what is there to what f sent.
func endsWell(t *testing.T, dir string, f *feed) {
	t.Helper()
	r := openRig(t, dir, setup{})
	r.start()
	r.stop()
	r = openRig(t, dir, setup{})
	c := r.captures()[0]
	r.checkFeed(r.points(c.ID, true), f, 0, f.count)
	if s := r.session(c.ID); c.EndedUS == nil || s.To == nil || s.SampleCount != 3*f.count {
		t.Errorf("the session is %+v of %+v", s, c)
	}
	if n := r.number(`SELECT count(*) FROM chunks`); n != 0 {
		t.Errorf("%d chunks are not sealed", n)
	}
}

// TestPromise7SealingIsBoundedOnALockedDatabase: everything is delivered, but
// the session can be neither ended nor sealed.
func TestPromise7SealingIsBoundedOnALockedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := openRig(t, dir, setup{})
	if err := r.Recover(t.Context()); err != nil { // and not Start: the recorder at its work would be in the way
		t.Fatal(err)
	}
	f := newFeed("cell", r.clock.Micros())
	if err := r.lane("cell")(t.Context(), f.next(10, sample.High)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Queue.Drain(t.Context(), r.process, -1); err != nil {
		t.Fatal(err)
	}
	unlock := lockDatabase(t, r)
	const limit = 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begun := time.Now()
	left, err := r.Stop(ctx)
	if took := time.Since(begun); took > limit+foreignBusy+stopGrace {
		t.Errorf("stopping within %v took %v", limit, took)
	}
	if err == nil || left != (Left{}) {
		t.Errorf("left %+v, %v", left, err)
	}
	unlock()
	r.close()
	endsWell(t, dir, f)
}

// TestPromise7StopIsBoundedWhenAProcessorHangs: one that heeds its context and
// one that does not.
func TestPromise7StopIsBoundedWhenAProcessorHangs(t *testing.T) {
	t.Parallel()
	for name, heeds := range map[string]bool{"heeds its context": true, "heeds nothing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			hold := newGate()
			defer hold.let()
			r := openRig(t, dir, setup{process: func(process queue.Processor) queue.Processor {
				return func(ctx context.Context, items []queue.Item) []queue.Result {
					if heeds {
						hold.once.Do(func() { close(hold.reached) })
						<-ctx.Done()
						results := make([]queue.Result, len(items))
						for i := range results {
							results[i] = queue.Result{Kind: queue.Retry, Err: ctx.Err()}
						}
						return results
					}
					hold.wait()
					return process(ctx, items)
				}
			}})
			r.start()
			accept := r.lane("cell")
			f := newFeed("cell", r.clock.Micros())
			for range 10 {
				if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
					t.Fatal(err)
				}
			}
			<-hold.reached
			const limit = 100 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			begun := time.Now()
			left, err := r.Stop(ctx)
			if took := time.Since(begun); took > limit+stopGrace {
				t.Errorf("stopping within %v took %v", limit, took)
			}
			if !errors.Is(err, context.DeadlineExceeded) || left.Samples != 300 || left.Items != 10 {
				t.Errorf("left %+v, %v", left, err)
			}
			hold.let()
			r.close()
			endsWell(t, dir, f)
		})
	}
}

// TestStopWithoutStart: a start that failed half way stops all the same.
func TestStopWithoutStart(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), setup{})
	if left, err := r.Stop(t.Context()); err != nil || left != (Left{}) {
		t.Errorf("left %+v, %v", left, err)
	}
}

// TestStopLeavesRetriesThatAreNotDue: their delay is not waited for, and they
// are told of.
func TestStopLeavesRetriesThatAreNotDue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := openRig(t, dir, setup{
		queue: func(s *queue.Settings) { s.RetryInitial, s.RetryMax = time.Hour, time.Hour },
		process: func(process queue.Processor) queue.Processor {
			return func(ctx context.Context, items []queue.Item) []queue.Result {
				results := process(ctx, items)
				results[0] = queue.Result{Kind: queue.Retry, Err: errors.New("not now")}
				return results
			}
		},
	})
	r.start()
	f := newFeed("cell", r.clock.Micros())
	if err := r.lane("cell")(t.Context(), f.next(10, sample.High)); err != nil {
		t.Fatal(err)
	}
	if left := r.stop(); left != (Left{Items: 1, Samples: 30}) {
		t.Errorf("left %+v", left)
	}
	endsWell(t, dir, f)
}
