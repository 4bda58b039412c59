package store

import (
	"cmp"
	"math"
	"slices"

	"dynotap/internal/db"
	"dynotap/sample"
)

// bins is how finely the times of a channel that does not fit into memory are
// counted before they are divided.
const bins = 4096

// unit is a channel's live samples at from <= t <= to, the smallest part that
// is in memory at once.
type unit struct {
	channel  int // index into plan.channels
	from, to int64
	count    int
	points   []Point // after gather: native values in order of time
}

// groups divides a plan into groups of units that fit into budget samples
// each, in order of channel and time. A channel that does not fit by itself is
// divided by time; only if very many of its samples share one instant may a
// unit be larger.
func (s *Store) groups(c *db.Conn, p *plan, budget int) ([][]unit, error) {
	counts, err := s.countLarge(c, p, budget)
	if err != nil {
		return nil, err
	}
	var groups [][]unit
	var group []unit
	room := budget
	for i := range p.channels {
		for _, u := range divide(i, &p.channels[i], counts[i], budget) {
			if u.count > room && len(group) > 0 {
				groups, group, room = append(groups, group), nil, budget
			}
			group = append(group, u)
			room -= u.count
		}
	}
	if len(group) > 0 {
		groups = append(groups, group)
	}
	return groups, nil
}

// divide makes the units of one channel. Each ends where the next begins, and
// together they cover all times.
func divide(i int, c *Channel, counts []int, budget int) []unit {
	if counts == nil {
		return []unit{{channel: i, from: math.MinInt64, to: math.MaxInt64, count: int(c.Rows)}}
	}
	width := binWidth(c)
	var units []unit
	u := unit{channel: i, from: math.MinInt64}
	for bin, n := range counts {
		if u.count+n > budget && u.count > 0 {
			u.to = c.FirstUS + int64(uint64(bin)*width) - 1
			units = append(units, u)
			u = unit{channel: i, from: u.to + 1}
		}
		u.count += n
	}
	u.to = math.MaxInt64
	return append(units, u)
}

// binWidth is unsigned: the difference of any two times fits.
func binWidth(c *Channel) uint64 { return uint64(c.LastUS-c.FirstUS)/bins + 1 }

// countLarge counts the samples of each channel that is larger than budget by
// their times.
func (s *Store) countLarge(c *db.Conn, p *plan, budget int) (map[int][]int, error) {
	counts := make(map[int][]int)
	for i := range p.channels {
		if p.channels[i].Rows > int64(budget) {
			counts[i] = make([]int, bins)
		}
	}
	if len(counts) == 0 {
		return counts, nil
	}
	return counts, s.visit(c, p, func(slot int, sm *sample.Sample) {
		if count, ok := counts[slot]; ok {
			ch := &p.channels[slot]
			count[uint64(sm.Time-ch.FirstUS)/binWidth(ch)]++
		}
	})
}

// visit gives every wanted sample of a plan's chunks with its channel's index.
func (s *Store) visit(c *db.Conn, p *plan, see func(slot int, sm *sample.Sample)) error {
	return s.scan(c, p.chunkRange, func(_ int64, b *sample.Batch) error {
		ps, ok := p.sets[b.Set.ID()]
		if !ok {
			return nil // a chunk that was damaged when the plan was made
		}
		for i := range b.Samples {
			sm := &b.Samples[i]
			if slot := ps.slots[sm.Channel]; slot >= 0 && sm.Time >= p.from && sm.Time <= p.to {
				see(slot, sm)
			}
		}
		return nil
	}, func(*ChunkError, []byte) error { return nil })
}

// gather fills the units of a group from the chunks. It takes the memory from
// arena, which it grows where it must, and gives it back.
func (s *Store) gather(c *db.Conn, p *plan, group []unit, arena []Point) ([]Point, error) {
	total := 0
	for i := range group {
		total += group[i].count
	}
	arena = slices.Grow(arena[:0], total)[:total]
	firstOf := make([]int, len(p.channels)) // 1 + index of a channel's first unit in the group
	at := 0
	for i := range group {
		group[i].points = arena[at : at : at+group[i].count]
		at += group[i].count
		if firstOf[group[i].channel] == 0 {
			firstOf[group[i].channel] = i + 1
		}
	}
	err := s.visit(c, p, func(slot int, sm *sample.Sample) {
		first := firstOf[slot]
		if first == 0 {
			return
		}
		for i := first - 1; i < len(group) && group[i].channel == slot; i++ {
			if u := &group[i]; sm.Time >= u.from && sm.Time <= u.to && len(u.points) < cap(u.points) {
				u.points = append(u.points, Point{Time: sm.Time, Value: sm.Value, Quality: sm.Quality})
				return
			}
		}
	})
	for i := range group {
		sortByTime(group[i].points)
	}
	return arena, err
}

// sortByTime keeps samples of one time in their order. They come nearly
// sorted: a late batch is some places off.
func sortByTime(points []Point) {
	moves := 0
	for i := 1; i < len(points); i++ {
		if points[i].Time >= points[i-1].Time {
			continue
		}
		p, k := points[i], i
		for ; k > 0 && points[k-1].Time > p.Time; k-- {
			points[k] = points[k-1]
		}
		points[k] = p
		if moves += i - k; moves > 16*len(points) {
			slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.Time, b.Time) })
			return
		}
	}
}
