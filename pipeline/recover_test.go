package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/store"
)

// leave fills a directory with batches that are accepted and not delivered, as
// a crash leaves them.
func leave(t *testing.T, dir string, batches int) *feed {
	t.Helper()
	r := openRig(t, dir, setup{})
	accept := r.lane("cell")
	f := newFeed("cell", r.clock.Micros())
	for range batches {
		if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	r.close()
	return f
}

func TestQ12RecoverDeliversWhatWasLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := leave(t, dir, 7)
	r := openRig(t, dir, setup{})
	if a := r.account("cell"); a.Recovered != 210 || a.Queued != 210 {
		t.Errorf("found %+v", a)
	}
	if err := r.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := r.account("cell"); a.Processed != 210 || a.Queued != 0 {
		t.Errorf("booked %+v", a)
	}
	c := r.captures()[0]
	r.checkFeed(r.points(c.ID, true), f, 0, f.count)
	if s := r.session(c.ID); c.EndedUS == nil || s.SampleCount != 210 || s.To == nil {
		t.Errorf("the session is %+v of %+v", s, c)
	}
	if n := r.number(`SELECT count(*) FROM chunks`); n != 0 {
		t.Errorf("%d chunks are not sealed", n)
	}
	if err := r.Recover(t.Context()); err != nil { // nothing is left to do
		t.Error(err)
	}
}

func TestQ8WhatCannotBeDecodedIsSetAsideAndTheRestServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := openRig(t, dir, setup{})
	accept := r.lane("cell")
	f := newFeed("cell", r.clock.Micros())
	for i, junk := range [][]byte{nil, []byte("no batch at all"), {0xff, 0xff, 0xff, 0xff}, []byte("\x0a\x10torn")} {
		if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
			t.Fatal(err)
		}
		r.Ledger.Receive("cell", 5, nil)
		if _, err := r.Queue.Enqueue(t.Context(), queue.Item{Source: "cell", Priority: sample.Priority(i), Samples: 5, Payload: junk}); err != nil {
			t.Fatal(err)
		}
	}
	r.close()
	r = openRig(t, dir, setup{})
	r.start()
	letters, err := r.Queue.DeadLetters(t.Context(), queue.Filter{Reason: ReasonUndecodable}, 0, 10)
	if err != nil || len(letters) != 4 {
		t.Fatalf("%d dead letters, %v", len(letters), err)
	}
	for _, l := range letters {
		if l.Attempts != 1 || l.LastError == "" || l.LastError == l.Reason {
			t.Errorf("dead letter %+v", l)
		}
	}
	if a := r.account("cell"); a.Dead != 20 || a.Processed != 120 || a.Queued != 0 {
		t.Errorf("booked %+v", a)
	}
	if left := r.stop(); left.Dead != 20 || left.Items != 0 {
		t.Errorf("left %+v", left)
	}
	r = openRig(t, dir, setup{})
	r.checkFeed(r.points(r.captures()[0].ID, true), f, 0, f.count)
}

// TestRecoverWithoutItsChannelSet: what misses its set is tried, kept as a
// dead letter, and stored as soon as the set is there again.
func TestRecoverWithoutItsChannelSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := leave(t, dir, 3)
	r := openRig(t, dir, setup{queue: func(s *queue.Settings) { s.MaxRetries = 1 }})
	var set *sample.ChannelSet
	err := r.db.Write(t.Context(), func(tx *db.Tx) error {
		err := tx.Query(`SELECT body FROM channel_sets`, func(row *sqlite3.Stmt) (err error) {
			set, err = sample.DecodeChannelSet(row.ColumnBlob(0, nil))
			return err
		})
		return errors.Join(err, tx.Exec(`DELETE FROM channel_sets`))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := r.account("cell"); a.Queued+a.Dead != 90 {
		t.Errorf("after an attempt: %+v", a)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "all are dead letters", func() bool { return r.account("cell").Dead == 90 })
	letters, err := r.Queue.DeadLetters(t.Context(), queue.Filter{Reason: queue.ReasonExhausted}, 0, 10)
	if err != nil || len(letters) != 3 || letters[0].Attempts != 2 || !strings.Contains(letters[0].LastError, store.ErrNoSet.Error()) {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	if err := r.Store.PutSet(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Queue.ReviveAll(t.Context(), queue.Filter{}); n != 3 || err != nil {
		t.Errorf("revived %d, %v", n, err)
	}
	if left, err := r.Stop(t.Context()); err != nil || left != (Left{}) {
		t.Errorf("left %+v, %v", left, err)
	}
	capture := r.captures()[0].ID
	r.checkFeed(r.points(capture, true), f, 0, f.count)
	if s := r.session(capture); s.SampleCount != 90 {
		t.Errorf("the session is %+v", s)
	}
}

// TestRecoverWithoutItsCapture: the capture was deleted while batches of it
// waited.
func TestRecoverWithoutItsCapture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leave(t, dir, 3)
	r := openRig(t, dir, setup{queue: func(s *queue.Settings) { s.MaxRetries = 0 }})
	if err := r.Store.DeleteCapture(t.Context(), r.captures()[0].ID); err != nil {
		t.Fatal(err)
	}
	r.start()
	if a := r.account("cell"); a.Dead != 90 || a.Queued != 0 {
		t.Errorf("booked %+v", a)
	}
	letters, err := r.Queue.DeadLetters(t.Context(), queue.Filter{}, 0, 10)
	if err != nil || len(letters) != 3 || !strings.Contains(letters[0].LastError, store.ErrNoCapture.Error()) {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	r.stop()
}

// TestRecoverPassesOverDamage: a damaged chunk or file of the session that was
// cut off costs its own samples and not the start of the program.
func TestRecoverPassesOverDamage(t *testing.T) {
	t.Parallel()
	file := func(r *rig, c store.Capture) string {
		found, err := filepath.Glob(filepath.Join(r.dir, "captures", "*", "*", c.ID, "0001.parquet"))
		if err != nil || len(found) != 1 {
			r.t.Fatalf("found %v, %v", found, err)
		}
		return found[0]
	}
	for name, c := range map[string]struct {
		damage func(*rig, store.Capture) error
		sealed bool // in part
		lost   int64
	}{
		"chunk": {func(r *rig, _ store.Capture) error {
			return r.db.Write(context.Background(), func(tx *db.Tx) error {
				return tx.Exec(`UPDATE chunks SET body = x'ff00ff' WHERE seq = (SELECT min(seq) FROM chunks)`)
			})
		}, false, 30},
		"torn file": {func(r *rig, c store.Capture) error { return os.Truncate(file(r, c), 100) }, true, 60},
		"lost file": {func(r *rig, c store.Capture) error { return os.Remove(file(r, c)) }, true, 60},
	} {
		for _, ended := range []bool{false, true} {
			title := name + map[bool]string{false: ", cut off", true: ", ended and late"}[ended]
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				r := openRig(t, dir, setup{})
				accept := r.lane("cell")
				f := newFeed("cell", r.clock.Micros())
				put := func() {
					for range 2 {
						if err := accept(t.Context(), f.next(10, sample.High)); err != nil {
							t.Fatal(err)
						}
					}
					if _, err := r.Queue.Drain(t.Context(), r.process, -1); err != nil {
						t.Fatal(err)
					}
				}
				put()
				capture := r.captures()[0]
				if c.sealed {
					if err := r.Recorder.step(t.Context()); err != nil {
						t.Fatal(err)
					}
					if err := r.Store.Seal(t.Context(), capture.ID, 0); err != nil {
						t.Fatal(err)
					}
					put()
				}
				if ended {
					if err := r.Store.EndCapture(t.Context(), capture.ID, r.clock.Micros()); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.damage(r, capture); err != nil {
					t.Fatal(err)
				}
				r.close()
				r = openRig(t, dir, setup{})
				if err := r.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := r.number(`SELECT count(*) FROM chunks`); n != 0 {
					t.Errorf("%d chunks are not sealed", n)
				}
				found := map[string]int64{}
				err := r.Store.Read(t.Context(), store.Query{Capture: capture.ID}, func(c *store.Channel, points []store.Point) error {
					found[c.Label] += int64(len(points))
					return nil
				})
				if c.sealed && !errors.Is(err, store.ErrDamaged) || !c.sealed && err != nil {
					t.Errorf("reading: %v", err)
				}
				for _, label := range []string{"Horsepower", "Engine RPM", "Test Counter"} {
					if want := f.count - c.lost/3; found[label] != want {
						t.Errorf("%s: %d samples, want %d", label, found[label], want)
					}
				}
				if s := r.session(capture.ID); s.To == nil {
					t.Errorf("the session is %+v", s)
				}
			})
		}
	}
}
