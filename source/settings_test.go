package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestC2DelaysGrowToTheirMaximum(t *testing.T) {
	r := Retry{InitialDelay: 200 * time.Millisecond, MaxDelay: 2 * time.Second, Base: 2}
	want := []time.Duration{200, 400, 800, 1600, 2000, 2000}
	for i, ms := range want {
		if got := r.delay(i + 1); got != ms*time.Millisecond {
			t.Errorf("after %d failures: %v, want %v", i+1, got, ms*time.Millisecond)
		}
	}
	if got := r.delay(100000); got != r.MaxDelay {
		t.Errorf("after very many: %v", got)
	}
	if got := (Retry{MaxDelay: time.Second, Base: 1e300}).delay(9); got != time.Second {
		t.Errorf("zero times infinity: %v", got)
	}
}

func TestC2DelayWithJitterStaysWithinMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Retry{
			InitialDelay: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "initial")),
			MaxDelay:     time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "max")),
			Base:         rapid.Float64Range(1, 10).Draw(t, "base"),
		}
		n := rapid.IntRange(1, 2000).Draw(t, "failed")
		nominal := r.delay(n)
		r.Jitter = true
		if got := r.delay(n); got > nominal || got < nominal/2-1 || got > r.MaxDelay {
			t.Fatalf("%v of nominal %v, maximum %v", got, nominal, r.MaxDelay)
		}
	})
}

func TestC2WhichErrorsAreRetried(t *testing.T) {
	var dns error = &net.DNSError{IsTimeout: true}
	tests := []struct {
		name                 string
		err                  error
		onTimeout, onConnect bool
		want                 bool
	}{
		{"refused", os.ErrNotExist, true, true, true},
		{"refused, not on connection errors", os.ErrNotExist, true, false, false},
		{"timeout", context.DeadlineExceeded, true, false, true},
		{"timeout, not on timeouts", fmt.Errorf("open: %w", context.DeadlineExceeded), false, true, false},
		{"a network timeout", fmt.Errorf("open: %w", dns), false, true, false},
		{"an expired deadline of a file", os.ErrDeadlineExceeded, false, true, false},
		{"wrong settings", fmt.Errorf("%w: no such interface", ErrPermanent), true, true, false},
		{"panic", &panicError{"Open", "boom"}, false, true, true},
		{"lost at once", &lostError{cause: io.EOF}, false, true, true},
		{"lost later", &lostError{cause: io.EOF, proven: true}, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := DefaultSettings()
			s.Retry.OnTimeout, s.Retry.OnConnectionError = tt.onTimeout, tt.onConnect
			if got := (&Supervisor{settings: s}).retryable(tt.err); got != tt.want {
				t.Errorf("retryable: %v", got)
			}
		})
	}
}

func TestSettingsAreChecked(t *testing.T) {
	if err := DefaultSettings().Validate(); err != nil {
		t.Errorf("the guide's defaults: %v", err)
	}
	off := DefaultSettings()
	off.Breaker = Breaker{}
	if err := off.Validate(); err != nil {
		t.Errorf("a breaker that is off: %v", err)
	}
	tests := map[string]func(*Settings){
		"retry attempts":    func(s *Settings) { s.Retry.MaxAttempts = 0 },
		"initial delay":     func(s *Settings) { s.Retry.InitialDelay = -1 },
		"maximum delay":     func(s *Settings) { s.Retry.MaxDelay = -1 },
		"retry base":        func(s *Settings) { s.Retry.Base = 0.5 },
		"connect timeout":   func(s *Settings) { s.ConnectTimeout = 0 },
		"read timeout":      func(s *Settings) { s.ReadTimeout = -1 },
		"reconnect delay":   func(s *Settings) { s.ReconnectDelay = -1 },
		"stale threshold":   func(s *Settings) { s.StaleAfter = 0 },
		"failure threshold": func(s *Settings) { s.Breaker.FailureThreshold = 0 },
		"success threshold": func(s *Settings) { s.Breaker.SuccessThreshold = 0 },
		"half-open calls":   func(s *Settings) { s.Breaker.HalfOpenMaxCalls = 0 },
		"breaker timeout":   func(s *Settings) { s.Breaker.Timeout = -1 },
	}
	for name, spoil := range tests {
		s := DefaultSettings()
		spoil(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := NewSupervisor(nil, Options{Name: "x", Settings: s}); err == nil {
			t.Errorf("%s: a supervisor was made of it", name)
		}
	}
	if !errors.Is(&lostError{cause: ErrLost}, ErrLost) {
		t.Error("a loss hides its cause")
	}
}
