package mlg

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"dynotap/sample"
)

// Field is a channel of a log that is written.
type Field struct {
	Name string
	Unit sample.Unit
}

// MaxFields is how many fields a log of version 1 can have beside Time: the
// place of what follows them is a signed 16-bit number.
const MaxFields = (math.MaxInt16-headerV1)/fieldV1 - 1

// MaxDuration is the latest time that a log holds: 32 bits of 10 µs.
const MaxDuration = math.MaxUint32 * tick * time.Microsecond

// Writer writes a log of version 1: Time in steps of 10 µs, and every field as
// a 32-bit float. It is for one goroutine.
type Writer struct {
	w       *bufio.Writer
	fields  int
	buf     []byte
	counter uint8
	last    time.Duration
	any     bool
	unfit   int64
}

// NewWriter writes the header. Names are cut to the format's 33 bytes and made
// different from each other and from Time, units written in ASCII. Started is
// kept to the second; zero: not known. Close must be called at the end.
func NewWriter(w io.Writer, fields []Field, started time.Time) (*Writer, error) {
	if len(fields) > MaxFields {
		return nil, fmt.Errorf("an MLG file holds %d channels, not %d: choose fewer", MaxFields, len(fields))
	}
	unix := int64(0)
	info := "\"dynotap\"\n"
	if !started.IsZero() {
		if unix = started.Unix(); unix < 1 || unix > math.MaxUint32 {
			return nil, fmt.Errorf("an MLG file holds dates from 1970 to 2106, not %s", started.Format(time.DateOnly))
		}
		info += "\"Capture Date: " + started.UTC().Format(time.UnixDate) + "\"\n"
	}
	infoAt := headerV1 + (len(fields)+1)*fieldV1
	b := append(make([]byte, 0, infoAt+len(info)+1), signature...)
	b = binary.BigEndian.AppendUint16(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(unix))
	b = binary.BigEndian.AppendUint16(b, uint16(infoAt))
	b = binary.BigEndian.AppendUint32(b, uint32(infoAt+len(info)+1))
	b = binary.BigEndian.AppendUint16(b, uint16(4*(len(fields)+1)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)+1))
	const timeDigits, valueDigits = 5, 3
	b = appendField(b, typeU32, "Time", "s", 1e-5, timeDigits)
	taken := map[string]bool{"time": true}
	for _, f := range fields {
		b = appendField(b, typeF32, uniqueName(f.Name, taken), asciiUnit(f.Unit), 1, valueDigits)
	}
	b = append(append(b, info...), 0)
	out := &Writer{w: bufio.NewWriterSize(w, 1<<16), fields: len(fields)}
	if _, err := out.w.Write(b); err != nil {
		return nil, fmt.Errorf("write MLG header: %w", err)
	}
	return out, nil
}

func appendField(b []byte, kind byte, name, units string, scale float32, digits byte) []byte {
	b = append(b, kind)
	b = appendText(b, name, nameSize)
	b = appendText(b, units, unitsSize)
	b = append(b, 0) // display style: a number
	b = binary.BigEndian.AppendUint32(b, math.Float32bits(scale))
	b = binary.BigEndian.AppendUint32(b, 0) // transform
	return append(b, digits)
}

// appendText fills up with zeros, of which there is one at least.
func appendText(b []byte, s string, size int) []byte {
	s = cutText(s, size-1)
	return append(append(b, s...), make([]byte, size-len(s))...)
}

// cutText cuts between characters.
func cutText(s string, size int) string {
	s = strings.ReplaceAll(s, "\x00", "")
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size]
}

// uniqueName gives a name that no field before has: readers keep fields by
// name.
func uniqueName(name string, taken map[string]bool) string {
	name = strings.TrimSpace(cutText(name, nameSize-1))
	if name == "" {
		name = "field"
	}
	out := name
	for n := 2; taken[strings.ToLower(out)]; n++ {
		suffix := fmt.Sprintf(" %d", n)
		out = cutText(name, nameSize-1-len(suffix)) + suffix
	}
	taken[strings.ToLower(out)] = true
	return out
}

// asciiUnit spells a unit in ASCII, which the format asks for, and in words
// that sample.ParseUnit reads.
func asciiUnit(u sample.Unit) string {
	switch u {
	case sample.Celsius:
		return "C"
	case sample.Fahrenheit:
		return "F"
	case sample.NewtonMetre:
		return "Nm"
	case sample.FootPound:
		return "ft-lb"
	case sample.Degree:
		return "deg"
	case sample.RPMPerKilometreHour:
		return "rpm/kph"
	}
	return string(u)
}

// ErrOrder says that a record is older than the one before it.
var ErrOrder = errors.New("records of an MLG file must be in the order of time")

// Write writes one record: the values of all fields at one time since the
// start. NaN is a missing value. A finite value beyond 32-bit floats is written
// as missing and counted, see Unfit.
func (w *Writer) Write(at time.Duration, values []float64) error {
	switch {
	case len(values) != w.fields:
		return fmt.Errorf("write MLG record: %d values for %d fields", len(values), w.fields)
	case at < 0 || at > MaxDuration:
		return fmt.Errorf("write MLG record: an MLG file holds times up to %s, not %s: write the session in parts", MaxDuration.Truncate(time.Second), at)
	case w.any && at < w.last:
		return fmt.Errorf("write MLG record at %s after %s: %w", at, w.last, ErrOrder)
	}
	ticks := uint32(min((at+tick*time.Microsecond/2)/(tick*time.Microsecond), math.MaxUint32))
	b := w.begin(kindRecord, at, ticks)
	b = binary.BigEndian.AppendUint32(b, ticks)
	for _, v := range values {
		f := float32(v)
		if math.IsInf(float64(f), 0) && !math.IsInf(v, 0) {
			f = float32(math.NaN())
			w.unfit++
		}
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(f))
	}
	sum := uint8(0)
	for _, v := range b[blockHeader:] {
		sum += v
	}
	return w.end(append(b, sum))
}

// Mark writes a marker, of whose text 49 bytes are kept.
func (w *Writer) Mark(at time.Duration, text string) error {
	if at < 0 || at > MaxDuration || w.any && at < w.last {
		return fmt.Errorf("write MLG marker at %s after %s: %w", at, w.last, ErrOrder)
	}
	b := w.begin(kindMarker, at, uint32(at/(tick*time.Microsecond)))
	return w.end(appendText(b, text, markerText))
}

func (w *Writer) begin(kind byte, at time.Duration, ticks uint32) []byte {
	b := append(w.buf[:0], kind, w.counter)
	w.counter++
	w.any, w.last = true, at
	return binary.BigEndian.AppendUint16(b, uint16(ticks))
}

func (w *Writer) end(b []byte) error {
	w.buf = b
	if _, err := w.w.Write(b); err != nil {
		return fmt.Errorf("write MLG record: %w", err)
	}
	return nil
}

// Unfit is how many finite values were too large for the format and are
// missing in the file.
func (w *Writer) Unfit() int64 { return w.unfit }

// Close writes what is still in memory. It does not close the file.
func (w *Writer) Close() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("write MLG file: %w", err)
	}
	return nil
}
