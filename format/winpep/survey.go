package winpep

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// survey is what the whole file tells of its columns. Its memory depends on
// the number of columns alone.
type survey struct {
	header
	resolved []sample.Channel
	numbers  text.Numbers
	spans    []span // of the values in complete aligned rows; nil: they overlap
	points   int    // cells with a decimal point
	commas   int

	tallies       []tally
	power, torque int // columns of the physics; 0: there is none
	standard      standard
}

// tally counts what speaks for either scale of a column.
type tally struct {
	rotation, injection bool
	small, all          int // by magnitude
	thousands, implied  int // by the physics
}

func (f *Format) newSurvey(h header) *survey {
	s := &survey{header: h, resolved: make([]sample.Channel, len(h.columns)), tallies: make([]tally, len(h.columns))}
	for i, c := range h.columns {
		s.resolved[i] = f.resolver.Resolve(sample.Channel{Provider: c.device, Label: c.label})
		q, known := channel.Lookup(s.resolved[i].Name)
		if i == 0 || !known || bracketed(c.label) {
			continue
		}
		s.tallies[i].rotation = q.Unit == sample.RPM
		s.tallies[i].injection = q.Family == channel.InjectorTime
	}
	set := sample.NewChannelSet(provider, s.resolved)
	s.power, _ = channel.Preferred(set, channel.Horsepower)
	s.torque, _ = channel.Preferred(set, channel.Torque)
	s.standard = newStandard(set)
	return s
}

// read looks at all rows. A file that cannot be read to its end is judged by
// what came before.
func (s *survey) read(ctx context.Context, rows *text.Rows) error {
	values := make([]float64, len(s.columns))
	for n := 0; rows.Next(); n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if s.again(rows.Raw()) {
			continue
		}
		cells := rows.Cells()
		if s.aligned {
			var at []span
			if cells, at = fields(rows.Raw()); len(cells) != len(s.columns) {
				continue
			}
			s.widen(at)
		}
		for i := range values {
			values[i] = math.NaN()
			if i < len(cells) {
				values[i] = s.value(cells[i])
			}
		}
		s.count(values)
		s.standard.row(values)
	}
	s.numbers = text.Numbers{Decimal: '.'}
	if s.commas > s.points {
		s.numbers.Decimal = ','
	}
	for i := 1; i < len(s.spans); i++ {
		if s.spans[i].from < s.spans[i-1].to {
			s.spans = nil
		}
	}
	return nil
}

func (s *survey) widen(at []span) {
	if s.spans == nil {
		s.spans = at
		return
	}
	for i := range s.spans {
		s.spans[i].from, s.spans[i].to = min(s.spans[i].from, at[i].from), max(s.spans[i].to, at[i].to)
	}
}

// value reads a cell with the decimal sign it has, NaN where it is no number.
func (s *survey) value(cell []byte) float64 {
	n := text.Numbers{Decimal: '.'}
	switch {
	case bytes.IndexByte(cell, '.') >= 0:
		s.points++
	case bytes.IndexByte(cell, ',') >= 0:
		s.commas++
		n.Decimal = ','
	}
	v, kind := n.Parse(cell)
	if kind != text.Number {
		return math.NaN()
	}
	return v
}

// wattage turns lb·ft times rpm into horsepower (PROTOCOLS 3).
const wattage = 5252

const (
	// slow is the greatest value that is taken for thousands of rpm where physics
	// says nothing: no engine turns 60,000 times a minute or idles at 60.
	slow = 60
	// brief is the greatest injector time that is taken for seconds: no injector
	// opens for less than 0.2 ms or as long as 0.2 s.
	brief = 0.2
)

// halfway lies between x1 and x1000: the root of a thousand.
const halfway = 31.6

func (s *survey) count(values []float64) {
	rpm := math.NaN()
	if s.power > 0 && s.torque > 0 && values[s.power] > 1 && values[s.torque] > 1 {
		rpm = values[s.power] * wattage / values[s.torque]
	}
	for i := range s.tallies {
		t, v := &s.tallies[i], values[i]
		var limit float64
		switch {
		case !(v > 0):
			continue
		case t.rotation:
			limit = slow
		case t.injection:
			limit = brief
		default:
			continue
		}
		if t.all++; v < limit {
			t.small++
		}
		if !math.IsNaN(rpm) {
			if t.implied++; rpm/v > halfway {
				t.thousands++
			}
		}
	}
}

// unit is the native unit of a column: what the label says, what the values
// tell, or what the exports have without saying so; NoUnit where it is the
// canonical one.
func (s *survey) unit(i int) sample.Unit {
	t := s.tallies[i]
	switch {
	case bracketed(s.columns[i].label):
		return sample.NoUnit
	case t.rotation && (t.implied > 0 && 2*t.thousands >= t.implied || t.implied == 0 && 2*t.small > t.all):
		return sample.KiloRPM
	case t.rotation:
		return sample.RPM
	case t.injection && 2*t.small > t.all:
		return sample.Second
	case t.injection:
		return sample.Millisecond
	}
	q, known := channel.Lookup(s.resolved[i].Name)
	if !known {
		return sample.NoUnit
	}
	return exported(q.Unit)
}

// exported is the unit of the exports where it is not the canonical one
// (PROTOCOLS 3).
func exported(u sample.Unit) sample.Unit {
	switch u {
	case sample.InchHg, sample.PSI:
		return sample.Kilopascal
	case sample.G:
		return sample.MileHourSecond
	}
	return sample.NoUnit
}

// bracketed reports whether a label names its unit itself.
func bracketed(label string) bool {
	open := strings.LastIndexByte(label, '(')
	if open < 0 || label[len(label)-1] != ')' {
		return false
	}
	_, ok := sample.ParseUnit(label[open+1 : len(label)-1])
	return ok
}

// channels makes a channel of every column after the time, whether it holds
// values or not.
func (s *survey) channels() *sample.ChannelSet {
	out := make([]sample.Channel, 0, len(s.columns))
	for i, c := range s.columns {
		if i == 0 {
			continue
		}
		device := c.device
		if device == "" {
			device = provider
		}
		label := c.label
		if label == "" {
			label = fmt.Sprintf("column_%d", i+1)
		}
		out = append(out, sample.Channel{
			Key: sample.ChannelKey(device, uint32(i), 0), Provider: device, ID: uint32(i), Label: label,
			NativeUnit: s.unit(i), Corrected: s.standard.carriedBy(i),
		})
	}
	return sample.NewChannelSet(provider, out)
}

// run is what the file says of its run.
func (s *survey) run() format.Run {
	facts := map[string]string{}
	if v, ok := s.standard.constant(); ok {
		facts["correction_factor"] = fmt.Sprintf("%g", v)
	}
	if s.standard.isSAE() {
		facts["correction"] = sample.CorrectionSAE.String()
	}
	return format.Run{Facts: facts}
}
