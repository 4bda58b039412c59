package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/internal/db/dbtest"
	"dynotap/sample"
)

// TestQ13AFailingDiskHoldsSamplesAndLosesNone lets the disk fail before
// anything is stored and in mid-stream, while batches are delivered and runs
// looked for.
func TestQ13AFailingDiskHoldsSamplesAndLosesNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before int // batches
		memory bool
		fail   func(*dbtest.Faults, bool)
		stuck  error
	}{
		"full at the first batch":        {0, false, (*dbtest.Faults).Full, db.ErrDiskFull},
		"full in mid-stream":             {20, false, (*dbtest.Faults).Full, db.ErrDiskFull},
		"full, memory queue, at first":   {0, true, (*dbtest.Faults).Full, db.ErrDiskFull},
		"full, memory queue, mid-stream": {20, true, (*dbtest.Faults).Full, nil}, // batches wait in the queue
		"no fsync at the first batch":    {0, false, (*dbtest.Faults).FailSync, db.ErrIO},
		"no fsync in mid-stream":         {20, false, (*dbtest.Faults).FailSync, db.ErrIO},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := dbtest.NewFaults(t)
			dir := t.TempDir()
			r := openRig(t, dir, setup{vfs: faults.Name, memory: c.memory})
			r.start()
			accept := r.lane("cell")
			f := newFeed("cell", r.clock.Micros())
			for range c.before {
				if err := accept(t.Context(), f.next(20, sample.High)); err != nil {
					t.Fatal(err)
				}
			}
			c.fail(faults, true)
			done := make(chan error, 1)
			go func() {
				var err error
				for i := 0; i < 20 && err == nil; i++ {
					err = accept(context.Background(), f.next(20, sample.High))
				}
				done <- err
			}()
			if c.stuck != nil {
				await(t, "the intake says that it is stuck", func() bool { return r.Intake.Stuck() != nil })
				if err := r.Intake.Stuck(); !errors.Is(err, c.stuck) {
					t.Errorf("stuck because of %v", err)
				}
			} else {
				await(t, "the queue holds samples", func() bool { return r.account("cell").Queued > 0 })
			}
			if a := r.account("cell"); a.Dropped != 0 || a.Dead != 0 || a.Failed != 0 {
				t.Errorf("lost: %+v", a)
			}
			c.fail(faults, false)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if err := r.Intake.Stuck(); err != nil {
				t.Errorf("stuck after all: %v", err)
			}
			if left, err := r.Stop(t.Context()); err != nil || left != (Left{}) {
				t.Errorf("left %+v, %v", left, err)
			}
			r.checkFeed(r.points(r.captures()[0].ID, true), f, 0, f.count)
			if n := r.number(`SELECT count(*) FROM chunks`); n != 0 {
				t.Errorf("%d chunks are not sealed", n)
			}
			if a := r.account("cell"); a.Processed != 3*f.count || a.Processed != a.Received {
				t.Errorf("booked %+v", a)
			}
		})
	}
}

// TestStuckSpeaksForEverySource: one source that gives up, or whose batch was
// taken, does not hide that another waits.
func TestStuckSpeaksForEverySource(t *testing.T) {
	t.Parallel()
	faults := dbtest.NewFaults(t)
	r := openRig(t, t.TempDir(), setup{vfs: faults.Name})
	waits, leaves := r.lane("waits"), r.lane("leaves")
	feeds := []*feed{newFeed("waits", clockTime), newFeed("leaves", clockTime)}
	for i, accept := range []func(context.Context, *sample.Batch) error{waits, leaves} {
		if err := accept(t.Context(), feeds[i].next(1, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	faults.Full(true)
	done := make(chan error, 1)
	go func() { done <- waits(context.Background(), feeds[0].next(1, sample.High)) }()
	await(t, "the intake says that it is stuck", func() bool { return r.Intake.Stuck() != nil })
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := leaves(ctx, feeds[1].next(1, sample.High)); err == nil {
			t.Error("accepted on a full disk")
		}
		cancel()
		if r.Intake.Stuck() == nil {
			t.Error("not stuck, says the intake, but a source waits")
		}
	}
	faults.Full(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := r.Intake.Stuck(); err != nil {
		t.Errorf("nobody waits any more: %v", err)
	}
	if a := r.account("leaves"); a.DroppedBy[reasonStopped] != 15 || a.Queued != 3 {
		t.Errorf("booked %+v", a)
	}
}
