package text

import (
	"bytes"
	"errors"
	"io"
)

// MaxRow is how long a row may be, in bytes of UTF-8. What is longer is not
// kept: see Rows.Long.
const MaxRow = 1 << 20

// The buffer is small for a small text and grows to what is read at a time of a
// large one, in bytes.
const (
	firstBuffer = 16 << 10
	fullBuffer  = 256 << 10
)

// errNoProgress is a reader that gives neither bytes nor an error.
var errNoProgress = errors.New("the file gives no bytes")

// Rows gives the rows of a text one by one. A line ends with LF, CR LF or CR;
// the last may have no end. A quoted cell may go over line ends. Memory is
// bounded by MaxRow, whatever the text is. It is for one goroutine.
type Rows struct {
	r         io.Reader
	delimiter byte
	err       error // of r; io.EOF at its end

	buf        []byte
	start, end int    // of what is read and not yet given away
	noLF       [2]int // no LF lies between these two; the second may be one

	raw   int // length of the row without its line end
	next  int // where the next row begins, from start
	line  int64
	lines int64 // physical lines of the row
	long  bool
	ended bool
	quote bool

	cells    [][]byte
	unquoted []byte
}

// NewRows reads the rows of UTF-8 text (see Open), whose cells are separated by
// the delimiter.
func NewRows(r io.Reader, delimiter byte) *Rows {
	return &Rows{r: r, delimiter: delimiter, buf: make([]byte, firstBuffer)}
}

// Next goes to the next row, empty lines included, and reports false at the end
// of the text or when it cannot be read.
func (r *Rows) Next() bool {
	if r.long {
		r.skipLine()
	}
	r.start += r.next
	r.line += r.lines
	r.raw, r.next, r.lines, r.long, r.ended = 0, 0, 0, false, false
	end, next, ok := r.lineFrom(0)
	if !ok {
		return false
	}
	r.lines = 1
	r.raw, r.next, r.ended = end, next, next > end
	if r.line == 0 {
		r.line = 1
	}
	r.quote = bytes.IndexByte(r.Raw(), '"') >= 0
	if r.quote && !r.long {
		r.joinQuoted()
	}
	return true
}

// Line is the number of the row's first line, from 1.
func (r *Rows) Line() int64 { return r.line }

// Raw is the row as it stands, without its line end. It is valid until the next
// call of Next.
func (r *Rows) Raw() []byte { return r.buf[r.start : r.start+r.raw] }

// Long reports whether the line is longer than MaxRow. Raw and Cells give its
// beginning then; the rest of the line is skipped.
func (r *Rows) Long() bool { return r.long }

// Ended reports whether a line end follows the row; only the last row of a text
// may have none.
func (r *Rows) Ended() bool { return r.ended }

// Quoted reports whether the row has a quote anywhere. A row without one can be
// cut at its delimiters as it stands.
func (r *Rows) Quoted() bool { return r.quote }

// Err is why reading stopped before the end of the text.
func (r *Rows) Err() error {
	if r.err == nil || errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// Cells gives the cells of the row, without the blanks around them and without
// their quotes. They are valid until the next call of Next or Cells.
func (r *Rows) Cells() [][]byte {
	r.cells, r.unquoted = r.cells[:0], r.unquoted[:0]
	row := r.Raw()
	for at := 0; ; {
		cell, end := r.cellAt(row, at)
		r.cells = append(r.cells, cell)
		if end >= len(row) {
			return r.cells
		}
		at = end + 1
	}
}

// SetDelimiter changes the delimiter from the current row on. Where quoted cells
// went over line ends was decided with the old one.
func (r *Rows) SetDelimiter(delimiter byte) { r.delimiter = delimiter }

// lineFrom finds the end of the line that begins at the offset from, and where
// the next one begins, both from start. It reports false where no line begins
// there any more.
func (r *Rows) lineFrom(from int) (end, next int, ok bool) {
	searched := from
	for {
		at, found := r.lineEnd(searched)
		switch {
		case !found:
		case r.buf[r.start+at] == '\n':
			return at, at + 1, true
		case r.start+at+1 < r.end:
			if r.buf[r.start+at+1] == '\n' {
				return at, at + 2, true
			}
			return at, at + 1, true
		}
		searched = r.end - r.start
		if found {
			searched = at // a CR at the end of what was read: does a LF follow?
		}
		if r.fill() {
			continue
		}
		have := r.end - r.start
		switch {
		case found:
			return at, at + 1, true
		case r.err == nil && have >= MaxRow:
			r.long = true
			return have, have, true
		}
		return have, have, have > from
	}
}

// lineEnd finds the first CR or LF at or after the offset from.
func (r *Rows) lineEnd(from int) (at int, ok bool) {
	begin := r.start + from
	// In a text whose lines end with CR alone, noLF keeps each line from looking
	// through the whole buffer for a LF.
	lf := begin
	if r.noLF[0] <= begin && begin <= r.noLF[1] {
		lf = r.noLF[1]
	} else {
		r.noLF[0] = begin
	}
	if i := bytes.IndexByte(r.buf[lf:r.end], '\n'); i >= 0 {
		lf += i
	} else {
		lf = r.end
	}
	r.noLF[1] = lf
	if i := bytes.IndexByte(r.buf[begin:lf], '\r'); i >= 0 {
		return from + i, true
	}
	return lf - r.start, lf < r.end
}

// fill reads more behind what is there, and reports false when nothing more can
// be had or the row would become longer than MaxRow.
func (r *Rows) fill() bool {
	if r.err != nil || r.end-r.start >= MaxRow {
		return false
	}
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.end -= r.start
		r.noLF[0], r.noLF[1] = max(0, r.noLF[0]-r.start), max(0, r.noLF[1]-r.start)
		r.start = 0
	}
	if r.end == len(r.buf) || r.line > 0 && len(r.buf) < fullBuffer {
		grown := make([]byte, min(4*len(r.buf), MaxRow))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		n, err := r.r.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	r.err = errNoProgress
	return false
}

// skipLine throws away the rest of a line that is too long.
func (r *Rows) skipLine() {
	r.next = 0
	for {
		r.start = r.end
		if !r.fill() {
			return
		}
		if at, ok := r.lineEnd(0); ok {
			// A CR at the very end of the buffer is looked at again, so that a LF
			// behind it does not count as a line of its own.
			r.start += at
			_, next, _ := r.lineFrom(0)
			r.next = next
			return
		}
	}
}
