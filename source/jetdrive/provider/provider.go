// Package provider is a simulated JETDRIVE provider: a correct node that
// streams channels, and on request loses, reorders and repeats messages,
// restarts, and has an odd clock. It never obeys load control or brake.
package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
)

const (
	// DefaultMTU is that of Ethernet, in bytes.
	DefaultMTU = 1500
	// maxRate bounds Settings.Rate: the clock of the protocol has 1 ms.
	maxRate = 10_000
	// infoPeriod is the distance of unasked ChannelInfo (PROTOCOLS 1.1).
	infoPeriod = 30 * time.Second
	// catchUp bounds how far the stream runs after the clock when it is held
	// up; what is older is left out.
	catchUp = 100 * time.Millisecond
)

// Values fills dst with the values of all channels, in the order of the list,
// at the given time since the provider was switched on. It is called from one
// goroutine at a time and must not block.
type Values func(t time.Duration, dst []float32)

// ChannelSpec is one channel to stream.
type ChannelSpec struct {
	ID   uint16
	Name string      // cut at 29 bytes
	Unit sample.Unit // one that JETDRIVE has (PROTOCOLS 1.1), or none
}

// Faults are the provider's shortcomings. The first message under a host id
// and the last of all are spared, so that whoever listens from the beginning
// to the end can count exactly what happened.
type Faults struct {
	// Loss, Reorder and Duplicate are shares of the messages, 0 to 1 and
	// together at most 1: not sent, sent after the next one, sent twice.
	Loss, Reorder, Duplicate float64
	// Seed makes the faults repeatable.
	Seed uint64
	// RestartEvery switches the provider off without a word and on again, under
	// another host id and with its clock back at the start. 0: never.
	RestartEvery time.Duration
	// ClockOffset is where the clock starts; it counts milliseconds.
	ClockOffset time.Duration
	// WrapAfter has the clock wrap so long after the start, instead of
	// ClockOffset. 0: it does not wrap for 49.7 days.
	WrapAfter time.Duration
}

// Settings are what a Provider is made of.
type Settings struct {
	Conn     jetdrive.ConnSettings
	Name     string // cut at 49 bytes
	HostID   uint16 // tried first; 0: random, as after every restart
	Channels []ChannelSpec
	Rate     float64 // of sets of values, per second, up to 10,000; 0: none
	Values   Values  // needed where there are channels and a rate
	MTU      int     // with IP and UDP headers, in bytes; 0: DefaultMTU
	Faults   Faults
	Logger   *slog.Logger // nil: silent
}

// Counts are what a Provider did since New, over all restarts. A client that
// heard everything has counted the same values, lost, reordered and duplicate.
type Counts struct {
	Messages   uint64 // numbered after the claim, whatever became of them
	Values     uint64 // in messages that were sent, repeats not counted
	ValuesLost uint64 // in messages that were lost on purpose
	Lost       uint64
	Reordered  uint64
	Duplicated uint64
	Skipped    uint64 // sets of values left out because the stream was held up
	Restarts   uint64
	SendErrors uint64
}

// Provider is a simulated provider. It is safe for concurrent use.
type Provider struct {
	settings Settings
	logger   *slog.Logger
	open     func(context.Context) (network, error)

	mu       sync.Mutex // one change of state, with its messages, at a time
	channels []klhdv.Channel
	values   Values
	logging  klhdv.LoggingResponse
	life     *life // nil while switched off

	counts counts
}

// counts is Counts under construction.
type counts struct {
	messages, values, valuesLost, lost, reordered, duplicated, skipped, restarts, sendErrors atomic.Uint64
}

// network is the *jetdrive.Conn that a life has to itself.
type network interface {
	Send(datagram []byte) error
	Receive(ctx context.Context, each func(jetdrive.Packet)) error
	Close() error
}

// New checks the settings.
func New(s Settings) (*Provider, error) {
	if s.MTU == 0 {
		s.MTU = DefaultMTU
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	channels, err := list(s.Channels)
	if err != nil {
		return nil, err
	}
	f := s.Faults
	switch {
	case s.HostID == klhdv.AllHosts:
		return nil, errors.New("host id 0xFFFF means all hosts: choose another, or 0 for a random one")
	case !(s.Rate >= 0 && s.Rate <= maxRate):
		return nil, fmt.Errorf("rate %g is not between 0 and %d a second", s.Rate, maxRate)
	case s.Rate > 0 && len(channels) > 0 && s.Values == nil:
		return nil, errors.New("channels without values")
	case !(min(f.Loss, f.Reorder, f.Duplicate) >= 0 && f.Loss+f.Reorder+f.Duplicate <= 1):
		return nil, fmt.Errorf("loss %g, reorder %g and duplicate %g are not shares of one whole", f.Loss, f.Reorder, f.Duplicate)
	case f.RestartEvery < 0 || f.WrapAfter < 0 || f.WrapAfter.Milliseconds() > math.MaxUint32:
		return nil, errors.New("restart or wrap of the clock at an impossible time")
	}
	p := &Provider{settings: s, logger: s.Logger, channels: channels, values: s.Values}
	p.open = func(ctx context.Context) (network, error) { return jetdrive.OpenConn(ctx, s.Conn) }
	return p, nil
}

// list checks channels and turns them into records.
func list(specs []ChannelSpec) ([]klhdv.Channel, error) {
	used := make(map[uint16]bool, len(specs))
	out := make([]klhdv.Channel, 0, len(specs))
	for _, spec := range specs {
		code, ok := klhdv.UnitCode(spec.Unit)
		switch {
		case !ok:
			return nil, fmt.Errorf("channel %q: JETDRIVE has no unit %q", spec.Name, spec.Unit)
		case used[spec.ID]:
			return nil, fmt.Errorf("channel %q: id %d is used twice", spec.Name, spec.ID)
		}
		used[spec.ID] = true
		out = append(out, klhdv.Channel{ID: spec.ID, Name: spec.Name, Unit: code})
	}
	return out, nil
}

// Run switches the provider on: it claims a host id, which takes a second, and
// streams until ctx ends, which is no error. One Run at a time.
func (p *Provider) Run(ctx context.Context) error {
	for host := p.settings.HostID; ; host = 0 {
		if err := p.live(ctx, host); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		p.counts.restarts.Add(1)
		p.logger.Info("simulated provider restarts", "name", p.settings.Name)
	}
}

// HostID is the id that the provider has at present, 0 while it has none.
func (p *Provider) HostID() uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil {
		return 0
	}
	return p.life.node.Host()
}

// Counts gives the counts at this moment.
func (p *Provider) Counts() Counts {
	c := &p.counts
	return Counts{
		Messages: c.messages.Load(), Values: c.values.Load(), ValuesLost: c.valuesLost.Load(),
		Lost: c.lost.Load(), Reordered: c.reordered.Load(), Duplicated: c.duplicated.Load(),
		Skipped: c.skipped.Load(), Restarts: c.restarts.Load(), SendErrors: c.sendErrors.Load(),
	}
}

// SetLogging starts or stops the log, and tells all hosts when that is a
// change.
func (p *Provider) SetLogging(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.setLogging(on) {
		p.sendLogging(klhdv.AllHosts)
	}
}

// setLogging reports whether it changed the state. Called with mu held.
func (p *Provider) setLogging(on bool) bool {
	if on == (p.logging.State == klhdv.LoggingStarted) {
		return false
	}
	p.logging.State = klhdv.LoggingStopped
	if on {
		p.logging = klhdv.LoggingResponse{State: klhdv.LoggingStarted}
		if p.life != nil {
			p.logging.Start = p.life.stamp()
		}
	}
	return true
}

// SetChannels changes the list: clients are told to forget the old one before
// they get the new.
func (p *Provider) SetChannels(specs []ChannelSpec, values Values) error {
	channels, err := list(specs)
	if err != nil {
		return err
	}
	if p.settings.Rate > 0 && len(channels) > 0 && values == nil {
		return errors.New("channels without values")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.channels, p.values = channels, values
	p.hello()
	return nil
}

// hello clears and announces the list. Called with mu held.
func (p *Provider) hello() {
	p.send(klhdv.KeyClearChannelInfo, klhdv.AllHosts, nil)
	p.announce(klhdv.AllHosts)
}

// announce sends the list in as many messages as the MTU asks for. Called with
// mu held.
func (p *Provider) announce(dest uint16) {
	rest, most := p.channels, klhdv.MaxChannels(p.settings.MTU)
	for first := true; first || len(rest) > 0; first = false {
		n := min(len(rest), most)
		info := klhdv.ChannelInfo{Provider: p.settings.Name, Channels: rest[:n]}
		p.send(klhdv.KeyChannelInfo, dest, klhdv.EncodeChannelInfo(nil, info))
		rest = rest[n:]
	}
}

// sendLogging is called with mu held.
func (p *Provider) sendLogging(dest uint16) {
	p.send(klhdv.KeyLoggingResponse, dest, klhdv.EncodeLoggingResponse(nil, p.logging))
}

// send sends where the provider is switched on and has said hello under its
// present id. Called with mu held.
func (p *Provider) send(key klhdv.Key, dest uint16, value []byte) {
	if p.life == nil || p.life.greeted != p.life.node.Host() {
		return
	}
	err := p.life.node.Send(key, dest, value)
	if err != nil && !errors.Is(err, jetdrive.ErrUnclaimed) {
		p.counts.sendErrors.Add(1)
		p.logger.Debug("simulated provider cannot send", "message", key, "error", err)
	}
}
