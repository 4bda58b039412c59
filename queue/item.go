package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"dynotap/internal/db"
	"dynotap/sample"
)

// classShift places the class above the sequence in an ID.
const classShift = 56

// ID names an item as long as it exists, in the queue and in the dead letters;
// it is never used again. It is text outside of the program, and opaque: only
// drivers may know that the order of ids is the order of delivery.
type ID uint64

// MakeID builds the id of a class and a sequence number.
func MakeID(class sample.Priority, sequence uint64) ID {
	return ID(uint64(class)<<classShift | sequence)
}

// Class is the class within which the id is ordered.
func (id ID) Class() sample.Priority { return sample.Priority(id >> classShift) }

// Sequence is the number within all ids.
func (id ID) Sequence() uint64 { return uint64(id) & (1<<classShift - 1) }

// String gives the id as ParseID reads it.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// MarshalText makes the id a string in JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// ParseID reads an id that String printed.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 || !ID(n).Class().Valid() {
		return 0, fmt.Errorf("%w: %q is not the id of an item", ErrNotFound, text)
	}
	return ID(n), nil
}

// Item is what waits in the queue. The caller sets the first group of fields,
// the queue the second.
type Item struct {
	Source   string
	Priority sample.Priority
	Samples  int // how many samples the payload carries, for the sum
	Payload  []byte
	Metadata map[string]string

	ID         ID
	Attempts   int       // failed ones
	Enqueued   time.Time // wall clock, UTC, whole µs
	FirstError string
	LastError  string

	lease uint64
}

// Kind is a processor's answer for one item (CONFORMANCE Q8).
type Kind uint8

// Done removes the item for good, Rejected makes it a dead letter at once,
// Retry gives it another attempt after a delay.
const (
	Done Kind = iota
	Rejected
	Retry
)

// Result is what became of one item.
type Result struct {
	Kind   Kind
	Reason string // why it was rejected
	Err    error  // why to try again
	// Effect of a Done item is committed in the transaction that removes the
	// item, where the driver lives in the database; otherwise Options.Apply
	// commits it before. It may be run more than once, after a rollback. An
	// effect that fails makes the item a Retry.
	Effect db.Effect
}

// Processor handles items that are leased to it, in their order, and answers
// for each one. The items and their payloads are valid until what it answered
// has been settled, its effects included. ctx ends when the queue was stopped
// and its deadline has passed.
type Processor func(ctx context.Context, items []Item) []Result

// Place is where an item's samples are.
type Place uint8

// The columns of DESIGN decision 7 that the queue moves samples between. What
// is offered to Enqueue counts as Queued from the call on: a newcomer that is
// dropped moves from Queued to Dropped. When Enqueue fails for another reason
// nothing is told, the items are still the caller's.
const (
	Nowhere   Place = iota // before the start of the program
	Queued                 // waiting, delayed or leased
	Processed              // done
	Dead                   // among the dead letters
	Dropped                // lost, by reason
	Discarded              // removed by the user
)

var placeNames = [...]string{"nowhere", "queued", "processed", "dead", "dropped", "discarded"}

// String gives the place's name in lower case.
func (p Place) String() string {
	if int(p) < len(placeNames) {
		return placeNames[p]
	}
	return fmt.Sprintf("place(%d)", uint8(p))
}

// Reasons why samples were dropped or died, besides a processor's own.
const (
	ReasonFull      = "queue_full"          // the newcomer was refused
	ReasonEvicted   = "evicted"             // made room for a newcomer
	ReasonExhausted = "retries_exhausted"   // dead: the last attempt failed too
	ReasonDamaged   = "damaged"             // dead: the stored payload is not what was enqueued
	ReasonMissing   = "missing"             // somebody else took it out of the driver's medium
	ReasonDeadFull  = "dead_letter_evicted" // dropped: too many or too old dead letters
)

// Event is a move of samples of one source from one place to another, told
// after it is durable.
type Event struct {
	Source   string
	Items    int
	Samples  int
	From, To Place
	Reason   string
}

// What callers decide on.
var (
	// ErrPriority refuses an item whose priority is none of the five.
	ErrPriority = errors.New("not a valid priority")
	// ErrFull: the newcomer was dropped, and counted, because the queue is
	// full.
	ErrFull = errors.New("queue is full")
	// ErrNotFound: no such item among the dead letters.
	ErrNotFound = errors.New("no such item")
	// ErrNotLeased: the lease has ended, or the item was settled already.
	ErrNotLeased = errors.New("item is not leased")
	// ErrSettings is wrapped by every complaint of New about its settings.
	ErrSettings = errors.New("invalid queue settings")
)
