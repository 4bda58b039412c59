package dbtest

import "math/rand/v2"

// sector is what a disk writes as a whole, in bytes.
const sector = 512

// dirEntry is what a name in a directory stands for; nil is no file.
type dirEntry struct {
	stable *inode
	later  []*inode // what it came to stand for since, not certain
}

func (e *dirEntry) now() *inode {
	if n := len(e.later); n > 0 {
		return e.later[n-1]
	}
	return e.stable
}

func (e *dirEntry) survivor(rnd *rand.Rand, luck float64) *inode {
	n := e.stable
	for _, later := range e.later {
		if rnd.Float64() >= luck {
			break
		}
		n = later
	}
	return n
}

// inode is the content of a file.
type inode struct {
	stable  []byte
	pending []change // since the last sync
}

// change is a write, or a truncation to the size at where data is nil.
type change struct {
	data []byte
	at   int64
}

func (c change) sizeAfter(size int64) int64 {
	if c.data == nil {
		return c.at
	}
	return max(size, c.at+int64(len(c.data)))
}

func (n *inode) sync() {
	content := n.stable
	for _, c := range n.pending {
		content = resize(content, c.sizeAfter(int64(len(content))))
		copy(content[min(c.at, int64(len(content))):], c.data)
	}
	n.stable, n.pending = content, nil
}

func resize(content []byte, size int64) []byte {
	if have := int64(len(content)); size > have {
		return append(content, make([]byte, size-have)...)
	}
	return content[:size]
}

// survivor is a content that the disk may hold. Each sector is as it was
// synced, or as it was after one of the changes since; the file is as long as
// it was after any of them; what is within it but was never written is zero or
// whatever lay there.
func (n *inode) survivor(rnd *rand.Rand, luck float64) []byte {
	lasting := len(n.pending) // so many changes of the size survive
	if luck == 0 || rnd.Float64() >= luck {
		lasting = 0
		if luck > 0 {
			lasting = rnd.IntN(len(n.pending) + 1)
		}
	}
	size, largest := int64(len(n.stable)), int64(len(n.stable))
	end := size
	for i, c := range n.pending {
		size = c.sizeAfter(size)
		largest = max(largest, size)
		if i < lasting {
			end = size
		}
	}
	content := append(make([]byte, 0, largest), n.stable...)[:largest]
	if rnd.IntN(4) == 0 {
		for i := len(n.stable); i < len(content); i++ {
			content[i] = byte(rnd.Uint32())
		}
	}
	stuck := map[int64]bool{} // sectors that do not change any more
	for i, c := range n.pending {
		if c.data == nil {
			if i < lasting && c.at < largest {
				clear(content[c.at:])
			}
			continue
		}
		for from := c.at; from < c.at+int64(len(c.data)); {
			to := min((from/sector+1)*sector, c.at+int64(len(c.data)))
			if stuck[from/sector] || rnd.Float64() >= luck {
				stuck[from/sector] = true
			} else {
				copy(content[from:to], c.data[from-c.at:to-c.at])
			}
			from = to
		}
	}
	return content[:end]
}
