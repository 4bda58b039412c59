package mlg

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The kinds of blocks.
const (
	kindRecord = 0
	kindMarker = 1
)

// block is one record or marker.
type block struct {
	at      int64 // in the file
	marker  bool
	counter uint8
	tick    uint16 // in 10 µs, wraps every 0.65536 s
	// lost is how many bytes before it were no block.
	lost int64
	// payload is the bytes of the fields, or the marker's text; good until the
	// next block.
	payload []byte
}

// walker goes from block to block and passes over what is none.
type walker struct {
	w       *window
	pos     int64
	payload int
	counter uint8 // of the block before
	any     bool  // a block was seen
	lost    int64
	// problem is told of bytes that gave no block, note of those that are none
	// although nothing is lost.
	problem func(at int64, text string)
	note    func(at int64, text string)
	sums    []uint32
}

func newWalker(w *window, h *header, payload int) *walker {
	ignore := func(int64, string) {}
	k := &walker{w: w, pos: h.dataAt, payload: payload, problem: ignore, note: ignore}
	if h.dataAt < h.fieldsEnd {
		k.pos = h.fieldsEnd
	}
	return k
}

func (k *walker) length() int { return blockHeader + k.payload + 1 }

// next gives the next block; io.EOF at the end.
func (k *walker) next() (block, error) {
	for {
		b, err := k.w.at(k.pos, min(6*max(k.length(), markerLength), windowSize/2))
		if err != nil {
			return block{}, err
		}
		if len(b) == 0 {
			return block{}, io.EOF
		}
		switch k.judge(b) {
		case good:
			return k.take(b), nil
		case zeros:
			err = k.skipZeros()
		case damaged:
			sum, want := checksum(b[:k.length()])
			k.problem(k.pos, fmt.Sprintf("the bytes of the record add up to %d and its checksum is %d: the record was left out", sum, want))
			k.skip(int64(k.length()))
		case cut:
			k.problem(k.pos, fmt.Sprintf("the file ends inside the last block, after %d of its bytes: it was left out", len(b)))
			k.skip(int64(len(b)))
		default:
			err = k.search()
		}
		if err != nil {
			return block{}, err
		}
	}
}

func (k *walker) skip(n int64) {
	k.pos += n
	k.lost += n
}

func (k *walker) take(b []byte) block {
	out := block{at: k.pos, marker: b[0] == kindMarker, counter: b[1], tick: binary.BigEndian.Uint16(b[2:]), lost: k.lost}
	n := k.length()
	if out.marker {
		n = markerLength
		out.payload = b[blockHeader:n]
	} else {
		out.payload = b[blockHeader : n-1]
	}
	k.pos += int64(n)
	k.lost, k.counter, k.any = 0, b[1], true
	return out
}

// verdict is what stands at a place of the file.
type verdict uint8

const (
	garbage verdict = iota
	good
	damaged // a record whose checksum is wrong, in its place
	zeros   // space that the logger set aside
	cut     // the beginning of the last block
)

// judge says what b begins with. B holds several blocks, or the rest of the
// file.
func (k *walker) judge(b []byte) verdict {
	n := k.length()
	switch {
	case b[0] == kindMarker && len(b) >= markerLength:
		// A marker has no checksum: what comes after it speaks for it.
		if after := b[markerLength:]; len(after) > 0 && after[0] > kindMarker {
			return garbage
		}
		return good
	case b[0] > kindMarker:
		return garbage
	case b[0] == kindMarker || len(b) < n:
		if allZero(b) && k.any {
			return zeros
		}
		return cut
	}
	sum, want := checksum(b[:n])
	if sum != want {
		for range 4 {
			// A damaged record stands in its place when one after it does.
			if b = b[n:]; len(b) == 0 || k.sound(b) {
				return damaged
			}
			if len(b) < n {
				break
			}
		}
		return garbage
	}
	if want == 0 && allZero(b[:n]) && k.any && (k.counter != 255 || len(b) >= 2*n && allZero(b[n:2*n])) {
		return zeros
	}
	return good
}

// sound reports whether b begins with a block that shows itself to be one.
func (k *walker) sound(b []byte) bool {
	n := k.length()
	if len(b) >= markerLength && b[0] == kindMarker {
		return true
	}
	if len(b) < n || b[0] != kindRecord {
		return false
	}
	sum, want := checksum(b[:n])
	return sum == want && !allZero(b[:n])
}

// checksum gives the sum of a record's bytes and the one it was stored with.
func checksum(record []byte) (sum, want uint8) {
	last := len(record) - 1
	for _, v := range record[blockHeader:last] {
		sum += v
	}
	return sum, record[last]
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// skipZeros passes over space that a logger set aside and did not fill.
func (k *walker) skipZeros() error {
	from := k.pos
	for {
		b, err := k.w.all(k.pos)
		if err != nil {
			return err
		}
		n := 0
		for n < len(b) && b[n] == 0 {
			n++
		}
		k.pos += int64(n)
		if n < len(b) || len(b) == 0 {
			break
		}
	}
	// A record that follows begins with zeros of its own.
	if k.pos < k.w.size {
		k.pos = max(from+1, k.pos-int64(blockHeader+k.payload))
		if err := k.find(); err != nil {
			return err
		}
	}
	k.lost += k.pos - from
	k.note(from, fmt.Sprintf("%d bytes of zeros hold no records (space that the logger had set aside)", k.pos-from))
	return nil
}

// search looks for the next record after bytes that are none.
func (k *walker) search() error {
	from := k.pos
	k.pos++
	if err := k.find(); err != nil {
		return err
	}
	k.lost += k.pos - from
	k.problem(from, fmt.Sprintf("%d bytes are no record and were passed over", k.pos-from))
	return nil
}

// find moves to the next place where two blocks stand one after the other,
// the first a record with a right checksum, or to the end of the file. It looks
// at no more than a few records beyond that place, and at every byte a fixed
// number of times, so that damage all over a file costs no more than one.
func (k *walker) find() error {
	pair := k.length() + max(k.length(), markerLength)
	for look := 4 * pair; k.pos < k.w.size; look = min(2*look, windowSize/2) {
		b, err := k.w.at(k.pos, look)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return nil
		}
		atEnd := k.pos+int64(len(b)) >= k.w.size
		stop := len(b) - pair
		if atEnd {
			stop = len(b)
		}
		k.addUp(b)
		for i := range stop {
			if k.startsHere(b, i, atEnd) {
				k.pos += int64(i)
				return nil
			}
		}
		k.pos += int64(stop)
	}
	return nil
}

// addUp makes sums[i] the sum of the first i bytes of b, so that the sum of any
// part is a subtraction.
func (k *walker) addUp(b []byte) {
	if len(k.sums) < len(b)+1 {
		k.sums = make([]uint32, len(b)+1)
	}
	total := uint32(0)
	for i, v := range b {
		total += uint32(v)
		k.sums[i+1] = total
	}
}

// startsHere reports whether a record with a right checksum stands at b[i] and
// a block with the next number, or the end of the file, after it.
func (k *walker) startsHere(b []byte, i int, atEnd bool) bool {
	n := k.length()
	if !k.recordAt(b, i) {
		return false
	}
	next := i + n
	if next == len(b) {
		return atEnd
	}
	if next+1 >= len(b) || b[next+1] != b[i+1]+1 && b[next+1] != b[i+1] {
		return false
	}
	return k.recordAt(b, next) || b[next] == kindMarker && next+markerLength <= len(b)
}

func (k *walker) recordAt(b []byte, i int) bool {
	end := i + k.length()
	if b[i] != kindRecord || end > len(b) {
		return false
	}
	sum := k.sums[end-1] - k.sums[i+blockHeader]
	return uint8(sum) == b[end-1] && k.sums[end] != k.sums[i]
}
