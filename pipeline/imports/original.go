package imports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dynotap/internal/durable"
)

// originalsDir is the folder, within the data directory, of the files that were
// imported, each under the hash of its content.
const originalsDir = "originals"

// incomingPrefix begins the names of copies that are being made.
const incomingPrefix = ".incoming-"

// pendingSuffix marks a file that was accepted and is not completely imported.
const pendingSuffix = ".pending"

// original is a file's copy in the data directory.
type original struct {
	name string // as the user calls it
	hash string // SHA-256 of the content, hexadecimal
	size int64
	dir  string
	path string
	file *os.File

	accepted bool
	ended    func() // of the copy; nil for one of an earlier start
}

// mark is what stands in a pending file.
type mark struct {
	Name string `json:"name"`
	File string `json:"file"` // within the folder
}

// spool copies what is to be imported into the folder, under a name of no
// meaning yet.
func (im *Importer) spool(ctx context.Context, name string, in io.Reader) (o *original, err error) {
	dir := filepath.Join(im.opts.Dir, originalsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of originals: %w", err)
	}
	file, ended, err := im.newCopy(dir)
	if err != nil {
		return nil, fmt.Errorf("copy %s: %w", name, err)
	}
	o = &original{name: filepath.Base(filepath.ToSlash(name)), dir: dir, path: file.Name(), file: file, ended: ended}
	sum := sha256.New()
	o.size, err = io.Copy(io.MultiWriter(file, sum), reader{ctx, in})
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		o.release()
		return nil, fmt.Errorf("copy %s: %w", name, err)
	}
	o.hash = hex.EncodeToString(sum.Sum(nil))
	return o, nil
}

// newCopy makes the file of a copy, which is this program's until ended: Resume
// removes only those of others.
func (im *Importer) newCopy(dir string) (file *os.File, ended func(), err error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	file, err = os.CreateTemp(dir, incomingPrefix+"*")
	if err != nil {
		return nil, nil, err
	}
	name := filepath.Base(file.Name())
	im.copies[name] = true
	return file, func() {
		im.mu.Lock()
		defer im.mu.Unlock()
		delete(im.copies, name)
	}, nil
}

// removeCopy removes a copy that an earlier start has left.
func (im *Importer) removeCopy(path string) error {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.copies[filepath.Base(path)] {
		return nil
	}
	return removed(path)
}

// removed makes sure that a file is not there.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isBusy reports whether the content of a hash is being imported.
func (im *Importer) isBusy(hash string) bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	_, busy := im.busy[hash]
	return busy
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	in  io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}

// accept makes the copy durable under its content's name, with a mark that it
// is to be imported.
func (o *original) accept() error {
	if o.accepted {
		return nil
	}
	path := filepath.Join(o.dir, o.hash+ending(o.name))
	if err := o.mark(filepath.Base(path)); err != nil {
		return fmt.Errorf("accept %s: %w", o.name, err)
	}
	if err := replace(o, path); err != nil {
		return fmt.Errorf("accept %s: %w", o.name, err)
	}
	o.accepted = true
	return durable.Dir(o.dir)
}

// replace moves the copy to its place. It is closed meanwhile: Windows does not
// move open files.
func replace(o *original, path string) error {
	if err := o.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(o.path, path); err != nil {
		return err
	}
	var err error
	o.path = path
	o.file, err = os.Open(path)
	return err
}

func (o *original) mark(file string) error {
	text, err := json.Marshal(mark{Name: o.name, File: file})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(o.pendingPath(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (o *original) pendingPath() string { return filepath.Join(o.dir, o.hash+pendingSuffix) }

// settle takes the mark away, and the copy too if nothing of it was taken. It
// need not be durable: a mark that comes back finds the import done, or the
// same refusal.
func (o *original) settle(keep bool) error {
	err := removed(o.pendingPath())
	if !keep {
		o.accepted = false // release removes the copy
	}
	if err != nil {
		return fmt.Errorf("finish %s: %w", o.name, err)
	}
	return nil
}

// release closes the copy, and removes one that was not accepted.
func (o *original) release() {
	if o.file != nil {
		_ = o.file.Close() // it was only read since it was made durable
	}
	if !o.accepted {
		_ = os.Remove(o.path) // a copy nobody refers to: at worst the next start finds it
	}
	if o.ended != nil {
		o.ended()
	}
}

// ending is the ending of a file's name as far as it is harmless: people look
// into the folder.
func ending(name string) string {
	ext := strings.ToLower(filepath.Ext(name))
	if len(ext) < 2 || len(ext) > 10 || ext == pendingSuffix {
		return ""
	}
	for _, c := range ext[1:] {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return ""
		}
	}
	return ext
}

// pending lists the files that were accepted and not completed, and removes
// copies that were never accepted.
func (im *Importer) pending() (list []*original, err error) {
	dir := filepath.Join(im.opts.Dir, originalsDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for unfinished imports: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), incomingPrefix) {
			err = errors.Join(err, im.removeCopy(path))
			continue
		}
		hash, found := strings.CutSuffix(e.Name(), pendingSuffix)
		if !found || im.isBusy(hash) {
			continue
		}
		text, readErr := os.ReadFile(path)
		var m mark
		if readErr != nil || json.Unmarshal(text, &m) != nil || m.File != filepath.Base(m.File) {
			err = errors.Join(err, removed(path)) // cut off while it was written: nothing was accepted
			continue
		}
		copied := filepath.Join(dir, m.File)
		info, statErr := os.Stat(copied)
		if errors.Is(statErr, fs.ErrNotExist) {
			err = errors.Join(err, removed(path))
			continue
		}
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		list = append(list, &original{name: m.Name, hash: hash, size: info.Size(), dir: dir, path: copied, accepted: true})
	}
	return list, err
}
