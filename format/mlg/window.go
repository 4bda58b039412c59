package mlg

import (
	"errors"
	"fmt"
	"io"
)

// windowSize is how much of the file is in memory at a time: room for several
// of the longest blocks.
const windowSize = 1 << 20

// window is the part of a file that is in memory.
type window struct {
	r     io.ReaderAt
	size  int64 // of the file; less than promised where it ends before
	start int64 // of buf in the file
	buf   []byte
	room  []byte
}

func newWindow(r io.ReaderAt, size int64) *window {
	return &window{r: r, size: max(size, 0), room: make([]byte, min(max(size, 0), windowSize))}
}

// at gives n bytes from off on, fewer at the end of the file. They are good
// until the next call.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off >= w.size {
		return nil, nil
	}
	end := min(off+int64(n), w.size)
	if off < w.start || end > w.start+int64(len(w.buf)) {
		if err := w.load(off); err != nil {
			return nil, err
		}
		end = min(end, w.start+int64(len(w.buf)))
	}
	return w.buf[off-w.start : end-w.start], nil
}

// all gives what is in memory from off on: at least half a window, or the rest
// of the file.
func (w *window) all(off int64) ([]byte, error) {
	if _, err := w.at(off, windowSize/2); err != nil || off >= w.size {
		return nil, err
	}
	return w.buf[off-w.start:], nil
}

func (w *window) load(off int64) error {
	want := min(int64(len(w.room)), w.size-off)
	n, err := w.r.ReadAt(w.room[:want], off)
	w.start, w.buf = off, w.room[:n]
	if int64(n) == want {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		w.size = off + int64(n)
		return nil
	}
	return fmt.Errorf("read file: %w", err)
}
