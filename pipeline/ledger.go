package pipeline

import (
	"maps"
	"slices"
	"sync"

	"dynotap/queue"
)

// Account is where the samples of one source are (DESIGN decision 7):
// Received + Recovered = Processed + Failed + Dropped + Queued + Dead +
// Discarded at every look.
type Account struct {
	Received  int64 `json:"received"`  // taken from the source, duplicates removed
	Recovered int64 `json:"recovered"` // found in the queue and the dead letters at start
	Processed int64 `json:"processed"` // stored
	Failed    int64 `json:"failed"`    // rejected by validation
	Dropped   int64 `json:"dropped"`   // lost to a full queue or an error of it
	Queued    int64 `json:"queued"`    // accepted and not yet stored, in flight included
	Dead      int64 `json:"dead"`      // dead letters
	Discarded int64 `json:"discarded"` // removed by the user

	FailedBy  map[string]int64 `json:"failed_by,omitempty"`  // by reason
	DroppedBy map[string]int64 `json:"dropped_by,omitempty"` // by reason
}

// Balance is zero when the sum holds.
func (a Account) Balance() int64 {
	return a.Received + a.Recovered - a.Processed - a.Failed - a.Dropped - a.Queued - a.Dead - a.Discarded
}

func (a *Account) add(b Account) {
	a.Received += b.Received
	a.Recovered += b.Recovered
	a.Processed += b.Processed
	a.Failed += b.Failed
	a.Dropped += b.Dropped
	a.Queued += b.Queued
	a.Dead += b.Dead
	a.Discarded += b.Discarded
	addAll(&a.FailedBy, b.FailedBy)
	addAll(&a.DroppedBy, b.DroppedBy)
}

func addAll(into *map[string]int64, from map[string]int64) {
	for reason, n := range from {
		count(into, reason, n)
	}
}

func count(into *map[string]int64, reason string, n int64) {
	if n == 0 {
		return
	}
	if *into == nil {
		*into = map[string]int64{}
	}
	(*into)[reason] += n
}

// Ledger is the account of every source. Each change moves samples from one
// column to another under one lock, so that a snapshot always adds up. It is
// safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	accounts map[string]*Account
}

// NewLedger opens an empty ledger.
func NewLedger() *Ledger { return &Ledger{accounts: map[string]*Account{}} }

func (l *Ledger) change(source string, with func(*Account)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[source]
	if a == nil {
		a = new(Account)
		l.accounts[source] = a
	}
	with(a)
}

// Receive books a batch of n samples of which failed were rejected by reason;
// the rest is on its way into the queue.
func (l *Ledger) Receive(source string, n int, failed map[string]int64) {
	l.change(source, func(a *Account) {
		a.Received += int64(n)
		a.Queued += int64(n)
		for reason, k := range failed {
			a.Queued -= k
			a.Failed += k
			count(&a.FailedBy, reason, k)
		}
	})
}

// Abandon books samples that were on their way into the queue, or in one that
// is given up, and never got further.
func (l *Ledger) Abandon(source string, n int, reason string) {
	if n == 0 {
		return
	}
	l.Observe(queue.Event{Source: source, Samples: n, From: queue.Queued, To: queue.Dropped, Reason: reason})
}

// Observe books a move that the queue tells of.
func (l *Ledger) Observe(e queue.Event) {
	n := int64(e.Samples)
	l.change(e.Source, func(a *Account) {
		if e.From == queue.Nowhere {
			a.Recovered += n
		} else {
			*a.column(e.From) -= n
		}
		*a.column(e.To) += n
		if e.To == queue.Dropped {
			count(&a.DroppedBy, e.Reason, n)
		}
	})
}

// column is where the samples at a place are counted.
func (a *Account) column(p queue.Place) *int64 {
	switch p {
	case queue.Processed:
		return &a.Processed
	case queue.Dead:
		return &a.Dead
	case queue.Dropped:
		return &a.Dropped
	case queue.Discarded:
		return &a.Discarded
	case queue.Nowhere:
		return &a.Recovered
	default:
		return &a.Queued
	}
}

// Sources names the sources in order.
func (l *Ledger) Sources() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.accounts))
}

// Snapshot copies every account and their total, at one moment.
func (l *Ledger) Snapshot() (sources map[string]Account, total Account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sources = make(map[string]Account, len(l.accounts))
	for name, a := range l.accounts {
		c := *a
		c.FailedBy, c.DroppedBy = maps.Clone(a.FailedBy), maps.Clone(a.DroppedBy)
		sources[name] = c
		total.add(c)
	}
	return sources, total
}
