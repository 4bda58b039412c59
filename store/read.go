package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"dynotap/internal/db"
	"dynotap/store/segment"
)

// Query chooses samples of a capture.
type Query struct {
	Capture string
	// Channels are keys, canonical names or labels; none chooses all channels.
	Channels []string
	// Optional passes over names that no channel has at these times, in place
	// of ErrNoChannel.
	Optional bool
	// FromUS and ToUS choose the times from <= t < to; nil is no bound.
	FromUS, ToUS *int64
	// Native asks for values in the channels' native units.
	Native bool
}

// bounds are the query's times, both included.
func (q *Query) bounds() (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if q.FromUS != nil {
		from = *q.FromUS
	}
	if q.ToUS != nil {
		to = max(*q.ToUS, math.MinInt64+1) - 1
	}
	return from, to
}

// Channels gives the channels of a capture that have samples, in the order of
// their keys, each with the figures of all its samples. It decodes the live
// chunks: some ten million samples take a fraction of a second.
func (s *Store) Channels(ctx context.Context, capture string) ([]Channel, error) {
	r, err := s.begin(ctx, Query{Capture: capture})
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.channels, errors.Join(r.damage...)
}

// Read gives the samples of a query, a channel after the other in the order of
// their keys, each in order of time; samples of one time in the order in which
// they were stored. fn gets the channel as it was described last and some of
// its points, which are valid during the call; its error ends the reading.
//
// Every sample that was committed before the call is given exactly once,
// whatever is sealed meanwhile; later ones may be. Memory is bounded by
// Options.MemorySamples. What is damaged is left out and named in the error at
// the end, which wraps ErrDamaged. fn may use the store.
func (s *Store) Read(ctx context.Context, q Query, fn func(c *Channel, points []Point) error) error {
	r, err := s.begin(ctx, q)
	if err != nil {
		return err
	}
	defer r.close()
	return r.all(ctx, fn)
}

// reading is a Read under way.
type reading struct {
	store    *Store
	q        Query
	from, to int64
	sealed   []sealedFile
	live     *plan
	groups   [][]unit
	channels []Channel // those with samples; figures of the whole capture unless the query has times
	arena    []Point
	files    fileCache
	damage   []error
	release  func()
}

// begin takes the first snapshot: what is sealed and what is live.
func (s *Store) begin(ctx context.Context, q Query) (*reading, error) {
	r := &reading{store: s, q: q, release: s.hold(q.Capture)}
	r.files.open = func(path string) (*segment.File, error) { return segment.Open(s.file(path)) }
	r.from, r.to = q.bounds()
	err := s.db.Read(ctx, func(c *db.Conn) error {
		capture, err := captureOn(c, q.Capture)
		if err != nil {
			return err
		}
		sealed, err := sealedOn(c, q.Capture, 0)
		if err != nil {
			return err
		}
		_, newest, err := liveChunks(c, q.Capture)
		if err != nil {
			return err
		}
		chunks := chunkRange{capture: q.Capture, upTo: newest, from: r.from, to: r.to}
		// A name chooses channels by their latest description, which the
		// survey finds out: so it sees all that any name might mean.
		if r.live, err = s.survey(c, capture, chunks, sealed.channels, r.damaged); err != nil {
			return err
		}
		r.sealed = sealed.files
		if err := r.choose(&sealed); err != nil {
			return err
		}
		units, err := s.units(c, r.live, s.opts.MemorySamples)
		r.groups = groupUnits(units, s.opts.MemorySamples)
		return err
	})
	if err != nil {
		r.close()
		return nil, fmt.Errorf("read capture %s: %w", q.Capture, err)
	}
	return r, nil
}

func (r *reading) damaged(e *ChunkError, _ []byte) error {
	r.damage = append(r.damage, e)
	return nil
}

// choose leaves in the plan what the query asks for, and makes the list of
// channels.
func (r *reading) choose(sealed *sealedFiles) error {
	p := r.live
	found := make([]bool, len(r.q.Channels))
	chosen := func(c *Channel) bool {
		hit := len(r.q.Channels) == 0
		for i, name := range r.q.Channels {
			if name == c.Key || name == c.Name || name == c.Label {
				hit, found[i] = true, true
			}
		}
		return hit
	}
	drop := make([]bool, len(p.channels))
	for i := range p.channels {
		c := p.channels[i]
		if k := slices.IndexFunc(sealed.channels, func(o Channel) bool { return o.Key == c.Key }); k >= 0 && r.touched(sealed, c.Key) {
			absorb(&c, &sealed.channels[k])
		}
		if !chosen(&c) {
			drop[i] = true
			p.channels[i].Rows = 0
			continue
		}
		if c.Rows > 0 {
			r.channels = append(r.channels, c)
		}
	}
	for i, name := range r.q.Channels {
		if !found[i] && !r.q.Optional {
			return fmt.Errorf("%w: %q", ErrNoChannel, name)
		}
	}
	for _, ps := range p.sets {
		for i, slot := range ps.slots {
			if slot >= 0 && drop[slot] {
				ps.slots[i] = -1
			}
		}
	}
	return nil
}

// touched reports whether a sealed file may have samples of a channel at the
// query's times.
func (r *reading) touched(sealed *sealedFiles, key string) bool {
	return slices.ContainsFunc(sealed.files, func(f sealedFile) bool {
		_, sp, ok := f.span(key)
		return ok && sp.last >= r.from && sp.first <= r.to
	})
}

// all gives the samples group by group. Each group is one snapshot: what was
// sealed since the last one is no longer gathered but read from its file.
func (r *reading) all(ctx context.Context, fn func(*Channel, []Point) error) error {
	r.arena = make([]Point, largest(r.groups))
	for _, group := range r.groups {
		group = slices.DeleteFunc(group, func(u unit) bool { return r.channel(u.channel) == nil })
		if len(group) == 0 {
			continue
		}
		if err := r.load(ctx, group); err != nil {
			return fmt.Errorf("read capture %s: %w", r.q.Capture, err)
		}
		for i := range group {
			if err := r.unit(ctx, &group[i], fn); err != nil {
				return err
			}
			group[i].points = nil
		}
	}
	return errors.Join(r.damage...)
}

// channel gives the chosen channel of a slot of the plan, nil if it has no
// samples or is not chosen.
func (r *reading) channel(slot int) *Channel {
	key := r.live.channels[slot].Key
	if i := slices.IndexFunc(r.channels, func(c Channel) bool { return c.Key == key }); i >= 0 {
		return &r.channels[i]
	}
	return nil
}

func (r *reading) load(ctx context.Context, group []unit) error {
	last := 0
	if n := len(r.sealed); n > 0 {
		last = r.sealed[n-1].number
	}
	return r.store.db.Read(ctx, func(c *db.Conn) error {
		if _, err := captureOn(c, r.q.Capture); err != nil {
			return err // deleted meanwhile
		}
		fresh, err := sealedOn(c, r.q.Capture, last)
		if err != nil {
			return err
		}
		r.sealed = append(r.sealed, fresh.files...)
		return r.store.gather(c, r.live, group, r.arena)
	})
}

// unit gives one unit's samples, sealed and live, in order of time.
func (r *reading) unit(ctx context.Context, u *unit, fn func(*Channel, []Point) error) error {
	c := r.channel(u.channel)
	from, to := max(u.from, r.from), min(u.to, r.to)
	m := merger{}
	for i := range r.sealed {
		f := &r.sealed[i]
		index, sp, ok := f.span(c.Key)
		if !ok || sp.last < from || sp.first > to {
			continue
		}
		m.add(&fileStream{reading: r, channel: c, path: f.path, index: index, from: from, to: to}, max(sp.first, from))
	}
	if len(u.points) > 0 {
		if !r.q.Native {
			convert(u.points, c)
		}
		m.add(&liveStream{points: u.points}, u.points[0].Time)
	}
	shown := description(c)
	shown.Native = c.Native
	return m.run(func(points []Point) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(&shown, points)
	})
}

func (r *reading) close() {
	r.files.closeAll()
	r.release()
}

// convert brings native values to the channel's unit, in place.
func convert(points []Point, c *Channel) {
	conv := c.Conversion()
	if conv.IsIdentity() {
		return
	}
	for i := range points {
		points[i].Value = conv.Apply(points[i].Value)
	}
}
