package mlg

import (
	"math"
	"strings"

	"dynotap/sample"
)

// tick is the resolution of a record's stamp in µs.
const tick = 10

// sequence follows the rolling counter that every block carries.
type sequence struct {
	any   bool
	last  uint8
	steps int64
	ones  int64 // steps by exactly one
	gaps  int64
	lost  int64 // blocks that the counter leaves out and no damage explains
}

// counts reports whether the counter has shown that it counts; some loggers
// leave it at 0.
func (s *sequence) counts() bool { return s.ones*2 > s.steps }

// missing is how many blocks a gap has.
type missing struct {
	counted int64 // by the counter, but for a multiple of 256
	byBytes int64 // the number of that kind that fits the bytes passed over
}

// add tells how many blocks are missing before b, of which some may have been
// damaged.
func (s *sequence) add(b *block, length int) missing {
	defer func() { s.any, s.last = true, b.counter }()
	if !s.any {
		return missing{}
	}
	s.steps++
	step := b.counter - s.last
	if step == 1 && b.lost == 0 {
		s.ones++
		return missing{}
	}
	if step == 0 && b.lost == 0 || !s.counts() {
		return missing{}
	}
	about := float64(b.lost) / float64(length)
	out := missing{counted: int64(step - 1)}
	out.byBytes = out.counted + 256*max(0, int64(math.Round((about-float64(out.counted))/256)))
	if unseen := out.counted - int64(math.Round(about)); unseen > 0 {
		s.gaps++
		s.lost += unseen
	}
	return out
}

// tickClock gives times from the stamps of the blocks, in µs from the first.
type tickClock struct {
	any   bool
	last  uint16
	now   int64   // µs
	usual float64 // ticks from one record to the next
	moved bool
	// guessed counts gaps whose length is known only but for a multiple of
	// 0.655 s and was told by the number of missing records.
	guessed int64
}

const wrap = 1 << 16

func (c *tickClock) at(b *block, gap missing) int64 {
	defer func() { c.any, c.last = true, b.tick }()
	if !c.any {
		return 0
	}
	step := float64(b.tick - c.last)
	c.moved = c.moved || step != 0
	switch {
	case gap.byBytes > 0 && c.usual > 0:
		// Bytes may have been added as well as lost: the stamp tells.
		length, off := c.turns(step, gap.counted)
		if more, offMore := c.turns(step, gap.byBytes); offMore < off {
			length = more
		}
		if length > step {
			step = length
			c.guessed++
		}
	case gap.byBytes == 0 && !b.marker && c.usual == 0:
		c.usual = step
	case gap.byBytes == 0 && !b.marker:
		c.usual += (step - c.usual) / 8
	}
	c.now += int64(step) * tick
	return c.now
}

// turns gives how long a gap of n blocks was, in ticks, if the stamp went on by
// step, and how far that is from n times the usual.
func (c *tickClock) turns(step float64, n int64) (length, off float64) {
	want := c.usual * float64(n+1)
	length = step + wrap*max(0, math.Round((want-step)/wrap))
	return length, math.Abs(length - want)
}

// columnClock gives times from the log's own Time field, which is what
// MegaLogViewer shows. Where the field has no usable value, or goes back, time
// goes on by the stamp.
type columnClock struct {
	field  *field
	perUS  float64 // µs in one unit of the field
	any    bool
	last   uint16
	now    int64
	offset int64

	rises, falls, unusable, rows int64
}

func (c *columnClock) at(b *block) int64 {
	step := int64(0)
	if c.any {
		step = int64(b.tick-c.last) * tick
	}
	if b.marker {
		return c.now + step
	}
	c.rows++
	v := c.field.value(b.payload) * c.perUS
	at := int64(math.MinInt64)
	if v >= 0 && v < 1e15 { // 31 years
		at = int64(math.Round(v)) + c.offset
	}
	switch {
	case at == math.MinInt64:
		c.unusable++
		at = c.now + step
	case !c.any:
	case at < c.now:
		c.falls++
		c.offset += c.now + step - at
		at = c.now + step
	case at > c.now:
		c.rises++
	}
	c.any, c.last, c.now = true, b.tick, at
	return at
}

// usable reports whether the field is a time: it moves, and forward.
func (c *columnClock) usable() bool {
	bad := c.falls + c.unusable
	return c.rows > 0 && bad*50 <= c.rows && (c.rises > 0 || c.rows == 1)
}

// timeColumn finds the Time field; -1 where there is none. PerUS is how many
// µs its unit has.
func (h *header) timeColumn() (index int, perUS float64) {
	for i := range h.fields {
		f := &h.fields[i]
		if f.isBits() || !strings.EqualFold(f.name, "time") && !strings.EqualFold(f.name, "timestamp") {
			continue
		}
		switch unitOf(f.units) {
		case sample.Second, sample.NoUnit:
			return i, 1e6
		case sample.Millisecond:
			return i, 1e3
		}
	}
	return -1, 0
}
