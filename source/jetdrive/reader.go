package jetdrive

import (
	"context"
	"fmt"
	"time"

	"dynotap/internal/startstop"
	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/jetdrive/klhdv"

	"golang.org/x/sync/errgroup"
)

// Reader is one connection of a Source.
type Reader struct {
	source   *Source
	receiver *receiver
	conn     *Conn
	node     *Node // nil: listens only
	presence startstop.Service
	linger   *time.Timer
	handle   func(Packet)
	greeted  uint64    // packets before this one have been looked through for pings
	fast     bool      // the last Read found a fast stream
	since    time.Time // the end of the last Read's gathering
}

// fastStream is how many samples a second need no linger: it would make
// batches of thousands, and keep the socket waiting.
const fastStream = 1_000_000

// greetEvery is how often pings are looked for among the datagrams that wait
// for a source which waits itself. A host that asks for an id listens for a
// second (PROTOCOLS 1.2).
const greetEvery = 250 * time.Millisecond

func newReader(s *Source, conn *Conn) *Reader {
	r := &Reader{source: s, receiver: s.receiver, conn: conn, linger: time.NewTimer(0)}
	r.handle = func(p Packet) {
		s.receiver.greeted = conn.in.ring.consumed.Load() < r.greeted
		s.receiver.handle(p.Data, p.From, s.session.At(p.Arrived))
	}
	return r
}

// transmit makes the node and sets it to work. It wants the id it had before.
func (r *Reader) transmit(ctx context.Context, wanted uint16) error {
	r.node = NewNode(r.conn, NodeSettings{
		HostID: wanted, Ping: true, Micros: r.source.session.Micros, Logger: r.source.logger,
		Claimed: func(uint16) {
			if err := r.node.Send(klhdv.KeyRequestChannelInfo, klhdv.AllHosts, nil); err != nil {
				r.source.logger.Debug("channel lists not asked for", "error", err)
			}
		},
	})
	return r.presence.Start(ctx, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return r.node.Run(ctx) })
		group.Go(func() error { return r.greet(ctx) })
		return group.Wait()
	})
}

// greet answers pings that have not been read yet, until ctx ends: while the
// queue is full and a Read waits, others still see that this host is there.
func (r *Reader) greet(ctx context.Context) error {
	tick := time.NewTicker(greetEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		r.receiver.mu.Lock()
		r.greeted = r.conn.in.ring.peek(r.greeted, r.answer)
		r.receiver.mu.Unlock()
	}
}

// answer answers a ping ahead of its turn. What else it means it means in its
// turn.
func (r *Reader) answer(p Packet) {
	f, err := klhdv.Parse(p.Data)
	if err != nil || f.Key != klhdv.KeyPing {
		return
	}
	ping, err := klhdv.DecodePing(f.Value)
	if err != nil {
		return
	}
	if v := r.node.Screen(f, p.Data); v != Other && v != Seeking {
		return
	}
	if err := r.node.AnswerPing(f, ping); err != nil {
		r.source.logger.Debug("ping not answered", "host", HostID(f.Host), "error", err)
	}
}

// Read waits for datagrams, gathers what else comes within the linger, and
// emits the samples, a batch for each provider. What one Read could not emit
// the next one does. When the socket is lost the error wraps source.ErrLost.
func (r *Reader) Read(ctx context.Context, emit func(*sample.Batch) error) error {
	if err := r.receive(ctx); err != nil {
		return err
	}
	for {
		b := r.next()
		if b == nil {
			return nil
		}
		if err := emit(b); err != nil {
			return err
		}
		r.receiver.mu.Lock()
		r.receiver.recycle(b)
		r.receiver.mu.Unlock()
	}
}

// receive takes in what waits, and waits for it if nothing is left over from
// the Read before.
func (r *Reader) receive(ctx context.Context) error {
	if r.waiting() > 0 {
		return nil
	}
	for !r.drain() {
		select {
		case <-r.conn.Ready():
		case <-ctx.Done():
			return ctx.Err()
		case <-r.conn.Done():
			if r.drain() {
				return nil
			}
			return fmt.Errorf("%w: %w", source.ErrLost, r.conn.Err())
		}
	}
	if r.waiting() > 0 && r.source.settings.Linger > 0 && !r.fast {
		r.linger.Reset(r.source.settings.Linger)
		select {
		case <-r.linger.C:
		case <-ctx.Done():
		case <-r.conn.Done():
		}
		r.drain()
	}
	now := time.Now()
	r.fast = float64(r.waiting()) > fastStream*now.Sub(r.since).Seconds()
	r.since = now
	return nil
}

// drain handles the packets that wait and reports whether there were any.
func (r *Reader) drain() bool {
	r.receiver.mu.Lock()
	defer r.receiver.mu.Unlock()
	return r.conn.Drain(r.handle) > 0
}

func (r *Reader) waiting() int {
	r.receiver.mu.Lock()
	defer r.receiver.mu.Unlock()
	return r.receiver.waiting()
}

// next gives the next batch, nil when there is none, and reports what logs
// began or ended.
func (r *Reader) next() *sample.Batch {
	r.receiver.mu.Lock()
	changes := r.receiver.changes
	r.receiver.changes = nil
	b := r.receiver.take()
	r.receiver.mu.Unlock()
	for _, c := range changes {
		r.source.logging(c)
	}
	return b
}

// BytesReceived is what came in since Open, without IP and UDP headers.
func (r *Reader) BytesReceived() int64 { return int64(r.conn.Counters().Bytes) }

// Close leaves the network.
func (r *Reader) Close() error {
	err := r.presence.Stop(context.Background())
	r.linger.Stop()
	if closeErr := r.conn.Close(); err == nil {
		err = closeErr
	}
	return err
}
