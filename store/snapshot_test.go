package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"dynotap/internal/db"
)

// TestSnapshotKeepsDeletedFiles: a capture that is deleted, and imported again,
// while a snapshot is read is gone for readers at once and as new; the snapshot
// has its files until it is released, and only those go then.
func TestSnapshotKeepsDeletedFiles(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	deliver := imported(t, r)
	deliver()
	r.seal("c", 0)
	snap, err := r.Snapshot(t.Context(), filepath.Join(t.TempDir(), "copy.db"), func() error { return nil }, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteCapture(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if n := deliver(); n != 10 {
		t.Errorf("%d of 10 batches are new", n)
	}
	r.seal("c", 0)
	if len(snap.Sealed) != 2 {
		t.Fatalf("%d sealed files", len(snap.Sealed))
	}
	for _, f := range snap.Sealed {
		info, err := os.Stat(filepath.Join(r.dir, filepath.FromSlash(f.Name)))
		if err != nil || info.Size() != f.Bytes {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	snap.Release(t.Context())
	if n := files(t, r); n != 2 {
		t.Errorf("%d files are left", n)
	}
	for again := range 2 {
		rows := 0
		for _, points := range r.read(Query{Capture: "c"}) {
			rows += len(points)
		}
		if rows != 10 {
			t.Errorf("%d samples (opened again: %d)", rows, again)
		}
		r.reopen()
	}
}

// TestSnapshotIsOfOneMoment: what is committed and sealed while the database is
// copied is in neither the copy nor the list.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	copied := filepath.Join(t.TempDir(), db.FileName)
	snap, err := r.Snapshot(t.Context(), copied, func() error {
		imported(t, r)()
		return nil
	}, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	snap.Release(t.Context())
	if len(snap.Sealed) != 0 || snap.Captures != 0 || files(t, r) != 1 {
		t.Fatalf("%d sealed, %d captures, %d files", len(snap.Sealed), snap.Captures, files(t, r))
	}
	d, err := db.Open(t.Context(), filepath.Dir(copied), db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if len(d.Quarantined()) > 0 {
		t.Error("the copy is damaged")
	}
	old, err := Open(t.Context(), d, filepath.Dir(copied), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if sizes, err := old.Sizes(t.Context()); err != nil || sizes.Sealed != 0 || sizes.Live != 0 {
		t.Errorf("in the copy: %+v, %v", sizes, err)
	}
	if _, err := old.Capture(t.Context(), "c"); !errors.Is(err, ErrNoCapture) {
		t.Errorf("a later capture: %v", err)
	}
}
