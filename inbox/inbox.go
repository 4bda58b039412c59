// Package inbox watches a folder: what people drop there is imported, and what
// cannot be imported stays with a text beside it that says why.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dynotap/internal/durable"
)

const (
	// settled is how long a file must not have changed to count as complete.
	settled = 2 * time.Second
	// every is how often the folder is looked at. Notifications would not come
	// from network drives, and a drive is what a logger's files often come from.
	every = time.Second
	// again is when a file is tried again that failed for a reason that is not
	// its own.
	again = time.Minute
	// errorSuffix is what the name of the explanation adds to the file's.
	errorSuffix = ".error.txt"
)

// Take imports one file. When it returns nil the file is kept elsewhere.
type Take func(ctx context.Context, path string) (Verdict, error)

// Verdict is what is said of a file beside the error.
type Verdict struct {
	Own  bool   // a failure is the file's own fault
	Lost string // what of an imported file could not be read, in lines; empty: nothing
}

// Inbox watches one folder and those in it. It is for one goroutine.
type Inbox struct {
	dir    string
	take   Take
	logger *slog.Logger
	seen   map[string]*state
}

// state is what is known of a file.
type state struct {
	size    int64
	changed time.Time // modification time
	since   time.Time // when this state was first seen
	retry   time.Time // not before; zero: when it has settled
	refused bool
}

// New makes an inbox and its folder.
func New(dir string, take Take, logger *slog.Logger) (*Inbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the inbox: %w", err)
	}
	return &Inbox{dir: dir, take: take, logger: logger, seen: map[string]*state{}}, nil
}

// Watch looks until ctx ends.
func (in *Inbox) Watch(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		in.Look(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Look looks once, at the time now, and imports what has settled. What it cannot
// look at is logged.
func (in *Inbox) Look(ctx context.Context, now time.Time) {
	there := map[string]bool{}
	err := filepath.WalkDir(in.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			in.logger.Warn("look into the inbox", "path", path, "error", err)
			return nil
		case path != in.dir && ignored(entry):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		there[path] = true
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			in.consider(ctx, path, info, now)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		in.logger.Warn("look into the inbox", "error", err)
	}
	for path := range in.seen {
		if !there[path] {
			delete(in.seen, path)
		}
	}
}

// ignored says which entries are not a user's files: explanations, hidden ones,
// and what browsers and copiers write before they rename it.
func ignored(entry fs.DirEntry) bool {
	name := strings.ToLower(entry.Name())
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") {
		return true
	}
	if entry.IsDir() {
		return false
	}
	for _, suffix := range []string{errorSuffix, ".part", ".partial", ".tmp", ".crdownload", ".download"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func (in *Inbox) consider(ctx context.Context, path string, info fs.FileInfo, now time.Time) {
	s := in.seen[path]
	if s == nil || s.size != info.Size() || !s.changed.Equal(info.ModTime()) {
		known := s != nil
		s = &state{size: info.Size(), changed: info.ModTime(), since: now}
		if !known {
			s.refused = explained(path, info)
		}
		in.seen[path] = s
	}
	if s.refused || now.Sub(s.since) < settled || now.Before(s.retry) {
		return
	}
	verdict, err := in.take(ctx, path)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = in.remove(path, s)
	}
	if err == nil {
		delete(in.seen, path)
		if verdict.Lost != "" {
			in.write(path, "was imported, but not all of it:\n\n"+verdict.Lost+"\nA mended file put here is imported as another run. This text may be taken away.\n")
		}
		return
	}
	s.refused, s.retry = verdict.Own, now.Add(again)
	in.logger.Warn("a file in the inbox is not imported", "file", path, "error", err)
	in.write(path, explanation(err, verdict.Own))
}

// write puts a text about a file beside it.
func (in *Inbox) write(path, text string) {
	if err := os.WriteFile(path+errorSuffix, []byte(filepath.Base(path)+" "+text), 0o600); err != nil {
		in.logger.Warn("explain what became of a file", "file", path, "error", err)
	}
}

// explained reports whether an earlier start has refused the file as it is.
func explained(path string, info fs.FileInfo) bool {
	text, err := os.Stat(path + errorSuffix)
	return err == nil && !text.ModTime().Before(info.ModTime())
}

// remove takes away a file that has been imported, and what was said of it.
// One that has changed since stays: it is another one.
func (in *Inbox) remove(path string, s *state) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("it was imported, but cannot be moved out of the inbox: %w", err)
	}
	if info.Size() != s.size || !info.ModTime().Equal(s.changed) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("it was imported, but cannot be moved out of the inbox: %w", err)
	}
	if err := os.Remove(path + errorSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Dir(filepath.Dir(path))
}

func explanation(why error, own bool) string {
	text := fmt.Sprintf("was not imported.\n\n%v\n\n", why)
	if own {
		return text + "The file stays here as it is. Put a mended one in its place, or take it away together with this text.\n"
	}
	return text + "The file is not to blame: it stays here and is tried again every minute.\n"
}
