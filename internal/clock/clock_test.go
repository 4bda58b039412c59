package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSessionTimeGoesOnWithTheMonotonicClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		start := time.Now()
		if s.Micros() != start.UnixMicro() {
			t.Errorf("begins at %d, the wall clock says %d", s.Micros(), start.UnixMicro())
		}
		time.Sleep(1500 * time.Millisecond)
		if got := s.Micros() - start.UnixMicro(); got != 1_500_000 {
			t.Errorf("1.5 s later it has gone on by %d us", got)
		}
		// A time with a monotonic reading lies where it was, whatever its wall
		// clock says.
		if got := s.At(start.Add(time.Second)); got != start.UnixMicro()+1_000_000 {
			t.Errorf("one second in is %d", got)
		}
		if got := s.At(start.Add(-time.Second)); got != start.UnixMicro()-1_000_000 {
			t.Errorf("one second before is %d", got)
		}
	})
}
