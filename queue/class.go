package queue

import (
	"container/heap"
	"time"
)

// What one class keeps in memory at most; the rest stays with the driver and
// is fetched when its turn comes.
const (
	windowItems = 4096
	windowBytes = 4 << 20
	// fetchItems and fetchBytes bound one fetch.
	fetchItems = 512
	fetchBytes = 1 << 20
)

// entry is an item in memory.
type entry struct {
	item    Item
	arrived time.Time // monotonic; zero: before the start, or fetched
	due     time.Time // a retry waits until then
	taken   time.Time // leased since
	expires time.Time // zero: never
	damage  error
	absent  bool // the payload is with the driver only
	// settling: leased, and being settled; its lease does not end meanwhile
	settling bool
	index    int // in the heap of the delayed
}

func (e *entry) endLease() {
	e.taken, e.expires, e.item.lease, e.settling = time.Time{}, time.Time{}, 0, false
}

// class is the waiting items of one class: those that came back, those loaded
// in order, and those that only the driver has.
//
// Every item above loaded is with the driver only, every other one is in
// memory (in head, back, delayed or leased).
type class struct {
	head   ring
	back   byID
	loaded ID
	newest ID // upper end of what was registered
	disk   int
	bytes  int // payloads in head and back
}

func (c *class) ready() int { return c.head.len() + len(c.back) + c.disk }

// next tells the first item in memory; nil while it is with the driver.
func (c *class) next() *entry {
	if c.head.len() == 0 {
		if len(c.back) == 0 {
			return nil
		}
		return c.back[0] // below everything not loaded
	}
	if len(c.back) > 0 && c.back[0].item.ID < c.head.front().item.ID {
		return c.back[0]
	}
	return c.head.front()
}

// pop removes what next told.
func (c *class) pop() *entry {
	e := c.next()
	if len(c.back) > 0 && c.back[0] == e {
		heap.Pop(&c.back)
	} else {
		c.head.pop()
	}
	c.bytes -= len(e.item.Payload)
	return e
}

// add takes a newcomer, whose id is above all others. It reports whether the
// entry is kept in memory.
func (c *class) add(e *entry) bool {
	c.newest = e.item.ID
	if c.disk > 0 || c.head.len() >= windowItems || c.bytes+len(e.item.Payload) > windowBytes {
		c.disk++
		return false
	}
	c.loaded = e.item.ID
	c.push(e)
	return true
}

// push appends an entry that was loaded.
func (c *class) push(e *entry) {
	c.head.push(e)
	c.bytes += len(e.item.Payload)
}

// giveBack takes an entry that was out of the class, at its old place. It
// reports whether the entry is kept in memory.
func (c *class) giveBack(e *entry) bool {
	if e.item.ID > c.loaded {
		c.newest = max(c.newest, e.item.ID)
		c.disk++
		return false
	}
	if c.bytes+len(e.item.Payload) > windowBytes {
		e.item.Payload, e.absent = nil, true
	}
	heap.Push(&c.back, e)
	c.bytes += len(e.item.Payload)
	return true
}

// ring is a first-in-first-out list.
type ring struct {
	slots []*entry
	first int
	count int
}

func (r *ring) len() int      { return r.count }
func (r *ring) front() *entry { return r.slots[r.first] }
func (r *ring) at(i int) *entry {
	return r.slots[(r.first+i)&(len(r.slots)-1)]
}

func (r *ring) push(e *entry) {
	if r.count == len(r.slots) {
		grown := make([]*entry, max(16, 2*len(r.slots))) // a power of two
		for i := range r.count {
			grown[i] = r.at(i)
		}
		r.slots, r.first = grown, 0
	}
	r.slots[(r.first+r.count)&(len(r.slots)-1)] = e
	r.count++
}

func (r *ring) pop() {
	r.slots[r.first] = nil
	r.first = (r.first + 1) & (len(r.slots) - 1)
	r.count--
}

// byID is a heap, the smallest id first.
type byID []*entry

func (h byID) Len() int           { return len(h) }
func (h byID) Less(i, j int) bool { return h[i].item.ID < h[j].item.ID }
func (h byID) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap.Interface's.
func (h *byID) Push(x any) { *h = append(*h, x.(*entry)) }

// Pop is heap.Interface's.
func (h *byID) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

// byDue is a heap of delayed entries, the next one due first.
type byDue []*entry

func (h byDue) Len() int { return len(h) }
func (h byDue) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].item.ID < h[j].item.ID
}

func (h byDue) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is heap.Interface's.
func (h *byDue) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop is heap.Interface's.
func (h *byDue) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
