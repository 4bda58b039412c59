// Package db owns dynotap.db, the one SQLite file of a data directory: its
// lock, its schema, the single writer that commits whatever waits as one
// transaction, and the readers.
//
// A Write that has returned nil is durable: it survives kill -9 of the program
// and, with Options.Fsync, power loss. Without Fsync the newest commits since
// the last checkpoint (about 4 MiB of changes) may be lost with the power, but
// never with the process, and the file stays sound.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/vfs" // the file system in pure Go
)

// FileName is the database's name within the data directory.
const FileName = "dynotap.db"

// Options adjust Open.
type Options struct {
	// Fsync makes every commit survive power loss (synchronous=FULL instead
	// of NORMAL).
	Fsync bool
	// VFS names a registered SQLite file system; empty is the system's own.
	VFS string
	// Logger hears of what is no error of any one call; nil is silent.
	Logger *slog.Logger
}

// Effect is a change that somebody else's transaction carries along. It may be
// run again after a rollback, so it changes nothing but the database.
type Effect = func(*Tx) error

// DB is an open data directory. It is safe for concurrent use.
type DB struct {
	path    string
	uri     string
	logger  *slog.Logger
	lock    *lockFile
	jobs    chan *job
	closing chan struct{}
	written chan struct{} // closed when the writer has ended
	readers pool
	close   sync.Once
	closed  error
}

// Open takes the data directory for this process, creating it where it is
// missing, and brings the schema up to date.
//
// Errors: ErrLocked (a *LockedError names the holder), ErrNewer, ErrCorrupt,
// ErrDiskFull and ErrReadOnly are wrapped with the path.
func Open(ctx context.Context, dir string, opts Options) (*DB, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	lock, err := takeLock(ctx, dir)
	if err != nil {
		return nil, err
	}
	d := &DB{
		path:    filepath.Join(dir, FileName),
		logger:  opts.Logger,
		lock:    lock,
		jobs:    make(chan *job),
		closing: make(chan struct{}),
		written: make(chan struct{}),
	}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	d.uri = uriOf(d.path, opts.VFS)
	d.readers.init(d.openReader)
	conn, err := d.openWriter(ctx, opts)
	if err != nil {
		return nil, errors.Join(d.explain("open", err), lock.release())
	}
	go d.write(conn)
	return d, nil
}

// Path is the database file.
func (d *DB) Path() string { return d.path }

// Announce tells other processes where this one listens and by which token:
// it rewrites the content of the lock file, which only the user may read.
func (d *DB) Announce(address, token string) error {
	return d.lock.announce(Holder{PID: os.Getpid(), Address: address, Token: token})
}

// Close ends the writer after the jobs it has taken, waits for the readers,
// checkpoints and gives the directory free. Later calls give the same result.
func (d *DB) Close() error {
	d.close.Do(func() {
		close(d.closing)
		readers := d.readers.drain()
		<-d.written // the writer closes its connection last: that checkpoints
		d.closed = errors.Join(readers, d.lock.release())
	})
	return d.closed
}

func (d *DB) openWriter(ctx context.Context, opts Options) (*Conn, error) {
	if opts.VFS == "" {
		if err := createPrivate(d.path); err != nil {
			return nil, err
		}
	}
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := prepareWriter(conn, opts.Fsync); err != nil {
		return nil, errors.Join(err, conn.shut())
	}
	if opts.VFS != "" {
		return conn, nil
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(d.path+suffix, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("protect database: %w", err), conn.shut())
		}
	}
	return conn, nil
}

// prepareWriter changes nothing in a file that is not ours to change.
func prepareWriter(conn *Conn, fsync bool) error {
	version, err := checkVersion(conn)
	if err != nil {
		return err
	}
	sync := "NORMAL"
	if fsync {
		sync = "FULL"
	}
	if err := conn.raw.Exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=` + sync + `;
		PRAGMA cache_size=-4096; PRAGMA journal_size_limit=16777216`); err != nil {
		return err
	}
	return migrate(conn, version)
}

func (d *DB) openReader(ctx context.Context) (*Conn, error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := conn.raw.Exec(`PRAGMA query_only=ON; PRAGMA cache_size=-1024`); err != nil {
		return nil, errors.Join(err, conn.shut())
	}
	return conn, nil
}

func (d *DB) connect(ctx context.Context) (*Conn, error) {
	raw, err := sqlite3.OpenContext(ctx, d.uri)
	if err != nil {
		return nil, err
	}
	if err := raw.BusyTimeout(busyTimeout); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if err := raw.Exec(`PRAGMA temp_store=MEMORY`); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return newConn(raw), nil
}

// Read runs fn on a read-only connection within one snapshot: everything
// committed before the call, nothing committed during it. It waits while all
// connections are busy; ctx ends the waiting and a long query.
func (d *DB) Read(ctx context.Context, fn func(*Conn) error) error {
	conn, err := d.readers.take(ctx)
	if err != nil {
		return d.explain("read", err)
	}
	defer d.readers.give(conn)
	unbound := conn.raw.SetInterrupt(ctx)
	defer conn.raw.SetInterrupt(unbound)
	if err := conn.Exec(`BEGIN`); err != nil {
		return d.explain("read", err)
	}
	err = protect(func() error { return fn(conn) })
	conn.raw.SetInterrupt(unbound)
	if end := conn.Exec(`ROLLBACK`); end != nil {
		err = errors.Join(err, end)
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, sqlite3.INTERRUPT) {
		return fmt.Errorf("read: %w", ctx.Err())
	}
	return d.explain("read", err)
}
