package pipeline

import (
	"context"
	"slices"
	"testing"
	"time"

	"dynotap/config"
	"dynotap/internal/db/dbtest"
	"dynotap/queue"
	"dynotap/sample"
)

// held is a processor that a gate holds up.
func held(g *gate) func(queue.Processor) queue.Processor {
	return func(process queue.Processor) queue.Processor {
		return func(ctx context.Context, items []queue.Item) []queue.Result {
			g.wait()
			return process(ctx, items)
		}
	}
}

// TestQ3AFullQueue holds the store up until the queue is full, sends a source's
// batches against it under each policy, and looks at who waits, who is refused,
// what is lost for which reason, and at what is stored after all.
func TestQ3AFullQueue(t *testing.T) {
	t.Parallel()
	const size, batches, each = 4, 20, 2 // batch of each source, its samples: 3 channels
	for name, c := range map[string]struct {
		memory, drop, oldest bool
		reason               string
	}{
		"wait, memory":        {memory: true},
		"wait, disk":          {},
		"drop_oldest, memory": {memory: true, drop: true, oldest: true, reason: queue.ReasonEvicted},
		"drop_oldest, disk":   {drop: true, oldest: true, reason: queue.ReasonEvicted},
		"drop_newest, memory": {memory: true, drop: true, reason: queue.ReasonFull},
		"drop_newest, disk":   {drop: true, reason: queue.ReasonFull},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			defer g.let()
			r := openRig(t, t.TempDir(), setup{memory: c.memory, process: held(g), queue: func(s *queue.Settings) {
				s.MaxSize, s.BatchSize, s.DropOnFull, s.DropOldest = size, 1, c.drop, c.oldest
			}})
			r.start()
			accept, f := r.lane("cell"), newFeed("cell", r.clock.Micros())
			if err := accept(t.Context(), f.next(each, sample.High)); err != nil {
				t.Fatal(err)
			}
			<-g.reached // the first batch is in the processor's hands and stays there
			done := make(chan error, 1)
			go func() {
				var err error
				for i := 1; i < batches && err == nil; i++ {
					err = accept(context.Background(), f.next(each, sample.High))
				}
				done <- err
			}()
			if c.drop {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			r.checkFull(c.drop, c.reason, size, batches, each)
			g.let()
			if !c.drop {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			if left, err := r.Stop(t.Context()); err != nil || left != (Left{}) {
				t.Errorf("left %+v, %v", left, err)
			}
			for _, h := range r.Intake.Hindrances() {
				if h.Waiting > 0 {
					t.Errorf("hindered after all: %+v", h)
				}
			}
			r.checkStored(f, c.drop, c.oldest, size, batches, each)
		})
	}
}

// checkFull looks at the full queue.
func (r *rig) checkFull(drop bool, reason string, size, batches, each int64) {
	t := r.t
	t.Helper()
	if !drop {
		await(t, "the source waits", func() bool {
			h := r.Intake.Hindrances()
			return r.Queue.Stats().Waiting == 1 && len(h) == 1 && h[0].Source == "cell" && h[0].Waiting > 0 && h[0].Refused == 0
		})
	}
	s, a := r.Queue.Stats(), r.account("cell")
	if s.CurrentSize != int(size) {
		t.Errorf("the queue holds %d batches of %d", s.CurrentSize, size)
	}
	if !drop {
		if want := 3 * each * (size + 1); a.Received != want || a.Queued != want || a.Dropped != 0 || s.TotalDropped != 0 {
			t.Errorf("a source that waits has lost something: %+v", a)
		}
		return
	}
	lost := batches - size
	want := []queue.Drop{{Source: "cell", Reason: reason, Items: lost, Samples: 3 * each * lost}}
	if s.Waiting != 0 || s.TotalWaits != 0 || !slices.Equal(s.Dropped, want) {
		t.Errorf("waiting %d, dropped %+v, want %+v", s.Waiting, s.Dropped, want)
	}
	if a.Received != 3*each*batches || a.Queued != 3*each*size || a.DroppedBy[reason] != 3*each*lost || a.Dropped != 3*each*lost {
		t.Errorf("booked %+v", a)
	}
	h := r.Intake.Hindrances()
	if refused := len(h) == 1 && h[0].Refused > 0; refused != (reason == queue.ReasonFull) {
		t.Errorf("hindrances %+v", h)
	}
}

// checkStored looks at what came through: everything, or the first batch (it
// was in the processor's hands) and the newest, or the oldest.
func (r *rig) checkStored(f *feed, drop, oldest bool, size, batches, each int64) {
	t := r.t
	t.Helper()
	found := r.points(r.captures()[0].ID, true)
	switch {
	case !drop:
		r.checkFeed(found, f, 0, batches*each)
	case !oldest:
		r.checkFeed(found, f, 0, size*each)
	default:
		for label := range found {
			found[label] = found[label][each:] // of the first batch
		}
		r.checkFeed(found, f, (batches-size+1)*each, batches*each)
	}
	if a := r.account("cell"); a.Queued != 0 || a.Processed+a.Dropped != a.Received {
		t.Errorf("booked %+v", a)
	}
}

// TestQ3ARefusalSpeaksForItsSourceOnlyLately: a source that was refused and
// then fell silent is not hindered for ever.
func TestQ3ARefusalSpeaksForItsSourceOnlyLately(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), setup{memory: true, queue: func(s *queue.Settings) {
		s.MaxSize, s.DropOnFull, s.DropOldest = 1, true, false
	}})
	accept, f := r.lane("cell"), newFeed("cell", r.clock.Micros())
	for range 3 {
		if err := accept(t.Context(), f.next(1, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	if h := r.Intake.Hindrances(); len(h) != 1 || h[0].Refused <= 0 || h[0].Waiting != 0 {
		t.Errorf("refused batches: %+v", h)
	}
	r.Intake.lanes["cell"].refusedAt.Add(-lately.Microseconds())
	if h := r.Intake.Hindrances(); len(h) != 0 {
		t.Errorf("refused long ago: %+v", h)
	}
	r.Intake.lanes["cell"].refusedAt.Store(r.clock.Micros())
	if _, err := r.Queue.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := accept(t.Context(), f.next(1, sample.High)); err != nil {
		t.Fatal(err)
	}
	if h := r.Intake.Hindrances(); len(h) != 0 {
		t.Errorf("taken again: %+v", h)
	}
}

// TestQ3AnOverloadedQueueDeliversTheNewest: what drop_oldest delivers after a
// stall is never older than the queue is long.
func TestQ3AnOverloadedQueueDeliversTheNewest(t *testing.T) {
	t.Parallel()
	const size = 10
	g := newGate()
	defer g.let()
	r := openRig(t, t.TempDir(), setup{memory: true, process: held(g), queue: func(s *queue.Settings) {
		s.MaxSize, s.BatchSize, s.FlushInterval, s.DropOnFull, s.DropOldest = size, 1, 0, true, true
	}})
	r.start()
	accept, f := r.lane("cell"), newFeed("cell", r.clock.Micros())
	for i := range 50 {
		if err := accept(t.Context(), f.next(1, sample.High)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-g.reached
		}
	}
	newest := f.start + (f.count-1)*step.Microseconds()
	g.let()
	if _, err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for label, points := range r.points(r.captures()[0].ID, true) {
		for _, p := range points[1:] { // the first was in the processor's hands
			if age := time.Duration(newest-p.Time) * time.Microsecond; age >= size*step {
				t.Errorf("%s: a sample is delivered that was %v old", label, age)
			}
		}
		if len(points) != size {
			t.Errorf("%s: %d samples", label, len(points))
		}
	}
}

// presetRig is a pipeline as a preset has it, on a disk that counts.
func presetRig(t *testing.T, preset string) (*rig, *dbtest.Faults) {
	t.Helper()
	cfg, err := config.Preset(preset)
	if err != nil {
		t.Fatal(err)
	}
	disk, q := dbtest.NewFaults(t), cfg.Queue
	r := openRig(t, t.TempDir(), setup{memory: !q.PersistToDisk, unsynced: !q.Fsync, vfs: disk.Name, queue: func(s *queue.Settings) {
		s.MaxSize, s.BatchSize, s.FlushInterval = q.MaxSize, q.BatchSize, q.FlushIntervalSec.Duration()
		s.DropOnFull, s.DropOldest = q.DropOnFull, q.DropOldest
	}})
	r.start()
	return r, disk
}

// TestK5LowLatencyWaitsForNoFlush sends batches one by one, each when the one
// before is stored, and counts the flushes of the disk; the medians of the
// time from the source to the store are for the log.
func TestK5LowLatencyWaitsForNoFlush(t *testing.T) {
	t.Parallel()
	const batches = 300
	median := map[string]float64{}
	for _, c := range []struct {
		preset string
		least  int64 // flushes
		most   int64
	}{
		{config.PresetLowLatency, 0, batches / 10}, // checkpoints, runs and seals are flushed in any case
		{config.PresetLiveCapture, 2 * batches, 1 << 40},
		{config.PresetHighReliability, 2 * batches, 1 << 40},
	} {
		r, disk := presetRig(t, c.preset)
		accept, f := r.lane("cell"), newFeed("cell", r.clock.Micros())
		var before int64
		for i := range batches + 1 {
			if i == 1 {
				before = disk.Syncs() // the capture and its channels are stored
			}
			if err := accept(t.Context(), f.next(20, sample.High)); err != nil {
				t.Fatal(err)
			}
			await(t, "the batch is stored", func() bool { return r.account("cell").Queued == 0 })
		}
		syncs := disk.Syncs() - before
		if syncs < c.least || syncs > c.most {
			t.Errorf("%s: %d flushes for %d batches", c.preset, syncs, batches)
		}
		s := r.Queue.Stats()
		median[c.preset] = s.Latency.P50
		t.Logf("%s: %d flushes for %d batches, from the source to the store median %.3f ms", c.preset, syncs, batches, s.Latency.P50*1000)
		if a := r.account("cell"); a.Dropped != 0 || a.Processed != 60*(batches+1) {
			t.Errorf("%s: %+v", c.preset, a)
		}
		r.stop()
	}
	t.Logf("low_latency takes %.2f of live_capture's time to the store", median[config.PresetLowLatency]/median[config.PresetLiveCapture])
}

// TestK5ASlowDiskHoldsNobodyUpUntilTheQueueIsFull holds every step of the disk.
// The queue in memory takes batches meanwhile; the queue on disk accepts
// nothing it has not written, so its source waits. HIGH goes without waiting
// for others in every preset.
func TestK5ASlowDiskHoldsNobodyUpUntilTheQueueIsFull(t *testing.T) {
	t.Parallel()
	const batches = 50
	for _, preset := range config.Presets() {
		t.Run(preset, func(t *testing.T) {
			t.Parallel()
			r, disk := presetRig(t, preset)
			accept, f := r.lane("cell"), newFeed("cell", r.clock.Micros())
			if err := accept(t.Context(), f.next(1, sample.High)); err != nil {
				t.Fatal(err)
			}
			await(t, "a batch of HIGH is stored alone", func() bool { return r.account("cell").Processed == 3 })
			release := disk.Hold()
			done := make(chan error, 1)
			go func() {
				var err error
				for i := 0; i < batches && err == nil; i++ {
					err = accept(context.Background(), f.next(1, sample.High))
				}
				done <- err
			}()
			if preset == config.PresetLowLatency {
				if err := <-done; err != nil {
					t.Error(err)
				}
			} else {
				await(t, "the source waits", func() bool {
					h := r.Intake.Hindrances()
					return len(h) == 1 && h[0].Waiting > 50*time.Millisecond
				})
			}
			release()
			if preset != config.PresetLowLatency {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if left, err := r.Stop(t.Context()); err != nil || left != (Left{}) {
				t.Errorf("left %+v, %v", left, err)
			}
			r.checkFeed(r.points(r.captures()[0].ID, true), f, 0, batches+1)
		})
	}
}
