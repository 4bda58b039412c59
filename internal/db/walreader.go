package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// The WAL, as https://sqlite.org/walformat.html describes it.
const (
	walSuffix = "-wal"
	shmSuffix = "-shm"

	walMagic       = 0x377f0682 // sums of little-endian words; the next number: of big-endian ones
	walVersion     = 3007000
	walHeaderSize  = 32
	walFrameHeader = 24
)

// walSum is the sum that runs through a WAL (4.1).
type walSum [2]uint32

// add takes more bytes in, a multiple of 8.
func (s walSum) add(order binary.ByteOrder, data []byte) walSum {
	s0, s1 := s[0], s[1]
	if order == binary.LittleEndian { // without the calls: this is nearly always so
		for ; len(data) >= 8; data = data[8:] {
			s0 += binary.LittleEndian.Uint32(data) + s1
			s1 += binary.LittleEndian.Uint32(data[4:]) + s0
		}
		return walSum{s0, s1}
	}
	for ; len(data) >= 8; data = data[8:] {
		s0 += order.Uint32(data) + s1
		s1 += order.Uint32(data[4:]) + s0
	}
	return walSum{s0, s1}
}

// walFrame is a frame as it was found.
type walFrame struct {
	page, commit uint32 // commit: pages of the database then; 0 within a transaction
	salted       bool   // it has the header's salts: it is of this generation
	linked       bool   // its sum continues that of the frame before
	proven       bool   // its content is right, though SQLite may not see it
	mended       []byte // its content, where the file has another
	other        uint32 // the page that it may be of instead; 0: none
}

// good reports whether SQLite would take the frame after good ones.
func (f walFrame) good() bool { return f.salted && f.linked && f.page > 0 }

// walReader reads a WAL frame by frame.
type walReader struct {
	file   *os.File
	order  binary.ByteOrder
	size   int // of a page
	total  int // frames that there is room for
	limit  uint32
	headed bool // the header is sound
	salts  [8]byte
	before [2]walSum // what the next sum may continue: as stored, as computed
	frames []walFrame
	mends  int // how many frames were worth the trouble so far
	buf    []byte
}

// maxMends bounds the time spent on a WAL that is damaged all over.
const maxMends = 16

// newWALReader gives nil for a WAL without frames.
func newWALReader(file *os.File, bytes int64, hints walHints) *walReader {
	head := make([]byte, walHeaderSize)
	if _, err := file.ReadAt(head, 0); err != nil {
		return nil
	}
	r := &walReader{file: file, order: binary.LittleEndian, size: hints.pageSize}
	magic := number(head, 0)
	if magic == walMagic+1 {
		r.order = binary.BigEndian
	}
	computed := walSum{}.add(r.order, head[:24])
	r.before = [2]walSum{{number(head, 24), number(head, 28)}, computed}
	r.headed = (magic == walMagic || magic == walMagic+1) && number(head, 4) == walVersion &&
		validPageSize(int(number(head, 8))) != 0 && r.before[0] == computed
	r.salts = [8]byte(head[16:24])
	if r.headed {
		r.size = validPageSize(int(number(head, 8)))
	}
	r.buf = make([]byte, walFrameHeader+r.size)
	r.total = int((bytes - walHeaderSize) / int64(len(r.buf)))
	if r.total == 0 {
		return nil
	}
	r.limit = hints.pages + uint32(r.total)
	if !r.headed {
		if hints.index.frames > 0 {
			r.salts = hints.index.salts
		} else if _, err := file.ReadAt(r.salts[:], walHeaderSize+8); err != nil {
			return nil
		}
	}
	return r
}

func (r *walReader) offset(i int) int64 { return walHeaderSize + int64(i)*int64(len(r.buf)) }

func (r *walReader) readAll() {
	for i := range r.total {
		if _, err := r.file.ReadAt(r.buf, r.offset(i)); err != nil {
			if errors.Is(err, io.EOF) {
				return
			}
			clear(r.buf) // the disk cannot read it: nothing continues it
		}
		r.frames = append(r.frames, r.frame())
	}
}

func (r *walReader) frame() walFrame {
	f := walFrame{page: number(r.buf, 0), commit: number(r.buf, 4), salted: [8]byte(r.buf[8:16]) == r.salts}
	stored := walSum{number(r.buf, 16), number(r.buf, 20)}
	sum := r.before[0].add(r.order, r.buf[:8]).add(r.order, r.buf[walFrameHeader:])
	f.linked = stored == sum
	if !f.linked && r.before[1] != r.before[0] {
		// Perhaps only the sum of the frame before was damaged.
		other := r.before[1].add(r.order, r.buf[:8]).add(r.order, r.buf[walFrameHeader:])
		if stored == other {
			f.linked, sum = true, other
			if last := len(r.frames) - 1; last >= 0 {
				r.frames[last].proven = true
			}
		}
	}
	f.proven = f.linked
	if !f.linked && f.salted && r.mends < maxMends {
		r.mends++
		r.mend(&f, walSum{stored[0] - sum[0], stored[1] - sum[1]})
	}
	r.before = [2]walSum{stored, sum}
	return f
}

// mend undoes the damage of a single byte of a frame, or of one field of its
// header. above is what the stored sum is above the computed one.
func (r *walReader) mend(f *walFrame, above walSum) {
	content := bytes.Clone(r.buf[walFrameHeader:])
	places, at, right := explain(content, r.order, above)
	commit, page := walSum{0, 1}, walSum{1, 1}
	for range r.size / 8 {
		commit, page = earlier(commit), earlier(page)
	}
	field := func(at int, factor walSum) (uint32, bool) {
		by, ok := quotient(above, factor)
		var word [4]byte
		r.order.PutUint32(word[:], r.order.Uint32(r.buf[at:])+by)
		v := number(word[:], 0)
		return v, ok && v <= r.limit
	}
	n, maybePage := field(0, page)
	c, maybeCommit := field(4, commit)
	maybePage = maybePage && n > 0
	switch {
	case places == 0 && maybePage && !maybeCommit:
		f.page, f.proven = n, true
	case places == 0 && maybeCommit && !maybePage:
		f.commit, f.proven = c, true
	case places == 1 && !maybePage && !maybeCommit && above[0] != 0 && above[1] != 0:
		r.order.PutUint32(content[at:], right)
		f.mended, f.proven = content, true
	case maybePage:
		f.other = n
	}
}

// run is the frame behind the good ones that begin with frame i.
func (r *walReader) run(i int) int {
	for i < len(r.frames) && r.frames[i].good() {
		i++
	}
	return i
}

// broken lists the frames that are not good among the first.
func (r *walReader) broken(last int) (broken []int) {
	for i, f := range r.frames[:last] {
		if !f.good() {
			broken = append(broken, i)
		}
	}
	return broken
}

// proven goes on behind the good frames at the beginning as long as a later
// one proves that they were committed: each commit was flushed before the next
// transaction wrote a frame. What an interrupted or failed transaction left
// behind ends with its own commit, if it has one.
func (r *walReader) proven(intact int) (last int, broken []int) {
	for last = intact; ; {
		proof, whole := -1, true
		for c := last; c < len(r.frames) && proof < 0; c++ {
			f := r.frames[c]
			whole = whole && f.proven
			followed := c+1 < len(r.frames) && r.frames[c+1].good() && (c == last || f.proven)
			if f.commit > 0 && (whole || followed) {
				proof = c
			}
		}
		if proof < 0 {
			return last, broken
		}
		for i := last; i <= proof; i++ {
			if !r.frames[i].good() {
				broken = append(broken, i)
			}
		}
		last = r.run(proof + 1)
	}
}
