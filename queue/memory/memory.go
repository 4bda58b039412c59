// Package memory keeps the queue's items in the memory of the process: fast,
// and gone with it.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"dynotap/queue"
	"dynotap/sample"
)

// New gives an empty driver.
func New() *Driver { return new(Driver) }

// Driver is a queue.Driver.
type Driver struct {
	mu    sync.Mutex
	items [sample.Priorities]shelf
	dead  []queue.DeadLetter // by Died, then by ID
}

var _ queue.Driver = (*Driver)(nil)

// Load finds nothing: every process starts anew.
func (*Driver) Load(context.Context) (queue.State, error) { return queue.State{}, nil }

// Fetch implements queue.Driver.
func (d *Driver) Fetch(_ context.Context, after, upTo queue.ID, limit, maxBytes int) ([]queue.Stored, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.items[upTo.Class()]
	var found []queue.Stored
	for i := s.search(after + 1); i < len(s.rows) && s.rows[i].ID <= upTo && len(found) < limit && maxBytes > 0; i++ {
		if s.rows[i].gone {
			continue
		}
		found = append(found, queue.Stored{Item: s.rows[i].Item})
		maxBytes -= len(s.rows[i].Payload)
	}
	return found, nil
}

// Apply implements queue.Driver.
func (d *Driver) Apply(_ context.Context, changes []queue.Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range changes {
		switch c := &changes[i]; {
		case c.Op > queue.Forget:
			return fmt.Errorf("unknown change %d", c.Op)
		case c.Op == queue.Revive && d.find(c.Item.ID) < 0:
			return fmt.Errorf("%w: no dead letter %s", queue.ErrNotFound, c.Item.ID)
		}
	}
	for i := range changes { // none can fail
		c := &changes[i]
		s := &d.items[c.Item.ID.Class()]
		switch c.Op {
		case queue.Put:
			s.put(c.Item)
		case queue.Update:
			s.update(c.Item)
		case queue.Remove:
			s.remove(c.Item.ID)
		case queue.Bury:
			s.remove(c.Item.ID)
			d.bury(queue.DeadLetter{Item: *c.Item, Reason: c.Reason, Died: c.Died})
		case queue.Revive:
			d.forget(c.Item.ID)
			s.put(c.Item)
		case queue.Forget:
			d.forget(c.Item.ID)
		}
	}
	return nil
}

// bury adds a dead letter that is none yet, at its place.
func (d *Driver) bury(l queue.DeadLetter) {
	if d.find(l.ID) >= 0 {
		return
	}
	at := len(d.dead)
	for at > 0 && later(&d.dead[at-1], &l) {
		at--
	}
	d.dead = slices.Insert(d.dead, at, l)
}

// later tells whether a comes after b in the list of the dead letters.
func later(a, b *queue.DeadLetter) bool {
	if !a.Died.Equal(b.Died) {
		return a.Died.After(b.Died)
	}
	return a.ID > b.ID
}

func (d *Driver) find(id queue.ID) int {
	return slices.IndexFunc(d.dead, func(l queue.DeadLetter) bool { return l.ID == id })
}

func (d *Driver) forget(id queue.ID) {
	if at := d.find(id); at >= 0 {
		d.dead = slices.Delete(d.dead, at, at+1)
	}
}

// DeadLetters implements queue.Driver.
func (d *Driver) DeadLetters(_ context.Context, filter queue.Filter, offset, limit int) ([]queue.DeadLetter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []queue.DeadLetter
	for i := range d.dead {
		if len(found) == limit {
			break
		}
		if !filter.Matches(&d.dead[i]) {
			continue
		}
		if offset--; offset < 0 {
			found = append(found, d.dead[i])
		}
	}
	return found, nil
}

// row is an item at its place; one that is gone keeps its place until all
// before it are gone too.
type row struct {
	queue.Item
	gone bool
}

// shelf is the items of one class in the order of their ids.
type shelf struct {
	rows []row
	gone int // at the beginning
}

// search gives the place of the first row at or above id.
func (s *shelf) search(id queue.ID) int {
	i, _ := slices.BinarySearchFunc(s.rows, id, func(r row, id queue.ID) int { return cmp.Compare(r.ID, id) })
	return i
}

func (s *shelf) put(item *queue.Item) {
	if n := len(s.rows); n == 0 || s.rows[n-1].ID < item.ID {
		s.rows = append(s.rows, row{Item: *item})
		return
	}
	i := s.search(item.ID)
	if s.rows[i].ID == item.ID {
		s.rows[i] = row{Item: *item}
	} else {
		s.rows = slices.Insert(s.rows, i, row{Item: *item})
	}
	s.gone = min(s.gone, i)
}

func (s *shelf) update(item *queue.Item) {
	if i := s.search(item.ID); i < len(s.rows) && s.rows[i].ID == item.ID && !s.rows[i].gone {
		r := &s.rows[i].Item
		r.Attempts, r.FirstError, r.LastError = item.Attempts, item.FirstError, item.LastError
	}
}

func (s *shelf) remove(id queue.ID) {
	i := s.gone
	if i >= len(s.rows) || s.rows[i].ID != id {
		if i = s.search(id); i == len(s.rows) || s.rows[i].ID != id {
			return
		}
	}
	s.rows[i] = row{Item: queue.Item{ID: id}, gone: true}
	for s.gone < len(s.rows) && s.rows[s.gone].gone {
		s.gone++
	}
	switch {
	case s.gone == len(s.rows):
		s.rows, s.gone = s.rows[:0], 0
	case s.gone >= 1024 && s.gone > len(s.rows)/2:
		n := copy(s.rows, s.rows[s.gone:])
		clear(s.rows[n:])
		s.rows, s.gone = s.rows[:n], 0
	}
}
