package db_test

import (
	"os"
	"path/filepath"
	"testing"

	"dynotap/internal/db"
)

// TestQ13EmptyWALIsNoDamage: a start empties the WAL of a process that was
// killed. Killed again before it has written anything, it has left nothing to
// be missed.
func TestQ13EmptyWALIsNoDamage(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(*db.Tx) error{
		"nothing done":    nil,
		"nothing changed": func(tx *db.Tx) error { return tx.Exec(`DELETE FROM meta WHERE key = 'no such'`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := open(t, t.TempDir(), db.Options{Fsync: true})
			if err := first.Write(t.Context(), put("a", 1)); err != nil {
				t.Fatal(err)
			}
			second := open(t, killed(t, first), db.Options{Fsync: true})
			if work != nil {
				if err := second.Write(t.Context(), work); err != nil {
					t.Fatal(err)
				}
			}
			third := open(t, killed(t, second), db.Options{Fsync: true})
			if q := third.Quarantined(); len(q) > 0 {
				t.Errorf("set aside: %+v", q)
			}
			if got := keys(t, third); got != "a" {
				t.Errorf("keys %q", got)
			}
		})
	}
}

// killed gives a directory as a process that is killed now would leave it.
func killed(t *testing.T, d *db.DB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Dir(d.Path()))); err != nil {
		t.Fatal(err)
	}
	return dir
}
