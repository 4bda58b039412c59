package db

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestQ13MendedByte: what is mended is what was there, whatever was hit; most
// bytes can be mended.
func TestQ13MendedByte(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	mended := 0
	const rounds = 2000
	for range rounds {
		page := make([]byte, usualPageSize)
		for i := range page {
			page[i] = byte(rnd.IntN(1 << rnd.IntN(9)))
		}
		resum(page)
		hit := bytes.Clone(page)
		for range 1 + rnd.IntN(2)*rnd.IntN(3) {
			hit[rnd.IntN(len(hit))] ^= byte(1 + rnd.IntN(255))
		}
		if mend(hit) {
			mended++
			if !bytes.Equal(hit, page) {
				t.Error("mended to something else")
			}
		}
	}
	if mended < rounds/3 {
		t.Errorf("only %d of %d pages were mended", mended, rounds)
	}
}

// TestQ13Flawless: SQLite's own pages are, and no page is on which something
// lies twice or is left over.
func TestQ13Flawless(t *testing.T) {
	t.Parallel()
	f := prepared(t).clean
	p := &pages{main: fileOf(t, f[FileName]), bytes: int64(len(f[FileName])), wal: &wal{}, size: usualPageSize, reserve: sumSize}
	p.count = uint32(len(f[FileName]) / usualPageSize)
	w := newWalker(p)
	w.freeList(f[FileName])
	looked := 0
	for n := uint32(1); n <= p.count; n++ {
		page := f[FileName][p.offset(n):p.offset(n+1)]
		at := 0
		if n == 1 {
			at = headerSize
		}
		node, err := parse(page, n, p.usable())
		if err != nil || w.seen[n] {
			continue // an overflow page, or a free one
		}
		looked++
		if !w.flawless(node, n) {
			t.Errorf("page %d is not", n)
		}
		if len(node.cells) < 2 {
			continue
		}
		for name, change := range map[string]func(head []byte){
			"a cell twice": func(head []byte) {
				first := 8
				if node.inner() {
					first = 12
				}
				copy(head[first:], head[first+2:first+4])
			},
			"a fragment more":  func(head []byte) { head[7]++ },
			"a cell less":      func(head []byte) { binary.BigEndian.PutUint16(head[3:], uint16(len(node.cells)-1)) },
			"content too high": func(head []byte) { binary.BigEndian.PutUint16(head[5:], binary.BigEndian.Uint16(head[5:])+1) },
		} {
			changed := bytes.Clone(page)
			change(changed[at:])
			node, err := parse(changed, n, p.usable())
			if err == nil && w.flawless(node, n) {
				t.Errorf("page %d is with %s", n, name)
			}
		}
	}
	if looked < 50 {
		t.Errorf("only %d pages were looked at", looked)
	}
}
