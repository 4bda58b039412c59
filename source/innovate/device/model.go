package device

import (
	"fmt"
	"math"
	"strings"
	"time"

	"dynotap/source/innovate/isp"
)

// Period is the time between two packets (PROTOCOLS 2).
const Period = 81_920 * time.Microsecond

// model is what a device puts into a packet.
type model struct {
	name     string
	protocol isp.Protocol
	sensors  int
	aux      int
}

var modelNames = [...]model{
	{"dlg-1", isp.ISP2, 2, 0},
	{"lc-1", isp.ISP2, 1, 0},
	{"lc-2", isp.ISP2, 1, 0},
	{"lm-1", isp.ISP1, 1, 5},
	{"lm-2", isp.ISP2, 1, 4},
}

// Models lists the devices that can be simulated.
func Models() []string {
	out := make([]string, 0, len(modelNames))
	for _, m := range modelNames {
		out = append(out, m.name)
	}
	return out
}

func modelOf(name string) (model, error) {
	for _, m := range modelNames {
		if strings.EqualFold(m.name, name) {
			return m, nil
		}
	}
	return model{}, fmt.Errorf("unknown device %q: use one of %s", name, strings.Join(Models(), ", "))
}

const (
	petrol = 14.7
	// freeAir is oxygen in free air as a sensor reads it, in 0.1 %.
	freeAir = 209
	// battery is the supply an LM-1 measures, in volts, and batteryTimes the
	// multiplier with which it sends it.
	battery      = 13.8
	batteryTimes = 5
)

// frame is the packet that is sent at t, whole.
func (d *Device) frame(t time.Duration) []byte {
	warm := d.settings.Warmup == 0 || t >= d.settings.Warmup
	p := &d.packet
	p.Protocol, p.CanLog = d.model.protocol, false
	p.Sensors, p.Aux = p.Sensors[:0], p.Aux[:0]
	if warm {
		d.settings.Values(t, d.afr)
	}
	for _, afr := range d.afr {
		s := isp.Sensor{LM1: d.model.protocol == isp.ISP1, Multiplier: uint8(math.Round(10 * d.settings.Stoichiometric))}
		switch {
		case !warm:
			s.Function, s.Value = isp.WarmingUp, uint16(1000*t/d.settings.Warmup)
		case afr > 0: // not for NaN
			s.Value = uint16(max(0, min(8191, math.Round(1000*afr/d.settings.Stoichiometric)-500)))
		default:
			s.Function, s.Value = isp.O2, freeAir
		}
		// An LM-1 leaves out everything else while it warms up.
		if s.LM1 && warm {
			volts := battery * 1023 / 5 / batteryTimes
			s.HasBattery, s.BatteryMultiplier, s.BatteryValue = true, batteryTimes, uint16(volts)
		}
		p.Sensors = append(p.Sensors, s)
	}
	if warm || d.model.protocol == isp.ISP2 {
		if d.settings.Aux != nil {
			d.settings.Aux(t, d.volts)
		}
		for _, v := range d.volts {
			value := uint16(max(0, min(1023, math.Round(v*1023/5))))
			p.Aux = append(p.Aux, isp.Aux{Value: value, After: uint8(len(p.Sensors))})
		}
	}
	d.raw, d.failure = isp.Append(d.raw[:0], p)
	return d.raw
}
