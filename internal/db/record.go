package db

import (
	"encoding/binary"
	"math"
)

// varint reads a number of up to nine bytes; used is 0 where it is cut off
// (https://sqlite.org/fileformat2.html, 1.6).
func varint(p []byte) (v uint64, used int) {
	for i, b := range p[:min(len(p), 9)] {
		if i == 8 {
			return v<<8 | uint64(b), 9
		}
		v = v<<7 | uint64(b&0x7f)
		if b < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// fieldsOf reads a record (2.1). Text and blobs are copies.
func fieldsOf(record []byte) ([]any, error) {
	size, used := varint(record)
	if used == 0 || size < uint64(used) || size > uint64(len(record)) {
		return nil, errNoSense
	}
	types, body := record[used:size], record[size:]
	var fields []any
	for len(types) > 0 {
		kind, used := varint(types)
		length := lengthOf(kind)
		if used == 0 || length > uint64(len(body)) {
			return nil, errNoSense
		}
		field, ok := fieldOf(kind, body[:length])
		if !ok {
			return nil, errNoSense
		}
		fields = append(fields, field)
		types, body = types[used:], body[length:]
	}
	if len(body) > 0 {
		return nil, errNoSense
	}
	return fields, nil
}

func lengthOf(kind uint64) uint64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return [...]uint64{5: 6, 6: 8, 7: 8, 1: 1, 2: 2, 3: 3, 4: 4, 11: 0}[kind]
}

func fieldOf(kind uint64, content []byte) (field any, ok bool) {
	switch {
	case kind == 0:
		return nil, true
	case kind <= 6:
		var bytes [8]byte
		copy(bytes[8-len(content):], content)
		shift := 64 - 8*len(content)
		return int64(binary.BigEndian.Uint64(bytes[:])) << shift >> shift, true
	case kind == 7:
		return math.Float64frombits(binary.BigEndian.Uint64(content)), true
	case kind <= 9:
		return int64(kind - 8), true
	case kind < 12:
		return nil, false // never in a file
	case kind%2 == 0:
		return append([]byte{}, content...), true
	default:
		return string(content), true
	}
}
