package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

// leftOnDisk leaves one item in the queue of a directory.
func leftOnDisk(t *testing.T, dir string) {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(sqlite.New(d), queue.Defaults(), queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enqueue(t.Context(), queue.Item{Source: "dump", Priority: sample.High, Samples: 1234, Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// notesOf starts the program on a directory and gives readyz's notes.
func notesOf(t *testing.T, dir string, overrides map[string]string) string {
	t.Helper()
	a, _ := record(t, dir, newDump(0), overrides)
	notes := strings.Join(a.readiness(t.Context()).Notes, "\n")
	a.end(t)
	return notes
}

// TestQ12AQueueInMemoryTellsWhatItLeavesOnDisk: what another start accepted is
// not forgotten silently.
func TestQ12AQueueInMemoryTellsWhatItLeavesOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leftOnDisk(t, dir)
	const want = "1 234 samples wait in the queue on disk"
	if notes := notesOf(t, dir, map[string]string{"queue.persist_to_disk": "false"}); !strings.Contains(notes, want) {
		t.Errorf("notes %q", notes)
	}
	if notes := notesOf(t, dir, map[string]string{"queue.persist_to_disk": "true"}); strings.Contains(notes, want) {
		t.Errorf("notes %q", notes)
	}
}

// TestQ13NotesTellOfAQuarantine: a damaged database is told of as long as it
// lies there.
func TestQ13NotesTellOfAQuarantine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leftOnDisk(t, dir)
	path := filepath.Join(dir, db.FileName)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file[5000] ^= 1 // in the second page
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		notes := notesOf(t, dir, map[string]string{})
		if !strings.Contains(notes, "was found damaged") || !strings.Contains(notes, filepath.Join(dir, db.QuarantineName)) {
			t.Errorf("notes %q", notes)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, db.QuarantineName)); err != nil {
		t.Fatal(err)
	}
	if notes := notesOf(t, dir, map[string]string{}); strings.Contains(notes, "damaged") {
		t.Errorf("notes %q", notes)
	}
}
