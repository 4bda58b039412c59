package winpep

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"dynotap/format"
	"dynotap/format/text"
)

// header is the first line.
type header struct {
	raw       string
	aligned   bool // cells are separated by blanks
	separated bool // a separator stands behind the last cell of a line, too
	columns   []column
}

type column struct{ device, label string }

const (
	// leastDevices is how many columns of the first line must name their device.
	leastDevices = 2
	// mostColumns bounds the memory that a header takes; exports have a hundred.
	mostColumns = 10_000
)

var errNoHeader = errors.New("the first line is no header of WinPEP: Time, (DEVICE) Channel, (DEVICE) Channel")

// readHeader takes the first row and leaves rows with the delimiter of the file.
func readHeader(rows *text.Rows) (header, error) {
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return header{}, &format.Error{Line: 1, Err: fmt.Errorf("read rows: %w", err)}
		}
		return header{}, &format.Error{Line: 1, Err: errNoHeader}
	}
	h, ok := parseHeader(rows)
	h.raw = string(bytes.TrimSpace(rows.Raw()))
	switch {
	case !ok:
		return header{}, &format.Error{Line: 1, Err: errNoHeader}
	case rows.Long() || len(h.columns) > mostColumns:
		return header{}, &format.Error{Line: 1, Err: fmt.Errorf("the header has more than %d columns or %d bytes", mostColumns, text.MaxRow)}
	}
	return h, nil
}

func parseHeader(rows *text.Rows) (header, bool) {
	for _, delimiter := range []byte{',', '\t', ';'} {
		rows.SetDelimiter(delimiter)
		cells := rows.Cells()
		h := header{separated: len(cells) > 1 && len(cells[len(cells)-1]) == 0}
		if h.separated {
			cells = cells[:len(cells)-1]
		}
		if len(cells) < 3 || !strings.EqualFold(string(cells[0]), "time") {
			continue
		}
		named := 0
		for _, cell := range cells[:min(len(cells), mostColumns+1)] {
			c := splitDevice(string(cell))
			if c.device != "" {
				named++
			}
			h.columns = append(h.columns, c)
		}
		if named >= leastDevices {
			return h, true
		}
	}
	return parseAligned(rows)
}

// splitDevice takes "(DWRT CPU) Power (uncorrected)" apart.
func splitDevice(cell string) column {
	if rest, ok := strings.CutPrefix(cell, "("); ok {
		if device, label, ok := strings.Cut(rest, ")"); ok && strings.TrimSpace(label) != "" {
			return column{strings.TrimSpace(device), strings.TrimSpace(label)}
		}
	}
	return column{label: cell}
}

// parseAligned reads "Time (s)  Speed (mph)  Power (hp)  LC1 AFR": names that
// are separated by a tab, or by two blanks or more.
func parseAligned(rows *text.Rows) (header, bool) {
	line := string(rows.Raw())
	rows.SetDelimiter('\t')
	h := header{aligned: strings.IndexByte(line, '\t') < 0}
	gap := "\t"
	if h.aligned {
		gap = "  "
	}
	for part := range strings.SplitSeq(line, gap) {
		if part = strings.TrimSpace(part); part != "" && len(h.columns) <= mostColumns {
			h.columns = append(h.columns, column{label: part})
		}
	}
	if len(h.columns) < 3 || strings.ContainsAny(line, ",;\"") || !strings.EqualFold(h.columns[0].label, "Time (s)") {
		return header{}, false
	}
	return h, true
}

// again reports whether a row is the header once more, as where exports were
// joined: another run begins.
func (h *header) again(raw []byte) bool {
	return string(bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\ufeff")))) == h.raw
}

// span is where a value stands in its line, in bytes.
type span struct{ from, to int }

// fields gives the values of an aligned row and where they stand.
func fields(raw []byte) (cells [][]byte, at []span) {
	for i := 0; i < len(raw); {
		if raw[i] == ' ' || raw[i] == '\t' {
			i++
			continue
		}
		end := len(raw)
		if n := bytes.IndexAny(raw[i:], " \t"); n >= 0 {
			end = i + n
		}
		cells, at = append(cells, raw[i:end]), append(at, span{i, end})
		i = end
	}
	return cells, at
}

// placed puts the values of a row that lacks some under the columns where the
// complete rows have theirs; false where that does not tell.
func placed(cells [][]byte, at, columns []span) ([][]byte, bool) {
	out := make([][]byte, len(columns))
	column := 0
	for i, s := range at {
		for column < len(columns) && columns[column].to <= s.from {
			column++
		}
		if column == len(columns) || s.to <= columns[column].from ||
			column+1 < len(columns) && s.to > columns[column+1].from {
			return nil, false
		}
		out[column] = cells[i]
		column++
	}
	return out, len(out) > 0 && out[0] != nil
}
