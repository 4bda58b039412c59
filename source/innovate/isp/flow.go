package isp

import (
	"bytes"
	"slices"
)

// The bytes that XON/XOFF flow control takes out of a stream.
const (
	xon  = 0x11
	xoff = 0x13
)

// FlowControl looks for the damage that XON/XOFF flow control does: a terminal
// setting or an adapter between device and program takes every 0x11 and 0x13
// out, which breaks the packets that have one. The zero value is ready.
//
// Absence alone proves nothing, since a steady value repeats the same bytes.
// How often the two were due is told by their neighbours: a measured value that
// passes 0x0F, 0x10, 0x12 and 0x14 passes 0x11 as often.
type FlowControl struct {
	seen  [128]uint64 // data bytes since the last 0x11 or 0x13
	since Counters    // what the decoder had counted then
	now   Counters
}

// Suspicion is how far the damage looks like that of flow control.
type Suspicion uint8

// The three degrees.
const (
	Unsuspected Suspicion = iota
	// Likely: a dozen packets or more lack bytes, none is intact, and there is
	// no 0x11 or 0x13. A line that loses a fifth of all bytes at random does
	// this to one dozen of single-sensor packets in thirty.
	Likely
	// Sure: packets lack bytes, and there is no 0x11 or 0x13 where seven or
	// more were due by their neighbours. Chance does this once in a thousand
	// times.
	Sure
)

// FlowDamage is what FlowControl found since the last 0x11 or 0x13.
type FlowDamage struct {
	Suspicion Suspicion
	Short     uint64 // packets that lack bytes
	Intact    uint64
	Expected  uint64 // how many 0x11 and 0x13 were due
}

// Look takes in a piece of the stream and what the decoder has counted after
// it.
func (f *FlowControl) Look(chunk []byte, now Counters) {
	f.now = now
	if at := max(bytes.LastIndexByte(chunk, xon), bytes.LastIndexByte(chunk, xoff)); at >= 0 {
		clear(f.seen[:])
		f.since = now
		chunk = chunk[at+1:]
	}
	for _, b := range chunk {
		if b < 128 {
			f.seen[b]++
		}
	}
}

// Damage gives the finding at this moment.
func (f *FlowControl) Damage() FlowDamage {
	d := FlowDamage{
		Short:    f.now.Truncated - f.since.Truncated,
		Intact:   f.now.Packets - f.since.Packets,
		Expected: f.due(xon-2, xon-1, xon+1, xoff+1) + f.due(xon-1, xoff-1, xoff+1, xoff+2),
	}
	switch {
	case d.Expected >= 7 && d.Short >= max(3, d.Expected/4):
		d.Suspicion = Sure
	case d.Short >= 12 && d.Intact == 0:
		d.Suspicion = Likely
	}
	return d
}

// due is the second smallest count of four bytes, so that neither one that is
// always there nor one that happens to be absent decides.
func (f *FlowControl) due(neighbours ...byte) uint64 {
	var counts [4]uint64
	for i, b := range neighbours {
		counts[i] = f.seen[b]
	}
	slices.Sort(counts[:])
	return counts[1]
}
