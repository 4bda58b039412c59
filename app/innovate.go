package app

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"dynotap/channel"
	"dynotap/config"
	"dynotap/source/innovate"
	"dynotap/source/innovate/isp"
	"dynotap/source/innovate/serial"
)

// buildInnovate is the line of the list of sources.
func buildInnovate(in SourceInput) (LiveSource, error) {
	finder := serial.NewFinder(portSettings(&in.Config.Innovate), nil)
	live, err := buildInnovateOn(finder, finder.Seen, in)
	live.Places = func() []string { return serialPlaces(&in.Config.Innovate) }
	return live, err
}

// widebandDetails is what /api/v1/sources says of the source alone.
type widebandDetails struct {
	innovate.Status
	// Ports is what was found at each serial port when the device was last
	// looked for.
	Ports []serial.Found `json:"ports"`
}

// buildInnovateOn builds the source on a port that need not be a serial one.
func buildInnovateOn(opener innovate.Opener, seen func() []serial.Found, in SourceInput) (LiveSource, error) {
	settings, err := innovateSettings(in.Config)
	if err != nil {
		return LiveSource{}, err
	}
	said := &sensorNews{announce: in.Announce, logger: in.Logger, told: map[sensorState]time.Time{}, now: time.Now}
	made, err := innovate.New(settings, innovate.Options{
		Opener: tellingOpener{opener, in.Announce}, Logger: in.Logger, Session: in.Session, Status: said.changed,
		Recording: func(started bool, at int64) { in.Logging(in.Settings.Name, started, at) },
	})
	if err != nil {
		return LiveSource{}, err
	}
	live := LiveSource{
		Source:  made,
		Details: func() any { return widebandDetails{made.Status(), seen()} },
		Losses:  func() map[string]uint64 { return serialLosses(made.Status()) },
		Warning: func() string { return hintsOf(made.Status()) },

		Sporadic: innovate.Sporadic,
	}
	if in.Config.Innovate.Port == "" {
		live.Absent = func() bool { s := made.Status(); return s.Port == nil && s.Counters.Bytes == 0 }
	}
	return live, nil
}

// hintsOf is what the user can do something about, in a line.
func hintsOf(s innovate.Status) string {
	texts := make([]string, len(s.Hints))
	for i, h := range s.Hints {
		texts[i] = h.Text
	}
	return strings.Join(texts, "; ")
}

// tellingOpener tells the user what port was opened.
type tellingOpener struct {
	innovate.Opener
	announce func(text string)
}

func (o tellingOpener) Open(ctx context.Context) (innovate.Port, innovate.PortInfo, error) {
	port, info, err := o.Opener.Open(ctx)
	if err != nil {
		return nil, info, err
	}
	text := "wideband port: " + plain(info.Name)
	if info.Product != "" {
		text += " (" + plain(info.Product) + ")"
	}
	if info.Detected {
		text += ", found by listening"
	}
	o.announce(text)
	return port, info, nil
}

func portSettings(c *config.Innovate) serial.Settings {
	return serial.Settings{Port: c.Port, Baud: c.Baudrate}
}

func innovateSettings(c *config.Config) (innovate.Settings, error) {
	section, custom := &c.Innovate, c.Source("innovate").Custom
	device, err := innovate.ParseDevice(section.DeviceType)
	if err != nil {
		return innovate.Settings{}, err
	}
	s := innovate.Settings{
		Device: device, Read: section.Channels, Sensors: map[int]innovate.Sensor{},
		WarmupTimeout: custom.WarmupTimeoutSec.Duration(), FreeAirAFR: custom.FreeAirAFRThreshold,
		Interval: section.ReadIntervalSec.Duration(), Buffer: section.BufferSize,
	}
	for name, given := range section.Sensors {
		n, err := strconv.Atoi(name)
		if err != nil {
			return innovate.Settings{}, fmt.Errorf("number of a sensor: %w", err)
		}
		s.Sensors[n] = sensorOf(given)
	}
	return s, s.Validate()
}

// sensorOf takes over what the user gave; the rest is as the device says it.
func sensorOf(given config.Sensor) innovate.Sensor {
	var s innovate.Sensor
	if given.Place != nil {
		s.Place = innovate.Place(*given.Place)
	}
	for _, v := range []struct{ from, to *float64 }{
		{given.Multiplier, &s.Multiplier}, {given.Offset, &s.Offset}, {given.Stoichiometric, &s.Stoichiometric},
	} {
		if v.from != nil {
			*v.to = *v.from
		}
	}
	return s
}

// mapping is what the resolver is told: where the widebands sit, and over that
// the user's own mapping.
func mapping(c *config.Config) (channel.Mapping, error) {
	s, err := innovateSettings(c)
	if err != nil {
		return nil, fmt.Errorf("innovate: %w", err)
	}
	out := s.Mapping()
	for label, name := range c.Channels {
		for of := range out {
			if strings.EqualFold(of, strings.TrimSpace(label)) {
				delete(out, of) // labels are the same in any case
			}
		}
		out[label] = name
	}
	return out, nil
}

// serialLosses counts what came and became no sample, by reason: broken
// packets, packets of another chain, bytes that nobody took in time.
func serialLosses(s innovate.Status) map[string]uint64 {
	m := s.Counters.Malformed
	return map[string]uint64{
		"malformed_header": m.Header, "malformed_short": m.Short, "malformed_word": m.Word,
		"malformed_cut": m.Cut, "malformed_empty": m.Empty,
		"unsettled_packets": s.Unsettled, "overflow_bytes": s.Overflow,
	}
}

// sensorQuiet is how long a sensor's state is not told of again.
const sensorQuiet = 10 * time.Second

type sensorState struct {
	sensor int
	state  isp.Function
}

// sensorNews tells the user what the sensors of a chain begin to say.
type sensorNews struct {
	announce func(text string)
	logger   *slog.Logger
	now      func() time.Time

	mu   sync.Mutex
	told map[sensorState]time.Time
}

// changed logs every change and tells the user of those that are news to him:
// a sensor leaves lambda for O2 and comes back whenever the throttle closes.
func (n *sensorNews) changed(c innovate.StatusChange) {
	n.logger.Debug("sensor", "sensor", c.Sensor, "state", c.To.String(), "was", c.From.String(), "first", c.First, "value", c.Value)
	measures := func(f isp.Function) bool { return f == isp.Lambda || f == isp.O2 }
	if !c.First && measures(c.From) && measures(c.To) {
		return
	}
	now, state := n.now(), sensorState{c.Sensor, c.To}
	n.mu.Lock()
	last, told := n.told[state]
	again := told && now.Sub(last) < sensorQuiet
	if !again {
		n.told[state] = now
	}
	n.mu.Unlock()
	if again {
		return
	}
	text := fmt.Sprintf("wideband %d: %s", c.Sensor, sensorText(c))
	n.announce(text)
	if c.To == isp.ErrorCode || c.To == isp.NeedsCalibration {
		n.logger.Warn(text)
	}
}

func sensorText(c innovate.StatusChange) string {
	switch c.To {
	case isp.Lambda:
		return "measures lambda"
	case isp.O2:
		return fmt.Sprintf("measures oxygen (%.1f %%), no AFR", float64(c.Value)/10)
	case isp.FreeAirCalibration:
		return "calibrates in free air, no AFR until that is done"
	case isp.NeedsCalibration:
		return "needs a free-air calibration, no AFR until then"
	case isp.WarmingUp:
		return "warms up, no AFR until it is warm"
	case isp.HeaterCalibration:
		return "calibrates its heater, no AFR until that is done"
	case isp.ErrorCode:
		return fmt.Sprintf("reports error %d, no AFR: see docs/innovate.md", c.Value)
	}
	return "says something that no document explains, no AFR"
}
