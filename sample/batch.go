package sample

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
)

// BatchID recognises a batch that was stored already: 8 random bytes per
// program start (or of a file's content hash) and a big-endian counter
// (DESIGN decision 2).
type BatchID [16]byte

// String gives the id in hexadecimal.
func (id BatchID) String() string { return hex.EncodeToString(id[:]) }

// Prefix is the part shared by all batches of one start or one file.
func (id BatchID) Prefix() [8]byte { return [8]byte(id[:8]) }

// Ordinal is the counter within the prefix.
func (id BatchID) Ordinal() uint64 { return binary.BigEndian.Uint64(id[8:]) }

// BatchIDs hands out ids that no other start of any dynotap hands out. It is
// safe for concurrent use.
type BatchIDs struct {
	prefix [8]byte
	next   atomic.Uint64
}

// NewBatchIDs draws a random prefix.
func NewBatchIDs() *BatchIDs {
	ids := new(BatchIDs)
	_, _ = rand.Read(ids.prefix[:]) // never fails since Go 1.24
	return ids
}

// ContentBatchIDs hands out the ids of a file's batches in order, so that the
// same file gives the same ids again.
func ContentBatchIDs(contentHash [32]byte) *BatchIDs {
	return &BatchIDs{prefix: [8]byte(contentHash[:8])}
}

// Next hands out the next id; the first has ordinal 1.
func (ids *BatchIDs) Next() BatchID {
	var id BatchID
	copy(id[:8], ids.prefix[:])
	binary.BigEndian.PutUint64(id[8:], ids.next.Add(1))
	return id
}

// Batch is samples of one source in arrival order, the unit of the queue. It
// never spans two channel sets.
//
// A batch belongs to whoever made it: receivers that keep samples beyond the
// call copy or encode them.
type Batch struct {
	ID       BatchID
	Source   string
	Capture  string // id of the capture that owns the samples
	Set      *ChannelSet
	Priority Priority
	Received int64 // arrival of the oldest contained packet, µs since the epoch
	Clock    Clock
	Samples  []Sample
}
