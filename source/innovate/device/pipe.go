package device

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dynotap/source/innovate"
)

// pipeBuffer is how many bytes wait for a reader, as in a system's own serial
// port; more are lost.
const pipeBuffer = 4096

var (
	errUnplugged = errors.New("unplugged")
	errClosed    = errors.New("closed")
)

// Pipe is a serial line within the program: a Line for a Device, and an Opener
// of its other end for a source. It is plugged in at first and safe for
// concurrent use.
type Pipe struct {
	name string

	mu   sync.Mutex
	out  bool      // unplugged
	port *pipePort // the open end; nil: none
}

// NewPipe makes a pipe whose port has the given name.
func NewPipe(name string) *Pipe { return &Pipe{name: name} }

// Open opens the port, which must not be open already.
func (p *Pipe) Open(ctx context.Context) (innovate.Port, innovate.PortInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, innovate.PortInfo{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.out:
		return nil, innovate.PortInfo{}, fmt.Errorf("open %s: %w", p.name, errUnplugged)
	case p.port != nil:
		return nil, innovate.PortInfo{}, fmt.Errorf("open %s: it is open already", p.name)
	}
	p.port = &pipePort{pipe: p, wake: make(chan struct{}, 1)}
	return p.port, innovate.PortInfo{Name: p.name}, nil
}

// Write gives bytes to whoever has the port open, and loses them where nobody
// does.
func (p *Pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.port != nil && !p.out {
		room := pipeBuffer - len(p.port.waiting)
		p.port.waiting = append(p.port.waiting, b[:min(room, len(b))]...)
		p.port.wakeUp()
	}
	return len(b), nil
}

// Unplug ends the open port with an error and lets none be opened.
func (p *Pipe) Unplug() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = true
	if p.port != nil {
		p.port.end(errUnplugged)
	}
}

// Plug lets the port be opened again.
func (p *Pipe) Plug() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = false
	return nil
}

// pipePort is the open end of a Pipe; its fields are guarded by the pipe's mu.
type pipePort struct {
	pipe    *Pipe
	wake    chan struct{}
	waiting []byte
	err     error
}

func (p *pipePort) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// end makes every Read from here on fail.
func (p *pipePort) end(err error) {
	if p.err == nil {
		p.err = err
	}
	if p.pipe.port == p {
		p.pipe.port = nil
	}
	p.wakeUp()
}

// Read reads what waits.
func (p *pipePort) Read(b []byte, wait time.Duration) (int, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		n, err := p.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-p.wake:
		case <-timer.C:
			return 0, nil
		}
	}
}

func (p *pipePort) take(b []byte) (int, error) {
	p.pipe.mu.Lock()
	defer p.pipe.mu.Unlock()
	if len(p.waiting) > 0 {
		n := copy(b, p.waiting)
		p.waiting = p.waiting[:copy(p.waiting, p.waiting[n:])]
		return n, nil
	}
	return 0, p.err
}

// Close closes the port.
func (p *pipePort) Close() error {
	p.pipe.mu.Lock()
	defer p.pipe.mu.Unlock()
	p.end(errClosed)
	return nil
}
