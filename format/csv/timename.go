package csv

import (
	"strings"
	"unicode"

	"dynotap/format/text"
)

// timeSpellings maps units of time to µs.
var timeSpellings = map[string]float64{
	"h": 3600e6, "hr": 3600e6, "hour": 3600e6, "hours": 3600e6,
	"min": 60e6, "mins": 60e6, "minute": 60e6, "minutes": 60e6,
	"s": 1e6, "sec": 1e6, "secs": 1e6, "second": 1e6, "seconds": 1e6, "sek": 1e6, "sekunden": 1e6, "seg": 1e6, "segundos": 1e6, "secondes": 1e6,
	"ms": 1e3, "msec": 1e3, "msecs": 1e3, "millis": 1e3, "millisecond": 1e3, "milliseconds": 1e3, "millisekunden": 1e3,
	"us": 1, "µs": 1, "μs": 1, "usec": 1, "usecs": 1, "micros": 1, "microsecond": 1, "microseconds": 1,
	"ns": 1e-3, "nsec": 1e-3, "nanos": 1e-3, "nanosecond": 1e-3, "nanoseconds": 1e-3,
}

// timeNames are the names of a column of times, lower case and without blanks,
// in the languages loggers speak.
var timeNames = map[string]bool{
	"time": true, "timestamp": true, "elapsed": true, "elapsedtime": true, "logtime": true, "sessiontime": true, "runtime": true,
	"recordtime": true, "systemtime": true, "devicetime": true, "gpstime": true, "timestamputc": true, "loggertime": true, "localtime": true, "clock": true, "timeofday": true, "wallclock": true, "walltime": true,
	"datetime": true, "dateandtime": true, "timedate": true, "date": true, "utc": true, "utctime": true, "timeutc": true, "gmt": true,
	"unix": true, "unixtime": true, "unixtimestamp": true, "epoch": true, "epochtime": true, "timeoffset": true,
	"zeit": true, "zeitstempel": true, "uhrzeit": true, "datum": true, "datumzeit": true, "datumuhrzeit": true, "messzeit": true, "laufzeit": true,
	"temps": true, "heure": true, "horodatage": true, "dateheure": true, "tiempo": true, "hora": true, "fechahora": true, "fecha": true,
	"tempo": true, "ora": true, "dataora": true, "tijd": true, "tid": true, "czas": true,
}

// dateNames are those of a column that holds the date alone.
var dateNames = map[string]bool{"date": true, "datum": true, "fecha": true, "data": true, "utcdate": true, "localdate": true, "logdate": true}

// timeScale gives the µs of a unit of time.
func timeScale(unit string) (float64, bool) {
	scale, ok := timeSpellings[strings.ToLower(strings.TrimSpace(unit))]
	return scale, ok
}

// timeName reads the header of a column of times: "Time (ms)", "timestamp_us",
// "Zeit [s]", "ms". Scale is 0 where it names no unit.
func timeName(header string) (scale float64, ok bool) {
	name := header
	if i := strings.IndexAny(header, "(["); i >= 0 {
		name = header[:i]
		unit := strings.TrimRight(header[i:], " ])")
		if scale, ok = timeScale(strings.TrimLeft(unit, "([ ")); !ok {
			scale = 0 // "(UTC)", "(hh:mm:ss)": a remark
		}
	}
	name = letters(name)
	if timeNames[name] {
		return scale, true
	}
	for i := 1; i < len(name); i++ {
		if s, ok := timeSpellings[name[i:]]; ok && timeNames[name[:i]] {
			return s, true
		}
	}
	if s, ok := timeSpellings[name]; ok && s <= 1e6 && !strings.Contains(header, "/") { // "m/s" is none
		return s, true
	}
	return 0, false
}

func isTimeName(header string) bool {
	_, ok := timeName(header)
	return ok && fold(header) != "s" && fold(header) != "ms" && fold(header) != "us"
}

// letters gives the letters of a name in lower case.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// unitOf gives the µs of the unit of a column, by its header or the row of
// units; 0 where neither says.
func (l *layout) unitOf(column int) float64 {
	if scale, _ := timeName(l.header[column]); scale > 0 {
		return scale
	}
	if i := strings.IndexAny(l.header[column], "(["); i >= 0 { // the user's own name for the time
		if scale, ok := timeScale(strings.Trim(l.header[column][i:], "([]) ")); ok {
			return scale
		}
	}
	below := [][]string{l.units}
	for _, r := range l.remarks {
		below = append(below, r.cells)
	}
	for _, cells := range below {
		if column < len(cells) {
			if scale, ok := timeScale(string(text.Unit(cells[column]))); ok {
				return scale
			}
		}
	}
	return 0
}
