package store

import (
	"context"
	"fmt"
	"sync"

	"dynotap/internal/db"
	"dynotap/sample"

	"github.com/ncruces/go-sqlite3"
)

// maxCachedSets bounds the cache; a session has a handful.
const maxCachedSets = 256

// setCache holds sets that are known to be durable.
type setCache struct {
	mu   sync.Mutex
	sets map[sample.SetID]*sample.ChannelSet
}

func (c *setCache) get(id sample.SetID) (*sample.ChannelSet, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set, ok := c.sets[id]
	return set, ok
}

// put keeps the first pointer of each set, so that those who compare pointers
// see one.
func (c *setCache) put(set *sample.ChannelSet) *sample.ChannelSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.sets[set.ID()]; ok {
		return known
	}
	if c.sets == nil {
		c.sets = make(map[sample.SetID]*sample.ChannelSet)
	}
	for id := range c.sets {
		if len(c.sets) < maxCachedSets {
			break
		}
		delete(c.sets, id)
	}
	c.sets[set.ID()] = set
	return set
}

// PutSet makes a channel set durable. A batch may point into it only after
// that. It costs nothing when the set is known; else it blocks on a commit.
func (s *Store) PutSet(ctx context.Context, set *sample.ChannelSet) error {
	id := set.ID()
	if _, ok := s.sets.get(id); ok {
		return nil
	}
	if err := s.db.Write(ctx, setEffect(set)); err != nil {
		return fmt.Errorf("store channel set %s: %w", id, err)
	}
	s.sets.put(set)
	return nil
}

func setEffect(set *sample.ChannelSet) db.Effect {
	return func(tx *db.Tx) error {
		id := set.ID()
		return tx.Exec(`INSERT INTO channel_sets (id, source, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			id[:], set.Source(), set.Encode())
	}
}

// PutCaptureAndSet is PutCapture and PutSet in one commit.
func (s *Store) PutCaptureAndSet(ctx context.Context, c Capture, set *sample.ChannelSet) error {
	effect, err := CaptureEffect(c)
	if err != nil {
		return err
	}
	if err := s.Write(ctx, setEffect(set), effect); err != nil {
		return fmt.Errorf("store capture %s: %w", c.ID, err)
	}
	s.sets.put(set)
	return nil
}

// Set gives a stored channel set; ErrNoSet where there is none.
func (s *Store) Set(ctx context.Context, id sample.SetID) (set *sample.ChannelSet, err error) {
	if set, ok := s.sets.get(id); ok {
		return set, nil
	}
	err = s.db.Read(ctx, func(c *db.Conn) error {
		set, err = s.lookup(c)(id)
		return err
	})
	return set, err
}

// lookup is Set on a connection, in the form sample.DecodeBatch wants it.
func (s *Store) lookup(c *db.Conn) func(sample.SetID) (*sample.ChannelSet, error) {
	return func(id sample.SetID) (*sample.ChannelSet, error) {
		if set, ok := s.sets.get(id); ok {
			return set, nil
		}
		var body []byte
		err := c.Query(`SELECT body FROM channel_sets WHERE id = ?`, func(row *sqlite3.Stmt) error {
			body = row.ColumnBlob(0, nil)
			return nil
		}, id[:])
		if err != nil {
			return nil, fmt.Errorf("read channel set %s: %w", id, err)
		}
		if body == nil {
			return nil, fmt.Errorf("channel set %s: %w", id, ErrNoSet)
		}
		set, err := sample.DecodeChannelSet(body)
		if err != nil {
			return nil, fmt.Errorf("channel set %s: %w", id, err)
		}
		return s.sets.put(set), nil
	}
}
