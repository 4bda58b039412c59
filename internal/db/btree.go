package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The kinds of b-tree pages (https://sqlite.org/fileformat2.html, 1.6).
const (
	innerIndex = 2
	innerTable = 5
	leafIndex  = 10
	leafTable  = 13
)

// maxDepth is more than the levels that a b-tree of 2^32 pages has.
const maxDepth = 40

// tree is a table or an index as it lies in the file.
type tree struct {
	name    string
	root    uint32
	rowid   bool // a table whose key is the rowid: rows lie in its leaves
	index   bool // nothing in it that is not in its table
	columns int

	lostPages, lostRows int // what of it cannot be read; a row of a lost page is not counted
}

// row is a record; key is the rowid where there is one.
type row struct {
	key      int64
	fields   []any // nil, int64, float64, string or []byte
	doubtful bool  // from a doubtful page
}

// walker goes through b-trees and leaves out what cannot be read.
type walker struct {
	pages *pages
	seen  []bool // by page: it has its place in a tree or in the free list
	// problem is told what cannot be read; row gets each row that can.
	problem func(page uint32, what string)
	row     func(*tree, row) error
}

func newWalker(p *pages) *walker {
	return &walker{
		pages: p, seen: make([]bool, int(p.count)+1),
		problem: func(uint32, string) {}, row: func(*tree, row) error { return nil },
	}
}

// node is one page of a b-tree.
type node struct {
	page  []byte
	kind  byte
	cells []int // where each begins
	right uint32

	doubtful bool
}

func (n *node) inner() bool { return n.kind == innerIndex || n.kind == innerTable }

// parse understands a page as one of a b-tree.
func parse(page []byte, which uint32, usable int) (*node, error) {
	at := 0
	if which == 1 {
		at = headerSize
	}
	n := &node{page: page[:usable], kind: page[at]}
	head := 8
	switch n.kind {
	case innerIndex, innerTable:
		head = 12
		n.right = number(page, at+8)
	case leafIndex, leafTable:
	default:
		return nil, errNoSense
	}
	count := int(binary.BigEndian.Uint16(page[at+3:]))
	if at+head+2*count > usable {
		return nil, errNoSense
	}
	for i := range count {
		cell := int(binary.BigEndian.Uint16(page[at+head+2*i:]))
		if cell < at+head+2*count || cell+4 > usable {
			return nil, errNoSense
		}
		n.cells = append(n.cells, cell)
	}
	return n, nil
}

// walk goes through a tree in the order of its keys. Errors are row's only.
func (w *walker) walk(t *tree) error { return w.descend(t, t.root, 0) }

func (w *walker) descend(t *tree, which uint32, depth int) error {
	n := w.node(t, which, depth)
	if n == nil {
		return nil
	}
	for i, cell := range n.cells {
		if n.inner() {
			if err := w.descend(t, number(n.page, cell), depth+1); err != nil {
				return err
			}
		}
		if err := w.cell(t, n, which, i); err != nil {
			return err
		}
	}
	if n.inner() {
		return w.descend(t, n.right, depth+1)
	}
	return nil
}

// node gives a page that may be the tree's, or nil.
func (w *walker) node(t *tree, which uint32, depth int) *node {
	page, err := w.pages.read(which)
	switch {
	case err == nil && w.seen[which]:
		err = errors.New("it is in two places at once")
	case err == nil && depth > maxDepth:
		err = errNoSense
	}
	if which < uint32(len(w.seen)) {
		w.seen[which] = true
	}
	var n *node
	if err == nil {
		n, err = parse(page, which, w.pages.usable())
	}
	if err == nil && (n.kind == leafTable || n.kind == innerTable) != t.rowid {
		err = errNoSense
	}
	if err == nil && w.pages.doubtful[which] {
		n.doubtful = true
		if !w.flawless(n, which) {
			err = errNoSense
		}
	}
	if err != nil {
		t.lostPages++
		w.problem(which, fmt.Sprintf("page of %s: %v", t.name, err))
		return nil
	}
	return n
}

// cell hands on the row of a cell that has one.
func (w *walker) cell(t *tree, n *node, which uint32, i int) error {
	if n.kind == innerTable {
		return nil
	}
	r, err := w.record(n, n.cells[i])
	if err != nil {
		t.lostRows++
		w.problem(which, fmt.Sprintf("row %d of this page of %s: %v", i+1, t.name, err))
		return nil
	}
	if t.index {
		return nil
	}
	return w.row(t, r)
}

// layout is where the record of a cell lies.
type layout struct {
	key  int64
	at   int // where it begins on the page
	here int // how much of it lies there; the rest is in overflow pages
	size int
}

func (w *walker) layout(n *node, at int) (l layout, ok bool) {
	if n.kind == innerIndex {
		at += 4
	}
	size, used := varint(n.page[at:])
	at += used
	if n.kind == leafTable && used > 0 {
		var key uint64
		key, used = varint(n.page[at:])
		l.key = int64(key)
		at += used
	}
	usable := w.pages.usable()
	if used == 0 || size > uint64(w.pages.count)*uint64(usable) {
		return l, false
	}
	most := (usable-12)*64/255 - 23
	if n.kind == leafTable {
		most = usable - 35
	}
	l.at, l.here, l.size = at, int(size), int(size)
	if l.here > most {
		least := (usable-12)*32/255 - 23
		l.here = least + (l.size-least)%(usable-4)
		if l.here > most {
			l.here = least
		}
	}
	return l, at+l.here <= usable && (l.here == l.size || at+l.here+4 <= usable)
}

// record reads the row of a cell with what of it lies in overflow pages.
func (w *walker) record(n *node, at int) (row, error) {
	l, ok := w.layout(n, at)
	if !ok {
		return row{}, errNoSense
	}
	r := row{key: l.key, doubtful: n.doubtful}
	payload := n.page[l.at : l.at+l.here]
	if l.here < l.size {
		whole, doubtful, err := w.overflow(payload, number(n.page, l.at+l.here), l.size)
		if err != nil {
			return r, err
		}
		payload, r.doubtful = whole, r.doubtful || doubtful
	}
	var err error
	r.fields, err = fieldsOf(payload)
	return r, err
}

func (w *walker) overflow(payload []byte, next uint32, size int) (whole []byte, doubtful bool, err error) {
	payload = append(make([]byte, 0, min(size, 1<<20)), payload...)
	for len(payload) < size {
		if next < uint32(len(w.seen)) && next > 0 && w.seen[next] {
			return nil, false, fmt.Errorf("its page %d is in two places at once", next)
		}
		page, err := w.pages.read(next)
		if next < uint32(len(w.seen)) {
			w.seen[next] = true
		}
		if err != nil {
			return nil, false, fmt.Errorf("its page %d: %w", next, err)
		}
		doubtful = doubtful || w.pages.doubtful[next]
		next = number(page, 0)
		payload = append(payload, page[4:min(w.pages.usable(), 4+size-len(payload))]...)
	}
	if next != 0 {
		return nil, false, errNoSense
	}
	return payload, doubtful, nil
}

// freeList marks the free pages. It is whole when as many are found as the
// header says: only then nothing else that is found is a page of the past.
func (w *walker) freeList(header []byte) (whole bool) {
	next, total := number(header, freeAt), number(header, freeSizeAt)
	found := uint32(0)
	take := func(n uint32) bool {
		if n < 1 || n > w.pages.count || w.seen[n] {
			w.problem(n, "list of free pages: a page is in two places at once")
			return false
		}
		w.seen[n] = true
		found++
		return true
	}
	for next != 0 && found <= total {
		page, err := w.pages.read(next)
		if err != nil {
			w.problem(next, fmt.Sprintf("list of free pages: %v", err))
			return false
		}
		leaves := number(page, 4)
		if !take(next) || int(leaves) > w.pages.usable()/4-2 {
			return false
		}
		for i := range int(leaves) {
			if !take(number(page, 8+4*i)) {
				return false
			}
		}
		next = number(page, 0)
	}
	return found == total
}

// schema gives the trees that the first page leads to.
func (w *walker) schema() (trees []*tree) {
	hand := w.row
	w.row = func(_ *tree, r row) error {
		if len(r.fields) != 5 {
			return nil
		}
		kind, _ := r.fields[0].(string)
		name, _ := r.fields[1].(string)
		root, _ := r.fields[3].(int64)
		sql, _ := r.fields[4].(string)
		if root > 1 && root <= int64(w.pages.count) {
			trees = append(trees, &tree{
				name: name, root: uint32(root), index: kind == "index",
				rowid: kind == "table" && !strings.Contains(sql, "WITHOUT ROWID"),
			})
		}
		return nil
	}
	_ = w.walk(&tree{name: "sqlite_schema", root: 1, rowid: true}) // rows go nowhere else
	w.row = hand
	return trees
}
