package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// DeleteRun removes a run. Its samples stay as long as another run shows their
// capture; with the last run the capture goes, as by DeleteCapture. ErrOpen
// while the run goes on, and for the session of a capture that does.
func (s *Store) DeleteRun(ctx context.Context, id string) error {
	last := ""
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := runOn(&tx.Conn, id)
		if err != nil {
			return err
		}
		c, err := captureOn(&tx.Conn, r.Capture)
		known := err == nil
		if err != nil && !errors.Is(err, ErrNoCapture) {
			return err
		}
		others, err := countRuns(&tx.Conn, r.Capture)
		if err != nil {
			return err
		}
		others--
		if known && c.EndedUS == nil && (others == 0 || r.EndedUS == nil) {
			return ErrOpen
		}
		if known && others == 0 {
			last = c.ID
			return nil
		}
		return tx.Exec(`DELETE FROM runs WHERE id = ?`, id)
	})
	if err != nil {
		return fmt.Errorf("delete run %s: %w", id, err)
	}
	if last != "" {
		return s.DeleteCapture(ctx, last)
	}
	return nil
}

func countRuns(c *db.Conn, capture string) (n int, err error) {
	err = c.Query(`SELECT count(*) FROM runs WHERE capture = ?`, func(row *sqlite3.Stmt) error {
		n = row.ColumnInt(0)
		return nil
	}, capture)
	return n, err
}

// Untouched lists the captures that ended, or were imported, before a time in
// microseconds since the epoch and of which no run has tags, or notes that are
// not of the imported file; the oldest first.
func (s *Store) Untouched(ctx context.Context, beforeUS int64) (list []Capture, err error) {
	err = s.db.Read(ctx, func(c *db.Conn) error {
		list, err = queryCaptures(c, `WHERE ended_us IS NOT NULL
			AND max(iif(kind = 'live', ended_us, 0), coalesce((SELECT max(created_us) FROM runs WHERE capture = captures.id), ended_us)) < ?
			AND NOT EXISTS (SELECT 1 FROM runs WHERE capture = captures.id AND (tags <> '[]' OR notes <> '' AND kind <> 'import'))
			ORDER BY ended_us, id`, beforeUS)
		return err
	})
	return list, err
}

// DeleteCapture removes a capture with its samples, runs, cursors and files.
// It waits until nobody reads the files any more; if ctx ends first, or a file
// cannot be removed, the error says so and the next Open removes them. While a
// Snapshot is read its files stay until that is released.
func (s *Store) DeleteCapture(ctx context.Context, id string) error {
	select {
	case s.sealing <- struct{}{}:
		defer func() { <-s.sealing }()
	case <-ctx.Done():
		return fmt.Errorf("delete capture %s: %w", id, ctx.Err())
	}
	var files []string
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		files, err = deleteRows(tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete capture %s: %w", id, err)
	}
	if err := s.step("remove files"); err != nil {
		return err
	}
	if s.postpone(id, files) {
		return nil
	}
	return s.finishDelete(ctx, id, files)
}

// finishDelete removes the files of a capture that has no rows any more.
func (s *Store) finishDelete(ctx context.Context, id string, files []string) error {
	if err := s.awaitReaders(ctx, id); err != nil {
		return fmt.Errorf("delete capture %s: its files are still being read and go at the next start: %w", id, err)
	}
	if err := s.removeFiles(files); err != nil {
		return fmt.Errorf("delete capture %s: its rows are gone, its files go at the next start: %w", id, err)
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		return tx.Exec(`DELETE FROM meta WHERE key = ?`, deletedPrefix+id)
	})
}

// deleteRows removes every row of a capture, remembers that its files are to
// go, and names them.
func deleteRows(tx *db.Tx, id string) (files []string, err error) {
	c, err := captureOn(&tx.Conn, id)
	if err != nil {
		return nil, err
	}
	if err := tx.Query(`SELECT path FROM segments WHERE capture = ?`, func(row *sqlite3.Stmt) error {
		files = append(files, row.ColumnText(0))
		return nil
	}, id); err != nil {
		return nil, err
	}
	for _, sql := range []string{
		`DELETE FROM meta WHERE substr(key, instr(key, '/') + 1) = ? AND instr(key, '/') > 0`,
		`INSERT INTO meta (key, value) VALUES ('` + deletedPrefix + `' || ?, '')`,
		`DELETE FROM chunks WHERE capture = ?`,
		`DELETE FROM segments WHERE capture = ?`,
		`DELETE FROM runs WHERE capture = ?`,
		`DELETE FROM cursors WHERE substr(name, instr(name, '/') + 1) = ? AND instr(name, '/') > 0`,
		`DELETE FROM captures WHERE id = ?`,
	} {
		if err := tx.Exec(sql, id); err != nil {
			return nil, err
		}
	}
	if text, ok := c.Attributes[AttributeBatchPrefix]; ok {
		prefix, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", AttributeBatchPrefix, err)
		}
		return files, tx.Exec(`DELETE FROM stored_batches WHERE prefix = ?`, prefix)
	}
	return files, nil
}
