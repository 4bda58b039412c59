package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
)

// What callers decide on.
var (
	// ErrLocked: another process owns the directory; see LockedError.
	ErrLocked = errors.New("data directory is in use")
	// ErrNewer: a newer version of dynotap wrote the database.
	ErrNewer = errors.New("database was written by a newer version of dynotap")
	// ErrCorrupt: the file is damaged or not a database of dynotap.
	ErrCorrupt = errors.New("database is damaged")
	// ErrDiskFull: no space left; what failed was undone.
	ErrDiskFull = errors.New("disk is full")
	// ErrReadOnly: the file or its directory cannot be written.
	ErrReadOnly = errors.New("database cannot be written: make it and its directory writable for this user")
	// ErrMoved: what is written no longer reaches the files of the directory.
	ErrMoved = errors.New("data directory was removed or replaced while dynotap runs: put it back, or start dynotap again")
	// ErrIO: the system failed to read or write the file.
	ErrIO = errors.New("reading or writing the database failed")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("database is closed")
	// ErrRolledBack: the failure of one job undid the whole transaction.
	ErrRolledBack = errors.New("transaction was rolled back")
	// ErrNotHeld is Holder's answer for a directory nobody has open.
	ErrNotHeld = errors.New("data directory is not in use")
)

// Error is a failure of the database: what was done, on which file, and of
// which kind (one of this package's errors).
type Error struct {
	Op   string
	Path string
	Kind error
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v: %v", e.Op, e.Path, e.Kind, e.Err) }

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// Environmental reports whether err is the fault of the disk or the file and
// not of what was to be written: trying the same again later makes sense,
// blaming the item does not.
func Environmental(err error) bool {
	for _, kind := range []error{ErrDiskFull, ErrCorrupt, ErrReadOnly, ErrMoved, ErrIO, ErrClosed, ErrRolledBack} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return kindOf(err) != nil
}

// explain gives SQLite's errors a kind and a place.
func (d *DB) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) || errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled) {
		return err
	}
	if kind := kindOf(err); kind != nil {
		if errors.Is(kind, ErrIO) && outOfSpace(d.path) { // SQLite says no more than that writing failed
			kind = ErrDiskFull
		}
		return &Error{Op: op, Path: d.path, Kind: kind, Err: err}
	}
	return fmt.Errorf("%s %s: %w", op, d.path, err)
}

func kindOf(err error) error {
	is := func(codes ...error) bool {
		for _, code := range codes {
			if errors.Is(err, code) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return nil
	case is(ErrMoved):
		return ErrMoved
	case is(sqlite3.FULL) || noSpace(err):
		return ErrDiskFull
	case is(sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.IOERR_CORRUPTFS, sqlite3.IOERR_SHORT_READ, sqlite3.IOERR_DATA):
		return ErrCorrupt
	case is(sqlite3.READONLY, sqlite3.PERM, fs.ErrPermission) || readOnly(err):
		return ErrReadOnly
	case is(sqlite3.IOERR, sqlite3.CANTOPEN, sqlite3.BUSY, sqlite3.LOCKED):
		return ErrIO
	}
	return nil
}

// fullBelow is the free space with which a failed write is taken for a full
// disk: less than SQLite writes at once for a large batch.
const fullBelow = 1 << 20

func outOfSpace(path string) bool {
	free, _, err := FreeSpace(filepath.Dir(path))
	return err == nil && free < fullBelow
}
