package source

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"dynotap/sample"
)

// maxSets bounds how many channel sets are remembered by address: a source has
// one per provider, and hands out a new one at each change of a list.
const maxSets = 256

// channelWatch sees each batch before and after it is taken over, and knows
// from that when each channel came last, how often it comes, and whether its
// newest sample passed.
type channelWatch struct {
	began      time.Time
	staleAfter time.Duration
	sporadic   func(*sample.Channel) bool // nil: none is
	mu         sync.Mutex
	batch      uint64
	slot       int64 // the present second since began
	byKey      map[string]*watchedChannel
	bySet      map[*sample.ChannelSet][]*watchedChannel
}

// watchedChannel has its times since the watch began: a plain number is
// cheaper to write per sample.
type watchedChannel struct {
	channel sample.Channel
	seen    time.Duration
	arrived uint64 // number of the newest batch with a sample of it
	newest  int64  // time of the newest sample in it
	passed  uint64 // number of the newest batch from which a sample was not rejected
	kept    int64  // time of the newest sample that was not
	bad     bool   // that one's quality
	verdict verdict
	since   time.Duration // of the verdict; a channel that comes back is judged anew
	pace    pace
}

// verdict is what validation made of the newest sample.
type verdict uint8

const (
	unjudged verdict = iota
	passed
	bad
	rejected
)

func newChannelWatch(staleAfter time.Duration, sporadic func(*sample.Channel) bool) *channelWatch {
	return &channelWatch{
		began: time.Now(), staleAfter: staleAfter, sporadic: sporadic,
		byKey: map[string]*watchedChannel{}, bySet: map[*sample.ChannelSet][]*watchedChannel{},
	}
}

// arrived notes the channels of a batch on its way in. It refuses one whose
// samples point outside its channel set.
func (w *channelWatch) arrived(b *sample.Batch) ([]*watchedChannel, error) {
	if b.Set == nil {
		return nil, fmt.Errorf("%w: no channel set", ErrBatch)
	}
	now := time.Since(w.began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roll(now)
	watched := w.bySet[b.Set]
	if watched == nil {
		watched = w.adopt(b.Set)
	}
	w.batch++
	for i := range b.Samples {
		ch := b.Samples[i].Channel
		if int64(ch) >= int64(len(watched)) {
			return nil, fmt.Errorf("%w: sample %d has channel %d of %d", ErrBatch, i, ch, len(watched))
		}
		c := watched[ch]
		if c.arrived != w.batch {
			if c.arrived == 0 || now-c.seen > w.staleAfter {
				c.verdict, c.pace = unjudged, pace{first: w.slot}
			}
			c.arrived, c.seen = w.batch, now
		}
		c.newest = b.Samples[i].Time
		c.pace.counts[w.slot%paceSlots]++
	}
	return watched, nil
}

// roll closes the seconds that are over.
func (w *channelWatch) roll(now time.Duration) {
	slot := int64(now / time.Second)
	w.slot = max(w.slot, slot-paceSlots) // before that nothing is remembered
	for w.slot < slot {
		w.slot++
		for _, c := range w.byKey {
			c.pace.close(w.slot)
		}
	}
}

// adopt finds or makes the state of each channel of a set seen for the first
// time.
func (w *channelWatch) adopt(set *sample.ChannelSet) []*watchedChannel {
	if len(w.bySet) >= maxSets {
		clear(w.bySet)
	}
	watched := make([]*watchedChannel, set.Len())
	for i, c := range set.Channels() {
		state := w.byKey[c.Key]
		if state == nil {
			state = new(watchedChannel)
			w.byKey[c.Key] = state
		}
		state.channel = c
		watched[i] = state
	}
	w.bySet[set] = watched
	return watched
}

// judged notes what validation made of the batch: it has marked the samples
// and taken out those it rejected.
func (w *channelWatch) judged(watched []*watchedChannel, kept []sample.Sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range kept {
		if ch := kept[i].Channel; int64(ch) < int64(len(watched)) {
			c := watched[ch]
			c.passed, c.kept, c.bad = w.batch, kept[i].Time, kept[i].Quality == sample.Bad
		}
	}
	for _, c := range watched {
		if c.arrived != w.batch {
			continue
		}
		v := passed
		switch {
		case c.passed != c.arrived || c.kept != c.newest:
			v = rejected
		case c.bad:
			v = bad
		}
		if v != c.verdict {
			// From rejected to bad it goes on being invalid.
			if (v == passed) != (c.verdict == passed) || c.verdict == unjudged {
				c.since = c.seen
			}
			c.verdict = v
		}
	}
}

// health lists the channels seen so far, by key.
func (w *channelWatch) health() []ChannelHealth {
	now := time.Since(w.began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roll(now)
	out := make([]ChannelHealth, 0, len(w.byKey))
	for key, c := range w.byKey {
		if c.arrived == 0 {
			continue
		}
		out = append(out, w.describe(key, c, now))
	}
	slices.SortFunc(out, func(a, b ChannelHealth) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func (w *channelWatch) describe(key string, c *watchedChannel, now time.Duration) ChannelHealth {
	h := ChannelHealth{
		Key: key, Channel: c.channel.Address(), State: ChannelHealthy, Since: w.at(c.since), LastSeen: w.at(c.seen),
		RateHz: c.pace.rate(w.slot, now), ExpectedHz: c.pace.expected,
	}
	switch age := now - c.seen; {
	case age > w.staleAfter && w.sporadic != nil && w.sporadic(&c.channel):
		h.ExpectedHz = 0
		return h
	case age > w.staleAfter:
		h.State, h.Since = ChannelStale, w.at(c.seen+w.staleAfter)
		h.Reason = fmt.Sprintf("no sample for %v", age.Round(time.Second))
		return h
	case c.verdict == rejected:
		h.State, h.Reason = ChannelInvalid, "the newest value was rejected by validation"
	case c.verdict == bad:
		h.State, h.Reason = ChannelInvalid, "the newest value is bad"
	}
	if slow := c.pace.slowSince; slow > 0 && now-slow > w.staleAfter {
		h.Slow = true
		at := w.at(slow)
		h.SlowSince = &at
		if h.State == ChannelHealthy {
			h.Reason = fmt.Sprintf("%.3g Hz instead of %.3g Hz", h.RateHz, h.ExpectedHz)
		}
	}
	return h
}

func (w *channelWatch) at(d time.Duration) time.Time { return w.began.Add(d).UTC() }
