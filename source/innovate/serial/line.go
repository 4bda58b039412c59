package serial

import (
	"fmt"
	"sync"
)

// Line sends a simulated device's bytes out of a serial port, for systems
// without pseudo-terminals: the program under test reads the other end of a
// cable, or of a pair of virtual ports. It is a device.Line.
type Line struct {
	name string
	baud int

	mu   sync.Mutex
	port *port // nil: unplugged
}

// NewLine opens the port; baud 0 is DefaultBaud.
func NewLine(name string, baud int) (*Line, error) {
	if baud == 0 {
		baud = DefaultBaud
	}
	l := &Line{name: name, baud: baud}
	return l, l.Plug()
}

// Write sends bytes.
func (l *Line) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port == nil {
		return len(b), nil
	}
	n, err := l.port.port.Write(b)
	if err != nil {
		return n, fmt.Errorf("serial port %s: %w", l.name, err)
	}
	return n, nil
}

// Plug opens the port again.
func (l *Line) Plug() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port != nil {
		return nil
	}
	p, err := openPort(l.name, l.baud)
	l.port = p
	return err
}

// Unplug closes the port: nothing is sent any more, which is as much as can be
// done here.
func (l *Line) Unplug() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port != nil {
		_ = l.port.Close()
		l.port = nil
	}
}
