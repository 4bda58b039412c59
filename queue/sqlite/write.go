package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
)

// Apply implements queue.Driver.
func (d *Driver) Apply(ctx context.Context, changes []queue.Change) error {
	w := writer{driver: d}
	err := d.db.Write(ctx, func(tx *db.Tx) error {
		w.begin(tx)
		for i := 0; i < len(changes); {
			if alike(changes[i:]) {
				if err := w.putMany(changes[i : i+bulk]); err != nil {
					return err
				}
				i += bulk
				continue
			}
			if err := w.change(&changes[i]); err != nil {
				return err
			}
			i++
		}
		return w.end()
	})
	if err == nil {
		w.committed()
	}
	return err
}

// ApplyEffects implements queue.EffectSettler. Only when an effect fails is
// everything undone and repeated with a savepoint for each, so that the rule
// pays nothing for the exception.
func (d *Driver) ApplyEffects(ctx context.Context, changes []queue.Change) error {
	w := writer{driver: d}
	failed := false // an effect, through a fault of its own
	err := d.db.Write(ctx, func(tx *db.Tx) error {
		w.begin(tx)
		for i := range changes {
			c := &changes[i]
			c.Err = nil
			if c.Effect != nil {
				failed = true // if it panics
				err := c.Effect(tx)
				failed = err != nil && !db.Environmental(err)
				if err != nil {
					return err
				}
			}
			if err := w.change(c); err != nil {
				return err
			}
		}
		return w.end()
	})
	if failed {
		err = d.db.Write(ctx, func(tx *db.Tx) error { return w.oneByOne(tx, changes) })
	}
	if err == nil {
		w.committed()
	}
	return err
}

// writer is one Apply on its way.
type writer struct {
	driver   *Driver
	tx       *db.Tx
	totals   map[totalKey]total
	last     totalKey
	lastSum  total
	sequence uint64 // the highest put
	reserved uint64 // what was reserved for it; 0: nothing
}

type totalKey struct {
	dead   bool
	class  sample.Priority
	source string
}

type total struct{ items, samples int }

func (w *writer) begin(tx *db.Tx) { *w = writer{driver: w.driver, tx: tx} }

func (w *writer) oneByOne(tx *db.Tx, changes []queue.Change) error {
	w.begin(tx)
	for i := range changes {
		c := &changes[i]
		if c.Effect != nil {
			c.Err = tx.Savepoint(func() error { return c.Effect(tx) })
			if c.Err != nil && db.Environmental(c.Err) {
				return c.Err
			}
			if c.Err != nil {
				continue
			}
		}
		if err := w.change(c); err != nil {
			return err
		}
	}
	return w.end()
}

func (w *writer) change(c *queue.Change) error {
	switch c.Op {
	case queue.Put:
		w.sequence = max(w.sequence, c.Item.ID.Sequence())
		return w.put(c.Item)
	case queue.Update:
		return w.tx.Exec(`UPDATE queue SET attempts = ?, first_error = ?, last_error = ? WHERE id = ?`,
			c.Item.Attempts, c.Item.FirstError, c.Item.LastError, int64(c.Item.ID))
	case queue.Remove:
		return w.remove(`DELETE FROM queue WHERE id = ?`, c.Item, false)
	case queue.Bury:
		return w.bury(c)
	case queue.Revive:
		return w.revive(c.Item)
	case queue.Forget:
		return w.remove(`DELETE FROM dead_letters WHERE id = ?`, c.Item, true)
	}
	return fmt.Errorf("unknown change %d", c.Op)
}

func (w *writer) put(item *queue.Item) error {
	stmt, err := w.tx.Prepare(`INSERT INTO queue (` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	metadata, err := encode(item.Metadata)
	if err != nil {
		return err
	}
	bind := binder{stmt: stmt}
	bind.int(int64(item.ID))
	bind.name(item.Source)
	bind.int(int64(item.Priority))
	bind.int(int64(item.Samples))
	bind.int(int64(item.Attempts))
	bind.int(item.Enqueued.UnixMicro())
	bind.int(int64(checksum(item.Payload, metadata)))
	bind.blob(item.Payload)
	bind.text(string(metadata))
	bind.text(item.FirstError)
	bind.text(item.LastError)
	if err := bind.exec(); err != nil {
		return err
	}
	w.count(item, false, 1)
	return nil
}

// encode gives JSON, or nothing for nothing.
func encode(metadata map[string]string) ([]byte, error) {
	if len(metadata) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return text, nil
}

// One statement puts bulk items at once; that is faster by a third for small
// payloads, and no different for large ones, whose copies the statement would
// keep.
const (
	bulk        = 32
	bulkPayload = 4096
)

// bulkInsert has what bulk items share as parameters 1 and 2, then five of each
// item.
func bulkInsert() string {
	var sql strings.Builder
	sql.WriteString(`INSERT OR FAIL INTO queue (` + columns + `) VALUES `)
	for i := range bulk {
		if i > 0 {
			sql.WriteByte(',')
		}
		fmt.Fprintf(&sql, `(?%d, ?1, ?%d, ?%d, 0, ?2, ?%d, ?%d, NULL, NULL, NULL)`, 5*i+3, 5*i+4, 5*i+5, 5*i+6, 5*i+7)
	}
	return sql.String()
}

// alike tells whether the first bulk changes can be made by one statement.
func alike(changes []queue.Change) bool {
	if len(changes) < bulk {
		return false
	}
	first := changes[0].Item
	for i := range changes[:bulk] {
		c := &changes[i]
		it := c.Item
		if c.Op != queue.Put || it.Source != first.Source || !it.Enqueued.Equal(first.Enqueued) || len(it.Metadata) > 0 ||
			it.Attempts != 0 || it.FirstError != "" || it.LastError != "" || len(it.Payload) > bulkPayload {
			return false
		}
	}
	return true
}

func (w *writer) putMany(changes []queue.Change) error {
	stmt, err := w.tx.Prepare(w.driver.bulkInsert)
	if err != nil {
		return err
	}
	bind := binder{stmt: stmt}
	bind.name(changes[0].Item.Source)
	bind.int(changes[0].Item.Enqueued.UnixMicro())
	for i := range changes {
		item := changes[i].Item
		bind.int(int64(item.ID))
		bind.int(int64(item.Priority))
		bind.int(int64(item.Samples))
		bind.int(int64(checksum(item.Payload, nil)))
		bind.blob(item.Payload)
		w.sequence = max(w.sequence, item.ID.Sequence())
		w.count(item, false, 1)
	}
	return bind.exec()
}

func (w *writer) remove(sql string, item *queue.Item, dead bool) error {
	stmt, err := w.tx.Prepare(sql)
	if err != nil {
		return err
	}
	bind := binder{stmt: stmt}
	bind.int(int64(item.ID))
	if err := bind.exec(); err != nil {
		return err
	}
	if w.tx.Changes() > 0 {
		w.count(item, dead, -1)
	}
	return nil
}

// bury moves the stored row, so that a damaged payload is kept as it is.
func (w *writer) bury(c *queue.Change) error {
	item := c.Item
	err := w.tx.Exec(`INSERT INTO dead_letters (`+columns+`, reason, died_us)
		SELECT id, source, priority, samples, ?, enqueued_us, crc, payload, metadata, ?, ?, ?, ? FROM queue WHERE id = ?`,
		item.Attempts, item.FirstError, item.LastError, c.Reason, c.Died.UnixMicro(), int64(item.ID))
	if err != nil {
		return err
	}
	if w.tx.Changes() == 0 {
		return w.buryGiven(c)
	}
	w.count(item, true, 1)
	return w.remove(`DELETE FROM queue WHERE id = ?`, item, false)
}

// buryGiven writes a dead letter whose row somebody else took away, unless it
// is there already.
func (w *writer) buryGiven(c *queue.Change) error {
	item := c.Item
	metadata, err := encode(item.Metadata)
	if err != nil {
		return err
	}
	err = w.tx.Exec(`INSERT INTO dead_letters (`+columns+`, reason, died_us)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		int64(item.ID), item.Source, int(item.Priority), item.Samples, item.Attempts, item.Enqueued.UnixMicro(),
		checksum(item.Payload, metadata), item.Payload, string(metadata), item.FirstError, item.LastError, c.Reason, c.Died.UnixMicro())
	if err == nil && w.tx.Changes() > 0 {
		w.count(item, true, 1)
	}
	return err
}

func (w *writer) revive(item *queue.Item) error {
	err := w.tx.Exec(`INSERT INTO queue (`+columns+`)
		SELECT id, source, priority, samples, ?, enqueued_us, crc, payload, metadata, ?, ? FROM dead_letters WHERE id = ?`,
		item.Attempts, item.FirstError, item.LastError, int64(item.ID))
	if err != nil {
		return err
	}
	if w.tx.Changes() == 0 {
		return fmt.Errorf("%w: no dead letter %s", queue.ErrNotFound, item.ID)
	}
	w.count(item, false, 1)
	return w.remove(`DELETE FROM dead_letters WHERE id = ?`, item, true)
}

// count collects what end writes. Neighbours mostly belong together.
func (w *writer) count(item *queue.Item, dead bool, sign int) {
	key := totalKey{dead: dead, class: item.ID.Class(), source: item.Source}
	if key != w.last {
		w.flush()
		w.last = key
	}
	w.lastSum.items += sign
	w.lastSum.samples += sign * item.Samples
}

func (w *writer) flush() {
	if w.lastSum == (total{}) {
		return
	}
	if w.totals == nil {
		w.totals = make(map[totalKey]total)
	}
	t := w.totals[w.last]
	w.totals[w.last] = total{t.items + w.lastSum.items, t.samples + w.lastSum.samples}
	w.lastSum = total{}
}

// end writes the totals and, now and then, reserves sequence numbers.
func (w *writer) end() error {
	w.flush()
	for key, t := range w.totals {
		if err := w.total(key, t); err != nil {
			return err
		}
	}
	if w.sequence == 0 || w.sequence < w.driver.reserved.Load() {
		return nil
	}
	w.reserved = w.sequence + sequenceBlock
	if w.reserved > math.MaxInt64 {
		return errors.New("the queue's sequence is used up")
	}
	return w.tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
		sequenceKey, int64(w.reserved))
}

// total adds to a total, which is mostly there.
func (w *writer) total(key totalKey, t total) error {
	err := w.tx.Exec(`UPDATE queue_totals SET items = items + ?, samples = samples + ? WHERE dead = ? AND class = ? AND source = ?`,
		t.items, t.samples, key.dead, int(key.class), key.source)
	if err != nil || w.tx.Changes() > 0 {
		return err
	}
	return w.tx.Exec(`INSERT INTO queue_totals (dead, class, source, items, samples) VALUES (?, ?, ?, ?, ?)`,
		key.dead, int(key.class), key.source, t.items, t.samples)
}

func (w *writer) committed() {
	if w.reserved > 0 {
		w.driver.reserved.Store(w.reserved)
	}
}

// binder binds parameters one after the other and keeps the first error.
type binder struct {
	stmt *sqlite3.Stmt
	at   int
	err  error
}

func (b *binder) int(v int64) {
	b.at++
	if b.err == nil {
		b.err = b.stmt.BindInt64(b.at, v)
	}
}

// text binds NULL for the empty text.
func (b *binder) text(v string) {
	b.at++
	switch {
	case b.err != nil:
	case v == "":
		b.err = b.stmt.BindNull(b.at)
	default:
		b.err = b.stmt.BindText(b.at, v)
	}
}

func (b *binder) name(v string) {
	b.at++
	if b.err == nil {
		b.err = b.stmt.BindText(b.at, v)
	}
}

func (b *binder) blob(v []byte) {
	b.at++
	if b.err == nil {
		b.err = b.stmt.BindBlob(b.at, v)
	}
}

func (b *binder) exec() error {
	if b.err != nil {
		return b.err
	}
	return b.stmt.Exec()
}
