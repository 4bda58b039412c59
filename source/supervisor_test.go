package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a supervisor over a scripted source, in a bubble of its own.
type bench struct {
	*source.Supervisor
	t     *testing.T
	fake  *sourcetest.Fake
	began time.Time

	mu     sync.Mutex
	states []string // "0s disconnected>connecting"
	taken  int
	accept func(context.Context, *sample.Batch) error
}

// plain are settings without jitter whose breaker stays out of the way.
func plain() source.Settings {
	s := source.DefaultSettings()
	s.Retry.Jitter = false
	s.Breaker.Enabled = false
	return s
}

// inBubble runs test with a supervisor that is started, and stopped at the end.
func inBubble(t *testing.T, settings source.Settings, script []sourcetest.Step, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, settings, script...)
		b.start()
		test(b)
		b.stop()
		if n := b.fake.Live(); n != 0 {
			t.Errorf("%d readers open after Stop", n)
		}
		if most := b.fake.Record().MaxOpen; most > 1 {
			t.Errorf("%d readers open at once", most)
		}
	})
}

func newBench(t *testing.T, settings source.Settings, script ...sourcetest.Step) *bench {
	t.Helper()
	b := &bench{t: t, fake: sourcetest.NewFake(script...), began: time.Now()}
	var err error
	b.Supervisor, err = source.NewSupervisor(b.fake, source.Options{
		Name: "fake", Settings: settings, Logger: slog.New(slog.DiscardHandler),
		Accept: func(ctx context.Context, batch *sample.Batch) error {
			b.mu.Lock()
			b.taken += len(batch.Samples)
			b.mu.Unlock()
			if b.accept != nil {
				return b.accept(ctx, batch)
			}
			return nil
		},
		Tally: func() source.Tally {
			return source.Tally{Processed: 7, Failed: 2, Dropped: 1, Latency: 1500 * time.Microsecond}
		},
		OnTransition: func(tr source.Transition) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.states = append(b.states, fmt.Sprintf("%v %s>%s", tr.At.Sub(b.began), tr.From, tr.To))
			if tr.Reason == "" || tr.Source != "fake" {
				t.Errorf("transition %+v", tr)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) start() {
	b.t.Helper()
	if err := b.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.Stop(b.t.Context()); err != nil {
		b.t.Errorf("stop: %v", err)
	}
	if s := b.State(); s != source.Disconnected {
		b.t.Errorf("state after Stop: %s", s)
	}
}

// pass lets d go by and what falls into it be done.
func (b *bench) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// samples is how many were taken over.
func (b *bench) samples() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}

// opens are the times of each Open since the bench began.
func (b *bench) opens() []time.Duration {
	var out []time.Duration
	for _, at := range b.fake.Record().Opens {
		out = append(out, at.Sub(b.began))
	}
	return out
}

func (b *bench) wantOpens(want ...time.Duration) {
	b.t.Helper()
	if got := b.opens(); !slices.Equal(got, want) {
		b.t.Errorf("opened at\n %v, want\n %v", got, want)
	}
}

func (b *bench) wantStates(want ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.states, want) {
		b.t.Errorf("states\n %s\nwant\n %s", strings.Join(b.states, "\n "), strings.Join(want, "\n "))
	}
}

func (b *bench) wantState(want source.State) {
	b.t.Helper()
	if got := b.State(); got != want {
		b.t.Errorf("state %s, want %s", got, want)
	}
}

const ms = time.Millisecond

func script(steps ...sourcetest.Step) []sourcetest.Step { return steps }

func TestC1EveryTransitionIsSeen(t *testing.T) {
	settings := plain()
	settings.Retry.MaxAttempts = 2
	inBubble(t, settings, script(
		sourcetest.Refuse(3, sourcetest.ErrRefused),
		sourcetest.Connect(sourcetest.Data(1, 10), sourcetest.Quiet(2*time.Second), sourcetest.Data(1, 10), sourcetest.Vanish()),
		sourcetest.Connect(sourcetest.Stream(50*ms, 3)),
	), func(b *bench) {
		b.pass(20 * time.Second)
		b.wantState(source.Connected)
		b.stop()
		b.wantStates(
			"0s disconnected>connecting",
			"100ms connecting>error",
			"5.1s error>reconnecting",
			"5.2s reconnecting>connected",
			"7.2s connected>reconnecting",
			"7.2s reconnecting>connected",
			"20s connected>disconnected",
		)
		b.wantOpens(0, 100*ms, 5100*ms, 5200*ms, 7200*ms)
	})
}

func TestC2BackOffSchedule(t *testing.T) {
	settings := plain()
	settings.Retry = source.Retry{MaxAttempts: 6, InitialDelay: 200 * ms, MaxDelay: time.Second, Base: 2, OnConnectionError: true}
	settings.ReconnectDelay = 3 * time.Second
	inBubble(t, settings, script(sourcetest.RefuseAlways(sourcetest.ErrRefused)), func(b *bench) {
		b.pass(8 * time.Second)
		b.wantOpens(0, 200*ms, 600*ms, 1400*ms, 2400*ms, 3400*ms, // then the reconnect delay
			6400*ms, 6600*ms, 7000*ms, 7800*ms)
		b.wantState(source.Reconnecting)
	})
}

func TestC2OnlyRetryableErrorsAreRetried(t *testing.T) {
	gone := fmt.Errorf("%w: no interface eth7", source.ErrPermanent)
	tests := []struct {
		name  string
		step  sourcetest.Step
		spoil func(*source.Settings)
		opens []time.Duration
		ends  source.State
	}{
		{"connection error off", sourcetest.RefuseAlways(sourcetest.ErrRefused),
			func(s *source.Settings) { s.Retry.OnConnectionError = false },
			[]time.Duration{0, 5 * time.Second, 10 * time.Second}, source.Error},
		{"timeout off", sourcetest.RefuseAlways(context.DeadlineExceeded),
			func(s *source.Settings) { s.Retry.OnTimeout = false },
			[]time.Duration{0, 5 * time.Second, 10 * time.Second}, source.Error},
		{"timeout on", sourcetest.RefuseAlways(context.DeadlineExceeded),
			func(s *source.Settings) { s.Retry.OnConnectionError = false },
			[]time.Duration{0, 100 * ms, 300 * ms, 5300 * ms, 5400 * ms, 5600 * ms, 10600 * ms, 10700 * ms, 10900 * ms}, source.Error},
		{"permanent", sourcetest.RefuseAlways(gone), func(*source.Settings) {}, []time.Duration{0}, source.Error},
		{"no reconnect", sourcetest.RefuseAlways(sourcetest.ErrRefused),
			func(s *source.Settings) { s.AutoReconnect = false }, []time.Duration{0, 100 * ms, 300 * ms}, source.Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settings := plain()
			tt.spoil(&settings)
			inBubble(t, settings, script(tt.step), func(b *bench) {
				b.pass(12 * time.Second)
				b.wantOpens(tt.opens...)
				b.wantState(tt.ends)
			})
		})
	}
}

func TestC2StopEndsAWaitAtOnce(t *testing.T) {
	settings := plain()
	settings.Retry.InitialDelay, settings.Retry.MaxDelay = time.Minute, time.Hour
	settings.Retry.MaxAttempts = 2
	settings.ReconnectDelay = time.Hour
	settings.Breaker = source.Breaker{Enabled: true, FailureThreshold: 4, SuccessThreshold: 1, Timeout: time.Hour, HalfOpenMaxCalls: 1}
	for name, at := range map[string]time.Duration{
		"between attempts": 30 * time.Second, "between rounds": 10 * time.Minute, "circuit open": 70 * time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, settings, script(sourcetest.RefuseAlways(sourcetest.ErrRefused)), func(b *bench) {
				b.pass(at)
				b.stop()
				if late := time.Since(b.began) - at; late != 0 {
					t.Errorf("Stop took %v", late)
				}
			})
		})
	}
}

func TestC3BreakerInsideTheRetry(t *testing.T) {
	settings := plain()
	settings.Breaker = source.Breaker{Enabled: true, FailureThreshold: 5, SuccessThreshold: 2, Timeout: time.Minute, HalfOpenMaxCalls: 1}
	inBubble(t, settings, script(
		sourcetest.Refuse(6, sourcetest.ErrRefused),
		sourcetest.Connect(sourcetest.Stream(100*ms, 1)),
	), func(b *bench) {
		b.pass(5399 * ms)
		b.wantState(source.Reconnecting)
		if s := b.Stats(); s.CircuitState != source.Closed || s.ConsecutiveErrors != 4 {
			t.Errorf("before the fifth failure: %+v", s)
		}
		b.pass(1 * ms)
		b.wantState(source.CircuitOpen)
		if h := b.Health(); h.Healthy || !slices.Contains(h.Reasons, "circuit breaker open") {
			t.Errorf("health %+v", h)
		}
		b.pass(2 * time.Minute)
		// Open at 5.4 s, a trial at 65.4 s fails, one at 125.4 s holds.
		b.wantOpens(0, 100*ms, 300*ms, 5300*ms, 5400*ms, 65400*ms, 125400*ms)
		b.wantState(source.Connected)
		if s := b.Stats().CircuitState; s != source.HalfOpen {
			t.Errorf("circuit %s before the connection is proven", s)
		}
		b.pass(1100 * ms)
		if s := b.Stats().CircuitState; s != source.Closed {
			t.Errorf("circuit %s after two successes", s)
		}
		b.stop()
		b.wantStates(
			"0s disconnected>connecting", "300ms connecting>error", "5.3s error>reconnecting",
			"5.4s reconnecting>circuit_open", "1m5.4s circuit_open>reconnecting", "1m5.4s reconnecting>circuit_open",
			"2m5.4s circuit_open>reconnecting", "2m5.4s reconnecting>connected", "2m6.5s connected>disconnected",
		)
	})
}

func TestC3DisabledBreakerNeverOpens(t *testing.T) {
	settings := plain()
	settings.Retry.MaxAttempts = 50
	settings.Retry.MaxDelay = 100 * ms
	inBubble(t, settings, script(sourcetest.RefuseAlways(sourcetest.ErrRefused)), func(b *bench) {
		b.pass(4 * time.Second)
		b.wantState(source.Connecting)
		if n := len(b.opens()); n != 41 {
			t.Errorf("%d attempts", n)
		}
	})
}

func TestC3ConnectionsThatDieAtOnceOpenTheBreaker(t *testing.T) {
	settings := plain()
	settings.Retry.MaxAttempts = 10
	settings.Breaker = source.Breaker{Enabled: true, FailureThreshold: 4, SuccessThreshold: 1, Timeout: time.Minute, HalfOpenMaxCalls: 1}
	var steps []sourcetest.Step
	for range 20 {
		steps = append(steps, sourcetest.Connect(sourcetest.Data(1, 5), sourcetest.Vanish()))
	}
	inBubble(t, settings, steps, func(b *bench) {
		b.pass(700 * ms)
		b.wantState(source.CircuitOpen)
		b.pass(30 * time.Second)
		b.wantOpens(0, 100*ms, 300*ms, 700*ms) // backs off although each Open succeeds
		b.wantState(source.CircuitOpen)
	})
}

func TestC3ResetEndsTheWait(t *testing.T) {
	settings := plain()
	settings.Retry.MaxAttempts = 1
	settings.ReconnectDelay = time.Hour
	settings.Breaker = source.Breaker{Enabled: true, FailureThreshold: 2, SuccessThreshold: 1, Timeout: 5 * time.Hour, HalfOpenMaxCalls: 1}
	inBubble(t, settings, script(sourcetest.Refuse(3, sourcetest.ErrRefused), sourcetest.Connect(sourcetest.Stream(time.Second, 1))), func(b *bench) {
		b.pass(time.Minute) // waits for the reconnect delay
		b.Reset()
		synctest.Wait()
		b.wantOpens(0, time.Minute)
		b.wantState(source.Error) // the breaker counts from one again
		b.pass(time.Hour)
		b.wantState(source.CircuitOpen)
		b.pass(30 * time.Minute) // waits for the breaker
		b.Reset()
		if n := b.Stats().ConsecutiveErrors; n != 0 {
			t.Errorf("%d errors in a row after Reset", n)
		}
		synctest.Wait()
		b.wantState(source.Connected)
		b.pass(10 * time.Second)
		b.Reset() // leaves a connection alone
		b.pass(10 * time.Second)
		b.wantOpens(0, time.Minute, 61*time.Minute, 91*time.Minute)
		b.wantState(source.Connected)
	})
}

func TestC4IsolatedErrorsDoNotKillAReader(t *testing.T) {
	noise := errors.New("checksum")
	var steps []sourcetest.Step
	for range 20 {
		steps = append(steps, sourcetest.Glitch(2, noise), sourcetest.Data(1, 1),
			sourcetest.PanicRead("index out of range"), sourcetest.Quiet(1500*ms), sourcetest.Data(1, 1))
	}
	inBubble(t, plain(), script(sourcetest.Connect(steps...)), func(b *bench) {
		b.pass(40 * time.Second)
		b.wantOpens(0)
		b.wantState(source.Connected)
		if b.samples() != 40 {
			t.Errorf("%d samples taken over", b.samples())
		}
		if s := b.Stats(); s.ConsecutiveErrors != 0 || !strings.Contains(s.LastError, "index out of range") || s.LastErrorAt == nil {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestC4ThreeErrorsInARowReconnect(t *testing.T) {
	inBubble(t, plain(), script(
		sourcetest.Connect(sourcetest.Quiet(3*time.Second), sourcetest.Data(1, 4), sourcetest.Glitch(3, errors.New("framing")), sourcetest.Data(1, 100)),
		sourcetest.Connect(sourcetest.Stream(time.Second, 1)),
	), func(b *bench) {
		b.pass(3 * time.Second)
		b.wantOpens(0, 3*time.Second) // it was made, so the next follows at once
		b.wantState(source.Connected)
		if s := b.Stats(); s.ConsecutiveErrors != 3 || s.Reconnects != 1 || b.samples() != 4 {
			t.Errorf("%+v, %d samples", s, b.samples())
		}
		b.pass(time.Second)
		if s := b.Stats(); s.ConsecutiveErrors != 0 || s.BytesReceived != 8*5 {
			t.Errorf("%+v", s)
		}
	})
}

func TestC4ALostConnectionIsNotReadOn(t *testing.T) {
	for _, gone := range []error{source.ErrLost, io.EOF} {
		inBubble(t, plain(), script(
			sourcetest.Connect(sourcetest.Quiet(2*time.Second), sourcetest.Glitch(1, fmt.Errorf("read: %w", gone)), sourcetest.Data(1, 1)),
			sourcetest.Connect(sourcetest.Stream(time.Second, 1)),
		), func(b *bench) {
			b.pass(2 * time.Second)
			b.wantOpens(0, 2*time.Second)
			if b.samples() != 0 {
				t.Errorf("%v: read on", gone)
			}
		})
	}
}

func TestC4AReaderWithoutDataWaits(t *testing.T) {
	for name, step := range map[string]sourcetest.Step{
		"returns at once":   sourcetest.Restless(),
		"times out at once": sourcetest.Glitch(0, context.DeadlineExceeded),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plain(), script(sourcetest.Connect(step)), func(b *bench) {
				b.pass(10 * time.Second)
				if n := b.fake.Record().Reads; n > 1100 {
					t.Errorf("%d reads in 10 s", n)
				}
				b.wantState(source.Connected)
			})
		})
	}
	t.Run("read timeout", func(t *testing.T) {
		settings := plain()
		settings.ReadTimeout = 500 * ms
		inBubble(t, settings, script(sourcetest.Connect(sourcetest.Quiet(time.Minute))), func(b *bench) {
			b.pass(10 * time.Second)
			if r := b.fake.Record(); r.Reads != 21 || len(r.Opens) != 1 {
				t.Errorf("%d reads, %d opens", r.Reads, len(r.Opens))
			}
			if s := b.Stats(); s.ConsecutiveErrors != 0 || s.LastError != "" {
				t.Errorf("a timeout counts as an error: %+v", s)
			}
		})
	})
	t.Run("no read timeout", func(t *testing.T) {
		settings := plain()
		settings.ReadTimeout = 0
		inBubble(t, settings, script(sourcetest.Connect(sourcetest.Quiet(time.Minute))), func(b *bench) {
			b.pass(10 * time.Second)
			if r := b.fake.Record(); r.Reads != 1 {
				t.Errorf("%d reads", r.Reads)
			}
		})
	})
}

func TestC4PanicInOpenIsAFailedAttempt(t *testing.T) {
	inBubble(t, plain(), script(sourcetest.PanicOpen("nil map"), sourcetest.Connect(sourcetest.Data(1, 1))), func(b *bench) {
		b.pass(time.Second)
		b.wantOpens(0, 100*ms)
		b.wantState(source.Connected)
		if s := b.Stats(); s.LastError != "panic in Open: nil map" {
			t.Errorf("last error %q", s.LastError)
		}
	})
}

func TestC4AContradictoryBatchIsAnErrorOfThatBatch(t *testing.T) {
	inBubble(t, plain(), script(sourcetest.Connect(
		sourcetest.Emit(&sample.Batch{}),
		sourcetest.Emit(&sample.Batch{Set: sample.NewChannelSet("fake", nil), Samples: []sample.Sample{{Channel: 3}}}),
		sourcetest.Stream(time.Second, 2),
	)), func(b *bench) {
		b.pass(time.Second)
		if b.samples() != 2 || len(b.opens()) != 1 {
			t.Errorf("%d samples taken over, opened at %v", b.samples(), b.opens())
		}
		if s := b.Stats(); s.SamplesReceived != 2 || !strings.Contains(s.LastError, "channel 3 of 0") {
			t.Errorf("%+v", s)
		}
	})
}

func TestC5WhatBecomesOfABatchIsNoFaultOfTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, plain(), sourcetest.Connect(sourcetest.Data(50, 2)))
		b.accept = func(context.Context, *sample.Batch) error { return errors.New("disk full") }
		b.start()
		b.pass(time.Second)
		b.wantOpens(0)
		b.wantState(source.Connected)
		s := b.Stats()
		if s.ConsecutiveErrors != 0 || s.SamplesReceived != 100 || s.LastError != "hand on a batch: disk full" {
			t.Errorf("%+v", s)
		}
		if h := b.Health(); !h.Healthy {
			t.Errorf("unhealthy: %v", h.Reasons)
		}
		b.stop()
	})
}
