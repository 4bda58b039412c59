package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// Run is a view on a capture: an interval of it with a summary.
type Run struct {
	ID      string
	Capture string
	// Kind is session, recording, pull or import.
	Kind   string
	Source string
	Name   string
	Notes  string
	Tags   []string
	// StartedUS and EndedUS bound the run on the capture's time base; nil
	// where unknown.
	StartedUS, EndedUS *int64
	// Relative says that its capture's times have no date. It is read, not
	// written.
	Relative bool
	// CreatedUS is when the run was entered, in microseconds since the epoch.
	CreatedUS int64
	// Summary is JSON that package run writes and reads; nil for none.
	Summary json.RawMessage
}

// RunEffect enters a run or, where it exists, gives it a new interval and
// summary; what people edit (name, notes, tags) and its creation stay.
func RunEffect(r Run) (db.Effect, error) {
	if r.Tags == nil {
		r.Tags = []string{}
	}
	tags, err := json.Marshal(r.Tags)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	var summary any
	if r.Summary != nil {
		summary = string(r.Summary)
	}
	return func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO runs (id, capture, kind, source, name, notes, tags, started_us, ended_us, created_us, summary)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET capture = excluded.capture, kind = excluded.kind, source = excluded.source,
			started_us = excluded.started_us, ended_us = excluded.ended_us, summary = excluded.summary`,
			r.ID, r.Capture, r.Kind, r.Source, r.Name, r.Notes, string(tags),
			nullable(r.StartedUS), nullable(r.EndedUS), r.CreatedUS, summary)
	}, nil
}

// PutRun is RunEffect in a transaction of its own.
func (s *Store) PutRun(ctx context.Context, r Run) error {
	effect, err := RunEffect(r)
	if err != nil {
		return err
	}
	if err := s.db.Write(ctx, effect); err != nil {
		return fmt.Errorf("store run %s: %w", r.ID, err)
	}
	return nil
}

const runColumns = `SELECT id, capture, kind, source, name, notes, tags, started_us, ended_us, created_us, summary,
	coalesce((SELECT time_base FROM captures WHERE id = capture) = 'relative', 0) AS relative FROM runs `

// Run gives one run; ErrNoRun where there is none.
func (s *Store) Run(ctx context.Context, id string) (r Run, err error) {
	err = s.db.Read(ctx, func(c *db.Conn) error {
		r, err = runOn(c, id)
		return err
	})
	return r, err
}

// RunFilter chooses runs; empty fields choose all.
type RunFilter struct {
	// Text occurs in the id, name, notes, source or a tag, case ignored.
	Text    string
	Kind    string
	Capture string
	// Limit bounds the list; 0 is no bound. Offset skips.
	Limit, Offset int
}

// Runs lists the runs that match, the newest first (by start, or by creation
// where the start is unknown), and how many match in all.
func (s *Store) Runs(ctx context.Context, f RunFilter) (list []Run, total int, err error) {
	where, args := f.where()
	err = s.db.Read(ctx, func(c *db.Conn) error {
		if err := c.Query(`SELECT count(*) FROM runs `+where, func(row *sqlite3.Stmt) error {
			total = row.ColumnInt(0)
			return nil
		}, args...); err != nil {
			return fmt.Errorf("count runs: %w", err)
		}
		limit := f.Limit
		if limit <= 0 {
			limit = -1
		}
		list, err = queryRuns(c, where+` ORDER BY coalesce(iif(relative, NULL, started_us), created_us) DESC, id DESC LIMIT ? OFFSET ?`,
			append(args, limit, f.Offset)...)
		return err
	})
	return list, total, err
}

func (f RunFilter) where() (sql string, args []any) {
	var terms []string
	if f.Text != "" {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Text) + "%"
		terms = append(terms, `(id || char(10) || name || char(10) || notes || char(10) || source || char(10) || tags) LIKE ? ESCAPE '\'`)
		args = append(args, pattern)
	}
	if f.Kind != "" {
		terms, args = append(terms, `kind = ?`), append(args, f.Kind)
	}
	if f.Capture != "" {
		terms, args = append(terms, `capture = ?`), append(args, f.Capture)
	}
	if len(terms) == 0 {
		return "", nil
	}
	return `WHERE ` + strings.Join(terms, ` AND `), args
}

// Edit is what people change of a run; nil leaves a field as it is.
type Edit struct {
	Name, Notes *string
	Tags        *[]string
}

// EditRun changes a run and gives it as it is then.
func (s *Store) EditRun(ctx context.Context, id string, e Edit) (r Run, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if r, err = runOn(&tx.Conn, id); err != nil {
			return err
		}
		if e.Name != nil {
			r.Name = *e.Name
		}
		if e.Notes != nil {
			r.Notes = *e.Notes
		}
		if e.Tags != nil {
			r.Tags = append([]string{}, *e.Tags...)
		}
		tags, err := json.Marshal(r.Tags)
		if err != nil {
			return err
		}
		return tx.Exec(`UPDATE runs SET name = ?, notes = ?, tags = ? WHERE id = ?`, r.Name, r.Notes, string(tags), id)
	})
	if err != nil {
		return Run{}, fmt.Errorf("edit run %s: %w", id, err)
	}
	return r, nil
}

func runOn(c *db.Conn, id string) (Run, error) {
	list, err := queryRuns(c, `WHERE id = ?`, id)
	if err != nil {
		return Run{}, err
	}
	if len(list) == 0 {
		return Run{}, fmt.Errorf("run %q: %w", id, ErrNoRun)
	}
	return list[0], nil
}

func queryRuns(c *db.Conn, where string, args ...any) ([]Run, error) {
	var list []Run
	err := c.Query(runColumns+where, func(row *sqlite3.Stmt) error {
		r := Run{
			ID: row.ColumnText(0), Capture: row.ColumnText(1), Kind: row.ColumnText(2), Source: row.ColumnText(3),
			Name: row.ColumnText(4), Notes: row.ColumnText(5),
			StartedUS: micros(row, 7), EndedUS: micros(row, 8), CreatedUS: row.ColumnInt64(9), Relative: row.ColumnBool(11),
		}
		if err := json.Unmarshal([]byte(row.ColumnText(6)), &r.Tags); err != nil {
			return fmt.Errorf("tags of run %s: %w", r.ID, err)
		}
		if row.ColumnType(10) != sqlite3.NULL {
			r.Summary = json.RawMessage(row.ColumnText(10))
		}
		list = append(list, r)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return list, nil
}
