package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"dynotap/internal/db"
)

// Settings are the user's.
type Settings struct {
	MaxSize       int           // items, leased ones included; > 0
	BatchSize     int           // items handed to the processor at once; > 0
	FlushInterval time.Duration // how long NORMAL and lower wait for a full batch; 0: not at all
	DropOnFull    bool          // drop by priority when full; otherwise Enqueue waits
	DropOldest    bool          // with DropOnFull: the oldest makes room for a newcomer of its class

	PriorityEnabled bool // false: one class, first in first out

	Workers    int // processors at the same time; > 0. More than one gives up the order
	MaxRetries int // retries after the first attempt; attempts are kept over a restart

	// The first and the longest delay before a retry. A delay ends with the
	// program: after a restart the item is ready at once, for what made it
	// fail may have ended too, and it has no more attempts for that.
	RetryInitial time.Duration
	RetryMax     time.Duration
	RetryBase    float64 // factor from one delay to the next; >= 1

	DeadLetterMax int           // 0: unbounded; beyond it the oldest are dropped and counted
	DeadLetterAge time.Duration // 0: for ever
	LeaseTimeout  time.Duration // of Dequeue; 0: never. A processor's lease lasts until it answers
}

// Defaults are the settings of a file that says nothing (guide,
// config/ingestion.json; DESIGN decision 1).
func Defaults() Settings {
	return Settings{
		MaxSize: 10000, BatchSize: 100, FlushInterval: 5 * time.Second,
		DropOnFull: true, DropOldest: true, PriorityEnabled: true,
		Workers: 1, MaxRetries: 3,
		RetryInitial: 100 * time.Millisecond, RetryMax: 30 * time.Second, RetryBase: 2,
		DeadLetterMax: 10000,
	}
}

func (s Settings) check() error {
	for _, rule := range []struct {
		ok   bool
		says string
	}{
		{s.MaxSize > 0, "max_size must be greater than 0"},
		{s.BatchSize > 0, "batch_size must be greater than 0"},
		{s.FlushInterval >= 0, "flush_interval must not be negative"},
		{s.Workers > 0, "workers must be greater than 0"},
		{s.MaxRetries >= 0, "max_retries must not be negative"},
		{s.RetryInitial >= 0 && s.RetryMax >= s.RetryInitial, "retry delays must not be negative, nor the largest below the first"},
		{s.RetryBase >= 1, "retry base must be at least 1"},
		{s.DeadLetterMax >= 0 && s.DeadLetterAge >= 0 && s.LeaseTimeout >= 0, "bounds must not be negative"},
	} {
		if !rule.ok {
			return fmt.Errorf("%w: %s", ErrSettings, rule.says)
		}
	}
	return nil
}

func (s Settings) whenFull() string {
	switch {
	case !s.DropOnFull:
		return "wait"
	case s.DropOldest:
		return "drop_oldest"
	default:
		return "drop_newest"
	}
}

// delay is the wait after so many failed attempts (>= 1).
func (s Settings) delay(attempts int) time.Duration {
	d := float64(s.RetryInitial)
	for range attempts - 1 {
		if d *= s.RetryBase; d >= float64(s.RetryMax) {
			return s.RetryMax
		}
	}
	return time.Duration(d)
}

// Options are the program's.
type Options struct {
	// Logger hears of what is no error of any one call; nil is silent.
	Logger *slog.Logger
	// Observer is told of every move of samples. It is called under the
	// queue's lock: it is quick and does not call back.
	Observer func(Event)
	// Apply commits effects for a driver that cannot, each for itself, and
	// gives an error, or nil, for each.
	Apply func(ctx context.Context, effects []db.Effect) []error
	// Now is the clock; nil is time.Now. Its monotonic part times delays, its
	// wall clock only dates items.
	Now func() time.Time
}
