package source_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/sourcetest"
)

func TestC6HealthyNeedsFreshData(t *testing.T) {
	inBubble(t, plain(), script(sourcetest.Connect(
		sourcetest.Quiet(2*time.Second), sourcetest.Data(1, 2), sourcetest.Quiet(20*time.Second), sourcetest.Data(1, 1),
	)), func(b *bench) {
		want := func(healthy bool, reasons ...string) {
			t.Helper()
			h := b.Health()
			if h.Healthy != healthy || !slices.Equal(h.Reasons, append([]string{}, reasons...)) {
				t.Errorf("after %v: healthy %v, %q", time.Since(b.began), h.Healthy, h.Reasons)
			}
		}
		b.pass(time.Second)
		want(false, "no data yet")
		b.pass(time.Second)
		want(true)
		b.pass(5 * time.Second)
		want(true) // exactly at the threshold
		b.pass(time.Second)
		want(false, "no data for 6s")
		b.pass(14 * time.Second)
		want(true)
		b.stop()
		want(false, "not connected: disconnected")
	})
}

func TestC6StaleThresholdIsASetting(t *testing.T) {
	settings := plain()
	settings.StaleAfter = time.Minute
	inBubble(t, settings, script(sourcetest.Connect(sourcetest.Data(1, 2))), func(b *bench) {
		b.pass(50 * time.Second)
		if h := b.Health(); !h.Healthy || h.Channels[0].State != source.ChannelHealthy {
			t.Errorf("%+v", h)
		}
		b.pass(11 * time.Second)
		if h := b.Health(); h.Healthy || h.Channels[0].State != source.ChannelStale {
			t.Errorf("%+v", h)
		}
	})
}

func TestC6ThreeErrorsInARowAreUnhealthy(t *testing.T) {
	inBubble(t, plain(), script(
		sourcetest.Connect(sourcetest.Quiet(2*time.Second), sourcetest.Data(1, 1), sourcetest.Glitch(3, sourcetest.ErrRefused)),
		sourcetest.Connect(sourcetest.Quiet(time.Second), sourcetest.Data(1, 1)),
	), func(b *bench) {
		b.pass(2500 * ms)
		if h := b.Health(); h.Healthy || !slices.Equal(h.Reasons, []string{"3 errors in a row"}) || h.State != source.Connected {
			t.Errorf("%+v", h)
		}
		b.pass(time.Second)
		if h := b.Health(); !h.Healthy || h.LastError != "connection refused" || h.LastErrorAt == nil {
			t.Errorf("%+v", h)
		}
	})
}

func TestC6ChannelHealth(t *testing.T) {
	set := sample.NewChannelSet("fake", []sample.Channel{
		{Key: "A/1/0", HostID: 0x43FD, ID: 1, Label: "Humidity"},
		{Key: "A/2/0", Label: "NaN"},
		{Key: "A/3/0", Label: "far out"},
		{Key: "A/4/0", Label: "once"},
		{Key: "A/5/0", Label: "never"},
	})
	batch := func(channels ...uint32) *sample.Batch {
		b := &sample.Batch{Source: "fake", Set: set}
		for _, c := range channels {
			b.Samples = append(b.Samples, sample.Sample{Channel: c})
		}
		return b
	}
	second := batch(0, 1, 2)
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, plain(), sourcetest.Connect(
			sourcetest.Emit(batch(0, 1, 2, 3)), sourcetest.Quiet(6*time.Second), sourcetest.Emit(second)))
		b.accept = func(_ context.Context, batch *sample.Batch) error { // as validation does it
			batch.Samples[2].Quality = sample.Bad
			batch.Samples = slices.Delete(batch.Samples, 1, 2)
			batch.Set = sample.NewChannelSet("fake", nil) // resolved: the source keeps its own
			return nil
		}
		b.start()
		b.pass(6 * time.Second)
		now, far := time.Now().UTC(), b.began.Add(5*time.Second).UTC()
		want := []source.ChannelHealth{
			{Key: "A/1/0", Channel: "0x43FD:1:Humidity", State: source.ChannelHealthy, Since: now, LastSeen: now, RateHz: 1},
			{Key: "A/2/0", Channel: "NaN", State: source.ChannelInvalid, Since: now, LastSeen: now, RateHz: 1,
				Reason: "the newest value was rejected by validation"},
			{Key: "A/3/0", Channel: "far out", State: source.ChannelInvalid, Since: now, LastSeen: now, RateHz: 1,
				Reason: "the newest value is bad"},
			{Key: "A/4/0", Channel: "once", State: source.ChannelStale, Since: far, LastSeen: b.began.UTC(), Reason: "no sample for 6s"},
		}
		if got := b.Health().Channels; !slices.Equal(got, want) {
			t.Errorf("got\n%+v, want\n%+v", got, want)
		}
		if second.Set != set || len(second.Samples) != 3 {
			t.Errorf("the source's batch was changed: %+v", second)
		}
		b.stop()
	})
}

func TestC7MetricsUnderTheGuidesNames(t *testing.T) {
	inBubble(t, plain(), script(sourcetest.Refuse(1, sourcetest.ErrRefused), sourcetest.Connect(sourcetest.Stream(50*ms, 60))), func(b *bench) {
		b.pass(10100 * ms)
		s := b.Stats()
		if math.Abs(s.SamplesPerSecond-1200) > 30 || s.UptimeSec != 10 || s.SamplesReceived != 200*60 || s.BytesReceived != 8*200*60 {
			t.Errorf("%+v", s)
		}
		if s.SamplesProcessed != 7 || s.SamplesFailed != 2 || s.SamplesDropped != 1 || s.AvgLatencyMS != 1.5 {
			t.Errorf("the tally is not shown: %+v", s)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var names map[string]any
		if err := json.Unmarshal(text, &names); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{
			"samples_received", "samples_processed", "samples_failed", "samples_dropped", "avg_latency_ms", "samples_per_second",
			"circuit_state", "consecutive_errors", "bytes_received", "reconnects", "uptime_sec", "last_error", "last_error_at",
		} {
			if _, ok := names[name]; !ok {
				t.Errorf("%s is missing in %s", name, text)
			}
		}
		b.stop()
		b.pass(10 * time.Second)
		if s := b.Stats(); s.SamplesPerSecond != 0 || s.UptimeSec != 0 || s.SamplesReceived != 200*60 {
			t.Errorf("after Stop: %+v", s)
		}
	})
}
