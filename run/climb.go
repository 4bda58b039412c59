package run

import (
	"slices"
	"time"

	"dynotap/channel"
)

// What ends a climb. The sag is more than the noise of an inductive pickup,
// and the stall is slower than any sweep of a brake dyno.
const (
	sagRPM        = 150.0
	sagPart       = 0.03
	stallCells    = 10
	stallRPM      = 50.0 // less than that in stallCells is no climb
	unloadedCells = 3
	loadPart      = 0.2 // of the climb's highest power; below, the throttle is closed
	startNoise    = 30.0
	powerMemory   = 600 // cells after which a silent power channel is forgotten
	maxPoints     = 600 // of a climb that does not become a pull
)

// point is the engine in one cell.
type point struct {
	Cell        int64
	First, Last int64 // times of the rpm samples, µs
	RPM         float64
	Power       float64 // hp
	Speed       float64 // mph
	NoPower     bool    // no power channel speaks
	NoSpeed     bool
}

// climb is rpm that rises under load: a pull once it has risen far enough.
type climb struct {
	Points    []point // since the start; the last one only when Confirmed
	Tops      []point // Top as it was at each of the last second's points
	Start     point
	Top       point // highest rpm under load
	Loaded    point // last point under load
	HighPower float64
	Confirmed bool
}

// look decides what cell c says.
func (d *Detector) look(c int64) {
	rpm, power := d.choose(c)
	if rpm == nil || rpm.At != c {
		if n := len(d.Recent); n > 0 && c-d.Recent[n-1].Cell > gapCells {
			d.pause()
		}
		return
	}
	p := point{Cell: c, First: rpm.Cell.First, Last: rpm.Cell.Last, RPM: rpm.value()}
	if p.NoPower = power == nil; !p.NoPower {
		p.Power = power.value()
	}
	speed := d.best(c, channel.Speed, nil, rpm.Input.Device)
	if p.NoSpeed = speed == nil || !d.Rolled; !p.NoSpeed {
		p.Speed = speed.value()
	}
	if n := len(d.Recent); n > 0 && c-d.Recent[n-1].Cell > gapCells {
		d.pause()
	}
	d.settle(p)
}

// settle passes on the point before p, its rpm and power being the middle of
// three: an ignition pulse counted twice is no acceleration.
func (d *Detector) settle(p point) {
	d.Recent = append(d.Recent, p)
	n := len(d.Recent)
	if n == 1 {
		return
	}
	middle, before := d.Recent[n-2], d.Recent[max(n-3, 0)]
	middle.RPM = median(before.RPM, middle.RPM, p.RPM)
	if !before.NoPower && !middle.NoPower && !p.NoPower {
		middle.Power = median(before.Power, middle.Power, p.Power)
	}
	d.Recent = append(d.Recent[:0], d.Recent[max(n-2, 0):]...)
	d.step(middle)
}

func median(a, b, c float64) float64 { return max(min(a, b), min(max(a, b), c)) }

// pause ends what is under way because nothing has come for a while.
func (d *Detector) pause() {
	if n := len(d.Recent); n > 0 {
		last := d.Recent[n-1]
		d.Recent = d.Recent[:0]
		d.step(last)
	}
	if d.Climb != nil {
		d.finish(d.Climb.Top, true)
	}
}

// underLoad reports whether the engine works at p. Where there is no power
// channel at all, rising rpm must do.
func (d *Detector) underLoad(p point) bool {
	if p.NoPower {
		return d.PowerSeen < p.Cell-powerMemory
	}
	least := d.Settings.MinPower
	if d.Climb != nil {
		least = max(least, loadPart*d.Climb.HighPower)
	}
	return p.Power >= least
}

func (d *Detector) step(p point) {
	loaded := d.underLoad(p)
	k := d.Climb
	switch {
	case k == nil:
	case !loaded && p.Cell-k.Loaded.Cell >= unloadedCells:
		d.finish(k.Loaded, false)
	case !loaded:
		return // a misfire, or the end
	case p.RPM < k.Top.RPM-max(sagRPM, sagPart*k.Top.RPM):
		d.finish(k.Top, false)
	case !k.Confirmed && (p.RPM < k.Start.RPM || len(k.Points) == maxPoints):
		d.Climb = nil // it begins here at the earliest
	default:
		k.rise(p)
		if !k.stalled() {
			k.confirm(d.Settings)
			return
		}
		d.finish(k.Top, false)
	}
	if loaded && p.First > d.Floor {
		d.Climb = &climb{Points: []point{p}, Tops: []point{p}, Start: p, Top: p, Loaded: p, HighPower: p.Power}
	}
}

// finish ends the climb at a point. It was a pull if it was confirmed by then.
func (d *Detector) finish(end point, cut bool) {
	k := d.Climb
	d.Climb = nil
	if !k.Confirmed {
		return
	}
	d.Floor = end.Last
	d.Found = append(d.Found, Pull{
		Start: k.Start.First, End: end.Last, Device: d.RPM.Device,
		FromRPM: k.Start.RPM, ToRPM: k.Top.RPM, Cut: cut,
	})
}

// rise takes a point under load.
func (k *climb) rise(p point) {
	if p.RPM > k.Top.RPM {
		k.Top = p
	}
	k.Loaded = p
	k.HighPower = max(k.HighPower, p.Power)
	if k.Confirmed {
		k.Points = k.Points[:0]
	}
	k.Points = append(k.Points, p)
	k.Tops = append(k.Tops, point{Cell: p.Cell, RPM: k.Top.RPM})
	second := slices.IndexFunc(k.Tops, func(t point) bool { return t.Cell > p.Cell-stallCells })
	k.Tops = slices.Delete(k.Tops, 0, max(second-1, 0))
}

// stalled reports whether rpm has hardly risen for a second.
func (k *climb) stalled() bool {
	then, now := k.Tops[0], k.Tops[len(k.Tops)-1]
	return now.Cell-then.Cell >= stallCells && now.RPM-then.RPM < stallRPM
}

// confirm makes the climb a pull when it has risen far and long enough, and
// moves its start to where the rise began.
func (k *climb) confirm(s PullSettings) {
	if k.Confirmed || k.Top.RPM-k.Start.RPM < s.MinRise {
		return
	}
	start := k.Start
	for _, p := range k.Points {
		if p.RPM <= k.Start.RPM+startNoise {
			start = p
		}
	}
	if time.Duration(k.Top.Last-start.First)*time.Microsecond >= s.MinDuration && k.drove(start) {
		k.Start, k.Confirmed = start, true
	}
}

// drove reports whether the wheel followed the engine where only a speed
// channel can tell: at least half as far as rpm says. With the clutch open it
// does not.
func (k *climb) drove(start point) bool {
	if !k.Top.NoPower || start.NoSpeed || k.Top.NoSpeed || start.RPM <= 0 {
		return true
	}
	return k.Top.Speed > 0 && k.Top.Speed-start.Speed >= start.Speed*(k.Top.RPM/start.RPM-1)/2
}
