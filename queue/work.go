package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"dynotap/internal/db"
)

const (
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
)

// Start hands batches to process in the background, Settings.Workers at the
// same time, until Stop.
func (q *Queue) Start(ctx context.Context, process Processor) error {
	hard, abort := context.WithCancel(context.WithoutCancel(ctx))
	err := q.service.Start(ctx, func(ctx context.Context) error {
		defer abort()
		var workers sync.WaitGroup
		for range q.settings.Workers {
			workers.Go(func() { q.work(ctx, hard, process) })
		}
		workers.Wait()
		return nil
	})
	if err != nil {
		abort()
		return fmt.Errorf("start queue: %w", err)
	}
	q.mu.Lock()
	q.abort = abort
	q.mu.Unlock()
	return nil
}

// Stop lets the batches in hand be finished and takes no other. When ctx ends
// before, the processors' context is cancelled and the error says so. What is
// left stays in the queue: see Len and Stats. It can be started again.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	abort := q.abort
	q.mu.Unlock()
	if abort == nil {
		return nil
	}
	defer context.AfterFunc(ctx, abort)()
	if err := q.service.Stop(ctx); err != nil {
		return fmt.Errorf("stop queue: %w", err)
	}
	return nil
}

// work is one worker. soft ends between batches, hard in mid-batch.
func (q *Queue) work(soft, hard context.Context, process Processor) {
	var entries []*entry
	var items []Item
	pause := firstPause
	for soft.Err() == nil {
		var err error
		entries, err = q.lease(soft, entries[:0], q.settings.BatchSize, true, 0)
		switch {
		case err != nil && soft.Err() == nil:
			q.logger.Error("take from queue", "error", err)
			sleep(soft, pause)
			pause = min(2*pause, longPause)
			continue
		case len(entries) == 0:
			continue
		}
		items = itemsOf(items, entries)
		judged, results, fault := q.setAside(hard, entries, q.call(hard, process, items))
		q.settleAll(hard, judged, results)
		clear(items)
		clear(entries)
		if fault == nil {
			pause = firstPause
			continue
		}
		q.logger.Error("process queue items", "items", len(items)-len(judged), "error", fault)
		sleep(soft, pause)
		pause = min(2*pause, longPause)
	}
}

// setAside gives back the items that failed through the fault of the disk, or
// because ctx ended, as if they had not been leased: it costs them no attempt.
// It gives the others with their results, and that fault.
func (q *Queue) setAside(ctx context.Context, entries []*entry, results []Result) (judged []*entry, kept []Result, fault error) {
	blameless := func(r *Result) bool { return r.Kind == Retry && (ctx.Err() != nil || db.Environmental(r.Err)) }
	if !slices.ContainsFunc(results, func(r Result) bool { return blameless(&r) }) {
		return entries, results, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, e := range entries {
		if blameless(&results[i]) {
			fault = cmp.Or(results[i].Err, ctx.Err())
			q.putBack([]*entry{e})
			continue
		}
		judged, kept = append(judged, e), append(kept, results[i])
	}
	return judged, kept, fault
}

// settleAll repeats until the results are durable; when ctx ends before, the
// items are ready again, as if they had never been processed.
func (q *Queue) settleAll(ctx context.Context, entries []*entry, results []Result) {
	pause := firstPause
	for {
		err := q.settle(ctx, entries, results)
		if err == nil {
			return
		}
		q.logger.Error("settle queue items", "items", len(entries), "error", err)
		if !sleep(ctx, pause) {
			q.mu.Lock()
			q.putBack(entries)
			q.mu.Unlock()
			return
		}
		pause = min(2*pause, longPause)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// call runs the processor. If it panics, each item is tried alone, so that the
// panic is the error of the item that causes it (CONFORMANCE Q8).
func (q *Queue) call(ctx context.Context, process Processor, items []Item) []Result {
	results, err := guarded(ctx, process, items)
	if err == nil && len(results) == len(items) {
		return results
	}
	if err == nil {
		err = fmt.Errorf("processor gave %d results for %d items", len(results), len(items))
	}
	q.logger.Error("processor failed", "items", len(items), "error", err)
	out := make([]Result, len(items))
	for i := range items {
		if len(items) > 1 {
			results, err = guarded(ctx, process, items[i:i+1])
			if err == nil && len(results) != 1 {
				err = fmt.Errorf("processor gave %d results for one item", len(results))
			}
		}
		if err != nil {
			out[i] = Result{Kind: Retry, Err: err}
		} else {
			out[i] = results[0]
		}
	}
	return out
}

func guarded(ctx context.Context, process Processor, items []Item) (results []Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the processor: %v\n%s", p, debug.Stack())
		}
	}()
	return process(ctx, items), nil
}

// DrainReport says what a Drain did and what it left.
type DrainReport struct {
	Done   int `json:"done"`
	Failed int `json:"failed"` // rejected, or to be tried again
	Left   int `json:"left"`   // in the queue, delayed and leased included
}

// Drain processes what is ready, at most limit items (negative: all), until
// ctx ends, without waiting for full batches or delayed retries. An item that
// fails does not end it (CONFORMANCE Q15).
func (q *Queue) Drain(ctx context.Context, process Processor, limit int) (DrainReport, error) {
	var report DrainReport
	var errs []error
	for ctx.Err() == nil && limit != 0 {
		batch := q.settings.BatchSize
		if limit > 0 {
			batch = min(batch, limit)
			limit -= batch
		}
		entries, err := q.takeReady(ctx, batch, everySequence)
		if err != nil {
			errs = append(errs, err)
			break
		}
		if len(entries) == 0 {
			break
		}
		if limit >= 0 {
			limit += batch - len(entries)
		}
		entries, results, fault := q.setAside(ctx, entries, q.call(ctx, process, itemsOf(make([]Item, 0, len(entries)), entries)))
		done := 0
		for i := range results {
			if results[i].Kind == Done {
				done++
			}
		}
		if err := q.settle(ctx, entries, results); err != nil {
			q.mu.Lock()
			q.putBack(entries)
			q.mu.Unlock()
			errs = append(errs, err)
			break
		}
		report.Done += done
		report.Failed += len(entries) - done
		if fault != nil {
			errs = append(errs, fault)
			break
		}
	}
	report.Left = q.Len()
	if err := errors.Join(errs...); err != nil {
		return report, fmt.Errorf("drain queue: %w", err)
	}
	return report, nil
}
