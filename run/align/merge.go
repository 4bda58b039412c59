// Package align brings the readings of devices with clocks of their own
// together: it finds the offset between two clocks, and gives each reading of a
// wideband to the nearest point of the dyno (CONFORMANCE A6).
//
// Nothing here changes what it is given.
package align

import (
	"container/heap"
	"math"
	"time"

	"dynotap/run/series"
)

// DefaultTolerance is how far from a point its reading may lie.
const DefaultTolerance = 100 * time.Millisecond

// None says that a point has no reading.
const None = -1

// Nearest gives for each point the index of the reading that belongs to it, or
// None. Both lists of times ascend, in µs; repeats are allowed. The closest pair
// of all is joined first, then the closest of those left, as long as they are no
// further apart than the tolerance: so each reading is used at most once, and no
// point has one while a closer one to it is free. Of equal distances the earlier
// point is served first. Work is n·log n.
func Nearest(points, readings []int64, tolerance time.Duration) []int {
	chosen := make([]int, len(points))
	for i := range chosen {
		chosen[i] = None
	}
	c := newChain(points, readings, tolerance.Microseconds())
	for len(c.pairs) > 0 {
		p := heap.Pop(&c.pairs).(pair)
		if c.taken[p.left] || c.taken[p.right] {
			continue
		}
		left, right := c.nodes[p.left], c.nodes[p.right]
		if left.reading {
			left, right = right, left
		}
		chosen[left.index] = right.index
		c.remove(p.left, p.right)
	}
	return chosen
}

// chain is points and readings in one order of time. The closest pair is always
// one of neighbours.
type chain struct {
	nodes      []node
	next, prev []int
	taken      []bool
	pairs      pairs
	tolerance  int64
}

type node struct {
	at      int64
	index   int
	reading bool
}

// pair is two neighbours, one of them a reading.
type pair struct {
	apart       int64
	left, right int
}

func newChain(points, readings []int64, tolerance int64) *chain {
	n := len(points) + len(readings)
	c := &chain{nodes: make([]node, 0, n), next: make([]int, n), prev: make([]int, n), taken: make([]bool, n), tolerance: tolerance}
	for i, j := 0, 0; i < len(points) || j < len(readings); {
		if j == len(readings) || i < len(points) && points[i] <= readings[j] {
			c.nodes = append(c.nodes, node{points[i], i, false})
			i++
		} else {
			c.nodes = append(c.nodes, node{readings[j], j, true})
			j++
		}
	}
	for i := range c.nodes {
		c.prev[i], c.next[i] = i-1, i+1
		if i > 0 {
			c.offer(i-1, i)
		}
	}
	return c
}

// offer puts two neighbours on the list where they can be a pair.
func (c *chain) offer(left, right int) {
	if left < 0 || right >= len(c.nodes) || c.nodes[left].reading == c.nodes[right].reading {
		return
	}
	if apart := c.nodes[right].at - c.nodes[left].at; apart >= 0 && apart <= c.tolerance {
		heap.Push(&c.pairs, pair{apart, left, right})
	}
}

// remove takes two neighbours out and joins those around them.
func (c *chain) remove(left, right int) {
	c.taken[left], c.taken[right] = true, true
	before, after := c.prev[left], c.next[right]
	if before >= 0 {
		c.next[before] = after
	}
	if after < len(c.nodes) {
		c.prev[after] = before
	}
	c.offer(before, after)
}

// pairs is a heap, the closest first.
type pairs []pair

func (p pairs) Len() int { return len(p) }
func (p pairs) Less(i, j int) bool {
	if p[i].apart != p[j].apart {
		return p[i].apart < p[j].apart
	}
	return p[i].left < p[j].left
}
func (p pairs) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

// Push is for package heap.
func (p *pairs) Push(x any) { *p = append(*p, x.(pair)) }

// Pop is for package heap.
func (p *pairs) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

// Merged is what one sensor contributes to the points of a dyno.
type Merged struct {
	// Values has a value for each point; NaN where the sensor has none.
	Values []float64
	// Used counts the readings that belong to a point, Unused the others.
	Used, Unused int
}

// Merge gives a sensor's readings to the points of a dyno by Nearest. The
// sensor's clock is ahead of the dyno's by offset (Shift.Offset).
func Merge(points []int64, sensor series.Series, offset, tolerance time.Duration) Merged {
	times := make([]int64, len(sensor.Times))
	for i, t := range sensor.Times {
		times[i] = t - offset.Microseconds()
	}
	out := Merged{Values: make([]float64, len(points))}
	for i, j := range Nearest(points, times, tolerance) {
		if out.Values[i] = math.NaN(); j != None {
			out.Values[i] = sensor.Values[j]
			out.Used++
		}
	}
	out.Unused = len(times) - out.Used
	return out
}
