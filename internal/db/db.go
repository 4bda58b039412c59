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
	"github.com/ncruces/go-sqlite3/vfs"
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
	vfs     string
	fsync   bool // every commit in the WAL is flushed
	noted   bool // that the WAL has commits
	uri     string
	logger  *slog.Logger
	lock    *lockFile
	jobs    chan *job
	closing chan struct{}
	turn    chan *writer // one, whose turn it is to write
	readers pool
	close   sync.Once
	closed  error

	watch       watch
	quarantines []Quarantine
}

// Open takes the data directory for this process, creating it where it is
// missing, and brings the schema up to date.
//
// Every page and the WAL are checked before. A damaged database is set aside
// and replaced by what can be read of it: see Quarantined.
//
// Errors: ErrLocked (a *LockedError names the holder), ErrNewer, ErrCorrupt (a
// file that is not dynotap's; it is left as it is), ErrDiskFull and ErrReadOnly
// are wrapped with the path.
func Open(ctx context.Context, dir string, opts Options) (*DB, error) {
	d := &DB{
		path:    filepath.Join(dir, FileName),
		vfs:     opts.VFS,
		fsync:   opts.Fsync,
		logger:  opts.Logger,
		jobs:    make(chan *job),
		closing: make(chan struct{}),
		turn:    make(chan *writer, 1),
	}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	if d.vfs == "" {
		vfs.Register(systemVFS, unmappedVFS{})
		d.vfs = systemVFS
	}
	d.uri = uriOf(d.path, d.vfs)
	d.readers.init(d.openReader)
	if err := makeDir(dir); err != nil {
		return nil, d.explain("open", fmt.Errorf("create data directory: %w", err))
	}
	var err error
	if d.lock, err = takeLock(ctx, dir); err != nil {
		if kindOf(err) != nil {
			err = d.explain("open", err)
		}
		return nil, err
	}
	conn, err := d.start(ctx, opts)
	if err != nil {
		return nil, errors.Join(d.explain("open", err), d.lock.release())
	}
	d.turn <- &writer{tx: &Tx{*conn}}
	return d, nil
}

func (d *DB) start(ctx context.Context, opts Options) (*Conn, error) {
	if err := d.settle(ctx, opts); err != nil {
		return nil, err
	}
	var err error
	if d.quarantines, err = quarantines(filepath.Dir(d.path)); err != nil {
		return nil, err
	}
	return d.openWriter(ctx, opts)
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
		w := <-d.turn                               // for good
		if err := d.leave(&w.tx.Conn); err != nil { // last: that checkpoints
			d.logger.Error("close database", "path", d.path, "error", err)
		}
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
	conn, err := d.connect(ctx, d.uri)
	if err != nil {
		return nil, err
	}
	if err := d.prepareWriter(conn, opts); err != nil {
		return nil, errors.Join(err, conn.shut())
	}
	d.watch.begin(d.path)
	if opts.VFS != "" {
		return conn, nil
	}
	for _, suffix := range []string{"", walSuffix, shmSuffix} {
		if err := os.Chmod(d.path+suffix, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("protect database: %w", err), conn.shut())
		}
	}
	return conn, nil
}

// prepareWriter changes nothing in a file that is not ours to change.
func (d *DB) prepareWriter(conn *Conn, opts Options) error {
	version, err := checkVersion(conn)
	if err != nil {
		return err
	}
	newest, err := SchemaVersion()
	if err != nil {
		return err
	}
	if err := setUp(conn, version, opts.Fsync); err != nil {
		return err
	}
	if version > 0 {
		if err := d.mergeWAL(conn); err != nil {
			return err
		}
	}
	if err := migrate(conn, version, newest); err != nil {
		return err
	}
	return d.addSums(conn)
}

// setUp makes a connection one that writes.
func setUp(conn *Conn, version int, fsync bool) error {
	if version == 0 {
		if err := conn.raw.EnableChecksums("main"); err != nil {
			return fmt.Errorf("give the pages sums: %w", err)
		}
	}
	sync := "NORMAL"
	if fsync {
		sync = "FULL"
	}
	return conn.raw.Exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=` + sync + `;
		PRAGMA cache_size=-4096; PRAGMA journal_size_limit=16777216`)
}

// mergeWAL empties the WAL that an earlier process left, so that nothing of
// it is ever taken for later than it is. On a full disk, or while another
// program reads, the WAL stays as it is.
func (d *DB) mergeWAL(conn *Conn) error {
	busy := true
	err := conn.Query(`PRAGMA wal_checkpoint(TRUNCATE)`, func(s *sqlite3.Stmt) error {
		busy = s.ColumnBool(0)
		return nil
	})
	if err != nil && !errors.Is(d.explain("open", err), ErrDiskFull) {
		return fmt.Errorf("merge the WAL: %w", err)
	}
	d.fsync = d.fsync && !busy
	return nil
}

// addSums gives the pages of an older database sums. It needs about the
// database's size twice; where there is no room it is left as it is.
func (d *DB) addSums(conn *Conn) error {
	reserve, err := conn.raw.FileControl("main", sqlite3.FCNTL_RESERVE_BYTES)
	if err != nil || reserve == sumSize {
		return err
	}
	d.logger.Info("giving the pages of the database sums, once", "path", d.path)
	err = conn.raw.Exec(`PRAGMA temp_store=FILE`)
	if err == nil {
		err = conn.raw.EnableChecksums("main")
	}
	if errors.Is(d.explain("open", err), ErrDiskFull) {
		d.logger.Warn("the pages of the database have no sums: there is no room to rewrite it", "path", d.path, "error", err)
		err = nil
	}
	return errors.Join(err, conn.raw.Exec(`PRAGMA temp_store=MEMORY`))
}

func (d *DB) openReader(ctx context.Context) (*Conn, error) {
	conn, err := d.connect(ctx, d.uri)
	if err != nil {
		return nil, err
	}
	if err := conn.raw.Exec(`PRAGMA query_only=ON; PRAGMA cache_size=-1024`); err != nil {
		return nil, errors.Join(err, conn.shut())
	}
	return conn, nil
}

func (*DB) connect(ctx context.Context, uri string) (*Conn, error) {
	raw, err := sqlite3.OpenContext(ctx, uri)
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
