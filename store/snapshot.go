package store

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// releaseTime bounds how long Release waits for those who read files that are
// to go.
const releaseTime = 5 * time.Second

// Snapshot is the store at one moment: a copy of the database, and the sealed
// files that belong to it. They stay in place until Release.
type Snapshot struct {
	Database string // the copy
	Bytes    int64  // of the database
	Sealed   []SealedFile
	// What is in the copy, for people.
	Runs, Captures, QueueItems, DeadLetters int64

	store *Store
}

// SealedFile is one file of the catalog.
type SealedFile struct {
	Name  string // relative to the data directory, with slashes
	Bytes int64
}

// postponed is a deletion whose files are still in a snapshot.
type postponed struct {
	capture string
	files   []string
}

// Snapshot copies the database to copyTo, a file that is not there yet, while
// recording goes on. at is called in the moment that the copy shows; progress
// takes the bytes copied, and how many there are. What is deleted until Release
// is gone for readers at once; its files go then.
func (s *Store) Snapshot(ctx context.Context, copyTo string, at func() error, progress func(done, total int64)) (*Snapshot, error) {
	snap := &Snapshot{Database: copyTo, store: s}
	s.mu.Lock()
	s.snapshots++
	s.mu.Unlock()
	err := s.db.Snapshot(ctx, copyTo, func(c *db.Conn) error {
		if err := snap.look(c); err != nil {
			return err
		}
		return at()
	}, progress)
	if err != nil {
		snap.Release(ctx)
		return nil, fmt.Errorf("copy the database: %w", err)
	}
	return snap, nil
}

func (p *Snapshot) look(c *db.Conn) (err error) {
	if p.Bytes, err = c.Size(); err != nil {
		return err
	}
	err = c.Query(`SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM captures),
		(SELECT count(*) FROM queue), (SELECT count(*) FROM dead_letters)`, func(row *sqlite3.Stmt) error {
		p.Runs, p.Captures, p.QueueItems, p.DeadLetters = row.ColumnInt64(0), row.ColumnInt64(1), row.ColumnInt64(2), row.ColumnInt64(3)
		return nil
	})
	if err != nil {
		return err
	}
	return c.Query(`SELECT path, bytes FROM segments ORDER BY path`, func(row *sqlite3.Stmt) error {
		p.Sealed = append(p.Sealed, SealedFile{Name: row.ColumnText(0), Bytes: row.ColumnInt64(1)})
		return nil
	})
}

// Release lets the sealed files go that were deleted meanwhile. It is called
// once.
func (p *Snapshot) Release(ctx context.Context) {
	s := p.store
	s.mu.Lock()
	s.snapshots--
	var due []postponed
	if s.snapshots == 0 {
		due, s.postponed = s.postponed, nil
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	for _, d := range due {
		if err := s.finishDelete(ctx, d.capture, d.files); err != nil {
			s.opts.Logger.Warn("files of a deleted capture go at the next start", "capture", d.capture, "error", err)
		}
	}
}

// postpone keeps the files of a deleted capture for the snapshots that are
// being read; false where there is none.
func (s *Store) postpone(capture string, files []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshots > 0 {
		s.postponed = append(s.postponed, postponed{capture, files})
	}
	return s.snapshots > 0
}

// postponedNumber is the highest number among the files of a deleted capture
// that a snapshot keeps: a capture that comes again does not write over them.
func (s *Store) postponedNumber(capture string) (highest int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.postponed {
		for _, name := range d.files {
			number, err := strconv.Atoi(strings.TrimSuffix(path.Base(name), path.Ext(name)))
			if err == nil && d.capture == capture {
				highest = max(highest, number)
			}
		}
	}
	return highest
}
