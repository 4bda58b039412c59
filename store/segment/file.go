package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// ErrDamaged is wrapped by every error about a file's content; the error is a
// *DamageError, which says where.
var ErrDamaged = errors.New("damaged")

// DamageError says where a file cannot be read.
type DamageError struct {
	Path string
	// Channel is the key of the channel, empty where the file as a whole is
	// damaged.
	Channel string
	// Row and Rows say which rows of the file are lost to the reader.
	Row, Rows int64
	Err       error
}

// Error names file, channel and rows.
func (e *DamageError) Error() string {
	if e.Channel == "" {
		return fmt.Sprintf("%s is damaged: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s is damaged: channel %q, rows %d to %d: %v", e.Path, e.Channel, e.Row, e.Row+e.Rows-1, e.Err)
}

// Unwrap gives ErrDamaged and the cause.
func (e *DamageError) Unwrap() []error { return []error{ErrDamaged, e.Err} }

// File is an open file. Its cursors may be used at the same time, each by one
// goroutine.
type File struct {
	path   string
	file   *os.File
	info   *Info
	groups []rowGroup
}

type rowGroup struct {
	first  int64 // its first row in the file
	rows   int64
	chunks [columnsAll]*parquet.FileColumnChunk
}

// Open opens a file and reads its footer. An error of the content is a
// *DamageError, others are the file system's.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	f := &File{path: path, file: file}
	if err := f.readFooter(); err != nil {
		_ = file.Close()
		return nil, &DamageError{Path: path, Err: err}
	}
	return f, nil
}

// Info is what the file says about itself; do not change it.
func (f *File) Info() *Info { return f.info }

// Close closes the file; its cursors end with it.
func (f *File) Close() error { return f.file.Close() }

func (f *File) readFooter() (err error) {
	defer guard(&err)
	stat, err := f.file.Stat()
	if err != nil {
		return err
	}
	size := stat.Size()
	if err := checkFooter(f.file, size); err != nil {
		return err
	}
	opened, err := parquet.OpenFile(f.file, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true),
		parquet.ReadBufferSize(32<<10))
	if err != nil {
		return err
	}
	text, ok := opened.Lookup(metadataKey)
	if !ok {
		return fmt.Errorf("the footer has no %q", metadataKey)
	}
	if f.info, err = decodeInfo(text, opened.NumRows()); err != nil {
		return err
	}
	at := int64(0)
	for _, g := range opened.RowGroups() {
		group := rowGroup{first: at, rows: g.NumRows()}
		for _, chunk := range g.ColumnChunks() {
			c, ok := chunk.(*parquet.FileColumnChunk)
			if !ok {
				continue
			}
			for i := range columnNames {
				if columnNames[i].name == opened.Schema().Columns()[c.Column()][0] {
					group.chunks[i] = c
				}
			}
		}
		for i := range columnNative {
			if group.chunks[i] == nil {
				return fmt.Errorf("the file has no column %s", columnNames[i].name)
			}
		}
		at += group.rows
		f.groups = append(f.groups, group)
	}
	if at != opened.NumRows() {
		return fmt.Errorf("row groups hold %d of %d rows", at, opened.NumRows())
	}
	return nil
}

// checkFooter looks at the end of the file, so that a torn one does not make
// the decoder reserve what a random length says.
func checkFooter(r io.ReaderAt, size int64) error {
	var end [8]byte
	if size < int64(len(end)+4) {
		return fmt.Errorf("only %d bytes long", size)
	}
	if _, err := r.ReadAt(end[:], size-int64(len(end))); err != nil {
		return err
	}
	if string(end[4:]) != "PAR1" {
		return fmt.Errorf("it does not end like a Parquet file (offset %d)", size-4)
	}
	if length := int64(binary.LittleEndian.Uint32(end[:4])); length > size-int64(len(end)+4) {
		return fmt.Errorf("footer of %d bytes in a file of %d (offset %d)", length, size, size-8)
	}
	return nil
}

// guard turns a panic of the decoder over damaged bytes into an error.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("decode: %v", p)
	}
}
