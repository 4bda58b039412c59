package app

import (
	"context"
	"time"

	"dynotap/config"
	"dynotap/source"
	"dynotap/source/innovate/serial"
)

// plugLook is how often dynotap looks for an adapter that was plugged in.
const plugLook = time.Second

// plugSteady is how many looks in a row a connection has to be there so that
// its loss is worth an attempt at once: the adapter may be in again before the
// next look. A shorter one may be lost again and again.
const plugSteady = 3

// plugging sees that an adapter of a device that is missing was plugged in, so
// that a source that waits for its next attempt need not wait any longer.
type plugging struct {
	places  func() []string // where an adapter is, by name
	missing func() bool     // the device is
	arrived func()

	steady int  // looks that found the device there
	looked bool // seen holds what was there when the device was missing already
	seen   map[string]bool
}

// watch looks until ctx ends.
func (p *plugging) watch(ctx context.Context) {
	ticker := time.NewTicker(plugLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.look()
		}
	}
}

// look compares with the look before. A port that is open is left alone: to
// list the ports touches some of them.
func (p *plugging) look() {
	if !p.missing() {
		p.steady++
		p.looked, p.seen = p.steady >= plugSteady, nil
		return
	}
	p.steady = 0
	before := p.seen
	p.seen = map[string]bool{}
	fresh := false
	for _, name := range p.places() {
		p.seen[name] = true
		fresh = fresh || !before[name]
	}
	if p.looked && fresh {
		p.arrived()
	}
	p.looked = true
}

// watchPlugs watches for the devices of all sources that can be plugged in,
// until ctx ends.
func (c *cell) watchPlugs(ctx context.Context) error {
	done := make(chan struct{}, len(c.sources))
	running := 0
	for _, s := range c.sources {
		if s.live.Places == nil {
			continue
		}
		p := &plugging{places: s.live.Places, arrived: s.supervisor.Reset, missing: func() bool {
			switch s.supervisor.State() {
			case source.Error, source.CircuitOpen, source.Reconnecting, source.Connecting:
				return true
			}
			return false
		}}
		running++
		go func() {
			p.watch(ctx)
			done <- struct{}{}
		}()
	}
	for range running {
		<-done
	}
	<-ctx.Done()
	return ctx.Err()
}

// serialPlaces lists the adapters on USB, and the configured port where it is
// there. Ports that are no adapter come and go with whoever has them open.
func serialPlaces(c *config.Innovate) []string {
	var out []string
	if serial.Exists(c.Port) {
		out = append(out, c.Port)
	}
	ports, err := serial.Ports()
	if err != nil {
		return out // the next attempt says why
	}
	for _, port := range ports {
		if port.USB != "" {
			out = append(out, port.Name)
		}
	}
	return out
}
