package serial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dynotap/source/innovate"
)

// DefaultListen is how long a port is listened to when the device is looked
// for: a dozen packets.
const DefaultListen = 1200 * time.Millisecond

// System is the serial ports of a machine.
type System interface {
	// Ports lists the ports, those to try first in front.
	Ports() ([]innovate.PortInfo, error)
	// Open opens a port by name.
	Open(name string, baud int) (innovate.Port, error)
}

// Machine is the System of this machine.
type Machine struct{}

// Ports lists the ports, see Ports.
func (Machine) Ports() ([]innovate.PortInfo, error) { return Ports() }

// Open opens a port, see Open.
func (Machine) Open(name string, baud int) (innovate.Port, error) { return Open(name, baud) }

// Settings say which port is wanted.
type Settings struct {
	// Port is its name; "": the device is looked for on all ports.
	Port   string
	Baud   int           // 0: DefaultBaud
	Listen time.Duration // 0: DefaultListen
}

// Finder opens the port of a device. It is safe for concurrent use.
type Finder struct {
	settings Settings
	system   System

	mu   sync.Mutex
	last innovate.PortInfo // where the device was; Name "": nowhere yet
	seen []Found           // what the last search heard
}

// NewFinder makes a Finder; system nil is Machine.
func NewFinder(s Settings, system System) *Finder {
	if s.Baud == 0 {
		s.Baud = DefaultBaud
	}
	if s.Listen == 0 {
		s.Listen = DefaultListen
	}
	if system == nil {
		system = Machine{}
	}
	return &Finder{settings: s, system: system}
}

// Open opens the port that is configured, or finds the device. Where it was
// before is tried first, by the adapter's USB serial number.
func (f *Finder) Open(ctx context.Context) (innovate.Port, innovate.PortInfo, error) {
	ports, listErr := f.system.Ports()
	f.mu.Lock()
	last := f.last
	f.mu.Unlock()
	again, found := findAgain(ports, last)
	switch {
	case found:
		if p, err := f.dial(ctx, again.Name); err == nil {
			again.Detected = f.settings.Port == ""
			return f.opened(p, again)
		} else if f.settings.Port != "" {
			return nil, innovate.PortInfo{}, err
		}
	case f.settings.Port != "":
		return f.openNamed(ctx, ports)
	}
	if listErr != nil {
		return nil, innovate.PortInfo{}, listErr
	}
	return f.search(ctx, ports)
}

// findAgain finds the port of an adapter that was seen before: by its serial
// number, or else its kind. Of several alike it is the one with the same name.
func findAgain(ports []innovate.PortInfo, last innovate.PortInfo) (innovate.PortInfo, bool) {
	var alike []innovate.PortInfo
	for _, p := range ports {
		if p.USB == last.USB && p.Serial == last.Serial && (p.USB != "" || p.Serial != "") {
			alike = append(alike, p)
		}
	}
	for _, p := range alike {
		if p.Name == last.Name {
			return p, true
		}
	}
	if len(alike) == 1 {
		return alike[0], true
	}
	return innovate.PortInfo{}, false
}

// openNamed opens the configured port, which the list need not know.
func (f *Finder) openNamed(ctx context.Context, ports []innovate.PortInfo) (innovate.Port, innovate.PortInfo, error) {
	info := innovate.PortInfo{Name: f.settings.Port}
	for _, p := range ports {
		if strings.EqualFold(p.Name, info.Name) {
			info = p
		}
	}
	p, err := f.dial(ctx, info.Name)
	if err != nil {
		var missing *NotFoundError
		if errors.As(err, &missing) {
			missing.Present = describe(ports)
		}
		return nil, innovate.PortInfo{}, err
	}
	return f.opened(p, info)
}

func describe(ports []innovate.PortInfo) string {
	out := make([]string, 0, len(ports))
	for _, p := range ports {
		text := p.Name
		if p.Product != "" {
			text += " (" + p.Product + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// opened remembers where the device is.
func (f *Finder) opened(p innovate.Port, info innovate.PortInfo) (innovate.Port, innovate.PortInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = info
	return &watchedPort{Port: p, finder: f, detected: info.Detected}, info, nil
}

// dial opens a port; a driver that hangs is left to itself when ctx ends.
func (f *Finder) dial(ctx context.Context, name string) (innovate.Port, error) {
	type answer struct {
		port innovate.Port
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		p, err := f.system.Open(name, f.settings.Baud)
		got <- answer{p, err}
	}()
	select {
	case a := <-got:
		return a.port, a.err
	case <-ctx.Done():
		go func() {
			if a := <-got; a.err == nil {
				_ = a.port.Close() // nobody waits for it any more
			}
		}()
		return nil, fmt.Errorf("serial port %s does not open: %w", name, ctx.Err())
	}
}

// watchedPort notices whether anything came.
type watchedPort struct {
	innovate.Port
	finder   *Finder
	detected bool
	heard    atomic.Bool
}

func (p *watchedPort) Read(b []byte, wait time.Duration) (int, error) {
	n, err := p.Port.Read(b, wait)
	if n > 0 {
		p.heard.Store(true)
	}
	return n, err
}

// Close forgets where the device was if nothing came from there: then it is
// somewhere else.
func (p *watchedPort) Close() error {
	if p.detected && !p.heard.Load() {
		p.finder.mu.Lock()
		p.finder.last = innovate.PortInfo{}
		p.finder.mu.Unlock()
	}
	return p.Port.Close()
}
