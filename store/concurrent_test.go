package store

import (
	"sync"
	"sync/atomic"
	"testing"

	"dynotap/sample"
)

// TestReadingSeesEachSampleOnceWhileSealing reads again and again while
// batches come in and are sealed: what was committed before a reading began is
// there once, what came later at most once.
func TestReadingSeesEachSampleOnceWhileSealing(t *testing.T) {
	t.Parallel()
	const batches, size = 400, 50
	r := newRig(t, Options{MemorySamples: 300, SegmentSamples: 1500})
	r.begin("c")
	set := testSet("jetdrive", 4)
	var committed atomic.Int64
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() {
		defer close(done)
		for i := range batches {
			b := &sample.Batch{Source: "jetdrive", Capture: "c", Set: set}
			for k := range size {
				serial := i*size + k
				// Times go back and forth, so that files and chunks overlap.
				b.Samples = append(b.Samples, sample.Sample{
					Time: int64(serial ^ 0x1ff), Channel: uint32(serial % set.Len()), Value: float64(serial),
				})
			}
			r.put(b)
			committed.Add(size)
		}
	})
	work.Go(func() {
		for {
			if err := r.Seal(t.Context(), "c", 0); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		must := int(committed.Load())
		seen := make([]int, batches*size)
		if err := r.Read(t.Context(), Query{Capture: "c", Native: true}, func(_ *Channel, points []Point) error {
			for _, p := range points {
				seen[int(p.Value)]++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for serial, n := range seen {
			if n > 1 || serial < must && n == 0 {
				t.Fatalf("sample %d was seen %d times; %d were committed", serial, n, must)
			}
		}
	}
	work.Wait()
}
