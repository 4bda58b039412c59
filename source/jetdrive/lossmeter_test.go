package jetdrive

import (
	"math"
	"testing"
)

func TestTheShareOfLostMessages(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(0x1234)
	s.info("Lossy Cell", channel(1, "Engine RPM", rpm))
	share := func() float64 { return e.providers(e.now)[0].LossPercent }
	talk := func(seconds, loseOneIn int) {
		for i := range seconds * 20 {
			s.pass(50)
			if datagram := s.valuesFrame(1); loseOneIn == 0 || i%loseOneIn != 1 {
				s.hear(datagram)
			}
		}
	}
	talk(9, 5)
	if got := share(); got != 0 {
		t.Errorf("%g %% before ten seconds are over", got)
	}
	talk(12, 5)
	if got := share(); math.Abs(got-20) > 1 {
		t.Errorf("%g %% of one in five", got)
	}
	talk(25, 0)
	if got := share(); got != 0 {
		t.Errorf("%g %% of none", got)
	}
	talk(21, 2)
	if got := share(); math.Abs(got-50) > 2 {
		t.Errorf("%g %% of one in two", got)
	}
	s.pass(30_000)
	if got := share(); got != 0 {
		t.Errorf("%g %% of a silent one", got)
	}
}
