package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dynotap/server"
	"dynotap/store"
)

const (
	// retentionEvery is the time between two looks for what has become too old.
	// What a look finds is deleted by the next one: until then the user is told.
	retentionEvery = 10 * time.Minute
	// retentionLeap is how far the clock may have moved on since the last look
	// of all. Beyond it the clock may be wrong, as after an empty battery, and
	// nothing is deleted before the program is started again.
	retentionLeap = 60 * 24 * time.Hour
	// retentionCursor keeps the time of the last look, in µs since the epoch.
	retentionCursor = "retention"
)

// retention deletes captures that are older than the user wants to keep them,
// and of which no run has notes or tags.
type retention struct {
	days    float64 // 0: nothing is deleted
	catalog catalog
	now     func() int64 // µs since the epoch
	logger  *slog.Logger

	mu      sync.Mutex
	looked  bool          // once since the start
	leap    time.Duration // the clock's, if it was too great
	due     []string      // captures that the next look deletes
	deleted int64         // captures, since the start
	failure error
}

// watch looks every ten minutes until ctx ends.
func (r *retention) watch(ctx context.Context) error {
	if r.days == 0 {
		return nil
	}
	tick := time.NewTicker(retentionEvery)
	defer tick.Stop()
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.logger.Error("delete what is older than retention.days", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look deletes what the look before announced, and announces what is due now.
func (r *retention) look(ctx context.Context) error {
	err := r.lookOnce(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = err
	return err
}

func (r *retention) lookOnce(ctx context.Context) error {
	if err := r.lookAtTheClock(ctx); err != nil {
		return err
	}
	list, err := r.catalog.Untouched(ctx, r.now()-days(r.days).Microseconds())
	if err != nil {
		return err
	}
	r.mu.Lock()
	announced, held := r.due, r.leap > 0
	r.mu.Unlock()
	var due []string
	for i := range list {
		c := &list[i]
		if held || !slices.Contains(announced, c.ID) {
			due = append(due, c.ID)
			continue
		}
		if err := r.catalog.imports.DeleteCapture(ctx, *c); err != nil {
			return err
		}
		r.logger.Warn("deleted a capture and its runs, older than retention.days and without a tag or notes", "capture", c.ID, "source", c.Source)
		r.mu.Lock()
		r.deleted++
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = due
	return nil
}

// lookAtTheClock notes the time, and by how much it has moved on since the last
// start if that is too much.
func (r *retention) lookAtTheClock(ctx context.Context) error {
	last, err := r.catalog.Cursor(ctx, retentionCursor)
	if err != nil {
		return err
	}
	now := r.now()
	r.mu.Lock()
	if moved := time.Duration(now-last) * time.Microsecond; !r.looked && last > 0 && moved > retentionLeap {
		r.leap = moved
	}
	r.looked = true
	r.mu.Unlock()
	return r.catalog.Write(ctx, store.CursorEffect(retentionCursor, now))
}

// view is what the API tells of it.
func (r *retention) view() server.Retention {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := server.Retention{Runs: r.days > 0, Due: len(r.due), Deleted: r.deleted}
	if r.days > 0 {
		out.RunDays = new(r.days)
	}
	return out
}

// note says what is about to be deleted, or why nothing is; "" for nothing.
func (r *retention) note() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	const keep = "give a run a tag to keep it"
	switch {
	case r.failure != nil:
		return fmt.Sprintf("what is older than retention.days cannot be deleted: %v", r.failure)
	case len(r.due) == 0:
		return ""
	case r.leap > 0:
		return fmt.Sprintf("the clock has moved on by %.0f days since dynotap last looked: if it is right, start dynotap again, and %s older than retention.days will be deleted (%s)",
			r.leap.Hours()/24, sessions(len(r.due)), keep)
	}
	return fmt.Sprintf("%s older than retention.days will be deleted within ten minutes: %s", sessions(len(r.due)), keep)
}

func sessions(n int) string {
	if n == 1 {
		return "1 session or file"
	}
	return fmt.Sprintf("%d sessions and files", n)
}
