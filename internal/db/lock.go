package db

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// LockName is the lock file's name within the data directory.
const LockName = "dynotap.lock"

const (
	// lockPatience outlasts a Holder that is looking and a process that is
	// just ending.
	lockPatience = 300 * time.Millisecond
	lockPause    = 10 * time.Millisecond
	// lockSize is the least size of the content: written in one go and always
	// as long as before, it is never seen half.
	lockSize = 1024
)

// Holder is the process that has a data directory open.
type Holder struct {
	PID     int    `json:"pid"`
	Address string `json:"address,omitempty"` // host:port of its HTTP server
	Token   string `json:"token,omitempty"`
}

// LockedError names who holds a directory. It is ErrLocked.
type LockedError struct {
	Dir    string
	Holder Holder // PID 0 when it has not said who it is
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.Holder.PID != 0 {
		who = fmt.Sprintf("process %d", e.Holder.PID)
	}
	if e.Holder.Address != "" {
		who += " (listening on " + e.Holder.Address + ")"
	}
	return fmt.Sprintf("%s is in use by %s: stop it or choose another directory with --data", e.Dir, who)
}

// Is makes a LockedError match ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// HolderOf tells who has dir open: ErrNotHeld when nobody has. It does not
// block.
func HolderOf(dir string) (Holder, error) {
	path := filepath.Join(dir, LockName)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return Holder{}, ErrNotHeld
	}
	if err != nil {
		return Holder{}, fmt.Errorf("open lock file: %w", err)
	}
	defer file.Close()
	taken, err := tryLock(file, false)
	if err != nil {
		return Holder{}, fmt.Errorf("lock %s: %w", path, err)
	}
	if taken {
		return Holder{}, errors.Join(ErrNotHeld, unlock(file))
	}
	return readHolder(path)
}

func readHolder(path string) (Holder, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Holder{}, fmt.Errorf("read lock file: %w", err)
	}
	content = bytes.TrimSpace(content)
	if len(content) == 0 {
		return Holder{}, nil // it took the lock a moment ago
	}
	var h Holder
	if err := json.Unmarshal(content, &h); err != nil {
		return Holder{}, fmt.Errorf("read lock file %s: %w", path, err)
	}
	return h, nil
}

type lockFile struct {
	mu     sync.Mutex
	file   *os.File
	holder Holder
	mark   mark
}

func takeLock(ctx context.Context, dir string) (*lockFile, error) {
	path := filepath.Join(dir, LockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	taken, err := waitLock(ctx, file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	if !taken {
		holder, err := readHolder(path)
		return nil, errors.Join(&LockedError{Dir: dir, Holder: holder}, err, file.Close())
	}
	l := &lockFile{file: file, mark: readMark(path)}
	if err := l.announce(Holder{PID: os.Getpid()}); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func waitLock(ctx context.Context, file *os.File) (bool, error) {
	deadline := time.Now().Add(lockPatience)
	for {
		taken, err := tryLock(file, true)
		if taken || err != nil || time.Now().After(deadline) {
			return taken, err
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (l *lockFile) announce(h Holder) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.holder
	l.holder = h
	err := l.write()
	if err != nil {
		l.holder = before
	}
	return err
}

// remark changes what is said of the database; flush makes it outlast a power
// cut.
func (l *lockFile) remark(m mark, flush bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m == l.mark && !flush {
		return nil
	}
	l.mark = m
	err := l.write()
	if err == nil && flush {
		err = l.file.Sync()
	}
	return err
}

// write is called with mu held.
func (l *lockFile) write() error {
	if l.file == nil {
		return ErrClosed
	}
	content, err := json.Marshal(lockContent{Holder: l.holder, Database: l.mark})
	if err != nil {
		return fmt.Errorf("encode lock file: %w", err)
	}
	if len(content) > lockSize {
		return fmt.Errorf("write lock file: address and token have %d bytes, %d fit", len(content), lockSize)
	}
	if err := l.file.Chmod(0o600); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("protect lock file: %w", err)
	}
	content = append(content, bytes.Repeat([]byte{' '}, lockSize-len(content))...)
	if _, err := l.file.WriteAt(content, 0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	return nil
}

// release forgets the holder with its token and unlocks. The file stays:
// removing it would race with the next owner, and it keeps the mark.
func (l *lockFile) release() error {
	wipe := l.announce(Holder{})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := errors.Join(wipe, unlock(l.file), l.file.Close())
	l.file = nil
	return err
}
