package validate

import (
	"math"

	"dynotap/sample"
)

// MaxTime is the first time that is absurd: the year 2100, in µs since the
// Unix epoch. Times of captures without a date count from 0 and lie below too.
const MaxTime = 4_102_444_800_000_000

// Plan checks the samples of one channel set. It remembers the last time of
// every channel, so it belongs to one source and one goroutine.
type Plan struct {
	limits  []limits
	enabled bool
	policy  policy
}

// limits is all that is needed to check a channel's samples.
type limits struct {
	scale, offset float64 // native to canonical
	low, high     float64 // good between these
	least, most   float64 // not bad between these
	last          int64   // time of the latest sample
}

// policy is what the settings make of the reasons.
type policy struct {
	reject [Reasons]bool
	strict bool
}

// verdict is what becomes of a sample.
type verdict struct {
	quality  sample.Quality
	rejected bool
	reason   Reason // under which it is counted
}

// Compile prepares the check of a resolved channel set. Ranges apply to
// channels with a canonical name; the others are good when finite.
func Compile(set *sample.ChannelSet, settings Settings, ranges Ranges) *Plan {
	p := &Plan{limits: make([]limits, set.Len()), enabled: settings.Enabled, policy: policyOf(settings)}
	for i := range set.Channels() {
		p.limits[i] = limitsOf(&set.Channels()[i], ranges)
	}
	return p
}

func policyOf(s Settings) policy {
	p := policy{strict: s.StrictMode}
	p.reject[NaN], p.reject[Infinite] = s.RejectNaN, s.RejectInf
	p.reject[Below], p.reject[Above] = s.RejectOutOfRange, s.RejectOutOfRange
	p.reject[Timestamp], p.reject[Channel] = true, true
	return p
}

func limitsOf(c *sample.Channel, ranges Ranges) limits {
	conv, r := c.Conversion(), ranges.For(c.Name)
	l := limits{scale: conv.Scale, offset: conv.Offset, least: lowest(r.Min), most: highest(r.Max)}
	l.low, l.high = max(l.least, lowest(r.WarnMin)), min(l.most, highest(r.WarnMax))
	return l
}

// Check sets the quality of every sample and takes out those that the settings
// reject. It works in place, keeps the order, and returns the shorter slice of
// the same memory. A quality that is worse already stays. It adds to n and
// allocates nothing.
func (p *Plan) Check(samples []sample.Sample, n *Counts) []sample.Sample {
	if !p.enabled {
		n.Unchecked += uint64(len(samples))
		return samples
	}
	limits := p.limits
	kept, troubled, late := 0, 0, 0
	for i := range samples {
		s := &samples[i]
		if uint(s.Channel) < uint(len(limits)) {
			l := &limits[s.Channel]
			v := s.Value*l.scale + l.offset
			// NaN and infinity keep no bounds, so they are not good either.
			if v >= l.low && v <= l.high && uint64(s.Time) < MaxTime && s.Quality == sample.Good {
				if s.Time < l.last {
					late++
				}
				l.last = s.Time
				if kept != i {
					samples[kept] = *s
				}
				kept++
				continue
			}
		}
		troubled++
		if p.judge(s, n) {
			samples[kept] = *s
			kept++
		}
	}
	n.Good += uint64(len(samples) - troubled)
	n.OutOfOrder += uint64(late)
	return samples[:kept]
}

// judge decides on a sample that is not simply good, and reports whether it is
// kept.
func (p *Plan) judge(s *sample.Sample, n *Counts) bool {
	why := Channel
	if uint(s.Channel) < uint(len(p.limits)) {
		l := &p.limits[s.Channel]
		why = l.reason(s)
		if why != Timestamp {
			if s.Time < l.last {
				n.OutOfOrder++
			}
			l.last = s.Time
		}
	}
	v := p.policy.decide(why, s.Quality)
	n.note(s, why, v)
	s.Quality = v.quality
	return !v.rejected
}

// reason says why a sample of the channel is not good; Marked where only its
// own mark is left to blame.
func (l *limits) reason(s *sample.Sample) Reason {
	v := s.Value*l.scale + l.offset
	switch {
	case s.Time < 0 || s.Time >= MaxTime:
		return Timestamp
	case math.IsNaN(v):
		return NaN
	case math.IsInf(v, 0):
		return Infinite
	case v < l.least:
		return Below
	case v > l.most:
		return Above
	case v < l.low:
		return Low
	case v > l.high:
		return High
	}
	return Marked
}

// decide applies the settings. Marked is the quality the source gave.
func (p *policy) decide(why Reason, marked sample.Quality) verdict {
	v := verdict{quality: sample.Bad, reason: why, rejected: p.reject[why]}
	marked = min(marked, sample.Bad)
	switch why {
	case Low, High:
		v.quality = max(sample.Suspect, marked)
	case Marked:
		v.quality = marked
	}
	if p.strict && !v.rejected {
		v.rejected, v.reason = true, Strict
	}
	return v
}
