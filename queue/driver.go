package queue

import (
	"context"
	"time"

	"dynotap/internal/db"
	"dynotap/sample"
)

// Driver keeps items under the ids that Queue gives them. It decides nothing:
// order, policy, retries, leases, waiting and statistics are Queue's. A driver
// serves one Queue, which is not asked to close it.
//
// Calls: Load comes first and alone; then every method may be called while any
// other runs. Changes of one item never overlap. Two Apply that hold a Put
// never overlap either and come in the order of their ids.
//
// Blocking: every method may block on the medium for as long as that takes;
// the Queue's statistics, and what can be served from memory, go on meanwhile.
// ctx ends the waiting for the medium; what has begun may be carried to its
// end.
//
// Errors: a driver gives the error and logs nothing. It may repeat what is
// quick to repeat; the slow repeating, with pauses, is Queue's and its
// callers'. Queue looks into no error and takes none for the fault of an item:
// after a failed Put or Revive the caller is told and still has the item,
// while a failed Update, Remove, Bury or Forget may come again. An item that
// can be read but is damaged is no error: see Stored.
//
// Ownership: what a driver gives is the caller's. Of what it is given it keeps
// texts, payloads and metadata, which nobody changes, but no slice of changes
// and no *Item.
type Driver interface {
	// Load tells what is kept from earlier. The medium is the driver's alone:
	// what others do to it meanwhile is lost or logged, not served.
	Load(ctx context.Context) (State, error)

	// Fetch gives the first limit items with after < ID <= upTo, both of one
	// class, in the order of ID. It gives fewer only if there are no more or
	// their payloads have reached maxBytes together, the last one included. It
	// changes nothing.
	//
	// It sees every Apply that has returned. What is put meanwhile is above
	// upTo; what is updated, removed or buried meanwhile may be seen as it was
	// or as it is.
	Fetch(ctx context.Context, after, upTo ID, limit, maxBytes int) ([]Stored, error)

	// Apply makes the changes, all or none; no item occurs twice. When it returns nil they
	// are as durable as the driver promises; a crash before leaves all or
	// none. An error says that none was made. A driver whose medium has left
	// that open finds out before it returns from a Put or Revive. The other
	// changes it may leave open: they come again, and what is done already is
	// then no error.
	//
	// A medium without transactions carries out a Bury or Revive by writing
	// first and removing then, and at Load takes what it finds in both places
	// for a dead letter.
	Apply(ctx context.Context, changes []Change) error

	// DeadLetters gives those that match, by Died and then by ID, without the
	// first offset and no more than limit. Of a damaged one it gives what is
	// left.
	DeadLetters(ctx context.Context, filter Filter, offset, limit int) ([]DeadLetter, error)
}

// EffectSettler is a Driver that lives in the database and commits the effects
// of Remove changes in the same transaction. Other drivers leave effects to
// Options.Apply, which commits them before the Remove.
type EffectSettler interface {
	// ApplyEffects is Apply, except that a change whose effect fails is left
	// out, the effect's error in its Err. An effect that fails because of the
	// disk (db.Environmental) fails the whole.
	ApplyEffects(ctx context.Context, changes []Change) error
}

// State is what a driver holds at start.
type State struct {
	// Sequence is above or at every sequence number ever given to Put, also
	// of items that were deleted long ago. A driver writes it down with the
	// Put, or ahead of it in blocks: numbers may be skipped. Where the medium
	// counts by itself, its numbers are the driver's affair: it keeps the ID
	// with the item and finds it by that.
	Sequence uint64
	Totals   []Total
}

// Total counts what is kept of one class and source.
type Total struct {
	Dead    bool
	Class   sample.Priority // of the ID
	Source  string
	Items   int
	Samples int
}

// Stored is an item as it was found. Damage says that payload or metadata are
// not what was put; ID, Priority and Source are as sound as can be told. Queue
// buries such an item.
type Stored struct {
	Item   Item
	Damage error
}

// Op is a kind of change.
type Op uint8

// The changes. ID, Source and Samples are always given, for the totals.
//
//   - Put appends the whole item, with an id above all that were put before in
//     its class.
//   - Update sets Attempts, FirstError and LastError of an item, if it is there.
//   - Remove deletes an item from the queue, if it is there.
//   - Bury makes an item a dead letter, with Attempts, errors, Reason and Died
//     as given and payload and metadata as they were put, damage included. What
//     is a dead letter already is left alone; what is nowhere becomes one, all
//     as given.
//   - Revive brings a dead letter back to its place, with Attempts and errors
//     as given; ErrNotFound.
//   - Forget deletes a dead letter, if it is there.
const (
	Put Op = iota
	Update
	Remove
	Bury
	Revive
	Forget
)

// Change is one step of Apply.
type Change struct {
	Op     Op
	Item   *Item
	Reason string    // Bury
	Died   time.Time // Bury
	Effect db.Effect // Remove
	Err    error     // set by ApplyEffects
}

// DeadLetter is an item that was given up, with why and when.
type DeadLetter struct {
	Item
	Reason string
	Died   time.Time // wall clock, UTC, whole µs
}

// Filter selects dead letters; a zero field selects all.
type Filter struct {
	ID       ID
	Source   string
	Priority *sample.Priority
	Reason   string
	DiedBy   time.Time // at or before
}

// Matches applies the filter to one.
func (f Filter) Matches(d *DeadLetter) bool {
	return (f.ID == 0 || f.ID == d.ID) &&
		(f.Source == "" || f.Source == d.Source) &&
		(f.Priority == nil || *f.Priority == d.Priority) &&
		(f.Reason == "" || f.Reason == d.Reason) &&
		(f.DiedBy.IsZero() || !d.Died.After(f.DiedBy))
}
