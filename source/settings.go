package source

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Settings are a source's policies. The zero value is not valid; start from
// DefaultSettings.
type Settings struct {
	Retry   Retry
	Breaker Breaker
	// ConnectTimeout bounds one Open; it is > 0.
	ConnectTimeout time.Duration
	// ReadTimeout bounds one Read; running out of it is no error. 0: no bound.
	ReadTimeout time.Duration
	// AutoReconnect connects again after a connection was lost and after all
	// attempts failed, the latter after ReconnectDelay.
	AutoReconnect  bool
	ReconnectDelay time.Duration
	// StaleAfter is how old the newest data of a healthy source or channel may
	// be; it is > 0.
	StaleAfter time.Duration
}

// Retry is the policy of one round of connecting (CONFORMANCE C2): attempt 1
// at once, then InitialDelay x Base^n, never more than MaxDelay.
type Retry struct {
	MaxAttempts  int // >= 1
	InitialDelay time.Duration
	MaxDelay     time.Duration
	Base         float64 // >= 1
	// Jitter shortens each delay by up to half, at random.
	Jitter            bool
	OnTimeout         bool
	OnConnectionError bool
}

// Breaker is the policy of the circuit breaker (CONFORMANCE C3).
type Breaker struct {
	Enabled          bool
	FailureThreshold int           // consecutive failures that open it, >= 1
	SuccessThreshold int           // successes in half-open that close it, >= 1
	Timeout          time.Duration // how long it stays open
	HalfOpenMaxCalls int           // calls at once in half-open, >= 1
}

// DefaultSettings are the guide's.
func DefaultSettings() Settings {
	return Settings{
		Retry: Retry{
			MaxAttempts: 3, InitialDelay: 100 * time.Millisecond, MaxDelay: 30 * time.Second, Base: 2,
			Jitter: true, OnTimeout: true, OnConnectionError: true,
		},
		Breaker: Breaker{
			Enabled: true, FailureThreshold: 5, SuccessThreshold: 2, Timeout: time.Minute, HalfOpenMaxCalls: 3,
		},
		ConnectTimeout: 5 * time.Second,
		ReadTimeout:    time.Second,
		AutoReconnect:  true,
		ReconnectDelay: 5 * time.Second,
		StaleAfter:     5 * time.Second,
	}
}

// Validate names every setting that is out of range.
func (s Settings) Validate() error {
	var errs []error
	check := func(ok bool, format string, value any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, value))
		}
	}
	check(s.Retry.MaxAttempts >= 1, "retry attempts must be 1 or more, not %d", s.Retry.MaxAttempts)
	check(s.Retry.InitialDelay >= 0, "initial delay must not be negative: %v", s.Retry.InitialDelay)
	check(s.Retry.MaxDelay >= 0, "maximum delay must not be negative: %v", s.Retry.MaxDelay)
	check(s.Retry.Base >= 1, "retry base must be 1 or more, not %v", s.Retry.Base)
	check(s.ConnectTimeout > 0, "connect timeout must be more than 0, not %v", s.ConnectTimeout)
	check(s.ReadTimeout >= 0, "read timeout must not be negative: %v", s.ReadTimeout)
	check(s.ReconnectDelay >= 0, "reconnect delay must not be negative: %v", s.ReconnectDelay)
	check(s.StaleAfter > 0, "stale threshold must be more than 0, not %v", s.StaleAfter)
	if s.Breaker.Enabled {
		check(s.Breaker.FailureThreshold >= 1, "failure threshold must be 1 or more, not %d", s.Breaker.FailureThreshold)
		check(s.Breaker.SuccessThreshold >= 1, "success threshold must be 1 or more, not %d", s.Breaker.SuccessThreshold)
		check(s.Breaker.HalfOpenMaxCalls >= 1, "half-open calls must be 1 or more, not %d", s.Breaker.HalfOpenMaxCalls)
		check(s.Breaker.Timeout >= 0, "breaker timeout must not be negative: %v", s.Breaker.Timeout)
	}
	return errors.Join(errs...)
}

// delay is the wait after the given number of failed attempts, jitter and cap
// included.
func (r Retry) delay(failed int) time.Duration {
	nominal := float64(r.InitialDelay) * math.Pow(r.Base, float64(failed-1))
	if nominal > float64(r.MaxDelay) || math.IsNaN(nominal) { // 0 x infinity is capped too
		nominal = float64(r.MaxDelay)
	}
	if r.Jitter {
		nominal *= 1 - rand.Float64()/2
	}
	return time.Duration(nominal)
}
