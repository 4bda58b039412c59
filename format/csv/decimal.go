package csv

import (
	"strings"

	"dynotap/format/text"
)

// numbersOf finds out how a file writes numbers. "0.5" and "12,75" are evidence;
// "1,234" may be either, and counts only if nothing better is there and the
// file separates cells with semicolons, which is done because numbers have
// commas.
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
	case maybeComma > 0 && maybePoint == 0 && delimiter == ';':
		return text.Numbers{Decimal: ','}
	}
	return text.Numbers{Decimal: '.'}
}

// decimalIn gives the decimal sign of a cell, 0 where it has none. It is not
// sure of "1,234" and "12.345", where the sign may stand between thousands.
func decimalIn(cell string) (sign byte, sure bool) {
	cell = strings.TrimLeft(cell, "+-")
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
	return sign, len(behind) != 3 || before == "" || len(before) > 3 || before[0] == '0'
}

// either reports whether a cell that is no number here may be one with
// thousands or with decimals.
func either(cell []byte) bool {
	sign, sure := decimalIn(string(cell))
	return sign != 0 && !sure
}
