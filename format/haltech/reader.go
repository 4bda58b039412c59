package haltech

import (
	"fmt"
	"math"
	"strings"
	"time"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

const (
	day     = int64(24 * time.Hour / time.Microsecond)
	halfDay = day / 2
)

// reader reads the rows.
type reader struct {
	*head
	rows *text.Rows
	sink format.RunSink
	out  *format.Batches

	begun       bool
	first, last int64 // of the clock
	days        int64 // midnights since the first row, in µs
	base        int64 // of the first row, in µs since the Unix epoch; 0: not known
	doubt       string
}

// findBase finds out when the log began: the date is of the head, the time of
// day of the first row, because the head's counts to twelve. A log without a
// clock says 1980.
func (r *reader) findBase(zone *time.Location) bool {
	at, err := time.ParseInLocation("20060102 15:04:05", r.log, zone)
	clock, ok := clockOf(r.rows.Cells()[0])
	if err != nil || !ok || at.Year() <= 1980 || at.Year() >= 2200 {
		return false
	}
	said := int64(at.Hour())*3600e6 + int64(at.Minute())*60e6 + int64(at.Second())*1e6
	const near = int64(2 * time.Minute / time.Microsecond)
	if apart := ((clock-said)%halfDay + halfDay) % halfDay; min(apart, halfDay-apart) > near {
		r.doubt = fmt.Sprintf("the head says that the log began at %s, its first row says %s: times count from the first row", shortened(r.log), shortened(string(r.rows.Cells()[0])))
		return false
	}
	seconds := clock / 1e6
	begun := time.Date(at.Year(), at.Month(), at.Day(), int(seconds/3600), int(seconds/60%60), int(seconds%60), 0, zone)
	r.base = begun.UnixMicro() + clock%1e6
	return true
}

// warnings are what a user should know of the log.
func (r *reader) warnings() (list []string) {
	if r.doubt != "" {
		list = append(list, r.doubt)
	}
	const most = 20
	if kinds := r.unknown(); len(kinds) > 0 {
		list = append(list, "the scale of these types is not known, their numbers are kept as they stand: "+shortenedList(kinds, most))
	}
	return list
}

func shortenedList(words []string, most int) string {
	out := make([]string, 0, most)
	for _, w := range words[:min(len(words), most)] {
		out = append(out, shortened(w))
	}
	if len(words) > most {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}

// row takes the row in hand.
func (r *reader) row() error {
	if r.rows.Long() {
		r.problem(0, fmt.Sprintf("the line is longer than %d bytes and was left out", text.MaxRow))
		return nil
	}
	cells := r.rows.Cells()
	switch {
	case len(r.rows.Raw()) == 0:
		return nil
	case !r.rows.Ended() && len(cells) <= len(r.channels):
		r.problem(0, fmt.Sprintf("the file ends inside this row (%d of %d cells): the row was left out", len(cells), len(r.channels)+1))
		return nil
	case len(cells) > len(r.channels)+1:
		r.problem(len(r.channels)+2, fmt.Sprintf("the row has %d cells for %d channels: which is which cannot be told, the row was left out", len(cells), len(r.channels)))
		return nil
	}
	clock, ok := clockOf(cells[0])
	if !ok {
		r.problem(1, fmt.Sprintf("%q is no time: the row was left out", shortened(string(cells[0]))))
		return nil
	}
	us := r.at(clock)
	for i, cell := range cells[1:] {
		v, kind := text.Numbers{Decimal: '.'}.Parse(cell)
		switch {
		case kind == text.Missing, isNothing(v):
			continue
		case kind == text.Garbage || math.IsInf(v, 0):
			r.problem(i+2, fmt.Sprintf("%q is no number", shortened(string(cell))))
			continue
		}
		if err := r.out.Add(sample.Sample{Time: us, Value: r.channels[i].conv.Apply(v), Channel: uint32(i)}); err != nil {
			return err
		}
	}
	return nil
}

// at gives the time of a row: it goes on after midnight.
func (r *reader) at(clock int64) int64 {
	if !r.begun {
		r.begun, r.first, r.last = true, clock, clock
	}
	if clock < r.last-halfDay {
		r.days += day
	}
	r.last = clock
	return r.base + r.days + clock - r.first
}

// isNothing reports whether a number stands for no value: the ends of what the
// ECU's whole numbers hold.
func isNothing(v float64) bool {
	return v == 8388607 || v == math.MaxInt32 || v <= math.MinInt32+100 && v >= math.MinInt32
}

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}
