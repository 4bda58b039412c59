package source

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"dynotap/sample"
)

// ChannelState is the health of one channel (CONFORMANCE C6).
type ChannelState string

// The three states of a channel.
const (
	ChannelHealthy ChannelState = "healthy"
	// ChannelStale: no sample within the stale threshold.
	ChannelStale ChannelState = "stale"
	// ChannelInvalid: the newest sample is bad, or was rejected.
	ChannelInvalid ChannelState = "invalid"
)

// ChannelHealth is one channel's part of Health.
type ChannelHealth struct {
	Key      string       `json:"key"`
	Channel  string       `json:"channel"` // as people see it, 0x43FD:6:Humidity
	State    ChannelState `json:"state"`
	LastSeen time.Time    `json:"last_seen"`
}

// maxSets bounds how many channel sets are remembered by address: a source has
// one per provider, and hands out a new one at each change of a list.
const maxSets = 256

// channelWatch sees each batch before and after it is taken over, and knows
// from that when each channel came last and whether its newest sample passed.
type channelWatch struct {
	began time.Time
	mu    sync.Mutex
	batch uint64
	byKey map[string]*watchedChannel
	bySet map[*sample.ChannelSet][]*watchedChannel
}

type watchedChannel struct {
	channel sample.Channel
	seen    time.Duration // since the watch began; a plain number is cheaper to write per sample
	arrived uint64        // number of the newest batch with a sample of it
	passed  uint64        // number of the newest batch from which a sample was not rejected
	bad     bool
}

func newChannelWatch() *channelWatch {
	return &channelWatch{began: time.Now(), byKey: map[string]*watchedChannel{}, bySet: map[*sample.ChannelSet][]*watchedChannel{}}
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
		watched[ch].arrived = w.batch
		watched[ch].seen = now
	}
	return watched, nil
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
			watched[ch].passed = w.batch
			watched[ch].bad = kept[i].Quality == sample.Bad
		}
	}
}

// health lists the channels seen so far, by key.
func (w *channelWatch) health(now time.Time, staleAfter time.Duration) []ChannelHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]ChannelHealth, 0, len(w.byKey))
	for key, c := range w.byKey {
		if c.arrived == 0 {
			continue
		}
		h := ChannelHealth{Key: key, Channel: c.channel.Address(), State: ChannelHealthy, LastSeen: w.began.Add(c.seen).UTC()}
		switch {
		case now.Sub(w.began)-c.seen > staleAfter:
			h.State = ChannelStale
		case c.bad || c.passed < c.arrived:
			h.State = ChannelInvalid
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b ChannelHealth) int { return cmp.Compare(a.Key, b.Key) })
	return out
}
