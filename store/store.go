package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"dynotap/internal/db"
)

// What callers decide on.
var (
	// ErrNoCapture is the answer for an id that no capture has.
	ErrNoCapture = errors.New("no such capture")
	// ErrNoChannel is the answer for a name that no channel of a capture has.
	ErrNoChannel = errors.New("no such channel")
	// ErrNoRun is the answer for an id that no run has.
	ErrNoRun = errors.New("no such run")
	// ErrOpen is the answer to deleting what is still being recorded or
	// imported.
	ErrOpen = errors.New("it is still being recorded or imported")
	// ErrNoSet is the answer for a channel set that was never stored.
	ErrNoSet = errors.New("no such channel set")
	// ErrBadID is the answer for an id that may not name a capture.
	ErrBadID = errors.New("not a valid id")
)

// Defaults of Options.
const (
	DefaultSegmentEvery   = 10 * time.Minute
	DefaultSegmentSamples = 10_000_000
	DefaultMemorySamples  = 500_000
)

// capturesDir is the folder of the sealed files within the data directory.
const capturesDir = "captures"

// Options adjust a Store; zero fields take the defaults.
type Options struct {
	Logger *slog.Logger
	// SegmentEvery and SegmentSamples say when a part of a capture is due to
	// be sealed, and SegmentSamples also about how large a file gets.
	SegmentEvery   time.Duration
	SegmentSamples int64
	// MemorySamples bounds how many samples one sealing, reading or export
	// holds in memory, 24 bytes each.
	MemorySamples int
	// Now is the clock that SegmentEvery is measured by.
	Now func() time.Time
}

// Store is an open catalog with its samples. It is safe for concurrent use.
// It starts no goroutine: SealDue is called by its owner from time to time.
type Store struct {
	db   *db.DB
	dir  string
	opts Options
	sets setCache

	sealing chan struct{}   // holds a token while somebody seals
	months  map[string]bool // folders known to be durable, for whom holds it

	mu      sync.Mutex
	waiting map[string]waiting // captures with chunks, as SealDue saw them
	readers map[string]*readers
	// snapshots that are not released, and the deletions they hold up
	snapshots int
	postponed []postponed

	setAsideSamples atomic.Int64

	// step is called before each step of sealing and deleting; tests end the
	// program there.
	step func(name string) error
}

// readers are those at work on the files of one capture.
type readers struct {
	count int
	idle  chan struct{} // closed when the last one ends
}

// waiting is since when a capture's oldest chunk waits.
type waiting struct {
	seq   int64
	since time.Time
}

// Open opens the store of the data directory dir, whose database is d, and
// removes what a crash left of unfinished files. Files that the catalog does
// not know are left alone and reported to the logger.
func Open(ctx context.Context, d *db.DB, dir string, opts Options) (*Store, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.SegmentEvery <= 0 {
		opts.SegmentEvery = DefaultSegmentEvery
	}
	if opts.SegmentSamples <= 0 {
		opts.SegmentSamples = DefaultSegmentSamples
	}
	if opts.MemorySamples <= 0 {
		opts.MemorySamples = DefaultMemorySamples
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Store{
		db: d, dir: dir, opts: opts,
		sealing: make(chan struct{}, 1), months: make(map[string]bool),
		waiting: make(map[string]waiting), readers: make(map[string]*readers),
		step: func(string) error { return nil },
	}
	if err := os.MkdirAll(filepath.Join(dir, capturesDir), 0o755); err != nil {
		return nil, fmt.Errorf("create folder of captures: %w", err)
	}
	if err := s.cleanUp(ctx); err != nil {
		return nil, fmt.Errorf("clean up after an interruption: %w", err)
	}
	return s, nil
}

// SetAside is the number of samples in damaged chunks that sealing has moved
// to the quarantine folder since Open.
func (s *Store) SetAside() int64 { return s.setAsideSamples.Load() }

// hold keeps the files of a capture in place until release is called.
func (s *Store) hold(capture string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.readers[capture]
	if !ok {
		r = &readers{idle: make(chan struct{})}
		s.readers[capture] = r
	}
	r.count++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.count--; r.count == 0 {
			delete(s.readers, capture)
			close(r.idle)
		}
	}
}

// awaitReaders waits until nobody reads a capture's files.
func (s *Store) awaitReaders(ctx context.Context, capture string) error {
	for {
		s.mu.Lock()
		r, ok := s.readers[capture]
		s.mu.Unlock()
		if !ok {
			return nil
		}
		select {
		case <-r.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
