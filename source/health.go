package source

import (
	"fmt"
	"sync"
	"time"
)

// Tally is what became of a source's samples, which the supervisor cannot see.
type Tally struct {
	Processed, Failed, Dropped int64
	Latency                    time.Duration // mean, arrival to stored
}

// Stats are the figures of one source under the guide's names (CONFORMANCE
// C7), since the program started.
type Stats struct {
	SamplesReceived   int64        `json:"samples_received"`
	SamplesProcessed  int64        `json:"samples_processed"`
	SamplesFailed     int64        `json:"samples_failed"`
	SamplesDropped    int64        `json:"samples_dropped"`
	AvgLatencyMS      float64      `json:"avg_latency_ms"`
	SamplesPerSecond  float64      `json:"samples_per_second"` // received, over the last 5 s
	CircuitState      CircuitState `json:"circuit_state"`
	ConsecutiveErrors int          `json:"consecutive_errors"` // failed attempts and failed reads in a row
	BytesReceived     int64        `json:"bytes_received"`     // 0 where the source does not count them
	Reconnects        int64        `json:"reconnects"`         // connections after the first
	UptimeSec         float64      `json:"uptime_sec"`         // age of the present connection
	LastError         string       `json:"last_error"`
	LastErrorAt       *time.Time   `json:"last_error_at"`
}

// Health is the guide's health object (CONFORMANCE C6).
type Health struct {
	Healthy bool      `json:"healthy"`
	State   State     `json:"state"`
	Since   time.Time `json:"since"` // when the state was entered
	// Conditions are what keeps the source from being healthy, Reasons the same
	// in words only.
	Conditions        []Condition     `json:"conditions"`
	Reasons           []string        `json:"reasons"`
	CircuitState      CircuitState    `json:"circuit_state"`
	ConsecutiveErrors int             `json:"consecutive_errors"`
	LastDataAt        *time.Time      `json:"last_data_at"`
	LastError         string          `json:"last_error"`
	LastErrorAt       *time.Time      `json:"last_error_at"`
	ChannelCounts     ChannelCounts   `json:"channel_counts"`
	Channels          []ChannelHealth `json:"channels"`
}

// Condition is one thing that is wrong with a source.
type Condition struct {
	// Code is not_connected, circuit_open, errors_in_a_row or no_data.
	Code  string    `json:"code"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"` // how long it has been so
}

// Stats gives a snapshot.
func (s *Supervisor) Stats() Stats {
	out := s.stats.snapshot()
	out.CircuitState = s.breaker.state()
	if s.opts.Tally != nil {
		t := s.opts.Tally()
		out.SamplesProcessed, out.SamplesFailed, out.SamplesDropped = t.Processed, t.Failed, t.Dropped
		out.AvgLatencyMS = float64(t.Latency) / float64(time.Millisecond)
	}
	return out
}

// Health says whether the source works: connected, the breaker not open, fewer
// than three errors in a row, and data within the stale threshold.
func (s *Supervisor) Health() Health {
	s.mu.Lock()
	h := Health{State: s.state, Since: s.since.UTC(), Conditions: []Condition{}, Reasons: []string{}}
	began := s.began
	s.mu.Unlock()
	stats := s.stats.snapshot()
	h.CircuitState = s.breaker.state()
	h.ConsecutiveErrors, h.LastError, h.LastErrorAt = stats.ConsecutiveErrors, stats.LastError, stats.LastErrorAt
	h.Channels = s.channels.health()
	h.ChannelCounts = countChannels(h.Channels)

	because := func(bad bool, code string, since time.Time, format string, args ...any) {
		if bad {
			text := fmt.Sprintf(format, args...)
			h.Conditions = append(h.Conditions, Condition{Code: code, Text: text, Since: since.UTC()})
			h.Reasons = append(h.Reasons, text)
		}
	}
	arrived, erring := s.stats.marks()
	because(h.State != Connected, "not_connected", h.Since, "not connected: %s", h.State)
	because(h.CircuitState == Open, "circuit_open", s.breaker.changedAt(), "circuit breaker open")
	because(h.ConsecutiveErrors >= maxReadErrors, "errors_in_a_row", erring, "%d errors in a row", h.ConsecutiveErrors)
	if arrived.IsZero() {
		because(true, "no_data", began, "no data yet")
	} else {
		at := arrived.UTC()
		h.LastDataAt = &at
		age := time.Since(arrived)
		because(age > s.settings.StaleAfter, "no_data", at, "no data for %v", age.Round(time.Second))
	}
	h.Healthy = len(h.Reasons) == 0
	return h
}

// statistics are the figures the supervisor can know itself.
type statistics struct {
	mu        sync.Mutex
	samples   int64
	rate      rate
	inRow     int       // consecutive errors
	erring    time.Time // the first of them
	connects  int64
	since     time.Time // of the present connection; zero: none
	reader    Reader    // of the present connection
	bytes     int64     // of earlier connections
	arrived   time.Time // of the newest sample
	lastError string
	lastAt    time.Time
}

func newStatistics() *statistics { return new(statistics) }

func (t *statistics) connected(r Reader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connects++
	t.since, t.reader = time.Now(), r
}

func (t *statistics) disconnected() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += bytesOf(t.reader)
	t.since, t.reader = time.Time{}, nil
}

func (t *statistics) received(n int) {
	if n == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.samples += int64(n)
	t.arrived = time.Now()
	t.rate.add(t.arrived, int64(n))
}

// failed counts an attempt or a read that failed.
func (t *statistics) failed(err error) {
	t.note(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inRow++; t.inRow == 1 {
		t.erring = t.lastAt
	}
}

// note keeps an error that says nothing about the connection.
func (t *statistics) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastError, t.lastAt = err.Error(), time.Now()
}

// forgive ends a row of errors.
func (t *statistics) forgive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inRow = 0
}

// marks are when data came last, and when the present row of errors began.
func (t *statistics) marks() (arrived, erring time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.arrived, t.erring
}

func (t *statistics) snapshot() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	s := Stats{
		SamplesReceived:   t.samples,
		SamplesPerSecond:  t.rate.perSecond(now),
		ConsecutiveErrors: t.inRow,
		BytesReceived:     t.bytes + bytesOf(t.reader),
		Reconnects:        max(t.connects-1, 0),
		LastError:         t.lastError,
	}
	if !t.since.IsZero() {
		s.UptimeSec = now.Sub(t.since).Seconds()
	}
	if !t.lastAt.IsZero() {
		at := t.lastAt.UTC()
		s.LastErrorAt = &at
	}
	return s
}

func bytesOf(r Reader) int64 {
	if c, ok := r.(ByteCounter); ok {
		return c.BytesReceived()
	}
	return 0
}
