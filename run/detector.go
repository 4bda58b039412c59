package run

import (
	"cmp"
	"math"
	"slices"
	"time"

	"dynotap/channel"
	"dynotap/sample"
)

// PullSettings say what counts as a pull. A zero field takes its default.
type PullSettings struct {
	// MinRise is how far the engine's rpm must rise; default 800.
	MinRise float64
	// MinDuration is how long that must take at least; default 1.5 s. A blip
	// of the throttle without load takes less.
	MinDuration time.Duration
	// MinPower is the power in hp above which the engine is under load;
	// default 5, above the noise of an idling drum.
	MinPower float64
}

func (s PullSettings) withDefaults() PullSettings {
	if s.MinRise == 0 {
		s.MinRise = 800
	}
	if s.MinDuration == 0 {
		s.MinDuration = 1500 * time.Millisecond
	}
	if s.MinPower == 0 {
		s.MinPower = 5
	}
	return s
}

// Pull is the interval in which the engine accelerates under load: from the
// first to the last sample of its rpm, in µs.
type Pull struct {
	Start, End     int64
	Device         string // whose rpm it was
	FromRPM, ToRPM float64
	// Cut says that the samples ended before the pull did.
	Cut bool
}

// Input is one channel as the detector knows it.
type Input struct {
	// Device tells providers apart; the empty one is a device too.
	Device string
	// Name is the canonical name.
	Name string
	// ID orders channels of one name on one device: the lower is preferred.
	ID uint32
}

// Times are put into cells, and a cell is looked at once no sample of it is
// expected any more. Everything the detector decides happens within
// reorderCells + stallCells cells and one sample of data time: less than 1.8 s
// after a pull's end from 5 Hz up.
const (
	cellMicros   = 100_000
	reorderCells = 5  // samples may be 0.5 s older than the newest
	gapCells     = 10 // a second without rpm or power ends a pull
	maxInputs    = 64
	rewindMicros = 5_000_000
	maxReading   = 1e6 // hp, rpm: no instrument means more than that
	rollingMph   = 5
)

// Detector finds pulls in a stream of samples that comes nearly in order of
// time: what is more than half a second older than the newest sample is
// counted as Late and not looked at. Its memory is bounded; it is not safe for
// concurrent use. It marshals to JSON and back.
type Detector struct {
	Settings PullSettings
	Tracks   []*track
	Drums    []string // devices that have a drum
	Late     int64

	Begun  bool
	Next   int64 // first cell not yet looked at
	Newest int64 // newest cell with a sample
	Jump   int64 // time of a sample far ahead that nothing has confirmed, 0: none
	OldLow int64 // range of the late samples since the last one in time
	OldTop int64
	Floor  int64 // end of the last pull

	RPM, Power Input // the channels in use
	PowerSeen  int64 // last cell in which some power channel had a value
	Rolled     bool  // some speed channel has shown that it works
	Recent     []point
	Climb      *climb
	Found      []Pull
}

// NewDetector makes a detector.
func NewDetector(s PullSettings) *Detector {
	return &Detector{Settings: s.withDefaults(), PowerSeen: math.MinInt64, Floor: math.MinInt64}
}

// wanted gives the canonical channels that say anything about pulls.
func wanted() []string {
	return []string{channel.RPM, channel.Horsepower, channel.Speed, channel.Force, channel.DrumRPM, channel.Acceleration}
}

// Wants reports whether samples of a canonical channel say anything about
// pulls.
func Wants(name string) bool {
	switch name {
	case channel.RPM, channel.Horsepower, channel.Speed:
		return true
	}
	return isDrum(name)
}

// isDrum names the channels that only a device with a drum has.
func isDrum(name string) bool {
	switch name {
	case channel.Force, channel.DrumRPM, channel.Acceleration:
		return true
	}
	return false
}

// Feed takes one sample: its time in µs and its value in the canonical unit.
// Bad and non-finite values say nothing but what time it is.
func (d *Detector) Feed(in Input, t int64, value float64, q sample.Quality) {
	if !d.Advance(t) || q == sample.Bad || !(math.Abs(value) <= maxReading) {
		return
	}
	if isDrum(in.Name) {
		if !slices.Contains(d.Drums, in.Device) && len(d.Drums) < maxInputs {
			d.Drums = append(d.Drums, in.Device)
		}
		return
	}
	if in.Name == channel.Speed && value > rollingMph {
		d.Rolled = true
	}
	if tr := d.track(in); tr != nil {
		tr.add(cellOf(t), t, value)
	}
}

// Advance tells the detector the time of a sample that it does not want
// otherwise. It reports whether the time is one that the detector still looks
// at.
func (d *Detector) Advance(t int64) bool {
	c := cellOf(t)
	switch {
	case !d.Begun:
		d.restart(c)
	case c < d.Next:
		return d.late(t)
	case c > d.Newest+gapCells:
		// One clock gone wild must not end what the others show: a jump
		// counts when the next sample follows it.
		if jump := d.Jump; jump == 0 || abs(t-jump) > gapCells*cellMicros {
			d.Jump = t
			return false
		}
		d.close(d.Newest + 1)
		d.pause()
		d.restart(c)
	case c > d.Newest:
		d.close(c - reorderCells)
		d.Newest = c
	}
	d.Jump, d.OldLow, d.OldTop = 0, 0, 0
	return true
}

// late counts a sample that comes too late. When nothing else has come for
// five seconds of data, the clock was set back and the detector follows it.
func (d *Detector) late(t int64) bool {
	d.Late++
	if d.OldLow == 0 && d.OldTop == 0 {
		d.OldLow, d.OldTop = t, t
	}
	d.OldLow, d.OldTop = min(d.OldLow, t), max(d.OldTop, t)
	if d.OldTop-d.OldLow < rewindMicros {
		return false
	}
	d.close(d.Newest + 1)
	d.pause()
	d.restart(cellOf(t))
	d.OldLow, d.OldTop = 0, 0
	return true
}

func (d *Detector) restart(c int64) {
	d.Begun, d.Next, d.Newest = true, c, c
	d.PowerSeen = min(d.PowerSeen, c)
	for _, tr := range d.Tracks {
		tr.forget()
	}
}

// Flush looks at everything that has come: the stream has ended. A pull under
// way ends with it.
func (d *Detector) Flush() {
	if !d.Begun {
		return
	}
	d.close(d.Newest + 1)
	d.pause()
	d.Begun = false
	for _, tr := range d.Tracks {
		tr.forget()
	}
}

// Take hands out the pulls found since the last call, in order of time. They
// never overlap.
func (d *Detector) Take() []Pull {
	found := d.Found
	d.Found = nil
	return found
}

// close looks at every cell before c.
func (d *Detector) close(c int64) {
	for ; d.Next < c; d.Next++ {
		for _, tr := range d.Tracks {
			tr.close(d.Next)
			if tr.Input.Name == channel.Horsepower && tr.At == d.Next {
				d.PowerSeen = d.Next
			}
		}
		d.look(d.Next)
	}
}

// track finds the channel's track, making room by forgetting the one that has
// been silent longest.
func (d *Detector) track(in Input) *track {
	for _, tr := range d.Tracks {
		if tr.Input == in {
			return tr
		}
	}
	if !Wants(in.Name) {
		return nil
	}
	tr := newTrack(in)
	if len(d.Tracks) < maxInputs {
		d.Tracks = append(d.Tracks, tr)
		return tr
	}
	oldest := slices.MinFunc(d.Tracks, func(a, b *track) int { return cmp.Compare(a.At, b.At) })
	*oldest = *tr
	return oldest
}

func cellOf(t int64) int64 {
	c := t / cellMicros
	if t%cellMicros < 0 {
		c--
	}
	return c
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
