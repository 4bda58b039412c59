// Package window gathers samples into windows of equal length, aligned to
// multiples of it: what a display shows in place of every sample
// (CONFORMANCE A5).
package window

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"dynotap/sample"
)

// Statistic chooses what stands for a channel in a window.
type Statistic uint8

// The statistics; Last is the default.
const (
	Last Statistic = iota
	Mean
	Min
	Max
	Count
)

var statisticNames = [...]string{"last", "mean", "min", "max", "count"}

// ParseStatistic reads last, mean, min, max or count.
func ParseStatistic(name string) (Statistic, error) {
	if i := slices.Index(statisticNames[:], name); i >= 0 {
		return Statistic(i), nil
	}
	return Last, fmt.Errorf("unknown statistic %q: use last, mean, min, max or count", name)
}

// String gives what ParseStatistic reads.
func (s Statistic) String() string {
	if int(s) < len(statisticNames) {
		return statisticNames[s]
	}
	return fmt.Sprintf("statistic(%d)", uint8(s))
}

// Settings of an Aggregator; zero fields take their defaults.
type Settings struct {
	// Width of a window; default 50 ms, at least 1 µs.
	Width time.Duration
	// Wait is how much older than the newest sample one may be and still find
	// its window; default 100 ms.
	Wait time.Duration
	// Expire is how long a channel's last value stands in for missing ones;
	// default 500 ms.
	Expire time.Duration
	// Restart is the step back in time that means a clock that wrapped or a
	// device that was switched on again, rather than a late sample; default
	// 1 s, never less than Wait.
	Restart time.Duration
}

func (s Settings) withDefaults() Settings {
	for _, d := range []struct {
		value  *time.Duration
		preset time.Duration
	}{
		{&s.Width, 50 * time.Millisecond}, {&s.Wait, 100 * time.Millisecond},
		{&s.Expire, 500 * time.Millisecond}, {&s.Restart, time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.preset
		}
	}
	s.Width = max(s.Width, time.Microsecond)
	s.Restart = max(s.Restart, s.Wait)
	return s
}

// Window is what came in one window, Start <= t < Start + width, in µs. Cells
// ascend by channel.
type Window struct {
	Start int64
	Cells []Cell
}

// Cell is one channel in a window. Where Count is 0 the channel is silent and
// Last is the value it had before, not yet expired.
type Cell struct {
	Channel        uint32
	Count          int
	Last           float64
	At             int64 // time of Last, µs
	Sum, Low, High float64
	Quality        sample.Quality // the worst of those counted
}

// Value gives a statistic; false where there is none. A silent channel has a
// last value and a count of 0.
func (c Cell) Value(s Statistic) (float64, bool) {
	switch s {
	case Last:
		return c.Last, true
	case Count:
		return float64(c.Count), true
	}
	if c.Count == 0 {
		return 0, false
	}
	switch s {
	case Mean:
		return c.Sum / float64(c.Count), true
	case Min:
		return c.Low, true
	case Max:
		return c.High, true
	}
	return 0, false
}

// Aggregator makes windows of a stream of samples of one clock. It is not safe
// for concurrent use. Its memory is bounded by the channels and by Wait.
type Aggregator struct {
	settings Settings
	emit     func(Window)
	begun    bool
	newest   int64
	open     []*open // ascending by start
	channels map[uint32]held
	losses   Losses
}

// Losses are the samples that are in no window.
type Losses struct {
	// Late came after their window had been given out.
	Late int64
	// Unusable are bad or not finite.
	Unusable int64
	// Restarts counts how often the time stepped back.
	Restarts int64
}

// held is the last value of a channel.
type held struct {
	value float64
	at    int64
}

// open is a window that samples may still come for.
type open struct {
	start int64
	cells map[uint32]*Cell
}

// New makes an Aggregator that hands each window, once complete, to emit, in
// order of time between restarts. The window is the receiver's to keep.
func New(s Settings, emit func(Window)) *Aggregator {
	return &Aggregator{settings: s.withDefaults(), emit: emit, channels: map[uint32]held{}}
}

// Losses gives what was left out so far.
func (a *Aggregator) Losses() Losses { return a.losses }

// Add takes a sample, whose value may be in any unit, and reports whether it is
// in a window: if not, it is one of the Losses.
func (a *Aggregator) Add(s sample.Sample) bool {
	if s.Quality >= sample.Bad || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		a.losses.Unusable++
		return false
	}
	if a.begun && a.newest-s.Time > a.settings.Restart.Microseconds() {
		a.Flush()
		clear(a.channels) // of another time
		a.losses.Restarts++
	}
	if !a.begun || s.Time > a.newest {
		a.begun, a.newest = true, s.Time
		a.complete(s.Time - a.settings.Wait.Microseconds())
	}
	w := a.window(a.start(s.Time))
	if w == nil {
		a.losses.Late++
		return false
	}
	c := w.cells[s.Channel]
	if c == nil {
		c = &Cell{Channel: s.Channel, Last: s.Value, At: s.Time, Low: s.Value, High: s.Value}
		w.cells[s.Channel] = c
	}
	c.Count++
	c.Sum += s.Value
	c.Low, c.High = min(c.Low, s.Value), max(c.High, s.Value)
	c.Quality = max(c.Quality, s.Quality)
	if s.Time >= c.At {
		c.Last, c.At = s.Value, s.Time
	}
	return true
}

// Advance says that time has come to t, where the stream itself may be silent:
// windows before it are given out.
func (a *Aggregator) Advance(t int64) {
	if a.begun && t > a.newest {
		a.newest = t
		a.complete(t - a.settings.Wait.Microseconds())
	}
}

// Open reports whether there are windows that have not been given out.
func (a *Aggregator) Open() bool { return len(a.open) > 0 }

// Flush gives out what is open: the stream has ended or begins anew.
func (a *Aggregator) Flush() {
	a.complete(math.MaxInt64)
	a.begun = false
}

// start is where the window of a time begins.
func (a *Aggregator) start(t int64) int64 {
	width := a.settings.Width.Microseconds()
	if rest := t % width; rest >= 0 {
		return t - rest
	}
	return t - t%width - width
}

// window finds the open window with a start, or opens it; nil where it has been
// given out.
func (a *Aggregator) window(start int64) *open {
	i, found := slices.BinarySearchFunc(a.open, start, func(o *open, start int64) int { return cmp.Compare(o.start, start) })
	if found {
		return a.open[i]
	}
	if start+a.settings.Width.Microseconds() <= a.newest-a.settings.Wait.Microseconds() {
		return nil
	}
	w := &open{start: start, cells: map[uint32]*Cell{}}
	a.open = slices.Insert(a.open, i, w)
	return w
}

// complete gives out the windows that end at or before a time.
func (a *Aggregator) complete(until int64) {
	n := 0
	for ; n < len(a.open) && a.open[n].start+a.settings.Width.Microseconds() <= until; n++ {
		a.give(a.open[n])
	}
	a.open = slices.Delete(a.open, 0, n)
}

// give hands out a window, with the last values of channels that are silent in
// it.
func (a *Aggregator) give(w *open) {
	out := Window{Start: w.start, Cells: make([]Cell, 0, len(w.cells))}
	for id, h := range a.channels {
		switch {
		case w.start-h.at >= a.settings.Expire.Microseconds():
			delete(a.channels, id)
		case w.cells[id] == nil:
			out.Cells = append(out.Cells, Cell{Channel: id, Last: h.value, At: h.at})
		}
	}
	for id, c := range w.cells {
		out.Cells = append(out.Cells, *c)
		a.channels[id] = held{c.Last, c.At}
	}
	slices.SortFunc(out.Cells, func(x, y Cell) int { return cmp.Compare(x.Channel, y.Channel) })
	a.emit(out)
}
