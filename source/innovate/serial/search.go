package serial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"dynotap/source/innovate"
)

// ErrNoPorts says that there is no serial port at all.
var ErrNoPorts = errors.New("there is no serial port: plug in the device's adapter")

// Found is what was found at one port.
type Found struct {
	innovate.PortInfo
	innovate.Observation
	// Busy says that another program has the port, so that nothing is known.
	Busy bool `json:"busy"`
	// Denied says that this user may not open the port.
	Denied bool `json:"denied,omitempty"`
	// Error is why nothing, or not all, is known; "" is none.
	Error string `json:"error,omitempty"`
}

// heard is Found with the port still open; nil: it is not.
type heard struct {
	Found
	port innovate.Port
	err  error
}

// NotHeardError says that no port has a device that speaks.
type NotHeardError struct{ Ports []Found }

func (e *NotHeardError) Error() string {
	what := make([]string, 0, len(e.Ports))
	for i := range e.Ports {
		what = append(what, e.Ports[i].Name+" "+e.Ports[i].verdict())
	}
	return "no Innovate device on any serial port: " + strings.Join(what, "; ")
}

// verdict says in a few words why a port is not the one.
func (f *Found) verdict() string {
	switch {
	case f.Busy:
		return "is in use by another program"
	case f.Error != "":
		return f.Error
	case f.Bytes == 0:
		return "is silent"
	}
	return "speaks something else"
}

// Scan listens to every port, the one that the settings name included, and says
// what speaks there, for people who look for their device. It takes as long as
// listening to one port.
func (f *Finder) Scan(ctx context.Context) ([]Found, error) {
	ports, err := f.system.Ports()
	if err != nil {
		return nil, err
	}
	named := func(p innovate.PortInfo) bool { return p.Name == f.settings.Port }
	if f.settings.Port != "" && !slices.ContainsFunc(ports, named) {
		ports = append(slices.Clip(ports), innovate.PortInfo{Name: f.settings.Port})
	}
	out := []Found{}
	for _, h := range f.listen(ctx, ports) {
		if h.port != nil {
			if err := h.port.Close(); err != nil && h.Error == "" {
				h.Error = err.Error()
			}
		}
		out = append(out, h.Found)
	}
	return out, ctx.Err()
}

// Seen is what was found at each port when the device was last looked for;
// empty: it was not yet.
func (f *Finder) Seen() []Found {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Found{}, f.seen...)
}

// search takes the first port on which a device speaks. One whose packets are
// intact comes before one that looks like flow control.
func (f *Finder) search(ctx context.Context, ports []innovate.PortInfo) (innovate.Port, innovate.PortInfo, error) {
	if len(ports) == 0 {
		return nil, innovate.PortInfo{}, ErrNoPorts
	}
	all := f.listen(ctx, ports)
	best := -1
	for i, h := range all {
		if h.port != nil && h.err == nil && h.Speaks && (best < 0 || all[best].Packets == 0 && h.Packets > 0) {
			best = i
		}
	}
	failed := &NotHeardError{Ports: make([]Found, 0, len(all))}
	for i, h := range all {
		failed.Ports = append(failed.Ports, h.Found)
		if i != best && h.port != nil {
			_ = h.port.Close() // it was only listened to
		}
	}
	f.mu.Lock()
	f.seen = failed.Ports
	f.mu.Unlock()
	switch {
	case best >= 0:
		info := all[best].PortInfo
		info.Detected = true
		return f.opened(all[best].port, info)
	case ctx.Err() != nil:
		return nil, innovate.PortInfo{}, fmt.Errorf("look for the device: %w", ctx.Err())
	}
	return nil, innovate.PortInfo{}, failed
}

// listen listens to all ports at once.
func (f *Finder) listen(ctx context.Context, ports []innovate.PortInfo) []heard {
	out := make([]heard, len(ports))
	var all sync.WaitGroup
	for i, info := range ports {
		all.Go(func() {
			h := &out[i]
			h.PortInfo = info
			h.port, h.err = f.dial(ctx, info.Name)
			if h.err == nil {
				h.Observation, h.err = innovate.Listen(ctx, h.port, f.settings.Listen)
			}
			var busy *BusyError
			var denied *PermissionError
			h.Denied = errors.As(h.err, &denied)
			if h.Busy = errors.As(h.err, &busy); h.err != nil {
				h.Error = h.err.Error()
			}
		})
	}
	all.Wait()
	return out
}
