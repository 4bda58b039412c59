// Package dbtest lets tests break the file system under a database.
package dbtest

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// Faults is a file system that works like the system's own until told not to.
type Faults struct {
	// Name is to be given as db.Options.VFS.
	Name string

	full  atomic.Bool
	sync  atomic.Bool
	syncs atomic.Int64
}

// NewFaults registers a file system for the time of the test.
func NewFaults(tb testing.TB) *Faults {
	tb.Helper()
	f := &Faults{Name: fmt.Sprintf("faults-%p", tb)}
	vfs.Register(f.Name, f)
	tb.Cleanup(func() { vfs.Unregister(f.Name) })
	return f
}

// Full makes every write fail for want of space, or lets them succeed again.
func (f *Faults) Full(yes bool) { f.full.Store(yes) }

// FailSync makes every fsync fail.
func (f *Faults) FailSync(yes bool) { f.sync.Store(yes) }

// Syncs counts the fsyncs that succeeded.
func (f *Faults) Syncs() int64 { return f.syncs.Load() }

// Open is for SQLite, as the following methods are.
func (f *Faults) Open(_ string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, flags, sqlite3.CANTOPEN // SQLite calls OpenFilename
}

// OpenFilename opens a file of the system's own file system.
func (f *Faults) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	system, ok := vfs.Find("").(vfs.VFSFilename)
	if !ok {
		return nil, flags, sqlite3.CANTOPEN
	}
	under, flags, err := system.OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	return &file{File: under, faults: f}, flags, nil
}

// Delete removes a file.
func (*Faults) Delete(name string, syncDir bool) error { return vfs.Find("").Delete(name, syncDir) }

// Access asks whether a file is there.
func (*Faults) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return vfs.Find("").Access(name, flags)
}

// FullPathname makes a path absolute.
func (*Faults) FullPathname(name string) (string, error) { return vfs.Find("").FullPathname(name) }

type file struct {
	vfs.File
	faults *Faults
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if f.faults.full.Load() {
		return 0, vfs.SystemError(syscall.ENOSPC, sqlite3.FULL)
	}
	return f.File.WriteAt(p, off)
}

func (f *file) Sync(flags vfs.SyncFlag) error {
	if f.faults.sync.Load() {
		return vfs.SystemError(syscall.EIO, sqlite3.IOERR_FSYNC)
	}
	err := f.File.Sync(flags)
	if err == nil {
		f.faults.syncs.Add(1)
	}
	return err
}

func (f *file) SharedMemory() vfs.SharedMemory {
	if shared, ok := f.File.(vfs.FileSharedMemory); ok {
		return shared.SharedMemory()
	}
	return nil
}
