package run

import (
	"slices"

	"dynotap/channel"
)

// hysteresis keeps the detector on the channel in use unless another has that
// many times its samples.
const hysteresis = 1.5

// choose decides which rpm and which power channel count in cell c. While a
// climb is under way the channels stay the same as long as they speak.
func (d *Detector) choose(c int64) (rpm, power *track) {
	rpm, power = d.lookup(d.RPM), d.lookup(d.Power)
	keep := d.Climb != nil
	if !keep || !power.fresh(c) {
		power = d.best(c, channel.Horsepower, power, "")
	}
	if !keep || !rpm.fresh(c) {
		rpm = d.best(c, channel.RPM, rpm, inputOf(power).Device)
	}
	d.RPM, d.Power = inputOf(rpm), inputOf(power)
	return rpm, power
}

func inputOf(tr *track) Input {
	if tr == nil {
		return Input{}
	}
	return tr.Input
}

func (d *Detector) lookup(in Input) *track {
	for _, tr := range d.Tracks {
		if tr.Input == in {
			return tr
		}
	}
	return nil
}

// best finds the channel of a name that speaks and is preferred: that of the
// device named beside, then that of a device with a drum, then the one with
// the most samples, then the first in the device's list.
func (d *Detector) best(c int64, name string, current *track, beside string) *track {
	var best *track
	for _, tr := range d.Tracks {
		if tr.Input.Name != name || !tr.fresh(c) {
			continue
		}
		if best == nil || d.preferred(tr, best, current, beside) {
			best = tr
		}
	}
	return best
}

func (d *Detector) preferred(a, b, current *track, beside string) bool {
	if x, y := beside != "" && a.Input.Device == beside, beside != "" && b.Input.Device == beside; x != y {
		return x
	}
	if x, y := slices.Contains(d.Drums, a.Input.Device), slices.Contains(d.Drums, b.Input.Device); x != y {
		return x
	}
	if a.Weight > hysteresis*b.Weight || b.Weight > hysteresis*a.Weight {
		return a.Weight > b.Weight
	}
	if a == current || b == current {
		return a == current
	}
	if a.Input.Device != b.Input.Device {
		return a.Input.Device < b.Input.Device
	}
	return a.Input.ID < b.Input.ID
}
