package app

import (
	"math"
	"strings"
	"testing"
	"time"

	"dynotap/config"
	"dynotap/store"
)

// TestK5HighReliabilityLosesNothing has a producer that never pauses meet a
// queue of four batches, a store that for more than a second stands still, and
// a restart in the middle: every sample is stored, exactly once.
func TestK5HighReliabilityLosesNothing(t *testing.T) {
	t.Parallel()
	dir, d := t.TempDir(), newDump(math.MaxInt64)
	settings := map[string]string{
		"preset": config.PresetHighReliability, "queue.max_size": "4",
	}
	var taken int64 // samples, by the accounts
	for range 2 {
		a, said := record(t, dir, d, settings)
		await(t, "the queue is full and the producer waits", func() bool {
			v := a.pressure.view()
			return a.pipeline.Queue.Stats().TotalWaits > 0 && v.Present != nil && v.Present.What == spellFull
		})
		release := hold(t, dir)
		await(t, "it has waited for more than a second", func() bool {
			h := a.pipeline.Intake.Hindrances()
			return len(h) == 1 && h[0].Waiting > 1200*time.Millisecond
		})
		if r := a.readiness(t.Context()); len(r.Notes) == 0 || !strings.Contains(r.Notes[0], "1 source waits: dump since 1.") {
			t.Errorf("readyz %+v", r)
		}
		until := d.next.Load() + 100
		release()
		await(t, "the producer is served", func() bool { return d.next.Load() >= until })
		a.end(t)
		accounts, sum := a.pipeline.Ledger.Snapshot()
		c := accounts["dump"]
		// A batch that the stop kept out is not lost: its source knows.
		if sum.Balance() != 0 || c.Dropped != c.DroppedBy["stopped"] || c.Dropped > each || c.Failed+c.Dead+c.Queued != 0 {
			t.Errorf("booked %+v", c)
		}
		taken += c.Processed
		if s := a.pipeline.Queue.Stats(); s.HighWatermark > 4 || s.TotalDropped != 0 || s.TotalWaits == 0 {
			t.Errorf("the queue: %+v", s)
		}
		if !strings.Contains(said.String(), "queue no longer full after") || strings.Contains(said.String(), "lost unread") {
			t.Errorf("said:\n%s", said)
		}
	}
	total := d.next.Swap(math.MaxInt64) // nothing comes from now on
	if taken != total*each {
		t.Errorf("%d samples were taken over, not %d", taken, total*each)
	}
	a, _ := record(t, dir, d, settings)
	defer a.end(t)
	runs, _, err := a.pipeline.Store.Runs(t.Context(), store.RunFilter{Kind: "session", Limit: 10})
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d sessions, %v", len(runs), err)
	}
	count := map[float64]int{}
	for i := range runs {
		err := a.pipeline.Store.Read(t.Context(), store.Query{Capture: runs[i].Capture}, func(_ *store.Channel, points []store.Point) error {
			for _, p := range points {
				count[p.Value]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range total * each {
		if count[float64(n)] != 1 {
			t.Fatalf("sample %d is stored %d times", n, count[float64(n)])
		}
	}
}

// TestK5AStallLosesNothingOnTheWire lets the store stand still for two seconds
// while a provider streams: with the two presets that keep everything, the
// socket's buffer and the ring hold what comes meanwhile.
func TestK5AStallLosesNothingOnTheWire(t *testing.T) {
	t.Parallel()
	for _, preset := range []string{config.PresetHighReliability, config.PresetLiveCapture} {
		t.Run(preset, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			in := startInstance(t, n, "--preset", preset)
			stop := stream(t, n, 60, 50)
			await(t, "samples are stored", func() bool { return in.balanced()["jetdrive"].Processed > 600 })
			looks := in.watchSum()
			release := hold(t, in.dir)
			await(t, "the source has waited for two seconds", func() bool {
				h := in.pressed().stats.Pressure.Hindered
				return len(h) == 1 && h[0].Waiting > 2
			})
			in.wantStatus(`note: disk SLOW since [0-9.]+ s, 1 source waits: jetdrive since`)
			held := in.unread()
			release()
			await(t, "the disk is no longer slow", func() bool { return in.pressed().stats.Pressure.Present == nil })
			sent := stop()
			in.awaitAll(sent)
			looks()
			p := in.pressed()
			a := p.stats.Sources["jetdrive"]
			if uint64(a.Received) != sent.Values || a.Processed != a.Received || a.Overruns != (Overruns{}) {
				t.Errorf("sent %d values, booked %+v, lost %+v", sent.Values, a.Account, a.Overruns)
			}
			if held < 50 {
				t.Errorf("%d datagrams only waited in the ring", held)
			}
			t.Logf("%d datagrams waited in the ring, %d values were sent", held, sent.Values)
			in.wantStatus(`disk no longer slow after [0-9.]+ s: nothing was lost`)
			in.stop()
			if rows := in.export(); uint64(len(rows)) != sent.Values {
				t.Errorf("%d samples are stored of %d", len(rows), sent.Values)
			}
		})
	}
}
