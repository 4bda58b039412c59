package store

import (
	"context"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// Sizes is what lies on the disk, in bytes.
type Sizes struct {
	Sealed   int64 // the sealed files, as the catalog knows them
	Database int64 // the database with all that follows, and its free pages
	Live     int64 // samples that are not sealed yet
	Queue    int64 // what waits
	Dead     int64 // the dead letters
}

// Sizes asks the catalog what takes how much room.
func (s *Store) Sizes(ctx context.Context) (z Sizes, err error) {
	err = s.db.Read(ctx, func(c *db.Conn) (err error) {
		if z.Database, err = c.Size(); err != nil {
			return err
		}
		return c.Query(`SELECT (SELECT coalesce(sum(bytes), 0) FROM segments),
			(SELECT coalesce(sum(length(body)), 0) FROM chunks),
			(SELECT coalesce(sum(length(payload)), 0) FROM queue),
			(SELECT coalesce(sum(length(payload)), 0) FROM dead_letters)`, func(row *sqlite3.Stmt) error {
			z.Sealed, z.Live, z.Queue, z.Dead = row.ColumnInt64(0), row.ColumnInt64(1), row.ColumnInt64(2), row.ColumnInt64(3)
			return nil
		})
	})
	return z, err
}
