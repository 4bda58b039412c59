package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"dynotap/internal/db"
	"dynotap/queue"
)

// TestQ13RemovedDirectory: while the directory is away nothing is accepted that
// would be lost, and what is in memory is served; when it is back everything
// goes on.
func TestQ13RemovedDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	away := filepath.Join(t.TempDir(), "away")
	d, q := openQueue(t, dir, "", queue.Defaults(), queue.Options{})
	if _, err := q.EnqueueAll(t.Context(), named("a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enqueue(t.Context(), named("c")[0]); !errors.Is(err, db.ErrMoved) {
		t.Errorf("enqueue without the directory: %v", err)
	}
	items, err := q.Dequeue(t.Context(), 5)
	if err != nil || len(items) != 2 {
		t.Errorf("dequeued %d items, %v", len(items), err)
	}
	answers := make([]queue.Result, len(items))
	if err := q.Settle(t.Context(), items, answers); !errors.Is(err, db.ErrMoved) {
		t.Errorf("settle without the directory: %v", err)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enqueue(t.Context(), named("d")[0]); err != nil {
		t.Errorf("enqueue with the directory again: %v", err)
	}
	if err := q.Settle(t.Context(), items[:1], answers[:1]); err != nil {
		t.Errorf("settle with the directory again: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	d, q = openQueue(t, dir, "", queue.Defaults(), queue.Options{})
	found, err := q.Peek(t.Context(), 5)
	found = slices.DeleteFunc(found, func(i queue.Item) bool { return string(i.Payload) == "c" }) // was under way: refused, and may be there
	if err != nil || len(found) != 2 || string(found[0].Payload) != "b" || string(found[1].Payload) != "d" {
		t.Errorf("found %d items, %v", len(found), err)
	}
	if err := sound(t.Context(), d); err != nil {
		t.Error(err)
	}
}

// testReadOnly makes a file system read-only under a queue that is stopped.
func testReadOnly(t *testing.T, disk *disk) {
	t.Helper()
	dir := filepath.Join(disk.dir, "read-only")
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", disk.dir, "tmpfs", syscall.MS_REMOUNT|flags, fmt.Sprintf("size=%d", smallDisk)); err != nil {
			t.Fatal(err)
		}
	}
	d, q := openQueue(t, dir, "", queue.Defaults(), queue.Options{})
	if _, err := q.EnqueueAll(t.Context(), named("a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	remount(syscall.MS_RDONLY)
	if d, err := db.Open(t.Context(), dir, db.Options{}); !errors.Is(err, db.ErrReadOnly) {
		t.Errorf("open: %v", err)
		if err == nil {
			_ = d.Close()
		}
	}
	remount(0)
	d, q = openQueue(t, dir, "", queue.Defaults(), queue.Options{})
	if items, err := q.Peek(t.Context(), 5); err != nil || len(items) != 2 {
		t.Errorf("found %d items, %v", len(items), err)
	}
	if _, err := q.Enqueue(t.Context(), named("c")[0]); err != nil {
		t.Error(err)
	}
	if err := errors.Join(sound(t.Context(), d), d.Close()); err != nil {
		t.Error(err)
	}
}
