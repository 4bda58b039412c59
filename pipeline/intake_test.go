package pipeline

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"dynotap/queue"
	"dynotap/sample"
	"dynotap/validate"
)

func TestIntakeResolvesASetOncePerPointer(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), setup{})
	accept := r.lane("cell")
	f := newFeed("cell", r.clock.Micros())
	take := func() *prepared {
		t.Helper()
		if err := accept(t.Context(), f.next(1, sample.High)); err != nil {
			t.Fatal(err)
		}
		return r.Intake.lanes["cell"].ready[f.set]
	}
	first := take()
	if again := take(); first == nil || again != first {
		t.Error("the same list was resolved again")
	}
	f.set = cellSet("cell")
	if other := take(); other == first || other.set.ID() != first.set.ID() {
		t.Error("another list of the same content is resolved anew, to the same set")
	}
	if n := r.number(`SELECT count(*) FROM channel_sets`); n != 1 {
		t.Errorf("%d channel sets are stored", n)
	}
	for range 2 * maxPrepared { // a provider that is never content with its list
		f.set = cellSet("cell")
		take()
	}
	if n := len(r.Intake.lanes["cell"].ready); n > maxPrepared {
		t.Errorf("%d lists are remembered", n)
	}
}

func TestV3KilowattReachesHubAndStoreAsHorsepower(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), setup{})
	r.start()
	at := r.clock.Micros()
	native := cellSet("cell")
	b := &sample.Batch{Source: "cell", Set: native, Priority: sample.High, Samples: []sample.Sample{{Time: at, Channel: power, Value: 63.4}}}
	if err := r.lane("cell")(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r.Hub.advance()
	u := r.Hub.Now()
	if len(u.Values) != 1 || math.Abs(u.Values[0].Value-85.02) > 0.01 {
		t.Errorf("the hub shows %+v", u.Values)
	}
	about := u.Channels[slices.IndexFunc(u.Channels, func(c LiveChannel) bool { return c.Ref == u.Values[0].Ref })]
	if about.Name != "horsepower" || about.Unit != sample.Horsepower || about.NativeUnit != sample.Kilowatt || about.Source != "cell" {
		t.Errorf("the hub describes %+v", about)
	}
	if b.Set != native || b.Capture != "" || b.ID != (sample.BatchID{}) {
		t.Errorf("the source's own batch was changed: %+v", b)
	}
	if c := native.Channels()[power]; c.Name != "" || c.Unit != "" {
		t.Errorf("the source's own list was changed: %+v", c)
	}
	if _, err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	capture := r.captures()[0].ID
	if p := r.points(capture, false)["Horsepower"]; len(p) != 1 || math.Abs(p[0].Value-85.02) > 0.01 || p[0].Time != at {
		t.Errorf("stored in hp: %+v", p)
	}
	if p := r.points(capture, true)["Horsepower"]; len(p) != 1 || p[0].Value != 63.4 {
		t.Errorf("stored natively: %+v", p)
	}
}

func TestV5RejectedSamplesAreCountedByReason(t *testing.T) {
	t.Parallel()
	at := clockTime
	samples := []sample.Sample{
		{Time: at, Channel: rpm, Value: 3000},
		{Time: at, Channel: rpm, Value: math.NaN()},
		{Time: at + 1, Channel: rpm, Value: math.Inf(1)},
		{Time: at + 2, Channel: rpm, Value: -1},
		{Time: at + 3, Channel: power, Value: 1e9},
		{Time: at + 4, Channel: power, Value: 1e9},
		{Time: -1, Channel: rpm, Value: 3000},
		{Time: at + 5, Channel: 7, Value: 3000},
		{Time: at + 6, Channel: counter, Value: 5},
	}
	strict, off := validate.DefaultSettings(), validate.DefaultSettings()
	strict.RejectOutOfRange, off.Enabled = true, false
	for name, c := range map[string]struct {
		settings validate.Settings
		failed   map[string]int64
		kept     int
	}{
		"the guide's settings": {
			validate.DefaultSettings(), map[string]int64{"nan": 1, "infinite": 1, "timestamp": 1, "channel": 1}, 5,
		},
		"out of range too": {
			strict, map[string]int64{"nan": 1, "infinite": 1, "below": 1, "above": 2, "timestamp": 1, "channel": 1}, 2,
		},
		// Nothing is judged, but what is no channel's cannot be kept.
		"validation off": {off, map[string]int64{"channel": 1}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRig(t, t.TempDir(), setup{})
			b := &sample.Batch{Source: "cell", Set: cellSet("cell"), Priority: sample.High, Samples: slices.Clone(samples)}
			if err := r.Intake.Lane("cell", c.settings)(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			a := r.account("cell")
			failed := int64(len(samples) - c.kept)
			if a.Received != int64(len(samples)) || a.Failed != failed || a.Queued != int64(c.kept) || !maps.Equal(a.FailedBy, c.failed) {
				t.Errorf("booked %+v", a)
			}
			if len(b.Samples) != c.kept {
				t.Errorf("the source sees %d samples kept", len(b.Samples))
			}
			if n := r.number(`SELECT sum(samples) FROM queue`); n != int64(c.kept) {
				t.Errorf("%d samples are in the queue", n)
			}
		})
	}
}

// clockTime is some time in 2026, in µs.
const clockTime = int64(1_790_000_000_000_000)

func TestDecision3CriticalChannelsTravelAlone(t *testing.T) {
	t.Parallel()
	for name, critical := range map[string]string{
		"canonical name": "rpm", "label": "Engine RPM", "address": "0x43FD:1:Engine RPM",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told []Accepted
			r := openRig(t, t.TempDir(), setup{critical: []string{critical}, accepted: func(a Accepted) { told = append(told, a) }})
			accept := r.lane("cell")
			f := newFeed("cell", clockTime)
			for range 2 {
				b := f.next(4, sample.High)
				before := slices.Clone(b.Samples)
				if err := accept(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				if b.Priority != sample.High || !slices.Equal(b.Samples, before) {
					t.Errorf("the source's batch was changed: %+v", b)
				}
			}
			if len(told) != 4 || told[0].Samples != 4 || told[1].Samples != 8 || told[0].ID == told[1].ID {
				t.Errorf("accepted %+v", told)
			}
			items, err := r.Queue.Peek(t.Context(), 10)
			if err != nil || len(items) != 4 {
				t.Fatalf("%d items in the queue, %v", len(items), err)
			}
			for i, item := range items {
				var b sample.Batch
				if err := sample.DecodeBatch(item.Payload, func(id sample.SetID) (*sample.ChannelSet, error) { return r.Store.Set(t.Context(), id) }, &b); err != nil {
					t.Fatal(err)
				}
				urgent := i < 2 // both ahead of the batches that they came with
				want := sample.High
				if urgent {
					want = sample.Critical
				}
				if item.Priority != want || b.Priority != want || len(b.Samples) != item.Samples {
					t.Errorf("item %d: priority %v, in the batch %v, %d of %d samples", i, item.Priority, b.Priority, len(b.Samples), item.Samples)
				}
				for _, s := range b.Samples {
					if (s.Channel == rpm) != urgent {
						t.Errorf("item %d (%v) holds %+v", i, item.Priority, s)
					}
				}
				if !slices.IsSortedFunc(b.Samples, func(a, b sample.Sample) int { return int(a.Time - b.Time) }) {
					t.Errorf("item %d is out of order", i)
				}
			}
			if a := r.account("cell"); a.Received != 24 || a.Queued != 24 {
				t.Errorf("booked %+v", a)
			}
		})
	}
}

func TestABatchHeldByAFullQueueEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		critical []string
		dropped  int64 // of the second batch
	}{
		"whole":           {nil, 30},
		"both parts":      {[]string{"rpm"}, 30},
		"nothing is left": {[]string{"rpm", "horsepower", "Test Counter"}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRig(t, t.TempDir(), setup{critical: c.critical, queue: func(s *queue.Settings) { s.MaxSize = 2 }})
			accept := r.lane("cell")
			f := newFeed("cell", clockTime)
			for r.Queue.Len() < 2 {
				if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
					t.Fatal(err)
				}
			}
			accepted := r.account("cell").Queued
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := accept(ctx, f.next(10, sample.High)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			a := r.account("cell")
			if a.Queued != accepted || a.Dropped != c.dropped || a.DroppedBy[reasonStopped] != c.dropped {
				t.Errorf("booked %+v", a)
			}
			if err := r.Intake.Stuck(); err != nil {
				t.Errorf("a full queue is no fault: %v", err)
			}
		})
	}
}

func TestDropsOfAFullQueueAreNoError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		oldest bool
		by     map[string]int64
	}{
		"the newcomer":  {false, map[string]int64{queue.ReasonFull: 60}},
		"the first one": {true, map[string]int64{queue.ReasonEvicted: 60}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accepted := 0
			r := openRig(t, t.TempDir(), setup{
				queue:    func(s *queue.Settings) { s.MaxSize, s.DropOnFull, s.DropOldest = 3, true, c.oldest },
				accepted: func(Accepted) { accepted++ },
			})
			accept := r.lane("cell")
			f := newFeed("cell", clockTime)
			for range 5 {
				if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
					t.Fatal(err)
				}
			}
			a := r.account("cell")
			if a.Received != 150 || a.Queued != 90 || !maps.Equal(a.DroppedBy, c.by) {
				t.Errorf("booked %+v", a)
			}
			if want := map[bool]int{false: 3, true: 5}[c.oldest]; accepted != want {
				t.Errorf("%d batches were told to be accepted, want %d", accepted, want)
			}
		})
	}
}

func TestTheCaptureBeginsWithTheFirstSample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := openRig(t, dir, setup{})
	r.start()
	accept := r.lane("cell")
	if err := accept(t.Context(), &sample.Batch{Source: "cell", Set: cellSet("cell")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Recorder.StartRecording("early"); !errors.Is(err, ErrNoSession) {
		t.Errorf("record before the first sample: %v", err)
	}
	if n := len(r.captures()); n != 0 {
		t.Errorf("%d captures without a sample", n)
	}
	r.stop()

	r = openRig(t, dir, setup{})
	r.start()
	f := newFeed("cell", r.clock.Micros())
	accept = r.lane("cell")
	for range 2 {
		if err := accept(t.Context(), f.next(3, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.lane("other")(t.Context(), newFeed("other", r.clock.Micros()).next(3, sample.High)); err != nil {
		t.Fatal(err)
	}
	if list := r.captures(); len(list) != 1 || list[0].EndedUS != nil || list[0].Source != "cell" || *list[0].StartedUS > r.clock.Micros() {
		t.Errorf("captures %+v", list)
	}
	r.stop()
}

func TestMeanLatencyIsOfTheSource(t *testing.T) {
	t.Parallel()
	var told []time.Duration
	r := openRig(t, t.TempDir(), setup{accepted: func(a Accepted) { told = append(told, a.Latency) }})
	if d := r.Intake.MeanLatency("nobody"); d != 0 {
		t.Errorf("of a source that does not exist: %v", d)
	}
	accept := r.lane("cell")
	if d := r.Intake.MeanLatency("cell"); d != 0 {
		t.Errorf("without a batch: %v", d)
	}
	f := newFeed("cell", clockTime)
	for _, ago := range []time.Duration{10 * time.Second, 20 * time.Second} {
		b := f.next(1, sample.High)
		b.Received = r.clock.Micros() - ago.Microseconds()
		if err := accept(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if d := r.Intake.MeanLatency("cell"); d < 15*time.Second || d > 25*time.Second {
		t.Errorf("the mean of 10 s and 20 s is %v", d)
	}
	if len(told) != 2 || told[0] < 10*time.Second || told[1] < 20*time.Second {
		t.Errorf("told %v", told)
	}
}

func TestQ2ABatchOfNoPriorityIsRefusedAndCounted(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), setup{})
	accept := r.lane("cell")
	f := newFeed("cell", clockTime)
	if err := accept(t.Context(), f.next(10, sample.Bulk+1)); !errors.Is(err, queue.ErrPriority) {
		t.Errorf("got %v", err)
	}
	if a := r.account("cell"); a.Received != 30 || !maps.Equal(a.DroppedBy, map[string]int64{reasonPriority: 30}) || r.Intake.Stuck() != nil {
		t.Errorf("booked %+v, stuck %v", a, r.Intake.Stuck())
	}
	if err := accept(t.Context(), f.next(10, sample.Bulk)); err != nil {
		t.Errorf("the next batch: %v", err)
	}
}
