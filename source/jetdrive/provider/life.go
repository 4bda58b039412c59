package provider

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"dynotap/internal/clock"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"

	"golang.org/x/sync/errgroup"
)

// life is one power-up: a socket, a host id, a clock from its start.
type life struct {
	node    *jetdrive.Node
	wire    *faultyWire
	start   time.Time
	offset  uint32          // of the clock, in ms
	greeted uint16          // the id under which hello was said; of the provider's mu
	newer   map[uint16]bool // hosts of a version that is ignored; of the listener
}

// elapsed is the age in whole ms, as the clock of the protocol has them.
func (l *life) elapsed() time.Duration { return time.Since(l.start).Truncate(time.Millisecond) }

// stamp is the provider's clock in ms; it wraps.
func (l *life) stamp() uint32 { return l.stampAt(l.elapsed()) }

func (l *life) stampAt(elapsed time.Duration) uint32 {
	return l.offset + uint32(elapsed.Milliseconds())
}

// live runs one power-up until ctx ends or it is time to restart.
func (p *Provider) live(ctx context.Context, host uint16) (err error) {
	conn, err := p.open(ctx)
	if err != nil {
		return fmt.Errorf("simulated provider: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	l := p.begin(conn, host)
	on := ctx
	if every := p.settings.Faults.RestartEvery; every > 0 {
		var cancel context.CancelFunc
		on, cancel = context.WithTimeout(ctx, every)
		defer cancel()
	}
	group, on := errgroup.WithContext(on)
	group.Go(func() error { return l.node.Run(on) })
	group.Go(func() error { return p.listen(on, conn, l) })
	group.Go(func() error { return p.stream(on, l) })
	err = group.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	p.end(l, ctx.Err() != nil)
	return err
}

// begin makes the life the present one.
func (p *Provider) begin(conn network, host uint16) *life {
	f := p.settings.Faults
	l := &life{start: time.Now(), offset: uint32(f.ClockOffset.Milliseconds()), newer: make(map[uint16]bool)}
	if f.WrapAfter > 0 {
		l.offset = -uint32(f.WrapAfter.Milliseconds())
	}
	// Every life has its own faults, and the same ones in every run.
	seed := rand.NewPCG(f.Seed, p.counts.restarts.Load())
	l.wire = &faultyWire{network: conn, faults: f, random: rand.New(seed), counts: &p.counts}
	l.node = jetdrive.NewNode(l.wire, jetdrive.NodeSettings{
		HostID: host, Micros: clock.New().Micros, Stamp: l.stamp, Logger: p.logger,
		Claimed: func(id uint16) {
			p.mu.Lock()
			defer p.mu.Unlock()
			l.greeted = id
			p.hello() // whoever had this id before is gone
		},
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = l
	return l
}

// end switches off: with a farewell, or as a power cut does.
func (p *Provider) end(l *life, farewell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := l.wire.calm(); err != nil {
		p.logger.Debug("simulated provider cannot send what it held back", "error", err)
	}
	if farewell {
		p.send(klhdv.KeyClearChannelInfo, klhdv.AllHosts, nil)
	} else {
		p.setLogging(false)
	}
	p.life = nil
}

// stream sends the values at their rate and the list every 30 s.
func (p *Provider) stream(ctx context.Context, l *life) error {
	info := time.NewTicker(infoPeriod)
	defer info.Stop()
	tick := time.NewTimer(0)
	defer tick.Stop()
	if p.settings.Rate == 0 {
		tick.Stop()
	}
	period := time.Duration(float64(time.Second) / max(p.settings.Rate, 1e-9))
	next := l.start
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-info.C:
			p.mu.Lock()
			p.announce(klhdv.AllHosts)
			p.mu.Unlock()
		case <-tick.C:
			for ; time.Since(next) >= 0; next = next.Add(period) {
				next = next.Add(p.skip(l, time.Since(next), period))
				p.sendValues(l)
			}
			tick.Reset(time.Until(next))
		}
	}
}

// skip gives the time of the sets to leave out of a stream that is behind.
func (p *Provider) skip(l *life, behind, period time.Duration) time.Duration {
	missed := max(0, (behind-catchUp)/period)
	if l.node.Host() != klhdv.Unclaimed {
		p.counts.skipped.Add(uint64(missed))
	}
	return missed * period
}

// sendValues sends one set of values in as many messages as the MTU asks for.
func (p *Provider) sendValues(l *life) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.channels) == 0 || l.greeted == klhdv.Unclaimed {
		return
	}
	elapsed := l.elapsed()
	numbers := make([]float32, len(p.channels))
	p.values(elapsed, numbers)
	rest := make([]klhdv.Value, len(numbers))
	for i, v := range numbers {
		rest[i] = klhdv.Value{Channel: p.channels[i].ID, Stamp: l.stampAt(elapsed), Value: v}
	}
	for most := klhdv.MaxValues(p.settings.MTU); len(rest) > 0; {
		n := min(len(rest), most)
		p.send(klhdv.KeyChannelValues, klhdv.AllHosts, klhdv.EncodeValues(nil, rest[:n]))
		rest = rest[n:]
	}
}

// listen answers what the others ask.
func (p *Provider) listen(ctx context.Context, conn network, l *life) error {
	for {
		err := conn.Receive(ctx, func(packet jetdrive.Packet) { p.handle(l, packet.Data) })
		if errors.Is(err, net.ErrClosed) && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// handle takes one datagram; what is malformed or meant for others is passed
// over.
func (p *Provider) handle(l *life, datagram []byte) {
	f, err := klhdv.Parse(datagram)
	if err != nil {
		return
	}
	verdict := l.node.Screen(f, datagram)
	forUs := f.Dest == klhdv.AllHosts || f.Dest == l.node.Host() && f.Dest != klhdv.Unclaimed
	switch {
	case !forUs || l.newer[f.Host]:
	case verdict == jetdrive.Seeking && f.Key == klhdv.KeyPing:
		p.onPing(l, f)
	case verdict == jetdrive.Other:
		p.act(l, f)
	}
}

func (p *Provider) act(l *life, f klhdv.Frame) {
	if f.Key == klhdv.KeyPing {
		p.onPing(l, f)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f.Key {
	case klhdv.KeyRequestChannelInfo:
		p.announce(f.Host)
	case klhdv.KeyRequestLogging:
		p.onLogging(f)
	case klhdv.KeyRequestLoadControl:
		if _, err := klhdv.DecodeLoadControl(f.Value); err == nil {
			p.send(klhdv.KeyLoadControlResponse, f.Host, klhdv.EncodeLoadControl(nil, klhdv.LoadControl{Enable: klhdv.NotEquipped}))
		}
	case klhdv.KeyRequestBrake:
		if _, err := klhdv.DecodeBrake(f.Value); err == nil {
			p.send(klhdv.KeyBrakeResponse, f.Host, klhdv.EncodeBrake(nil, klhdv.Brake{State: klhdv.NotEquipped}))
		}
	}
}

func (p *Provider) onPing(l *life, f klhdv.Frame) {
	ping, err := klhdv.DecodePing(f.Value)
	if err != nil {
		return
	}
	if ping.Version >= klhdv.BreakingVersion && f.Host != klhdv.Unclaimed {
		l.newer[f.Host] = true // stop talking to it (PROTOCOLS 1.2)
		p.logger.Warn("a host of a newer JETDRIVE version is ignored", "host", jetdrive.HostID(f.Host), "version", ping.Version)
		return
	}
	if err := l.node.AnswerPing(f, ping); err != nil {
		p.counts.sendErrors.Add(1)
		p.logger.Debug("simulated provider cannot answer a ping", "error", err)
	}
}

// onLogging obeys and answers: the asking host, or all of them when the state
// changed. Called with mu held.
func (p *Provider) onLogging(f klhdv.Frame) {
	request, err := klhdv.DecodeLoggingRequest(f.Value)
	if err != nil {
		return
	}
	dest := f.Host
	switch request.Command {
	case klhdv.LoggingBegin:
		if p.setLogging(true) {
			dest = klhdv.AllHosts
		}
	case klhdv.LoggingEnd, klhdv.LoggingCancel:
		if p.setLogging(false) {
			dest = klhdv.AllHosts
		}
	}
	p.sendLogging(dest)
}
