package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// deadPage is how many dead letters are handled in one transaction.
const deadPage = 256

// DeadLetters lists those that match, in the order of their death, by ID where
// that was the same.
func (q *Queue) DeadLetters(ctx context.Context, filter Filter, offset, limit int) ([]DeadLetter, error) {
	return q.driver.DeadLetters(ctx, filter, offset, limit)
}

// DeadLetter gives one; ErrNotFound.
func (q *Queue) DeadLetter(ctx context.Context, id ID) (DeadLetter, error) {
	found, err := q.driver.DeadLetters(ctx, Filter{ID: id}, 0, 1)
	if err != nil {
		return DeadLetter{}, err
	}
	if len(found) == 0 {
		return DeadLetter{}, fmt.Errorf("%w: no dead letter %s", ErrNotFound, id)
	}
	return found[0], nil
}

// Revive gives a dead letter back to the queue, at its old place with no
// attempts. On failure (ErrNotFound, ErrFull, the driver's) it is unchanged.
func (q *Queue) Revive(ctx context.Context, id ID) error {
	q.burials.Lock()
	defer q.burials.Unlock()
	letter, err := q.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return q.revive(ctx, []DeadLetter{letter})
}

// ReviveAll gives back all that match and tells how many; ErrFull when there
// was no room for more.
func (q *Queue) ReviveAll(ctx context.Context, filter Filter) (int, error) {
	return q.eachPage(ctx, filter, q.revive)
}

// Forget deletes a dead letter for good; ErrNotFound.
func (q *Queue) Forget(ctx context.Context, id ID) error {
	q.burials.Lock()
	defer q.burials.Unlock()
	letter, err := q.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return q.forget(ctx, []DeadLetter{letter}, Discarded, "")
}

// ForgetAll deletes all that match and tells how many.
func (q *Queue) ForgetAll(ctx context.Context, filter Filter) (int, error) {
	return q.eachPage(ctx, filter, func(ctx context.Context, page []DeadLetter) error {
		return q.forget(ctx, page, Discarded, "")
	})
}

// eachPage takes the matching dead letters away, page by page. Nothing dies
// meanwhile.
func (q *Queue) eachPage(ctx context.Context, filter Filter, remove func(context.Context, []DeadLetter) error) (int, error) {
	q.burials.Lock()
	defer q.burials.Unlock()
	removed := 0
	for {
		if ctx.Err() != nil {
			return removed, fmt.Errorf("%d dead letters done: %w", removed, ctx.Err())
		}
		page, err := q.driver.DeadLetters(ctx, filter, 0, deadPage)
		if err != nil || len(page) == 0 {
			return removed, err
		}
		if err := remove(ctx, page); err != nil {
			if errors.Is(err, ErrFull) && len(page) > 1 {
				if page = page[:q.roomFor(len(page))]; len(page) > 0 && remove(ctx, page) == nil {
					removed += len(page)
				}
			}
			return removed, err
		}
		removed += len(page)
	}
}

func (q *Queue) roomFor(n int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(0, min(n, q.settings.MaxSize-q.size))
}

func (q *Queue) revive(ctx context.Context, letters []DeadLetter) error {
	q.mu.Lock()
	if q.size+len(letters) > q.settings.MaxSize {
		q.mu.Unlock()
		return fmt.Errorf("revive: %w", ErrFull)
	}
	q.size += len(letters)
	entries := make([]*entry, len(letters))
	changes := make([]Change, len(letters))
	for i := range letters {
		e := q.newEntry()
		e.item = letters[i].Item
		e.item.Attempts, e.item.FirstError, e.item.LastError = 0, "", ""
		entries[i], changes[i] = e, Change{Op: Revive, Item: &e.item}
	}
	q.mu.Unlock()
	q.loading.Lock() // what a fetch finds must not come back a second time
	defer q.loading.Unlock()
	err := q.driver.Apply(ctx, changes)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.free(len(letters))
		return fmt.Errorf("revive: %w", err)
	}
	for _, e := range entries {
		q.dead--
		q.stats.held[e.item.ID.Class()]++
		q.tell(Event{Source: e.item.Source, Items: 1, Samples: e.item.Samples, From: Dead, To: Queued})
		e.item.Payload, e.absent = nil, true // fetched, and checked, when its turn comes
		q.giveBack(e)
	}
	q.stats.high = max(q.stats.high, q.stats.size())
	return nil
}

func (q *Queue) forget(ctx context.Context, letters []DeadLetter, to Place, reason string) error {
	changes := make([]Change, len(letters))
	for i := range letters {
		changes[i] = Change{Op: Forget, Item: &letters[i].Item}
	}
	if err := q.driver.Apply(ctx, changes); err != nil {
		return fmt.Errorf("delete dead letters: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dead -= len(letters)
	for i := range letters {
		l := &letters[i]
		if to == Dropped {
			q.stats.drop(l.Source, reason, l.Samples)
		}
		q.tell(Event{Source: l.Source, Items: 1, Samples: l.Samples, From: Dead, To: to, Reason: reason})
	}
	return nil
}

// overDead tells whether it is time to look at the bounds of the dead letters.
// The lock is held.
func (q *Queue) overDead(now time.Time) bool {
	return q.settings.DeadLetterMax > 0 && q.dead > q.settings.DeadLetterMax ||
		q.settings.DeadLetterAge > 0 && q.dead > 0 && now.Sub(q.stats.trimmed) > q.settings.DeadLetterAge/10
}

// trim keeps the dead letters within their bounds. Its failure is no failure
// of what made them too many.
func (q *Queue) trim(ctx context.Context) {
	if err := q.trimDead(ctx); err != nil {
		q.logger.Error("evict dead letters", "error", err)
	}
}

func (q *Queue) trimDead(ctx context.Context) error {
	q.burials.Lock()
	defer q.burials.Unlock()
	for {
		q.mu.Lock()
		excess := 0
		if q.settings.DeadLetterMax > 0 {
			excess = q.dead - q.settings.DeadLetterMax
		}
		now := q.now()
		q.stats.trimmed = now
		q.mu.Unlock()
		page, err := q.driver.DeadLetters(ctx, Filter{}, 0, max(excess, 1))
		if err != nil {
			return err
		}
		end := max(0, min(excess, len(page)))
		if q.settings.DeadLetterAge > 0 {
			oldest := wall(now).Add(-q.settings.DeadLetterAge)
			for end < len(page) && !page[end].Died.After(oldest) {
				end++
			}
		}
		if end == 0 {
			return nil
		}
		if err := q.forget(ctx, page[:end], Dropped, ReasonDeadFull); err != nil {
			return err
		}
		q.logger.Warn("dead letters evicted", "items", end)
	}
}
