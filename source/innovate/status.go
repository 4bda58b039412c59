package innovate

import (
	"fmt"
	"time"

	"dynotap/sample"
	"dynotap/source/innovate/isp"
)

// StatusChange is a sensor that begins to say something else, or is heard for
// the first time.
type StatusChange struct {
	Sensor int          // from 1
	First  bool         // there is no From
	From   isp.Function // what it said before
	To     isp.Function
	Value  uint16 // of the lambda word: the error's code, for one
	At     int64  // session time of its arrival, µs
}

// Status is the whole source at this moment.
type Status struct {
	Port      *PortInfo      `json:"port"` // nil: none is open
	Protocol  string         `json:"protocol"`
	Device    string         `json:"device"`
	Recording bool           `json:"recording"` // the device says so
	Counters  isp.Counters   `json:"counters"`  // over all connections
	Unsettled uint64         `json:"unsettled"` // packets that showed another chain, too few to believe
	Overflow  uint64         `json:"overflow"`  // bytes dropped before the decoder, over all connections
	LastByte  *time.Time     `json:"last_byte"` // nil: none came
	Sensors   []SensorStatus `json:"sensors"`
	Aux       []float64      `json:"aux"` // V
	Hints     []Hint         `json:"hints"`
}

// SensorStatus is one sensor. What its present state does not give is nil.
type SensorStatus struct {
	Number         int       `json:"number"`
	Kind           string    `json:"kind"`  // LC or LM-1
	State          string    `json:"state"` // isp.Function by name
	Since          time.Time `json:"since"`
	Stoichiometric float64   `json:"stoichiometric"`
	AFR            *float64  `json:"afr"`
	Lambda         *float64  `json:"lambda"`
	O2             *float64  `json:"o2_percent"`
	Warmup         *float64  `json:"warmup_percent"`
	Countdown      *int      `json:"heater_countdown"`
	ErrorCode      *int      `json:"error_code"`
	Battery        *float64  `json:"battery_v"`
	FreeAir        bool      `json:"free_air"`
}

// Hint is something the user can do something about.
type Hint struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// The codes of hints.
const (
	HintFlowControl = "flow_control"
	HintNoPackets   = "no_packets"
	HintSilent      = "silent"
	HintDamaged     = "damaged"
	HintDevice      = "device"
	HintOverflow    = "overflow"
	HintSensor      = "sensor"
)

// Thresholds of hints.
const (
	silentAfter   = 5 * time.Second
	noPacketAfter = 64 // bytes
	damagedLeast  = 20 // packets
	damagedShare  = 0.05
)

// watched is what is known of a sensor.
type watched struct {
	sensor isp.Sensor
	known  bool
	since  int64
}

// see takes in what sensor n says at a time, and reports a change.
func (w *watched) see(n int, s *isp.Sensor, at int64) (StatusChange, bool) {
	change := StatusChange{Sensor: n, First: !w.known, From: w.sensor.Function, To: s.Function, Value: s.Value, At: at}
	changed := !w.known || w.sensor.Function != s.Function
	if changed {
		w.since = at
	}
	w.sensor, w.known = *s, true
	return change, changed
}

func (w *watched) status(n int, settings *Settings) SensorStatus {
	s := &w.sensor
	own := settings.Sensors[n]
	out := SensorStatus{
		Number: n, Kind: "LC", State: s.Function.String(), Since: sample.Time(w.since),
		Stoichiometric: s.Stoichiometric(), FreeAir: w.freeAir(n, settings),
	}
	if s.LM1 {
		out.Kind = string(LM1)
	}
	if own.Stoichiometric > 0 {
		out.Stoichiometric = own.Stoichiometric
	}
	value, percent := int(s.Value), float64(s.Value)/10
	switch s.Function {
	case isp.Lambda:
		afr, lambda := own.reading(s)
		out.AFR, out.Lambda = &afr, &lambda
	case isp.O2:
		out.O2 = &percent
	case isp.WarmingUp:
		out.Warmup = &percent
	case isp.HeaterCalibration:
		out.Countdown = &value
	case isp.ErrorCode:
		out.ErrorCode = &value
	}
	if v, ok := s.Battery(); ok {
		out.Battery = &v
	}
	return out
}

func (w *watched) freeAir(n int, settings *Settings) bool {
	afr, _ := settings.Sensors[n].reading(&w.sensor)
	return w.sensor.Function == isp.Lambda && afr > settings.FreeAirAFR
}

// hint says what is to be done about a sensor; "" is nothing.
func (w *watched) hint(n int, settings *Settings, now int64) string {
	lasts := time.Duration(now-w.since) * time.Microsecond
	switch w.sensor.Function {
	case isp.WarmingUp:
		if lasts > settings.WarmupTimeout {
			return fmt.Sprintf("sensor %d has been warming up for %v and is at %.1f %%: check its supply and heater",
				n, lasts.Round(time.Second), float64(w.sensor.Value)/10)
		}
	case isp.NeedsCalibration:
		return fmt.Sprintf("sensor %d needs a free-air calibration", n)
	case isp.ErrorCode:
		return fmt.Sprintf("sensor %d reports error %d: look it up in the device's manual", n, w.sensor.Value)
	}
	if w.freeAir(n, settings) {
		return fmt.Sprintf("sensor %d reads an AFR above %g: it is in free air", n, settings.FreeAirAFR)
	}
	return ""
}

// flowHint says what speaks for flow control; "" is nothing.
func flowHint(d isp.FlowDamage) string {
	const mend = "switch XON/XOFF off wherever the bytes pass (terminal, adapter's driver, serial server)"
	switch d.Suspicion {
	case isp.Sure:
		return fmt.Sprintf("flow control eats bytes: %d of %d packets lack some, and 0x11 and 0x13 never come, of which about %d were due; %s",
			d.Short, d.Short+d.Intact, d.Expected, mend)
	case isp.Likely:
		return fmt.Sprintf("flow control likely eats bytes: all of %d packets lack some, and 0x11 and 0x13 never come; %s", d.Short, mend)
	}
	return ""
}

// streamHints are those that the bytes themselves give.
func streamHints(c isp.Counters, flow isp.FlowDamage) []Hint {
	var out []Hint
	broken := c.Malformed.Total()
	switch {
	case flow.Suspicion != isp.Unsuspected:
		out = append(out, Hint{HintFlowControl, flowHint(flow)})
	case c.Packets == 0 && c.BytesSkipped >= noPacketAfter:
		out = append(out, Hint{HintNoPackets, fmt.Sprintf(
			"%d bytes came and no packet: this is no Innovate device, or the baud rate is not 19200", c.Bytes)})
	case broken >= damagedLeast && float64(broken) > damagedShare*float64(broken+c.Packets):
		out = append(out, Hint{HintDamaged, fmt.Sprintf(
			"%d of %d packets were damaged: check cable, adapter and ground", broken, broken+c.Packets)})
	}
	return out
}
