package msl

import (
	"bytes"
	"fmt"
	"strings"

	"dynotap/format/text"
	"dynotap/sample"
)

// Bounds of what stands before the rows. Logs have two lines and up to four
// hundred names.
const (
	mostNotes   = 50
	longestNote = 500 // bytes
	mostColumns = 10_000
)

// note is a line about the log, without its quotes.
func note(raw []byte) string {
	raw = bytes.Trim(raw, "\" \r\t\x00")
	return strings.ToValidUTF8(string(raw[:min(len(raw), longestNote)]), "?")
}

// isNote reports whether a line below the names is one about the log that
// follows: one cell that begins with a quote.
func isNote(rows *text.Rows) bool {
	raw := bytes.TrimSpace(rows.Raw())
	return len(raw) > 0 && raw[0] == '"' && len(rows.Cells()) == 1
}

// timeColumn finds Time among names; false where the cells are no names. It is
// the first column but in logs of rusEFI.
func timeColumn(cells [][]byte) (at int, ok bool) {
	if len(cells) < 3 {
		return 0, false
	}
	at = -1
	for i, c := range cells {
		if at < 0 && bytes.EqualFold(c, []byte("time")) {
			at = i
		}
		if _, kind := (text.Numbers{Decimal: '.'}).Parse(c); kind == text.Number {
			return 0, false
		}
	}
	return at, at >= 0
}

// isUnits reports whether the row in hand is one of units: not longer than the
// names, and with words in it and hardly a number. The unit of Time may be
// empty.
func isUnits(rows *text.Rows, names int) bool {
	cells := rows.Cells()
	if rows.Long() || isMark(rows.Raw()) || len(cells) < 2 || len(cells) > names {
		return false
	}
	words, numbers := 0, 0
	for _, c := range cells {
		switch _, kind := (text.Numbers{Decimal: '.'}).Parse(c); kind {
		case text.Number:
			numbers++
		case text.Garbage:
			words++
		}
	}
	return words > 2*numbers
}

// isMark reports whether a line is one that the driver set by a button.
func isMark(raw []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, "\" \t"), []byte("MARK "))
}

// unit reads a cell of the line of units; a sign of degrees that was encoded
// twice is one.
func unit(cell string) sample.Unit { return text.Unit(strings.ReplaceAll(cell, "Â°", "°")) }

// channels makes those of the names in hand. Time is none of them.
func (r *reader) channels() *sample.ChannelSet {
	out := make([]sample.Channel, 0, len(r.names)-1)
	var guessed []string
	for i, name := range r.names {
		if i == r.time {
			continue
		}
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
		}
		id := uint32(len(out) + 1)
		c := sample.Channel{Key: sample.ChannelKey(provider, id, 0), Provider: provider, ID: id, Label: name}
		if i < len(r.units) {
			c.NativeUnit = unit(r.units[i])
		}
		if found := r.resolver.Resolve(c); c.NativeUnit == sample.NoUnit && found.Name != "" && found.Unit == sample.Fahrenheit && found.NativeUnit == sample.Fahrenheit {
			guessed = append(guessed, name)
		}
		out = append(out, c)
	}
	if len(guessed) > 0 {
		r.sink.Warn(fmt.Sprintf("the file gives no unit for %.200s: it is taken as °F; if the logger was set to °C, write °C into the line of units", strings.Join(guessed, ", ")))
	}
	return sample.NewChannelSet(provider, out)
}
