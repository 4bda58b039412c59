package source

import (
	"context"
	"testing"
	"time"

	"dynotap/sample"
)

func TestC6ExpectedRateIsWhatWasKeptUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		counts   []uint32 // by second; the first is not a full one
		expected float64
	}{
		"steady":                  {[]uint32{3, 20, 20, 21, 20, 19}, 20},
		"not long enough":         {[]uint32{20, 20, 20, 20, 20}, 0},
		"on and off":              {[]uint32{3, 20, 0, 20, 0, 20, 0, 20, 0, 20}, 0},
		"now fast, now slow":      {[]uint32{3, 20, 9, 20, 9, 20, 9, 20, 9, 20}, 0},
		"a burst":                 {[]uint32{3, 20, 20, 20, 20, 20, 900, 20, 20, 20, 20}, 20},
		"faster later":            {[]uint32{3, 20, 20, 20, 20, 20, 50, 50, 50, 50, 50}, 50},
		"slower later":            {[]uint32{3, 20, 20, 20, 20, 20, 5, 5, 5, 5, 5}, 20},
		"less than once a second": {[]uint32{1, 0, 1, 0, 1, 0, 1, 0, 1}, 0},
	} {
		var p pace
		for i, n := range test.counts {
			p.counts[i%paceSlots] = n
			p.close(int64(i + 1))
		}
		if p.expected != test.expected {
			t.Errorf("%s: %g Hz, want %g", name, p.expected, test.expected)
		}
	}
}

type idle struct{}

func (idle) Open(context.Context) (Reader, error) { return idle{}, nil }
func (idle) Close() error                         { return nil }
func (idle) Read(ctx context.Context, _ func(*sample.Batch) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// A Stop that is late with its last word does not show a source as
// disconnected that was started again meanwhile.
func TestC1ALateStopDoesNotHideANewStart(t *testing.T) {
	t.Parallel()
	connected := make(chan struct{}, 1)
	s, err := NewSupervisor(idle{}, Options{
		Name: "idle", Settings: DefaultSettings(), Accept: func(context.Context, *sample.Batch) error { return nil },
		OnTransition: func(tr Transition) {
			if tr.To == Connected {
				connected <- struct{}{}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-connected:
	case <-time.After(20 * time.Second):
		t.Fatal("not connected")
	}
	s.leave(Error) // what Stop says last
	if got := s.State(); got != Connected {
		t.Errorf("state %s", got)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
