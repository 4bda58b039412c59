package source

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestC7RateSlidesAndDecays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rate
		now := func() float64 { return r.perSecond(time.Now()) }
		if now() != 0 {
			t.Error("a rate out of nothing")
		}
		r.add(time.Now(), 60)
		if got := now(); got != 60 {
			t.Errorf("the first packet shows as %v/s", got)
		}
		for range 20 * 10 { // 20 Hz x 60 samples
			time.Sleep(50 * time.Millisecond)
			r.add(time.Now(), 60)
		}
		if got := now(); math.Abs(got-1200) > 30 {
			t.Errorf("1200/s shows as %v", got)
		}
		for range 10 { // half the rate for half the window
			time.Sleep(250 * time.Millisecond)
			r.add(time.Now(), 150)
		}
		if got := now(); math.Abs(got-900) > 50 {
			t.Errorf("half way from 1200 to 600 shows as %v", got)
		}
		last := now()
		for range 25 {
			time.Sleep(250 * time.Millisecond)
			if got := now(); got > last {
				t.Fatalf("rises from %v to %v without data", last, got)
			} else {
				last = got
			}
		}
		if last != 0 {
			t.Errorf("%v/s is left after six seconds", last)
		}
		time.Sleep(24 * time.Hour)
		r.add(time.Now(), 50)
		if got := now(); got > 50 {
			t.Errorf("after a day: %v/s", got)
		}
	})
}
