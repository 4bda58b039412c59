package source

import (
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// breaker is failsafe-go's circuit breaker made to match CONFORMANCE C3: it
// lets half_open_max_calls through at once where the library would let as many
// as must succeed, and takes no notice of how calls end that began in an
// earlier state. It is safe for concurrent use.
type breaker struct {
	settings Breaker

	mu         sync.Mutex
	circuit    circuitbreaker.CircuitBreaker[any] // used for its counting and its clock only
	generation uint64                             // counts changes of state
	since      time.Time                          // of the newest one
	trials     int                                // calls under way in half-open
}

// permit is the right to make one call. Exactly one of its methods is to be
// called, once.
type permit struct {
	breaker    *breaker
	generation uint64
	trial      bool
}

func newBreaker(s Breaker) *breaker {
	b := &breaker{settings: s}
	if s.Enabled {
		b.circuit = circuitbreaker.NewBuilder[any]().
			WithFailureThreshold(uint(s.FailureThreshold)).
			WithSuccessThreshold(uint(s.SuccessThreshold)).
			WithDelay(s.Timeout).
			Build()
	}
	return b
}

// acquire asks to make a call. When it is refused, wait says how long the
// breaker stays open; 0 means that other trial calls are under way.
func (b *breaker) acquire() (p permit, wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.circuit == nil {
		return permit{breaker: b}, 0, true
	}
	if b.circuit.IsOpen() {
		if wait := b.circuit.RemainingDelay(); wait > 0 {
			return permit{}, wait, false
		}
		b.circuit.HalfOpen()
		b.changed()
	}
	p = permit{breaker: b, generation: b.generation}
	if b.circuit.IsHalfOpen() {
		if b.trials >= b.settings.HalfOpenMaxCalls {
			return permit{}, 0, false
		}
		b.trials++
		p.trial = true
	}
	return p, 0, true
}

// succeed and fail record how the call ended; cancel gives the permit back
// without a verdict.
func (p permit) succeed() { p.end((*breaker).success) }
func (p permit) fail()    { p.end((*breaker).failure) }
func (p permit) cancel()  { p.end(func(*breaker) {}) }

func (p permit) end(record func(*breaker)) {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.circuit == nil || p.generation != b.generation {
		return
	}
	if p.trial {
		b.trials--
	}
	record(b)
}

func (b *breaker) success() { b.note(b.circuit.RecordSuccess) }
func (b *breaker) failure() { b.note(b.circuit.RecordFailure) }

func (b *breaker) note(record func()) {
	before := b.circuit.State()
	record()
	if b.circuit.State() != before {
		b.changed()
	}
}

func (b *breaker) changed() {
	b.generation++
	b.since = time.Now()
	b.trials = 0
}

// reset closes the breaker and forgets what was counted.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.circuit == nil {
		return
	}
	b.circuit = newBreaker(b.settings).circuit
	b.changed()
}

// changedAt is when the present state was entered; zero: it is the first.
func (b *breaker) changedAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since
}

// state gives the present state. An open breaker whose time is over shows as
// open until a call is let through.
func (b *breaker) state() CircuitState {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.circuit == nil || b.circuit.IsClosed():
		return Closed
	case b.circuit.IsHalfOpen():
		return HalfOpen
	default:
		return Open
	}
}
