package jetdrive

import (
	"fmt"
	"testing"

	"dynotap/source/jetdrive/klhdv"
)

// TestAGapOfAnyLength loses messages in a row, within the time of half a
// second: however many they were, what comes after is new, and a repeat is not.
func TestAGapOfAnyLength(t *testing.T) {
	t.Parallel()
	for _, gap := range []int{0, 1, 127, 128, 200, 254, 255} {
		t.Run(fmt.Sprint(gap), func(t *testing.T) {
			t.Parallel()
			e := newEar(t, nil, nil)
			s := e.speaker(0x1234)
			s.info("Gap Cell", channel(1, "Engine RPM", rpm))
			var last []byte
			heard := 0
			hear := func() {
				s.pass(2)
				last = s.valuesFrame(1)
				s.hear(last)
				heard++
			}
			for range 300 {
				hear()
			}
			late := s.valuesFrame(1) // as it was sent before the gap
			for range max(gap-1, 0) {
				s.pass(2)
				s.valuesFrame(1)
			}
			lost := gap
			if gap == 0 {
				s.hear(late)
				heard++
			}
			for range 300 {
				hear()
				s.hear(last) // and once more
			}
			got := s.total
			if got.Values != uint64(heard) || got.Lost != uint64(lost) || got.Duplicate != 300 || len(e.batches) != heard {
				t.Errorf("%d values, %d lost, %d duplicate of %d, %d, 300", got.Values, got.Lost, got.Duplicate, heard, lost)
			}
		})
	}
}

// TestAnOldMessageIsNoGap lets a message come so late that its number is no
// longer among the missing ones: its values are older than what was heard.
func TestAnOldMessageIsNoGap(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(0x1234)
	s.info("Late Cell", channel(1, "Engine RPM", rpm))
	s.values(1)
	s.pass(2)
	old := s.frame(klhdv.KeyChannelValues, klhdv.AllHosts, klhdv.EncodeValues(nil, []klhdv.Value{{Channel: 1, Stamp: s.stamp(), Value: 1}}))
	for range 100 { // more missing ones than are remembered
		s.pass(2)
		s.valuesFrame(1)
	}
	s.pass(2)
	s.hear(s.valuesFrame(1))
	s.hear(old)
	s.pass(2)
	s.hear(s.valuesFrame(1))
	if got := s.total; got.Values != 3 || got.Duplicate != 1 || got.Lost != 101 {
		t.Errorf("%d values, %d duplicate, %d lost", got.Values, got.Duplicate, got.Lost)
	}
}
