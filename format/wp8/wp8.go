// Package wp8 reads the run files of WinPEP 8 and Power Core as far as they are
// known: the list of channels, and series of samples where the structure proves
// itself (PROTOCOLS 6). Nothing is guessed: what was not decoded is said.
package wp8

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"dynotap/format"
)

// provider is the device of channels that name none.
const provider = "WinPEP 8"

// mark begins every file.
const mark = "\xfe\xce\xfa\xce"

// maxSize bounds the memory: a file is held as a whole, and once or twice more
// while its longest series is looked at. The largest heard of has 745 KB.
const maxSize = 64 << 20

// Format reads .wp8 files.
type Format struct{}

// New makes the format. Its times count from the start of the run.
func New(format.Settings) Format { return Format{} }

// Detect knows a file by its mark.
func (Format) Detect(head []byte, _ string) format.Confidence {
	if bytes.HasPrefix(head, []byte(mark)) {
		return format.Signature
	}
	return format.No
}

var (
	errSize   = fmt.Errorf("a run file of more than %d MB is not looked into", maxSize>>20)
	errMark   = errors.New("the file does not begin with the mark of a .wp8")
	errFields = errors.New("the file has more fields than any run: it is damaged, or no .wp8")
	errSeries = errors.New("its samples could not be decoded: nobody has published how they are stored. " +
		"Export the run as text from WinPEP or Power Core (File, Export) and import that; the .wp8 stays yours")
)

// Read gives the file as one run of the series that proved themselves. Without
// any the error says what was found, and how to get at the samples.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	if size > maxSize {
		return &format.Error{Err: errSize}
	}
	file := make([]byte, size)
	if n, err := r.ReadAt(file, 0); err != nil && !errors.Is(err, io.EOF) {
		return &format.Error{Offset: int64(n), Err: fmt.Errorf("read file: %w", err)}
	}
	if !bytes.HasPrefix(file, []byte(mark)) {
		return &format.Error{Err: errMark}
	}
	w := &walk{ctx: ctx, channels: map[uint64]*definition{}}
	w.root(file[len(mark):], int64(len(mark)))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.fields > maxFields:
		return &format.Error{Err: errFields}
	}
	a := &account{walk: w, size: size, sink: sink}
	return a.report()
}
