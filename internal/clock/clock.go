// Package clock gives session time: the wall clock at the start of the
// program carried on by the monotonic clock (DESIGN decision 8), so that a
// step of the wall clock in mid-pull does not tear a run.
package clock

import "time"

// Session is session time. The zero value is not usable; see New.
type Session struct {
	start  time.Time
	micros int64
}

// New starts session time at the present wall clock.
func New() *Session {
	now := time.Now()
	return &Session{start: now, micros: now.UnixMicro()}
}

// Micros is the present session time in µs since the Unix epoch, UTC.
func (s *Session) Micros() int64 { return s.micros + time.Since(s.start).Microseconds() }

// At converts a time that carries a monotonic reading to session time.
func (s *Session) At(t time.Time) int64 { return s.micros + t.Sub(s.start).Microseconds() }
