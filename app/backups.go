package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dynotap/internal/db"
	"dynotap/server"
	"dynotap/store"
	"dynotap/store/backup"
)

const (
	// backupDir holds the copy of the database while a backup is made.
	backupDir = "backup.tmp"
	// effectiveName is the settings in effect, without secrets.
	effectiveName = "effective-settings.json"
	// backupMargin is left free beside that copy.
	backupMargin = 64 << 20
)

// backups makes backups of a data directory, one at a time. It is what the
// server calls Backups.
type backups struct {
	dir       string
	program   string // version
	store     *store.Store
	file      func() (path, text string) // the configuration's
	effective func() any

	mu    sync.Mutex
	state server.BackupState // Running and what follows
}

// newBackups removes what an interrupted backup left.
func newBackups(a *recording) (*backups, error) {
	if err := os.RemoveAll(filepath.Join(a.dir, backupDir)); err != nil {
		return nil, fmt.Errorf("remove an unfinished backup: %w", err)
	}
	return &backups{
		dir: a.dir, program: a.program.Version, store: a.pipeline.Store, file: a.loaded.File, effective: a.effective,
	}, nil
}

// BackupState tells what a backup would hold, and how far one is.
func (b *backups) BackupState(ctx context.Context) (server.BackupState, error) {
	sizes, err := b.store.Sizes(ctx)
	if err != nil {
		return server.BackupState{}, err
	}
	originals, err := folderBytes(filepath.Join(b.dir, backup.Originals))
	if err != nil {
		return server.BackupState{}, err
	}
	b.mu.Lock()
	state := b.state
	b.mu.Unlock()
	state.Bytes, state.Database = sizes.Sealed+sizes.Database+originals, sizes.Database
	if state.Running {
		state.Hindered = "a backup is being made"
	} else if err := b.room(sizes.Database); err != nil {
		state.Hindered = err.Error()
	}
	return state, nil
}

// room says why the database cannot be copied.
func (b *backups) room(database int64) error {
	free, _, err := db.FreeSpace(b.dir)
	if err != nil || free >= uint64(database+backupMargin) {
		return nil //nolint:nilerr // not known: writing will tell
	}
	return fmt.Errorf("the disk of %s has %.1f GB free, a backup needs %.1f GB there for a copy of the database: make room",
		b.dir, float64(free)/1e9, float64(database+backupMargin)/1e9)
}

// Backup writes the archive. The database's copy is of one moment; sealed files
// never change.
func (b *backups) Backup(ctx context.Context, w io.Writer) (err error) {
	sizes, err := b.store.Sizes(ctx)
	if err != nil {
		return err
	}
	if err := b.begin(); err != nil {
		return err
	}
	m := &backup.Manifest{Program: b.program, Directory: b.dir, Files: []backup.File{}, Problems: []string{}}
	defer func() { b.end(m, err) }()
	if err := b.room(sizes.Database); err != nil {
		return fmt.Errorf("%w: %w", server.ErrConflict, err)
	}
	folder := filepath.Join(b.dir, backupDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	var o originals
	if err := o.list(b.dir); err != nil {
		return err
	}
	snap, err := b.store.Snapshot(ctx, filepath.Join(folder, backup.DatabaseName), func() error {
		m.Created = time.Now().UTC()
		return o.list(b.dir)
	}, func(done, total int64) { b.progress("database", done, total) })
	if err != nil {
		return explainDir(err, b.dir)
	}
	defer snap.Release(ctx)
	m.Runs, m.Captures, m.QueueItems, m.DeadLetters = snap.Runs, snap.Captures, snap.QueueItems, snap.DeadLetters
	sources, total, err := b.sources(snap, &o)
	if err != nil {
		return err
	}
	return backup.Write(ctx, w, m, sources, func(done int64) { b.progress("files", done, total) })
}

func (b *backups) sources(snap *store.Snapshot, o *originals) (list []backup.Source, total int64, err error) {
	settings, err := json.MarshalIndent(b.effective(), "", "  ")
	if err != nil {
		return nil, 0, err
	}
	list = []backup.Source{
		{Name: backup.DatabaseName, Path: snap.Database, Bytes: -1, Compress: true},
		{Name: backup.Configuration + "/" + effectiveName, Text: settings, Bytes: -1, Compress: true},
	}
	if name, text := b.file(); name != "" {
		list = append(list, backup.Source{Name: backup.Configuration + "/" + filepath.Base(name), Text: []byte(text), Bytes: -1, Compress: true})
	}
	total = snap.Bytes + o.bytes
	for _, f := range snap.Sealed {
		list = append(list, backup.Source{Name: f.Name, Path: filepath.Join(b.dir, filepath.FromSlash(f.Name)), Bytes: f.Bytes})
		total += f.Bytes
	}
	return append(list, o.sources...), total, nil
}

func (b *backups) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Running {
		return fmt.Errorf("%w: a backup is being made: wait until it is done", server.ErrConflict)
	}
	b.state.Running, b.state.Phase, b.state.Done, b.state.Total = true, "database", 0, 0
	return nil
}

func (b *backups) progress(phase string, done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Phase, b.state.Done, b.state.Total = phase, done, max(total, done)
}

func (b *backups) end(m *backup.Manifest, err error) {
	last := &server.LastBackup{EndedAt: time.Now().UTC(), Files: len(m.Files), Bytes: m.Bytes(), Problems: m.Problems}
	if err != nil {
		last.Error = err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = server.BackupState{Last: last}
}

// originals is the imported files, with the marks of those that are not read
// yet: a mark goes when its import is complete, so those from before the
// database's copy count too. A file that is read again is recognised.
type originals struct {
	sources []backup.Source
	known   map[string]bool
	bytes   int64
}

// list adds what lies there now and is not known yet.
func (o *originals) list(dir string) error {
	if o.known == nil {
		o.known = map[string]bool{}
	}
	folder := filepath.Join(dir, backup.Originals)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the originals: %w", err)
	}
	for _, e := range entries {
		// What begins with a dot is being copied and accepted by nobody yet.
		if o.known[e.Name()] || strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
			continue
		}
		source := backup.Source{Name: path.Join(backup.Originals, e.Name()), Path: filepath.Join(folder, e.Name()), Bytes: -1, MayGo: true}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list the originals: %w", err)
		}
		if filepath.Ext(e.Name()) == ".pending" {
			if source.Text, err = os.ReadFile(source.Path); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("list the originals: %w", err)
			}
			source.Path = ""
		}
		o.known[e.Name()] = true
		o.bytes += info.Size()
		o.sources = append(o.sources, source)
	}
	return nil
}

// folderBytes is what the files in a folder have together; 0 where there is
// none.
func folderBytes(folder string) (sum int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if info, err := e.Info(); err == nil { // else it has just gone
			sum += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", folder, err)
	}
	return sum, nil
}
