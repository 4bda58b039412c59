package db

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ncruces/go-sqlite3"
)

// snapshotPages is how many pages are copied between two looks at the context.
const snapshotPages = 256

// Snapshot copies the database as it is at one moment to path, a file that is
// not there yet, page by page with their sums, and checks every page of the
// copy. Writers go on meanwhile. look reads in that same moment; progress takes
// how many bytes of how many have been copied. The caller removes what an error
// leaves at path.
func (d *DB) Snapshot(ctx context.Context, path string, look func(*Conn) error, progress func(done, total int64)) error {
	if err := createPrivate(path); err != nil {
		return err
	}
	if err := d.beginCopy(ctx, path); err != nil {
		return fmt.Errorf("begin the copy of the database: %w", err)
	}
	err := d.Read(ctx, func(c *Conn) error {
		if err := look(c); err != nil {
			return err
		}
		return d.copyPages(ctx, c, path, progress)
	})
	if err != nil {
		return err
	}
	return checkCopy(path)
}

// beginCopy gives the copy a first page that says that its pages have sums. They
// are computed as pages are written, from then on: those that were read from
// the WAL have none, and of a large database pages are written before the first.
func (d *DB) beginCopy(ctx context.Context, path string) error {
	conn, err := d.connect(ctx, uriOf(path, d.vfs))
	if err != nil {
		return err
	}
	err = conn.raw.EnableChecksums("main")
	if err == nil {
		err = conn.raw.Exec(`PRAGMA user_version = 1`) // writes the page
	}
	return errors.Join(err, conn.shut())
}

// copyPages needs a transaction that has read: the copy is of that snapshot.
func (d *DB) copyPages(ctx context.Context, c *Conn, path string, progress func(done, total int64)) (err error) {
	size, err := pragma(c, "page_size")
	if err != nil {
		return err
	}
	backup, err := c.raw.BackupInit("main", uriOf(path, d.vfs))
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	defer func() { err = errors.Join(err, backup.Close()) }()
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if done, err = backup.Step(snapshotPages); err != nil {
			return fmt.Errorf("copy the database: %w", err)
		}
		total := int64(backup.PageCount())
		progress((total-int64(backup.Remaining()))*int64(size), total*int64(size))
	}
	return nil
}

// checkCopy looks at the sum of every page, and that they are all there.
func checkCopy(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := inspect(path, mark{Exists: true, Time: info.ModTime().UnixNano()}, true)
	if err != nil {
		return err
	}
	defer f.pages.close()
	if len(f.problems) > 0 {
		return fmt.Errorf("%w: the copy of the database: %s", ErrCorrupt, f.problems[0])
	}
	return nil
}

// Size is how many bytes the database has, without its WAL.
func (c *Conn) Size() (int64, error) {
	var size int64
	err := c.Query(`SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`, func(s *sqlite3.Stmt) error {
		size = s.ColumnInt64(0)
		return nil
	})
	return size, err
}
