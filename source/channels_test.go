package source

import (
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
)

func TestC6ChangingListsAreNotKeptForEver(t *testing.T) {
	w := newChannelWatch(time.Minute, nil)
	for range 3 * maxSets {
		set := sample.NewChannelSet("fake", []sample.Channel{{Key: "A/1/0", Label: "x"}})
		b := &sample.Batch{Source: "fake", Set: set, Samples: make([]sample.Sample, 1)}
		watched, err := w.arrived(b)
		if err != nil {
			t.Fatal(err)
		}
		w.judged(watched, b.Samples)
	}
	if n := len(w.bySet); n > maxSets {
		t.Errorf("%d sets are remembered", n)
	}
	if h := w.health(); len(h) != 1 || h[0].State != ChannelHealthy {
		t.Errorf("%+v", h)
	}
}

// A channel that comes only in some states of the device is not missed.
func TestC6ASporadicChannelIsNotStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := sample.NewChannelSet("fake", []sample.Channel{{Key: "A/1/0", Label: "afr"}, {Key: "A/2/0", Label: "warmup"}})
		w := newChannelWatch(5*time.Second, func(c *sample.Channel) bool { return c.Label == "warmup" })
		for range 100 {
			b := &sample.Batch{Source: "fake", Set: set, Samples: []sample.Sample{{Channel: 0}, {Channel: 1}}}
			watched, err := w.arrived(b)
			if err != nil {
				t.Fatal(err)
			}
			w.judged(watched, b.Samples)
			time.Sleep(100 * time.Millisecond) // of the bubble
		}
		time.Sleep(time.Minute)
		h := w.health()
		if h[0].State != ChannelStale || h[1].State != ChannelHealthy || h[1].Troubled() || h[1].RateHz != 0 || h[1].ExpectedHz != 0 {
			t.Errorf("%+v", h)
		}
	})
}

func BenchmarkWatch(b *testing.B) {
	channels := make([]sample.Channel, 141)
	for i := range channels {
		channels[i].Key = sample.ChannelKey("A", uint32(i), 0)
	}
	batch := &sample.Batch{Set: sample.NewChannelSet("fake", channels)}
	for i := range channels {
		batch.Samples = append(batch.Samples, sample.Sample{Channel: uint32(i)})
	}
	w := newChannelWatch(time.Minute, nil)
	for b.Loop() {
		watched, err := w.arrived(batch)
		if err != nil {
			b.Fatal(err)
		}
		w.judged(watched, batch.Samples)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/141, "ns/sample")
}
