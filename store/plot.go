package store

import (
	"context"
	"math"
)

// Series is one channel's points for a plot.
type Series struct {
	Channel Channel // without figures
	Points  []Point
}

// Plot gives each channel of a query in about points points or fewer: all of
// them where there are no more, else of each of points/4 equal stretches of
// time the first, the least, the greatest and the last. Values that are not
// finite are left out. Memory is bounded as Read's, and by points for each
// channel.
func (s *Store) Plot(ctx context.Context, q Query, points int) ([]Series, error) {
	r, err := s.begin(ctx, q)
	if err != nil {
		return nil, err
	}
	defer r.close()
	first, last := r.times()
	var list []Series
	var sampler *downSampler
	err = r.all(ctx, func(c *Channel, p []Point) error {
		if n := len(list); n == 0 || list[n-1].Channel.Key != c.Key {
			if n > 0 {
				list[n-1].Points = sampler.result()
			}
			list = append(list, Series{Channel: *c})
			sampler = newDownSampler(first, last, points)
		}
		sampler.add(p)
		return nil
	})
	if n := len(list); n > 0 {
		list[n-1].Points = sampler.result()
	}
	return list, err
}

// times bounds the times at which the reading may find samples.
func (r *reading) times() (first, last int64) {
	first, last = math.MaxInt64, math.MinInt64
	for i := range r.channels {
		first, last = min(first, r.channels[i].FirstUS), max(last, r.channels[i].LastUS)
	}
	return max(first, r.from), min(last, r.to)
}

// downSampler reduces one channel. Up to limit points it keeps them as they
// are.
type downSampler struct {
	first   int64
	width   uint64 // of a bucket, in microseconds
	limit   int
	raw     []Point
	buckets []bucket
}

// bucket is what a stretch of time shows.
type bucket struct {
	used                   bool
	first, low, high, last Point
}

func newDownSampler(first, last int64, points int) *downSampler {
	count := uint64(max(1, points/4))
	return &downSampler{first: first, width: uint64(last-first)/count + 1, limit: points}
}

func (d *downSampler) add(points []Point) {
	for _, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		if d.buckets != nil {
			d.put(p)
			continue
		}
		if d.raw = append(d.raw, p); len(d.raw) <= d.limit {
			continue
		}
		d.buckets = make([]bucket, max(1, d.limit/4))
		for _, p := range d.raw {
			d.put(p)
		}
		d.raw = nil
	}
}

func (d *downSampler) put(p Point) {
	at := uint64(0)
	if p.Time > d.first {
		at = min(uint64(p.Time-d.first)/d.width, uint64(len(d.buckets)-1))
	}
	b := &d.buckets[at]
	if !b.used {
		*b = bucket{true, p, p, p, p}
		return
	}
	if p.Value < b.low.Value {
		b.low = p
	}
	if p.Value > b.high.Value {
		b.high = p
	}
	b.last = p
}

// result gives the points in order of time, none twice.
func (d *downSampler) result() []Point {
	if d.buckets == nil {
		return d.raw
	}
	var out []Point
	for i := range d.buckets {
		b := &d.buckets[i]
		if !b.used {
			continue
		}
		inner := [...]Point{b.low, b.high}
		if b.high.Time < b.low.Time {
			inner = [...]Point{b.high, b.low}
		}
		out = append(out, b.first)
		for _, p := range [...]Point{inner[0], inner[1], b.last} {
			if p != out[len(out)-1] {
				out = append(out, p)
			}
		}
	}
	return out
}
