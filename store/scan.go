package store

import (
	"errors"
	"fmt"

	"dynotap/internal/db"
	"dynotap/sample"
	"dynotap/store/segment"

	"github.com/ncruces/go-sqlite3"
)

// ErrDamaged is wrapped by every error about stored content that cannot be
// read; reading serves the rest. It is a *segment.DamageError or a *ChunkError.
var ErrDamaged = segment.ErrDamaged

// ChunkError says which live chunk cannot be decoded.
type ChunkError struct {
	Capture string
	Seq     int64
	Samples int64
	Err     error
}

// Error names the capture and the chunk.
func (e *ChunkError) Error() string {
	return fmt.Sprintf("chunk %d of capture %s (%d samples) is damaged: %v", e.Seq, e.Capture, e.Samples, e.Err)
}

// Unwrap gives ErrDamaged and the cause.
func (e *ChunkError) Unwrap() []error { return []error{ErrDamaged, e.Err} }

// chunkRange chooses live chunks of a capture: after < seq <= upTo, and those
// that may hold samples at from <= t <= to.
type chunkRange struct {
	capture     string
	after, upTo int64
	from, to    int64
}

// scan decodes the chunks of a range in the order of their commit. The batch
// is reused; each may not keep it. A chunk that cannot be decoded goes to
// damaged, if that is not nil, with its body; its error ends the scan.
func (s *Store) scan(c *db.Conn, r chunkRange, each func(seq int64, b *sample.Batch) error,
	damaged func(err *ChunkError, body []byte) error) error {
	lookup := s.lookup(c)
	var batch sample.Batch
	sealed, _, err := liveChunks(c, r.capture)
	if err != nil {
		return err
	}
	err = c.Query(`SELECT seq, set_id, body, samples FROM chunks
		WHERE capture = ? AND seq > ? AND seq <= ? AND last_us >= ? AND first_us <= ? ORDER BY seq`,
		func(row *sqlite3.Stmt) error {
			seq := row.ColumnInt64(0)
			// The set is looked up first: it may need a statement, and the
			// body must not be in use across that.
			set, err := lookupRow(row, 1, lookup)
			if err == nil {
				err = sample.DecodeBatch(row.ColumnRawBlob(2), func(id sample.SetID) (*sample.ChannelSet, error) {
					if id != set.ID() {
						return nil, fmt.Errorf("%w: it points into another channel set", sample.ErrEncoding)
					}
					return set, nil
				}, &batch)
			}
			if errors.Is(err, sample.ErrEncoding) || errors.Is(err, ErrNoSet) {
				return damaged(&ChunkError{r.capture, seq, row.ColumnInt64(3), err}, row.ColumnBlob(2, nil))
			}
			if err != nil {
				return err
			}
			return each(seq, &batch)
		}, r.capture, max(r.after, sealed), r.upTo, r.from, r.to)
	if err != nil {
		return fmt.Errorf("read chunks of capture %s: %w", r.capture, err)
	}
	return nil
}

func lookupRow(row *sqlite3.Stmt, column int, lookup func(sample.SetID) (*sample.ChannelSet, error)) (*sample.ChannelSet, error) {
	raw := row.ColumnRawBlob(column)
	if len(raw) != len(sample.SetID{}) {
		return nil, fmt.Errorf("%w: channel set id has %d bytes", sample.ErrEncoding, len(raw))
	}
	return lookup(sample.SetID(raw))
}

// channelKey makes a channel's key unique within a capture that more than one
// source feeds: keys are unique within their source.
func channelKey(c *Capture, set *sample.ChannelSet, channel *sample.Channel) string {
	if set.Source() == c.Source {
		return channel.Key
	}
	return set.Source() + ":" + channel.Key
}
