package store

import (
	"context"
	"fmt"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// CursorName is the name under which follower keeps its place in a capture,
// and in the table meta whatever else it keeps. Deleting the capture deletes
// both.
func CursorName(follower, capture string) string { return follower + "/" + capture }

// CursorEffect moves a cursor within the transaction that makes durable what
// was done up to there.
func CursorEffect(name string, value int64) db.Effect {
	return func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO cursors (name, value) VALUES (?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value`, name, value)
	}
}

// Cursor gives a cursor's value; 0, before all chunks, if it was never moved.
func (s *Store) Cursor(ctx context.Context, name string) (value int64, err error) {
	err = s.db.Read(ctx, func(c *db.Conn) error {
		return c.Query(`SELECT value FROM cursors WHERE name = ?`, func(row *sqlite3.Stmt) error {
			value = row.ColumnInt64(0)
			return nil
		}, name)
	})
	if err != nil {
		return 0, fmt.Errorf("read cursor %s: %w", name, err)
	}
	return value, nil
}

// Write runs effects in one transaction, so that runs and cursors move
// together. It blocks on the commit.
func (s *Store) Write(ctx context.Context, effects ...db.Effect) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		for _, effect := range effects {
			if err := effect(tx); err != nil {
				return err
			}
		}
		return nil
	})
}
