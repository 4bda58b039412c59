package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// The database file, as https://sqlite.org/fileformat2.html describes it.
const (
	// magic begins every SQLite file (1.3).
	magic = "SQLite format 3\x00"
	// usualPageSize is what this program's databases have: SQLite's default.
	usualPageSize = 4096
	headerSize    = 100
	// lockByte lies in a page that SQLite never uses (1.4).
	lockByte = 1 << 30

	reserveAt  = 20 // bytes kept free at the end of each page
	countAt    = 28 // pages of the file
	freeAt     = 32 // first page of the list of free ones
	freeSizeAt = 36
	versionAt  = 60 // PRAGMA user_version
	ownerAt    = 68 // PRAGMA application_id
)

// sumSize is the length of a page's sum, which lies in the bytes that the
// header reserves at the page's end (https://sqlite.org/cksumvfs.html).
const sumSize = 8

// pageSum is the sum of a whole page, of which its last bytes are no part.
func pageSum(page []byte) (sum [sumSize]byte) {
	var s1, s2 uint32
	for p := page[:len(page)-sumSize]; len(p) >= 8; p = p[8:] {
		s1 += binary.LittleEndian.Uint32(p) + s2
		s2 += binary.LittleEndian.Uint32(p[4:]) + s1
	}
	binary.LittleEndian.PutUint32(sum[:4], s1)
	binary.LittleEndian.PutUint32(sum[4:], s2)
	return sum
}

// summed reports whether the page has the sum that its end says.
func summed(page []byte) bool {
	return pageSum(page) == [sumSize]byte(page[len(page)-sumSize:])
}

// blank reports whether there are only zeros, whose sum is zero.
func blank(page []byte) bool {
	return len(page) == 0 || page[0] == 0 && bytes.Equal(page[1:], page[:len(page)-1])
}

// pageSizeOf reads the size of pages from a header, 0 where it is none.
func pageSizeOf(header []byte) int {
	if len(header) < headerSize || !bytes.HasPrefix(header, []byte(magic)) {
		return 0
	}
	return validPageSize(int(binary.BigEndian.Uint16(header[16:])))
}

func validPageSize(size int) int {
	if size == 1 {
		size = 1 << 16
	}
	if size < 512 || size > 1<<16 || size&(size-1) != 0 {
		return 0
	}
	return size
}

func number(page []byte, at int) uint32 { return binary.BigEndian.Uint32(page[at:]) }

// Why a page cannot be read.
var (
	errSum     = errors.New("its checksum does not match its content")
	errBeyond  = errors.New("it lies beyond the end of the file")
	errFrame   = errors.New("its newest state was in a damaged part of the WAL")
	errNoSense = errors.New("its content makes no sense")
	// Why it can be read all the same.
	errMended   = errors.New("one byte was damaged; its checksum told which, and what it was")
	errDoubtful = errors.New("its checksum does not match its content, as after another program has written it: it is taken as it is where it makes sense")
)

// pages reads the pages of a database as its last commit left them: from the
// WAL where they are there, else from the main file.
type pages struct {
	main  *os.File // nil where the file is missing
	bytes int64    // of main
	wal   *wal
	size  int
	// reserve is what is kept free at the end of each page: sumSize where the
	// pages have sums.
	reserve int
	count   uint32 // pages of the database
	// doubtful pages have a wrong sum and are taken as they are, if they make
	// sense: a program that keeps no sums may have written them.
	doubtful map[uint32]bool
}

func (p *pages) usable() int { return p.size - p.reserve }

func (p *pages) sums() bool { return p.reserve == sumSize }

// offset is where the page begins in the main file.
func (p *pages) offset(n uint32) int64 { return int64(n-1) * int64(p.size) }

// isLockByte reports whether the page is the one that SQLite leaves alone.
func (p *pages) isLockByte(n uint32) bool { return int64(n) == lockByte/int64(p.size)+1 }

// read gives a page that is known to be right, or why there is none.
func (p *pages) read(n uint32) ([]byte, error) {
	if n < 1 || n > p.count {
		return nil, fmt.Errorf("page %d is not one of the %d of the database", n, p.count)
	}
	page := make([]byte, p.size)
	if _, ok := p.wal.frames[n]; ok {
		return page, p.wal.read(n, page)
	}
	if p.wal.lost[n] {
		return nil, errFrame
	}
	if p.main == nil || p.offset(n+1) > p.bytes {
		return nil, errBeyond
	}
	if _, err := p.main.ReadAt(page, p.offset(n)); err != nil {
		return nil, err
	}
	if p.sums() && !summed(page) && !mend(page) && !p.doubtful[n] {
		return nil, errSum
	}
	return page, nil
}

func (p *pages) close() {
	if p.main != nil {
		_ = p.main.Close()
	}
	if p.wal != nil && p.wal.file != nil {
		_ = p.wal.file.Close()
	}
}

// elsewhere reports whether the main file's page does not count, or never will.
func (p *pages) elsewhere(n uint32) bool {
	_, inWAL := p.wal.frames[n]
	return inWAL || p.wal.lost[n] || n > p.count || p.isLockByte(n)
}

// scan is what one pass over the main file finds, by itself, without the WAL.
type scan struct {
	bad   spans // pages with a wrong sum, if they have sums, or unreadable ones
	zero  spans // blank pages
	right int   // pages with a sum that is right and not zero
	whole int64 // pages, without a rest
	fault error // the first failure of the disk
}

// scanChunk is read at once.
const scanChunk = 1 << 20

func scanFile(file *os.File, bytes int64, size int) scan {
	s := scan{whole: bytes / int64(size)}
	if file == nil {
		return s
	}
	chunk := make([]byte, max(scanChunk, size))
	for at := int64(0); at < s.whole*int64(size); {
		part := chunk[:min(int64(len(chunk)), s.whole*int64(size)-at)]
		n, err := file.ReadAt(part, at)
		n -= n % size
		first := uint32(at/int64(size)) + 1
		for i := 0; i < n; i += size {
			s.page(first+uint32(i/size), part[i:i+size])
		}
		at += int64(n)
		if n < len(part) && at < s.whole*int64(size) { // the disk cannot read this page
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if s.fault == nil {
				s.fault = err
			}
			s.bad.add(uint32(at/int64(size)) + 1)
			at += int64(size)
		}
	}
	return s
}

func (s *scan) page(n uint32, page []byte) {
	switch {
	case !summed(page):
		s.bad.add(n)
	case [sumSize]byte(page[len(page)-sumSize:]) != [sumSize]byte{} || !blank(page):
		s.right++
	default:
		s.zero.add(n)
	}
}

// spans are ranges of page numbers in ascending order.
type spans [][2]uint32

func (s *spans) add(n uint32) {
	if last := len(*s) - 1; last >= 0 && (*s)[last][1] == n-1 {
		(*s)[last][1] = n
		return
	}
	*s = append(*s, [2]uint32{n, n})
}

// without leaves out the pages for which drop is true.
func (s spans) without(drop func(uint32) bool) (rest spans) {
	for _, span := range s {
		for n := span[0]; n <= span[1] && n != 0; n++ {
			if !drop(n) {
				rest.add(n)
			}
		}
	}
	return rest
}

func (s spans) len() (pages int64) {
	for _, span := range s {
		pages += int64(span[1]-span[0]) + 1
	}
	return pages
}
