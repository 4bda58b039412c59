package store

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// Kind says where a capture came from.
type Kind string

// The kinds of capture.
const (
	Live   Kind = "live"
	Import Kind = "import"
)

// TimeBase says what a capture's times count from (DESIGN decision 8).
type TimeBase string

// The two time bases: the Unix epoch, or the start of the capture.
const (
	Absolute TimeBase = "absolute"
	Relative TimeBase = "relative"
)

// AttributeBatchPrefix names the attribute in which an import keeps the
// prefix of its batch ids (16 hexadecimal digits): deleting the capture then
// forgets them, so that the file can be imported again.
const AttributeBatchPrefix = "batch_prefix"

// Capture is a live session or an imported file.
type Capture struct {
	ID     string
	Kind   Kind
	Source string
	// StartedUS and EndedUS are in microseconds since the epoch. StartedUS is
	// nil where the time base is relative, EndedUS while the capture is open.
	StartedUS, EndedUS *int64
	TimeBase           TimeBase
	Attributes         map[string]string
}

// validID is what a capture may be called: its id names a folder.
func validID(id string) bool {
	ok, _ := regexp.MatchString(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`, id)
	return ok
}

// PutCapture enters a capture before its first batch. Of one that exists only
// the attributes change. It blocks on a commit.
func (s *Store) PutCapture(ctx context.Context, c Capture) error {
	effect, err := CaptureEffect(c)
	if err != nil {
		return err
	}
	if err := s.db.Write(ctx, effect); err != nil {
		return fmt.Errorf("store capture %s: %w", c.ID, err)
	}
	return nil
}

// CaptureEffect is PutCapture in somebody else's transaction.
func CaptureEffect(c Capture) (db.Effect, error) {
	if !validID(c.ID) {
		return nil, fmt.Errorf("capture %q: %w", c.ID, ErrBadID)
	}
	attributes, err := json.Marshal(c.Attributes)
	if err != nil {
		return nil, fmt.Errorf("capture %s: %w", c.ID, err)
	}
	return func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO captures (id, kind, source, started_us, ended_us, time_base, attributes)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET attributes = excluded.attributes`,
			c.ID, string(c.Kind), c.Source, nullable(c.StartedUS), nullable(c.EndedUS), string(c.TimeBase), string(attributes))
	}, nil
}

// EndCapture notes when a capture ended. Batches that come late are still
// taken.
func (s *Store) EndCapture(ctx context.Context, id string, endedUS int64) error {
	if err := s.db.Write(ctx, EndEffect(id, endedUS)); err != nil {
		return fmt.Errorf("end capture %s: %w", id, err)
	}
	return nil
}

// EndEffect is EndCapture in somebody else's transaction.
func EndEffect(id string, endedUS int64) db.Effect {
	return func(tx *db.Tx) error {
		err := tx.Exec(`UPDATE captures SET ended_us = ? WHERE id = ?`, endedUS, id)
		if err == nil && tx.Changes() == 0 {
			err = ErrNoCapture
		}
		return err
	}
}

const captureColumns = `SELECT id, kind, source, started_us, ended_us, time_base, attributes FROM captures `

// Capture gives one capture; ErrNoCapture where there is none.
func (s *Store) Capture(ctx context.Context, id string) (c Capture, err error) {
	err = s.db.Read(ctx, func(conn *db.Conn) error {
		c, err = captureOn(conn, id)
		return err
	})
	return c, err
}

// OpenCaptures lists the captures that have not ended, oldest first: after a
// crash, those that were being recorded.
func (s *Store) OpenCaptures(ctx context.Context) (list []Capture, err error) {
	err = s.db.Read(ctx, func(conn *db.Conn) error {
		list, err = queryCaptures(conn, `WHERE ended_us IS NULL ORDER BY started_us, id`)
		return err
	})
	return list, err
}

// CapturesOf lists the ids of captures that begin so.
func (s *Store) CapturesOf(ctx context.Context, prefix string) (ids []string, err error) {
	err = s.db.Read(ctx, func(conn *db.Conn) error {
		return conn.Query(`SELECT id FROM captures WHERE substr(id, 1, ?) = ? ORDER BY id`, func(row *sqlite3.Stmt) error {
			ids = append(ids, row.ColumnText(0))
			return nil
		}, len(prefix), prefix)
	})
	return ids, err
}

func captureOn(conn *db.Conn, id string) (Capture, error) {
	list, err := queryCaptures(conn, `WHERE id = ?`, id)
	if err != nil {
		return Capture{}, err
	}
	if len(list) == 0 {
		return Capture{}, fmt.Errorf("capture %q: %w", id, ErrNoCapture)
	}
	return list[0], nil
}

func queryCaptures(conn *db.Conn, where string, args ...any) ([]Capture, error) {
	var list []Capture
	err := conn.Query(captureColumns+where, func(row *sqlite3.Stmt) error {
		c := Capture{
			ID: row.ColumnText(0), Kind: Kind(row.ColumnText(1)), Source: row.ColumnText(2),
			StartedUS: micros(row, 3), EndedUS: micros(row, 4), TimeBase: TimeBase(row.ColumnText(5)),
		}
		if err := json.Unmarshal([]byte(row.ColumnText(6)), &c.Attributes); err != nil {
			return fmt.Errorf("attributes of capture %s: %w", c.ID, err)
		}
		list = append(list, c)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read captures: %w", err)
	}
	return list, nil
}

// micros reads a time that may be missing.
func micros(row *sqlite3.Stmt, column int) *int64 {
	if row.ColumnType(column) == sqlite3.NULL {
		return nil
	}
	return new(row.ColumnInt64(column))
}

// nullable is the argument for a time that may be missing.
func nullable(us *int64) any {
	if us == nil {
		return nil
	}
	return *us
}

// liveChunks bounds the numbers of the chunks of a capture that count: those
// above sealed, up to newest. Chunks up to sealed are in files.
func liveChunks(c *db.Conn, capture string) (sealed, newest int64, err error) {
	err = c.Query(`SELECT coalesce((SELECT last_chunk FROM segments WHERE capture = ?1 ORDER BY number DESC LIMIT 1), 0),
		(SELECT coalesce(max(seq), 0) FROM chunks WHERE capture = ?1)`, func(row *sqlite3.Stmt) error {
		sealed, newest = row.ColumnInt64(0), row.ColumnInt64(1)
		return nil
	}, capture)
	return sealed, newest, err
}
