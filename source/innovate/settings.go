package innovate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/source/innovate/isp"
)

// Device is a kind of device as the configuration names it.
type Device string

// The devices. Auto listens and decides.
const (
	Auto Device = "AUTO"
	DLG1 Device = "DLG-1"
	LC1  Device = "LC-1"
	LC2  Device = "LC-2"
	LM1  Device = "LM-1"
	LM2  Device = "LM-2"
)

var deviceNames = [...]Device{Auto, DLG1, LC1, LC2, LM1, LM2}

// ParseDevice reads a device's name, case ignored; "" is Auto.
func ParseDevice(name string) (Device, error) {
	if name == "" {
		return Auto, nil
	}
	for _, d := range deviceNames {
		if strings.EqualFold(string(d), strings.TrimSpace(name)) {
			return d, nil
		}
	}
	return "", fmt.Errorf("unknown device type %q: use AUTO, DLG-1, LC-1, LC-2, LM-1 or LM-2", name)
}

// Place is where a sensor sits.
type Place string

// The places. Unplaced is one nobody has told.
const (
	Unplaced Place = ""
	Front    Place = "front"
	Rear     Place = "rear"
)

// Sensor is what the user says of one sensor of the chain.
type Sensor struct {
	Place Place
	// Multiplier and then Offset (in AFR) correct the air-fuel ratio; lambda
	// follows. A Multiplier of 0 is 1.
	Multiplier, Offset float64
	// Stoichiometric is the air-fuel ratio of lambda 1 for the fuel in use; 0:
	// what the device works with.
	Stoichiometric float64
}

// Defaults of what Settings leaves at 0.
const (
	DefaultBuffer        = 1024
	DefaultInterval      = 80 * time.Millisecond
	DefaultWarmupTimeout = 30 * time.Second
	DefaultFreeAirAFR    = 28.0
)

// MaxSensors is how many sensors a chain can have.
const MaxSensors = 127

// Settings are an Innovate source's.
type Settings struct {
	Name   string // of the source in batches; "": innovate
	Device Device // "": Auto. Another is checked against what is heard.
	// Read lists the sensors of the chain that are read, from 1; empty: all.
	Read []int
	// Sensors holds what is known of a sensor, by its number from 1.
	Sensors map[int]Sensor
	// WarmupTimeout is how long a sensor may warm up before that is reported,
	// FreeAirAFR the air-fuel ratio above which it is taken to be in free air.
	// 0: the defaults.
	WarmupTimeout time.Duration
	FreeAirAFR    float64
	// Interval bounds one look at the port, Buffer the bytes kept between the
	// port and the decoder; what is older than that is dropped and counted. 0:
	// the defaults.
	Interval time.Duration
	Buffer   int
}

// withDefaults fills in what is 0.
func (s Settings) withDefaults() Settings {
	if s.Name == "" {
		s.Name = "innovate"
	}
	if s.Device == "" {
		s.Device = Auto
	}
	if s.WarmupTimeout == 0 {
		s.WarmupTimeout = DefaultWarmupTimeout
	}
	if s.FreeAirAFR == 0 {
		s.FreeAirAFR = DefaultFreeAirAFR
	}
	if s.Interval == 0 {
		s.Interval = DefaultInterval
	}
	if s.Buffer == 0 {
		s.Buffer = DefaultBuffer
	}
	return s
}

// Validate names everything that is out of range.
func (s Settings) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if _, err := ParseDevice(string(s.Device)); err != nil {
		errs = append(errs, err)
	}
	check(s.WarmupTimeout >= 0, "warm-up timeout must not be negative: %v", s.WarmupTimeout)
	check(s.FreeAirAFR >= 0, "free-air AFR must not be negative: %v", s.FreeAirAFR)
	check(s.Interval >= 0, "read interval must not be negative: %v", s.Interval)
	check(s.Buffer >= 0, "buffer must not be negative: %d", s.Buffer)
	for _, n := range s.Read {
		check(n >= 1 && n <= MaxSensors, "sensor %d is not one of 1 to %d", n, MaxSensors)
	}
	places := map[Place]int{}
	for n, sensor := range s.Sensors {
		check(n >= 1 && n <= MaxSensors, "sensor %d is not one of 1 to %d", n, MaxSensors)
		check(sensor.Multiplier >= 0, "multiplier of sensor %d must not be negative: %v", n, sensor.Multiplier)
		check(sensor.Stoichiometric == 0 || sensor.Stoichiometric >= 1 && sensor.Stoichiometric <= 50,
			"stoichiometric ratio of sensor %d is not between 1 and 50: %v", n, sensor.Stoichiometric)
		check(sensor.Place == Unplaced || sensor.Place == Front || sensor.Place == Rear,
			"sensor %d can be at the front or rear, not %q", n, sensor.Place)
		if other, twice := places[sensor.Place]; twice && sensor.Place != Unplaced {
			check(false, "sensors %d and %d are both at the %s", min(n, other), max(n, other), sensor.Place)
		}
		places[sensor.Place] = n
	}
	return errors.Join(errs...)
}

// Mapping is what the resolver has to be told of this source's channels: those
// of a sensor whose place is known are afr_front and lambda_front, or afr_rear
// and lambda_rear. The others it resolves by their labels: the first sensor's
// are afr and lambda, the second's afr_2 and lambda_2.
func (s Settings) Mapping() channel.Mapping {
	out := channel.Mapping{}
	for n, sensor := range s.Sensors {
		if sensor.Place != Unplaced {
			out[sensorLabel(n, afrChannel)] = channel.AFR + "_" + string(sensor.Place)
			out[sensorLabel(n, lambdaChannel)] = channel.Lambda + "_" + string(sensor.Place)
		}
	}
	return out
}

// reads reports whether sensor n is wanted.
func (s *Settings) reads(n int) bool {
	for _, m := range s.Read {
		if m == n {
			return true
		}
	}
	return len(s.Read) == 0
}

// reading is what a sensor that gives lambda reads, with what the user says of
// it. AFR is 0 where neither knows a stoichiometric ratio.
func (s Sensor) reading(of *isp.Sensor) (afr, lambda float64) {
	lambda, _ = of.Lambda()
	afr, _ = of.AFR()
	stoichiometric := of.Stoichiometric()
	if s.Stoichiometric > 0 {
		stoichiometric = s.Stoichiometric
		afr = lambda * stoichiometric
	}
	if s.Multiplier == 0 && s.Offset == 0 || stoichiometric == 0 {
		return afr, lambda
	}
	if s.Multiplier != 0 {
		afr *= s.Multiplier
	}
	afr += s.Offset
	return afr, afr / stoichiometric
}

// channelKind is one of a sensor's channels.
type channelKind uint32

// A kind's number is part of the channel's id and key: never change one.
const (
	afrChannel channelKind = iota + 1
	lambdaChannel
	statusChannel
	o2Channel
	warmupChannel
	countdownChannel
	errorChannel
	batteryChannel
)

var kindNames = [...]string{"", "afr", "lambda", "status", "o2", "warmup", "heater_countdown", "error", "battery"}

func (k channelKind) unit() sample.Unit {
	switch k {
	case afrChannel:
		return sample.AFR
	case lambdaChannel:
		return sample.Lambda
	case o2Channel, warmupChannel:
		return sample.Percent
	case batteryChannel:
		return sample.Volt
	}
	return sample.NoUnit
}

// Sporadic reports whether a channel of this source comes only while a sensor is
// in a certain state, which its status channel tells: oxygen, warm-up, heater
// countdown, error code. Air-fuel ratio and lambda are to come always.
func Sporadic(c *sample.Channel) bool {
	if c.ID >= auxIDs {
		return false
	}
	switch channelKind(c.ID % 16) {
	case o2Channel, warmupChannel, countdownChannel, errorChannel:
		return true
	}
	return false
}

func sensorLabel(n int, kind channelKind) string {
	return fmt.Sprintf("wideband_%d_%s", n, kindNames[kind])
}
