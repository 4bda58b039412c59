package dbtest

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// Faults is a file system that works like the system's own until told not to.
type Faults struct {
	system
	// Name is to be given as db.Options.VFS.
	Name string

	full  atomic.Bool
	sync  atomic.Bool
	read  atomic.Bool
	short atomic.Bool
	lazy  atomic.Bool
	syncs atomic.Int64
	gate  sync.RWMutex // held by each step of the disk

	mu       sync.Mutex
	steps    int64
	from, to int64 // steps in between fail
}

// NewFaults registers a file system for the time of the test.
func NewFaults(tb testing.TB) *Faults {
	tb.Helper()
	f := new(Faults)
	f.Name = fmt.Sprintf("faults-%p", f)
	vfs.Register(f.Name, f)
	tb.Cleanup(func() { vfs.Unregister(f.Name) })
	return f
}

// Full makes every write fail for want of space, or lets them succeed again.
func (f *Faults) Full(yes bool) { f.full.Store(yes) }

// FailSync makes every fsync fail.
func (f *Faults) FailSync(yes bool) { f.sync.Store(yes) }

// FailRead makes every read fail.
func (f *Faults) FailRead(yes bool) { f.read.Store(yes) }

// ShortRead makes every read end after its first half.
func (f *Faults) ShortRead(yes bool) { f.short.Store(yes) }

// FailSteps makes count steps fail, the n-th from now on (counted from 1) and
// those after it. A step is a write, a truncation or an fsync. Count 0 ends it.
func (f *Faults) FailSteps(n, count int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from, f.to = f.steps+n, f.steps+n+count
}

// Steps counts the steps that were asked for.
func (f *Faults) Steps() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps
}

// Hold makes every step wait until release is called. It waits for those under
// way.
func (f *Faults) Hold() (release func()) {
	f.gate.Lock()
	return f.gate.Unlock
}

// SkipSync makes fsyncs succeed without the disk's having to do them, for tests
// that need many and no sudden end.
func (f *Faults) SkipSync() { f.lazy.Store(true) }

// Syncs counts the fsyncs that succeeded.
func (f *Faults) Syncs() int64 { return f.syncs.Load() }

// OpenFilename opens a file of the system's own file system.
func (f *Faults) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	under, flags, err := f.openFile(name, flags)
	if err != nil {
		return nil, flags, err
	}
	return &faultyFile{systemFile: under, faults: f}, flags, nil
}

// step counts a step, waits while the disk is held, and says how it fails.
func (f *Faults) step(code sqlite3.ExtendedErrorCode) (done func(), err error) {
	f.mu.Lock()
	f.steps++
	if f.from <= f.steps && f.steps < f.to {
		err = vfs.SystemError(syscall.EIO, code)
	}
	f.mu.Unlock()
	f.gate.RLock()
	return f.gate.RUnlock, err
}

type faultyFile struct {
	systemFile
	faults *Faults
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if f.faults.read.Load() {
		return 0, vfs.SystemError(syscall.EIO, sqlite3.IOERR_READ)
	}
	if f.faults.short.Load() {
		n, err := f.File.ReadAt(p[:len(p)/2], off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	done, err := f.faults.step(sqlite3.IOERR_WRITE)
	defer done()
	if err != nil {
		return 0, err
	}
	if f.faults.full.Load() {
		return 0, vfs.SystemError(syscall.ENOSPC, sqlite3.FULL)
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) Truncate(size int64) error {
	done, err := f.faults.step(sqlite3.IOERR_TRUNCATE)
	defer done()
	if err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync(flags vfs.SyncFlag) error {
	done, err := f.faults.step(sqlite3.IOERR_FSYNC)
	defer done()
	if err != nil {
		return err
	}
	if f.faults.sync.Load() {
		return vfs.SystemError(syscall.EIO, sqlite3.IOERR_FSYNC)
	}
	if !f.faults.lazy.Load() {
		err = f.File.Sync(flags)
	}
	if err == nil {
		f.faults.syncs.Add(1)
	}
	return err
}
