package app

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dynotap/pipeline"
	"dynotap/queue"
)

const (
	// pressureLook is how often the way into the queue is looked at.
	pressureLook = 250 * time.Millisecond
	// pressureQuiet is how long nothing has waited or been lost when a spell of
	// it is over.
	pressureQuiet = 2 * time.Second
	// slowAfter is when a batch that the queue has not taken yet says that the
	// disk is slow.
	slowAfter = time.Second
	// notAcceptingAfter is for how long nothing of a source has been taken when
	// the program no longer counts as accepting.
	notAcceptingAfter = 5 * time.Second
)

// What a spell is, in the order of weight.
const (
	spellUnread = "not_read"   // the source's own buffers ran over
	spellSlow   = "disk_slow"  // the queue has room, but batches wait for the disk
	spellFull   = "queue_full" // the policy of the full queue is at work
)

// pressure watches the way into the queue. A spell begins when a source waits,
// or something is lost to the full queue or because nobody read the network in
// time; it ends when none of that has happened for pressureQuiet. Each is told
// of twice, when it begins and when it ends.
type pressure struct {
	stats    func() queue.Stats
	hindered func() []pipeline.Hindrance
	overruns func() map[string]Overruns
	announce func(text string)
	logger   *slog.Logger
	now      func() time.Time

	mu      sync.Mutex
	seen    tally
	present *spell
	last    *spellView
	spells  int64
}

// tally is what has been lost and waited for until a moment.
type tally struct {
	waits    int64
	seconds  float64
	drops    []queue.Drop
	overruns map[string]Overruns
}

// spell is one that has not ended.
type spell struct {
	what         string
	since, until time.Time // its last sign
	before       tally
}

// spellView is a spell in JSON.
type spellView struct {
	What        string              `json:"what"`
	Since       time.Time           `json:"since"`
	Seconds     float64             `json:"seconds"`
	Waits       int64               `json:"waits"`        // of sources, for room
	WaitSeconds float64             `json:"wait_seconds"` // of those that have ended
	Lost        []queue.Drop        `json:"lost"`         // by the full queue
	Overruns    map[string]Overruns `json:"overruns"`     // by source
	Text        string              `json:"text"`
}

// hindranceView is a pipeline.Hindrance in JSON.
type hindranceView struct {
	Source  string  `json:"source"`
	Waiting float64 `json:"waiting_seconds"`
	Refused float64 `json:"refused_seconds"`
}

// pressureView is the part of /api/v1/stats that says who waits and what a
// full queue did.
type pressureView struct {
	Present  *spellView      `json:"present"` // null: none
	Last     *spellView      `json:"last"`    // of those that have ended
	Spells   int64           `json:"spells"`  // since the start, the present one included
	Hindered []hindranceView `json:"hindered"`
}

// watch looks until ctx ends.
func (p *pressure) watch(ctx context.Context) error {
	tick := time.NewTicker(pressureLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.finish()
			return ctx.Err()
		case <-tick.C:
			p.view()
		}
	}
}

// view looks and gives what there is.
func (p *pressure) view() pressureView {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, hindered := p.stats(), p.hindered()
	p.look(&s, hindered)
	v := pressureView{Last: p.last, Spells: p.spells, Hindered: []hindranceView{}}
	for _, h := range hindered {
		v.Hindered = append(v.Hindered, hindranceView{h.Source, h.Waiting.Seconds(), h.Refused.Seconds()})
	}
	if p.present != nil {
		v.Present = p.present.view(p.now(), p.seen)
		v.Present.Text = presentText(v.Present, s.WhenFull, s.MaxSize, hindered)
	}
	return v
}

// look compares with the look before. The lock is held.
func (p *pressure) look(s *queue.Stats, hindered []pipeline.Hindrance) {
	now, before := p.now(), p.seen
	p.seen = tally{s.TotalWaits, s.WaitSeconds, fullDrops(s.Dropped), p.overruns()}
	what := p.sign(s, hindered, before)
	switch {
	case what == "" && p.present != nil && now.Sub(p.present.until) >= pressureQuiet:
		p.end()
	case what != "" && p.present == nil:
		p.spells++
		p.present = &spell{what: what, since: now, until: now, before: before}
		if what != spellUnread {
			p.present.since = now.Add(-longestWait(hindered))
		}
		p.begin(s, hindered)
	case what != "":
		p.present.until = now
		if rank(what) > rank(p.present.what) {
			p.present.what = what
			p.begin(s, hindered)
		}
	}
}

// sign says what is the matter at this moment, "" if nothing.
func (p *pressure) sign(s *queue.Stats, hindered []pipeline.Hindrance, before tally) string {
	switch {
	case s.Waiting > 0, p.seen.waits > before.waits, len(dropsSince(p.seen.drops, before.drops)) > 0:
		return spellFull
	case longestWait(hindered) >= slowAfter:
		return spellSlow
	case len(overrunsSince(p.seen.overruns, before.overruns)) > 0:
		return spellUnread
	}
	return ""
}

func rank(what string) int {
	return slices.Index([]string{"", spellUnread, spellSlow, spellFull}, what)
}

func longestWait(hindered []pipeline.Hindrance) (longest time.Duration) {
	for _, h := range hindered {
		longest = max(longest, h.Waiting)
	}
	return longest
}

func (p *pressure) begin(s *queue.Stats, hindered []pipeline.Hindrance) {
	text := presentText(p.present.view(p.now(), p.seen), s.WhenFull, s.MaxSize, hindered)
	p.logger.Warn(text, "what", p.present.what, "when_full", s.WhenFull, "size", s.CurrentSize, "max_size", s.MaxSize)
	p.announce(text)
}

// end closes the present spell.
func (p *pressure) end() {
	p.last = p.present.view(p.present.until, p.seen)
	p.last.Text = endedText(p.last)
	p.present = nil
	p.logger.Warn(p.last.Text, "what", p.last.What, "seconds", p.last.Seconds, "waits", p.last.Waits, "lost_samples", p.last.lostSamples())
	p.announce(p.last.Text)
}

// finish closes what is still going on.
func (p *pressure) finish() {
	p.view()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.present != nil {
		p.end()
	}
}

func (s *spell) view(now time.Time, seen tally) *spellView {
	return &spellView{
		What: s.what, Since: s.since.UTC(), Seconds: now.Sub(s.since).Seconds(),
		Waits: seen.waits - s.before.waits, WaitSeconds: seen.seconds - s.before.seconds,
		Lost:     dropsSince(seen.drops, s.before.drops),
		Overruns: overrunsSince(seen.overruns, s.before.overruns),
	}
}

func (v *spellView) lostSamples() (n int64) {
	for _, d := range v.Lost {
		n += d.Samples
	}
	for _, o := range v.Overruns {
		n += int64(o.Samples)
	}
	return n
}

// fullDrops keeps what was lost to the full queue, by source and reason.
func fullDrops(drops []queue.Drop) []queue.Drop {
	return slices.DeleteFunc(slices.Clone(drops), func(d queue.Drop) bool {
		return d.Reason != queue.ReasonEvicted && d.Reason != queue.ReasonFull
	})
}

func dropsSince(now, before []queue.Drop) []queue.Drop {
	out := []queue.Drop{}
	for _, d := range now {
		if i := slices.IndexFunc(before, func(b queue.Drop) bool { return b.Source == d.Source && b.Reason == d.Reason }); i >= 0 {
			d.Items -= before[i].Items
			d.Samples -= before[i].Samples
		}
		if d.Items > 0 {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b queue.Drop) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// overrunsSince knows that a new connection counts from 0.
func overrunsSince(now, before map[string]Overruns) map[string]Overruns {
	out := map[string]Overruns{}
	for source, o := range now {
		if b := before[source]; b.Datagrams <= o.Datagrams && b.Samples <= o.Samples {
			o.Datagrams -= b.Datagrams
			o.Samples -= b.Samples
		}
		if o.Datagrams > 0 {
			out[source] = o
		}
	}
	return out
}

// readiness sorts the present spell: a note, or, once nothing of a source has
// been taken for notAcceptingAfter, a reason not to count as accepting.
func (p *pressure) readiness() (reasons, notes []string) {
	v := p.view()
	if v.Present == nil {
		return nil, nil
	}
	for _, h := range v.Hindered {
		if max(h.Waiting, h.Refused) >= notAcceptingAfter.Seconds() {
			return []string{v.Present.Text}, nil
		}
	}
	return nil, []string{v.Present.Text}
}
