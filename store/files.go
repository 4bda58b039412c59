package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"dynotap/internal/db"
	"dynotap/internal/durable"

	"github.com/ncruces/go-sqlite3"
)

// unfinished ends the name of a file that is being written.
const unfinished = ".part"

// deletedPrefix begins the names under which meta remembers captures whose
// rows are gone and whose files may not be yet.
const deletedPrefix = "store.deleted/"

// segmentPath names a sealed file relative to the data directory, with
// slashes.
func (s *Store) segmentPath(c *Capture, number int) string {
	at := s.opts.Now()
	if c.StartedUS != nil {
		at = time.UnixMicro(*c.StartedUS)
	}
	at = at.UTC()
	return path.Join(capturesDir, fmt.Sprintf("%04d/%02d", at.Year(), at.Month()), c.ID, fmt.Sprintf("%04d.parquet", number))
}

// file gives the path in the file system of a name from the catalog.
func (s *Store) file(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// makeFolder creates the folder of a file and makes its entries durable up to
// the data directory, those that this store has not made durable before. It is
// called, as removeFiles is, by whoever holds s.sealing.
func (s *Store) makeFolder(name string) error {
	folder := path.Dir(name)
	if err := os.MkdirAll(s.file(folder), 0o755); err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	month := path.Dir(folder)
	for ; folder != "." && folder != "/" && !s.months[folder]; folder = path.Dir(folder) {
		if err := durable.Dir(s.file(path.Dir(folder))); err != nil {
			return err
		}
	}
	s.months[month] = true
	return nil
}

// cleanUp removes what an interruption left: unfinished files, files of known
// captures that have no row (their samples are still chunks), and files of
// captures whose deletion had begun. Files whose rows may have been lost with a
// damaged database are set aside beside it.
func (s *Store) cleanUp(ctx context.Context) error {
	known, err := s.knownFiles(ctx)
	if err != nil {
		return err
	}
	root := filepath.Join(s.dir, capturesDir)
	var gone, foreign []string
	aside := map[string]string{} // name to quarantine
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(s.dir, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		capture := path.Base(path.Dir(name))
		switch {
		case known.files[name]:
		case strings.HasSuffix(name, unfinished), known.deleted[capture]:
			gone = append(gone, name)
		case known.captures[capture] && isSegment(name):
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if quarantine := s.lostWith(info.ModTime()); quarantine != "" {
				aside[name] = quarantine
			} else {
				gone = append(gone, name)
			}
		default:
			foreign = append(foreign, name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look through %s: %w", root, err)
	}
	if len(foreign) > 0 {
		s.opts.Logger.Warn("files that the catalog does not know were left alone", "count", len(foreign), "first", foreign[0])
	}
	for _, name := range gone {
		s.opts.Logger.Info("remove what an interruption left", "file", name)
	}
	if err := s.keepAside(aside); err != nil {
		return err
	}
	if err := s.removeFiles(gone); err != nil {
		return err
	}
	for capture := range known.live {
		if err := s.sweep(ctx, capture); err != nil {
			return err
		}
	}
	if len(known.deleted) == 0 {
		return nil
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		for capture := range known.deleted {
			if err := tx.Exec(`DELETE FROM meta WHERE key = ?`, deletedPrefix+capture); err != nil {
				return err
			}
		}
		return nil
	})
}

// lostWith gives the quarantine of the database with which the row of a file
// of that age may have been lost; "" if that cannot be.
func (s *Store) lostWith(written time.Time) string {
	for _, q := range s.db.Quarantined() {
		if !written.After(q.Time.Add(time.Second)) {
			return q.Dir
		}
	}
	return ""
}

// keepAside moves sealed files into quarantines.
func (s *Store) keepAside(files map[string]string) error {
	for name, quarantine := range files {
		to := filepath.Join(quarantine, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(to), 0o700)
		if err == nil {
			err = os.Rename(s.file(name), to)
		}
		if err != nil {
			return fmt.Errorf("set sealed file aside: %w", err)
		}
		s.opts.Logger.Error("a sealed file was set aside: its row was lost with the damaged database", "file", name, "now", to)
	}
	return nil
}

// isSegment reports whether a file is named like those we write.
func isSegment(name string) bool {
	ok, _ := regexp.MatchString(`^`+capturesDir+`/\d{4}/\d{2}/[^/]+/\d{4,}\.parquet$`, name)
	return ok
}

type knownFiles struct {
	files, captures, deleted, live map[string]bool
}

func (s *Store) knownFiles(ctx context.Context) (knownFiles, error) {
	k := knownFiles{make(map[string]bool), make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	err := s.db.Read(ctx, func(c *db.Conn) error {
		return errors.Join(
			collect(c, k.files, `SELECT path FROM segments`),
			collect(c, k.captures, `SELECT id FROM captures`),
			collect(c, k.live, `SELECT DISTINCT capture FROM chunks`),
			collect(c, k.deleted, `SELECT substr(key, length(?1) + 1) FROM meta WHERE substr(key, 1, length(?1)) = ?1`, deletedPrefix),
		)
	})
	return k, err
}

func collect(c *db.Conn, into map[string]bool, sql string, args ...any) error {
	return c.Query(sql, func(row *sqlite3.Stmt) error {
		into[row.ColumnText(0)] = true
		return nil
	}, args...)
}

// removeFiles removes sealed files and the folders that are empty then. A file
// that is gone is no error.
func (s *Store) removeFiles(names []string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(s.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove sealed file: %w", err))
			continue
		}
		for folder := path.Dir(name); folder != capturesDir && folder != "."; folder = path.Dir(folder) {
			if os.Remove(s.file(folder)) != nil {
				break // not empty
			}
			delete(s.months, folder)
		}
	}
	return errors.Join(errs...)
}
