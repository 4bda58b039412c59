package source_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/internal/startstop"
	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/sourcetest"
)

func TestC8StopIsBounded(t *testing.T) {
	tests := []struct {
		name   string
		script []sourcetest.Step
		within time.Duration
	}{
		{"while it waits for data", script(sourcetest.Connect()), 0},
		{"while data flows", script(sourcetest.Connect(sourcetest.Stream(ms, 1))), 0},
		{"while it opens", script(sourcetest.HangOpen()), 0},
		{"in a Read that hangs", script(sourcetest.Connect(sourcetest.StickRead())), time.Second},
		{"in an Open that hangs", script(sourcetest.StickOpen(5 * time.Second)), 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, plain(), tt.script, func(b *bench) {
				b.pass(0)
				began := time.Now()
				b.stop()
				if took := time.Since(began); took > tt.within {
					t.Errorf("Stop took %v", took)
				}
			})
		})
	}
}

func TestC8StopSaysWhenSomethingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, plain(), sourcetest.StickOpen(time.Minute))
		b.start()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := b.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		began := time.Now()
		if err := b.Stop(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := b.Start(t.Context()); !errors.Is(err, startstop.ErrRunning) {
			t.Errorf("started beside an Open that hangs: %v", err)
		}
		b.pass(time.Minute)
		b.wantState(source.Disconnected)
		if b.fake.Live() != 0 {
			t.Error("the late connection stays open")
		}
		b.stop()
	})
}

func TestC8StartAgainWorks(t *testing.T) {
	settings := plain()
	settings.AutoReconnect = false
	inBubble(t, settings, script(
		sourcetest.Connect(sourcetest.Stream(100*ms, 1)),
		sourcetest.Refuse(3, sourcetest.ErrRefused),
		sourcetest.Connect(sourcetest.Quiet(time.Second), sourcetest.Data(1, 1), sourcetest.Vanish()),
		sourcetest.Connect(sourcetest.Stream(100*ms, 1)),
	), func(b *bench) {
		b.pass(time.Second)
		b.wantState(source.Connected)
		b.stop()
		b.start()
		b.pass(time.Second)
		b.wantState(source.Error) // gave up by itself
		b.start()
		b.pass(2 * time.Second)
		b.wantState(source.Error)
		b.start()
		b.pass(time.Second)
		b.wantState(source.Connected)
		b.stop()
		b.wantStates(
			"0s disconnected>connecting", "0s connecting>connected", "1s connected>disconnected",
			"1s disconnected>connecting", "1.3s connecting>error",
			"2s error>connecting", "2s connecting>connected", "3s connected>error",
			"4s error>connecting", "4s connecting>connected", "5s connected>disconnected",
		)
	})
}

func TestC8ConcurrentStartsMakeOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, plain(), sourcetest.Connect(sourcetest.Stream(time.Second, 1)))
		var started sync.WaitGroup
		var mu sync.Mutex
		ok := 0
		for range 50 {
			started.Go(func() {
				if err := b.Start(t.Context()); err == nil {
					mu.Lock()
					ok++
					mu.Unlock()
				} else if !errors.Is(err, startstop.ErrRunning) {
					t.Errorf("got %v", err)
				}
			})
		}
		started.Wait()
		b.pass(time.Second)
		if r := b.fake.Record(); ok != 1 || len(r.Opens) != 1 || r.MaxOpen != 1 {
			t.Errorf("%d started, %+v", ok, r)
		}
		var stopped sync.WaitGroup
		for range 10 {
			stopped.Go(b.stop)
		}
		stopped.Wait()
		if b.fake.Live() != 0 {
			t.Error("a reader is left open")
		}
	})
}

func TestC8AnOpenThatHangsIsNotDoubled(t *testing.T) {
	settings := plain()
	settings.ConnectTimeout = 2 * time.Second
	settings.Retry.MaxAttempts = 5
	inBubble(t, settings, script(sourcetest.StickOpen(7*time.Second), sourcetest.Connect(sourcetest.Stream(time.Second, 1))), func(b *bench) {
		b.pass(6900 * ms)
		b.wantOpens(0)
		b.wantState(source.Connecting)
		if s := b.Stats(); s.ConsecutiveErrors != 2 {
			t.Errorf("%+v", s)
		}
		b.pass(10 * time.Second)
		b.wantOpens(0, 7*time.Second) // the late one is closed first
		b.wantState(source.Connected)
		if r := b.fake.Record(); r.MaxOpen != 1 || r.Closes != 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestC2ConnectTimeout(t *testing.T) {
	settings := plain()
	settings.ConnectTimeout = 1500 * ms
	inBubble(t, settings, script(sourcetest.HangOpen(), sourcetest.Connect(sourcetest.Stream(time.Second, 1))), func(b *bench) {
		b.pass(1599 * ms)
		b.wantState(source.Connecting)
		if s := b.Stats(); s.LastError != "no connection within 1.5s: context deadline exceeded" {
			t.Errorf("last error %q", s.LastError)
		}
		b.pass(ms)
		b.wantOpens(0, 1600*ms)
		b.wantState(source.Connected)
	})
}

func TestC8StopTakesOverWhatAReaderStillHolds(t *testing.T) {
	inBubble(t, plain(), script(sourcetest.Connect(sourcetest.HoldBack(3, 10))), func(b *bench) {
		b.pass(100 * ms)
		b.stop()
		if b.samples() != 30 {
			t.Errorf("%d of 30 samples taken over", b.samples())
		}
	})
	t.Run("for a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, plain(), sourcetest.Connect(sourcetest.HoldBack(0, 10)))
			b.accept = func(ctx context.Context, _ *sample.Batch) error { // a slow queue
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(300 * ms):
					return nil
				}
			}
			b.start()
			began := time.Now()
			b.stop()
			if took := time.Since(began); took != time.Second {
				t.Errorf("Stop took %v", took)
			}
			if s := b.Stats(); s.LastError != "" {
				t.Errorf("stopping shows as the error %q", s.LastError)
			}
		})
	})
}
