// Package startstop is the one start/stop primitive: everything of dynotap
// that runs in the background starts and stops through it.
package startstop

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrRunning is returned by Start when the service runs already.
var ErrRunning = errors.New("already running")

// Service is something that runs in the background between Start and Stop. It
// can be started again after it has stopped. The zero value is ready; it is
// safe for concurrent use.
type Service struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Start runs work in a goroutine of its own until it returns or Stop cancels
// its context, which carries ctx's values but not its end: only Stop ends a
// service, so that shutdown has an order.
func (s *Service) Start(ctx context.Context, work func(context.Context) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running() {
		return ErrRunning
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	s.cancel, s.done, s.err = cancel, done, nil
	go func() {
		defer close(done)
		defer cancel()
		err := work(ctx)
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			err = nil // stopped as asked
		}
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}()
	return nil
}

// Stop cancels the work and waits until it has returned or ctx ends. It gives
// the work's error, or one that wraps ctx's when the work did not return in
// time. Stopping what does not run is no error.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	cancel, done := s.cancel, s.done
	s.mu.Unlock()
	if done == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("did not stop in time: %w", ctx.Err())
	}
}

// Done is closed when the work of the last Start has returned; nil before the
// first Start.
func (s *Service) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Running reports whether the work has been started and has not returned.
func (s *Service) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running()
}

func (s *Service) running() bool {
	if s.done == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}
