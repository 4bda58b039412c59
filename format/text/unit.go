package text

import (
	"strings"

	"dynotap/sample"
)

// Unit reads a cell of a row of units: "rpm", "[kPa]", "(deg F)". A unit that
// is not known stays as it is written, so that nobody takes the values for
// something they are not.
func Unit(cell string) sample.Unit {
	inner := strings.TrimSpace(cell)
	if n := len(inner); n >= 2 && (inner[0] == '[' && inner[n-1] == ']' || inner[0] == '(' && inner[n-1] == ')' && strings.Count(inner, "(") == 1) {
		inner = strings.TrimSpace(inner[1 : n-1])
	}
	if u, ok := sample.ParseUnit(inner); ok {
		return u
	}
	if inner == "-" || inner == "--" || inner == "---" {
		return sample.NoUnit
	}
	return sample.Unit(inner)
}
