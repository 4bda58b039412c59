package pipeline

import (
	"context"
	"sync"
	"time"

	"dynotap/sample"
)

// LiveWindow is how often the live hub lets its watchers look: the guide's
// 50 ms, of which each channel shows its last value (CONFORMANCE A5).
const LiveWindow = 50 * time.Millisecond

// lateLimit is how far back a late packet may reach, in µs: what is older tells
// of a clock that was set.
const lateLimit = 5_000_000

// LiveChannel describes a channel that the hub has seen.
type LiveChannel struct {
	Ref    int    `json:"ref"` // number of the channel within this hub
	Source string `json:"source"`
	sample.Channel
}

// LiveValue is the newest sample of one channel, in its canonical unit.
type LiveValue struct {
	Ref     int
	Time    int64 // µs since the Unix epoch
	Value   float64
	Quality sample.Quality
	Samples uint64 // how many samples the channel has had so far
}

// LiveUpdate is what has changed since an earlier version.
type LiveUpdate struct {
	Version  uint64
	Channels []LiveChannel // new ones, or with a new name or unit
	Values   []LiveValue
}

// liveState is one channel's newest sample.
type liveState struct {
	about            LiveChannel
	convert          sample.Conversion
	value            LiveValue
	changed, renamed uint64 // versions
}

// Hub keeps the newest value of every channel for whoever watches. It is lossy
// by design: a watcher asks for what changed since it last looked, so a slow
// one skips values and none is ever buffered for.
type Hub struct {
	mu      sync.Mutex
	version uint64
	states  []*liveState
	byKey   map[string]*liveState               // source, NUL, key
	bySet   map[*sample.ChannelSet][]*liveState // index as Sample.Channel
	ticked  chan struct{}                       // closed and remade at each new version
	dirty   bool
}

// NewHub makes an empty hub; Run moves its version on.
func NewHub() *Hub {
	return &Hub{
		byKey:  map[string]*liveState{},
		bySet:  map[*sample.ChannelSet][]*liveState{},
		ticked: make(chan struct{}),
	}
}

// Run gives watchers a new version every LiveWindow in which something
// changed, until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(LiveWindow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			h.advance()
		}
	}
}

func (h *Hub) advance() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.dirty {
		return
	}
	h.dirty = false
	h.version++
	close(h.ticked)
	h.ticked = make(chan struct{})
}

// Publish takes the newest value of each channel from b, whose set must be
// resolved. It blocks only for other short calls and keeps nothing of b.
func (h *Hub) Publish(b *sample.Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	states := h.bySet[b.Set]
	if states == nil {
		states = h.adopt(b)
	}
	h.dirty = true
	next := h.version + 1
	for i := range b.Samples {
		s := &b.Samples[i]
		st := states[s.Channel]
		st.value.Samples++
		if s.Time < st.value.Time && s.Time > st.value.Time-lateLimit {
			continue // a late packet does not set the clock back
		}
		st.value.Time, st.value.Value, st.value.Quality = s.Time, s.Value, s.Quality
		st.changed = next
	}
}

// adopt finds or makes the state of each channel of a set seen for the first
// time.
func (h *Hub) adopt(b *sample.Batch) []*liveState {
	for old := range h.bySet {
		// A changed list replaces the sets before it; what they share is
		// found by key.
		if len(h.bySet) > 64 {
			delete(h.bySet, old)
		}
	}
	channels := b.Set.Channels()
	states := make([]*liveState, len(channels))
	for i, c := range channels {
		key := b.Source + "\x00" + c.Key
		st := h.byKey[key]
		if st == nil {
			st = &liveState{about: LiveChannel{Ref: len(h.states)}}
			st.value.Ref = st.about.Ref
			h.byKey[key] = st
			h.states = append(h.states, st)
		}
		if st.renamed == 0 || st.about.Channel != c {
			st.about.Source, st.about.Channel = b.Source, c
			st.convert = c.Conversion()
			st.renamed = h.version + 1
		}
		states[i] = st
	}
	h.bySet[b.Set] = states
	return states
}

// Since waits until there is something newer than version, or ctx ends, and
// gives it. Version 0 gives everything there is.
func (h *Hub) Since(ctx context.Context, version uint64) (LiveUpdate, error) {
	for {
		h.mu.Lock()
		if version > h.version {
			version = 0 // of an earlier start of the program
		}
		if h.version > version {
			defer h.mu.Unlock()
			return h.collect(version), nil
		}
		wait := h.ticked
		h.mu.Unlock()
		select {
		case <-ctx.Done():
			return LiveUpdate{}, ctx.Err()
		case <-wait:
		}
	}
}

// Now gives the newest value of every channel at once, without waiting.
func (h *Hub) Now() LiveUpdate {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.collect(0)
}

func (h *Hub) collect(version uint64) LiveUpdate {
	u := LiveUpdate{Version: h.version}
	for _, st := range h.states {
		if st.renamed > version {
			u.Channels = append(u.Channels, st.about)
		}
		if st.changed > version {
			v := st.value
			v.Value = st.convert.Apply(v.Value)
			u.Values = append(u.Values, v)
		}
	}
	return u
}
