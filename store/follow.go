package store

import (
	"context"
	"errors"
	"fmt"

	"dynotap/internal/db"
	"dynotap/sample"

	"github.com/ncruces/go-sqlite3"
)

// followBytes bounds the bodies that Chunks holds in memory.
const followBytes = 1 << 20

// Chunks gives up to limit committed chunks of a capture after chunk number
// after, in the order of their commit, and the number of the last one: the
// next call's after. The batch is reused from call to call; fn may use the
// store but not keep the batch. Chunks that were sealed are gone sooner or
// later: whoever seals lets followers pass first (Seal, SealDue). A chunk that cannot be decoded is left out and
// in the error at the end, which wraps ErrDamaged; last counts it in.
func (s *Store) Chunks(ctx context.Context, capture string, after int64, limit int, fn func(seq int64, b *sample.Batch) error) (last int64, err error) {
	f := follower{store: s, capture: capture}
	last = after
	var damaged []error
	for limit > 0 {
		n, err := f.fetch(ctx, last, limit)
		if err != nil {
			return last, fmt.Errorf("read chunks of capture %s: %w", capture, err)
		}
		if n == 0 {
			break
		}
		limit -= n
		for i := range n {
			err := f.decode(ctx, i)
			switch {
			case errors.Is(err, sample.ErrEncoding), errors.Is(err, ErrNoSet):
				damaged = append(damaged, &ChunkError{capture, f.seqs[i], f.samples[i], err})
			case err != nil:
				return last, err
			default:
				if err := fn(f.seqs[i], &f.batch); err != nil {
					return last, err
				}
			}
			last = f.seqs[i]
		}
	}
	return last, errors.Join(damaged...)
}

// follower holds some chunks between the reading and the decoding, so that no
// connection is kept while they are looked at.
type follower struct {
	store   *Store
	capture string
	seqs    []int64
	samples []int64
	ends    []int // of the bodies
	bodies  []byte
	batch   sample.Batch
}

func (f *follower) fetch(ctx context.Context, after int64, limit int) (int, error) {
	f.seqs, f.samples, f.ends, f.bodies = f.seqs[:0], f.samples[:0], f.ends[:0], f.bodies[:0]
	errFull := errors.New("enough")
	err := f.store.db.Read(ctx, func(c *db.Conn) error {
		return c.Query(`SELECT seq, body, samples FROM chunks WHERE capture = ? AND seq > ? ORDER BY seq LIMIT ?`, func(row *sqlite3.Stmt) error {
			f.seqs = append(f.seqs, row.ColumnInt64(0))
			f.samples = append(f.samples, row.ColumnInt64(2))
			f.bodies = append(f.bodies, row.ColumnRawBlob(1)...)
			f.ends = append(f.ends, len(f.bodies))
			if len(f.bodies) >= followBytes {
				return errFull
			}
			return nil
		}, f.capture, after, limit)
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return len(f.seqs), err
}

func (f *follower) decode(ctx context.Context, i int) error {
	start := 0
	if i > 0 {
		start = f.ends[i-1]
	}
	return sample.DecodeBatch(f.bodies[start:f.ends[i]], func(id sample.SetID) (*sample.ChannelSet, error) {
		return f.store.Set(ctx, id)
	}, &f.batch)
}
