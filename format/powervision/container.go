package powervision

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"dynotap/format"
	"dynotap/format/text"
)

func isGzip(head []byte) bool { return bytes.HasPrefix(head, []byte{0x1f, 0x8b}) }
func isZip(head []byte) bool  { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

func isContainer(head []byte) bool { return isGzip(head) || isZip(head) }

// mostText bounds what a container may unpack to: a log of a day is far
// smaller, and a small file must not keep the program busy for ever.
const mostText = 8 << 30

// mostFiles is how many files of an archive are looked at.
const mostFiles = 1000

var errTooLong = errors.New("the container unpacks to more than 8 GB and is not read further")

// unpack gives a function that begins the log's text anew at each call, as
// UTF-8.
func unpack(r io.ReaderAt, size int64) (open func() (io.ReadCloser, error), err error) {
	head := make([]byte, min(size, format.HeadSize))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read file: %w", err)
	}
	head = head[:n]
	var raw func() (io.ReadCloser, error)
	switch {
	default:
		raw = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(r, 0, size)), nil } //nolint:unparam // as the others
	case isGzip(head):
		raw = func() (io.ReadCloser, error) { return gzip.NewReader(io.NewSectionReader(r, 0, size)) }
	case isZip(head):
		if raw, err = unzip(r, size); err != nil {
			return nil, err
		}
	}
	first, err := raw()
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	begin, err := io.ReadAll(io.LimitReader(first, format.HeadSize))
	err = errors.Join(err, first.Close())
	if !isLog(text.Head(begin)) {
		return nil, errors.Join(errUnknown, err)
	}
	encoding, bom := text.DetectEncoding(begin)
	return func() (io.ReadCloser, error) {
		in, err := raw()
		if err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, in, int64(bom)); err != nil {
			return nil, errors.Join(err, in.Close())
		}
		var log io.Reader = in
		if isContainer(head) {
			log = &limited{in, mostText}
		}
		return &decoded{text.Decode(log, encoding), in}, nil
	}, nil
}

// unzip finds the log in an archive: the first file that is one.
func unzip(r io.ReaderAt, size int64) (func() (io.ReadCloser, error), error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	var names []string
	for _, f := range archive.File[:min(len(archive.File), mostFiles)] {
		names = append(names, f.Name)
		in, err := f.Open()
		if err != nil {
			continue
		}
		begin, _ := io.ReadAll(io.LimitReader(in, format.HeadSize))
		_ = in.Close()
		if isLog(text.Head(begin)) {
			return f.Open, nil
		}
	}
	return nil, fmt.Errorf("%w (the archive has %.200s)", errUnknown, strings.Join(names, ", "))
}

// decoded is text whose source has to be closed.
type decoded struct {
	io.Reader
	io.Closer
}

// limited refuses more than left bytes.
type limited struct {
	in   io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
