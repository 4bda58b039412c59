package haltech

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dynotap/format/text"
	"dynotap/sample"
)

// Bounds of the memory that a head takes; logs have some hundred channels.
const (
	mostChannels = 10_000
	mostLines    = 60_000
	mostNotes    = 50
)

// raw is the unit of numbers whose scale is not known: nobody takes them for
// anything else.
const raw = sample.Unit("raw")

// column is one channel.
type column struct {
	name, kind string
	unit       sample.Unit
	conv       sample.Conversion
}

// head is what stands before the rows.
type head struct {
	channels []column
	notes    []string
	log      string // when it began: 20260729 06:30:35
}

// readHead reads up to the first row of data, which is then in hand.
func readHead(rows *text.Rows) (*head, error) {
	if !rows.Next() || strings.TrimSpace(string(rows.Raw())) != signature {
		return nil, errNoLog
	}
	h := &head{}
	for n := 0; rows.Next(); n++ {
		if n == mostLines || len(h.channels) > mostChannels {
			return nil, errHead
		}
		if len(h.channels) > 0 && !rows.Long() {
			if cells := rows.Cells(); len(cells) > 1 && isClock(cells[0]) {
				return h, nil
			}
		}
		key, value, _ := strings.Cut(string(rows.Raw()), ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "Channel":
			h.channels = append(h.channels, column{name: value, unit: raw, conv: sample.Conversion{Scale: 1}})
		case "Type":
			if len(h.channels) > 0 {
				h.channels[len(h.channels)-1].is(value)
			}
		case "DataLogVersion":
			if value != "1" && !strings.HasPrefix(value, "1.") {
				return nil, fmt.Errorf("DataLogVersion %q: %w", shortened(value), errVersion)
			}
		case "Log":
			h.log = value
		case "Software", "SoftwareVersion", "DownloadDateTime", "Log Number", "Log Source":
			if len(h.notes) < mostNotes {
				h.notes = append(h.notes, key+": "+shortened(value))
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	return nil, errNoRows
}

// is tells what kind of values a channel has: those types whose scale is known
// by what logs of running engines show.
func (c *column) is(kind string) {
	c.kind = kind
	scaled := func(unit sample.Unit, scale float64) { c.unit, c.conv = unit, sample.Conversion{Scale: scale} }
	switch kind {
	case "EngineSpeed":
		scaled(sample.RPM, 1)
	case "Percentage":
		scaled(sample.Percent, 0.1)
	case "Angle":
		scaled(sample.Degree, 0.1)
	case "Speed":
		scaled(sample.KilometrePerHour, 0.1)
	case "Pressure", "AbsPressure":
		scaled(sample.Kilopascal, 0.1) // absolute
	case "BatteryVoltage":
		scaled(sample.Volt, 0.001)
	case "Current_mA_as_A":
		scaled(sample.Ampere, 0.001)
	case "AFR":
		scaled(sample.Lambda, 0.001) // whatever its name says
	case "Time_us":
		scaled(sample.Millisecond, 0.001)
	case "Temperature":
		c.unit, c.conv = sample.Celsius, sample.Conversion{Scale: 0.1, Offset: -273.15} // tenths of a kelvin
	}
}

// set describes the channels.
func (h *head) set() []sample.Channel {
	list := make([]sample.Channel, len(h.channels))
	for i, c := range h.channels {
		list[i] = sample.Channel{
			Key: sample.ChannelKey(provider, uint32(i), 0), Provider: provider, ID: uint32(i), Label: c.name, NativeUnit: c.unit,
		}
	}
	return list
}

// unknown lists the types of which only the numbers are known.
func (h *head) unknown() []string {
	var kinds []string
	for _, c := range h.channels {
		if c.unit == raw && c.kind != "Raw" && !slices.Contains(kinds, c.kind) {
			kinds = append(kinds, c.kind)
		}
	}
	return kinds
}

// clockOf reads the time of a row in µs since midnight.
func clockOf(cell []byte) (us int64, ok bool) {
	at, err := time.Parse(time.TimeOnly, string(cell))
	if err != nil {
		return 0, false
	}
	return at.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds(), true
}

func isClock(cell []byte) bool {
	_, ok := clockOf(cell)
	return ok
}

func shortened(s string) string {
	const most = 60
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "�")
}
