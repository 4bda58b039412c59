package run

import (
	"maps"
	"math"
	"slices"
)

const (
	minuteMicros = 60_000_000
	openMinutes  = 4
)

// times counts distinct times exactly while samples stream by nearly in order.
// It remembers the times themselves for the few minutes used last, and a count
// for every other. A minute that is touched again after it was left has to be
// counted anew from the store: that happens with batches that come late, and
// once after a restart.
//
// Memory: 8 bytes a distinct time of the last minutes, some 16 bytes for every
// other minute.
type times struct {
	Counts map[int64]int64 // by minute, those that were left
	Stale  []int64         // minutes to count anew; neither in Counts nor open

	open   []*minute // used last comes last
	newest int64     // time added last
	begun  bool
}

type minute struct {
	number int64
	seen   []int64 // sorted, without repeats
}

func minuteOf(t int64) int64 {
	m := t / minuteMicros
	if t%minuteMicros < 0 {
		m--
	}
	return m
}

func (ts *times) add(t int64) {
	if ts.begun && t == ts.newest {
		return
	}
	ts.newest, ts.begun = t, true
	m := minuteOf(t)
	last := len(ts.open) - 1
	if last < 0 || ts.open[last].number != m {
		if !ts.use(m) {
			return
		}
		last = len(ts.open) - 1
	}
	ts.open[last].add(t)
}

func (m *minute) add(t int64) {
	if n := len(m.seen); n == 0 || t > m.seen[n-1] {
		m.seen = append(m.seen, t)
		return
	}
	if i, found := slices.BinarySearch(m.seen, t); !found {
		m.seen = slices.Insert(m.seen, i, t)
	}
}

// use makes a minute the one used last; false where it can only be counted
// anew.
func (ts *times) use(number int64) bool {
	if i := slices.IndexFunc(ts.open, func(m *minute) bool { return m.number == number }); i >= 0 {
		m := ts.open[i]
		ts.open = append(slices.Delete(ts.open, i, i+1), m)
		return true
	}
	if _, left := ts.Counts[number]; left {
		delete(ts.Counts, number)
		ts.Stale = append(ts.Stale, number)
		return false
	}
	if slices.Contains(ts.Stale, number) {
		return false
	}
	if len(ts.open) == openMinutes {
		ts.leave(ts.open[0].number, int64(len(ts.open[0].seen)))
		ts.open = slices.Delete(ts.open, 0, 1)
	}
	ts.open = append(ts.open, &minute{number: number})
	return true
}

func (ts *times) leave(number, count int64) {
	if ts.Counts == nil {
		ts.Counts = map[int64]int64{}
	}
	ts.Counts[number] = count
}

// recount settles the stale minutes; count gives the distinct times of the
// samples at from <= t <= to.
func (ts *times) recount(count func(from, to int64) (int64, error)) error {
	for n := len(ts.Stale); n > 0; n-- {
		m := ts.Stale[n-1]
		distinct, err := count(m*minuteMicros, m*minuteMicros+minuteMicros-1)
		if err != nil {
			return err
		}
		ts.leave(m, distinct)
		ts.Stale = ts.Stale[:n-1]
	}
	return nil
}

// total is the number of distinct times, without the stale minutes.
func (ts *times) total() int64 {
	var n int64
	for c := range maps.Values(ts.Counts) {
		n += c
	}
	for _, m := range ts.open {
		n += int64(len(m.seen))
	}
	return n
}

// frozen is what is kept over a restart: the minutes in use become stale.
func (ts *times) frozen() times {
	f := times{Counts: ts.Counts, Stale: slices.Clone(ts.Stale)}
	for _, m := range ts.open {
		f.Stale = append(f.Stale, m.number)
	}
	return f
}

// distinct counts the distinct ones of times that come in any order.
type distinct struct {
	seen   []int64
	sorted int // so many of them are in order and distinct
	next   int // where in these the next time is expected: channels share their times
}

func (d *distinct) add(t int64) {
	if d.next < d.sorted && d.seen[d.next] == t {
		d.next++
		return
	}
	if n := len(d.seen); n > 0 && d.seen[n-1] == t {
		return
	}
	if d.sorted > 0 && t <= d.seen[d.sorted-1] {
		if at, known := slices.BinarySearch(d.seen[:d.sorted], t); known {
			d.next = at + 1
			return
		}
	}
	if len(d.seen) == cap(d.seen) {
		d.compact()
		d.seen = slices.Grow(d.seen, max(1024, len(d.seen)))
	}
	d.seen = append(d.seen, t)
}

func (d *distinct) compact() {
	slices.Sort(d.seen)
	d.seen = slices.Compact(d.seen)
	d.sorted, d.next = len(d.seen), 0
}

func (d *distinct) total() int64 {
	d.compact()
	return int64(len(d.seen))
}

// windows cuts the minutes in which samples lie into intervals, bounds
// included, of at most budget samples, or of one minute.
func windows(samples map[int64]int64, budget int64) [][2]int64 {
	var out [][2]int64
	held := int64(math.MaxInt64)
	for _, m := range slices.Sorted(maps.Keys(samples)) {
		if held > budget-samples[m] {
			out = append(out, [2]int64{m * minuteMicros})
			held = 0
		}
		held += samples[m]
		out[len(out)-1][1] = m*minuteMicros + minuteMicros - 1
	}
	return out
}
