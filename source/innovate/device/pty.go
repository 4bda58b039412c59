package device

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNoTerminals says that the system has no pseudo-terminals: on Windows a
// simulated device needs a serial port, or a pair of them.
var ErrNoTerminals = errors.New("this system has no pseudo-terminals: give a serial port")

// PTY is a Line that other programs open by its path like a serial port.
type PTY struct {
	told func(path string)

	mu   sync.Mutex
	pair *pair // nil while unplugged
}

// NewPTY makes a pseudo-terminal in raw mode. told hears its path, at once and
// whenever it is plugged in again under another; it may be nil.
func NewPTY(told func(path string)) (*PTY, error) {
	if told == nil {
		told = func(string) {}
	}
	p := &PTY{told: told}
	return p, p.Plug()
}

// Path is what to open; "" while it is unplugged.
func (p *PTY) Path() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pair == nil {
		return ""
	}
	return p.pair.path
}

// Write sends bytes; they are lost where nobody reads them.
func (p *PTY) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pair != nil {
		if err := p.pair.write(b); err != nil {
			return 0, fmt.Errorf("write to %s: %w", p.pair.path, err)
		}
	}
	return len(b), nil
}

// Unplug takes the terminal away from whoever has it open.
func (p *PTY) Unplug() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pair != nil {
		p.pair.close()
		p.pair = nil
	}
}

// Plug makes a new terminal.
func (p *PTY) Plug() error {
	p.mu.Lock()
	if p.pair != nil {
		p.mu.Unlock()
		return nil
	}
	made, err := openPair()
	if err == nil {
		p.pair = made
	}
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("make a pseudo-terminal: %w", err)
	}
	p.told(made.path)
	return nil
}

// Close is Unplug for good.
func (p *PTY) Close() error {
	p.Unplug()
	return nil
}
