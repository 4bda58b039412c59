package db

import (
	"encoding/binary"
	"slices"
)

// flawless reports whether each byte of a page is accounted for, once, and
// whether the keys go up: what a page must be that nothing else vouches for.
func (w *walker) flawless(n *node, which uint32) bool {
	at := 0
	if which == 1 {
		at = headerSize
	}
	head := 8
	if n.inner() {
		head = 12
	}
	used := [][2]int{{0, at + head + 2*len(n.cells)}}
	last := int64(-1 << 63)
	for i, cell := range n.cells {
		end, key, ok := w.cellEnd(n, cell)
		if !ok || n.kind == leafTable && i > 0 && key <= last {
			return false
		}
		last = key
		used = append(used, [2]int{cell, end})
	}
	for next := int(binary.BigEndian.Uint16(n.page[at+1:])); next != 0; {
		if next+4 > len(n.page) || len(used) > len(n.page) {
			return false
		}
		used = append(used, [2]int{next, next + int(binary.BigEndian.Uint16(n.page[next+2:]))})
		next = int(binary.BigEndian.Uint16(n.page[next:]))
	}
	slices.SortFunc(used, func(a, b [2]int) int { return a[0] - b[0] })
	content := int(binary.BigEndian.Uint16(n.page[at+5:]))
	if content == 0 {
		content = 1 << 16
	}
	if len(used) == 1 {
		return true // a page without cells
	}
	if content < used[0][1] || used[1][0] < content {
		return false
	}
	fragments, end := 0, content
	for _, u := range used[1:] {
		if u[0] < end {
			return false
		}
		fragments += u[0] - end
		end = u[1]
	}
	return end <= len(n.page) && fragments+len(n.page)-end == int(n.page[at+7])
}

// cellEnd gives where a cell ends, and its rowid if it has one.
func (w *walker) cellEnd(n *node, at int) (end int, key int64, ok bool) {
	begin := at
	if n.inner() {
		at += 4
	}
	if n.kind == innerTable {
		v, used := varint(n.page[at:])
		return max(at+used, begin+4), int64(v), used > 0
	}
	l, ok := w.layout(n, begin)
	end = l.at + l.here
	if l.here < l.size {
		end += 4
	}
	return max(end, begin+4), l.key, ok && end <= len(n.page)
}
