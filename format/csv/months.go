package csv

import "bytes"

// months are the beginnings of the months' names in English, German, French,
// Spanish and Italian, as far as they tell the month.
var monthNames = []struct {
	begins string
	month  int
}{
	{"jan", 1}, {"jän", 1}, {"ene", 1}, {"gen", 1}, {"feb", 2}, {"fév", 2}, {"fev", 2}, {"mar", 3}, {"mär", 3}, {"mrz", 3},
	{"apr", 4}, {"avr", 4}, {"abr", 4}, {"may", 5}, {"mai", 5}, {"mag", 5}, {"jun", 6}, {"juin", 6}, {"giu", 6},
	{"jul", 7}, {"juil", 7}, {"lug", 7}, {"aug", 8}, {"août", 8}, {"aou", 8}, {"ago", 8}, {"sep", 9}, {"set", 9},
	{"oct", 10}, {"okt", 10}, {"ott", 10}, {"nov", 11}, {"dec", 12}, {"dez", 12}, {"déc", 12}, {"dic", 12},
}

// readWord takes a word off, in lower case.
func readWord(s []byte) (word, rest []byte) {
	n := 0
	for n < len(s) && (s[n] >= 'A' && s[n] <= 'Z' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 0x80) {
		n++
	}
	return bytes.ToLower(s[:n]), s[n:]
}

func monthOf(word []byte) (month int, ok bool) {
	for _, m := range monthNames {
		if bytes.HasPrefix(word, []byte(m.begins)) {
			return m.month, true
		}
	}
	return 0, false
}

// readNamedDate reads dates with the month's name: 03-Jun-2024, 3. Juni 2024,
// June 3, 2024, and before either the day of the week: Monday, June 3, 2024.
func (m *moment) readNamedDate(s []byte) (rest []byte, ok bool) {
	if rest, ok = m.readMonthAndDay(s); ok {
		return rest, true
	}
	weekday, after := readWord(s)
	if len(weekday) == 0 {
		return nil, false
	}
	return m.readMonthAndDay(between(after))
}

// readMonthAndDay reads month, day and year, or day, month and year.
func (m *moment) readMonthAndDay(s []byte) (rest []byte, ok bool) {
	var word []byte
	var day, width, year int
	if startsNumber(s) {
		day, width, rest = digits(s, 2)
		word, rest = readWord(between(rest))
	} else {
		word, rest = readWord(s)
		day, width, rest = digits(between(rest), 2)
	}
	month, ok := monthOf(word)
	if !ok || width == 0 {
		return nil, false
	}
	if year, width, rest = digits(between(rest), 4); width != 4 {
		return nil, false
	}
	m.a, m.b, m.c, m.separator, m.dated = year, month, day, '-', true
	return rest, true
}

// between skips what stands between the parts of a date.
func between(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '-' || s[0] == '.' || s[0] == ',' || s[0] == '/') {
		s = s[1:]
	}
	return s
}

func startsNumber(s []byte) bool { return len(s) > 0 && s[0] >= '0' && s[0] <= '9' }
