package wp8

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of the walk. A real file has about a hundred channels.
const (
	maxDepth      = 12
	maxFields     = 20_000_000
	maxChannels   = 10_000
	maxCandidates = 50_000
)

// definition is a channel as the file describes it.
type definition struct {
	id                            uint64
	name, units, device, category string
}

// walk goes through the wire format by its own lengths. Every byte is looked at
// at most twice a depth; nothing is copied.
type walk struct {
	ctx    context.Context
	fields int
	damage string // where and how the file is damaged; empty: it is not

	order      []uint64
	channels   map[uint64]*definition
	twice      int // ids that are defined a second time, otherwise
	unlisted   int // definitions beyond the bound
	candidates []candidate
	unlooked   int // candidates beyond the bound

	opaque      int   // fields that are neither text nor message nor a candidate's
	opaqueBytes int64 // of all of them
	largest     int64 // of one
	largestAt   int64
}

// root reads the file's own message. What comes before damage is read; where a
// field goes on behind the end of the file, so is what there is of it.
func (w *walk) root(b []byte, at int64) {
	for depth := 0; ; depth++ {
		end, cut := w.message(b, at, depth, "", true)
		if end < 0 || cut == nil || depth == maxDepth {
			return
		}
		b, at = cut, at+end
	}
}

// message reads a message; path is the numbers of the fields that lead to it.
// One that is none to its end gives -1 and nothing else is done, unless it is
// the outermost: then its whole fields are read. Cut is what there is of its
// last field where the file ends inside.
func (w *walk) message(b []byte, at int64, depth int, path string, outer bool) (end int64, cut []byte) {
	var m summary
	end, rest, err := w.each(b, func(number protowire.Number, kind protowire.Type, value []byte, _ int64) { m.take(number, kind, value) })
	switch {
	case w.stopped():
		return -1, nil
	case err != nil && !outer:
		return -1, nil
	case err != nil:
		var text string
		text, cut, end = damaged(rest, at, end, err)
		w.damage = cmp.Or(w.damage, text)
	case outer && depth > 0: // its end is missing although nothing shows it
	default:
		m.whole(b)
		w.definition(&m)
	}
	taken := w.candidate(&m, b, at, path)
	if depth == maxDepth {
		return end, cut
	}
	_, _, _ = w.each(b, func(number protowire.Number, kind protowire.Type, value []byte, from int64) { // what is wrong is known
		if kind != protowire.BytesType {
			return
		}
		inner, n := protowire.ConsumeBytes(value)
		if n < 0 || len(inner) < 2 {
			return
		}
		from += at + int64(n-len(inner))
		if got, _ := w.message(inner, from, depth+1, path+strconv.Itoa(int(number))+".", false); got < 0 && !taken && !isText(inner) {
			w.dark(int64(len(inner)), from)
		}
	})
	return end, cut
}

// damaged says how the outermost message is damaged, and gives what there is of
// a field of bytes that the file's end cuts off, and where that begins.
func damaged(rest []byte, at, end int64, err error) (text string, cut []byte, from int64) {
	text = fmt.Sprintf("byte %d: the file is damaged from here on: what follows was not read", at+end)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return text, nil, end
	}
	_, kind, n := protowire.ConsumeTag(rest)
	if n < 0 || kind != protowire.BytesType {
		return text, nil, end
	}
	length, m := protowire.ConsumeVarint(rest[n:])
	if m < 0 {
		return text, nil, end
	}
	have := rest[n+m:]
	return fmt.Sprintf("byte %d: a field of %d bytes begins here and the file ends %d bytes too early: what is whole in it was read",
		at+end, length, length-uint64(len(have))), have, end + int64(n+m)
}

// each goes through the fields of a message. Value is the field without its
// tag, from where it begins; end is how far whole fields go, rest what is
// behind.
func (w *walk) each(b []byte, do func(number protowire.Number, kind protowire.Type, value []byte, from int64)) (end int64, rest []byte, err error) {
	for rest = b; len(rest) > 0; {
		if w.fields++; w.stopped() {
			return end, rest, context.Canceled
		}
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return end, rest, protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, rest[n:])
		if size < 0 {
			return end, rest, protowire.ParseError(size)
		}
		do(number, kind, rest[n:n+size], end+int64(n))
		rest = rest[n+size:]
		end += int64(n + size)
	}
	return end, nil, nil
}

func (w *walk) stopped() bool {
	return w.fields > maxFields || w.fields%65536 == 0 && w.ctx.Err() != nil
}

func (w *walk) dark(size, at int64) {
	w.opaque++
	w.opaqueBytes += size
	if size > w.largest {
		w.largest, w.largestAt = size, at
	}
}

// The fields of a channel's definition (PROTOCOLS 6).
const (
	fieldName     = 2
	fieldUnits    = 3
	fieldID       = 4
	fieldDevice   = 7
	fieldCategory = 8
)

// summary is what of a message may mean something. Of a field that comes again
// the last counts, as in Protocol Buffers.
type summary struct {
	varints int
	id      uint64 // of the last of them
	idField protowire.Number
	defID   uint64
	hasID   bool
	texts   [fieldCategory + 1][]byte

	defines bool
	layout  layout
}

func (m *summary) take(number protowire.Number, kind protowire.Type, value []byte) {
	switch kind {
	case protowire.VarintType:
		v, n := protowire.ConsumeVarint(value)
		if n < 0 {
			return
		}
		m.varints, m.id, m.idField = m.varints+1, v, number
		if number == fieldID {
			m.defID, m.hasID = v, true
		}
	case protowire.BytesType:
		if number == fieldName || number == fieldUnits || number == fieldDevice || number == fieldCategory {
			if inner, n := protowire.ConsumeBytes(value); n >= 0 && isText(inner) {
				m.texts[number] = inner
			}
		}
	}
}

// whole decides what the message is.
func (m *summary) whole(b []byte) {
	m.defines = m.hasID && m.texts[fieldName] != nil && (m.texts[fieldUnits] != nil || m.texts[fieldDevice] != nil) && m.defID <= math.MaxUint32
	if m.defines {
		m.id, m.idField, m.varints = m.defID, fieldID, 1
	}
	if m.varints == 1 {
		m.layout = findLayout(b)
	}
}

// definition notes a channel if the message describes one: a name and an id, and
// units or a device.
func (w *walk) definition(m *summary) {
	if !m.defines {
		return
	}
	d := definition{
		id: m.defID, name: string(m.texts[fieldName]), units: string(m.texts[fieldUnits]),
		device: string(m.texts[fieldDevice]), category: string(m.texts[fieldCategory]),
	}
	if known := w.channels[d.id]; known != nil {
		if *known != d {
			w.twice++
		}
		return
	}
	if len(w.channels) == maxChannels {
		w.unlisted++
		return
	}
	w.channels[d.id] = &d
	w.order = append(w.order, d.id)
}

// candidate notes a message that may be a channel's samples.
func (w *walk) candidate(m *summary, b []byte, at int64, path string) bool {
	if m.layout.kind == none {
		return false
	}
	if len(w.candidates) == maxCandidates {
		w.unlooked++
		return true
	}
	w.candidates = append(w.candidates, candidate{
		id: m.id, layout: m.layout, message: b, at: at, shape: shape{path: path, id: m.idField, layout: m.layout},
	})
	return true
}

func isText(b []byte) bool {
	const longest = 200
	if len(b) == 0 || len(b) > longest || !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
