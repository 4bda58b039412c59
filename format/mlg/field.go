package mlg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"dynotap/sample"
)

// The types of fields (MLG Binary Log Format, Logger Field).
const (
	typeU8     = 0
	typeI8     = 1
	typeU16    = 2
	typeI16    = 3
	typeU32    = 4
	typeI32    = 5
	typeI64    = 6
	typeF32    = 7
	typeBits8  = 10
	typeBits16 = 11
	typeBits32 = 12
)

// maxBitName bounds the name of a bit, in bytes.
const maxBitName = 256

// maxNamedBits bounds how many channels the bits of all fields make.
const maxNamedBits = 1 << 13

// field is one definition of the header.
type field struct {
	header   int64 // where the definition stands in the file
	kind     byte
	at       int // of its bytes in a record
	name     string
	units    string
	category string

	scale, transform float64

	// Of a bit field: where its names begin, as the file counts, and how many
	// bits have one.
	namesAt  int64
	bits     int
	bitNames []string
}

func (f *field) isBits() bool { return f.kind >= typeBits8 && f.kind <= typeBits32 }

// width is how many bytes of a record the field has; 0 for an unknown type.
func (f *field) width() int {
	switch f.kind {
	case typeU8, typeI8, typeBits8:
		return 1
	case typeU16, typeI16, typeBits16:
		return 2
	case typeU32, typeI32, typeF32, typeBits32:
		return 4
	case typeI64:
		return 8
	}
	return 0
}

// raw gives the stored number.
func raw(kind byte, b []byte) float64 {
	switch kind {
	case typeU8, typeBits8:
		return float64(b[0])
	case typeI8:
		return float64(int8(b[0]))
	case typeU16, typeBits16:
		return float64(binary.BigEndian.Uint16(b))
	case typeI16:
		return float64(int16(binary.BigEndian.Uint16(b)))
	case typeU32, typeBits32:
		return float64(binary.BigEndian.Uint32(b))
	case typeI32:
		return float64(int32(binary.BigEndian.Uint32(b)))
	case typeI64:
		return float64(int64(binary.BigEndian.Uint64(b)))
	case typeF32:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	}
	return math.NaN()
}

// value is what a logger shows: (raw + transform) x scale.
func (f *field) value(payload []byte) float64 {
	return (raw(f.kind, payload[f.at:]) + f.transform) * f.scale
}

// label names a field, which bit fields of TunerStudio do not always have.
func (f *field) label(i int) string {
	if f.name != "" {
		return f.name
	}
	return fmt.Sprintf("field %d", i+1)
}

// nameBits finds the names of the bits in the part of the header that holds
// them, one after the other and each ended by a zero. The index of a field's
// first name counts from the start of the file with some writers and from the
// start of the names with others: taken is the way in which every index meets
// the beginning of a name. It reports false where neither does.
func (h *header) nameBits(area []byte) bool {
	for _, base := range []int64{h.fieldsEnd, 0} {
		if h.tryBitNames(area, base) {
			return true
		}
	}
	for i := range h.fields {
		h.fields[i].bitNames = nil
	}
	return false
}

func (h *header) tryBitNames(area []byte, base int64) bool {
	named, bits := 0, 0
	for i := range h.fields {
		f := &h.fields[i]
		if !f.isBits() || f.bits == 0 {
			continue
		}
		at := f.namesAt - base
		if bits += f.bits; bits > maxNamedBits {
			return false
		}
		if f.bits > 8*f.width() || at < 0 || at >= int64(len(area)) || at > 0 && area[at-1] != 0 {
			return false
		}
		f.bitNames = f.bitNames[:0]
		rest := area[at:]
		for range f.bits {
			end := bytes.IndexByte(rest[:min(len(rest), maxBitName)], 0)
			if end < 0 {
				return false
			}
			f.bitNames = append(f.bitNames, text(rest[:end]))
			rest = rest[end+1:]
		}
		named++
	}
	return named > 0
}

// hasBitNames reports whether any field says that its bits have names.
func (h *header) hasBitNames() bool {
	for i := range h.fields {
		if h.fields[i].isBits() && h.fields[i].bits > 0 {
			return true
		}
	}
	return false
}

// output is one channel and where its values come from.
type output struct {
	field *field
	bit   int // -1: the whole field
}

// channels gives the channels of the log: a field each, and one more for each
// bit that has a name. The field at axis is the time, -1 for none. Fields whose
// values cannot be computed are in broken.
func (h *header) channels(axis int) (set *sample.ChannelSet, outputs []output, broken []int) {
	var list []sample.Channel
	add := func(label string, unit sample.Unit, out output) {
		id := uint32(len(list) + 1)
		list = append(list, sample.Channel{Key: sample.ChannelKey("", id, 0), ID: id, Label: label, NativeUnit: unit})
		outputs = append(outputs, out)
	}
	for i := range h.fields {
		f := &h.fields[i]
		if i == axis {
			continue
		}
		if f.scale == 0 || math.IsNaN(f.scale+f.transform) || math.IsInf(f.scale+f.transform, 0) {
			broken = append(broken, i)
			continue
		}
		unit := unitOf(f.units)
		if f.isBits() {
			unit = sample.NoUnit
		}
		add(f.label(i), unit, output{f, -1})
		for bit, name := range f.bitNames {
			if name != "" {
				add(name, sample.NoUnit, output{f, bit})
			}
		}
	}
	return sample.NewChannelSet(sourceName, list), outputs, broken
}

const sourceName = "mlg"

func unitOf(units string) sample.Unit {
	if u, ok := sample.ParseUnit(units); ok {
		return u
	}
	return sample.Unit(units)
}

// value of an output in one record; NaN is a missing one.
func (o *output) value(payload []byte) float64 {
	if o.bit < 0 {
		return o.field.value(payload)
	}
	if uint64(raw(o.field.kind, payload[o.field.at:]))>>o.bit&1 == 1 {
		return 1
	}
	return 0
}
