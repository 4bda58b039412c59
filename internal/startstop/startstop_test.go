package startstop

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// untilStopped is work that ends when it is told to.
func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStopEndsTheWork(t *testing.T) {
	t.Parallel()
	var s Service
	if s.Running() || s.Done() != nil {
		t.Error("runs before Start")
	}
	if err := s.Start(t.Context(), untilStopped); err != nil {
		t.Fatal(err)
	}
	if !s.Running() {
		t.Error("does not run after Start")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stopped as asked: %v", err)
	}
	if s.Running() {
		t.Error("runs after Stop")
	}
	<-s.Done()
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

func TestStopOfWhatWasNeverStarted(t *testing.T) {
	t.Parallel()
	var s Service
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOnlyStopEndsAService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
		var s Service
		if err := s.Start(ctx, func(ctx context.Context) error {
			if ctx.Value(key{}) != "kept" {
				t.Error("the context's values are lost")
			}
			return untilStopped(ctx)
		}); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if !s.Running() {
			t.Error("ended with Start's context")
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopGivesTheWorksError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		work func(context.Context) error
		want error
	}{
		"failed by itself":      {func(context.Context) error { return broken }, broken},
		"failed while stopping": {func(ctx context.Context) error { <-ctx.Done(); return broken }, broken},
		"a cancellation that is not its own": {
			func(context.Context) error { return context.Canceled }, context.Canceled},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s Service
				if err := s.Start(t.Context(), tt.work); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if err := s.Stop(t.Context()); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestStopIsBoundedAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Service
		if err := s.Start(t.Context(), func(context.Context) error {
			time.Sleep(time.Minute) // deaf
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := s.Start(t.Context(), untilStopped); !errors.Is(err, ErrRunning) {
			t.Errorf("started beside what has not stopped: %v", err)
		}
		if err := s.Stop(t.Context()); err != nil || time.Since(began) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

func TestStartAgain(t *testing.T) {
	t.Parallel()
	var s Service
	broken := errors.New("broken")
	if err := s.Start(t.Context(), func(context.Context) error { return broken }); err != nil {
		t.Fatal(err)
	}
	<-s.Done() // ended by itself: may be started without Stop
	for range 3 {
		if err := s.Start(t.Context(), untilStopped); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("an error of an earlier start: %v", err)
		}
	}
}

func TestStress(t *testing.T) {
	t.Parallel()
	var s Service
	var running, most, started atomic.Int64
	work := func(ctx context.Context) error {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		return untilStopped(ctx)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				switch err := s.Start(t.Context(), work); {
				case err == nil:
					started.Add(1)
				case !errors.Is(err, ErrRunning):
					t.Errorf("start: %v", err)
				}
				if err := s.Stop(t.Context()); err != nil {
					t.Errorf("stop: %v", err)
				}
			}
		})
	}
	all.Wait()
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if most.Load() != 1 || running.Load() != 0 || started.Load() == 0 {
		t.Errorf("%d at once, %d left, %d started", most.Load(), running.Load(), started.Load())
	}
}
