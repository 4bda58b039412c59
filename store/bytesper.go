package store

import (
	"context"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// recentSegments is how many of the newest sealed files tell what a sample
// takes on the disk.
const recentSegments = 20

// BytesPerSample is what a sealed sample of the latest live sessions takes on
// the disk; 0 where none has been sealed yet.
func (s *Store) BytesPerSample(ctx context.Context) (bytes float64, err error) {
	err = s.db.Read(ctx, func(c *db.Conn) error {
		return c.Query(`SELECT coalesce(sum(bytes) * 1.0 / sum(samples), 0) FROM (
			SELECT s.bytes, s.samples FROM segments s JOIN captures c ON c.id = s.capture
			WHERE c.kind = ? AND s.samples > 0 ORDER BY s.last_us DESC LIMIT ?)`, func(row *sqlite3.Stmt) error {
			bytes = row.ColumnFloat(0)
			return nil
		}, string(Live), recentSegments)
	})
	return bytes, err
}
