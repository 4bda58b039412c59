package dbtest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
)

// Power is a file system that knows what the disk below it would hold if its
// power were cut: for certain what was synced, perhaps what was not. It is no
// slower for that, as it syncs nothing in truth. One directory's files are to
// be opened through it only; the shared memory is not its own and is lost.
//
// The library syncs a directory after the first sync of a journal or WAL that
// it opened with leave to create it, and after a deletion where SQLite wants
// it; nothing else makes an entry of a directory certain here, the sync of a
// new file does not. (That is the library on unix; Windows has no such call.)
type Power struct {
	system
	// Name is to be given as db.Options.VFS.
	Name string

	watch func(Step, *Cut)

	mu      sync.Mutex
	steps   int64
	entries map[string]*dirEntry // by path
}

// StepKind is what a step does.
type StepKind string

// The steps of a disk.
const (
	Write    StepKind = "write"
	Truncate StepKind = "truncate"
	Sync     StepKind = "sync"
	Create   StepKind = "create"
	Delete   StepKind = "delete"
	SyncDir  StepKind = "sync directory"
)

// Step is one thing that a disk was asked for.
type Step struct {
	Number int64 // from 1
	Kind   StepKind
	File   string // base name; of SyncDir the file that it was done for
}

// Cut is the moment of a power cut.
type Cut struct{ power *Power }

// NewPower registers a file system for the time of the test. At each step
// watch is called, while nothing else happens on the disk: a sync has not
// taken effect then, and everything else may have, in part too. The program
// goes on afterwards as if nothing had been cut. watch must not use the
// file system, nor wait for somebody who does.
func NewPower(tb testing.TB, watch func(Step, *Cut)) *Power {
	tb.Helper()
	p := &Power{watch: watch, entries: make(map[string]*dirEntry)}
	p.Name = fmt.Sprintf("power-%p", p)
	vfs.Register(p.Name, p)
	tb.Cleanup(func() { vfs.Unregister(p.Name) })
	return p
}

// Survivors writes into dir what the disk may hold after the cut, as rnd
// decides. Called again it gives another of the possible outcomes.
func (c *Cut) Survivors(dir string, rnd *rand.Rand) error {
	lucks := [...]float64{0, 0.1, 0.5, 0.5, 0.9, 0.97, 1} // of what is not certain to survive
	luck := lucks[rnd.IntN(len(lucks))]
	for _, path := range slices.Sorted(maps.Keys(c.power.entries)) {
		n := c.power.entries[path].survivor(rnd, luck)
		if n == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), n.survivor(rnd, luck), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Unsynced is how many bytes were written since their file was last synced.
func (c *Cut) Unsynced() (n int64) {
	for _, entry := range c.power.entries {
		if file := entry.now(); file != nil {
			for _, change := range file.pending {
				n += int64(len(change.data))
			}
		}
	}
	return n
}

// OpenFilename opens a file of the system's own file system.
func (p *Power) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	const journals = vfs.OPEN_MAIN_JOURNAL | vfs.OPEN_SUPER_JOURNAL | vfs.OPEN_WAL
	if name.String() == "" || flags&(vfs.OPEN_MAIN_DB|journals) == 0 {
		file, flags, err := p.openFile(name, flags)
		return file, flags, err // a temporary file: nobody misses it
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	path := name.String()
	content, missing := os.ReadFile(path)
	syncsDir := flags&vfs.OPEN_CREATE != 0 && flags&journals != 0
	file, flags, err := p.openFile(name, flags)
	if err != nil {
		return nil, flags, err
	}
	entry := p.entries[path]
	if entry == nil {
		entry = new(dirEntry)
		p.entries[path] = entry
		if missing == nil { // older than this test
			entry.stable = &inode{stable: content}
		}
	}
	if errors.Is(missing, fs.ErrNotExist) {
		entry.later = append(entry.later, new(inode))
		p.step(Create, path)
	}
	return &poweredFile{systemFile: file, power: p, path: path, inode: entry.now(), syncsDir: syncsDir}, flags, nil
}

// Delete removes a file.
func (p *Power) Delete(path string, syncDir bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.system.Delete(path, false)
	if err != nil {
		return err
	}
	if entry := p.entries[path]; entry != nil && entry.now() != nil {
		entry.later = append(entry.later, nil)
		p.step(Delete, path)
	}
	if syncDir {
		p.syncDir(path)
	}
	return nil
}

func (p *Power) step(kind StepKind, path string) {
	p.steps++
	p.watch(Step{Number: p.steps, Kind: kind, File: filepath.Base(path)}, &Cut{p})
}

// syncDir makes certain which files are in the directory of path.
func (p *Power) syncDir(path string) {
	p.step(SyncDir, path)
	for other, entry := range p.entries {
		if filepath.Dir(other) == filepath.Dir(path) {
			entry.stable, entry.later = entry.now(), nil
		}
	}
}

type poweredFile struct {
	systemFile
	power    *Power
	path     string
	inode    *inode
	syncsDir bool // with the next sync
}

func (f *poweredFile) change(kind StepKind, c change) {
	f.inode.pending = append(f.inode.pending, c)
	f.power.step(kind, f.path)
}

func (f *poweredFile) WriteAt(p []byte, off int64) (int, error) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	f.change(Write, change{data: append(make([]byte, 0, len(p)), p...), at: off})
	return f.File.WriteAt(p, off)
}

func (f *poweredFile) Truncate(size int64) error {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	f.change(Truncate, change{at: size})
	return f.File.Truncate(size)
}

func (f *poweredFile) Sync(vfs.SyncFlag) error {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	f.power.step(Sync, f.path)
	f.inode.sync()
	if f.syncsDir {
		f.syncsDir = false
		f.power.syncDir(f.path)
	}
	return nil
}
