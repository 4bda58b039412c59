package run

import (
	"context"
	"fmt"

	"dynotap/internal/db"
	"dynotap/sample"
	"dynotap/store"

	"github.com/ncruces/go-sqlite3"
)

// Archive is what a Tracker needs of the store.
type Archive interface {
	Reader
	// Chunks gives committed chunks after a cursor; see store.Store.Chunks.
	Chunks(ctx context.Context, capture string, after int64, limit int,
		fn func(seq int64, b *sample.Batch) error) (last int64, err error)
	// Load gives what Save saved last, and the capture's runs.
	Load(ctx context.Context, capture string) (Saved, error)
	// Save enters runs, moves the cursor and replaces the state (nil: removes
	// it), in one transaction that is durable on return. Of a run that exists
	// only interval and summary change. Other effects go into the same
	// transaction, after these.
	Save(ctx context.Context, capture string, cursor int64, state []byte, runs []Run, also ...db.Effect) error
}

// Saved is where a Tracker stands.
type Saved struct {
	Cursor int64
	State  []byte // nil: none
	Runs   []store.Run
}

// follower names the tracker's cursors and states.
const follower = "run"

// archive is the store and, for the state, its database.
type archive struct {
	*store.Store
	db  *db.DB
	now func() int64
}

// NewArchive makes the Archive of a store and its database; now gives the time
// of a run's creation, in µs since the epoch.
func NewArchive(s *store.Store, d *db.DB, now func() int64) Archive {
	return &archive{Store: s, db: d, now: now}
}

func (a *archive) Load(ctx context.Context, capture string) (s Saved, err error) {
	name := store.CursorName(follower, capture)
	if s.Cursor, err = a.Cursor(ctx, name); err != nil {
		return Saved{}, err
	}
	err = a.db.Read(ctx, func(c *db.Conn) error {
		return c.Query(`SELECT value FROM meta WHERE key = ?`, func(row *sqlite3.Stmt) error {
			s.State = row.ColumnBlob(0, nil)
			return nil
		}, name)
	})
	if err != nil {
		return Saved{}, fmt.Errorf("read state of runs of capture %s: %w", capture, err)
	}
	s.Runs, _, err = a.Runs(ctx, store.RunFilter{Capture: capture})
	return s, err
}

func (a *archive) Save(ctx context.Context, capture string, cursor int64, state []byte, runs []Run, also ...db.Effect) error {
	name := store.CursorName(follower, capture)
	effects := []db.Effect{store.CursorEffect(name, cursor), stateEffect(name, state)}
	for i := range runs {
		record, err := runs[i].record(a.now())
		if err != nil {
			return err
		}
		effect, err := store.RunEffect(record)
		if err != nil {
			return err
		}
		effects = append(effects, effect)
	}
	if err := a.Write(ctx, append(effects, also...)...); err != nil {
		return fmt.Errorf("save runs of capture %s: %w", capture, err)
	}
	return nil
}

// stateEffect replaces a state. Removing one also removes those of captures
// that were deleted before they had ended.
func stateEffect(name string, state []byte) db.Effect {
	return func(tx *db.Tx) error {
		if state != nil {
			return tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?)
				ON CONFLICT DO UPDATE SET value = excluded.value`, name, state)
		}
		return tx.Exec(`DELETE FROM meta WHERE key = ? OR key LIKE '`+follower+`/%'
			AND substr(key, instr(key, '/') + 1) NOT IN (SELECT id FROM captures)`, name)
	}
}
