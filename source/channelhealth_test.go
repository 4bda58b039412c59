package source_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/sourcetest"
)

// emitter makes batches of one channel set.
type emitter struct{ set *sample.ChannelSet }

func newEmitter(labels ...string) emitter {
	channels := make([]sample.Channel, len(labels))
	for i, l := range labels {
		channels[i] = sample.Channel{Key: fmt.Sprintf("P/%d/0", i), Label: l}
	}
	return emitter{sample.NewChannelSet("fake", channels)}
}

// every emits a sample of each channel once in each period, for a time.
func (e emitter) every(d, span time.Duration, channels ...uint32) (steps []sourcetest.Step) {
	for ; span > 0; span -= d {
		b := &sample.Batch{Source: "fake", Set: e.set}
		for _, c := range channels {
			b.Samples = append(b.Samples, sample.Sample{Channel: c, Time: 1})
		}
		steps = append(steps, sourcetest.Quiet(d), sourcetest.Emit(b))
	}
	return steps
}

func (b *bench) channel(i int) source.ChannelHealth {
	b.t.Helper()
	list := b.Health().Channels
	if i >= len(list) {
		b.t.Fatalf("%d channels", len(list))
	}
	return list[i]
}

func TestC6AChannelThatComesLessOftenIsSlow(t *testing.T) {
	e := newEmitter("rpm", "torque")
	steps := slices.Concat(
		e.every(50*ms, 10*time.Second, 0, 1), // 20 Hz
		e.every(50*ms, 4*time.Second, 0),     // 1 pauses, and then comes at 4 Hz
	)
	for range 80 {
		steps = append(steps, e.every(50*ms, 250*ms, 0)...)
		steps = append(steps, e.every(0+1, 1, 1)...)
	}
	steps = append(steps, e.every(50*ms, 30*time.Second, 0, 1)...)
	inBubble(t, plain(), script(sourcetest.Connect(steps...)), func(b *bench) {
		b.pass(4 * time.Second)
		if c := b.channel(1); c.ExpectedHz != 0 || c.RateHz < 18 || c.RateHz > 22 {
			t.Errorf("before five full seconds: %+v", c)
		}
		b.pass(6 * time.Second)
		if c := b.channel(1); c.ExpectedHz != 20 || c.RateHz < 19 || c.RateHz > 21 || c.Slow || c.Reason != "" {
			t.Errorf("at 20 Hz: %+v", c)
		}
		b.pass(7500 * ms) // 3.5 s after it comes again, less often
		if c := b.channel(1); c.Slow {
			t.Errorf("slow too early: %+v", c)
		}
		b.pass(4500 * ms)
		c := b.channel(1)
		if !c.Slow || c.State != source.ChannelHealthy || c.ExpectedHz != 20 || c.RateHz < 3 || c.RateHz > 5 || !c.Troubled() {
			t.Errorf("at 4 Hz: %+v", c)
		}
		if c.SlowSince == nil || c.SlowSince.Sub(b.began) < 12*time.Second || c.SlowSince.Sub(b.began) > 14*time.Second {
			t.Errorf("slow since %v", c.SlowSince)
		}
		if c := b.channel(0); c.Slow || c.ExpectedHz != 20 {
			t.Errorf("the other one: %+v", c)
		}
		h := b.Health()
		want := fmt.Sprintf("1 of 2 channels slow: torque (%.3g Hz instead of 20 Hz)", c.RateHz)
		if got := h.ChannelRemarks(); !slices.Equal(got, []string{want}) || !h.Healthy || h.ChannelCounts.Slow != 1 {
			t.Errorf("%q, want %q", got, want)
		}
		b.pass(22 * time.Second) // fast again
		if c := b.channel(1); c.Slow || c.SlowSince != nil {
			t.Errorf("at 20 Hz again: %+v", c)
		}
	})
}

// What comes after a channel was stale is its new normal.
func TestC6AChannelThatComesBackIsMeasuredAnew(t *testing.T) {
	e := newEmitter("rpm")
	steps := slices.Concat(
		e.every(50*ms, 10*time.Second, 0), script(sourcetest.Quiet(10*time.Second)),
		e.every(200*ms, 20*time.Second, 0))
	inBubble(t, plain(), script(sourcetest.Connect(steps...)), func(b *bench) {
		b.pass(19 * time.Second)
		c := b.channel(0)
		if c.State != source.ChannelStale || c.Slow || !c.Since.Equal(b.began.Add(15*time.Second)) || c.RateHz != 0 || c.Reason != "no sample for 9s" {
			t.Errorf("%+v", c)
		}
		b.pass(20 * time.Second)
		c = b.channel(0)
		if c.State != source.ChannelHealthy || c.Slow || c.ExpectedHz != 5 || !c.Since.Equal(b.began.Add(20*time.Second+200*ms)) {
			t.Errorf("%+v", c)
		}
	})
}

// A burst after a wait, such as for a full queue, is no rate to expect; nor is
// what comes once in a while.
func TestC6ABurstRaisesNoExpectation(t *testing.T) {
	e := newEmitter("rpm", "seldom")
	steps := e.every(100*ms, 10*time.Second, 0)
	steps = append(steps, e.every(1, 500, 0)...) // 500 at once
	for range 10 {
		steps = append(steps, e.every(100*ms, 1900*ms, 0)...)
		steps = append(steps, e.every(100*ms, 100*ms, 0, 1)...)
	}
	inBubble(t, plain(), script(sourcetest.Connect(steps...)), func(b *bench) {
		b.pass(29 * time.Second)
		if c := b.channel(0); c.ExpectedHz != 10 || c.Slow {
			t.Errorf("%+v", c)
		}
		if c := b.channel(1); c.ExpectedHz != 0 || c.Slow || c.State != source.ChannelHealthy {
			t.Errorf("%+v", c)
		}
	})
}

// The newest value decides, not the best of a batch, and the time since when
// stands while nothing changes.
func TestC6InvalidSinceTheFirstOfTheBadOnes(t *testing.T) {
	e := newEmitter("afr")
	var steps []sourcetest.Step
	for i := range 40 {
		b := &sample.Batch{Source: "fake", Set: e.set, Samples: []sample.Sample{{Time: int64(10 * i)}, {Time: int64(10*i + 5)}}}
		steps = append(steps, sourcetest.Quiet(100*ms), sourcetest.Emit(b))
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, plain(), sourcetest.Connect(steps...))
		b.accept = func(_ context.Context, batch *sample.Batch) error {
			switch n := batch.Samples[0].Time / 10; {
			case n >= 30:
			case n >= 20:
				batch.Samples[1].Quality = sample.Bad
			case n >= 10:
				batch.Samples = batch.Samples[:1] // the newer one was rejected
			}
			return nil
		}
		b.start()
		for _, want := range []struct {
			at, since time.Duration
			state     source.ChannelState
			reason    string
		}{
			{950 * ms, 100 * ms, source.ChannelHealthy, ""},
			{1950 * ms, 1100 * ms, source.ChannelInvalid, "the newest value was rejected by validation"},
			{2950 * ms, 1100 * ms, source.ChannelInvalid, "the newest value is bad"},
			{3950 * ms, 3100 * ms, source.ChannelHealthy, ""},
		} {
			b.pass(want.at - time.Since(b.began))
			c := b.channel(0)
			if c.State != want.state || c.Since.Sub(b.began) != want.since || c.Reason != want.reason {
				t.Errorf("at %v: %+v", want.at, c)
			}
		}
		b.stop()
	})
}

func TestC6ConditionsSaySinceWhen(t *testing.T) {
	settings := plain()
	settings.Breaker = source.Breaker{Enabled: true, FailureThreshold: 2, SuccessThreshold: 1, Timeout: time.Minute, HalfOpenMaxCalls: 1}
	inBubble(t, settings, script(
		sourcetest.Connect(sourcetest.Quiet(2*time.Second), sourcetest.Data(1, 1), sourcetest.Vanish()),
		sourcetest.RefuseAlways(sourcetest.ErrRefused),
	), func(b *bench) {
		want := func(conditions ...string) {
			t.Helper()
			var got []string
			h := b.Health()
			for i, c := range h.Conditions {
				got = append(got, fmt.Sprintf("%s %v", c.Code, c.Since.Sub(b.began)))
				if c.Text != h.Reasons[i] {
					t.Errorf("%q is not %q", c.Text, h.Reasons[i])
				}
			}
			if !slices.Equal(got, conditions) || len(h.Reasons) != len(conditions) || h.Healthy != (len(got) == 0) {
				t.Errorf("after %v: %q, want %q", time.Since(b.began), got, conditions)
			}
		}
		b.pass(time.Second)
		want("no_data 0s")
		b.pass(time.Second + 50*ms)
		want("not_connected 2s") // refused at 2 s and 2.1 s
		b.pass(20 * time.Second)
		want("not_connected 2.1s", "circuit_open 2.1s", "errors_in_a_row 2s", "no_data 2s")
	})
}

func TestC6RemarksNameAFewChannels(t *testing.T) {
	var h source.Health
	for i := range 60 {
		h.Channels = append(h.Channels, source.ChannelHealth{Channel: fmt.Sprint("ch", i), State: source.ChannelHealthy})
	}
	if got := h.ChannelRemarks(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	for i := range 3 {
		h.Channels[i].State = source.ChannelStale
	}
	for i := 10; i < 17; i++ {
		h.Channels[i].State = source.ChannelInvalid
	}
	want := []string{"3 of 60 channels stale: ch0, ch1, ch2", "7 of 60 channels invalid: ch10, ch11, ch12, ch13, ch14 and 2 more"}
	if got := h.ChannelRemarks(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	text, err := json.Marshal(h.Channels[20])
	if err != nil || strings.Contains(string(text), "expected_hz") {
		t.Errorf("%s: a rate that is not known is not 0 Hz: %v", text, err)
	}
}
