package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"dynotap/sample"
)

func (b *queueBench) openBare(c contest) (keeper, error) {
	if b.backend == MemoryBackend {
		return &bareMemory{contest: c, payload: c.body(), out: make([][]byte, 0, c.group)}, nil
	}
	dir, err := b.place()
	if err != nil {
		return nil, err
	}
	x := &bareTable{contest: c, dir: dir, payload: c.body(), set: make([]byte, 32), bodies: make([][]byte, c.group)}
	if err := x.start(); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// bareTable is the least that the same engine can do for the same outcome: one
// table of id and payload, prepared statements, the same groups and flushes.
type bareTable struct {
	contest
	dir                                     string
	conn                                    *sqlite3.Conn
	begin, commit, insert, first, drop, add *sqlite3.Stmt
	payload, set                            []byte
	ids                                     []int64
	bodies                                  [][]byte // the same memory each time
	next                                    int64
	taken, chunks                           int
}

func (x *bareTable) start() (err error) {
	if x.conn, err = sqlite3.Open(filepath.Join(x.dir, "bare.db")); err != nil {
		return err
	}
	err = x.conn.Exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-4096; PRAGMA journal_size_limit=16777216;
		CREATE TABLE q (id INTEGER PRIMARY KEY, payload BLOB);
		CREATE TABLE chunks (seq INTEGER PRIMARY KEY AUTOINCREMENT, capture TEXT NOT NULL, batch BLOB NOT NULL, set_id BLOB NOT NULL,
			first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, samples INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
		CREATE INDEX chunks_by_capture ON chunks (capture, seq, first_us, last_us, samples)`)
	if err != nil {
		return fmt.Errorf("make the bare table: %w", err)
	}
	for _, s := range []struct {
		sql  string
		stmt **sqlite3.Stmt
	}{
		{`BEGIN IMMEDIATE`, &x.begin},
		{`COMMIT`, &x.commit},
		{`INSERT INTO q VALUES (?, ?)`, &x.insert},
		{`SELECT id, payload FROM q ORDER BY id LIMIT ?`, &x.first},
		{`DELETE FROM q WHERE id = ?`, &x.drop},
		{insertChunk, &x.add},
	} {
		if *s.stmt, _, err = x.conn.PrepareFlags(s.sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return fmt.Errorf("prepare %q: %w", s.sql, err)
		}
	}
	return x.first.BindInt(1, x.group)
}

func (x *bareTable) put() error {
	if err := x.begin.Exec(); err != nil {
		return err
	}
	for i := range x.group {
		x.next++
		id := int64(x.priority(i))<<56 | x.next
		if err := errors.Join(x.insert.BindInt64(1, id), x.insert.BindBlob(2, x.payload), x.insert.Exec()); err != nil {
			return err
		}
	}
	return x.commit.Exec()
}

func (x *bareTable) take(w work) error {
	if err := x.begin.Exec(); err != nil {
		return err
	}
	x.ids = x.ids[:0]
	for x.first.Step() {
		at := len(x.ids)
		x.ids = append(x.ids, x.first.ColumnInt64(0))
		x.bodies[at] = x.first.ColumnBlob(1, x.bodies[at][:0])
	}
	if err := x.first.Reset(); err != nil {
		return err
	}
	if err := expect("came from the bare table", len(x.ids), x.group); err != nil {
		return err
	}
	x.taken += x.group
	for i, id := range x.ids {
		if w == move {
			if err := chunk(x.add, x.bodies[i], x.set); err != nil {
				return err
			}
			x.chunks++
		}
		if err := errors.Join(x.drop.BindInt64(1, id), x.drop.Exec()); err != nil {
			return err
		}
	}
	return x.commit.Exec()
}

func (x *bareTable) tidy() error {
	if x.chunks < x.mostChunks() {
		return nil
	}
	x.chunks = 0
	return x.conn.Exec(deleteChunks)
}

// close looks whether what was taken is gone, as it is with the queue.
func (x *bareTable) close() error {
	errs := []error{x.complete()}
	for _, stmt := range []*sqlite3.Stmt{x.begin, x.commit, x.insert, x.first, x.drop, x.add} {
		errs = append(errs, stmt.Close())
	}
	if x.conn != nil {
		errs = append(errs, x.conn.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(x.dir))...)
}

func (x *bareTable) complete() error {
	if x.insert == nil {
		return nil
	}
	count, _, err := x.conn.Prepare(`SELECT count(*) FROM q`)
	if err != nil {
		return err
	}
	if count.Step() {
		err = expect("are in the bare table", count.ColumnInt(0), int(x.next)-x.taken)
	}
	return errors.Join(err, count.Close())
}

// bareMemory is the least that memory can do: a slice for each priority, a
// lock, and the copy of the payload.
type bareMemory struct {
	contest
	mu      sync.Mutex
	waiting [sample.Priorities]bareRing
	payload []byte
	out     [][]byte
}

// bareRing is a first-in-first-out list of payloads.
type bareRing struct {
	slots        [][]byte
	first, count int
}

func (x *bareMemory) put() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.group {
		r := &x.waiting[x.priority(i)]
		if r.count == len(r.slots) {
			grown := make([][]byte, max(1024, 2*len(r.slots)))
			n := copy(grown, r.slots[r.first:])
			copy(grown[n:], r.slots[:r.first])
			r.slots, r.first = grown, 0
		}
		r.slots[(r.first+r.count)&(len(r.slots)-1)] = bytes.Clone(x.payload)
		r.count++
	}
	return nil
}

func (x *bareMemory) take(work) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.out = x.out[:0]
	for i := range x.waiting {
		for r := &x.waiting[i]; r.count > 0 && len(x.out) < x.group; r.count-- {
			x.out = append(x.out, r.slots[r.first])
			r.slots[r.first] = nil
			r.first = (r.first + 1) & (len(r.slots) - 1)
		}
	}
	return expect("came from the bare ring", len(x.out), x.group)
}

func (*bareMemory) tidy() error  { return nil }
func (*bareMemory) close() error { return nil }
