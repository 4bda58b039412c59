package source

import (
	"testing"
	"testing/synctest"
	"time"
)

func testBreaker() Breaker {
	return Breaker{Enabled: true, FailureThreshold: 3, SuccessThreshold: 2, Timeout: time.Minute, HalfOpenMaxCalls: 3}
}

// call makes one call that must be let through.
func call(t *testing.T, b *breaker) permit {
	t.Helper()
	p, left, ok := b.acquire()
	if !ok {
		t.Fatalf("refused for %v in state %s", left, b.state())
	}
	return p
}

func expect(t *testing.T, b *breaker, want CircuitState) {
	t.Helper()
	if got := b.state(); got != want {
		t.Fatalf("state %s, want %s", got, want)
	}
}

func open3(t *testing.T, b *breaker) {
	t.Helper()
	for range 3 {
		call(t, b).fail()
	}
	expect(t, b, Open)
}

func TestC3OpensAfterConsecutiveFailuresOnly(t *testing.T) {
	b := newBreaker(testBreaker())
	call(t, b).fail()
	call(t, b).fail()
	call(t, b).succeed()
	call(t, b).fail()
	call(t, b).fail()
	expect(t, b, Closed)
	call(t, b).cancel() // says nothing either way
	call(t, b).fail()
	expect(t, b, Open)
}

func TestC3StaysOpenForItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(testBreaker())
		early := call(t, b)
		open3(t, b)
		time.Sleep(40 * time.Second)
		early.fail() // began before: does not extend it
		if _, left, ok := b.acquire(); ok || left != 20*time.Second {
			t.Fatalf("let through: %v, left %v", ok, left)
		}
		time.Sleep(20*time.Second - time.Millisecond)
		if _, left, ok := b.acquire(); ok || left != time.Millisecond {
			t.Fatalf("let through: %v, left %v", ok, left)
		}
		time.Sleep(time.Millisecond)
		call(t, b).cancel()
		expect(t, b, HalfOpen)
	})
}

func TestC3HalfOpenLimitsCallsAtOnce(t *testing.T) {
	for _, maxCalls := range []int{1, 2, 3, 5} {
		synctest.Test(t, func(t *testing.T) {
			settings := testBreaker()
			settings.HalfOpenMaxCalls = maxCalls // SuccessThreshold 2 has no part in it
			b := newBreaker(settings)
			open3(t, b)
			time.Sleep(time.Minute)
			var under []permit
			for range maxCalls {
				under = append(under, call(t, b))
			}
			if _, left, ok := b.acquire(); ok || left != 0 {
				t.Fatalf("call %d let through: %v (%v)", maxCalls+1, ok, left)
			}
			under[0].cancel() // makes room
			call(t, b).cancel()
			expect(t, b, HalfOpen)
		})
	}
}

func TestC3SuccessesCloseOneFailureOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(testBreaker())
		early := call(t, b)
		open3(t, b)
		time.Sleep(time.Minute)
		call(t, b).succeed()
		expect(t, b, HalfOpen)
		call(t, b).fail()
		expect(t, b, Open)

		time.Sleep(time.Minute)
		first, second, third := call(t, b), call(t, b), call(t, b)
		early.fail() // of an earlier state: no verdict on this one
		expect(t, b, HalfOpen)
		first.succeed()
		second.succeed()
		expect(t, b, Closed)
		third.fail() // of the half-open state: no failure of the closed one
		call(t, b).fail()
		call(t, b).fail()
		expect(t, b, Closed)
	})
}

func TestC3DisabledNeverOpens(t *testing.T) {
	b := newBreaker(Breaker{})
	for range 100 {
		call(t, b).fail()
	}
	b.reset()
	expect(t, b, Closed)
}

func TestC3ResetCloses(t *testing.T) {
	b := newBreaker(testBreaker())
	late := call(t, b)
	open3(t, b)
	b.reset()
	expect(t, b, Closed)
	late.fail()
	call(t, b).fail()
	call(t, b).fail()
	expect(t, b, Closed)
}
