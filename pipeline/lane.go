package pipeline

import (
	"maps"
	"slices"
	"sync/atomic"

	"dynotap/sample"
	"dynotap/validate"
)

// prepared is a channel set made ready: resolved, its ranges compiled, its
// critical channels marked.
type prepared struct {
	set      *sample.ChannelSet
	plan     *validate.Plan
	critical []bool // by channel index; nil where no channel is critical
	windows  *windowed
}

// maxPrepared bounds the sets a lane remembers: a source has one per provider
// and a new one at each change of a list.
const maxPrepared = 256

// lane is one source's way into the pipeline. Its source calls it from one
// goroutine.
type lane struct {
	name     string
	settings validate.Settings
	ready    map[*sample.ChannelSet]*prepared
	warnings *validate.WarningLog
	failed   map[string]int64
	payload  []byte
	urgent   []sample.Sample // used again for each batch, as is rest
	rest     []sample.Sample
	single   []sample.Sample // those that are in no window

	stuck error // why its batch waits outside the queue; under Intake.mu

	batches, waited atomic.Int64 // accepted, and their latencies together in µs

	// Session times in µs, 0: not the case. began is when the batch in hand was
	// taken over; since refused the full queue has taken none, last at refusedAt.
	began, refused, refusedAt atomic.Int64
}

// prepare resolves a set that a source uses for the first time.
func (in *Intake) prepare(l *lane, set *sample.ChannelSet) *prepared {
	resolved := in.resolver.ResolveSet(set)
	p := &prepared{set: resolved, plan: validate.Compile(resolved, l.settings, in.ranges)}
	for i, c := range resolved.Channels() {
		if in.critical[c.Name] || in.critical[c.Label] || in.critical[c.Address()] {
			if p.critical == nil {
				p.critical = make([]bool, resolved.Len())
			}
			p.critical[i] = true
		}
	}
	if len(l.ready) >= maxPrepared {
		maps.DeleteFunc(l.ready, func(_ *sample.ChannelSet, old *prepared) bool { return !old.windows.open() })
	}
	p.windows = in.windows.of(resolved)
	return p
}

// split copies the samples of critical channels apart, in order, so
// that they travel as a batch of their own (DESIGN decision 3).
func (l *lane) split(p *prepared, samples []sample.Sample) (rest, urgent []sample.Sample) {
	if p.critical == nil {
		return samples, nil
	}
	l.urgent, l.rest = l.urgent[:0], l.rest[:0]
	for _, s := range samples {
		if p.critical[s.Channel] {
			l.urgent = append(l.urgent, s)
		} else {
			l.rest = append(l.rest, s)
		}
	}
	return l.rest, l.urgent
}

// check judges samples in place and gives those that are kept; failed then
// holds the rejected ones by reason.
func (l *lane) check(p *prepared, samples []sample.Sample) []sample.Sample {
	var found validate.Counts
	kept := p.plan.Check(samples, &found)
	clear(l.failed)
	if found.Failed() > 0 {
		for reason, n := range found.Rejected {
			if n > 0 {
				l.failed[validate.Reason(reason).String()] += int64(n)
			}
		}
	}
	l.warnings.Report(p.set, &found)
	if !l.settings.Enabled {
		kept = l.placed(p, kept)
	}
	return kept
}

// placed takes out the samples whose channel is not in the set: without
// validation too they cannot be shown, encoded or found again.
func (l *lane) placed(p *prepared, samples []sample.Sample) []sample.Sample {
	placed := slices.DeleteFunc(samples, func(s sample.Sample) bool { return int64(s.Channel) >= int64(p.set.Len()) })
	if n := len(samples) - len(placed); n > 0 {
		l.failed[validate.Channel.String()] += int64(n)
	}
	return placed
}
