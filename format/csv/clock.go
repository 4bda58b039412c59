package csv

import (
	"math"
	"time"

	"dynotap/format/text"
)

const dayMicros = 86400 * 1_000_000

// maxMicros bounds times: beyond, adding them up could overflow.
const maxMicros = 1 << 60

// isDated reports whether times count from the Unix epoch.
func (t *times) isDated() bool {
	return t.form == epoch || t.form == dated || t.form == serial || t.base != 0
}

// at gives the time of a row in µs, by the cell of the time column and that of
// the date, if there is one, and the number of the row in its run, from 0. What
// is empty is no time; problem says why there is none. The same row may be asked
// for again.
func (t *times) at(cell, date []byte, number int64) (us int64, problem string) {
	switch t.form {
	case counted:
		return int64(math.Round(float64(number) * t.scale)), ""
	case clock:
		return t.fromClock(cell)
	case dated:
		return t.fromDate(cell, date)
	}
	v, kind := t.numbers.Parse(cell)
	switch kind {
	case text.Missing:
		return 0, "the row has no time"
	case text.Garbage:
		return 0, "the time " + shortened(string(cell)) + " is no number"
	}
	if t.form == serial {
		v -= serial1970
	}
	v = math.Round(v * t.scale)
	if math.Abs(v) >= maxMicros { // infinity, too
		return 0, "the time " + shortened(string(cell)) + " is absurd"
	}
	us = int64(v)
	if t.form == serial {
		return t.wall(time.UnixMicro(us-us%dayMicros).UTC(), us%dayMicros), ""
	}
	if !t.begun {
		t.begun = true
		if us < 0 && t.form == elapsed {
			t.first = us // counted from a trigger: the run begins before it
		}
	}
	return us - t.first + t.base, ""
}

func noMoment(cell []byte) string {
	if len(cell) == 0 {
		return "the row has no time"
	}
	return shortened(string(cell)) + " is no time"
}

// fromClock counts from the first row and goes on after midnight (after the
// hour, where times are minutes and seconds).
func (t *times) fromClock(cell []byte) (us int64, problem string) {
	m, ok := parseMoment(cell)
	if !ok || m.dated {
		return 0, noMoment(cell)
	}
	us = m.clock
	period := int64(dayMicros)
	if t.short && m.numbers == 2 {
		if !m.fraction {
			us /= 60
		}
		period = 3600 * 1e6
	}
	if !t.begun {
		t.begun, t.first, t.last = true, us, us
	}
	us += t.wrapped
	// Only a short step over midnight: a damaged hour must not move the rest of
	// the run by a day.
	if us < t.last && us+period-t.last < period/24 {
		t.wrapped += period
		us += period
	}
	t.last = us
	return us - t.first, ""
}

func (t *times) fromDate(cell, date []byte) (us int64, problem string) {
	m, ok := parseMoment(cell)
	if !ok {
		return 0, noMoment(cell)
	}
	if t.date >= 0 {
		d, ok := parseMoment(date)
		if !ok || !d.dated || d.numbers > 0 || m.dated {
			return 0, noMoment(date)
		}
		m.a, m.b, m.c, m.separator, m.dated = d.a, d.b, d.c, d.separator, true
	}
	if !m.dated || m.numbers == 0 || m.clock >= dayMicros || m.fraction && m.numbers == 2 {
		return 0, noMoment(cell)
	}
	day, ok := m.day(t.order)
	if !ok {
		return 0, shortened(string(cell)) + " is no day, or one whose day and month cannot be told apart"
	}
	if m.zoned {
		return day.UnixMicro() + m.clock - int64(m.offset)*1e6, ""
	}
	return t.wall(day, m.clock), ""
}

// wall gives the time of a clock, in µs since midnight, on a day in the zone.
func (t *times) wall(day time.Time, clock int64) int64 {
	seconds := clock / 1e6
	at := time.Date(day.Year(), day.Month(), day.Day(), int(seconds/3600), int(seconds/60%60), int(seconds%60), 0, t.zone)
	return at.UnixMicro() + clock%1e6
}
