package queue

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"dynotap/sample"
)

// Peek gives the first items that are ready, up to limit, in the order in
// which they would be delivered, and leases none. What is with the driver only
// is read from it; what is damaged is left out. It shows one moment: what it gives may be leased or gone
// when it returns. The payloads are the queue's: do not change them.
func (q *Queue) Peek(ctx context.Context, limit int) ([]Item, error) {
	items := make([]Item, 0, max(0, min(limit, fetchItems)))
	for _, v := range q.look(limit) {
		for i := range v.near {
			e := &v.near[i]
			switch err := q.restore(ctx, e); {
			case errors.Is(err, errGone): // in this moment
			case err != nil:
				return items, err
			case e.damage == nil && len(items) < limit:
				items = append(items, e.item)
			}
		}
		for after := v.loaded; v.disk > 0 && len(items) < limit; {
			found, err := q.driver.Fetch(ctx, after, v.newest, limit-len(items), fetchBytes)
			if err != nil {
				return items, err
			}
			if len(found) == 0 {
				break
			}
			for i := range found {
				if after = found[i].Item.ID; found[i].Damage == nil {
					items = append(items, found[i].Item)
				}
			}
		}
	}
	return items, nil
}

// view is a class as Peek sees it.
type view struct {
	near           []entry // copies of what is in memory, in order
	loaded, newest ID
	disk           int
}

// look copies what is ready, as far as limit items need it.
func (q *Queue) look(limit int) []view {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ripen(q.now())
	var views []view
	for i := range q.classes {
		if limit <= 0 {
			break
		}
		c := &q.classes[i]
		if c.ready() == 0 {
			continue
		}
		v := view{loaded: max(c.loaded, MakeID(sample.Priority(i), 0)), newest: c.newest, disk: c.disk}
		for _, e := range c.back {
			v.near = append(v.near, *e)
		}
		for at := range min(limit, c.head.len()) {
			v.near = append(v.near, *c.head.at(at))
		}
		slices.SortFunc(v.near, func(a, b entry) int { return cmp.Compare(a.item.ID, b.item.ID) })
		v.near = v.near[:min(limit, len(v.near))]
		limit -= len(v.near) + v.disk
		views = append(views, v)
	}
	return views
}
