package powervision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// log is what a look at the whole text tells before its rows are read. Its
// memory depends on the number of signals alone.
type log struct {
	delimiter byte
	numbers   text.Numbers
	signals   []signal
	index     map[string]int
	body      int64 // line of Time(ms),Signal,Value
	notes     []string
	facts     map[string]string

	points, commas int // cells with either decimal sign
}

type signal struct {
	name, units string
	letters     int   // values with A to F that read as hexadecimal
	line        int64 // of the first of these
	others      int   // values that no hexadecimal signal has
}

// hex reports whether the signal is hexadecimal, as a whole (PROTOCOLS 4): a
// damaged cell does not make a signal of decimals one.
func (s *signal) hex() bool { return s.letters > 0 && s.letters >= s.others }

const (
	// mostSignals bounds the list of signals; no log has a thousand.
	mostSignals = 10_000
	// mostNotes bounds the lines of the head that are kept.
	mostNotes = 100
)

// survey reads the whole log: whether a signal is hexadecimal shows in any of
// its values. A log that cannot be read to its end is judged by what came
// before.
func (l *log) survey(ctx context.Context, rows *text.Rows) error {
	l.delimiter = ','
	for l.body == 0 && rows.Next() {
		if err := l.head(rows); err != nil {
			return err
		}
	}
	if l.body == 0 {
		missing := errors.New(`the log has no rows: "Time(ms)","Signal","Value" is missing`)
		return &format.Error{Line: max(rows.Line(), 1), Err: errors.Join(missing, rows.Err())}
	}
	for n := 0; rows.Next(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		cells := rows.Cells()
		if len(cells) < 3 || !rows.Ended() {
			continue
		}
		l.count(cells[0])
		if at, ok := l.index[string(cells[1])]; ok {
			l.count(cells[2])
			l.signals[at].look(cells[2], rows.Line())
		}
	}
	l.numbers = text.Numbers{Decimal: '.'}
	if l.commas > l.points {
		l.numbers.Decimal = ','
	}
	return nil
}

// count looks for the decimal sign of a cell.
func (l *log) count(cell []byte) {
	switch {
	case bytes.IndexByte(cell, '.') >= 0:
		l.points++
	case bytes.IndexByte(cell, ',') >= 0:
		l.commas++
	}
}

// look counts what a value says of its signal.
func (s *signal) look(cell []byte, line int64) {
	switch {
	case isHex(cell):
		if s.letters++; s.letters == 1 {
			s.line = line
		}
	case bytes.ContainsAny(cell, ".,-") && bytes.ContainsAny(cell, "0123456789"):
		s.others++
	}
}

// head reads one line before the rows.
func (l *log) head(rows *text.Rows) error {
	if d, ok := delimiterOf(string(rows.Raw())); ok {
		l.delimiter = d
		rows.SetDelimiter(d)
	}
	cells := rows.Cells()
	first := string(cells[0])
	switch {
	case strings.HasPrefix(strings.ToLower(first), "time(ms)"):
		l.body = rows.Line()
	case first == "Format:" && len(cells) > 1:
		if !strings.HasPrefix(string(cells[1]), "Pro-XY CSV 1") {
			return &format.Error{Line: rows.Line(), Err: fmt.Errorf("format %.60q: %w", cells[1], errVersion)}
		}
		l.facts["format"] = string(cells[1])
	case len(cells) >= 4 && isNumber(first):
		n, _ := strconv.ParseUint(first, 10, 31)
		return l.signal(strconv.FormatUint(n, 10), cells, rows.Line()) // 07 is 7
	case rows.Line() > 1 && len(l.notes) < mostNotes && len(bytes.Trim(rows.Raw(), " \t,;\"")) > 0:
		l.notes = append(l.notes, fmt.Sprintf("%.200s", rows.Raw()))
	}
	return nil
}

// delimiterOf reads it off the lines whose first cell is known: programs that
// save the text anew may change it.
func delimiterOf(line string) (byte, bool) {
	for _, word := range []string{"Format:", "Time(ms)"} {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(line, "\" "), word); ok {
			if rest = strings.TrimLeft(rest, "\" "); rest != "" && strings.IndexByte(",;\t", rest[0]) >= 0 {
				return rest[0], true
			}
		}
	}
	return 0, false
}

func (l *log) signal(number string, cells [][]byte, line int64) error {
	if len(l.signals) == mostSignals {
		return &format.Error{Line: line, Err: fmt.Errorf("the log has more than %d signals", mostSignals)}
	}
	s := signal{name: string(cells[3])}
	if len(cells) > 4 {
		s.units = string(cells[4])
	}
	if s.name == "" {
		s.name = "signal " + number
	}
	if _, again := l.index[number]; again {
		return &format.Error{Line: line, Err: fmt.Errorf("signal %s is described twice: which of its values are whose cannot be told", number)}
	}
	l.index[number] = len(l.signals)
	l.signals = append(l.signals, s)
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

// isHex reports whether a value is one that only a hexadecimal signal has.
func isHex(cell []byte) bool {
	letter := false
	for _, c := range cell {
		switch {
		case c >= '0' && c <= '9':
		case c >= 'A' && c <= 'F':
			letter = true
		default:
			return false
		}
	}
	return letter
}

func (l *log) channels() *sample.ChannelSet {
	out := make([]sample.Channel, len(l.signals))
	for id, i := range l.index {
		s := l.signals[i]
		n, _ := strconv.ParseUint(id, 10, 31)
		out[i] = sample.Channel{
			Key: sample.ChannelKey(provider, uint32(n), 0), Provider: provider, ID: uint32(n), Label: s.name, NativeUnit: text.Unit(s.units),
		}
	}
	return sample.NewChannelSet(provider, out)
}
