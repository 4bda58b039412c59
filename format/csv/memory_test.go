package csv

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"dynotap/format"
	"dynotap/sample"
)

// endlessTable is a table that exists only while it is read: rows of the same
// length, each 50 ms after the one before.
type endlessTable struct {
	header string
	row    string // with room for the time in front
	rows   int64
}

const timeWidth = len("000000000.000")

func newEndlessTable(size int64) endlessTable {
	t := endlessTable{header: "Time (s)", row: strings.Repeat("0", timeWidth)}
	for i := range 100 {
		t.header += fmt.Sprintf(",Channel %d", i)
		t.row += fmt.Sprintf(",%d.25", 1000+i)
	}
	t.header, t.row = t.header+"\n", t.row+"\n"
	t.rows = (size - int64(len(t.header))) / int64(len(t.row))
	return t
}

func (t endlessTable) size() int64 { return int64(len(t.header)) + t.rows*int64(len(t.row)) }

func (t endlessTable) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		off := at + int64(n) - int64(len(t.header))
		switch {
		case off < 0:
			n += copy(p[n:], t.header[int64(len(t.header))+off:])
			continue
		case off >= t.rows*int64(len(t.row)):
			return n, io.EOF
		}
		row, within := off/int64(len(t.row)), int(off%int64(len(t.row)))
		copied := copy(p[n:], t.row[within:])
		if within < timeWidth {
			us := row * 50
			copy(p[n:n+copied], fmt.Sprintf("%09d.%03d", us/1000, us%1000)[within:])
		}
		n += copied
	}
	return n, nil
}

// watching counts samples and looks at the memory at every batch.
type watching struct {
	discarding
	last    sample.Sample
	largest uint64
	batches int
}

func (w *watching) Batch(b *sample.Batch) error {
	w.samples += len(b.Samples)
	w.last = b.Samples[len(b.Samples)-1]
	if w.batches++; w.batches%64 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.largest = max(w.largest, m.HeapAlloc)
	}
	return nil
}

// The size of a file makes no difference to the memory.
func TestA8LargeFileInBoundedMemory(t *testing.T) {
	const bound = 16 << 20
	table := newEndlessTable(256 << 20)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var sink watching
	if err := New(format.Settings{}).Read(t.Context(), table, table.size(), &sink); err != nil {
		t.Fatal(err)
	}
	if want := int(table.rows) * 100; sink.samples != want || sink.problems > 0 {
		t.Errorf("%d samples, want %d, %d problems", sink.samples, want, sink.problems)
	}
	if want := (table.rows - 1) * 50_000; sink.last.Time != want || sink.last.Value != 1099.25 {
		t.Errorf("the last sample is %+v, want time %d", sink.last, want)
	}
	if sink.largest > before.HeapAlloc+bound {
		t.Errorf("%d MiB of heap for %d MiB", (sink.largest-before.HeapAlloc)>>20, table.size()>>20)
	}
}

// Rows that are damaged beyond measure, one line of 200 MB, only quotes, only
// separators: all in bounded memory and in the end.
func TestA8MonstersInBoundedMemory(t *testing.T) {
	for name, pattern := range map[string]string{
		"a line without end": "x", "quotes": "\"", "opened quotes": ",\"", "open quotes in lines": "\"\n", "separators": ",", "lines": "\n",
		"returns": "\r", "quotes and returns": "\"\"\r\n,", "rows of quotes": "\"a\n", "a nought": "\x000\n,",
	} {
		file := repeated{head: "Time,RPM\n0.5,1000\n", pattern: pattern, length: 24 << 20}
		var sink watching
		if err := New(format.Settings{}).Read(t.Context(), file, file.length, &sink); err != nil {
			t.Logf("%s: %v", name, err)
		}
		if sink.largest > 64<<20 {
			t.Errorf("%s: %d MiB", name, sink.largest>>20)
		}
	}
}

type repeated struct {
	head, pattern string
	length        int64
}

func (r repeated) ReadAt(p []byte, at int64) (int, error) {
	n := 0
	for ; n < len(p) && at+int64(n) < r.length; n++ {
		i := at + int64(n)
		if i < int64(len(r.head)) {
			p[n] = r.head[i]
		} else {
			p[n] = r.pattern[(i-int64(len(r.head)))%int64(len(r.pattern))]
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
