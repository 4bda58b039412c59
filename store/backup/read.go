package backup

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"dynotap/internal/durable"
)

// Archive is an archive that is being read.
type Archive struct {
	path     string
	zip      *zip.ReadCloser
	Manifest *Manifest
}

// Open reads an archive's table of contents and its manifest. What is wrong
// with them is ErrDamaged.
func Open(path string) (*Archive, error) {
	z, err := zip.OpenReader(path)
	if errors.Is(err, zip.ErrFormat) {
		return nil, fmt.Errorf("%w: %s is cut off, or no backup of dynotap: its end is missing", ErrDamaged, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	a := &Archive{path: path, zip: z}
	if a.Manifest, err = a.manifest(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrDamaged, path, err), z.Close())
	}
	return a, nil
}

func (a *Archive) manifest() (*Manifest, error) {
	entry, err := a.zip.Open(ManifestName)
	if err != nil {
		return nil, fmt.Errorf("it is no backup of dynotap: %w", err)
	}
	defer func() { _ = entry.Close() }() // it was only read
	m, err := readManifest(entry)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	return m, nil
}

// Close ends the reading.
func (a *Archive) Close() error { return a.zip.Close() }

// Verify reads every file of the archive and compares it with the manifest.
// progress takes the bytes read. An ErrDamaged names the first ten files that
// are damaged, missing or not of this backup.
func (a *Archive) Verify(ctx context.Context, progress func(done int64)) error {
	return a.each(ctx, progress, func(*File) (io.WriteCloser, error) { return discard{}, nil })
}

// Unpack writes the files into dir, which exists and is empty, the database
// last: until then it is no data directory. After an error what was written is
// removed again.
func (a *Archive) Unpack(ctx context.Context, dir string, progress func(done int64)) (err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look into %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty (it has %s): name an empty directory with --data", dir, entries[0].Name())
	}
	database := filepath.Join(dir, DatabaseName)
	unfinished := database + ".restoring"
	defer func() {
		if err == nil {
			return
		}
		for _, name := range []string{Captures, Originals, Configuration, readmeName, filepath.Base(unfinished), DatabaseName} {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
		}
	}()
	folders := map[string]bool{dir: true}
	err = a.each(ctx, progress, func(f *File) (io.WriteCloser, error) {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if f.Name == DatabaseName {
			path = unfinished
		}
		for folder := filepath.Dir(path); !folders[folder]; folder = filepath.Dir(folder) {
			folders[folder] = true
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		return flushed{file}, nil
	})
	if err != nil {
		return err
	}
	for folder := range folders {
		if err := durable.Dir(folder); err != nil {
			return err
		}
	}
	if err := os.Rename(unfinished, database); err != nil {
		return fmt.Errorf("put the database in its place: %w", err)
	}
	return durable.Dir(dir)
}

// maxFaults is how many damaged files are named.
const maxFaults = 10

// each reads every file of the manifest into what to gives. What does not fit
// the manifest is collected; what cannot be written ends it.
func (a *Archive) each(ctx context.Context, progress func(done int64), to func(*File) (io.WriteCloser, error)) error {
	var faults []string
	known := map[string]bool{ManifestName: true}
	in := &watched{ctx: ctx, progress: progress}
	for i := range a.Manifest.Files {
		f := &a.Manifest.Files[i]
		known[f.Name] = true
		out, err := to(f)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
		fault, err := a.read(f, in, out)
		if err = errors.Join(err, out.Close()); err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
		if fault != "" {
			faults = append(faults, f.Name+": "+fault)
		}
	}
	seen := map[string]bool{}
	for _, entry := range a.zip.File {
		if !known[entry.Name] || seen[entry.Name] {
			faults = append(faults, entry.Name+": the manifest does not have it")
		}
		seen[entry.Name] = true
	}
	if !known[DatabaseName] {
		faults = append(faults, DatabaseName+": it is not there")
	}
	if len(faults) == 0 {
		return nil
	}
	more := ""
	if n := len(faults) - maxFaults; n > 0 {
		faults, more = faults[:maxFaults], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%w: %s: %s%s", ErrDamaged, a.path, strings.Join(faults, "; "), more)
}

// read says what is wrong with a file of the archive; an error is anything else.
func (a *Archive) read(f *File, in *watched, out io.Writer) (fault string, err error) {
	entry, err := a.zip.Open(f.Name)
	if err != nil {
		return "it is not there", nil
	}
	defer func() { _ = entry.Close() }() // it was only read
	in.in = io.LimitReader(entry, f.Bytes+1)
	sum := sha256.New()
	target := &target{out: io.MultiWriter(out, sum)}
	n, err := io.Copy(target, in)
	switch {
	case target.err != nil:
		return "", target.err
	case in.ctx.Err() != nil:
		return "", in.ctx.Err()
	case err != nil:
		return fmt.Sprintf("it cannot be read after byte %d (%v)", n, err), nil
	case n != f.Bytes:
		return fmt.Sprintf("it does not have the %d bytes of the manifest", f.Bytes), nil
	case hex.EncodeToString(sum.Sum(nil)) != f.SHA256:
		return "its SHA-256 is not that of the manifest", nil
	}
	return "", nil
}

// watched counts what is read of the archive, and ends with its context.
type watched struct {
	ctx      context.Context //nolint:containedctx // of one call
	in       io.Reader
	done     int64
	progress func(done int64)
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.in.Read(p)
	w.done += int64(n)
	w.progress(w.done)
	return n, err
}

// target tells an error of writing from one of reading.
type target struct {
	out io.Writer
	err error
}

func (t *target) Write(p []byte) (n int, err error) {
	n, t.err = t.out.Write(p)
	return n, t.err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// flushed is a file that is on the disk when it is closed.
type flushed struct{ *os.File }

func (f flushed) Close() error { return errors.Join(f.Sync(), f.File.Close()) }
