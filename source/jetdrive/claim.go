package jetdrive

import (
	"context"
	"encoding"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"dynotap/source/jetdrive/klhdv"
)

const (
	// claimWait is how long the others have to answer (PROTOCOLS 1.2: about 1 s).
	claimWait = time.Second
	// claimPause is the wait after a claim that could not even be sent.
	claimPause = 5 * time.Second
	// drawLimit bounds the search for a free id on a network that pretends to
	// have none; a collision would show and be dealt with.
	drawLimit = 10_000
	// pingPeriod is the distance of pings, and so of clock readings.
	pingPeriod = time.Second
	// pingLife is how long an answer to a ping counts, in µs.
	pingLife = 5_000_000
)

// HostID is a JETDRIVE host id, shown and written as 0x43FD.
type HostID uint16

var _ encoding.TextMarshaler = HostID(0)

// String gives the id as 0x43FD.
func (h HostID) String() string { return fmt.Sprintf("0x%04X", uint16(h)) }

// MarshalText gives the id as 0x43FD.
func (h HostID) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText writes, or a decimal number.
func (h *HostID) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 0, 16)
	if err != nil {
		return fmt.Errorf("host id %q: %w", text, err)
	}
	*h = HostID(v)
	return nil
}

// claim asks who is there and takes an id that nobody answered with or used
// meanwhile.
func (n *Node) claim(ctx context.Context) (uint16, error) {
	first := n.settings.HostID
	for {
		n.mu.Lock()
		n.heard = make(map[uint16]bool)
		n.self.Store(&identity{claim: true, retired: n.self.Load().retired})
		err := n.ping(klhdv.Unclaimed)
		n.mu.Unlock()
		wait := claimWait
		if err != nil {
			n.logger.Warn("cannot ask for a JETDRIVE host id", "error", err)
			wait = claimPause
		}
		if !sleep(ctx, wait) {
			return 0, ctx.Err()
		}
		if err == nil {
			return n.take(first), nil
		}
	}
}

// take makes the wanted id ours where it is free, else a random free one.
func (n *Node) take(wanted uint16) uint16 {
	n.mu.Lock()
	defer n.mu.Unlock()
	retired := n.self.Load().retired
	taken := func(id uint16) bool { return n.heard[id] || slices.Contains(retired, id) }
	for range drawLimit {
		if wanted != klhdv.Unclaimed && wanted != klhdv.AllHosts && !taken(wanted) {
			break
		}
		wanted = uint16(1 + rand.IntN(int(klhdv.AllHosts)-1))
	}
	n.heard = nil
	select {
	case <-n.collision: // of the id before this one
	default:
	}
	n.self.Store(&identity{host: wanted, retired: retired})
	return wanted
}

// serve pings until ctx ends, which is an error, or a collision, which is not.
func (n *Node) serve(ctx context.Context) error {
	var tick <-chan time.Time
	if n.settings.Ping {
		ticker := time.NewTicker(pingPeriod)
		defer ticker.Stop()
		tick = ticker.C
		n.pingAll()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.collision:
			return nil
		case <-tick:
			n.pingAll()
		}
	}
}

func (n *Node) pingAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	host := n.self.Load().host
	if host == klhdv.Unclaimed {
		return // retired this moment: serve is about to return
	}
	if err := n.ping(host); err != nil {
		n.logger.Debug("ping failed", "error", err)
	}
}

// ping sends an empty ping to all hosts. Called with mu held.
func (n *Node) ping(host uint16) error {
	stamp := n.settings.Stamp()
	for n.pings.has(stamp) {
		stamp++ // two pings in one millisecond must be told apart
	}
	at := n.settings.Micros()
	err := n.send(klhdv.Header{Key: klhdv.KeyPing, Host: host, Dest: klhdv.AllHosts}, klhdv.EncodePing(nil, stamp))
	if err == nil {
		n.pings.add(stamp, at)
	}
	return err
}

// trip is one answered ping (Cristian's algorithm).
type trip struct {
	sent, back int64  // session time, µs
	remote     uint32 // the other's clock when it answered, ms
}

// roundTrip is the duration in µs.
func (t trip) roundTrip() int64 { return t.back - t.sent }

// matchPong finds the ping that a pong, arrived at the given session time,
// answers: it must be addressed to this node and carry a timestamp that we
// sent within the last 5 s (PROTOCOLS 1.3).
func (n *Node) matchPong(f klhdv.Frame, pong klhdv.Pong, arrival int64) (trip, bool) {
	host := n.self.Load().host
	if host == klhdv.Unclaimed || f.Dest != host {
		return trip{}, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	sent, ok := n.pings.at(pong.HostTS)
	if !ok || arrival < sent || arrival-sent > pingLife {
		return trip{}, false
	}
	return trip{sent: sent, back: arrival, remote: pong.RemoteTS}, true
}

// pingLog remembers the last pings: more than fit into pingLife.
type pingLog struct {
	stamps [8]uint32
	sent   [8]int64
	used   int
	next   int
}

func (l *pingLog) add(stamp uint32, sent int64) {
	l.stamps[l.next], l.sent[l.next] = stamp, sent
	l.next = (l.next + 1) % len(l.stamps)
	l.used = min(l.used+1, len(l.stamps))
}

func (l *pingLog) has(stamp uint32) bool { return slices.Contains(l.stamps[:l.used], stamp) }

func (l *pingLog) at(stamp uint32) (sent int64, ok bool) {
	if i := slices.Index(l.stamps[:l.used], stamp); i >= 0 {
		return l.sent[i], true
	}
	return 0, false
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
