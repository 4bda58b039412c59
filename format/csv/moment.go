package csv

import "time"

// order is which of the first two numbers of a date that ends with the year is
// the day.
type order uint8

const (
	noOrder    order = iota
	dayFirst         // 23/11/2026
	monthFirst       // 11/23/2026
)

// moment is what a cell says about the time.
type moment struct {
	// The three numbers of the date as they stand and what separates them; dated
	// is false where there is no date.
	a, b, c   int
	separator byte
	dated     bool
	// clock is the time of day in µs, of that many numbers: 0 where there is none.
	clock    int64
	numbers  int
	fraction bool
	// offset is the zone's in seconds east of UTC.
	offset int
	zoned  bool
}

// parseMoment reads dates, clock times and both together: 12:03:04.567,
// 2026-11-23T12:03:04Z, 23.11.2026 12:03:04,5, 11/23/2026 1:03:04 PM, and dates
// with the month's name.
func parseMoment(cell []byte) (moment, bool) {
	var m moment
	if len(cell) < len("1:02") || len(cell) > 48 {
		return moment{}, false
	}
	rest, ok := m.readDate(cell)
	if !ok {
		m = moment{}
		rest, ok = m.readNamedDate(cell)
	}
	if ok {
		if len(rest) == 0 {
			return m, true
		}
		if rest[0] == 'T' || rest[0] == 't' {
			rest = rest[1:]
		} else {
			blank := len(rest)
			if rest[0] == ',' {
				rest = rest[1:]
			}
			rest = skipBlanks(rest)
			if len(rest) == blank {
				return moment{}, false
			}
		}
	} else {
		rest, m = cell, moment{}
	}
	if rest, ok = m.readClock(rest); !ok {
		return moment{}, false
	}
	if rest, ok = m.readHalf(skipBlanks(rest)); !ok {
		return moment{}, false
	}
	return m, m.readZone(skipBlanks(rest))
}

func skipBlanks(s []byte) []byte {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	return s
}

// digits reads a number of at most most digits.
func digits(s []byte, most int) (v, n int, rest []byte) {
	for n < len(s) && n < most && s[n] >= '0' && s[n] <= '9' {
		v = v*10 + int(s[n]-'0')
		n++
	}
	return v, n, s[n:]
}

func (m *moment) readDate(s []byte) (rest []byte, ok bool) {
	var widths [3]int
	var values [3]int
	for i := range values {
		values[i], widths[i], s = digits(s, 4)
		if widths[i] == 0 {
			return nil, false
		}
		if i == 2 {
			break
		}
		if len(s) == 0 || s[0] != '-' && s[0] != '/' && s[0] != '.' || i == 1 && s[0] != m.separator {
			return nil, false
		}
		m.separator, s = s[0], s[1:]
	}
	yearFirst := widths[0] == 4 && widths[1] <= 2 && widths[2] <= 2
	yearLast := widths[0] <= 2 && widths[1] <= 2 && widths[2] == 4
	if !yearFirst && !yearLast {
		return nil, false
	}
	m.a, m.b, m.c, m.dated = values[0], values[1], values[2], true
	return s, true
}

// readClock reads h:mm, h:mm:ss, m:ss.fff and h:mm:ss:fff, with a point or a
// comma before the fraction.
func (m *moment) readClock(s []byte) (rest []byte, ok bool) {
	var values [3]int
	for m.numbers < 3 {
		v, n, after := digits(s, 3)
		if n == 0 || m.numbers > 0 && (n > 2 || v > 59) {
			return nil, false
		}
		values[m.numbers], s = v, after
		m.numbers++
		if len(s) == 0 || s[0] != ':' || m.numbers == 3 {
			break
		}
		s = s[1:]
	}
	if m.numbers < 2 {
		return nil, false
	}
	var micros int64
	if len(s) > 1 && (s[0] == '.' || s[0] == ',' || s[0] == ':' && m.numbers == 3) {
		v, n, after := digits(s[1:], 9)
		if n == 0 {
			return nil, false
		}
		nanos := int64(v)
		for range 9 - n {
			nanos *= 10
		}
		micros, m.fraction = (nanos+500)/1000, true
		for s = after; len(s) > 0 && s[0] >= '0' && s[0] <= '9'; s = s[1:] { // beyond nanoseconds
		}
	}
	whole := int64(values[0])*3600 + int64(values[1])*60 + int64(values[2])
	if m.numbers == 2 && m.fraction {
		whole = int64(values[0])*60 + int64(values[1])
	}
	m.clock = whole*1e6 + micros
	return s, true
}

// readHalf reads AM or PM.
func (m *moment) readHalf(s []byte) (rest []byte, ok bool) {
	if len(s) < 2 || s[1]|0x20 != 'm' || s[0]|0x20 != 'a' && s[0]|0x20 != 'p' {
		return s, true
	}
	const hour = 3600 * 1e6
	if m.clock < hour || m.clock >= 13*hour {
		return nil, false
	}
	if m.clock >= 12*hour {
		m.clock -= 12 * hour
	}
	if s[0]|0x20 == 'p' {
		m.clock += 12 * hour
	}
	return s[2:], true
}

// readZone reads Z, UTC, GMT, +01:00, +0100 and +01, which need a date.
func (m *moment) readZone(s []byte) bool {
	switch {
	case len(s) == 0:
		return true
	case !m.dated:
		return false
	case string(s) == "Z" || string(s) == "z" || string(s) == "UTC" || string(s) == "GMT":
		m.zoned = true
		return true
	case s[0] != '+' && s[0] != '-':
		return false
	}
	hours, n, rest := digits(s[1:], 2)
	if n != 2 {
		return false
	}
	if len(rest) > 0 && rest[0] == ':' {
		rest = rest[1:]
	}
	minutes, n, rest := digits(rest, 2)
	if len(rest) > 0 || n == 1 || hours > 14 || minutes > 59 {
		return false
	}
	m.zoned, m.offset = true, hours*3600+minutes*60
	if s[0] == '-' {
		m.offset = -m.offset
	}
	return true
}

// day gives the date, as midnight UTC. It reports false where there is no such
// day, or where only an order could tell which it is and there is none.
func (m *moment) day(o order) (time.Time, bool) {
	year, month, day := m.a, m.b, m.c
	if m.a < 1000 {
		year = m.c
		switch {
		case m.separator == '.', o == dayFirst:
			day, month = m.a, m.b
		case o == monthFirst, m.a == m.b:
			month, day = m.a, m.b
		default:
			return time.Time{}, false
		}
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, t.Year() == year && int(t.Month()) == month && t.Day() == day && year >= 1970 && year < 2200
}

// orderOf says what a date tells about the order in its file.
func (m *moment) orderOf() order {
	switch {
	case !m.dated || m.a >= 1000 || m.separator == '.':
	case m.a > 12:
		return dayFirst
	case m.b > 12:
		return monthFirst
	}
	return noOrder
}
