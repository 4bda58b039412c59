package db

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// files are the content of a data directory by name.
type files map[string][]byte

// rows are those of a database, as text, by table.
type rows map[string][]string

// before are databases as a start may find them.
type before struct {
	clean, crashed files
	cleanRows      rows
	// states is what each transaction in the WAL of crashed has left.
	states []rows
}

// sources, of which the queue's items are.
var sources = [...]string{"jetdrive", "innovate", "import"}

func check(tb testing.TB, errs ...error) {
	tb.Helper()
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
}

func openIn(tb testing.TB, dir string) *DB {
	tb.Helper()
	d, err := Open(context.Background(), dir, Options{Fsync: true})
	check(tb, err)
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

// putItem is what queue/sqlite writes, totals and all.
func putItem(table string, n int, sign int) func(execer) error {
	return func(tx execer) error {
		id, source := int64(n%5)<<sequenceBits|int64(n), sources[n%len(sources)]
		payload := fmt.Appendf(nil, "%d %s", n, strings.Repeat(string(rune('a'+n%26)), 50+n*37%700))
		if n%40 == 0 {
			payload = append(payload, bytes.Repeat([]byte{byte(n)}, 20000)...)
		}
		var err error
		switch {
		case sign < 0:
			err = tx.Exec(`DELETE FROM `+table+` WHERE id = ?`, id)
		case table == queueTable:
			err = tx.Exec(`INSERT INTO queue VALUES (?, ?, ?, ?, 0, ?, ?, ?, NULL, NULL, NULL)`, id, source, n%5, n%7, n,
				int64(crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))), payload)
		default:
			err = tx.Exec(`INSERT INTO dead_letters VALUES (?, ?, ?, ?, 0, ?, ?, ?, NULL, 'e', 'e', 'rejected', ?)`, id, source, n%5, n%7, n,
				int64(crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))), payload, n)
		}
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO queue_totals VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET items = items + excluded.items, samples = samples + excluded.samples`,
			table == deadTable, n%5, source, sign, sign*(n%7))
	}
}

type execer interface {
	Exec(sql string, args ...any) error
}

// fill writes rows into every table.
func fill(tx execer) error {
	var errs []error
	exec := func(sql string, args ...any) { errs = append(errs, tx.Exec(sql, args...)) }
	for n := 1; n <= 600; n++ {
		errs = append(errs, putItem(queueTable, n, 1)(tx))
	}
	for n := 601; n <= 640; n++ {
		errs = append(errs, putItem(deadTable, n, 1)(tx))
	}
	exec(`INSERT INTO meta VALUES ('queue_sequence', 1000000)`)
	for n := range 300 {
		key, blob := fmt.Sprintf("%03d", n), bytes.Repeat([]byte{byte(n)}, 100)
		exec(`INSERT INTO meta VALUES (?, ?)`, "key "+key, blob)
		body := append([]byte(key), blob...)
		id := sha256.Sum256(body)
		exec(`INSERT INTO channel_sets VALUES (?, 'jetdrive', ?)`, id[:], body)
		exec(`INSERT INTO captures VALUES (?, 'live', 'jetdrive', ?, NULL, 'wall', '{}')`, "capture "+key, n)
		exec(`INSERT INTO chunks (capture, batch, set_id, first_us, last_us, samples, body) VALUES (?, ?, ?, 1, 2, 3, ?)`,
			"capture "+key, blob[:16], blob[:32], bytes.Repeat(blob, 5))
		exec(`INSERT INTO stored_batches VALUES (?, 1, ?)`, append([]byte(key), blob[:8]...), n)
		exec(`INSERT INTO segments VALUES (?, 1, ?, ?, 1, 2, 3, 4, '[]')`, "capture "+key, n, key+".parquet")
		exec(`INSERT INTO runs VALUES (?, ?, 'pull', 'jetdrive', '', '', '[]', NULL, NULL, ?, NULL)`, "run "+key, "capture "+key, n)
		exec(`INSERT INTO cursors VALUES (?, ?)`, "pulls/"+key, n)
	}
	for n := 1; n <= 600; n += 3 { // leaves free pages
		if n > 200 && n < 500 {
			errs = append(errs, putItem(queueTable, n, -1)(tx))
		}
	}
	return errors.Join(errs...)
}

// newBefore makes the databases that all rows of the table damage.
var newBefore = sync.OnceValues(func() (b before, err error) {
	dir, err := os.MkdirTemp("", "dynotap-damage")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := Open(context.Background(), dir, Options{Fsync: true})
	if err != nil {
		return b, err
	}
	err = d.Write(context.Background(), func(tx *Tx) error { return fill(tx) })
	if err = errors.Join(err, d.Close()); err != nil {
		return b, err
	}
	b.clean = load(dir)
	if d, err = Open(context.Background(), dir, Options{Fsync: true}); err != nil {
		return b, err
	}
	b.cleanRows, err = dump(d)
	b.states = append(b.states, b.cleanRows)
	for n := 1001; n <= 1060 && err == nil; n++ {
		err = d.Write(context.Background(), func(tx *Tx) error {
			if n%3 == 0 {
				if err := putItem(queueTable, n-1000, -1)(tx); err != nil {
					return err
				}
			}
			return errors.Join(putItem(queueTable, n, 1)(tx), tx.Exec(`INSERT INTO meta VALUES (?, 1)`, fmt.Sprintf("late %d", n)))
		})
		state, wrong := dump(d)
		b.states, err = append(b.states, state), errors.Join(err, wrong)
	}
	b.crashed = load(dir)
	return b, errors.Join(err, d.Close())
})

func prepared(t *testing.T) before {
	t.Helper()
	b, err := newBefore()
	check(t, err)
	return b
}

func load(dir string) files {
	f := files{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if content, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			f[e.Name()] = content
		}
	}
	return f
}

func (f files) copy() files {
	c := files{}
	for name, content := range f {
		c[name] = bytes.Clone(content)
	}
	return c
}

func (f files) save(tb testing.TB, dir string) {
	tb.Helper()
	for name, content := range f {
		check(tb, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
}

func (r rows) last(states []rows) int {
	return slices.IndexFunc(states, func(s rows) bool {
		return maps.EqualFunc(r, s, slices.Equal[[]string])
	})
}

// dump gives all rows but those that are counted anew.
func dump(d *DB) (rows, error) {
	found := rows{}
	err := d.Read(context.Background(), func(c *Conn) error {
		var errs []error
		for _, table := range []string{
			queueTable, deadTable, metaTable, "channel_sets", "captures", "chunks", "stored_batches", "segments", "runs", "cursors",
		} {
			found[table] = nil
			errs = append(errs, c.Query(`SELECT * FROM `+table+` ORDER BY 1, 2`, func(s *sqlite3.Stmt) error {
				var line strings.Builder
				for i := range s.ColumnCount() {
					fmt.Fprintf(&line, "%v|", s.ColumnText(i))
				}
				if !strings.HasPrefix(line.String(), sequenceKey) {
					found[table] = append(found[table], line.String())
				}
				return nil
			}))
		}
		return errors.Join(errs...)
	})
	return found, err
}

// sound checks what a database must be, whatever came before.
func sound(t *testing.T, d *DB) {
	t.Helper()
	err := d.Read(t.Context(), func(c *Conn) error {
		var errs []error
		for _, sql := range []string{
			`PRAGMA integrity_check`,
			`SELECT 'totals say ' || sum(items) || ' items, ' || sum(samples) || ' samples of class ' || class || ', dead: ' || dead
				FROM (SELECT dead, class, source, items, samples FROM queue_totals
					UNION ALL SELECT 0, id >> 56, source, -1, -samples FROM queue
					UNION ALL SELECT 1, id >> 56, source, -1, -samples FROM dead_letters)
				GROUP BY dead, class, source HAVING sum(items) <> 0 OR sum(samples) <> 0`,
		} {
			errs = append(errs, c.Query(sql, func(s *sqlite3.Stmt) error {
				if text := s.ColumnText(0); text != "ok" {
					t.Error(text)
				}
				return nil
			}))
		}
		return errors.Join(errs...)
	})
	check(t, err)
}

// pageOf finds a page of a database by what it is: the kind of b-tree page, or
// 0 for an overflow page, and its tree.
func pageOf(t *testing.T, f files, want string, kind byte) uint32 {
	t.Helper()
	p := &pages{main: fileOf(t, f[FileName]), bytes: int64(len(f[FileName])), wal: &wal{}, size: usualPageSize, reserve: int(f[FileName][reserveAt])}
	p.count = uint32(len(f[FileName]) / usualPageSize)
	w := newWalker(p)
	w.freeList(f[FileName])
	free := slices.Clone(w.seen)
	trunk := number(f[FileName], freeAt)
	for _, tr := range newWalker(p).schema() {
		seen := slices.Clone(w.seen)
		check(t, w.walk(tr))
		if tr.name != want {
			continue
		}
		for n := uint32(2); n <= p.count; n++ {
			page := f[FileName][p.offset(n):p.offset(n+1)]
			if w.seen[n] && !seen[n] && page[0] == kind {
				return n
			}
		}
	}
	for n := uint32(2); n <= p.count; n++ {
		if free[n] && (n == trunk) == (want == "trunk") && (want == "trunk" || want == "free") {
			return n
		}
	}
	t.Fatalf("no page of %s of kind %d", want, kind)
	return 0
}

func fileOf(tb testing.TB, content []byte) *os.File {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	check(tb, os.WriteFile(path, content, 0o600))
	file, err := os.Open(path)
	check(tb, err)
	tb.Cleanup(func() { _ = file.Close() })
	return file
}

// flipNewest flips a byte of the newest state of a leaf whose state before has
// a row that is gone since.
func flipNewest(at int) func(*testing.T, files) {
	return func(t *testing.T, f files) {
		t.Helper()
		log := f[FileName+walSuffix]
		newest := walOf(t, f).frames
		prior := map[uint32][]int64{}
		for begin := walHeaderSize; begin < len(log); begin += walFrameHeader + usualPageSize {
			n, content := number(log, begin), begin+walFrameHeader
			keys := keysOf(log[content : content+usualPageSize])
			gone := func(key int64) bool { return !slices.Contains(keys, key) }
			if newest[n] == int64(content) && len(keys) > 0 && len(keys) < len(prior[n]) && slices.ContainsFunc(prior[n], gone) {
				log[content+at] ^= 0x10
				return
			}
			prior[n] = keys
		}
		t.Fatal("there is no such page")
	}
}

// keysOf gives the rowids on a leaf of a table.
func keysOf(page []byte) (keys []int64) {
	w := newWalker(&pages{wal: &wal{}, size: usualPageSize, reserve: sumSize, count: 1 << 20})
	n, err := parse(page, 2, w.pages.usable())
	if err != nil || n.kind != leafTable {
		return nil
	}
	for _, cell := range n.cells {
		l, _ := w.layout(n, cell)
		keys = append(keys, l.key)
	}
	return keys
}

func walOf(t *testing.T, f files) *wal {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wal")
	check(t, os.WriteFile(path, f[FileName+walSuffix], 0o600))
	w, err := readWAL(path, walHints{pageSize: usualPageSize, synced: true})
	check(t, err)
	t.Cleanup(func() { _ = w.file.Close() })
	return w
}

// vacuumWithoutSums moves every table, as a program does that knows no sums.
func vacuumWithoutSums(t *testing.T, f files) {
	t.Helper()
	dir := t.TempDir()
	f.save(t, dir)
	raw, err := sqlite3.Open(filepath.Join(dir, FileName))
	check(t, err)
	check(t, raw.Exec(`VACUUM`), raw.Close())
	f[FileName] = load(dir)[FileName]
	for at := usualPageSize; at <= len(f[FileName]); at += usualPageSize {
		clear(f[FileName][at-sumSize : at])
	}
}

// checkpointed merges the WAL and leaves it as it is.
func checkpointed(t *testing.T, f files) {
	t.Helper()
	dir := t.TempDir()
	f.save(t, dir)
	raw, err := sqlite3.Open(filepath.Join(dir, FileName))
	check(t, err)
	check(t, raw.Exec(`PRAGMA wal_checkpoint(FULL)`))
	maps.Copy(f, load(dir))
	check(t, raw.Close())
}

// mergeWithoutSums does what a program does that knows no sums.
func mergeWithoutSums(t *testing.T, f files) {
	t.Helper()
	w := walOf(t, f)
	main := make([]byte, int(w.count)*usualPageSize)
	copy(main, f[FileName])
	for n, at := range w.frames {
		_, err := w.file.ReadAt(main[(n-1)*usualPageSize:n*usualPageSize], at)
		check(t, err)
	}
	f[FileName] = main
	delete(f, FileName+walSuffix)
	delete(f, FileName+shmSuffix)
}
