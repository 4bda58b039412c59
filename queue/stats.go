package queue

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"dynotap/sample"
)

// Stats is the queue at one moment (CONFORMANCE Q11). Totals count items since
// the start of the program.
type Stats struct {
	TotalEnqueued  int64  `json:"total_enqueued"`
	TotalProcessed int64  `json:"total_processed"`
	TotalFailed    int64  `json:"total_failed"` // became dead letters
	TotalRetried   int64  `json:"total_retried"`
	TotalDropped   int64  `json:"total_dropped"`
	Dropped        []Drop `json:"dropped"` // by source and reason

	// What happens to a newcomer that finds the queue full: "wait",
	// "drop_oldest" or "drop_newest" (CONFORMANCE Q3).
	WhenFull string `json:"when_full"`
	// Waiting counts the producers that wait for room now, TotalWaits those
	// that had to since the start, WaitSeconds for how long together.
	Waiting     int     `json:"waiting"`
	TotalWaits  int64   `json:"total_waits"`
	WaitSeconds float64 `json:"wait_seconds"`

	MaxSize       int            `json:"max_size"`
	CurrentSize   int            `json:"current_size"` // delayed and leased included
	Leased        int            `json:"leased"`
	Delayed       int            `json:"delayed"`
	HighWatermark int            `json:"high_watermark"`
	ByPriority    map[string]int `json:"by_priority"`
	DeadLetters   int            `json:"dead_letters"`

	DropRate   float64   `json:"drop_rate_percent"`    // dropped / (accepted + dropped)
	Rate       float64   `json:"processed_per_second"` // over the last ten seconds
	Latency    Durations `json:"latency"`              // from enqueue to done, last one to two minutes
	Processing Durations `json:"processing"`           // from lease to done
	OldestAge  float64   `json:"oldest_age_seconds"`
}

// Drop counts what was lost of a source for a reason.
type Drop struct {
	Source  string `json:"source"`
	Reason  string `json:"reason"`
	Items   int64  `json:"items"`
	Samples int64  `json:"samples"`
}

// Durations sums up a distribution, in seconds; p50 and p99 are exact to one
// part in eight.
type Durations struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

const rateWindow = 10 // seconds

// counters are guarded by the queue's lock.
type counters struct {
	enqueued, processed, failed, retried, dropped int64

	waits  int64
	waited time.Duration // of the waits that have ended

	held    [sample.Priorities]int // by class
	high    int
	drops   map[[2]string]*Drop
	trimmed time.Time // when dead letters were last looked at for their age

	began      time.Time
	before     uint64                // the last sequence number of earlier starts
	perSecond  [rateWindow + 1]int64 // ring by second since began
	second     int64                 // the newest of the ring
	latency    histogram
	processing histogram
}

func (s *counters) start(now time.Time, sequence uint64) {
	s.began, s.before = now, sequence
	s.drops = map[[2]string]*Drop{}
}

func (s *counters) size() (n int) {
	for _, k := range s.held {
		n += k
	}
	return n
}

func (s *counters) drop(source, reason string, samples int) {
	key := [2]string{source, reason}
	d := s.drops[key]
	if d == nil {
		d = &Drop{Source: source, Reason: reason}
		s.drops[key] = d
	}
	d.Items++
	d.Samples += int64(samples)
	s.dropped++
}

func (s *counters) done(e *entry, now time.Time) {
	s.processed++
	s.turn(now)
	s.perSecond[s.second%int64(len(s.perSecond))]++
	if e.item.ID.Sequence() > s.before { // how long the program did not run is no latency
		s.latency.add(now, s.age(e, now))
	}
	s.processing.add(now, now.Sub(e.taken))
}

// age is how long an item has been in the queue. Where only its wall clock is
// known, which may have been set since, it is not longer than the program has
// run if the item came in that time.
func (s *counters) age(e *entry, now time.Time) time.Duration {
	switch age := wall(now).Sub(e.item.Enqueued); {
	case !e.arrived.IsZero():
		return now.Sub(e.arrived)
	case e.item.ID.Sequence() > s.before:
		return max(0, min(age, now.Sub(s.began)))
	default:
		return max(0, age)
	}
}

// turn moves the ring to the present second.
func (s *counters) turn(now time.Time) {
	second := int64(now.Sub(s.began) / time.Second)
	for s.second < second {
		if second-s.second > int64(len(s.perSecond)) {
			s.second = second - int64(len(s.perSecond))
		}
		s.second++
		s.perSecond[s.second%int64(len(s.perSecond))] = 0
	}
}

// rate is items a second over the window, the running second by its part.
func (s *counters) rate(now time.Time) float64 {
	s.turn(now)
	var sum int64
	for _, n := range s.perSecond {
		sum += n
	}
	elapsed := now.Sub(s.began)
	part := elapsed - time.Duration(s.second)*time.Second
	span := min(elapsed, rateWindow*time.Second+part)
	if span <= 0 {
		return 0
	}
	return float64(sum) / max(span.Seconds(), 1)
}

// histogram counts durations of one to two minutes: eight steps an octave of
// microseconds.
type histogram struct {
	now, before distribution
	turned      time.Time
}

type distribution struct {
	counts [8 * 40]int64
	count  int64
	sum    time.Duration
	max    time.Duration
}

func (h *histogram) add(now time.Time, d time.Duration) {
	h.turn(now)
	d = max(d, 0)
	h.now.counts[step(d)]++
	h.now.count++
	h.now.sum += d
	h.now.max = max(h.now.max, d)
}

func (h *histogram) turn(now time.Time) {
	switch age := now.Sub(h.turned); {
	case age >= 2*time.Minute:
		h.now, h.before, h.turned = distribution{}, distribution{}, now
	case age >= time.Minute:
		h.before, h.now, h.turned = h.now, distribution{}, now
	}
}

func step(d time.Duration) int {
	us := uint64(d.Microseconds())
	if us < 8 {
		return int(us)
	}
	octave := bits.Len64(us) - 4
	return min(8*(octave+1)+int(us>>octave&7), 8*40-1)
}

// upper is the largest duration of a step.
func upper(step int) time.Duration {
	if step < 8 {
		return time.Duration(step) * time.Microsecond
	}
	octave := step/8 - 1
	return time.Duration((uint64(step%8+8)+1)<<octave-1) * time.Microsecond
}

func (h *histogram) sum(now time.Time) Durations {
	h.turn(now)
	count := h.now.count + h.before.count
	if count == 0 {
		return Durations{}
	}
	largest := max(h.now.max, h.before.max)
	quantile := func(q float64) float64 {
		rank := int64(q * float64(count-1))
		for i := range h.now.counts {
			if rank -= h.now.counts[i] + h.before.counts[i]; rank < 0 {
				return min(upper(i), largest).Seconds()
			}
		}
		return largest.Seconds()
	}
	return Durations{
		Count: count,
		Mean:  (h.now.sum + h.before.sum).Seconds() / float64(count),
		P50:   quantile(0.5), P99: quantile(0.99), Max: largest.Seconds(),
	}
}

// Stats gives a snapshot.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	s := &q.stats
	out := Stats{
		TotalEnqueued: s.enqueued, TotalProcessed: s.processed, TotalFailed: s.failed,
		TotalRetried: s.retried, TotalDropped: s.dropped, Dropped: make([]Drop, 0, len(s.drops)),
		WhenFull: q.settings.whenFull(), Waiting: len(q.room), TotalWaits: s.waits, WaitSeconds: s.waited.Seconds(),
		MaxSize: q.settings.MaxSize, CurrentSize: s.size(), Leased: len(q.leased), Delayed: len(q.delayed),
		HighWatermark: s.high, ByPriority: make(map[string]int, sample.Priorities), DeadLetters: q.dead,
		Rate: s.rate(now), Latency: s.latency.sum(now), Processing: s.processing.sum(now),
	}
	for i, n := range s.held {
		out.ByPriority[sample.Priority(i).String()] = n
	}
	for _, d := range s.drops {
		out.Dropped = append(out.Dropped, *d)
	}
	slices.SortFunc(out.Dropped, func(a, b Drop) int {
		return strings.Compare(a.Source+"\x00"+a.Reason, b.Source+"\x00"+b.Reason)
	})
	if offered := s.enqueued + s.dropped; offered > 0 {
		out.DropRate = 100 * float64(s.dropped) / float64(offered)
	}
	out.OldestAge = q.oldestAge(now).Seconds()
	return out
}

// oldestAge is the age of the oldest item. Within a class the first is the
// oldest, and it is in memory.
func (q *Queue) oldestAge(now time.Time) (oldest time.Duration) {
	look := func(e *entry) {
		if e != nil {
			oldest = max(oldest, q.stats.age(e, now))
		}
	}
	for i := range q.classes {
		look(q.classes[i].next())
	}
	for _, e := range q.delayed {
		look(e)
	}
	for _, e := range q.leased {
		look(e)
	}
	return oldest
}
