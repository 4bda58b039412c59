package backup

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/flate"
)

// Source is one file to be taken.
type Source struct {
	Name string // in the archive, with slashes
	Path string // on the disk; "": Text
	Text []byte
	// Bytes is what the catalog says the file has; negative: not known.
	Bytes int64
	// Compress is for what is not compressed already.
	Compress bool
	// MayGo says that the file may have been deleted since it was listed.
	MayGo bool
}

// readme is for whoever finds the file in ten years.
const readme = `This is a backup of a dynotap data directory, made %s.

  dynotap backup verify FILE          checks it
  dynotap restore FILE --data DIR     unpacks it into an empty directory

captures/ holds the recorded samples as Parquet, originals/ the imported files,
configuration/ the settings, dynotap.db (SQLite) the catalog, the queue, and
what was not in Parquet files yet. manifest.json has the SHA-256 of each file.
configuration/ may hold the token of the server: keep this file to yourself.
`

// Write writes an archive to out: the sources in their order, then the
// manifest, which it completes. progress takes how many bytes of the sources
// have been read. It blocks as out does; ctx ends it.
func Write(ctx context.Context, out io.Writer, m *Manifest, sources []Source, progress func(done int64)) error {
	m.Format = Format
	w := &writer{ctx: ctx, zip: zip.NewWriter(out), manifest: m, progress: progress}
	w.zip.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	first := Source{Name: readmeName, Text: fmt.Appendf(nil, readme, m.Created.UTC().Format(time.RFC3339)), Bytes: -1}
	for _, s := range append([]Source{first}, sources...) {
		if err := w.add(&s); err != nil {
			return fmt.Errorf("back up %s: %w", s.Name, err)
		}
	}
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	entry, err := w.create(ManifestName, m.Created, true)
	if err != nil {
		return err
	}
	if _, err := entry.Write(text); err != nil {
		return err
	}
	return w.zip.Close()
}

type writer struct {
	ctx      context.Context //nolint:containedctx // of one call of Write
	zip      *zip.Writer
	manifest *Manifest
	progress func(done int64)
	done     int64
}

func (w *writer) create(name string, modified time.Time, compress bool) (io.Writer, error) {
	head := &zip.FileHeader{Name: name, Modified: modified.UTC(), Method: zip.Store}
	if compress {
		head.Method = zip.Deflate
	}
	return w.zip.CreateHeader(head)
}

func (w *writer) add(s *Source) error {
	in, modified, err := w.open(s)
	if errors.Is(err, fs.ErrNotExist) {
		if !s.MayGo {
			w.manifest.Problems = append(w.manifest.Problems, s.Name+" is missing in the data directory")
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	entry, err := w.create(s.Name, modified, s.Compress)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(entry, sum), &counted{w, in})
	if err != nil {
		return err
	}
	if s.Bytes >= 0 && n != s.Bytes {
		w.manifest.Problems = append(w.manifest.Problems, fmt.Sprintf("%s has %d bytes, the catalog says %d: it is damaged in the data directory", s.Name, n, s.Bytes))
	}
	w.manifest.Files = append(w.manifest.Files, File{Name: s.Name, Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
	return nil
}

func (w *writer) open(s *Source) (in io.ReadCloser, modified time.Time, err error) {
	if s.Path == "" {
		return io.NopCloser(bytes.NewReader(s.Text)), w.manifest.Created, nil
	}
	file, err := os.Open(s.Path)
	if err != nil {
		return nil, time.Time{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, errors.Join(err, file.Close())
	}
	return file, info.ModTime(), nil
}

// counted tells how much was read, and ends with the context.
type counted struct {
	w  *writer
	in io.Reader
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.in.Read(p)
	c.w.done += int64(n)
	c.w.progress(c.w.done)
	return n, err
}
