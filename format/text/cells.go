package text

import "bytes"

// cellAt gives the cell that begins at a position of the row, and where it
// ends: at a delimiter or at the row's end.
//
// A quote that is never closed, or closed and followed by something else than
// a delimiter, is a character like others: the cell ends at the next delimiter
// and holds the quote, so that no damage reaches the cell beside it.
func (r *Rows) cellAt(row []byte, at int) (cell []byte, end int) {
	open := at
	for open < len(row) && row[open] == ' ' {
		open++
	}
	if open < len(row) && row[open] == '"' {
		if closing, end, state := r.closingQuote(row, open+1); state == closed {
			return r.unescape(row[open+1 : closing]), end
		}
	}
	end = len(row)
	if i := bytes.IndexByte(row[at:], r.delimiter); i >= 0 {
		end = at + i
	}
	return Trim(row[at:end]), end
}

// Trim takes the blanks (space, tab and NUL, with which some devices pad) off
// both ends of a cell.
func Trim(cell []byte) []byte {
	for len(cell) > 0 && blank(cell[0]) {
		cell = cell[1:]
	}
	for len(cell) > 0 && blank(cell[len(cell)-1]) {
		cell = cell[:len(cell)-1]
	}
	return cell
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == 0 }

// quoteState is how a quoted cell ends.
type quoteState uint8

const (
	open   quoteState = iota // not within what was looked at
	closed                   // as it should
	broken                   // with something behind the quote that does not belong there
)

// closingQuote looks for the end of a quoted cell from inside it. Closing is
// the position of the quote, end that of the delimiter or the row's end.
func (r *Rows) closingQuote(row []byte, inside int) (closing, end int, state quoteState) {
	for at := inside; ; {
		i := bytes.IndexByte(row[at:], '"')
		if i < 0 {
			return 0, 0, open
		}
		at += i
		if at+1 < len(row) && row[at+1] == '"' {
			at += 2
			continue
		}
		for end = at + 1; end < len(row) && row[end] == ' '; end++ {
		}
		if end == len(row) || row[end] == r.delimiter {
			return at, end, closed
		}
		return 0, 0, broken
	}
}

// unescape gives the content of a quoted cell, "" being one quote.
func (r *Rows) unescape(cell []byte) []byte {
	cell = Trim(cell)
	if bytes.IndexByte(cell, '"') < 0 {
		return cell
	}
	begin := len(r.unquoted)
	for i := 0; i < len(cell); i++ {
		r.unquoted = append(r.unquoted, cell[i])
		if cell[i] == '"' {
			i++ // the second of the two
		}
	}
	return r.unquoted[begin:len(r.unquoted):len(r.unquoted)]
}

// joinQuoted takes the following lines to the row where a quoted cell goes over
// its end. Where no line closes the cell properly, the row stays one line: the
// quote is damage, which must not take the lines behind with it.
func (r *Rows) joinQuoted() {
	for at := 0; ; {
		inside, ok := r.openAtEnd(at)
		if !ok {
			return
		}
		end, next, lines, ended := r.raw, r.next, r.lines, r.ended
		state := open
		for state == open && ended {
			e, n, ok := r.lineFrom(next)
			if !ok || r.long {
				r.long = false
				return
			}
			lines++
			_, at, state = r.closingQuote(r.buf[r.start:r.start+e], inside)
			inside, end, next, ended = e, e, n, n > e
		}
		if state != closed {
			return
		}
		r.raw, r.next, r.lines, r.ended = end, next, lines, ended
		at++
	}
}

// openAtEnd looks for a quoted cell that the row's end leaves open, among the
// cells from a position on, and gives the position behind the line.
func (r *Rows) openAtEnd(at int) (inside int, ok bool) {
	row := r.Raw()
	for at < len(row) {
		begin := at
		for begin < len(row) && row[begin] == ' ' {
			begin++
		}
		if begin < len(row) && row[begin] == '"' {
			_, end, state := r.closingQuote(row, begin+1)
			switch state {
			case closed:
				at = end + 1
				continue
			case open:
				return len(row), true
			}
		}
		i := bytes.IndexByte(row[at:], r.delimiter)
		if i < 0 {
			return 0, false
		}
		at += i + 1
	}
	return 0, false
}
