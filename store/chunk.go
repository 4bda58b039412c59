package store

import (
	"fmt"
	"math"

	"dynotap/internal/db"
	"dynotap/sample"
)

// Chunk is a batch as it is stored until it is sealed: its own encoding, and
// what is needed to find it.
type Chunk struct {
	ID      sample.BatchID
	Capture string
	Set     sample.SetID
	// FirstUS and LastUS bound the samples' times.
	FirstUS, LastUS int64
	Samples         int
	Body            []byte
	// Duplicate is set when the effect found the batch stored already and left
	// it at that. It counts once the transaction is committed.
	Duplicate bool
}

// NewChunk makes the chunk of a decoded batch; body is its encoding, which the
// chunk keeps until the effect has been committed.
func NewChunk(b *sample.Batch, body []byte) *Chunk {
	c := &Chunk{ID: b.ID, Capture: b.Capture, Samples: len(b.Samples), Body: body}
	if b.Set != nil {
		c.Set = b.Set.ID()
	}
	if len(b.Samples) == 0 {
		return c
	}
	c.FirstUS, c.LastUS = b.Samples[0].Time, b.Samples[0].Time
	for i := range b.Samples {
		c.FirstUS, c.LastUS = min(c.FirstUS, b.Samples[i].Time), max(c.LastUS, b.Samples[i].Time)
	}
	return c
}

// ChunkEffect stores a chunk once: a batch whose id was stored before, in this
// or any earlier start, becomes no second chunk but sets Duplicate. The
// capture must have been put (ErrNoCapture), and the channel set. A batch
// without samples is only remembered.
func ChunkEffect(c *Chunk) db.Effect {
	return func(tx *db.Tx) error {
		c.Duplicate = false
		fresh, err := markStored(tx, c.ID)
		if err != nil {
			return fmt.Errorf("batch %s: %w", c.ID, err)
		}
		if !fresh {
			c.Duplicate = true
			return nil
		}
		if c.Samples == 0 {
			return nil
		}
		err = tx.Exec(`INSERT INTO chunks (capture, batch, set_id, first_us, last_us, samples, body)
			SELECT id, ?, ?, ?, ?, ?, ? FROM captures WHERE id = ?`,
			c.ID[:], c.Set[:], c.FirstUS, c.LastUS, c.Samples, c.Body, c.Capture)
		if err == nil && tx.Changes() == 0 {
			err = ErrNoCapture
		}
		if err != nil {
			return fmt.Errorf("batch %s of capture %q: %w", c.ID, c.Capture, err)
		}
		return nil
	}
}

// markStored notes that a batch is stored and reports whether it was not
// before. Ordinals come nearly in order, so the intervals of a prefix are few.
func markStored(tx *db.Tx, id sample.BatchID) (fresh bool, err error) {
	ordinal := int64(id.Ordinal())
	if ordinal < 0 || ordinal == math.MaxInt64 {
		return false, fmt.Errorf("ordinal %d: %w", id.Ordinal(), ErrBadID)
	}
	prefix := id[:8]
	// The two intervals that may hold or touch the ordinal: the last one that
	// begins at or before it, and one that begins right after it.
	stmt, err := tx.Prepare(`SELECT first, last FROM stored_batches WHERE prefix = ? AND first <= ? ORDER BY first DESC LIMIT 2`)
	if err != nil {
		return false, err
	}
	if err := stmt.BindBlob(1, prefix); err != nil {
		return false, err
	}
	if err := stmt.BindInt64(2, ordinal+1); err != nil {
		return false, err
	}
	first, last, after := int64(-1), int64(-1), int64(-1)
	for stmt.Step() {
		f, l := stmt.ColumnInt64(0), stmt.ColumnInt64(1)
		if f == ordinal+1 {
			after = l
			continue
		}
		first, last = f, l
		break
	}
	if err := stmt.Reset(); err != nil {
		return false, err
	}
	switch {
	case first >= 0 && ordinal <= last:
		return false, nil
	case after >= 0:
		if err := tx.Exec(`DELETE FROM stored_batches WHERE prefix = ? AND first = ?`, prefix, ordinal+1); err != nil {
			return false, err
		}
	default:
		after = ordinal
	}
	if first >= 0 && last == ordinal-1 {
		return true, tx.Exec(`UPDATE stored_batches SET last = ? WHERE prefix = ? AND first = ?`, after, prefix, first)
	}
	return true, tx.Exec(`INSERT INTO stored_batches (prefix, first, last) VALUES (?, ?, ?)`, prefix, ordinal, after)
}
