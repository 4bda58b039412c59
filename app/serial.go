package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"dynotap/config"
	"dynotap/doctor"
	"dynotap/source/innovate"
	"dynotap/source/innovate/serial"
)

// ownPorts gives what the running dynotap knows of the serial ports: the one
// that it reads and those at which it looked; nil: none runs.
type ownPorts func(context.Context) *widebandDetails

// serialPorts looks at the serial ports for the doctor. What the running dynotap
// has open itself, to read it or to look for its device, is not another
// program's.
func serialPorts(c *config.Innovate, own ownPorts) func(context.Context) ([]doctor.SerialPort, error) {
	finder := serial.NewFinder(portSettings(c), nil)
	return func(ctx context.Context) ([]doctor.SerialPort, error) {
		found, err := finder.Scan(ctx)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		running := own(ctx)
		out := make([]doctor.SerialPort, 0, len(found))
		for i := range found {
			if f := &found[i]; f.Busy && running != nil {
				*f = running.heard(f)
			}
			out = append(out, examined(&found[i]))
		}
		return out, nil
	}
}

// heard is what the running dynotap knows of a port that is busy.
func (d *widebandDetails) heard(f *serial.Found) serial.Found {
	if d.Port != nil && d.Port.Name == f.Name {
		return serial.Found{PortInfo: f.PortInfo, Observation: innovate.Observation{
			Protocol: d.Protocol, Device: d.Device, Hints: d.Hints,
			Speaks: d.Counters.Packets > 0 || hasHint(d.Hints, innovate.HintFlowControl),
		}}
	}
	for i := range d.Ports {
		if d.Ports[i].Name == f.Name {
			return d.Ports[i]
		}
	}
	return *f
}

func hasHint(hints []innovate.Hint, code string) bool {
	return slices.ContainsFunc(hints, func(h innovate.Hint) bool { return h.Code == code })
}

// examined is what the doctor wants to know of a port.
func examined(f *serial.Found) doctor.SerialPort {
	p := doctor.SerialPort{Name: f.Name, Product: f.Product, SerialNumber: f.Serial}
	switch {
	case f.Busy:
		p.Err = doctor.ErrPortBusy
	case f.Denied:
		p.Err = fs.ErrPermission
	case f.Error != "":
		p.Err = errors.New(f.Error)
	}
	if !f.Speaks {
		return p
	}
	p.Speaks = f.Device
	if p.Speaks == "unknown" { // no packet is whole
		p.Speaks = "an Innovate device"
	}
	for _, h := range f.Hints {
		if h.Code == innovate.HintFlowControl || h.Code == innovate.HintNoPackets || h.Code == innovate.HintDamaged {
			p.Hint = h.Text
			break
		}
	}
	return p
}

func printSerial(out io.Writer, found []serial.Found) error {
	for i := range found {
		f := &found[i]
		var what string
		switch {
		case f.Busy:
			what = "in use by another program"
		case f.Error != "":
			what = f.Error
		case f.Speaks:
			what = fmt.Sprintf("%s (%s), %s packets", f.Device, f.Protocol, thousands(int64(f.Packets)))
		case f.Bytes > 0:
			what = "speaks something that is not Innovate's"
		default:
			what = "silent"
		}
		name := f.Name
		if f.Product != "" {
			name += " (" + f.Product + ")"
		}
		if _, err := fmt.Fprintf(out, "serial port %s: %s\n", plain(name), plain(what)); err != nil {
			return err
		}
		for _, h := range f.Hints {
			if f.Speaks {
				fmt.Fprintf(out, "  hint: %s\n", h.Text)
			}
		}
	}
	return nil
}
