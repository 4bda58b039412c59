package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// damaged is a row of the table.
type damaged struct {
	name    string
	crashed bool // the state after kill -9, with its WAL
	damage  func(t *testing.T, f files)
	problem string   // part of one; "": there is none to be told
	lossy   []string // tables that may lose rows
	earlier bool     // an earlier state may be found
	nothing bool     // nothing can be read
	foreign bool     // another program has written the file
}

// flip damages a byte: where the place is a multiple of 4 it can be mended.
func flip(n uint32, at int) func(*testing.T, files) {
	return func(_ *testing.T, f files) { f[FileName][int(n-1)*usualPageSize+at] ^= 0x10 }
}

func garble(n uint32, at int) func(*testing.T, files) {
	return func(_ *testing.T, f files) {
		for i := range 16 {
			f[FileName][int(n-1)*usualPageSize+at+i] ^= byte(16 + i)
		}
	}
}

// untouched makes the database look as if nobody had written it since it was
// closed.
func untouched(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, FileName)
	if m := readMark(filepath.Join(dir, LockName)); m.Time != 0 && exists(path) {
		check(t, os.Chtimes(path, time.Time{}, time.Unix(0, m.Time)))
	}
}

// resum gives a page the sum of what is on it.
func resum(page []byte) {
	sum := pageSum(page)
	copy(page[len(page)-sumSize:], sum[:])
}

func TestQ13Damage(t *testing.T) {
	t.Parallel()
	b := prepared(t)
	for _, c := range append(mainDamage(t, b), walDamage()...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, b)
		})
	}
}

func mainDamage(t *testing.T, b before) []damaged {
	t.Helper()
	f := b.clean
	pages := uint32(len(f[FileName]) / usualPageSize)
	cut := func(size int) func(*testing.T, files) {
		return func(_ *testing.T, f files) { f[FileName] = f[FileName][:size] }
	}
	zero := func(first, last uint32) func(*testing.T, files) {
		return func(_ *testing.T, f files) { clear(f[FileName][(first-1)*usualPageSize : last*usualPageSize]) }
	}
	because := func(why error) func(n uint32) string {
		return func(n uint32) string {
			return fmt.Sprintf("%s, page %d (offset %d): %v", FileName, n, (n-1)*usualPageSize, why)
		}
	}
	at, mended, doubtful := because(errSum), because(errMended), because(errDoubtful)
	all := slices.Collect(maps.Keys(b.cleanRows))
	inner, leaf := pageOf(t, f, queueTable, innerTable), pageOf(t, f, queueTable, leafTable)
	long, free, trunk := pageOf(t, f, queueTable, 0), pageOf(t, f, "free", 0), pageOf(t, f, "trunk", 0)
	key, set := pageOf(t, f, metaTable, leafIndex), pageOf(t, f, "channel_sets", innerIndex)
	chunk, index := pageOf(t, f, "chunks", innerTable), pageOf(t, f, "runs_by_capture", leafIndex)
	auto := pageOf(t, f, autoTable, leafTable)
	setLeaf := pageOf(t, f, "channel_sets", leafIndex)
	total := pageOf(t, f, totalsTable, leafIndex)
	return []damaged{
		{name: "sound", damage: func(*testing.T, files) {}},
		{name: "truncated at a page", damage: cut(int(pages-3) * usualPageSize), problem: fmt.Sprintf("pages %d to %d", pages-2, pages), lossy: all},
		{name: "truncated within a page", damage: cut(int(pages)*usualPageSize - 1000), problem: errBeyond.Error(), lossy: all},
		{name: "truncated to a half", damage: cut(int(pages/2) * usualPageSize), problem: errBeyond.Error(), lossy: all},
		{name: "truncated to one page", damage: cut(usualPageSize), problem: errBeyond.Error(), lossy: all},
		{name: "truncated to a part of the first page", damage: cut(1000), problem: "first page", lossy: all},
		{name: "truncated to a few bytes", damage: cut(10), problem: "first page", lossy: all},
		{name: "truncated to nothing", damage: cut(0), problem: "it is empty", lossy: all, nothing: true},
		{name: "removed", damage: func(_ *testing.T, f files) { delete(f, FileName) }, problem: "it is missing", lossy: all, nothing: true},
		{name: "flipped magic", damage: flip(1, 4), problem: "one byte"},
		{name: "flipped page size", damage: flip(1, 16), problem: "one byte"},
		{name: "flipped reserve", damage: func(_ *testing.T, f files) { f[FileName][reserveAt] = 0 }, problem: "one byte"},
		{name: "flipped version", damage: flip(1, versionAt), problem: "one byte"},
		{name: "flipped leaf of the queue", damage: flip(leaf, 3000), problem: mended(leaf)},
		{name: "flipped leaf of meta", damage: flip(key, 2000), problem: mended(key)},
		{name: "garbled magic", damage: garble(1, 0), problem: "first page"},
		{name: "garbled owner", damage: flip(1, ownerAt+3), problem: "first page"},
		{name: "garbled schema", damage: garble(1, 2000), problem: "first page"},
		{name: "zeroed first page", damage: zero(1, 1), problem: "first page"},
		{name: "garbled root of the queue", damage: garble(inner, 20), problem: at(inner)},
		{name: "garbled root of chunks", damage: garble(chunk, 20), problem: at(chunk)},
		{name: "garbled root of channel sets", damage: garble(set, 3000), problem: at(set), lossy: []string{"channel_sets"}},
		{name: "garbled leaf of the queue", damage: garble(leaf, 3000), problem: at(leaf), lossy: []string{queueTable}},
		{name: "garbled sum of a leaf", damage: flip(leaf, usualPageSize-1), problem: at(leaf), lossy: []string{queueTable}},
		{name: "garbled leaf of meta", damage: garble(key, 3000), problem: at(key), lossy: []string{metaTable}},
		{name: "garbled overflow page", damage: garble(long, 2000), problem: at(long), lossy: []string{queueTable}},
		{name: "garbled index", damage: garble(index, 2000), problem: at(index)},
		{name: "garbled totals", damage: garble(total, 4000), problem: at(total)},
		{name: "garbled sequence of chunks", damage: garble(auto, 4000), problem: at(auto)},
		{name: "garbled free page", damage: garble(free, 2000), problem: at(free)},
		{name: "garbled list of free pages", damage: garble(trunk, 6), problem: at(trunk)},
		{name: "written by another program, flipped leaf", foreign: true, damage: flip(leaf, 3000), problem: mended(leaf)},
		{name: "written by another program, garbled leaf", foreign: true, damage: garble(leaf, 3000), problem: doubtful(leaf), lossy: []string{queueTable}},
		{name: "written by another program, garbled overflow page", foreign: true, damage: garble(long, 2000), problem: doubtful(long), lossy: []string{queueTable}},
		{name: "written by another program, garbled channel set", foreign: true, damage: garble(setLeaf, 3000), problem: doubtful(setLeaf), lossy: []string{"channel_sets"}},
		{name: "written by another program, garbled cells", foreign: true, damage: garble(leaf, 12), problem: doubtful(leaf), lossy: []string{queueTable}},
		{name: "written by another program, garbled first page", foreign: true, damage: garble(1, 18), problem: "first page"},
		{name: "written by another program, zeroed leaf", foreign: true, damage: zero(leaf, leaf), problem: fmt.Sprintf("page %d ", leaf), lossy: []string{queueTable}},
		{name: "written by another program, something left over", foreign: true, damage: func(_ *testing.T, f files) {
			f[FileName][int(key-1)*usualPageSize+7] += 3
			f[FileName][int(key)*usualPageSize-1] ^= 0x80 // else that would be mended
		}, problem: "page of meta: " + errNoSense.Error(), lossy: []string{metaTable}},
		{name: "rewritten by another program", foreign: true, damage: vacuumWithoutSums, problem: "pages 1 to "},
		{name: "without a right sum", foreign: true, damage: func(_ *testing.T, f files) {
			for at := usualPageSize; at <= len(f[FileName]); at += usualPageSize {
				clear(f[FileName][at-sumSize : at])
			}
		}, problem: errDoubtful.Error()},
		{name: "zeroed free page", damage: zero(free, free)},
		{name: "zeroed leaf", damage: zero(leaf, leaf), problem: fmt.Sprintf("page %d ", leaf), lossy: []string{queueTable}},
		{name: "zeroed overflow page", damage: zero(long, long), problem: "row", lossy: []string{queueTable}},
		{name: "zeroed range", damage: zero(20, 60), problem: "page", lossy: all},
		{name: "zeroed all", damage: zero(1, pages), problem: "first page", lossy: all, nothing: true},
	}
}

func walDamage() []damaged {
	const wal = FileName + walSuffix
	const frame = walFrameHeader + usualPageSize
	in := func(i, at int) int { return walHeaderSize + i*frame + at }
	flipped := func(i, at int) func(*testing.T, files) {
		return func(_ *testing.T, f files) {
			if n := (len(f[wal]) - walHeaderSize) / frame; i < 0 {
				i += n
			}
			f[wal][in(i, at)] ^= 0x10
		}
	}
	remove := func(names ...string) func(*testing.T, files) {
		return func(_ *testing.T, f files) {
			for _, name := range names {
				delete(f, name)
			}
		}
	}
	both := func(fs ...func(*testing.T, files)) func(*testing.T, files) {
		return func(t *testing.T, f files) {
			t.Helper()
			for _, fn := range fs {
				fn(t, f)
			}
		}
	}
	forget := remove(LockName, FileName+shmSuffix)
	offset := func(i int) string { return fmt.Sprintf("(offset %d): frame %d is damaged", in(i, 0), i+1) }
	one := []string{queueTable, metaTable}
	return []damaged{
		{name: "WAL sound", crashed: true, damage: func(*testing.T, files) {}},
		{name: "WAL sound, nothing else known", crashed: true, damage: forget},
		{name: "WAL missing", crashed: true, damage: remove(wal), problem: wal + ": it is missing", earlier: true},
		{name: "WAL and shared memory missing", crashed: true, damage: remove(wal, FileName+shmSuffix), problem: wal + ": it is missing", earlier: true},
		{name: "WAL truncated to nothing", crashed: true, damage: func(_ *testing.T, f files) { f[wal] = nil }, problem: wal + ": it has 0 bytes", earlier: true},
		{name: "WAL truncated", crashed: true, damage: func(_ *testing.T, f files) { f[wal] = f[wal][:len(f[wal])/2] }, problem: "it ends after frame", earlier: true},
		{name: "WAL flipped page", crashed: true, damage: flipped(50, 2003), problem: offset(50), lossy: one},
		{name: "WAL flipped page number", crashed: true, damage: flipped(50, 3), problem: "is damaged", lossy: one},
		{name: "WAL flipped page number, mended", crashed: true, damage: flipped(50, 0), problem: "frame 51"},
		{name: "WAL flipped page, mended", crashed: true, damage: flipped(50, 2000), problem: "frame 51: one byte"},
		{name: "WAL flipped salt", crashed: true, damage: flipped(50, 9), problem: offset(50)},
		{name: "WAL flipped sum", crashed: true, damage: flipped(50, 17), problem: offset(50)},
		{name: "WAL flipped first page", crashed: true, damage: flipped(0, 2003), problem: offset(0), lossy: one},
		{name: "WAL flipped page, nothing else known", crashed: true, damage: both(flipped(50, 2003), forget), problem: offset(50), lossy: one},
		{name: "WAL flipped last page", crashed: true, damage: flipped(-1, 2003), problem: "is damaged", lossy: one},
		{name: "WAL flipped header", crashed: true, damage: func(_ *testing.T, f files) { f[wal][17] ^= 1 }, problem: "its header is damaged"},
		{name: "WAL zeroed range", crashed: true, damage: func(_ *testing.T, f files) { clear(f[wal][in(40, 0):in(60, 0)]) }, problem: "is damaged", earlier: true},
		{name: "WAL zeroed", crashed: true, damage: func(_ *testing.T, f files) { clear(f[wal]) }, problem: "its header is damaged", earlier: true},
		{name: "WAL torn tail", crashed: true, damage: func(_ *testing.T, f files) {
			torn := bytes.Clone(f[wal][in(3, 0):in(6, 1000)])
			f[wal] = append(f[wal], torn...)
		}},
		{name: "WAL torn last transaction after a power cut", crashed: true, damage: both(forget, flipped(-2, 2003)), earlier: true},
		{name: "database removed beside its WAL", crashed: true, damage: remove(FileName), problem: FileName + ": it is missing", lossy: nil, nothing: true},
		{name: "WAL flipped newest state of a page", crashed: true, damage: flipNewest(2003), problem: "is damaged", lossy: one},
		{name: "WAL flipped page number of the newest state", crashed: true, damage: flipNewest(3 - walFrameHeader), problem: "is damaged", lossy: []string{
			queueTable, deadTable, metaTable, "channel_sets", "captures", "chunks", "stored_batches", "segments", "runs", "cursors",
		}},
		{name: "WAL header torn when all was merged", crashed: true, damage: func(t *testing.T, f files) {
			t.Helper()
			checkpointed(t, f)
			forget(t, f)
			f[wal][17] ^= 1
		}},
		{name: "merged by another program", crashed: true, damage: mergeWithoutSums, problem: wal + ": it is missing"},
	}
}

func (c damaged) run(t *testing.T, b before) {
	t.Helper()
	dir := t.TempDir()
	f, was := b.clean.copy(), b.cleanRows
	if c.crashed {
		f, was = b.crashed.copy(), b.states[len(b.states)-1]
	}
	c.damage(t, f)
	f.save(t, dir)
	if !c.foreign {
		untouched(t, dir)
	}
	d := openIn(t, dir)
	is, err := dump(d)
	check(t, err)
	sound(t, d)
	c.compare(t, was, is, b.states)
	c.report(t, d, f, was, is)
	check(t, d.Write(t.Context(), func(tx *Tx) error { return tx.Exec(`INSERT INTO meta VALUES ('new', 1)`) }), d.Close())
	again := openIn(t, dir)
	if len(again.Quarantined()) != len(d.Quarantined()) {
		t.Errorf("the second start found %d quarantines, the first %d", len(again.Quarantined()), len(d.Quarantined()))
	}
	sound(t, again)
}

func (c damaged) compare(t *testing.T, was, is rows, states []rows) {
	t.Helper()
	if c.earlier {
		if state := is.last(states); state < 0 {
			t.Error("what was found was never there")
		} else {
			t.Logf("found state %d of %d", state, len(states))
		}
		return
	}
	for table := range was {
		for i, row := range is[table] {
			if !slices.Contains(was[table], row) {
				t.Errorf("%s was never there: %.60q", table, row)
			}
			if i > 0 && row == is[table][i-1] {
				t.Errorf("%s has a row twice: %.60q", table, row)
			}
		}
		lost := len(was[table]) - len(is[table])
		switch {
		case c.nothing && c.crashed:
		case lost > 0 && !slices.Contains(c.lossy, table):
			t.Errorf("%s lost %d of %d rows", table, lost, len(was[table]))
		case c.nothing && len(is[table]) > 0:
			t.Errorf("%s has %d rows", table, len(is[table]))
		case lost > 0:
			t.Logf("%s lost %d of %d rows", table, lost, len(was[table]))
		}
	}
}

// report holds what the quarantine says against what is there.
func (c damaged) report(t *testing.T, d *DB, f files, was, is rows) {
	t.Helper()
	found := d.Quarantined()
	if c.problem == "" {
		if len(found) > 0 {
			t.Errorf("quarantined for %v", found[0].Problems)
		}
		return
	}
	if len(found) != 1 {
		t.Fatalf("%d quarantines", len(found))
	}
	q := found[0]
	if !slices.ContainsFunc(q.Problems, func(p Problem) bool { return strings.Contains(p.String(), c.problem) }) {
		t.Errorf("none of the problems is %q: %v", c.problem, q.Problems)
	}
	for name, content := range f {
		if name != FileName && name != FileName+walSuffix {
			continue
		}
		if kept, err := os.ReadFile(filepath.Join(q.Dir, name)); err != nil || !bytes.Equal(kept, content) {
			t.Errorf("%s is not kept as it was: %v", name, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(q.Dir, reportText))
	if err != nil || !strings.Contains(string(text), c.problem) {
		t.Errorf("report: %s, %v", text, err)
	}
	if c.earlier || c.nothing {
		return
	}
	for _, table := range q.Tables {
		if n := int64(len(is[table.Table])); table.Saved != n && table.Table != metaTable {
			t.Errorf("%s: %d saved, the report says %d", table.Table, n, table.Saved)
		}
		lost := int64(len(was[table.Table]) - len(is[table.Table]))
		exact := table.Table == queueTable || table.Table == deadTable
		if table.Lost != lost && (table.Lost >= 0 || exact && q.Sources != nil) && table.Table != metaTable {
			t.Errorf("%s: %d lost, the report says %d", table.Table, lost, table.Lost)
		}
	}
}

// TestQ13ClosedFileIsKnownAgain: what nobody has touched is not taken for
// written by others, and all that was committed is in it.
func TestQ13ClosedFileIsKnownAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	for i := range 30 {
		d := openIn(t, dir)
		check(t, d.Write(t.Context(), func(tx *Tx) error { return tx.Exec(`INSERT INTO meta VALUES (?, 1)`, i) }))
		var readers sync.WaitGroup // that are there when the writer ends
		for range maxReaders {
			readers.Go(func() {
				if _, err := dump(d); err != nil {
					t.Error(err)
				}
			})
		}
		readers.Wait()
		check(t, d.Close())
		if exists(path + walSuffix) {
			t.Fatalf("close %d left the WAL", i+1)
		}
		file, err := os.Open(path)
		check(t, err)
		if m := readMark(filepath.Join(dir, LockName)); !m.knows(file) {
			t.Fatalf("close %d: it is taken for another's, by %+v", i+1, m)
		}
		check(t, file.Close())
	}
	check(t, os.Chtimes(path, time.Time{}, time.Unix(1, 1)))
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	if m := readMark(filepath.Join(dir, LockName)); m.knows(file) {
		t.Error("it is taken for the same, though it was changed")
	}
}

func TestQ13ForeignFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	script := func(sql string) []byte {
		path := filepath.Join(t.TempDir(), "x.db")
		c, err := sqlite3.Open(path)
		check(t, err)
		check(t, c.Exec(sql), c.Close())
		content, err := os.ReadFile(path)
		check(t, err)
		return content
	}
	b := prepared(t)
	newer := b.clean.copy()[FileName]
	binary.BigEndian.PutUint32(newer[versionAt:], 9999)
	resum(newer[:usualPageSize])
	guests := script(`CREATE TABLE guests (name); INSERT INTO guests VALUES ('a')`)
	flipped := bytes.Clone(guests)
	flipped[3] ^= 1
	for name, c := range map[string]struct {
		content []byte
		want    error
		mend    string
	}{
		"text":           {[]byte(strings.Repeat("rpm,hp\n1000,20\n", 2000)), ErrCorrupt, "move the file away"},
		"short text":     {[]byte("rpm,hp\n"), ErrCorrupt, "move the file away"},
		"head only":      {[]byte(magic + strings.Repeat("\xff", 4080)), ErrCorrupt, "move the file away"},
		"other database": {guests, ErrCorrupt, "another program"},
		"other, flipped": {flipped, ErrCorrupt, "move the file away"},
		"other's id":     {script(`PRAGMA application_id=7; CREATE TABLE guests (name)`), ErrCorrupt, "another program"},
		"newer":          {newer, ErrNewer, "use a newer dynotap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			f := files{FileName: c.content, LockName: b.clean[LockName]}
			f.save(t, dir)
			d, err := Open(t.Context(), dir, Options{})
			if d != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), filepath.Join(dir, FileName)) || !strings.Contains(err.Error(), c.mend) {
				t.Errorf("opened with %v", err)
			}
			if _, err := HolderOf(dir); !errors.Is(err, ErrNotHeld) {
				t.Errorf("still held: %v", err)
			}
			if got := load(dir)[FileName]; !bytes.Equal(got, c.content) {
				t.Error("the file was changed")
			}
			if _, err := os.Stat(filepath.Join(dir, QuarantineName)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("quarantine: %v", err)
			}
		})
	}
}
