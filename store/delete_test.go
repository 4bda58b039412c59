package store

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"dynotap/internal/db"
	"dynotap/sample"
)

// imported makes a capture of a file's batches, partly sealed.
func imported(t *testing.T, r *rig) (deliver func() (fresh int)) {
	t.Helper()
	set := testSet("csv", 2)
	deliver = func() (fresh int) {
		t.Helper()
		if err := r.PutCapture(t.Context(), Capture{
			ID: "c", Kind: Import, Source: "csv", TimeBase: Relative,
			Attributes: map[string]string{AttributeBatchPrefix: "0100000000000000"},
		}); err != nil {
			t.Fatal(err)
		}
		for i := range uint64(10) {
			c := r.put(&sample.Batch{ID: batchID(1, i+1), Source: "csv", Capture: "c", Set: set, Samples: []sample.Sample{{Time: int64(i)}}})
			if !c.Duplicate {
				fresh++
			}
			if i == 5 {
				r.seal("c", 0)
			}
		}
		return fresh
	}
	return deliver
}

func files(t *testing.T, r *rig) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(r.dir, "captures"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDeletedCaptureIsGoneAndCanComeAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	deliver := imported(t, r)
	if n := deliver(); n != 10 {
		t.Fatalf("%d of 10 batches are new", n)
	}
	if n := deliver(); n != 0 {
		t.Errorf("%d of 10 batches are new the second time", n)
	}
	r.begin("other")
	kept := &sample.Batch{Source: "jetdrive", Capture: "other", Set: testSet("jetdrive", 1), Samples: []sample.Sample{{}}}
	r.put(kept)
	for _, run := range []Run{{ID: "1", Capture: "c"}, {ID: "2", Capture: "other"}} {
		if err := r.PutRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Write(t.Context(), CursorEffect(CursorName("f", "c"), 1), CursorEffect(CursorName("f", "other"), 2)); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO meta (key, value) VALUES ('f/c', 1), ('f/other', 1), ('c', 1)`)
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteCapture(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteCapture(t.Context(), "c"); !errors.Is(err, ErrNoCapture) {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := r.Channels(t.Context(), "c"); !errors.Is(err, ErrNoCapture) {
		t.Errorf("still readable: %v", err)
	}
	if n := files(t, r); n != 0 {
		t.Errorf("%d files are left", n)
	}
	if runs, _, err := r.Runs(t.Context(), RunFilter{}); err != nil || len(runs) != 1 || runs[0].ID != "2" {
		t.Errorf("runs %v, %v", runs, err)
	}
	for capture, want := range map[string]int64{"c": 0, "other": 2} {
		if at, err := r.Cursor(t.Context(), CursorName("f", capture)); err != nil || at != want {
			t.Errorf("cursor of %s: %d, %v", capture, at, err)
		}
	}
	if !r.put(kept).Duplicate {
		t.Error("a batch of another capture was forgotten")
	}
	var rows int64
	if err := r.db.Read(t.Context(), func(c *db.Conn) error {
		return c.Query(`SELECT (SELECT count(*) FROM chunks WHERE capture = 'c') + (SELECT count(*) FROM segments WHERE capture = 'c')
			+ (SELECT abs(count(*) - 2) FROM meta WHERE key LIKE 'store.%' OR key LIKE 'f/%' OR key = 'c')`, scanInt(&rows))
	}); err != nil || rows != 0 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
	if n := deliver(); n != 10 {
		t.Errorf("%d of 10 batches are new after the deletion", n)
	}
}

func TestDeletionThatWasInterruptedEndsAtTheNextStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	imported(t, r)()
	r.step = func(string) error { return errCrash }
	if err := r.DeleteCapture(t.Context(), "c"); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if n := files(t, r); n != 1 {
		t.Fatalf("%d files", n)
	}
	r.reopen()
	if n := files(t, r); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// TestDeletionWaitsForReaders deletes while a reading is under way.
func TestDeletionWaitsForReaders(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	imported(t, r)()
	soon, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	done := make(chan error, 1)
	err := r.Read(t.Context(), Query{Capture: "c"}, func(_ *Channel, points []Point) error {
		if n == 0 {
			rows := make(chan struct{})
			r.step = func(string) error { close(rows); return nil }
			go func() { done <- r.DeleteCapture(context.WithoutCancel(soon), "c") }()
			<-rows // they are gone now
		}
		n += len(points)
		return nil
	})
	if err != nil || n == 0 {
		t.Errorf("read %d samples, %v", n, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := files(t, r); n != 0 {
		t.Errorf("%d files are left", n)
	}
	r.step = func(string) error { return nil }
	imported(t, r)()
	release := r.hold("c")
	if err := r.awaitReaders(soon, "c"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting does not end: %v", err)
	}
	release()
}

// TestForeignFilesAreLeftAlone opens a store whose folder holds what its
// catalog does not know.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	r.put(randomBatch(rand.New(rand.NewPCG(1, 11)), testSet("jetdrive", 1), "c", 0, 5))
	r.seal("c", 0)
	folder := filepath.Join(r.dir, "captures", "2023", "11")
	names := map[string]bool{ // and whether it stays
		"c/0001.parquet":         true,
		"c/0002.parquet":         false, // a crash before its row was committed
		"c/0003.parquet.part":    false,
		"c/notes.txt":            true,
		"lost/0001.parquet":      true, // the database was lost, not the file
		"lost/0002.parquet.part": false,
	}
	if err := os.MkdirAll(filepath.Join(folder, "lost"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if name != "c/0001.parquet" {
			if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.reopen()
	for name, stays := range names {
		if _, err := os.Stat(filepath.Join(folder, name)); (err == nil) != stays {
			t.Errorf("%s stays: %t, %v", name, stays, err)
		}
	}
}
