// Package sqlite keeps the queue's items in the database of the data
// directory: what Apply has taken is as durable as internal/db says.
package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
)

// sequenceBlock is how far ahead of use the sequence is reserved: one write
// for so many items, and at most so many numbers skipped at a start.
const sequenceBlock = 1 << 20

const sequenceKey = "queue_sequence"

// Driver is a queue.Driver and queue.EffectSettler.
type Driver struct {
	db         *db.DB
	bulkInsert string
	reserved   atomic.Uint64 // sequence numbers below may be used
}

var (
	_ queue.Driver        = (*Driver)(nil)
	_ queue.EffectSettler = (*Driver)(nil)
)

// New keeps items in d, which stays the caller's to close.
func New(d *db.DB) *Driver { return &Driver{db: d, bulkInsert: bulkInsert()} }

// Load implements queue.Driver.
func (d *Driver) Load(ctx context.Context) (queue.State, error) {
	var state queue.State
	err := d.db.Read(ctx, func(c *db.Conn) error {
		err := c.Query(`SELECT value FROM meta WHERE key = ?`, func(s *sqlite3.Stmt) error {
			state.Sequence = uint64(s.ColumnInt64(0))
			return nil
		}, sequenceKey)
		if err != nil {
			return err
		}
		return c.Query(`SELECT dead, class, source, items, samples FROM queue_totals WHERE items > 0`, func(s *sqlite3.Stmt) error {
			t := queue.Total{
				Dead: s.ColumnBool(0), Class: sample.Priority(s.ColumnInt(1)), Source: s.ColumnText(2),
				Items: s.ColumnInt(3), Samples: s.ColumnInt(4),
			}
			if !t.Class.Valid() {
				return fmt.Errorf("%w: queue_totals has class %d", db.ErrCorrupt, t.Class)
			}
			state.Totals = append(state.Totals, t)
			return nil
		})
	})
	d.reserved.Store(state.Sequence)
	return state, err
}

// expected is how many items a Fetch makes room for at once.
const expected = 512

// errEnough ends a query early.
var errEnough = errors.New("enough")

// columns of an item, as scan reads them.
const columns = `id, source, priority, samples, attempts, enqueued_us, crc, payload, metadata, first_error, last_error`

// Fetch implements queue.Driver.
func (d *Driver) Fetch(ctx context.Context, after, upTo queue.ID, limit, maxBytes int) ([]queue.Stored, error) {
	found := make([]queue.Stored, 0, min(limit, expected))
	sources := map[string]string{}
	err := d.db.Read(ctx, func(c *db.Conn) error {
		return c.Query(`SELECT `+columns+` FROM queue WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`, func(s *sqlite3.Stmt) error {
			item, damage := scan(s, sources)
			found = append(found, queue.Stored{Item: item, Damage: damage})
			if maxBytes -= len(item.Payload); maxBytes <= 0 {
				return errEnough
			}
			return nil
		}, int64(after), int64(upTo), limit)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// scan reads an item and checks it against its sum. Sources are few: their
// names are shared.
func scan(s *sqlite3.Stmt, sources map[string]string) (item queue.Item, damage error) {
	name := s.ColumnRawText(1)
	source, ok := sources[string(name)]
	if !ok {
		source = string(name)
		sources[source] = source
	}
	item = queue.Item{
		ID: queue.ID(s.ColumnInt64(0)), Source: source, Priority: sample.Priority(s.ColumnInt(2)),
		Samples: s.ColumnInt(3), Attempts: s.ColumnInt(4), Enqueued: time.UnixMicro(s.ColumnInt64(5)).UTC(),
		Payload: s.ColumnBlob(7, nil),
	}
	if item.Attempts > 0 {
		item.FirstError, item.LastError = s.ColumnText(9), s.ColumnText(10)
	}
	metadata := s.ColumnRawText(8)
	if sum := checksum(item.Payload, metadata); int64(sum) != s.ColumnInt64(6) {
		return item, fmt.Errorf("queue item %s: checksum %08x, stored %08x", item.ID, sum, s.ColumnInt64(6))
	}
	if len(metadata) > 0 {
		if err := json.Unmarshal(metadata, &item.Metadata); err != nil {
			return item, fmt.Errorf("metadata of queue item %s: %w", item.ID, err)
		}
	}
	return item, nil
}

func checksum(payload, metadata []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(payload, table), table, metadata)
}
