package mlg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"dynotap/format"
)

const signature = "MLVLG\x00"

// Lengths of the format's parts in bytes (MLG Binary Log Format 1.0 and 2.0).
const (
	headerV1 = 22
	headerV2 = 24
	fieldV1  = 55
	fieldV2  = 89

	nameSize     = 34
	unitsSize    = 10
	markerText   = 50
	blockHeader  = 4
	markerLength = blockHeader + markerText
)

// Bounds on what is read of a header's free text, in bytes.
const (
	maxInfo     = 64 << 10
	maxBitNames = 1 << 20
)

// header is what comes before the records.
type header struct {
	version   int
	started   uint32 // Unix time in seconds; 0: not known
	infoAt    int64
	dataAt    int64
	payload   int // bytes of fields that a record has, as the header says
	fields    []field
	fieldsEnd int64
}

// Errors that say what kind of damage a file has.
var (
	// ErrVersion: another version of the format than 1 and 2.
	ErrVersion = errors.New("not a version of the MLG format that is known here (1 and 2 are); save it again with MegaLogViewer, or export it as text (.msl)")
	// ErrHeader: a header that cannot be.
	ErrHeader = errors.New("damaged header")
	// ErrNoRecords: nothing that follows the header is a record.
	ErrNoRecords = errors.New("no record of this log can be read: no block with a right checksum follows the header")
	// ErrNoTime: neither a Time field nor the stamps of the records move.
	ErrNoTime = errors.New("the log has no time: it has no Time field that moves, and all its records have one time stamp")
)

func located(at int64, err error) error { return &format.Error{Offset: at, Err: err} }

func readHeader(w *window) (*header, error) {
	b, err := w.at(0, headerV2)
	if err != nil {
		return nil, err
	}
	if len(b) < len(signature) || string(b[:len(signature)]) != signature {
		return nil, located(0, fmt.Errorf("%w: a binary log begins with MLVLG", ErrHeader))
	}
	if len(b) < headerV2 {
		return nil, located(int64(len(b)), fmt.Errorf("%w: the file ends inside it", ErrHeader))
	}
	h := &header{version: int(binary.BigEndian.Uint16(b[6:])), started: binary.BigEndian.Uint32(b[8:])}
	var count int
	size, start := fieldV1, headerV1
	switch h.version {
	case 1:
		h.infoAt = int64(binary.BigEndian.Uint16(b[12:]))
		h.dataAt = int64(binary.BigEndian.Uint32(b[14:]))
		h.payload = int(binary.BigEndian.Uint16(b[18:]))
		count = int(binary.BigEndian.Uint16(b[20:]))
	case 2:
		h.infoAt = int64(binary.BigEndian.Uint32(b[12:]))
		h.dataAt = int64(binary.BigEndian.Uint32(b[16:]))
		h.payload = int(binary.BigEndian.Uint16(b[20:]))
		count = int(binary.BigEndian.Uint16(b[22:]))
		size, start = fieldV2, headerV2
	default:
		return nil, located(6, fmt.Errorf("version %d: %w", h.version, ErrVersion))
	}
	h.fieldsEnd = int64(start) + int64(count)*int64(size)
	if count == 0 {
		return nil, located(int64(start)-2, fmt.Errorf("%w: it has no fields", ErrHeader))
	}
	if h.fieldsEnd > w.size {
		return nil, located(int64(start)-2, fmt.Errorf("%w: %d fields do not fit in a file of %d bytes", ErrHeader, count, w.size))
	}
	return h, h.readFields(w, start, size, count)
}

func (h *header) readFields(w *window, start, size, count int) error {
	h.fields = make([]field, count)
	at := 0
	for i := range h.fields {
		off := int64(start) + int64(i)*int64(size)
		b, err := w.at(off, size)
		if err != nil {
			return err
		}
		if len(b) < size {
			return located(off, fmt.Errorf("%w: the file ends inside it", ErrHeader))
		}
		f, ok := parseField(b)
		if !ok {
			return located(off, fmt.Errorf("%w: field %d (%s) has type %d, which the format does not have, so the records cannot be taken apart", ErrHeader, i+1, f.name, b[0]))
		}
		f.header, f.at = off, at
		at += f.width()
		h.fields[i] = f
	}
	if at > math.MaxUint16 {
		return located(int64(start), fmt.Errorf("%w: the fields of a record have %d bytes together, and %d is the most", ErrHeader, at, math.MaxUint16))
	}
	return nil
}

// width is how many bytes of a record the fields fill.
func (h *header) width() int {
	last := &h.fields[len(h.fields)-1]
	return last.at + last.width()
}

// parseField reads one definition. It reports false for an unknown type.
func parseField(b []byte) (field, bool) {
	f := field{kind: b[0], name: text(b[1 : 1+nameSize]), units: text(b[35 : 35+unitsSize])}
	// The specification counts the bit types in hexadecimal in one place and in
	// decimal in another, and so do the programs.
	if f.kind >= 0x10 && f.kind <= 0x12 {
		f.kind -= 6
	}
	if f.width() == 0 {
		return f, false
	}
	if len(b) >= fieldV2 {
		f.category = text(b[55:fieldV2])
	}
	f.scale, f.transform = 1, 0
	if f.isBits() {
		f.namesAt = int64(binary.BigEndian.Uint32(b[47:]))
		f.bits = int(b[51])
		return f, true
	}
	f.scale = decimal(binary.BigEndian.Uint32(b[46:]))
	f.transform = decimal(binary.BigEndian.Uint32(b[50:]))
	return f, true
}

// decimal reads a 32-bit float as the number that was meant: a scale of 0.1 is
// stored as 0.100000001490116, and 123 times that is not what the logger shows.
func decimal(bits uint32) float64 {
	v := math.Float32frombits(bits)
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		return float64(v)
	}
	return d
}

// text reads a string that zeros fill up. What is not UTF-8 is taken as
// Latin-1, in which older loggers write their degree signs.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	if !utf8.ValidString(s) {
		runes := make([]rune, len(s))
		for i := range len(s) {
			runes[i] = rune(s[i])
		}
		s = string(runes)
	}
	return strings.TrimSpace(s)
}

// infoEnd is where the names of the bits end: at the info text, or at the
// records where there is none.
func (h *header) infoEnd() int64 {
	if h.infoAt >= h.fieldsEnd && h.infoAt <= h.dataAt {
		return h.infoAt
	}
	return h.dataAt
}

// info gives the lines of the info text, and how many bytes of it were left
// where they are: TunerStudio appends the whole tune as XML.
func (h *header) info(w *window) (lines []string, left int64, err error) {
	if h.infoAt < h.fieldsEnd || h.infoAt >= h.dataAt || h.dataAt > w.size {
		return nil, 0, nil
	}
	length := h.dataAt - h.infoAt
	b, err := w.at(h.infoAt, int(min(length, maxInfo)))
	if err != nil {
		return nil, 0, err
	}
	const maxLines, maxLine = 100, 300
	all, _, _ := strings.Cut(string(b), "\x00")
	taken := int64(0)
	for line := range strings.Lines(all) {
		clean := strings.TrimSpace(strings.ReplaceAll(text([]byte(line)), `"`, ""))
		if strings.HasPrefix(clean, "<") || len(lines) == maxLines {
			return lines, length - taken, nil
		}
		taken += int64(len(line))
		if clean != "" {
			lines = append(lines, strings.ToValidUTF8(clean[:min(len(clean), maxLine)], ""))
		}
	}
	if int64(len(all)) == int64(len(b)) && int64(len(b)) < length {
		return lines, length - taken, nil
	}
	return lines, 0, nil
}
