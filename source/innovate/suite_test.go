package innovate_test

import (
	"testing"
	"time"

	"dynotap/source"
	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
	"dynotap/source/sourcetest"
)

// sender is a device.Line with a device that sends when the suite says so.
type sender struct {
	device *device.Device
	line   device.Line
	source source.Source
	sent   time.Duration
}

func newSender(t *testing.T, line device.Line, opener innovate.Opener) *sender {
	t.Helper()
	d, err := device.New(device.Settings{Model: "dlg-1", Values: func(_ time.Duration, afr []float64) { afr[0], afr[1] = 12.8, 13.1 }})
	if err != nil {
		t.Fatal(err)
	}
	src, err := innovate.New(innovate.Settings{}, innovate.Options{Opener: opener})
	if err != nil {
		t.Fatal(err)
	}
	return &sender{device: d, line: line, source: src}
}

func (s *sender) Source() source.Source { return s.source }

func (s *sender) Send(tb testing.TB) {
	tb.Helper()
	s.sent += device.Period
	if err := s.device.Send(s.line, s.sent); err != nil {
		tb.Fatal(err)
	}
}

func (s *sender) Flood(tb testing.TB, messages int) {
	tb.Helper()
	for range messages {
		s.Send(tb)
	}
}

func (s *sender) Garble(tb testing.TB, noise []byte) {
	tb.Helper()
	if _, err := s.line.Write(noise); err != nil {
		tb.Fatal(err)
	}
}

func (s *sender) Vanish(testing.TB) { s.line.Unplug() }

func (s *sender) Return(tb testing.TB) {
	tb.Helper()
	if err := s.line.Plug(); err != nil {
		tb.Fatal(err)
	}
}

func TestSuiteOverAPipe(t *testing.T) { // not parallel: the suite looks for goroutines left behind
	sourcetest.RunInBubble(t, func(t *testing.T) sourcetest.Device {
		t.Helper()
		pipe := device.NewPipe("pipe")
		return newSender(t, pipe, pipe)
	})
}
