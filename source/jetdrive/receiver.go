package jetdrive

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

const (
	// maxBatch bounds the samples of one batch.
	maxBatch = 1 << 16
	// keepSamples bounds what batches that wait to be used again may hold, 6 MiB.
	keepSamples = 4 * maxBatch
)

// receiver makes samples of datagrams. It has no socket and no goroutine: one
// goroutine gives it datagrams and takes batches; others may look at it.
type receiver struct {
	logger *slog.Logger
	again  int64 // how long the first answer to a question is waited for, µs

	mu       sync.Mutex
	registry *registry
	node     *Node // nil: transmits nothing
	total    Counters
	greeted  bool            // the datagram in hand, if a ping, has been answered
	changes  []LoggingChange // not reported yet
	values   []klhdv.Value

	// Batches are reused: with the taker, or in one of these.
	filling []*provider // those with a pending batch
	ready   []*sample.Batch
	free    []*sample.Batch
}

func newReceiver(r *registry, logger *slog.Logger) *receiver {
	return &receiver{registry: r, logger: logger, again: DefaultAskAgain.Microseconds()}
}

// handle takes in one datagram that arrived at the given session time. It
// keeps nothing of it. A panic is an error of that datagram (CONFORMANCE C4).
// Called with mu held.
func (r *receiver) handle(datagram []byte, from netip.AddrPort, arrival int64) {
	defer func() {
		if failure := recover(); failure != nil {
			r.total.Malformed.Panic++
			r.logger.Error("a JETDRIVE datagram could not be handled", "from", from, "bytes", len(datagram), "panic", fmt.Sprint(failure))
		}
	}()
	r.total.Datagrams++
	f, err := klhdv.Parse(datagram)
	if err != nil {
		if len(datagram) < klhdv.HeaderLen {
			r.total.Malformed.Header++
		} else {
			r.total.Malformed.Truncated++
		}
		return
	}
	switch r.screen(f, datagram) {
	case Echo:
		r.total.Ignored.Echo++
	case Illegal:
		r.total.Ignored.IllegalHost++
	case Seeking:
		r.seeking(f)
	case Other:
		r.other(f, from, arrival)
	}
}

func (r *receiver) screen(f klhdv.Frame, datagram []byte) Verdict {
	switch {
	case r.node != nil:
		return r.node.Screen(f, datagram)
	case f.Host == klhdv.AllHosts:
		return Illegal
	case f.Host == klhdv.Unclaimed:
		return Seeking
	}
	return Other
}

// seeking answers the ping of a host that looks for its id.
func (r *receiver) seeking(f klhdv.Frame) {
	if f.Key != klhdv.KeyPing {
		r.total.Ignored.Unclaimed++
		return
	}
	ping, err := klhdv.DecodePing(f.Value)
	if err != nil {
		r.total.Malformed.Value++
		return
	}
	r.answer(f, ping)
}

func (r *receiver) answer(f klhdv.Frame, ping klhdv.Ping) {
	if r.node == nil || r.greeted {
		return
	}
	if err := r.node.AnswerPing(f, ping); err != nil {
		r.logger.Debug("ping not answered", "host", HostID(f.Host), "error", err)
	}
}

func (r *receiver) other(f klhdv.Frame, from netip.AddrPort, arrival int64) {
	h := r.registry.host(f.Host, arrival)
	if h == nil {
		if r.total.Ignored.TooManyHosts == 0 {
			r.logger.Warn("too many JETDRIVE providers at once: new ones are ignored", "at_most", maxHosts, "from", from)
		}
		r.total.Ignored.TooManyHosts++
		return
	}
	h.address = from
	lost, reordered, duplicates := h.seq.lost, h.seq.reordered, h.seq.duplicates
	o := h.accept(f, arrival)
	r.total.Lost += h.seq.lost - lost // may be -1
	r.total.Reordered += h.seq.reordered - reordered
	r.total.Duplicate += h.seq.duplicates - duplicates
	h.loss.observe(arrival, h.tally.Datagrams, h.seq.lost)

	var seen Counters
	seen.Datagrams = 1
	switch {
	case o == duplicate:
	case h.barred:
		seen.Ignored.Incompatible++
	default:
		r.act(h, f, o, arrival, &seen)
	}
	h.tally.add(seen)
	seen.Datagrams = 0 // counted already
	r.total.add(seen)
}

// act does what a new message asks.
func (r *receiver) act(h *host, f klhdv.Frame, o order, arrival int64, seen *Counters) {
	forUs := f.Dest == klhdv.AllHosts || r.node != nil && r.node.addressed(f.Dest)
	closing := false
	switch f.Key {
	case klhdv.KeyChannelValues:
		if !forUs {
			seen.Ignored.Others++
			break
		}
		r.onValues(h, f.Value, o, arrival, seen)
	case klhdv.KeyChannelInfo: // whoever asked for it, it is true
		info, rest, err := klhdv.DecodeChannelInfo(f.Value)
		if err != nil {
			seen.Malformed.Value++
			break
		}
		if rest > 0 {
			seen.Malformed.Partial++
		}
		r.registry.list(h, info, arrival)
	case klhdv.KeyClearChannelInfo:
		if f.Dest == klhdv.AllHosts {
			closing = true
			r.onClear(h)
		}
	case klhdv.KeyPing, klhdv.KeyPong:
		if !forUs {
			seen.Ignored.Others++
			break
		}
		r.onPingPong(h, f, arrival, seen)
	case klhdv.KeyLoggingResponse:
		r.onLogging(h, f.Value, arrival, seen)
	case klhdv.KeyRequestChannelInfo, klhdv.KeyRequestLogging, klhdv.KeyRequestLoadControl, klhdv.KeyRequestBrake,
		klhdv.KeyLoadControlResponse, klhdv.KeyBrakeResponse:
		// between others; a client has nothing to do
	default:
		seen.UnknownKeys++
	}
	h.closing = closing
}

func (r *receiver) onClear(h *host) {
	h.clock.doubt()
	h.forgiveAsking(r.again)
	if h.provider != nil {
		h.provider.channels.clear(h.seq.position)
	}
}

func (r *receiver) onPingPong(h *host, f klhdv.Frame, arrival int64, seen *Counters) {
	if f.Key == klhdv.KeyPing {
		ping, err := klhdv.DecodePing(f.Value)
		switch {
		case err != nil:
			seen.Malformed.Value++
		case ping.Version >= klhdv.BreakingVersion:
			r.bar(h, ping.Version)
		default:
			r.answer(f, ping)
		}
		return
	}
	pong, err := klhdv.DecodePong(f.Value)
	switch {
	case err != nil:
		seen.Malformed.Value++
	case pong.Version >= klhdv.BreakingVersion:
		r.bar(h, pong.Version)
	case pong.Version > 0 && r.node != nil:
		if t, ok := r.node.matchPong(f, pong, arrival); ok {
			h.clock.answered(t)
		}
	}
}

// bar ends the conversation with one host (PROTOCOLS 1.2), and says so once.
func (r *receiver) bar(h *host, version uint8) {
	h.barred = true
	r.logger.Warn("a JETDRIVE host speaks a newer protocol and is ignored: update dynotap",
		"host", HostID(h.id), "address", h.address, "version", version)
}

// onValues turns the values of one message into samples.
func (r *receiver) onValues(h *host, value []byte, o order, arrival int64, seen *Counters) {
	var rest int
	if r.values, rest = klhdv.AppendValues(r.values[:0], value); rest > 0 {
		seen.Malformed.Partial++
	}
	if len(r.values) == 0 {
		return
	}
	m := h.clock.observe(r.values, arrival, o)
	p := r.registry.providerOf(h)
	p.streamed = true
	if p.excluded {
		seen.Filtered += uint64(len(r.values))
		return
	}
	p.rate.observe(arrival, p.channels.counts)
	quality := h.clock.quality(arrival)
	if b := p.pending; b != nil && (p.channels.changed || b.Clock != quality || len(b.Samples)+len(r.values) > maxBatch) {
		r.flush(p)
	}
	b := r.batch(p)
	before := len(b.Samples)
	b.Samples = slices.Grow(b.Samples, len(r.values))
	n := fill(b.Samples[before:cap(b.Samples)], r.values, m, &p.channels, h.seq.position, seen)
	seen.Values += uint64(n)
	b.Samples = b.Samples[:before+n]
	if p.channels.changed {
		b = r.renew(p, before)
	}
	b.Clock = quality
	if b.Received == 0 {
		b.Received = arrival
	}
	if p.channels.unlisted > 0 {
		r.ask(h, arrival)
	}
}

// fill writes the samples of values that are wanted to dst, which has room for
// all, and returns their number.
func fill(dst []sample.Sample, values []klhdv.Value, m mapping, l *channelList, position int64, seen *Counters) int {
	const unknown = ^uint32(0) // lookup's 0, less 1
	n := 0
	for i := range values {
		v := &values[i]
		index := l.lookup(v.Channel) - 1
		if index >= filteredOut-1 {
			if index == unknown {
				index = l.resolve(v.Channel, position) - 1
			}
			if index == filteredOut-1 {
				seen.Filtered++
				continue
			} else if index == unknown {
				seen.Refused++
				continue
			}
		}
		l.counts[index]++
		dst[n] = sample.Sample{Time: m.at(v.Stamp), Value: float64(v.Value), Channel: index}
		n++
	}
	return n
}

// ask sends RequestChannelInfo to a host whose values are not all listed.
func (r *receiver) ask(h *host, now int64) {
	if r.node == nil || r.node.Host() == klhdv.Unclaimed || !h.mayAsk(now, r.again) {
		return
	}
	if err := r.node.Send(klhdv.KeyRequestChannelInfo, h.id, nil); err != nil {
		r.logger.Debug("channel list not asked for", "host", HostID(h.id), "error", err)
	}
}

// batch is the provider's pending batch, new where there is none.
func (r *receiver) batch(p *provider) *sample.Batch {
	if p.pending == nil {
		p.pending = r.blank()
		r.filling = append(r.filling, p)
	}
	if p.channels.changed {
		r.rebuild(p)
	}
	p.pending.Set = p.set
	return p.pending
}

func (r *receiver) blank() *sample.Batch {
	var b *sample.Batch
	if last := len(r.free) - 1; last >= 0 {
		b, r.free = r.free[last], r.free[:last]
	} else {
		b = new(sample.Batch)
	}
	*b = sample.Batch{Source: r.registry.source, Priority: sample.High, Samples: b.Samples[:0]}
	return b
}

// rebuild brings the provider's channel set up to date. An equal one stays the
// same pointer.
func (r *receiver) rebuild(p *provider) {
	p.channels.changed = false
	if set := p.channels.set(r.registry.source, p.key, p.title(), p.host.id); p.set == nil || p.set.ID() != set.ID() {
		p.set = set
	}
}

// renew gives the pending batch the channel set that its newest message made
// necessary. What came before that message, up to the given index, goes out
// with the old set.
func (r *receiver) renew(p *provider, before int) *sample.Batch {
	b := p.pending
	r.rebuild(p)
	if before == 0 {
		b.Set = p.set
		return b
	}
	fresh := r.blank()
	fresh.Set = p.set
	fresh.Samples = append(fresh.Samples, b.Samples[before:]...)
	b.Samples = b.Samples[:before]
	r.ready = append(r.ready, b)
	p.pending = fresh
	return fresh
}

// flush makes the provider's pending batch ready.
func (r *receiver) flush(p *provider) {
	if len(p.pending.Samples) > 0 {
		r.ready = append(r.ready, p.pending)
	} else {
		r.free = append(r.free, p.pending)
	}
	p.pending = nil
	if i := slices.Index(r.filling, p); i >= 0 {
		r.filling = slices.Delete(r.filling, i, i+1)
	}
}

// waiting is how many samples wait for take. Called with mu held.
func (r *receiver) waiting() int {
	n := 0
	for _, b := range r.ready {
		n += len(b.Samples)
	}
	for _, p := range r.filling {
		n += len(p.pending.Samples)
	}
	return n
}

// take gives the oldest batch, nil when there is none left. It belongs to the
// caller until recycle. Called with mu held.
func (r *receiver) take() *sample.Batch {
	for len(r.ready) == 0 && len(r.filling) > 0 {
		r.flush(r.filling[0])
	}
	if len(r.ready) == 0 {
		return nil
	}
	b := r.ready[0]
	r.ready = slices.Delete(r.ready, 0, 1)
	return b
}

// recycle takes a batch back, unless there are plenty. Called with mu held.
func (r *receiver) recycle(b *sample.Batch) {
	kept := cap(b.Samples)
	for _, f := range r.free {
		kept += cap(f.Samples)
	}
	if kept <= keepSamples {
		r.free = append(r.free, b)
	}
}
