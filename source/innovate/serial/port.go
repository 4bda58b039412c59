package serial

import (
	"errors"
	"fmt"
	"time"

	goserial "go.bug.st/serial"

	"dynotap/source/innovate"
)

// DefaultBaud is what all the devices speak (PROTOCOLS 2).
const DefaultBaud = 19200

// errUnplugged ends the reading of a port that is no longer there.
var errUnplugged = errors.New("the port is gone: unplugged?")

// Open opens a port by name for this program alone and drops what it holds.
// The error is a *BusyError, *PermissionError or *NotFoundError where it is
// one of these. It blocks as long as the system's driver does.
func Open(name string, baud int) (innovate.Port, error) {
	p, err := openPort(name, baud)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func openPort(name string, baud int) (*port, error) {
	claimed, err := claim(name)
	if err != nil {
		return nil, explain(name, err)
	}
	p, err := goserial.Open(name, &goserial.Mode{BaudRate: baud, DataBits: 8, Parity: goserial.NoParity, StopBits: goserial.OneStopBit})
	if err != nil {
		return nil, errors.Join(explain(name, err), claimed.release())
	}
	if err := p.ResetInputBuffer(); err != nil {
		return nil, errors.Join(fmt.Errorf("empty serial port %s: %w", name, err), p.Close(), claimed.release())
	}
	return &port{name: name, port: p, claimed: claimed, wait: -1}, nil
}

// port is an open serial port.
type port struct {
	name    string
	port    goserial.Port
	claimed *claimed
	wait    time.Duration // the read timeout that is set
}

// Read reads what there is, or waits for it.
func (p *port) Read(b []byte, wait time.Duration) (int, error) {
	if wait != p.wait {
		if err := p.port.SetReadTimeout(wait); err != nil {
			return 0, fmt.Errorf("serial port %s: %w", p.name, err)
		}
		p.wait = wait
	}
	n, err := p.port.Read(b)
	var coded *goserial.PortError
	switch {
	case err == nil:
		return n, nil
	case errors.As(err, &coded) && coded.Code() == goserial.PortClosed:
		err = errUnplugged // or closed by ourselves, when nobody looks at it
	}
	return n, fmt.Errorf("serial port %s: %w", p.name, err)
}

// Close gives the port back.
func (p *port) Close() error {
	err := errors.Join(p.port.Close(), p.claimed.release())
	if err != nil {
		return fmt.Errorf("close serial port %s: %w", p.name, err)
	}
	return nil
}
