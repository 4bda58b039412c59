package db

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

const (
	// sequenceMargin lies between the highest number found and the next one,
	// where what was lost may have had higher ones.
	sequenceMargin = 1 << 20
	// sequenceBits of a queue item's id are its sequence number.
	sequenceBits = 56
	// sequenceKey is where queue/sqlite keeps the next sequence number.
	sequenceKey = "queue_sequence"

	rowsPerCommit = 10_000

	queueTable, deadTable, totalsTable, metaTable = "queue", "dead_letters", "queue_totals", "meta"
	autoTable                                     = "sqlite_sequence"
)

// salvage copies what can be read of a database into an empty one of the same
// schema.
type salvage struct {
	from *walker
	to   *Tx
	// trees are the tables and indexes of the schema, with their roots in the
	// old file.
	trees    []*tree
	columns  map[string][]column
	saved    map[string]int64
	open     int // rows since the last commit
	sequence int64
	expected map[sourceKey]count // by queue_totals
}

// column of a table, in the order of its records.
type column struct {
	name string
	key  bool // the rowid
}

type sourceKey struct {
	dead   bool
	source string
}

type count struct{ items, samples int64 }

// copy does it, and lists what it could not read beyond what was known.
func (s *salvage) copy(f *found) error {
	s.from.problem = func(page uint32, what string) {
		if !covered(f.problems, page) || f.pages.doubtful[page] && !slices.Contains(f.problems, f.problemAt(page, what)) {
			f.problem(FileName, page, 1, what)
		}
	}
	s.from.row = s.put
	if err := s.to.Exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	for _, t := range s.trees {
		if err := s.from.walk(t); err != nil {
			return err
		}
	}
	if f.header != nil && s.lossy() && s.from.freeList(f.header) {
		if err := s.adopt(); err != nil {
			return err
		}
	}
	if err := s.finish(); err != nil {
		return err
	}
	return s.to.Exec(`COMMIT`)
}

func (s *salvage) lossy() bool {
	for _, t := range s.trees {
		if t.lostPages > 0 {
			return true
		}
	}
	return false
}

// put is given each row.
func (s *salvage) put(t *tree, r row) error {
	switch t.name {
	case autoTable:
		if len(r.fields) == 2 && r.fields[0] == "chunks" {
			n, _ := r.fields[1].(int64)
			s.sequence = max(s.sequence, n)
		}
		return nil
	case totalsTable:
		s.expect(r)
		return nil
	}
	columns := s.columns[t.name]
	if len(r.fields) > len(columns) {
		return s.refuse(t, errNoSense)
	}
	columns = columns[:len(r.fields)]
	if r.doubtful && !proven(columns, r.fields) {
		return s.refuse(t, errSum)
	}
	names, args := make([]string, len(columns)), r.fields
	for i, c := range columns {
		names[i] = c.name
		if c.key {
			args[i] = r.key
		}
	}
	err := s.to.Exec(fmt.Sprintf(`INSERT INTO %s (%s) VALUES (?%s)`, t.name, strings.Join(names, ", "),
		strings.Repeat(", ?", len(names)-1)), args...)
	if errors.Is(err, sqlite3.CONSTRAINT) || errors.Is(err, sqlite3.MISMATCH) {
		return s.refuse(t, err)
	}
	if err != nil {
		return fmt.Errorf("copy a row of %s: %w", t.name, err)
	}
	s.saved[t.name]++
	if s.open++; s.open%rowsPerCommit != 0 {
		return nil
	}
	return errors.Join(s.to.Exec(`COMMIT`), s.to.Exec(`BEGIN IMMEDIATE`))
}

// proven reports whether a row agrees with the sum that it has of its own, if
// it has one.
func proven(columns []column, fields []any) bool {
	value := func(name string) any {
		for i, c := range columns {
			if c.name == name {
				return fields[i]
			}
		}
		return nil
	}
	if sum, ok := value("crc").(int64); ok { // of a queue item
		payload, _ := value("payload").([]byte)
		metadata, _ := value("metadata").(string)
		table := crc32.MakeTable(crc32.Castagnoli)
		return int64(crc32.Update(crc32.Checksum(payload, table), table, []byte(metadata))) == sum
	}
	if id, ok := value("id").([]byte); ok { // of a channel set
		body, _ := value("body").([]byte)
		return sha256.Sum256(body) == [sha256.Size]byte(append(id, make([]byte, sha256.Size)...))
	}
	return true
}

func (s *salvage) refuse(t *tree, why error) error {
	t.lostRows++
	s.from.problem(0, fmt.Sprintf("a row of %s: %v", t.name, why))
	return nil
}

func (s *salvage) expect(r row) {
	if len(r.fields) != 5 {
		return
	}
	dead, _ := r.fields[0].(int64)
	source, _ := r.fields[2].(string)
	items, _ := r.fields[3].(int64)
	samples, _ := r.fields[4].(int64)
	key := sourceKey{dead: dead != 0, source: source}
	s.expected[key] = count{s.expected[key].items + items, s.expected[key].samples + samples}
}

// adopt finds the pages to which only a lost page led. Every page in use was
// reached or belongs to a tree that has lost one; the rows tell which.
func (s *salvage) adopt() error {
	for n := uint32(2); n <= s.from.pages.count; n++ {
		if s.from.seen[n] || s.from.pages.isLockByte(n) {
			continue
		}
		page, err := s.from.pages.read(n)
		if err != nil {
			continue // known
		}
		node, err := parse(page, n, s.from.pages.usable())
		if err != nil || node.kind == innerTable || len(node.cells) == 0 {
			continue // an overflow page, or one that only leads to others
		}
		if err := s.adoptPage(n, node); err != nil {
			return err
		}
	}
	return nil
}

func (s *salvage) adoptPage(n uint32, node *node) error {
	var t *tree
	var lost []error
	for _, cell := range node.cells {
		r, err := s.from.record(node, cell)
		if err != nil {
			lost = append(lost, err)
			continue
		}
		if t == nil {
			t = s.parent(node.kind == leafTable, len(r.fields))
		}
		if t == nil {
			break
		}
		if t.index {
			return nil
		}
		if err := s.put(t, r); err != nil {
			return err
		}
	}
	if t == nil {
		s.from.problem(n, "nothing tells which table it belongs to")
		return nil
	}
	for _, err := range lost {
		t.lostRows++
		s.from.problem(n, fmt.Sprintf("a row of this page of %s: %v", t.name, err))
	}
	return nil
}

func (s *salvage) parent(rowid bool, columns int) (parent *tree) {
	for _, t := range s.trees {
		if t.lostPages == 0 || t.rowid != rowid || t.columns != columns {
			continue
		}
		if parent != nil {
			return nil
		}
		parent = t
	}
	return parent
}

// finish counts what is in the queue, and sees to it that no number is given
// out a second time.
func (s *salvage) finish() error {
	err := s.to.Exec(`INSERT INTO queue_totals (dead, class, source, items, samples)
		SELECT 0, id >> 56, source, count(*), sum(samples) FROM queue GROUP BY 2, 3
		UNION ALL SELECT 1, id >> 56, source, count(*), sum(samples) FROM dead_letters GROUP BY 2, 3`)
	if err != nil {
		return fmt.Errorf("count the queue: %w", err)
	}
	const highest = `SELECT max(
		(SELECT coalesce(max(id & ?1), -1) FROM queue), (SELECT coalesce(max(id & ?1), -1) FROM dead_letters)) + 1,
		(SELECT value FROM meta WHERE key = ?2),
		max((SELECT coalesce(max(seq), 0) FROM chunks), (SELECT coalesce(max(last_chunk), 0) FROM segments))`
	var next, stored, chunk int64
	known := false
	err = s.to.Query(highest, func(row *sqlite3.Stmt) error {
		next, stored, chunk = row.ColumnInt64(0), row.ColumnInt64(1), row.ColumnInt64(2)
		known = row.ColumnType(1) != sqlite3.NULL
		return nil
	}, int64(1)<<sequenceBits-1, sequenceKey)
	if err != nil {
		return fmt.Errorf("find the last sequence number: %w", err)
	}
	next, chunk = max(next, stored), max(chunk, s.sequence)
	if !known && s.lossy() {
		// Nothing tells how far it was; it counted from 1, and never reached
		// the number of milliseconds.
		next = max(next, time.Now().UnixMilli())
	}
	if next == 0 && chunk == 0 {
		return nil // nothing was ever in it
	}
	err = s.to.Exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
		sequenceKey, next+sequenceMargin)
	if err == nil {
		err = s.to.Exec(`DELETE FROM sqlite_sequence WHERE name = 'chunks'`)
	}
	if err == nil {
		err = s.to.Exec(`INSERT INTO sqlite_sequence (name, seq) VALUES ('chunks', ?)`, chunk+sequenceMargin)
	}
	if err != nil {
		return fmt.Errorf("keep the sequence numbers: %w", err)
	}
	return nil
}

// report says what became of the rows.
func (s *salvage) report(q *Quarantine, f *found) error {
	q.Problems = f.problems
	var totals *tree
	for _, t := range s.trees {
		if t.name == totalsTable {
			totals = t
		}
	}
	counted := totals != nil && totals.lostPages+totals.lostRows == 0
	if counted {
		if err := s.compare(q); err != nil {
			return err
		}
	}
	for _, t := range s.trees {
		if t.index || t.name == totalsTable || t.name == autoTable {
			continue
		}
		loss := TableLoss{Table: t.name, Saved: s.saved[t.name], Lost: int64(t.lostRows)}
		switch {
		case counted && (t.name == queueTable || t.name == deadTable):
			loss.Lost = 0
			for _, source := range q.Sources {
				if source.Dead == (t.name == deadTable) {
					loss.Lost += source.Lost
				}
			}
		case t.lostPages > 0:
			loss.Lost = -1
		}
		q.Tables = append(q.Tables, loss)
	}
	slices.SortFunc(q.Tables, func(a, b TableLoss) int { return strings.Compare(a.Table, b.Table) })
	return nil
}

// compare holds what is in the queue now against what its totals told.
func (s *salvage) compare(q *Quarantine) error {
	saved := map[sourceKey]count{}
	err := s.to.Query(`SELECT dead, source, sum(items), sum(samples) FROM queue_totals GROUP BY 1, 2`, func(row *sqlite3.Stmt) error {
		saved[sourceKey{row.ColumnBool(0), row.ColumnText(1)}] = count{row.ColumnInt64(2), row.ColumnInt64(3)}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the queue: %w", err)
	}
	for key, was := range s.expected {
		is := saved[key]
		if was.items == 0 && is.items == 0 {
			continue
		}
		q.Sources = append(q.Sources, SourceLoss{
			Source: key.source, Dead: key.dead, Saved: is.items, SavedSamples: is.samples,
			Lost: max(0, was.items-is.items), LostSamples: max(0, was.samples-is.samples),
		})
	}
	slices.SortFunc(q.Sources, func(a, b SourceLoss) int {
		if a.Source == b.Source && b.Dead {
			return -1
		}
		return strings.Compare(a.Source, b.Source)
	})
	return nil
}
