package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/durable"
)

const (
	journalSuffix = "-journal"
	// restoreMargin is needed on the disk besides the new database: its WAL
	// and the report.
	restoreMargin = 8 << 20
)

// settle brings the files into a state in which SQLite may open them: it ends
// what an earlier start has begun, looks at the files, and replaces a damaged
// database by what can be read of it.
func (d *DB) settle(ctx context.Context, opts Options) error {
	if err := d.resume(); err != nil {
		return err
	}
	if err := d.rollBack(ctx); err != nil {
		return err
	}
	before := d.lock.mark
	f, err := inspect(d.path, before, opts.Fsync)
	if err != nil {
		return err
	}
	defer f.pages.close()
	if len(f.problems) > 0 {
		if err := d.restore(ctx, f); err != nil {
			return err
		}
	}
	// What is in the WAL now is merged before the first commit is added.
	return d.lock.remark(mark{Exists: before.Exists || !f.blank}, false)
}

// resume ends an interrupted swap, and forgets an interrupted copy.
func (d *DB) resume() error {
	root := filepath.Join(filepath.Dir(d.path), QuarantineName)
	folders, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list quarantines: %w", err)
	}
	for _, folder := range folders {
		q := &Quarantine{Dir: filepath.Join(root, folder.Name())}
		if exists(filepath.Join(q.Dir, built)) {
			if err := d.replace(q); err != nil {
				return err
			}
			d.logger.Error("the damaged database was set aside, the rest is served", "quarantine", q.Dir)
		} else if exists(filepath.Join(q.Dir, building)) {
			if err := q.abandon(); err != nil {
				return fmt.Errorf("remove an unfinished copy: %w", err)
			}
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// rollBack lets SQLite end what a death during the creation of the file left:
// only then it has a journal.
func (d *DB) rollBack(ctx context.Context) error {
	if !exists(d.path + journalSuffix) {
		return nil
	}
	conn, err := d.connect(ctx, d.uri)
	if err != nil {
		return err
	}
	err = conn.Query(`SELECT count(*) FROM sqlite_schema`, func(*sqlite3.Stmt) error { return nil })
	if kind := kindOf(err); errors.Is(kind, ErrCorrupt) {
		err = nil // inspect tells where
	}
	return errors.Join(err, conn.shut())
}

// restore copies what can be read into a new database, which takes the place
// of the damaged one. Until the copy is complete nothing else is changed.
func (d *DB) restore(ctx context.Context, f *found) error {
	dir := filepath.Dir(d.path)
	need := uint64(f.pages.count)*uint64(f.pages.size) + restoreMargin
	if free, _, err := FreeSpace(dir); err == nil && free < need {
		return fmt.Errorf("%w: the database is damaged (%s), and setting it aside needs %d MB free, there are %d MB; nothing was changed",
			ErrDiskFull, f.problems[0], need>>20, free>>20)
	}
	d.logger.Error("the database is damaged: what can be read is being copied into a new one",
		"path", d.path, "problems", len(f.problems), "first", f.problems[0].String())
	q, err := newQuarantine(dir)
	if err != nil {
		return err
	}
	err = d.build(ctx, q, f)
	if err == nil {
		err = q.write()
	}
	if err == nil {
		err = os.Rename(filepath.Join(q.Dir, building), filepath.Join(q.Dir, built))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy what can be read of the damaged database (%s): %w", f.problems[0], err), q.abandon())
	}
	f.pages.close() // Windows moves no open file
	if err := errors.Join(durable.Dir(q.Dir), durable.Dir(filepath.Dir(q.Dir)), durable.Dir(dir)); err != nil {
		return err
	}
	if err := d.replace(q); err != nil {
		return err
	}
	for _, t := range q.Tables {
		if t.Lost != 0 {
			d.logger.Error("rows were lost with the damaged database", "table", t.Table, "saved", t.Saved, "lost", lostText(t.Lost))
		}
	}
	d.logger.Error("the damaged database was set aside, the rest is served", "quarantine", q.Dir, "report", filepath.Join(q.Dir, reportText))
	return nil
}

// replace swaps the files. The lock file forgets the old WAL while the folder
// still tells what is going on.
func (d *DB) replace(q *Quarantine) error {
	if err := d.lock.remark(mark{Exists: true}, true); err != nil {
		return err
	}
	return q.swap(filepath.Dir(d.path))
}

// build makes the new database and fills the report.
func (d *DB) build(ctx context.Context, q *Quarantine, f *found) (err error) {
	version, err := f.version()
	if err != nil {
		return err
	}
	path := filepath.Join(q.Dir, building)
	if err := createPrivate(path); err != nil {
		return err
	}
	conn, err := d.connect(ctx, uriOf(path, d.vfs))
	if err != nil {
		return err
	}
	s, err := d.prepareSalvage(ctx, conn, f, version)
	if err == nil {
		err = s.copy(f)
	}
	if err == nil {
		err = s.report(q, f)
	}
	if err := errors.Join(err, conn.shut()); err != nil { // that checkpoints
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// version is the schema of the damaged database; where that cannot be read, it
// is taken for this program's.
func (f *found) version() (int, error) {
	newest, err := SchemaVersion()
	if err != nil || f.header == nil {
		return newest, err
	}
	version := int(number(f.header, versionAt))
	if version > newest {
		return 0, errNewer(version, newest)
	}
	if version < 1 {
		version = newest
	}
	return version, nil
}

func (d *DB) prepareSalvage(ctx context.Context, conn *Conn, f *found, version int) (*salvage, error) {
	if err := setUp(conn, 0, false); err != nil {
		return nil, err
	}
	if err := migrate(conn, 0, version); err != nil {
		return nil, err
	}
	trees, columns, err := schemaOf(conn)
	if err != nil {
		return nil, err
	}
	s := &salvage{
		from: newWalker(f.pages), to: &Tx{*conn}, columns: columns,
		saved: map[string]int64{}, expected: map[sourceKey]count{},
	}
	if f.pages.reserve != sumSize { // other room on the pages, other roots
		if trees, err = d.rootsWithoutSums(ctx, version); err != nil {
			return nil, err
		}
	}
	s.trees = trees
	if f.header == nil {
		return s, nil // the roots are where they are in the new one
	}
	for _, old := range s.from.schema() {
		at := slices.IndexFunc(trees, func(t *tree) bool { return t.name == old.name })
		if at >= 0 {
			trees[at].root = old.root
			continue
		}
		old.index = true // so that its rows are not ours to copy
		s.trees = append(s.trees, old)
		f.problem(FileName, 0, 0, old.name+" is not dynotap's and was not copied")
	}
	return s, nil
}

// rootsWithoutSums gives the trees of a database made before pages had sums.
func (d *DB) rootsWithoutSums(ctx context.Context, version int) ([]*tree, error) {
	conn, err := d.connect(ctx, ":memory:")
	if err != nil {
		return nil, err
	}
	var trees []*tree
	err = migrate(conn, 0, version)
	if err == nil {
		trees, _, err = schemaOf(conn)
	}
	return trees, errors.Join(err, conn.shut())
}

// schemaOf lists the tables and indexes of an intact database.
func schemaOf(conn *Conn) (trees []*tree, columns map[string][]column, err error) {
	columns = map[string][]column{}
	err = conn.Query(`SELECT s.type, s.name, s.rootpage, coalesce(l.wr, 0) FROM sqlite_schema s
		LEFT JOIN pragma_table_list l ON l.name = s.name AND l.schema = 'main' WHERE s.rootpage > 0`, func(row *sqlite3.Stmt) error {
		t := &tree{name: row.ColumnText(1), root: uint32(row.ColumnInt64(2)), index: row.ColumnText(0) == "index"}
		t.rowid = !t.index && !row.ColumnBool(3)
		trees = append(trees, t)
		if t.index {
			return conn.Query(`SELECT count(*) FROM pragma_index_xinfo(?)`, func(n *sqlite3.Stmt) error {
				t.columns = n.ColumnInt(0)
				return nil
			}, t.name)
		}
		// Without rowid a record begins with the key.
		order := `cid`
		if !t.rowid {
			order = `pk = 0, pk, cid`
		}
		err := conn.Query(`SELECT name, pk = 1 AND upper(type) = 'INTEGER' FROM pragma_table_info(?) ORDER BY `+order, func(c *sqlite3.Stmt) error {
			columns[t.name] = append(columns[t.name], column{name: c.ColumnText(0), key: t.rowid && c.ColumnBool(1)})
			return nil
		}, t.name)
		t.columns = len(columns[t.name])
		return err
	})
	return trees, columns, err
}
