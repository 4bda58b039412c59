package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
)

// DeadLetters implements queue.Driver. A damaged payload is given as it is:
// the reason says so.
func (d *Driver) DeadLetters(ctx context.Context, filter queue.Filter, offset, limit int) ([]queue.DeadLetter, error) {
	where, args := conditions(filter)
	args = append(args, limit, offset)
	var found []queue.DeadLetter
	sources := map[string]string{}
	err := d.db.Read(ctx, func(c *db.Conn) error {
		return c.Query(`SELECT `+columns+`, reason, died_us FROM dead_letters `+where+` ORDER BY died_us, id LIMIT ? OFFSET ?`,
			func(s *sqlite3.Stmt) error {
				item, damage := scan(s, sources)
				if damage != nil && item.LastError == "" {
					item.LastError = damage.Error()
				}
				found = append(found, queue.DeadLetter{
					Item: item, Reason: s.ColumnText(11), Died: time.UnixMicro(s.ColumnInt64(12)).UTC(),
				})
				return nil
			}, args...)
	})
	return found, err
}

func conditions(f queue.Filter) (where string, args []any) {
	var all []string
	add := func(condition string, arg any) {
		all, args = append(all, condition), append(args, arg)
	}
	if f.ID != 0 {
		add(`id = ?`, int64(f.ID))
	}
	if f.Source != "" {
		add(`source = ?`, f.Source)
	}
	if f.Priority != nil {
		add(`priority = ?`, int(*f.Priority))
	}
	if f.Reason != "" {
		add(`reason = ?`, f.Reason)
	}
	if !f.DiedBy.IsZero() {
		add(`died_us <= ?`, f.DiedBy.UnixMicro())
	}
	if len(all) == 0 {
		return "", nil
	}
	return `WHERE ` + strings.Join(all, ` AND `), args
}
