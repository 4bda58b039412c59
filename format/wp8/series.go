package wp8

import (
	"errors"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// leastSamples is how long a series must be to prove itself.
const leastSamples = 8

// kind is how a message may hold a series.
type kind uint8

const (
	none     kind = iota
	lists         // two packed lists: times, then values
	mixed         // one packed list: time, value, time, value
	pairs         // a message a sample, of a time and a value
	unpacked      // a field a number: times under one number, values under the next
)

// layout is how a message holds a series; times are the field of the lower
// number, or the only one.
type layout struct {
	kind          kind
	times, values protowire.Number
}

// candidate is a message that may be a channel's samples.
type candidate struct {
	id      uint64
	layout  layout
	message []byte
	at      int64
	shape   shape
}

// shape is what messages of one kind have in common: where they stand and which
// fields they have. Most messages of a shape prove themselves, or none does.
type shape struct {
	path   string
	id     protowire.Number
	layout layout
}

// findLayout finds the fields of a message that may be a series. Texts are
// none.
func findLayout(b []byte) layout {
	var found [5]protowire.Number // long bytes, short bytes, and two of fixed size
	var long, short, other int
	var fixed [2]int
	for rest := b; len(rest) > 0; {
		number, wire, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return layout{}
		}
		size := protowire.ConsumeFieldValue(number, wire, rest[n:])
		if size < 0 {
			return layout{}
		}
		switch value := rest[n : n+size]; wire {
		case protowire.BytesType:
			inner, _ := protowire.ConsumeBytes(value)
			switch {
			case isText(inner):
			case len(inner) >= leastSamples*4:
				if long++; long <= 2 {
					found[long-1] = number
				}
			case len(inner) >= 10 && len(inner) <= 20 && (short == 0 || number == found[2]):
				found[2], short = number, short+1
			}
		case protowire.Fixed32Type, protowire.Fixed64Type:
			switch {
			case fixed[0] == 0 || number == found[3]:
				found[3], fixed[0] = number, fixed[0]+1
			case fixed[1] == 0 || number == found[4]:
				found[4], fixed[1] = number, fixed[1]+1
			default:
				other++
			}
		}
		rest = rest[n+size:]
	}
	switch {
	case long == 2 && found[0] != found[1]:
		return layout{lists, min(found[0], found[1]), max(found[0], found[1])}
	case long == 1:
		return layout{mixed, found[0], found[0]}
	case long == 0 && short >= leastSamples:
		return layout{pairs, found[2], found[2]}
	case long == 0 && other == 0 && fixed[0] >= leastSamples && fixed[0] == fixed[1]:
		return layout{unpacked, min(found[3], found[4]), max(found[3], found[4])}
	}
	return layout{}
}

// Why a candidate does not prove itself.
var (
	errShape     = errors.New("its parts do not belong together")
	errTimes     = errors.New("no part of it can be times in seconds of a run")
	errValues    = errors.New("its values cannot be numbers of a sensor")
	errEither    = errors.New("it can be read in more than one way")
	errOthers    = errors.New("others of the same form cannot be samples")
	errTwice     = errors.New("another series claims the same channel")
	errContainer = errors.New("it holds messages, no numbers")
)

// series decodes the candidate, in every way that its layout allows: exactly one
// must give times and values.
func (c *candidate) series() (times, values []float64, err error) {
	err = errShape
	for _, first := range []int{4, 8} {
		for _, second := range []int{4, 8} {
			t, v, ok := c.read(first, second)
			if !ok {
				continue
			}
			switch {
			case !areTimes(t):
				err = worse(err, errTimes)
			case !areValues(v):
				err = worse(err, errValues)
			case times != nil, c.layout.kind == mixed && follow(t, v):
				return nil, nil, errEither
			default:
				times, values = t, v
			}
		}
	}
	if times != nil {
		return times, values, nil
	}
	if c.holdsMessages() {
		return nil, nil, errContainer
	}
	return nil, nil, err
}

// worse gives the reason that came further.
func worse(a, b error) error {
	if errors.Is(a, errValues) {
		return a
	}
	return b
}

// holdsMessages reports whether a packed list is a message as well.
func (c *candidate) holdsMessages() (yes bool) {
	if c.layout.kind != lists && c.layout.kind != mixed {
		return false
	}
	for rest := c.message; len(rest) > 0; {
		number, wire, n := protowire.ConsumeTag(rest)
		size := protowire.ConsumeFieldValue(number, wire, rest[n:])
		if wire == protowire.BytesType && (number == c.layout.times || number == c.layout.values) {
			inner, _ := protowire.ConsumeBytes(rest[n : n+size])
			yes = yes || isMessage(inner)
		}
		rest = rest[n+size:]
	}
	return yes
}

func isMessage(b []byte) bool {
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// read decodes the candidate with times of so many bytes each, and values.
func (c *candidate) read(timeWidth, valueWidth int) (times, values []float64, ok bool) {
	if c.layout.kind == mixed && timeWidth != valueWidth {
		return nil, nil, false
	}
	for rest := c.message; len(rest) > 0; {
		number, wire, n := protowire.ConsumeTag(rest)
		size := protowire.ConsumeFieldValue(number, wire, rest[n:])
		field := rest[n : n+size]
		rest = rest[n+size:]
		if number != c.layout.times && number != c.layout.values {
			continue
		}
		switch {
		case c.layout.kind == unpacked:
			width := valueWidth
			if number == c.layout.times {
				width = timeWidth
			}
			v, good := one(wire, width, field)
			if !good {
				return nil, nil, false
			}
			if number == c.layout.times {
				times = append(times, v)
			} else {
				values = append(values, v)
			}
			continue
		case wire != protowire.BytesType:
			continue
		}
		inner, _ := protowire.ConsumeBytes(field)
		switch {
		case c.layout.kind == pairs:
			t, v, good := pair(inner, timeWidth, valueWidth)
			if !good {
				return nil, nil, false
			}
			times, values = append(times, t), append(values, v)
		case len(inner) < leastSamples*4: // a list in pieces, of which one would be lost
			return nil, nil, false
		case c.layout.kind == mixed:
			if len(inner)%(2*timeWidth) != 0 {
				return nil, nil, false
			}
			all := list(inner, timeWidth)
			times, values = make([]float64, 0, len(all)/2), make([]float64, 0, len(all)/2)
			for i := 0; i < len(all); i += 2 {
				times, values = append(times, all[i]), append(values, all[i+1])
			}
		case number == c.layout.times:
			times = list(inner, timeWidth)
		default:
			values = list(inner, valueWidth)
		}
	}
	return times, values, len(times) >= leastSamples && len(times) == len(values)
}

// one reads a field of fixed size, if it has the width.
func one(wire protowire.Type, width int, field []byte) (v float64, ok bool) {
	if wire != protowire.Fixed32Type && wire != protowire.Fixed64Type || len(field) != width {
		return 0, false
	}
	return list(field, width)[0], true
}

// pair reads a message of a time and a value under the next number.
func pair(b []byte, timeWidth, valueWidth int) (t, v float64, ok bool) {
	first, wire, n := protowire.ConsumeTag(b)
	if n < 0 || len(b) < n+timeWidth {
		return 0, 0, false
	}
	t, ok = one(wire, wireWidth(wire, timeWidth), b[n:n+timeWidth])
	if !ok {
		return 0, 0, false
	}
	b = b[n+timeWidth:]
	second, wire, n := protowire.ConsumeTag(b)
	if n < 0 || second != first+1 || len(b) != n+valueWidth {
		return 0, 0, false
	}
	v, ok = one(wire, wireWidth(wire, valueWidth), b[n:])
	return t, v, ok
}

// wireWidth gives the width where the wire type has it, else 0.
func wireWidth(wire protowire.Type, width int) int {
	if wire == protowire.Fixed32Type && width == 4 || wire == protowire.Fixed64Type && width == 8 {
		return width
	}
	return 0
}

// list reads packed floats of 4 or 8 bytes; nil where they do not fill the
// bytes.
func list(b []byte, width int) []float64 {
	if len(b)%width != 0 {
		return nil
	}
	out := make([]float64, 0, len(b)/width)
	for ; len(b) > 0; b = b[width:] {
		if width == 4 {
			v, _ := protowire.ConsumeFixed32(b)
			out = append(out, float64(math.Float32frombits(v)))
		} else {
			v, _ := protowire.ConsumeFixed64(b)
			out = append(out, math.Float64frombits(v))
		}
	}
	return out
}

// areTimes reports whether numbers can be times in seconds of one run: they
// begin at 0 or later, ascend, end within a day, and half of their steps are
// about alike, and shorter than a second: steps of 1 and more may be
// milliseconds or a distance.
func areTimes(times []float64) bool {
	const day, shortest, longest = 86400, 0.0001, 0.9
	if !(times[0] >= 0) || !(times[len(times)-1] <= day) {
		return false
	}
	steps := make([]float64, 0, len(times)-1)
	for i := 1; i < len(times); i++ {
		if !(times[i] > times[i-1]) {
			return false
		}
		steps = append(steps, times[i]-times[i-1])
	}
	slices.Sort(steps)
	median := steps[len(steps)/2]
	alike := 0
	for _, s := range steps {
		if math.Abs(s-median) <= median/4 {
			alike++
		}
	}
	return median >= shortest && median <= longest && 2*alike >= len(steps)
}

// follow reports whether values are about their times: a list of times alone,
// or of anything that rises, looks so when it is taken for times and values.
func follow(times, values []float64) bool {
	step := (times[len(times)-1] - times[0]) / float64(len(times)-1)
	near := 0
	for i, t := range times {
		if math.Abs(values[i]-t) <= 4*step {
			near++
		}
	}
	return 2*near >= len(times)
}

// areValues reports whether numbers can be values: finite, and none so small or
// large that it is the bits of something else.
func areValues(values []float64) bool {
	const least, most = 1e-12, 1e12
	for _, v := range values {
		if a := math.Abs(v); !(a < most) || a != 0 && a < least {
			return false
		}
	}
	return true
}
