//go:build unix

package app

import (
	"errors"
	"hash/crc32"
	"net/http"
	"slices"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
)

// fault is an item that cannot be delivered.
type fault struct {
	reason  string // why it dies
	payload []byte // what it held
	crc     int64
	deleted string // "": no; answered, or only asked for
}

// How far a deletion came.
const (
	asked    = "asked for"
	answered = "answered"
)

// spoilt is what was done to rows of the queue.
type spoilt map[queue.ID]*fault

// spoil makes the newest item in the queue, if there is one, undecodable or a
// batch of an unknown channel set, with a true checksum, as a faulty version of
// dynotap might.
func (s spoilt) spoil(t *testing.T, dir string) {
	t.Helper()
	f, bad := &fault{reason: pipeline.ReasonUndecodable}, []byte("no batch")
	if len(s)%2 == 1 {
		set := sample.NewChannelSet("nobody", []sample.Channel{{Key: sample.ChannelKey("nobody", 1, 0)}})
		f.reason, bad = queue.ReasonExhausted, sample.AppendBatch(nil, &sample.Batch{Set: set, Samples: []sample.Sample{{Value: 1}}})
	}
	onDatabase(t, dir, func(tx *db.Tx) error {
		var id int64
		var metadata string
		err := tx.Query(`SELECT id, payload, crc, metadata FROM queue WHERE attempts = 0 ORDER BY id DESC LIMIT 1`, func(row *sqlite3.Stmt) error {
			id, f.payload, f.crc = row.ColumnInt64(0), row.ColumnBlob(1, nil), row.ColumnInt64(2)
			metadata = row.ColumnText(3)
			return nil
		})
		if err != nil || id == 0 || s[queue.ID(id)] != nil {
			return err
		}
		s[queue.ID(id)] = f
		return tx.Exec(`UPDATE queue SET payload = ?, crc = ? WHERE id = ?`, bad,
			crc32.Checksum(slices.Concat(bad, []byte(metadata)), crc32.MakeTable(crc32.Castagnoli)), id)
	})
}

// operate is an operator who tries all dead letters again or deletes one,
// while the program is killed.
func (s spoilt) operate(in *instance, turn int) {
	holder, err := db.HolderOf(in.dir)
	if err != nil || holder.Address == "" {
		return // it is dead
	}
	c := clientOf(holder)
	if turn%(2*moments) == 0 {
		_, _ = c.call(in.t.Context(), http.MethodPost, "api/v1/dead-letters/retry", nil, nil)
		return
	}
	for id, f := range s {
		if f.deleted != "" {
			continue
		}
		f.deleted = asked
		if _, err := c.call(in.t.Context(), http.MethodDelete, letterPath(id.String()), nil, nil); err == nil {
			f.deleted = answered
		}
		return
	}
}

// mend gives the spoilt items, which must be dead letters unless the operator
// deleted them, their payloads back. It gives the numbers that were deleted.
func (s spoilt) mend(t *testing.T, dir string) (deleted map[int64]bool) {
	t.Helper()
	deleted = map[int64]bool{}
	onDatabase(t, dir, func(tx *db.Tx) error {
		for id, f := range s {
			if err := tx.Exec(`UPDATE dead_letters SET payload = ?, crc = ? WHERE id = ? AND reason = ?`, f.payload, f.crc, int64(id), f.reason); err != nil {
				return err
			}
			dead := tx.Changes() == 1
			if dead == (f.deleted == answered) && f.deleted != asked {
				t.Errorf("%s (%s, deletion: %q): among the dead letters: %v", id, f.reason, f.deleted, dead)
			}
			if !dead {
				f.numbers(t, deleted)
			}
		}
		return nil
	})
	return deleted
}

// numbers adds those of the batch that the item held.
func (f *fault) numbers(t *testing.T, all map[int64]bool) {
	t.Helper()
	set := sample.NewChannelSet("counting", []sample.Channel{{}})
	var b sample.Batch
	if err := sample.DecodeBatch(f.payload, func(sample.SetID) (*sample.ChannelSet, error) { return set, nil }, &b); err != nil {
		t.Error(err)
	}
	for i := range b.Samples {
		all[int64(b.Samples[i].Value)] = true
	}
}

func onDatabase(t *testing.T, dir string, do func(*db.Tx) error) {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Write(t.Context(), do), d.Close()); err != nil {
		t.Fatal(err)
	}
}
