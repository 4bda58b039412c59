package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrPortBusy is wrapped by the Err of a SerialPort that another program has
// open.
var ErrPortBusy = errors.New("held by another program")

// SerialPort is one serial port of this machine.
type SerialPort struct {
	Name         string `json:"name"` // COM5, /dev/ttyUSB0
	Product      string `json:"product"`
	SerialNumber string `json:"serial_number"`
	Speaks       string `json:"speaks"` // the device that was recognised; empty: none
	// Hint says that what it speaks looks damaged, and how that is mended;
	// empty: it does not.
	Hint string `json:"hint"`
	// Err is why it could not be listened to: fs.ErrPermission, ErrPortBusy or
	// another.
	Err error `json:"-"`
}

func (p *SerialPort) title() string {
	if p.Product == "" {
		return p.Name
	}
	return fmt.Sprintf("%s (%s)", p.Name, p.Product)
}

// denial is why this user may not open a device file.
type denial struct {
	group string
	admin bool // the group is the administrator's own
	// listed: the system's list has the user in the group, which counts from the
	// next login on.
	listed bool
}

// serial is the check of the serial ports.
type serial struct {
	system string
	ports  func(ctx context.Context) ([]SerialPort, error)
	denied func(device string) (*denial, error) // nil: access is granted
}

func (s *serial) look(ctx context.Context) []Finding {
	ports, err := s.ports(ctx)
	if err != nil {
		return []Finding{{
			Check: checkSerial, Severity: Warning, Found: fmt.Sprintf("the serial ports cannot be listed: %v", err),
			Mend: "Unplug the USB adapter of the wideband and plug it in again; on Windows look for it in Device Manager > Ports.",
		}}
	}
	out := make([]Finding, 0, len(ports)+1)
	if len(ports) == 0 {
		out = append(out, Finding{
			Check: checkSerial, Severity: OK, Found: "there is no serial port",
			Mend: "If a wideband is plugged in: does its USB adapter need a driver (FTDI, CH340, CP210x)? Try another cable.",
		})
	}
	for i := range ports {
		out = append(out, s.port(&ports[i]))
	}
	return out
}

func (s *serial) port(p *SerialPort) Finding {
	f := Finding{Check: checkSerial, Severity: OK, Details: map[string]any{"port": p}}
	if p.Err != nil {
		f.Details["error"] = p.Err.Error()
	}
	if p.Err == nil || errors.Is(p.Err, fs.ErrPermission) {
		if d, err := s.denied(p.Name); err == nil && d != nil {
			f.Severity, f.Found, f.Mend = Error, fmt.Sprintf("this user may not open %s: it belongs to the group %s", p.title(), d.group), d.mend(p.Name)
			return f
		}
	}
	switch {
	case errors.Is(p.Err, fs.ErrPermission), errors.Is(p.Err, ErrPortBusy):
		f.Severity, f.Found = Warning, p.title()+" is held by another program"
		f.Mend = "Close LogWorks, or whatever has it open: a serial port has one reader at a time."
		if s.system != windows {
			f.Mend += " Which one it is: sudo lsof " + p.Name
		}
	case p.Err != nil:
		f.Severity, f.Found = Warning, fmt.Sprintf("%s cannot be opened: %v", p.title(), p.Err)
		f.Mend = "Unplug the adapter and plug it in again; try another USB socket, without a hub."
	case p.Hint != "":
		f.Severity, f.Found, f.Mend = Warning, fmt.Sprintf("%s on %s, but what it says is damaged", p.Speaks, p.title()), p.Hint
	case p.Speaks == "":
		f.Severity, f.Found = Info, "no device that dynotap knows speaks on "+p.title()
		f.Mend = "If a wideband hangs on it: is it powered, and is the cable in its output (serial out), not its input?"
	default:
		f.Found = fmt.Sprintf("%s speaks on %s", p.Speaks, p.title())
	}
	return f
}

func (d *denial) mend(device string) string {
	switch {
	case d.listed:
		return fmt.Sprintf("You are in the group %s since after this session began: log out and in again.", d.group)
	case d.admin:
		return fmt.Sprintf("Give it to a group of yours by a udev rule, or for now: sudo chgrp dialout %s && sudo chmod g+rw %s", device, device)
	}
	return strings.Join([]string{fmt.Sprintf("sudo usermod -aG %s $USER", d.group), "then log out and in again."}, ", ")
}
