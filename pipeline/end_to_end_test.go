package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dynotap/queue"
	"dynotap/run"
	"dynotap/sample"
	"dynotap/store"
)

// smallSegments are sealed all the time.
func smallSegments() store.Options {
	return store.Options{SegmentEvery: 10 * time.Millisecond, SegmentSamples: 600}
}

// TestPromise2EverySampleIsStoredOnce sends batches of every priority from two
// sources at the same time, twice over the same directory.
func TestPromise2EverySampleIsStoredOnce(t *testing.T) {
	t.Parallel()
	for name, memory := range map[string]bool{"disk queue": false, "memory queue": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for start := range 2 {
				r := openRig(t, dir, setup{memory: memory, store: smallSegments(), critical: []string{"rpm"}})
				r.start()
				feeds := []*feed{newFeed("cell", r.clock.Micros()), newFeed("other", r.clock.Micros())}
				var sources sync.WaitGroup
				for _, f := range feeds {
					accept := r.lane(f.set.Source())
					sources.Go(func() {
						for i := range 60 {
							if err := accept(context.Background(), f.next(1+i%20, sample.Priority(i%sample.Priorities))); err != nil {
								t.Error(err)
							}
						}
					})
				}
				sources.Wait()
				left, err := r.Stop(t.Context())
				if err != nil || left != (Left{}) {
					t.Errorf("left %+v, %v", left, err)
				}
				captures := r.captures()
				if len(captures) != start+1 {
					t.Fatalf("%d captures after start %d", len(captures), start)
				}
				r.checkEnded(captures[start], feeds)
				if start == 1 && r.session(captures[0].ID).To == nil {
					t.Error("the first session is open again")
				}
				r.close()
			}
		})
	}
}

// checkEnded holds what is left of a stopped session to what its feeds sent.
func (r *rig) checkEnded(c store.Capture, feeds []*feed) {
	r.t.Helper()
	sent := int64(0)
	for _, f := range feeds {
		if a := r.account(f.set.Source()); a.Processed != 3*f.count || a.Received != 3*f.count {
			r.t.Errorf("booked %+v for %d samples", a, 3*f.count)
		}
		sent += 3 * f.count
	}
	native := map[string]map[string][]store.Point{}
	err := r.Store.Read(r.t.Context(), store.Query{Capture: c.ID, Native: true}, func(ch *store.Channel, points []store.Point) error {
		source := strings.TrimPrefix(ch.Device, "Cell ")
		if native[source] == nil {
			native[source] = map[string][]store.Point{}
		}
		native[source][ch.Label] = append(native[source][ch.Label], points...)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range feeds {
		r.checkFeed(native[f.set.Source()], f, 0, f.count)
	}
	for i, p := range r.points(c.ID, false)["Horsepower"] {
		if p.Value < 0 || p.Value > 134.1022 { // 99.9 kW
			r.t.Errorf("sample %d of the power is %v hp", i, p.Value)
			break
		}
	}
	if n := r.number(`SELECT count(*) FROM chunks`); n != 0 {
		r.t.Errorf("%d chunks are not sealed", n)
	}
	if n := r.number(`SELECT sum(samples) FROM segments WHERE capture = ?`, c.ID); n != sent {
		r.t.Errorf("%d samples are in files, %d were sent", n, sent)
	}
	if n := r.number(`SELECT count(*) FROM segments WHERE capture = ?`, c.ID); n < 2 {
		r.t.Errorf("sealed in %d files", n)
	}
	s := r.session(c.ID)
	if s.SampleCount != sent || s.Rejected != 0 || len(s.Channels) != 3*len(feeds) || s.From == nil || s.To == nil || c.EndedUS == nil || *c.EndedUS != *s.To {
		r.t.Errorf("the session run is %+v of capture %+v", s, c)
	}
	r.checkFolder()
}

// checkFolder: nothing is in the data directory that does not belong there.
func (r *rig) checkFolder() {
	r.t.Helper()
	known := map[string]bool{}
	for _, c := range r.captures() {
		n := r.number(`SELECT max(number) FROM segments WHERE capture = ?`, c.ID)
		for i := range n {
			at := time.UnixMicro(*c.StartedUS).UTC()
			known[filepath.Join("captures", at.Format("2006"), at.Format("01"), c.ID, fmt.Sprintf("%04d.parquet", i+1))] = true
		}
	}
	for _, name := range []string{"dynotap.db", "dynotap.db-wal", "dynotap.db-shm", "dynotap.lock"} {
		known[name] = true
	}
	err := filepath.WalkDir(r.dir, func(path string, entry os.DirEntry, err error) error {
		if name, _ := filepath.Rel(r.dir, path); err == nil && !entry.IsDir() && !known[name] {
			r.t.Errorf("%s is left in the data directory", name)
		}
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
}

// TestDecision5ALateBatchIsAFurtherSegment revives a dead letter of a session
// that has ended.
func TestDecision5ALateBatchIsAFurtherSegment(t *testing.T) {
	t.Parallel()
	for name, stopAtOnce := range map[string]bool{"while it runs": false, "at the stop": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fail := true
			r := openRig(t, dir, setup{process: rejectSome(func(b int) bool { return fail && b == 2 })})
			r.start()
			accept := r.lane("cell")
			f := newFeed("cell", r.clock.Micros())
			for range 5 {
				if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
					t.Fatal(err)
				}
			}
			if left := r.stop(); left.Dead != 30 || left.Items != 0 {
				t.Errorf("left %+v", left)
			}
			r = openRig(t, dir, setup{})
			capture := r.captures()[0]
			if s := r.session(capture.ID); s.SampleCount != 120 || capture.EndedUS == nil {
				t.Errorf("the session is %+v, ended %v", s, capture.EndedUS)
			}
			if a := r.account("cell"); a.Dead != 30 || a.Recovered != 30 {
				t.Errorf("found %+v", a)
			}
			r.start()
			if stopAtOnce {
				if n, err := r.Queue.ReviveAll(t.Context(), queue.Filter{}); n != 1 || err != nil {
					t.Fatalf("revived %d, %v", n, err)
				}
			} else {
				letters, err := r.Queue.DeadLetters(t.Context(), queue.Filter{Reason: "refused by the test"}, 0, 10)
				if err != nil || len(letters) != 1 {
					t.Fatalf("%d dead letters, %v", len(letters), err)
				}
				if err := r.Queue.Revive(t.Context(), letters[0].ID); err != nil {
					t.Fatal(err)
				}
				await(t, "the late batch is sealed and counted", func() bool {
					return r.number(`SELECT count(*) FROM segments`) == 2 && r.number(`SELECT count(*) FROM chunks`) == 0 &&
						r.session(capture.ID).SampleCount == 150
				})
			}
			if left, err := r.Stop(t.Context()); err != nil || left != (Left{}) {
				t.Errorf("left %+v, %v", left, err)
			}
			if n := r.number(`SELECT count(*) FROM chunks`); n != 0 {
				t.Errorf("%d chunks are not sealed", n)
			}
			if n := r.number(`SELECT samples FROM segments WHERE capture = ? AND number = 2`, capture.ID); n != 30 {
				t.Errorf("the second file has %d samples", n)
			}
			s := r.session(capture.ID)
			if s.SampleCount != 150 || s.DurationMS != 49*step.Milliseconds() {
				t.Errorf("the session is %+v", s)
			}
			if n := len(r.captures()); n != 1 {
				t.Errorf("%d captures", n)
			}
			if a := r.account("cell"); a.Processed != 30 || a.Recovered != 30 {
				t.Errorf("booked %+v", a)
			}
			r.checkFeed(r.points(capture.ID, true), f, 0, f.count)
			r.checkFolder()
		})
	}
}

// rejectSome turns the items away that which chooses by their number.
func rejectSome(which func(n int) bool) func(queue.Processor) queue.Processor {
	return func(process queue.Processor) queue.Processor {
		n := 0
		return func(ctx context.Context, items []queue.Item) []queue.Result {
			results := process(ctx, items)
			for i := range results {
				if which(n) {
					results[i] = queue.Result{Kind: queue.Rejected, Reason: "refused by the test"}
				}
				n++
			}
			return results
		}
	}
}

// TestRunsAreToldOnceSaved: what is heard of a run is in the catalog.
func TestRunsAreToldOnceSaved(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	heard := map[string]run.Run{}
	r := openRig(t, t.TempDir(), setup{run: func(one run.Run) {
		mu.Lock()
		defer mu.Unlock()
		heard[one.ID] = one
	}})
	r.start()
	accept := r.lane("cell")
	f := newFeed("cell", r.clock.Micros())
	r.Recorder.Logging("Cell cell", true, r.clock.Micros()) // before the first sample
	if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
		t.Fatal(err)
	}
	id, _, err := r.Recorder.StartRecording("idle")
	if err != nil {
		t.Fatal(err)
	}
	if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Recorder.StopRecording(id); err != nil {
		t.Error(err)
	}
	if _, err := r.Recorder.StopRecording("nothing"); err == nil {
		t.Error("a recording that does not exist was stopped")
	}
	r.Recorder.Logging("Cell cell", false, r.clock.Micros())
	if _, err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, _, err := r.Store.Runs(t.Context(), store.RunFilter{})
	if err != nil || len(list) != 3 {
		t.Fatalf("%d runs, %v", len(list), err)
	}
	for _, one := range list {
		if h, ok := heard[one.ID]; !ok || h.To == nil || one.EndedUS == nil || *h.To != *one.EndedUS {
			t.Errorf("%s %q ends %v, heard %+v", one.Kind, one.Name, one.EndedUS, h)
		}
	}
	if h := heard[id]; h.Name != "idle" || h.Kind != run.KindRecording {
		t.Errorf("the recording is %+v", h)
	}
}
