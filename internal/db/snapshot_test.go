package db_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// TestSnapshotOfALargeDatabaseWithAWAL: pages that lie in the WAL carry no sums
// of their own, and a large copy is written before its first page is.
func TestSnapshotOfALargeDatabaseWithAWAL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir, db.Options{})
	for i := range 200 { // 80 MB, most of them free again, as after an import is sealed
		if err := d.Write(t.Context(), put(fmt.Sprint("large", i), strings.Repeat("x", 400_000))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if err := d.Write(t.Context(), func(tx *db.Tx) error {
			return tx.Exec(`DELETE FROM meta WHERE key = ?`, fmt.Sprint("large", 2*i))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if err := d.Write(t.Context(), put(fmt.Sprint("small", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), db.FileName)
	before := keys(t, d)
	err := d.Snapshot(t.Context(), path, func(c *db.Conn) error {
		if err := c.Query(`SELECT 1 FROM meta LIMIT 1`, func(*sqlite3.Stmt) error { return nil }); err != nil {
			return err
		}
		return d.Write(t.Context(), put("later", 1))
	}, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	copied := open(t, filepath.Dir(path), db.Options{})
	if got := keys(t, copied); got != before {
		t.Errorf("the copy has %q, want %q", got, before)
	}
}
