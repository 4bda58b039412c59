package csv

import (
	"strings"

	"dynotap/format/text"
)

// numbersOf finds out how a file writes numbers. "0.5" and "12,75" are evidence.
// "1.234" and "1,234" may be either and count only if nothing better is there;
// the second only in a file that separates cells with semicolons, which is done
// because numbers have commas. Without evidence there is no decimal sign.
func numbersOf(body []row, delimiter byte) text.Numbers {
	var point, comma, maybePoint, maybeComma int
	for _, r := range body {
		for _, cell := range r.cells {
			switch sign, sure := decimalIn(cell); {
			case sign == '.' && sure:
				point++
			case sign == ',' && sure:
				comma++
			case sign == '.':
				maybePoint++
			case sign == ',':
				maybeComma++
			}
		}
	}
	switch {
	case comma > point:
		return text.Numbers{Decimal: ',', Grouped: true}
	case point > 0:
		return text.Numbers{Decimal: '.', Grouped: true}
	case maybePoint > 0:
		return text.Numbers{Decimal: '.'}
	case maybeComma > 0 && delimiter == ';':
		return text.Numbers{Decimal: ','}
	}
	return text.Numbers{Decimal: text.NoDecimal}
}

// learn looks for a decimal sign in a row where the rows before had none: an
// engine may idle in whole numbers for long.
func (r *reader) learn(cells [][]byte) {
	one := row{cells: make([]string, len(cells))}
	for i, c := range cells {
		if i != r.times.column || r.times.form == elapsed || r.times.form == epoch {
			one.cells[i] = string(c)
		}
	}
	r.numbers = numbersOf([]row{one}, r.delimiter)
	r.times.numbers = r.numbers
}

// decimalIn gives the decimal sign of a cell, 0 where it has none. It is not
// sure of "1,234" and "12.345", where the sign may stand between thousands.
func decimalIn(cell string) (sign byte, sure bool) {
	cell = strings.TrimLeft(cell, "+-")
	certain := false
	if i := strings.IndexAny(cell, "eE"); i >= 0 {
		cell, certain = cell[:i], true
	}
	if strings.ContainsAny(cell, groupings) { // thousands apart by other means
		cell, certain = strings.Map(withoutGroupings, cell), true
	}
	at := strings.LastIndexAny(cell, ".,")
	if at < 0 || strings.Trim(cell, "0123456789.,") != "" {
		return 0, false
	}
	sign = cell[at]
	before, behind := cell[:at], cell[at+1:]
	if i := strings.IndexAny(before, ".,"); i >= 0 {
		if before[i] == sign {
			return 0, false // 1,234,567
		}
		return sign, true
	}
	return sign, certain || len(behind) != 3 || before == "" || len(before) > 3 || before[0] == '0'
}

const groupings = " '\u00a0\u202f"

func withoutGroupings(r rune) rune {
	if strings.ContainsRune(groupings, r) {
		return -1
	}
	return r
}

// either reports whether a cell that is no number here may be one with
// thousands or with decimals.
func either(cell []byte) bool {
	sign, sure := decimalIn(string(cell))
	return sign != 0 && !sure
}
