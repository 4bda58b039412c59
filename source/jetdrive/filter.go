package jetdrive

import (
	"strconv"
	"strings"
)

// filter lets through what the user asked for; an empty list asks for
// everything. Entries are names, case and outer spaces ignored, or numbers
// (decimal, or hexadecimal with 0x). While a name is not known yet a filter by
// name lets its values through: they may be wanted.
type filter struct {
	names   map[string]bool
	numbers map[uint16]bool
}

func newFilter(entries []string) filter {
	f := filter{names: map[string]bool{}, numbers: map[uint16]bool{}}
	for _, entry := range entries {
		entry = fold(entry)
		if entry == "" {
			continue
		}
		f.names[entry] = true // a name may be a number, too
		if number, err := strconv.ParseUint(entry, 0, 16); err == nil {
			f.numbers[uint16(number)] = true
		}
	}
	return f
}

// excludes reports whether something of the given number and name (empty:
// unknown) is not wanted.
func (f filter) excludes(number uint16, name string) bool {
	switch {
	case len(f.names) == 0 || f.numbers[number]:
		return false
	case name == "":
		return len(f.names) == len(f.numbers)
	}
	return !f.names[fold(name)]
}

func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
