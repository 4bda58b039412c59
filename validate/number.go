package validate

import (
	"math"
	"strconv"
	"strings"
)

// ParseNumber reads a number as files write it, with decimal ('.' or ',') as
// the decimal separator and spaces around it ignored (CONFORMANCE V6). Dashes
// alone, "nan", "null", "none" and nothing at all are Missing; "inf" is a
// Number. There are no thousands separators: "1_000" is Malformed, and so is a
// point in a file of decimal commas. Without a number the value is NaN.
func ParseNumber(text string, decimal rune) (float64, Kind) {
	text = strings.TrimSpace(text)
	if strings.Trim(text, "-") == "" {
		return math.NaN(), Missing
	}
	if last := text[len(text)-1] | 0x20; last >= 'a' && last <= 'z' {
		return parseWord(text)
	}
	if len(text) > maxNumber {
		return math.NaN(), Malformed
	}
	var buffer [maxNumber]byte
	digits := append(buffer[:0], text...)
	for i, b := range digits {
		switch {
		case b >= '0' && b <= '9', b == '+', b == '-', b == 'e', b == 'E':
		case rune(b) == decimal:
			digits[i] = '.'
		default:
			return math.NaN(), Malformed
		}
	}
	v, err := strconv.ParseFloat(string(digits), 64)
	if err != nil { // also a number beyond float64: it was not written as infinite
		return math.NaN(), Malformed
	}
	return v, Number
}

// maxNumber is the longest text that is read as a number, in bytes; 17 digits
// and an exponent say everything a float64 can.
const maxNumber = 64

func parseWord(text string) (float64, Kind) {
	switch strings.ToLower(text) {
	case "nan", "null", "none":
		return math.NaN(), Missing
	case "inf", "+inf", "infinity", "+infinity":
		return math.Inf(1), Number
	case "-inf", "-infinity":
		return math.Inf(-1), Number
	}
	return math.NaN(), Malformed
}
