package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"dynotap/source/innovate/isp"
)

// catchUp bounds how far a device that was held up runs after the clock; what
// is older is not sent.
const catchUp = time.Second

// Line is what a device sends on: a PTY or a Pipe.
type Line interface {
	// Write takes all bytes, or loses those that nobody reads.
	io.Writer
	// Unplug takes the port away, Plug brings it back, perhaps under another
	// name.
	Unplug()
	Plug() error
}

// Settings are a Device's.
type Settings struct {
	Model string // one of Models
	// Sensors is how many there are in the chain; 0: what the model has. An
	// LM-1 has one.
	Sensors int
	// Values fills in the air-fuel ratio of each sensor at a time since the
	// device was switched on; NaN or 0 is free air. It is called from one
	// goroutine at a time and must not block.
	Values func(t time.Duration, afr []float64)
	// Aux fills in the voltages of the inputs, if the model has any; nil: 0 V.
	Aux func(t time.Duration, volts []float64)
	// Warmup is how long the sensors take to warm up; 0: they are warm.
	Warmup time.Duration
	// Stoichiometric is the air-fuel ratio that the device is set to; 0: 14.7.
	Stoichiometric float64
	Faults         Faults
	Logger         *slog.Logger // nil: silent
}

// Counts are what a Device did.
type Counts struct {
	Packets  uint64 // that were sent whole
	Damaged  uint64 // that were sent otherwise
	Withheld uint64 // that fell into silence or an unplugged time
	Skipped  uint64 // that were left out because the program was held up
}

// Device is a simulated device. Run it once at a time.
type Device struct {
	settings Settings
	model    model
	random   *rand.Rand
	logger   *slog.Logger
	afr      []float64
	volts    []float64
	packet   isp.Packet
	raw      []byte
	sent     []byte
	failure  error

	packets, damaged, withheld, skipped atomic.Uint64
}

// New checks the settings.
func New(s Settings) (*Device, error) {
	m, err := modelOf(s.Model)
	if err != nil {
		return nil, err
	}
	if s.Sensors == 0 {
		s.Sensors = m.sensors
	}
	if s.Stoichiometric == 0 {
		s.Stoichiometric = petrol
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case s.Values == nil:
		return nil, errors.New("a device without values")
	case s.Sensors < 1 || s.Sensors > 32:
		return nil, fmt.Errorf("%d sensors are not between 1 and 32", s.Sensors)
	case m.protocol == isp.ISP1 && s.Sensors != 1:
		return nil, fmt.Errorf("an LM-1 has one sensor, not %d", s.Sensors)
	case s.Warmup < 0:
		return nil, fmt.Errorf("warm-up of %v", s.Warmup)
	case s.Stoichiometric < 1 || s.Stoichiometric > 25:
		return nil, fmt.Errorf("stoichiometric ratio %g is not between 1 and 25", s.Stoichiometric)
	}
	if err := s.Faults.check(); err != nil {
		return nil, err
	}
	return &Device{
		settings: s, model: m, logger: s.Logger, random: rand.New(rand.NewPCG(s.Faults.Seed, 0)),
		afr: make([]float64, s.Sensors), volts: make([]float64, m.aux),
	}, nil
}

// Counts gives the counts at this moment.
func (d *Device) Counts() Counts {
	return Counts{
		Packets: d.packets.Load(), Damaged: d.damaged.Load(), Withheld: d.withheld.Load(), Skipped: d.skipped.Load(),
	}
}

// Run switches the device on and sends until ctx ends, which is no error. The
// line is plugged in.
func (d *Device) Run(ctx context.Context, line Line) error {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	unplugged := false
	for number := time.Duration(0); ; number++ {
		due := number * Period
		if late := time.Since(start) - due; late > catchUp {
			behind := late / Period
			d.skipped.Add(uint64(behind))
			number += behind
			due = number * Period
		}
		timer.Reset(time.Until(start.Add(d.arrival(due))))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		f := &d.settings.Faults
		if out := turn(due, f.UnplugEvery, f.UnplugFor); out != unplugged {
			if err := d.plug(line, !out); err != nil {
				return err
			}
			unplugged = out
		}
		if unplugged || turn(due, f.SilentEvery, f.SilentFor) {
			d.withheld.Add(1)
			continue
		}
		if err := d.Send(line, due); err != nil {
			return err
		}
	}
}

func (d *Device) plug(line Line, in bool) error {
	if in {
		d.logger.Info("simulated device plugged in")
		return line.Plug()
	}
	d.logger.Info("simulated device unplugged")
	line.Unplug()
	return nil
}

// arrival is when what is sent at due arrives.
func (d *Device) arrival(due time.Duration) time.Duration {
	if tick := d.settings.Faults.Latency; tick > 0 {
		return (due + tick - 1) / tick * tick
	}
	return due
}

// Send sends the packet of time t since the device was switched on, faults
// included, at once. It is for tests that do not Run.
func (d *Device) Send(line io.Writer, t time.Duration) error {
	raw := d.frame(t)
	if d.failure != nil {
		return fmt.Errorf("simulated device: %w", d.failure)
	}
	d.sent = d.settings.Faults.spoil(d.sent[:0], raw, d.random)
	if _, err := line.Write(d.sent); err != nil {
		return fmt.Errorf("simulated device: %w", err)
	}
	if bytes.Equal(d.sent, raw) {
		d.packets.Add(1)
	} else {
		d.damaged.Add(1)
	}
	return nil
}
