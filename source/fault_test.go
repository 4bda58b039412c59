package source_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/sourcetest"
)

func TestC4AReadThatHangsIsClosedAndTheDeviceConnectedAgain(t *testing.T) {
	inBubble(t, plain(), script(
		sourcetest.Connect(sourcetest.Quiet(2*time.Second), sourcetest.Data(1, 4), sourcetest.StickRead()),
		sourcetest.Connect(sourcetest.Stream(100*ms, 1)),
	), func(b *bench) {
		b.pass(3999 * ms) // a second of read timeout and one of grace
		b.wantState(source.Connected)
		b.pass(ms)
		b.wantOpens(0, 4*time.Second)
		b.wantState(source.Connected)
		if s := b.Stats(); s.ConsecutiveErrors != 1 || s.LastError != "read hangs, the connection is closed: context deadline exceeded" {
			t.Errorf("%+v", s)
		}
		b.pass(time.Second)
		if s := b.Stats(); s.ConsecutiveErrors != 0 || s.Reconnects != 1 || b.samples() != 14 {
			t.Errorf("%+v, %d samples", s, b.samples())
		}
		b.stop()
		b.wantStates("0s disconnected>connecting", "0s connecting>connected",
			"4s connected>reconnecting", "4s reconnecting>connected", "5s connected>disconnected")
	})
}

func TestC4WithoutReadTimeoutAReadMayTakeForEver(t *testing.T) {
	settings := plain()
	settings.ReadTimeout = 0
	inBubble(t, settings, script(sourcetest.Connect(sourcetest.StickRead())), func(b *bench) {
		b.pass(time.Hour)
		b.wantOpens(0)
		b.wantState(source.Connected)
	})
}

// A full queue makes a source wait as long as it takes; that is not its fault.
func TestC4WaitingForTheQueueIsNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, plain(), sourcetest.Connect(sourcetest.Quiet(2*time.Second), sourcetest.Data(3, 2), sourcetest.StickRead()))
		b.accept = func(ctx context.Context, _ *sample.Batch) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Minute):
				return nil
			}
		}
		b.start()
		b.pass(3 * time.Minute)
		b.wantOpens(0)
		b.wantState(source.Connected)
		b.pass(5 * time.Second) // after them the device does hang
		if r := b.fake.Record(); len(r.Opens) != 2 || b.samples() != 6 {
			t.Errorf("%+v, %d samples", r, b.samples())
		}
		b.stop()
	})
}

// A Read that does not return although the connection is closed is not shown
// as connected, and Stop says that something is left.
func TestC8AReadThatNeverReturnsIsNotShownAsConnected(t *testing.T) {
	inBubble(t, plain(), script(sourcetest.Connect(sourcetest.DeafRead(time.Minute)), sourcetest.Connect(sourcetest.Stream(100*ms, 1))), func(b *bench) {
		b.pass(10 * time.Second)
		b.wantOpens(0)
		b.wantState(source.Reconnecting)
		if h := b.Health(); h.Healthy {
			t.Error("healthy")
		}
		if err := b.Stop(b.t.Context()); err == nil {
			t.Error("stopped although a Read goes on")
		}
		b.pass(time.Minute)
		b.wantState(source.Disconnected)
		b.start()
		b.pass(time.Second)
		b.wantState(source.Connected)
	})
}

// Nothing follows, so the state must not say that something waits.
func TestC1GivingUpWithAnOpenCircuitIsAnError(t *testing.T) {
	settings := plain()
	settings.AutoReconnect = false
	settings.Breaker = source.Breaker{Enabled: true, FailureThreshold: 3, SuccessThreshold: 1, Timeout: time.Hour, HalfOpenMaxCalls: 1}
	inBubble(t, settings, script(sourcetest.RefuseAlways(sourcetest.ErrRefused)), func(b *bench) {
		b.pass(2 * time.Hour)
		b.wantOpens(0, 100*ms, 300*ms)
		b.wantState(source.Error)
		b.stop()
		b.wantStates("0s disconnected>connecting", "300ms connecting>circuit_open", "300ms circuit_open>error", "2h0m0s error>disconnected")
	})
}

// everything is a life with every fault in it.
func everything() []sourcetest.Step {
	return script(
		sourcetest.Refuse(2, sourcetest.ErrRefused),
		sourcetest.HangOpen(),
		sourcetest.PanicOpen("boom"),
		sourcetest.Connect(sourcetest.Data(3, 7), sourcetest.Glitch(2, sourcetest.ErrRefused), sourcetest.Quiet(1300*ms),
			sourcetest.PanicRead("boom"), sourcetest.Data(1, 1), sourcetest.Glitch(3, sourcetest.ErrRefused)),
		sourcetest.StickOpen(2500*ms),
		sourcetest.Connect(sourcetest.Data(1, 2), sourcetest.Vanish()),
		sourcetest.Refuse(6, sourcetest.ErrRefused),
		sourcetest.Connect(sourcetest.StickRead()),
		sourcetest.Connect(sourcetest.Stream(100*ms, 2)),
		sourcetest.Connect(sourcetest.Stream(100*ms, 2)), // for a start after that
	)
}

func TestC8StopAtEveryMoment(t *testing.T) {
	settings := plain()
	settings.ConnectTimeout = time.Second
	settings.ReconnectDelay = 2 * time.Second
	settings.Breaker = source.Breaker{Enabled: true, FailureThreshold: 4, SuccessThreshold: 2, Timeout: 3 * time.Second, HalfOpenMaxCalls: 1}
	states := map[source.State]int{}
	for at := time.Duration(0); at < 40*time.Second; at += 50 * ms {
		inBubble(t, settings, everything(), func(b *bench) {
			b.pass(at)
			states[b.State()]++
			began := time.Now()
			b.stop()
			if took := time.Since(began); took > 2500*ms {
				t.Errorf("at %v Stop took %v", at, took)
			}
			if r := b.fake.Record(); b.fake.Live() != 0 {
				t.Errorf("at %v: %d readers left open: %+v", at, b.fake.Live(), r)
			}
			b.start()
			b.pass(60 * time.Second)
			b.wantState(source.Connected)
			if b.Health().CircuitState != source.Closed || !b.Health().Healthy {
				t.Errorf("at %v: after a minute %+v", at, b.Health())
			}
		})
	}
	for _, s := range []source.State{source.Connecting, source.Connected, source.Reconnecting, source.Error, source.CircuitOpen} {
		if states[s] == 0 {
			t.Errorf("never stopped in state %s: %v", s, states)
		}
	}
}

// The delays that happen, not only those that are worked out, stay within the
// bounds, and are not all the same.
func TestC2JitterShortensTheDelays(t *testing.T) {
	settings := plain()
	settings.Retry = source.Retry{MaxAttempts: 200, InitialDelay: 100 * ms, MaxDelay: time.Second, Base: 2, Jitter: true, OnConnectionError: true}
	inBubble(t, settings, script(sourcetest.RefuseAlways(sourcetest.ErrRefused)), func(b *bench) {
		b.pass(100 * time.Second)
		opens := b.opens()
		if opens[0] != 0 {
			t.Errorf("attempt 1 at %v", opens[0])
		}
		nominal, seen := 100*ms, []time.Duration{}
		for i := 1; i < len(opens); i++ {
			d := opens[i] - opens[i-1]
			if d > nominal || d < nominal/2-1 {
				t.Errorf("delay %d is %v, nominally %v", i, d, nominal)
			}
			nominal = min(2*nominal, time.Second)
			seen = append(seen, d)
		}
		slices.Sort(seen)
		if n := len(slices.Compact(seen)); n < 50 {
			t.Errorf("%d different delays", n)
		}
	})
}

func TestC2TheGuidesSchedule(t *testing.T) {
	settings := plain() // the guide's, without jitter
	settings.Retry.MaxAttempts = 12
	inBubble(t, settings, script(sourcetest.RefuseAlways(sourcetest.ErrRefused)), func(b *bench) {
		b.pass(110 * time.Second)
		b.wantOpens(0, 100*ms, 300*ms, 700*ms, 1500*ms, 3100*ms, 6300*ms, 12700*ms, 25500*ms, 51100*ms,
			81100*ms) // 51.2 s would be too long
	})
}
