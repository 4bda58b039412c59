package csv

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"dynotap/channel"
	"dynotap/format/text"
	"dynotap/sample"
)

// form is how a column says the time.
type form uint8

const (
	elapsed form = iota // a number, from the start
	epoch               // a number, from the Unix epoch
	clock               // 12:03:04.5, from the first row
	dated               // date and clock
	serial              // days, as spreadsheets count them
	counted             // the row's number
)

// times reads the time of each row.
type times struct {
	form   form
	column int // -1: no column, counted
	date   int // column of the date beside the clock; -1: none
	scale  float64
	order  order
	zone   *time.Location
	// short: two numbers with a colon are minutes and seconds.
	short bool
	// base is when the log began, in µs since the Unix epoch; 0: not known.
	base    int64
	numbers text.Numbers
	warning string
	timeState
}

// timeState is what changes from row to row.
type timeState struct {
	begun       bool
	first, last int64
	wrapped     int64
}

// Errors of a table without times that are certain.
var (
	errTwoNumbers = errors.New("times such as 12:03 are hours and minutes or minutes and seconds: write them as 00:12:03")
	errDateOrder  = errors.New("dates such as 03/04/2026 are the 3rd of April or the 4th of March: write them as 2026-04-03")
	errDateBoth   = errors.New("some dates have the day first and some the month: write them as 2026-04-03")
)

// findTime finds the column with the times and how it says them.
func (f *Format) findTime(l *layout) (*times, error) {
	zone := f.settings.Zone
	if zone == nil {
		zone = time.UTC
	}
	t := &times{column: -1, date: -1, numbers: l.numbers, zone: zone}
	t.column = f.timeColumn(l)
	if t.column < 0 && l.rate > 0 {
		t.form, t.scale = counted, 1e6/l.rate
		t.warning = fmt.Sprintf("the table has no times: they are counted from the first row by its sample rate of %g Hz", l.rate)
		return t, nil
	}
	if t.column < 0 {
		return nil, fmt.Errorf(`no column of times among %s: name it "Time (s)", or map its header to time in the configuration's channels`, listed(l.header))
	}
	if err := t.findForm(l); err != nil {
		return nil, err
	}
	if t.form == elapsed {
		t.findBase(l)
	}
	return t, nil
}

// findBase reads when a log began from the lines before its header: MoTeC's
// "Log Date","23/11/2026" and "Log Time","12:03:04", AiM's "Date" and "Time".
func (t *times) findBase(l *layout) {
	date, clock := l.fact("log date"), l.fact("log time")
	if date == "" || clock == "" {
		date, clock = l.fact("date"), l.fact("time")
		if !isDate(date) || !isClock(clock) {
			return
		}
	}
	at := times{form: dated, date: 0, zone: t.zone}
	if m, ok := parseMoment([]byte(date)); ok {
		at.order = m.orderOf()
	}
	us, problem := at.fromDate([]byte(clock), []byte(date))
	if problem != "" {
		t.warning = fmt.Sprintf("the log's date and time, %s %s, were not taken: %s", shortened(date), shortened(clock), problem)
		return
	}
	t.base = us
}

// listed names the columns for people, the first few.
func listed(header []string) string {
	const most = 12
	out := make([]string, 0, most+1)
	for _, h := range header {
		if h == "" {
			continue
		}
		if len(out) == most {
			out = append(out, "...")
			break
		}
		out = append(out, shortened(h))
	}
	return strings.Join(out, ", ")
}

func shortened(s string) string {
	const most = 40
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q...", strings.ToValidUTF8(s[:most], ""))
}

// timeColumn is the column the user says, else the first with a name for times
// and values that are some, else the first with clock times or dates, else the
// table's first column if its unit is one of time and its values ascend; -1
// where there is none.
func (f *Format) timeColumn(l *layout) int {
	for i, h := range l.header {
		c := f.resolver.Resolve(sample.Channel{Provider: provider, Label: h})
		if f.mapped[fold(h)] && c.Name == channel.Time {
			return i
		}
	}
	clockOnly := func(i int) bool { return l.share(i, isClock) > 0.5 }
	dateOnly := func(i int) bool { return l.share(i, isDate) > 0.5 }
	var first, dates = -1, -1
	for i, h := range l.header {
		if _, ok := timeName(h); !ok || len(l.body) > 0 && l.share(i, likeTime) < 0.5 {
			continue
		}
		if dateOnly(i) {
			dates = i
			continue
		}
		if first < 0 || dates >= 0 && !clockOnly(first) && clockOnly(i) {
			first = i
		}
	}
	if first >= 0 {
		return first
	}
	for i := range l.header {
		if l.share(i, isMoment) > 0.9 && !dateOnly(i) {
			return i
		}
	}
	if l.unitOf(0) > 0 && l.ascends(0) {
		return 0 // "Offset" in s
	}
	return -1
}

// ascends reports whether a column's first values are numbers, at least two, of
// which each is greater than the one before.
func (l *layout) ascends(column int) bool {
	before, n := math.Inf(-1), 0
	numbers := l.numbers
	for _, r := range l.body {
		if column >= len(r.cells) {
			return false
		}
		v, kind := numbers.Parse([]byte(r.cells[column]))
		if kind != text.Number || v <= before {
			return false
		}
		before = v
		n++
	}
	return n >= 2
}

// share is how many of a column's filled cells pass a test; 0 where none is
// filled.
func (l *layout) share(column int, test func(cell string) bool) float64 {
	var passed, all int
	for _, r := range l.body {
		if column < len(r.cells) && r.cells[column] != "" {
			all++
			if test(r.cells[column]) {
				passed++
			}
		}
	}
	if all == 0 {
		return 0
	}
	return float64(passed) / float64(all)
}

func likeTime(cell string) bool { return likeNumber([]byte(cell)) }

func isMoment(cell string) bool {
	_, ok := parseMoment([]byte(cell))
	return ok
}

func isClock(cell string) bool {
	m, ok := parseMoment([]byte(cell))
	return ok && !m.dated
}

func isDate(cell string) bool {
	m, ok := parseMoment([]byte(cell))
	return ok && m.dated && m.numbers == 0
}

// findForm looks at the first cells of the column.
func (t *times) findForm(l *layout) error {
	switch {
	case l.share(t.column, isClock) > 0.5:
		t.form = clock
		for i, h := range l.header {
			if i != t.column && dateNames[letters(h)] && l.share(i, isDate) > 0.5 {
				t.form, t.date = dated, i
				return t.findOrder(l, i)
			}
		}
		return t.findShort(l)
	case l.share(t.column, isMoment) > 0.5:
		t.form = dated
		return t.findOrder(l, t.column)
	}
	t.findUnit(l)
	return nil
}

// findShort finds out whether 12:03 is minutes and seconds.
func (t *times) findShort(l *layout) error {
	two := l.share(t.column, func(cell string) bool {
		m, ok := parseMoment([]byte(cell))
		return ok && m.numbers == 2
	})
	t.short = l.share(t.column, func(cell string) bool {
		m, ok := parseMoment([]byte(cell))
		return ok && m.numbers == 2 && m.fraction
	}) > 0
	if two > 0 && !t.short {
		return errTwoNumbers
	}
	return nil
}

// findOrder finds out whether dates have the day or the month first.
func (t *times) findOrder(l *layout, column int) error {
	var unsure bool
	for _, r := range l.body {
		if column >= len(r.cells) {
			continue
		}
		m, ok := parseMoment([]byte(r.cells[column]))
		if !ok {
			continue
		}
		switch o := m.orderOf(); {
		case o == noOrder:
			unsure = unsure || m.dated && m.a < 1000 && m.separator != '.' && m.a != m.b
		case t.order == noOrder:
			t.order = o
		case t.order != o:
			return errDateBoth
		}
	}
	if unsure && t.order == noOrder {
		return errDateOrder
	}
	return nil
}

// findUnit finds the unit of numbers and whether they count from the epoch: a
// log that has run for 30 years does not exist.
func (t *times) findUnit(l *layout) {
	var values, steps []float64
	whole := true
	for _, r := range l.body {
		if t.column >= len(r.cells) {
			continue
		}
		v, kind := t.numbers.Parse([]byte(r.cells[t.column]))
		if kind != text.Number || math.IsInf(v, 0) {
			continue
		}
		whole = whole && v == math.Trunc(v)
		if n := len(values); n > 0 && v > values[n-1] {
			steps = append(steps, v-values[n-1])
		}
		values = append(values, v)
	}
	middle, step := median(values), median(steps)
	t.scale = l.unitOf(t.column)
	if t.scale == 0 {
		t.scale = t.guessUnit(middle, step, whole && len(values) > 1)
	}
	const year = 365.25 * dayMicros
	if t.form == serial {
		return
	}
	if since := middle * t.scale; since > 28*year && since < 200*year {
		t.form = epoch
	}
}

// Of days as spreadsheets count them: those of 1970 and 2100, and the longest
// step that rows of a log have. In seconds it would be five thousand rows a
// second.
const (
	serial1970 = 25569
	serial2100 = 73051
	serialStep = 2e-4
)

// guessUnit tells the unit where the file does not: by the size of times since
// the epoch, else seconds, unless whole numbers stand further apart than any
// logger's rows in seconds. It is said in a warning.
func (t *times) guessUnit(middle, step float64, whole bool) float64 {
	switch {
	case middle > serial1970 && middle < serial2100 && step > 0 && step < serialStep:
		t.form = serial
		t.warning = "times without a unit are taken for days since 1899-12-30, as spreadsheets count them, by their size and steps"
		return dayMicros
	case middle > 1e18 && middle < 5e18:
		return 1e-3
	case middle > 1e15 && middle < 5e15:
		return 1
	case middle > 1e12 && middle < 5e12:
		return 1e3
	case middle > 1e9 && middle < 5e9 && step < 5:
		return 1e6
	case whole && step >= 2000:
		t.warning = `times without a unit are taken for microseconds by their steps: write "Time (us)" above them if so`
		return 1
	case whole && step >= 5:
		t.warning = `times without a unit are taken for milliseconds by their steps: write "Time (ms)" above them if so`
		return 1e3
	case whole && step > 0:
		t.warning = `times without a unit are taken for seconds: write "Time (s)" above them if so`
	}
	return 1e6
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
