package text

import (
	"bytes"
	"math"
	"strconv"
)

// Kind is what a cell was found to be.
type Kind uint8

// The three kinds. Missing is what people and devices write where there is no
// value (CONFORMANCE V6); it is never 0.
const (
	Number Kind = iota
	Missing
	Garbage
)

// Numbers is how a file writes numbers.
type Numbers struct {
	// Decimal is '.', ',' or NoDecimal.
	Decimal byte
	// Grouped allows the other of the two between thousands where one alone
	// stands ("1,234"). Where it cannot be taken for a decimal sign ("1,234.5",
	// "1,234,567") it is allowed anyway, as are blanks and apostrophes.
	Grouped bool
}

// NoDecimal takes whole numbers only: a digit is never met where the decimal sign
// is looked for.
const NoDecimal = '0'

// tableOfTens is exact: 10^22 is the largest power of ten a float64 holds.
var tableOfTens = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// fastDigits is how many digits always fit into a float64's 53 bits.
const fastDigits = 15

// Prefix reads the number with which row begins, up to the delimiter or the
// row's end, without a look at what is behind; n is its length in bytes. It
// reports false for everything but plain numbers of up to 15 digits, which says
// nothing: Parse decides then. The value is that of strconv.ParseFloat to the
// bit, because the digits and the power of ten are both exact and the one
// division rounds as it must (Clinger 1990).
func (f Numbers) Prefix(row []byte, delimiter byte) (v float64, n int, ok bool) {
	negative := false
	if len(row) > 0 && row[0] == '-' {
		negative = true
		n = 1
	}
	var mantissa uint64
	begin := n
	for ; n < len(row); n++ {
		d := row[n] - '0'
		if d > 9 {
			break
		}
		mantissa = mantissa*10 + uint64(d)
	}
	digits, fraction := n-begin, 0
	if n < len(row) && row[n] == f.Decimal && row[n] != delimiter {
		n++
		point := n
		for ; n < len(row); n++ {
			d := row[n] - '0'
			if d > 9 {
				break
			}
			mantissa = mantissa*10 + uint64(d)
		}
		fraction = n - point
		digits += fraction
	}
	if digits == 0 || digits > fastDigits || n < len(row) && row[n] != delimiter {
		return 0, 0, false
	}
	v = float64(mantissa)
	if fraction > 0 {
		v /= tableOfTens[fraction]
	}
	if negative {
		v = -v
	}
	return v, n, true
}

// Parse reads a cell. Infinity is a number here; validation has the word on it.
func (f Numbers) Parse(cell []byte) (float64, Kind) {
	if v, n, ok := f.Prefix(cell, 0); ok && n == len(cell) {
		return v, Number
	}
	cell = Trim(cell)
	if len(cell) == 0 {
		return 0, Missing
	}
	if v, n, ok := f.Prefix(cell, 0); ok && n == len(cell) {
		return v, Number
	}
	if len(cell) > maxNumber {
		return 0, Garbage
	}
	if c := cell[len(cell)-1]; c != '.' && c != f.Decimal && (c < '0' || c > '9') {
		return word(cell)
	}
	return f.parseSlow(cell)
}

// maxNumber bounds the work for one cell, in bytes; the longest float64 that is
// written in full has 1,100 characters, nobody logs it.
const maxNumber = 1200

// word reads what people write instead of a number.
func word(cell []byte) (float64, Kind) {
	var lower [len("-infinity")]byte
	if len(cell) > len(lower) {
		return 0, Garbage
	}
	for i, c := range cell {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(cell)]) {
	case "-", "--", "---", "nan", "-nan", "null", "none", "n/a", "na", "#n/a":
		return 0, Missing
	case "inf", "+inf", "infinity", "+infinity":
		return math.Inf(1), Number
	case "-inf", "-infinity":
		return math.Inf(-1), Number
	}
	return 0, Garbage
}

// parseSlow reads numbers with exponents, many digits, or thousands.
func (f Numbers) parseSlow(cell []byte) (float64, Kind) {
	plain := make([]byte, 0, 64)
	groups, digits, pointed := 0, 0, false // digits since the last separator
	var between byte                       // the separator, which is the same all along
	first := true
	for i := 0; i < len(cell); i++ {
		c := cell[i]
		switch {
		case c >= '0' && c <= '9':
			plain = append(plain, c)
			digits++
		case c == f.Decimal:
			if pointed || groups > 0 && digits != 3 {
				return 0, Garbage
			}
			plain, pointed = append(plain, '.'), true
		case (c == '+' || c == '-') && (first || exponent(cell[i-1])):
			plain = append(plain, c)
		case exponent(c) && !first:
			if groups > 0 {
				return 0, Garbage
			}
			plain, pointed = append(plain, c), true
		default:
			n := separator(cell[i:], f.Decimal)
			if n == 0 || pointed || digits == 0 || digits > 3 || groups > 0 && (digits != 3 || c != between) {
				return 0, Garbage
			}
			if groups == 0 && plain[len(plain)-digits] == '0' {
				return 0, Garbage // "0,123" is a fraction, whatever else is said
			}
			groups++
			digits, between = 0, c
			i += n - 1
			if n > 1 || c == ' ' || c == '\'' {
				f.Grouped = true
			}
		}
		first = false
	}
	if groups > 0 && !pointed && (digits != 3 || groups == 1 && !f.Grouped) {
		return 0, Garbage
	}
	v, err := strconv.ParseFloat(string(plain), 64)
	if err != nil {
		return 0, Garbage
	}
	return v, Number
}

func exponent(c byte) bool { return c == 'e' || c == 'E' }

// separator is the length of the thousands separator with which text begins, 0
// where there is none: the other of point and comma, a blank, an apostrophe, a
// blank that does not break a line (U+00A0, U+202F).
func separator(text []byte, decimal byte) int {
	switch {
	case text[0] == ' ', text[0] == '\'', text[0] == ',' && decimal == '.', text[0] == '.' && decimal == ',':
		return 1
	case bytes.HasPrefix(text, []byte("\u00a0")):
		return 2
	case bytes.HasPrefix(text, []byte("\u202f")):
		return 3
	}
	return 0
}
