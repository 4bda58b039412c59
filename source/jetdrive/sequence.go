package jetdrive

import "bytes"

// order is what the number of a message says about it.
type order uint8

const (
	// inOrder is the next message, or one ahead of a gap.
	inOrder order = iota
	// late fills a gap: it was counted lost and is now counted reordered.
	late
	// duplicate was heard before, or is too old to tell; it is dropped.
	duplicate
)

const (
	// ahead is the least unsigned distance that is not a step ahead.
	ahead = 128
	// missingWindow bounds the missing numbers that may still arrive.
	missingWindow = 64
)

// sequence follows the 8-bit numbers of one host (PROTOCOLS 1.3). The zero
// value waits for the first message.
type sequence struct {
	lost, reordered, duplicates uint64

	// position is the place of the last accepted message among all the host
	// sent, lost ones included; it orders messages across the wrap.
	position int64

	newest  int64 // position of the message numbered last
	heard   bool
	last    uint8
	missing [missingWindow]uint8 // oldest first
	open    int                  // how many of missing are in use
}

// accept judges the next message by its number and counts it.
func (s *sequence) accept(seq uint8) order {
	gap := 0
	if s.heard {
		gap = int(seq - s.last - 1)
	}
	if gap < ahead {
		s.step(seq, gap)
		return inOrder
	}
	at := bytes.IndexByte(s.missing[:s.open], seq)
	if at < 0 {
		s.duplicates++
		return duplicate
	}
	s.open = at + copy(s.missing[at:], s.missing[at+1:s.open])
	s.lost--
	s.reordered++
	s.position = s.newest - int64(s.last-seq)
	return late
}

// step is a message that is ahead of all before, behind a gap.
func (s *sequence) step(seq uint8, gap int) {
	if gap > 0 || s.open > 0 {
		s.skip(seq, gap)
	}
	s.heard, s.last = true, seq
	s.lost += uint64(gap)
	s.newest += int64(gap) + 1
	s.position = s.newest
}

// jump takes back that the message just judged is a duplicate: what is between
// it and the last one, more than half the numbers there are, was lost.
func (s *sequence) jump(seq uint8) {
	s.duplicates--
	s.step(seq, int(seq-s.last-1))
}

// skip notes the gap numbers before seq as missing. seq itself no longer is:
// the numbering has come round to it.
func (s *sequence) skip(seq uint8, gap int) {
	keep := 0
	for _, m := range s.missing[:s.open] {
		if m != seq {
			s.missing[keep] = m
			keep++
		}
	}
	fresh := min(gap, missingWindow)
	if surplus := keep + fresh - missingWindow; surplus > 0 {
		keep = copy(s.missing[:], s.missing[surplus:keep])
	}
	for i := range fresh {
		s.missing[keep+i] = seq - uint8(fresh-i)
	}
	s.open = keep + fresh
}

// restart forgets the numbering of a host that began anew; the counts stay.
func (s *sequence) restart() { s.heard, s.open = false, 0 }
