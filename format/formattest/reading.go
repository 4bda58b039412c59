package formattest

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"dynotap/format"
	"dynotap/sample"
)

// Failing cannot be read from an offset on: it gives iotest.ErrTimeout.
type Failing struct {
	In   io.ReaderAt
	From int64
}

// ReadAt reads what lies before From.
func (f Failing) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > f.From {
		return 0, iotest.ErrTimeout
	}
	return f.In.ReadAt(p, at) //nolint:wrapcheck // as it is
}

// discard keeps nothing.
type discard struct{}

func (discard) Begin(format.Run) error    { return nil }
func (discard) Batch(*sample.Batch) error { return nil }
func (discard) Problem(format.Problem)    {}
func (discard) Warn(string)               {}

// Allocated gives the bytes that reading a file allocates, all that is ever
// allocated and not what is held at once, and Read's error. Others allocate,
// too: tests that use it are not parallel.
func Allocated(tb testing.TB, f format.Format, file []byte) (allocated int64, err error) {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	err = f.Read(tb.Context(), bytes.NewReader(file), int64(len(file)), discard{})
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc), err //nolint:wrapcheck // as it is
}
