package csv

import (
	"bytes"
	"slices"
	"strings"

	"dynotap/format/text"
	"dynotap/sample"
)

// layout is how a file is a table.
type layout struct {
	delimiter  byte
	header     []string
	headerRaw  string
	headerLine int64
	units      []string // the row below the header; nil: there is none
	unitsRaw   string
	last       int64 // line of the last row before the data
	remarks    []row // rows of words between the header and the data
	before     []row
	body       []row        // the first rows of data
	numbers    text.Numbers // NoDecimal as long as nothing told
	rate       float64      // rows a second as the file says; 0: it does not
	quality    float64      // share of the body's cells that fit
	long       *long        // a row a value; nil: a column a channel
}

// row is one row of the file's beginning.
type row struct {
	line    int64
	raw     string
	cells   []string
	filled  int // cells with something in them
	numbers int // of these, numbers and times
	last    int // number of the last filled cell
}

// Bounds of the look at a file's beginning, in rows.
const (
	lookedAt = 400 // in which the header must come
	bodySize = 60  // of data, to tell how numbers and times are written
)

// leastQuality is the share of fitting cells below which rows are no table.
const leastQuality = 0.34

// delimiters, the likelier ones first: of two that fit equally well the first
// is taken.
const delimiters = ",;\t|"

// findLayout looks for the table in UTF-8 text. Whole says that the text is the
// whole file, not its beginning.
func findLayout(head []byte, whole bool) (layout, bool) {
	var best layout
	try := delimiters
	if d, ok := declared(head); ok {
		try = string(d)
	}
	for i := range len(try) {
		l, ok := findTable(rowsOf(head, try[i], whole))
		if ok && (l.quality > best.quality || l.quality == best.quality && len(l.header) > len(best.header)) {
			best = l
			best.delimiter = try[i]
		}
	}
	if best.quality == 0 {
		return layout{}, false
	}
	best.numbers = numbersOf(best.body, best.delimiter)
	best.rate = best.findRate()
	return best, true
}

// declared reads the first line with which spreadsheets name the delimiter:
// "sep=;".
func declared(head []byte) (byte, bool) {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	line = bytes.Trim(line, " \r\"")
	if len(line) == len("sep=;") && strings.EqualFold(string(line[:4]), "sep=") && strings.IndexByte(delimiters, line[4]) >= 0 {
		return line[4], true
	}
	return 0, false
}

func rowsOf(head []byte, delimiter byte, whole bool) []row {
	var out []row
	rows := text.NewRows(bytes.NewReader(head), delimiter)
	for len(out) < lookedAt+bodySize && rows.Next() {
		if !rows.Ended() && !whole || rows.Long() {
			break // the rest of it is not here
		}
		r := row{line: rows.Line(), raw: string(rows.Raw())}
		for _, cell := range rows.Cells() {
			r.cells = append(r.cells, string(cell))
			if len(cell) == 0 {
				continue
			}
			r.filled++
			r.last = len(r.cells)
			if likeNumber(cell) {
				r.numbers++
			}
		}
		out = append(out, r)
	}
	return out
}

// likeNumber reports whether a cell may be a number, a time or a word for
// nothing, however the file writes them.
func likeNumber(cell []byte) bool {
	if cell[0] >= 'A' && len(cell) > len("infinity") {
		return false
	}
	for _, n := range []text.Numbers{{Decimal: '.', Grouped: true}, {Decimal: ',', Grouped: true}} {
		if _, kind := n.Parse(cell); kind != text.Garbage {
			return true
		}
	}
	_, ok := parseMoment(cell)
	return ok
}

// names reports whether a row may be the header: words, at least two.
func (r *row) names() bool { return r.filled >= 2 && 2*r.numbers < r.filled }

// fits reports whether a row belongs to the table under a header.
func (r *row) fits(header *row) bool {
	return len(r.cells) == len(header.cells) || r.last <= len(header.cells) && len(r.cells) >= header.last
}

// unitsUnder reports whether the row holds the units of the header's columns.
func (r *row) unitsUnder(header *row) bool {
	if r.numbers > 0 && !onlyDashes(r) || r.filled == 0 || !r.fits(header) {
		return false
	}
	known := 0
	for i, cell := range r.cells {
		if isTimeName(cell) {
			if i >= len(header.cells) || !isTimeName(header.cells[i]) {
				return false // "RPM" and "MPH" are names, too
			}
			known++ // "unix time" below "timestamp"
			continue
		}
		if _, ok := sample.ParseUnit(string(text.Unit(cell))); ok || cell != "" && text.Unit(cell) == sample.NoUnit {
			known++
		} else if _, ok := timeScale(string(text.Unit(cell))); ok {
			known++
		}
	}
	return 2*known >= r.filled
}

// maxRemarks is how many rows below the header may say more of the columns.
const maxRemarks = 2

// remarkUnder reports whether a row says more of the header's columns and
// nothing of the time: where RaceChrono has a value from, what EFILive's
// parameters mean.
func (r *row) remarkUnder(header *row) bool {
	if r.filled == 0 || !r.fits(header) || hasTimeName(r.cells) {
		return false
	}
	for _, cell := range r.cells {
		if likeDigits(cell) {
			return false
		}
	}
	return true
}

// onlyDashes reports whether all that looks like a number in a row is a dash,
// as bare numbers have in a row of units.
func onlyDashes(r *row) bool {
	for _, cell := range r.cells {
		if likeDigits(cell) {
			return false
		}
	}
	return true
}

func likeDigits(cell string) bool {
	return cell != "" && cell[0] >= '0' && cell[0] <= '9' && likeNumber([]byte(cell))
}

// findTable looks for the header: the row of names whose following rows fit it
// best. Of equals the first is taken.
func findTable(rows []row) (layout, bool) {
	var best layout
	for i := range min(len(rows), lookedAt) {
		if !rows[i].names() {
			continue
		}
		if l := tableUnder(rows, i); l.quality > best.quality {
			best = l
		}
	}
	return best, best.quality > 0
}

// tableUnder takes row i for the header.
func tableUnder(rows []row, i int) layout {
	if long := longOf(rows[i].cells); long != nil {
		if l := tableOf(rows, i, long); l.quality > 0 {
			return l
		}
	}
	return tableOf(rows, i, nil)
}

// tableOf takes row i for the header of a table with a row a value, or where
// long is nil with a column a channel.
func tableOf(rows []row, i int, long *long) layout {
	header := &rows[i]
	l := layout{
		header: header.cells, headerRaw: header.raw, headerLine: header.line, last: header.line, before: rows[:i],
		long: long,
	}
	var good, all, fitting int
	timed := hasTimeName(header.cells)
	for j := i + 1; j < len(rows) && len(l.body) < bodySize; j++ {
		r := &rows[j]
		switch {
		case r.filled == 0, r.raw == header.raw, l.isBelow(r.raw):
			continue
		case len(l.body) == 0 && all == 0 && l.units == nil && r.unitsUnder(header):
			l.units, l.unitsRaw, l.last = r.cells, r.raw, r.line
			continue
		case len(l.body) == 0 && all == 0 && len(l.remarks) < maxRemarks && timed && r.remarkUnder(header):
			l.remarks, l.last = append(l.remarks, *r), r.line
			continue
		}
		numbers, filled := r.numbers, r.filled
		if l.long != nil {
			numbers, filled = l.long.weigh(r)
		}
		all += filled
		if r.fits(header) && numbers > 0 {
			good += numbers
			fitting++
			l.body = append(l.body, *r)
		}
	}
	switch {
	case all == 0 && timed:
		l.quality = leastQuality // nothing was logged
	case fitting > 0 && float64(good) >= leastQuality*float64(all):
		l.quality = float64(good) / float64(all)
	}
	return l
}

func hasTimeName(cells []string) bool {
	for _, cell := range cells {
		if isTimeName(cell) {
			return true
		}
	}
	return false
}

// isBelow reports whether a row is one of those below the header, which come
// again where the header does.
func (l *layout) isBelow(raw string) bool {
	return raw != "" && raw == l.unitsRaw || slices.ContainsFunc(l.remarks, func(r row) bool { return r.raw == raw })
}

// Bounds of what is kept of the lines before the header.
const (
	maxNotes = 200
	maxNote  = 1000 // bytes
)

// notes are the lines before the header and the remarks below it, as they stand.
func (l *layout) notes() []string {
	var out []string
	for _, r := range slices.Concat(l.before, l.remarks) {
		line := strings.TrimSpace(r.raw)
		if r.filled == 0 || strings.HasPrefix(strings.ToLower(strings.Trim(line, "\"")), "sep=") {
			continue
		}
		if len(out) == maxNotes {
			break
		}
		out = append(out, strings.ToValidUTF8(line[:min(len(line), maxNote)], "�"))
	}
	return out
}

// fact gives what stands behind a word before the header: "Sample Rate","20".
// It is empty where the word does not stand there.
func (l *layout) fact(words ...string) string {
	for _, r := range l.before {
		for i, cell := range r.cells {
			if i+1 < len(r.cells) && slices.Contains(words, fold(strings.TrimRight(cell, ": "))) {
				return r.cells[i+1]
			}
		}
	}
	return ""
}

// findRate reads the rate of a log without times.
func (l *layout) findRate() float64 {
	number, _ := strings.CutSuffix(fold(l.fact("sample rate", "samplerate", "sampling rate", "sample rate (hz)", "sample rate [hz]", "abtastrate")), "hz")
	n := l.numbers
	if n.Decimal == text.NoDecimal {
		n.Decimal = '.'
	}
	if v, kind := n.Parse([]byte(number)); kind == text.Number && v > 0 && v <= 1e6 {
		return v
	}
	return 0
}
