package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// wal is what the WAL adds to the main file.
type wal struct {
	file   *os.File // nil where there is none
	bytes  int64
	frames map[uint32]int64  // where in the file the newest state of a page begins
	mended map[uint32][]byte // the newest state where the file has another
	lost   map[uint32]bool   // pages whose newest state is unreadable
	count  uint32            // pages of the database at the last commit; 0: no commit

	problems []Problem
	// unsure: the header is damaged, and what follows it may long be in the
	// main file.
	unsure bool
}

// walHints is what is known about a WAL from elsewhere.
type walHints struct {
	pageSize int
	pages    uint32 // of the main file
	synced   bool   // each of its commits was flushed to the disk before the next
	used     bool   // it had commits when it was last left
	index    walIndex
}

// readWAL reads a WAL to its end. As SQLite does, it takes a WAL that stops
// making sense for one whose last transaction was interrupted, unless there is
// proof that what follows was committed.
func readWAL(path string, hints walHints) (*wal, error) {
	w := &wal{frames: map[uint32]int64{}, mended: map[uint32][]byte{}, lost: map[uint32]bool{}}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open WAL: %w", err)
	}
	w.file = file
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask for the size of the WAL: %w", err), file.Close())
	}
	w.bytes = info.Size()
	r := newWALReader(file, w.bytes, hints)
	if r == nil {
		if hints.used || hints.index.frames > 0 {
			w.problem(0, 0, fmt.Sprintf("it has %d bytes, but commits were in it", w.bytes))
		}
		return w, nil
	}
	r.readAll()
	w.judge(r, hints)
	return w, nil
}

func (w *wal) problem(offset int64, page uint32, what string) {
	w.problems = append(w.problems, Problem{File: FileName + walSuffix, Offset: offset, Page: page, Pages: min(page, 1), What: what})
}

// judge decides which frames count.
func (w *wal) judge(r *walReader, hints walHints) {
	intact := r.run(0)
	last, broken := intact, []int(nil)
	known := 0
	if hints.index.frames > 0 && (!r.headed || hints.index.salts == r.salts) {
		known = hints.index.frames
	}
	switch {
	case known > intact:
		last = min(known, len(r.frames))
		broken = r.broken(last)
	case hints.synced:
		last, broken = r.proven(intact)
	}
	if !r.headed {
		if intact == 0 && known == 0 && !hints.used {
			return // interrupted while it was written for the first frames of all
		}
		w.problem(0, 0, "its header is damaged")
		w.unsure = known == 0
	}
	knowable := hints.synced && known <= len(r.frames)
	for _, i := range broken {
		f := r.frames[i]
		what := fmt.Sprintf("frame %d is damaged", i+1)
		if f.mended != nil {
			what = fmt.Sprintf("frame %d: %v", i+1, errMended)
		}
		w.problem(r.offset(i), f.page, what)
		knowable = knowable && f.page > 0 && f.page <= r.limit && (f.salted || f.proven)
	}
	if known > len(r.frames) {
		w.problem(r.offset(len(r.frames)), 0, fmt.Sprintf("it ends after frame %d of %d", len(r.frames), known))
	}
	if !knowable && (len(broken) > 0 || known > len(r.frames)) {
		// It is not known which pages are lost, so that only the state before
		// all that is whole.
		w.problem(r.offset(intact), 0, "what was committed after this place is lost")
		last = intact
	}
	w.apply(r, last, known, hints.index)
}

// apply takes the first frames up to the last commit in them.
func (w *wal) apply(r *walReader, last, known int, index walIndex) {
	done := 0
	for i := range last {
		f := r.frames[i]
		commit := f.commit
		if i == known-1 && !f.proven {
			commit = index.pages
		}
		if commit == 0 {
			continue
		}
		for ; done <= i; done++ {
			g := r.frames[done]
			if g.proven {
				w.frames[g.page] = r.offset(done) + walFrameHeader
				w.mended[g.page] = g.mended
				delete(w.lost, g.page)
			} else {
				w.lose(g.page)
				w.lose(g.other)
			}
		}
		w.count = commit
	}
	for n := range w.frames {
		if n > w.count {
			delete(w.frames, n)
		}
	}
	for n := range w.lost {
		if n > w.count {
			delete(w.lost, n)
		}
	}
}

func (w *wal) lose(page uint32) {
	if page > 0 {
		delete(w.frames, page)
		w.lost[page] = true
	}
}

// read gives the newest state of a page that is in the WAL.
func (w *wal) read(n uint32, page []byte) error {
	if mended := w.mended[n]; mended != nil {
		copy(page, mended)
		return nil
	}
	_, err := w.file.ReadAt(page, w.frames[n])
	return err
}

// walIndex is what the shared memory of the last process tells about the WAL.
// SQLite writes it with each commit; it is never flushed, so that it is there
// after the death of a process and may be anything after a power cut.
type walIndex struct {
	frames int // with which the last commit ended; 0: nothing is known
	pages  uint32
	salts  [8]byte
}

// readWALIndex reads the header of the file beside the WAL
// (https://sqlite.org/walformat.html, 2.1).
func readWALIndex(path string) (x walIndex, found bool) {
	file, err := os.Open(path)
	if err != nil {
		return x, false
	}
	defer file.Close()
	head := make([]byte, 96)
	if _, err := file.ReadAt(head, 0); err != nil || [48]byte(head) != [48]byte(head[48:]) {
		return x, true
	}
	le := binary.LittleEndian
	sum := walSum{le.Uint32(head[40:]), le.Uint32(head[44:])}
	if le.Uint32(head) != walVersion || head[12] != 1 || (walSum{}).add(le, head[:40]) != sum {
		return x, true
	}
	return walIndex{frames: int(le.Uint32(head[16:])), pages: le.Uint32(head[20:]), salts: [8]byte(head[32:40])}, true
}
