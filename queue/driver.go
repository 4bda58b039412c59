package queue

import (
	"context"
	"time"

	"dynotap/internal/db"
	"dynotap/sample"
)

// Driver keeps items. It decides nothing: order, policy, retries, leases and
// waiting are Queue's.
//
// The Queue never runs two Apply that append at the same time, but everything
// else may be called concurrently. Every method may block on the medium and
// none retries: an error says that nothing was changed (or, of Apply, that
// this must be assumed: the same changes come again, and a Put or Remove that
// was done already is then no error).
type Driver interface {
	// Load gives the totals of what is kept, once, before anything else.
	Load(ctx context.Context) (State, error)

	// Fetch gives the first limit items with after < ID <= upTo in order of
	// ID, and fewer only if their payloads pass maxBytes together or there are
	// no more. The items become the caller's.
	Fetch(ctx context.Context, after, upTo ID, limit, maxBytes int) ([]Stored, error)

	// Apply makes the changes, in order, all or none. When it returns nil they
	// are as durable as the driver promises. It keeps no reference to the
	// changes or their items, but may keep payloads and metadata, which nobody
	// changes any more.
	Apply(ctx context.Context, changes []Change) error

	// DeadLetters lists those that match, in the order of their death.
	DeadLetters(ctx context.Context, filter Filter, offset, limit int) ([]DeadLetter, error)
}

// EffectSettler is a Driver that lives in the database and commits the effects
// of Remove changes in the same transaction.
type EffectSettler interface {
	// ApplyEffects is Apply, except that a change whose effect fails is left
	// out, the effect's error in its Err. An effect that fails because of the
	// disk fails the whole.
	ApplyEffects(ctx context.Context, changes []Change) error
}

// State is what a driver holds at start.
type State struct {
	// Sequence is above or at every sequence number ever given to Put, also
	// of items that were deleted long ago.
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
// not what was put.
type Stored struct {
	Item   Item
	Damage error
}

// Op is a kind of change.
type Op uint8

// The changes. Put and Update take the whole item; Bury moves it to the dead
// letters as it is given; Revive brings it back with Attempts and errors as
// given; Remove and Forget delete it from the queue and from the dead letters
// and look at ID, Source and Samples only.
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
