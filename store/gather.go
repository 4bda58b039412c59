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

// units divides a plan into units of at most budget samples, in order of
// channel and time. A channel that does not fit by itself is divided by time;
// only if very many of its samples share one instant is a unit larger.
func (s *Store) units(c *db.Conn, p *plan, budget int) ([]unit, error) {
	counts, err := s.countLarge(c, p, budget)
	if err != nil {
		return nil, err
	}
	var units []unit
	for i := range p.channels {
		units = append(units, divide(i, &p.channels[i], counts[i], budget)...)
	}
	return units, nil
}

// groupUnits puts neighbours together as long as they fit into budget samples.
func groupUnits(units []unit, budget int) (groups [][]unit) {
	start, room := 0, budget
	for i := range units {
		if units[i].count > room && i > start {
			groups = append(groups, units[start:i])
			start, room = i, budget
		}
		room -= units[i].count
	}
	if start < len(units) {
		groups = append(groups, units[start:])
	}
	return groups
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
	return counts, s.visit(c, p, func(slot int, sm *sample.Sample) error {
		if count, ok := counts[slot]; ok {
			ch := &p.channels[slot]
			count[uint64(sm.Time-ch.FirstUS)/binWidth(ch)]++
		}
		return nil
	})
}

// visit gives every wanted sample of a plan's chunks with its channel's index.
func (s *Store) visit(c *db.Conn, p *plan, see func(slot int, sm *sample.Sample) error) error {
	return s.scan(c, p.chunkRange, func(_ int64, b *sample.Batch) error {
		ps, ok := p.sets[b.Set.ID()]
		if !ok {
			return nil // a chunk that was damaged when the plan was made
		}
		for i := range b.Samples {
			sm := &b.Samples[i]
			if slot := ps.slots[sm.Channel]; slot >= 0 && sm.Time >= p.from && sm.Time <= p.to {
				if err := see(slot, sm); err != nil {
					return err
				}
			}
		}
		return nil
	}, func(*ChunkError, []byte) error { return nil })
}

// largest is how many samples the largest group has.
func largest(groups [][]unit) (most int) {
	for _, group := range groups {
		total := 0
		for i := range group {
			total += group[i].count
		}
		most = max(most, total)
	}
	return most
}

// gather fills the units of a group from the chunks; their points lie in
// arena.
func (s *Store) gather(c *db.Conn, p *plan, group []unit, arena []Point) error {
	firstOf := make([]int, len(p.channels)) // 1 + index of a channel's first unit in the group
	at := 0
	for i := range group {
		group[i].points = arena[at : at : at+group[i].count]
		at += group[i].count
		if firstOf[group[i].channel] == 0 {
			firstOf[group[i].channel] = i + 1
		}
	}
	err := s.visit(c, p, func(slot int, sm *sample.Sample) error {
		first := firstOf[slot]
		if first == 0 {
			return nil
		}
		for i := first - 1; i < len(group) && group[i].channel == slot; i++ {
			if u := &group[i]; sm.Time >= u.from && sm.Time <= u.to && len(u.points) < cap(u.points) {
				u.points = append(u.points, Point{Time: sm.Time, Value: sm.Value, Quality: sm.Quality})
				return nil
			}
		}
		return nil
	})
	for i := range group {
		sortByTime(group[i].points)
	}
	return err
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
