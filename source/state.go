package source

import "time"

// State is where a source stands (CONFORMANCE C1). It is text so that JSON and
// people read the same.
type State string

// The six states.
const (
	// Disconnected: not started, or stopped.
	Disconnected State = "disconnected"
	// Connecting: making the first connection since Start.
	Connecting State = "connecting"
	// Connected: open and being read, whether or not data comes.
	Connected State = "connected"
	// Reconnecting: making another connection after one was lost or a round of
	// attempts failed.
	Reconnecting State = "reconnecting"
	// Error: a round of attempts failed; the next one follows after the
	// reconnect delay, if AutoReconnect is set and the error can mend.
	Error State = "error"
	// CircuitOpen: the breaker lets no attempt through for now.
	CircuitOpen State = "circuit_open"
)

// Transition is one change of state.
type Transition struct {
	Source string    `json:"source"`
	From   State     `json:"from"`
	To     State     `json:"to"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// CircuitState is the breaker's state under the guide's names.
type CircuitState string

// The three states of a circuit breaker.
const (
	Closed   CircuitState = "closed"
	Open     CircuitState = "open"
	HalfOpen CircuitState = "half_open"
)
