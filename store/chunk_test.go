package store

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"dynotap/internal/db"
	"dynotap/sample"

	"github.com/ncruces/go-sqlite3"
)

func batchID(prefix byte, ordinal uint64) sample.BatchID {
	id := sample.BatchID{0: prefix}
	binary.BigEndian.PutUint64(id[8:], ordinal)
	return id
}

// intervals gives what is remembered of a prefix.
func intervals(t *testing.T, r *rig, prefix byte) (out [][2]int64) {
	t.Helper()
	id := batchID(prefix, 0)
	err := r.db.Read(t.Context(), func(c *db.Conn) error {
		return c.Query(`SELECT first, last FROM stored_batches WHERE prefix = ? ORDER BY first`, func(row *sqlite3.Stmt) error {
			out = append(out, [2]int64{row.ColumnInt64(0), row.ColumnInt64(1)})
			return nil
		}, id[:8])
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBatchesAreStoredOnceInAnyOrder delivers each batch several times, in
// random order, across restarts and sealing.
func TestBatchesAreStoredOnceInAnyOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	set := testSet("jetdrive", 1)
	random := rand.New(rand.NewPCG(1, 9))
	stored := make(map[uint64]bool)
	put := func(ordinal uint64) {
		c := r.put(&sample.Batch{ID: batchID(1, ordinal), Source: "jetdrive", Capture: "c", Set: set, Samples: []sample.Sample{{Time: int64(ordinal)}}})
		if c.Duplicate != stored[ordinal] {
			t.Fatalf("batch %d: duplicate %t, stored before %t", ordinal, c.Duplicate, stored[ordinal])
		}
		stored[ordinal] = true
	}
	for i := range 600 {
		put(1 + random.Uint64N(200))
		switch i {
		case 200:
			r.seal("c", 0)
		case 400:
			r.reopen()
		}
	}
	for ordinal := range uint64(201) {
		put(ordinal)
	}
	if got := intervals(t, r, 1); len(got) != 1 || got[0] != [2]int64{0, 200} {
		t.Errorf("intervals %v", got)
	}
	if n := len(r.read(Query{Capture: "c"})["DWRT CPU/0/0"]); n != 201 {
		t.Errorf("%d samples of 201", n)
	}
	c := r.put(&sample.Batch{ID: batchID(2, 5), Source: "jetdrive", Capture: "c", Set: set, Samples: []sample.Sample{{}}})
	if c.Duplicate {
		t.Error("another start's batch was taken for stored")
	}
}

func TestChunkEffectRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	set := testSet("jetdrive", 1)
	for _, c := range []struct {
		name  string
		chunk Chunk
		want  error
	}{
		{"unknown capture", Chunk{ID: batchID(1, 1), Capture: "d", Set: set.ID(), Samples: 1, Body: []byte{1}}, ErrNoCapture},
		{"ordinal", Chunk{ID: batchID(1, 1<<63), Capture: "c", Set: set.ID(), Samples: 1, Body: []byte{1}}, ErrBadID},
	} {
		if err := r.Write(t.Context(), ChunkEffect(&c.chunk)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got := intervals(t, r, 1); got != nil {
		t.Errorf("refused batches are remembered: %v", got)
	}
	empty := &Chunk{ID: batchID(1, 1), Capture: "c"}
	for i := range 2 {
		if err := r.Write(t.Context(), ChunkEffect(empty)); err != nil || empty.Duplicate != (i == 1) {
			t.Errorf("empty batch: duplicate %t, %v", empty.Duplicate, err)
		}
	}
	if last, err := r.Chunks(t.Context(), "c", 0, 10, nil); err != nil || last != 0 {
		t.Errorf("chunks up to %d, %v", last, err)
	}
}

func TestChunksResumeAndStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	r.begin("d")
	random := rand.New(rand.NewPCG(1, 10))
	set := testSet("jetdrive", 3)
	want := ledger{}
	for i := range 30 {
		b := randomBatch(random, set, "c", int64(i)*10_000, 10_000) // some hundred KiB each
		r.put(b)
		want.add(b)
		r.put(randomBatch(random, set, "d", 0, 1))
	}
	got := ledger{}
	at, calls := int64(0), 0
	for {
		n := 0
		last, err := r.Chunks(t.Context(), "c", at, 7, func(seq int64, b *sample.Batch) error {
			if seq <= at {
				t.Errorf("chunk %d comes after %d", seq, at)
			}
			n++
			got.add(b)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		calls++
		at = last
	}
	if calls != 5 {
		t.Errorf("%d calls for 30 chunks by 7", calls)
	}
	want.check(t, got)
	failed := errors.New("no")
	n := 0
	last, err := r.Chunks(t.Context(), "c", 0, 100, func(int64, *sample.Batch) error {
		if n++; n == 3 {
			return failed
		}
		return nil
	})
	if !errors.Is(err, failed) || last != 3 {
		t.Errorf("stopped after chunk %d: %v", last, err)
	}
}
