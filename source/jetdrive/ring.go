package jetdrive

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Packet is one datagram as it came from the network. Data belongs to the Conn
// and is good until the function that was given the packet returns.
type Packet struct {
	Data    []byte
	From    netip.AddrPort
	Arrived time.Time // with a monotonic reading
}

const (
	// usualDatagram is the room that a waiting datagram is reckoned with. Most
	// are below 1,472 bytes (PROTOCOLS 1.3); longer ones take the room of
	// several.
	usualDatagram = 2048
	// longestDatagram holds any UDP datagram, so that none is cut.
	longestDatagram = 1 << 16
	// wakeEvery is how often, in packets, a taker of a full ring lets the
	// writer go on.
	wakeEvery = 256

	cacheLine = 64
)

// ring is a queue of datagrams with one writer and one taker. It is bounded by
// their number and by bytes: the datagrams lie end to end in one arena that is
// used from its start again whenever the ring is empty, so that a taker who
// keeps up touches little memory.
type ring struct {
	slots   []slot
	arena   []byte
	longest int // of a datagram, a multiple of alignment
	at      int // the writer's place in the arena

	ready chan struct{} // of capacity 1: packets came for an idle taker
	room  chan struct{} // of capacity 1: a starved writer may go on

	_         [cacheLine]byte
	published atomic.Uint64 // packets ever put in
	idle      atomic.Bool   // the taker waits for ready
	_         [cacheLine]byte
	consumed  atomic.Uint64 // packets ever taken out
	starved   atomic.Bool   // the writer waits for room
}

type slot struct {
	offset, length int
	from           netip.AddrPort
	arrived        time.Time
}

// alignment of datagrams in the arena; an empty one takes as much.
const alignment = 8

// newRing makes a ring for the given number of datagrams of usual size.
func newRing(datagrams, longest int) *ring {
	r := &ring{
		slots:   make([]slot, datagrams),
		arena:   make([]byte, datagrams*min(usualDatagram, longest)+2*longest),
		longest: longest,
		ready:   make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
	}
	r.idle.Store(true)
	return r
}

// reserve gives the writer room for one datagram of any length, nil when the
// ring is full.
func (r *ring) reserve() []byte {
	newest, oldest := r.published.Load(), r.consumed.Load()
	if newest == oldest {
		r.at = 0
		return r.arena[:r.longest]
	}
	if newest-oldest == uint64(len(r.slots)) {
		return nil
	}
	// The free part of the arena runs from at to the oldest datagram; where the
	// two have met there is none.
	first := r.slots[oldest%uint64(len(r.slots))].offset
	switch {
	case first < r.at && len(r.arena)-r.at >= r.longest:
	case first < r.at && first >= r.longest:
		r.at = 0
	case first > r.at && first-r.at >= r.longest:
	default:
		return nil
	}
	return r.arena[r.at : r.at+r.longest]
}

// await is reserve for a writer that found no room: it waits for some for at
// most the given time.
func (r *ring) await(patience time.Duration) []byte {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		r.starved.Store(true)
		if room := r.reserve(); room != nil {
			r.starved.Store(false)
			return room
		}
		select {
		case <-r.room:
		case <-timer.C:
			r.starved.Store(false)
			return nil
		}
	}
}

// publish hands the first n bytes of what reserve gave to the taker.
func (r *ring) publish(n int, from netip.AddrPort, arrived time.Time) {
	number := r.published.Load()
	r.slots[number%uint64(len(r.slots))] = slot{offset: r.at, length: n, from: from, arrived: arrived}
	r.at += (max(n, 1) + alignment - 1) &^ (alignment - 1)
	r.published.Store(number + 1)
	if r.idle.Load() {
		r.wake()
	}
}

// wake ends the taker's idleness.
func (r *ring) wake() {
	r.idle.Store(false)
	signal(r.ready)
}

// take gives the taker what waits at the moment of the call, oldest first, and
// returns how many that were. ready is signalled when more came meanwhile.
func (r *ring) take(each func(Packet)) int {
	number := r.consumed.Load()
	waiting := int(r.published.Load() - number)
	defer func() { r.consumed.Store(number) }() // one whose handling panics is over, too
	for i := range waiting {
		s := &r.slots[number%uint64(len(r.slots))]
		number++
		each(Packet{Data: r.arena[s.offset : s.offset+s.length : s.offset+s.length], From: s.from, Arrived: s.arrived})
		r.consumed.Store(number)
		if (i%wakeEvery == wakeEvery-1 || i == waiting-1) && r.starved.Swap(false) {
			signal(r.room)
		}
	}
	r.idle.Store(true)
	if r.published.Load() != number {
		r.wake()
	}
	return waiting
}

// peek shows the taker, or whoever keeps it from taking, the packets that wait
// from the given number on, and returns the number after them.
func (r *ring) peek(from uint64, each func(Packet)) uint64 {
	published := r.published.Load()
	for number := max(from, r.consumed.Load()); number < published; number++ {
		s := &r.slots[number%uint64(len(r.slots))]
		each(Packet{Data: r.arena[s.offset : s.offset+s.length : s.offset+s.length], From: s.from, Arrived: s.arrived})
	}
	return published
}

// signal never blocks: the receiver needs to know only that something was.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
