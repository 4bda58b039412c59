package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// found is a database as it lies on the disk.
type found struct {
	pages    *pages
	scan     scan
	first    []byte // what the main file begins with, up to a page
	header   []byte // page 1; nil where it cannot be read
	blank    bool   // there is nothing yet
	foreign  bool   // another program may have written the file
	problems []Problem
}

// inspect looks at the files before SQLite does. It refuses what is not
// dynotap's, and finds the damage that SQLite would find only when it meets it,
// or never: a page that is not what was written, an end that is missing, a WAL
// that it would drop or apply in part. The files stay open until close.
func inspect(path string, before mark, fsync bool) (*found, error) {
	f := &found{pages: &pages{wal: &wal{}, size: usualPageSize}}
	if err := f.look(path, before, fsync); err != nil {
		f.pages.close()
		return nil, err
	}
	return f, nil
}

func (f *found) look(path string, before mark, fsync bool) error {
	p := f.pages
	if err := f.openMain(path); err != nil {
		return err
	}
	f.scan = scanFile(p.main, p.bytes, p.size)
	if f.scan.fault != nil && f.scan.right == 0 {
		return fmt.Errorf("%w: %w", ErrIO, f.scan.fault)
	}
	index, shared := readWALIndex(path + shmSuffix)
	var err error
	p.wal, err = readWAL(path+walSuffix, walHints{
		pageSize: p.size, pages: uint32(f.scan.whole), synced: before.synced(fsync), used: before.WAL, index: index,
	})
	if err != nil {
		return err
	}
	if err := f.checkOwner(before); err != nil {
		return err
	}
	if p.bytes == 0 && p.wal.count == 0 && !before.Exists {
		f.blank = true
		return nil
	}
	if before.WAL { // a program that merges the WAL removes both files
		f.foreign = p.wal.file == nil && !shared
	} else {
		f.foreign = !before.knows(p.main)
	}
	if err := f.readHeader(); err != nil {
		return err
	}
	f.checkFiles(before)
	f.checkPages()
	return nil
}

// openMain opens the main file and reads its first page.
func (f *found) openMain(path string) (err error) {
	p := f.pages
	p.main, err = os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		p.main = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	info, err := p.main.Stat()
	if err != nil {
		return fmt.Errorf("ask for the size of the database: %w", err)
	}
	p.bytes = info.Size()
	for {
		f.first = make([]byte, min(p.bytes, int64(p.size)))
		n, err := p.main.ReadAt(f.first, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			n = 0 // the scan tells
		}
		f.first = f.first[:n]
		if p.size == usualPageSize && len(f.first) == p.size && !summed(f.first) {
			mend(f.first)
		}
		size := pageSizeOf(f.first)
		if size == 0 || size == p.size {
			return nil
		}
		p.size = size
	}
}

// checkOwner refuses what may be somebody else's file.
func (f *found) checkOwner(before mark) error {
	switch {
	case f.firstStands():
		page := f.first
		empty := number(page, versionAt) == 0 && page[headerSize] == leafTable && binary.BigEndian.Uint16(page[headerSize+3:]) == 0
		if owner := number(page, ownerAt); owner != applicationID && (owner != 0 || !empty) {
			return errForeign("it is the database of another program")
		}
	case f.pages.bytes == 0, f.scan.right > 0, f.scan.whole == f.scan.zero.len() && blank(f.first):
	case f.pages.wal.frames[1] != 0: // it was cut off while it was merged
	case len(f.first) >= headerSize && number(f.first, ownerAt) == applicationID:
	case before.Exists && len(f.first) < headerSize && bytes.HasPrefix([]byte(magic), f.first[:min(len(f.first), len(magic))]):
	default:
		return errForeign("it does not begin like a SQLite file (offset 0)")
	}
	return nil
}

// firstStands reports whether the main file's first page is what was written.
// Without sums there is no telling, so that it is believed.
func (f *found) firstStands() bool {
	if len(f.first) < f.pages.size || pageSizeOf(f.first) == 0 {
		return false
	}
	if f.first[reserveAt] == sumSize {
		return summed(f.first)
	}
	return f.scan.right == 0
}

// firstMakesSense reports whether a program that keeps no sums may have left
// the first page as it is.
func (f *found) firstMakesSense() bool {
	page := f.first
	if len(page) < f.pages.size || pageSizeOf(page) == 0 || number(page, ownerAt) != applicationID {
		return false
	}
	newest, err := SchemaVersion()
	version := int(number(page, versionAt))
	return err == nil && version >= 1 && version <= newest && page[reserveAt] == sumSize &&
		number(page, countAt) <= uint32(f.scan.whole)+uint32(len(f.pages.wal.frames))
}

// errForeign says why a file is left alone, and what to do about it.
func errForeign(why string) error {
	return fmt.Errorf("%w: %s; nothing was changed: move the file away, or choose another directory with --data", ErrCorrupt, why)
}

// readHeader finds out what page 1 says as of the last commit.
func (f *found) readHeader() error {
	p := f.pages
	p.count = uint32(f.scan.whole)
	if p.bytes > f.scan.whole*int64(p.size) {
		p.count++
	}
	if _, ok := p.wal.frames[1]; ok {
		page := make([]byte, p.size)
		if err := p.wal.read(1, page); err != nil {
			return fmt.Errorf("%w: %w", ErrIO, err)
		}
		f.header = page
	} else if !p.wal.lost[1] && (f.firstStands() || f.foreign && f.firstMakesSense()) {
		f.header = f.first
	}
	if f.header != nil {
		p.reserve = int(f.header[reserveAt])
		if n := number(f.header, countAt); n != 0 && number(f.header, 24) == number(f.header, 92) {
			p.count = n
		}
	} else if f.scan.right > 0 || len(f.first) <= reserveAt || f.first[reserveAt] == sumSize {
		p.reserve = sumSize
	}
	if p.wal.count != 0 {
		p.count = p.wal.count
	}
	return nil
}

// checkFiles looks for what is missing, and what the WAL tells.
func (f *found) checkFiles(before mark) {
	p := f.pages
	switch {
	case p.main == nil:
		f.problem(FileName, 0, 0, "it is missing")
	case p.bytes == 0:
		f.problem(FileName, 0, 0, "it is empty")
	case f.header == nil:
		f.problem(FileName, 1, 1, "the first page is damaged")
	}
	if p.wal.file == nil && before.WAL {
		f.problem(FileName+walSuffix, 0, 0, "it is missing: what was committed since the last checkpoint is lost, "+
			"unless another program has written it into "+FileName)
	}
	if p.wal.unsure && p.mergedWAL() {
		return
	}
	f.problems = append(f.problems, p.wal.problems...)
}

// mergedWAL reports whether all that the WAL holds is in the main file.
func (p *pages) mergedWAL() bool {
	inMain, inWAL := make([]byte, p.size), make([]byte, p.size)
	for n := range p.wal.frames {
		if p.main == nil {
			return false
		}
		_, err1 := p.main.ReadAt(inMain, p.offset(n))
		err2 := p.wal.read(n, inWAL)
		if err1 != nil || err2 != nil || !bytes.Equal(inMain[:p.usable()], inWAL[:p.usable()]) {
			return false
		}
	}
	return len(p.wal.lost) == 0
}

// checkPages looks for pages that are not what was written.
func (f *found) checkPages() {
	p := f.pages
	bad := f.scan.bad.without(p.elsewhere)
	zero := f.scan.zero.without(p.elsewhere)
	var missing spans
	for n := uint32(f.scan.whole) + 1; n <= p.count; n++ {
		if !p.elsewhere(n) {
			missing.add(n)
		}
	}
	if f.header == nil {
		known := func(n uint32) bool { return n == 1 }
		f.checkSums(bad.without(known))
		f.problemSpans(missing.without(known), errBeyond)
		return
	}
	doubtful := f.checkSums(bad)
	walk := !p.sums() || doubtful
	if len(missing)+len(zero) > 0 {
		w := newWalker(p)
		w.freeList(f.header) // what was never written is free, or it was
		free := func(n uint32) bool { return w.seen[n] }
		f.problemSpans(missing.without(free), errBeyond)
		walk = walk || len(zero.without(free)) > 0
	}
	if walk {
		f.walk()
	}
}

// checkSums tells pages apart that have a wrong sum. It reports whether some
// are only doubtful.
func (f *found) checkSums(bad spans) bool {
	p := f.pages
	if !p.sums() {
		return false
	}
	p.doubtful = map[uint32]bool{}
	var mended, lost, foreign spans
	for _, span := range bad {
		for n := span[0]; n <= span[1] && n != 0; n++ {
			page := make([]byte, p.size)
			_, err := p.main.ReadAt(page, p.offset(n))
			switch {
			case err == nil && mend(page):
				mended.add(n)
			case err == nil && f.foreign:
				foreign.add(n)
				p.doubtful[n] = true
			default:
				lost.add(n)
			}
		}
	}
	f.problemSpans(mended, errMended)
	f.problemSpans(lost, errSum)
	f.problemSpans(foreign, errDoubtful)
	return len(foreign) > 0
}

// walk reads all that hangs together, and notes what does not.
func (f *found) walk() {
	w := newWalker(f.pages)
	w.problem = func(page uint32, what string) {
		if !covered(f.problems, page) || f.pages.doubtful[page] {
			f.problem(FileName, page, 1, what)
		}
	}
	for _, t := range w.schema() {
		_ = w.walk(t) // its rows go nowhere
	}
	w.freeList(f.header)
}

func (f *found) problem(file string, page, count uint32, what string) {
	p := Problem{File: file, Page: page, Pages: count, What: what}
	if file == FileName {
		p = f.problemAt(page, what)
		p.Pages = count
	}
	f.problems = append(f.problems, p)
}

// problemAt is one page of the main file, or the whole of it.
func (f *found) problemAt(page uint32, what string) Problem {
	p := Problem{File: FileName, Page: page, Pages: min(page, 1), What: what}
	if page > 0 {
		p.Offset = f.pages.offset(page)
	}
	return p
}

func (f *found) problemSpans(s spans, why error) {
	for _, span := range s {
		f.problem(FileName, span[0], span[1]-span[0]+1, why.Error())
	}
}
