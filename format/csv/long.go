package csv

import (
	"context"
	"fmt"
	"io"
	"strings"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// long is a table with a row a value instead of a column a channel: a time, a
// name and a value, perhaps a unit and a device, as dynotap's own export, Car
// Scanner and databases write it. Columns that are not there are -1.
type long struct {
	value, name, unit, device int
	// key tells channels of one name apart, where there are two columns of names.
	key int

	channels map[string]int // by what labels gives
	set      *sample.ChannelSet
	scratch  []byte
}

// What the columns of such tables are called, lower case and without blanks, in
// the languages loggers speak.
var (
	valueNames = nameSet("value", "val", "reading", "wert", "messwert", "valeur", "valor", "valore")
	labelNames = nameSet("name", "channelname", "pid", "parameter", "parametername", "sensor", "sensorname", "signal", "signalname", "label", "variable",
		"metric", "measurement", "tag", "messgröße", "messgrösse", "bezeichnung", "nom", "nombre", "nome", "paramètre", "parametre", "parametro",
		"parámetro", "señal", "segnale")
	keyNames    = nameSet("channel", "channelid", "kanal", "kanalname", "canal", "canale")
	unitNames   = nameSet("unit", "units", "einheit", "einheiten", "unité", "unités", "unite", "unites", "unidad", "unidades", "unità", "unita")
	deviceNames = nameSet("device", "provider", "source", "ecu", "gerät", "quelle", "appareil", "dispositivo")
)

func nameSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// longOf reads a header; nil where it is that of another table.
func longOf(header []string) *long {
	l := &long{value: -1, name: -1, unit: -1, device: -1, key: -1}
	for i, h := range header {
		h = letters(h)
		for _, c := range []struct {
			names  map[string]bool
			column *int
		}{{valueNames, &l.value}, {labelNames, &l.name}, {keyNames, &l.key}, {unitNames, &l.unit}, {deviceNames, &l.device}} {
			if c.names[h] {
				if *c.column >= 0 {
					return nil // two columns of values: a column a channel
				}
				*c.column = i
			}
		}
	}
	if l.name < 0 {
		l.name, l.key = l.key, -1
	}
	if l.value < 0 || l.name < 0 || !hasTimeName(header) {
		return nil
	}
	return l
}

// weigh counts the values of a row that are there and that are numbers, as far
// as it names a channel.
func (l *long) weigh(r *row) (numbers, filled int) {
	if max(l.name, l.value) >= len(r.cells) || r.cells[l.name] == "" || r.cells[l.value] == "" {
		return 0, 0
	}
	if (isWhole(r.cells[l.name]) || !likeDigits(r.cells[l.name])) && likeNumber([]byte(r.cells[l.value])) {
		return 1, 1
	}
	return 0, 1
}

// isWhole reports whether a cell is the number of a channel.
func isWhole(cell string) bool {
	return cell != "" && strings.Trim(cell, "0123456789") == ""
}

// mostNames bounds the memory that the channels of a file take.
const mostNames = 4096

// survey goes through the whole file for its channels.
func (f *Format) survey(ctx context.Context, in io.Reader, table *layout) error {
	l := table.long
	l.channels = map[string]int{}
	var channels []sample.Channel
	rows := text.NewRows(in, table.delimiter)
	err := format.EachRow(ctx, rows, func() error {
		if rows.Line() <= table.last || rows.Long() || string(rows.Raw()) == table.headerRaw {
			return nil
		}
		cells := rows.Cells()
		key, ok := l.channelOf(cells)
		if !ok || len(cellAt(cells, l.value)) == 0 {
			return nil
		}
		if _, known := l.channels[string(key)]; known {
			return nil
		}
		if len(channels) == mostNames {
			return &format.Error{Line: rows.Line(), Err: fmt.Errorf("column %d, %s, holds more than %d names: it names no channels",
				l.name+1, shortened(table.header[l.name]), mostNames)}
		}
		l.channels[string(key)] = len(channels)
		channels = append(channels, l.describe(f, table.header, cells, len(channels)))
		return nil
	}, func() error { return nil })
	l.set = sample.NewChannelSet(provider, channels)
	return err
}

// channelOf gives what tells the channel of a row from all others, until the
// next call; false where the row names none.
func (l *long) channelOf(cells [][]byte) (key []byte, ok bool) {
	name := cellAt(cells, l.name)
	if len(name) == 0 {
		name = cellAt(cells, l.key)
	}
	l.scratch = append(l.scratch[:0], name...)
	for _, column := range [...]int{l.key, l.unit, l.device} {
		l.scratch = append(append(l.scratch, 0), cellAt(cells, column)...)
	}
	return l.scratch, len(name) > 0
}

// describe makes the channel of a row.
func (l *long) describe(f *Format, header []string, cells [][]byte, number int) sample.Channel {
	label, device := string(cellAt(cells, l.name)), string(cellAt(cells, l.device))
	if label == "" {
		label = string(cellAt(cells, l.key))
	}
	if isWhole(label) {
		label = header[l.name] + " " + label
	}
	if device == "" {
		device = provider
	}
	c := sample.Channel{
		Key: sample.ChannelKey(device, uint32(number), 0), Provider: device, ID: uint32(number), Label: label,
		NativeUnit: text.Unit(string(cellAt(cells, l.unit))),
	}
	if f.mapped[fold(label)] {
		c = f.resolver.Resolve(c)
	}
	return c
}

// longValue takes the sample of a row that has one value.
func (r *reader) longValue(cells [][]byte, us int64) error {
	key, ok := r.long.channelOf(cells)
	if !ok {
		r.problem(r.long.name+1, "the row names no channel and was left out")
		return nil
	}
	channel, known := r.long.channels[string(key)]
	v, taken := r.value(cellAt(cells, r.long.value), r.long.value)
	if !taken || !known {
		return nil
	}
	return r.add(sample.Sample{Time: us, Value: v, Channel: uint32(channel)})
}

// leftOut names the columns of such a table that are not read.
func (r *reader) leftOut() {
	for i, h := range r.header {
		switch i {
		case r.times.column, r.times.date, r.long.value, r.long.name, r.long.key, r.long.unit, r.long.device:
			continue
		}
		if h != "" && letters(h) != "quality" { // it is found anew
			r.warnings = append(r.warnings, fmt.Sprintf("column %d, %s, was left out: the table has a row a value", i+1, shortened(h)))
		}
	}
}
