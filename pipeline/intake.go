package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dynotap/channel"
	"dynotap/internal/clock"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/store"
	"dynotap/validate"
)

// retryAccept is how long the intake waits before it offers a batch again
// that the queue could not take for a passing reason (a full disk).
const (
	retryAccept    = 100 * time.Millisecond
	retryAcceptMax = 2 * time.Second
)

// warnEvery is how often validation may write to the log.
const warnEvery = 5 * time.Second

// reasonStopped is why samples are dropped that could not be queued before the
// program had to stop.
const reasonStopped = "stopped"

// reasonPriority is why samples are dropped that a source hands over with a
// priority that does not exist (CONFORMANCE Q2).
const reasonPriority = "invalid_priority"

// Accepted tells of a batch that the queue took, after it was durable.
type Accepted struct {
	ID      sample.BatchID
	Samples int
	// Latency is the time from the arrival of the batch's packets.
	Latency time.Duration
}

// Intake takes batches over from the sources: it resolves and checks their
// samples, shows them to the live hub, and puts them into the queue.
type Intake struct {
	resolver *channel.Resolver
	ranges   validate.Ranges
	critical map[string]bool // canonical names, labels or addresses
	windows  Windows
	queue    *queue.Queue
	store    *store.Store
	session  *session
	ledger   *Ledger
	hub      *Hub
	latency  prometheus.Observer
	ids      *sample.BatchIDs
	clock    *clock.Session
	accepted func(Accepted)
	logger   *slog.Logger

	mu    sync.Mutex
	lanes map[string]*lane
}

// Lane opens a source's way in, with the validation settings of that source.
// The function it gives takes a batch over: it returns when the samples are
// durable under the queue's terms, dropped by its policy, or rejected, each
// counted; it blocks while the queue is full and told to block, or the disk
// is, and then returns ctx's error when ctx ends. It changes b.Samples: what
// is left is what was kept. It is for one goroutine.
func (in *Intake) Lane(source string, settings validate.Settings) func(ctx context.Context, b *sample.Batch) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := &lane{
		name: source, settings: settings, ready: map[*sample.ChannelSet]*prepared{}, failed: map[string]int64{},
		warnings: validate.NewWarningLog(in.logger.With("source", source), settings, warnEvery),
	}
	in.lanes[source] = l
	return func(ctx context.Context, b *sample.Batch) error { return in.accept(ctx, l, b) }
}

func (in *Intake) accept(ctx context.Context, l *lane, b *sample.Batch) error {
	received := len(b.Samples)
	if received == 0 {
		return nil
	}
	l.began.Store(in.clock.Micros())
	defer l.began.Store(0)
	resolved := *b // the source's own batch keeps its native set
	p, err := in.place(ctx, l, &resolved)
	if err != nil {
		in.ledger.Receive(l.name, received, nil)
		in.ledger.Abandon(l.name, received, reasonStopped)
		return err
	}
	b.Samples = l.check(p, b.Samples)
	resolved.Samples = b.Samples
	in.ledger.Receive(l.name, received, l.failed)
	in.hub.Publish(&resolved)

	rest, urgent := l.split(p, b.Samples)
	if err := in.enqueue(ctx, l, &resolved, urgent, sample.Critical); err != nil {
		in.ledger.Abandon(l.name, len(rest), reasonStopped)
		return err
	}
	if in.windows.Width <= 0 {
		return in.enqueue(ctx, l, &resolved, rest, b.Priority)
	}
	return in.gather(ctx, l, p, &resolved, rest)
}

// place gives a batch its resolved channel set and its capture, both durable.
func (in *Intake) place(ctx context.Context, l *lane, b *sample.Batch) (p *prepared, err error) {
	p = l.ready[b.Set]
	if p == nil {
		p = in.prepare(l, b.Set)
		if err := in.persist(ctx, l, func() error { return in.store.PutSet(ctx, p.set) }); err != nil {
			return nil, fmt.Errorf("store channel set: %w", err)
		}
		l.ready[b.Set] = p
	}
	err = in.persist(ctx, l, func() (err error) {
		b.Capture, err = in.session.begin(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin capture: %w", err)
	}
	b.Set = p.set
	return p, nil
}

// enqueue offers part of a batch to the queue until it is taken, refused by
// policy, or ctx ends.
func (in *Intake) enqueue(ctx context.Context, l *lane, b *sample.Batch, samples []sample.Sample, priority sample.Priority) error {
	if len(samples) == 0 {
		return nil
	}
	part := *b
	part.ID, part.Samples, part.Priority = in.ids.Next(), samples, priority
	l.payload = sample.AppendBatch(l.payload[:0], &part)
	item := queue.Item{Source: l.name, Priority: priority, Samples: len(samples), Payload: l.payload}
	err := in.persist(ctx, l, func() error {
		_, err := in.queue.Enqueue(ctx, item)
		return err
	})
	switch {
	case err == nil:
		waited := in.clock.Micros() - b.Received
		l.batches.Add(1)
		l.waited.Add(waited)
		l.refused.Store(0)
		in.latency.Observe(float64(waited) / 1e6)
		if in.accepted != nil {
			in.accepted(Accepted{ID: part.ID, Samples: len(samples), Latency: time.Duration(waited) * time.Microsecond})
		}
		return nil
	case errors.Is(err, queue.ErrFull):
		l.refusedAt.Store(in.clock.Micros())
		l.refused.CompareAndSwap(0, l.refusedAt.Load())
		return nil // by policy; the queue has counted it
	case errors.Is(err, queue.ErrPriority):
		in.ledger.Abandon(l.name, len(samples), reasonPriority)
		return err
	default:
		in.ledger.Abandon(l.name, len(samples), reasonStopped)
		return err
	}
}

// persist repeats put while it fails for a reason that may pass, and makes
// that reason visible; ctx ends it.
func (in *Intake) persist(ctx context.Context, l *lane, put func() error) error {
	for wait := retryAccept; ; wait = min(2*wait, retryAcceptMax) {
		err := put()
		if err == nil || errors.Is(err, queue.ErrFull) || errors.Is(err, queue.ErrPriority) || ctx.Err() != nil {
			in.setStuck(l, nil)
			return err
		}
		if in.setStuck(l, err) {
			in.logger.Error("the queue does not take batches, a source waits", "source", l.name, "error", err)
		}
		select {
		case <-ctx.Done():
			in.setStuck(l, nil)
			return err
		case <-time.After(wait):
		}
	}
}

// setStuck reports whether this is news.
func (in *Intake) setStuck(l *lane, err error) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	news := l.stuck == nil && err != nil
	l.stuck = err
	return news
}

// Stuck says why batches wait outside the queue at present; nil when they do
// not.
func (in *Intake) Stuck() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, l := range in.lanes {
		if l.stuck != nil {
			return l.stuck
		}
	}
	return nil
}

// Hindrance is what keeps a source's samples out of the queue at a moment.
type Hindrance struct {
	Source string
	// Waiting is how long the batch in hand has been on its way into the queue,
	// which is full or waits for the disk. A moment is usual.
	Waiting time.Duration
	// Refused is for how long the full queue has taken none of the source's
	// batches; 0 where it took the last one, or nothing was offered lately.
	Refused time.Duration
}

// lately is how long a refused batch speaks for its source.
const lately = 5 * time.Second

// Hindrances lists the sources that have a batch in hand or refused, by name.
func (in *Intake) Hindrances() []Hindrance {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := in.clock.Micros()
	since := func(at int64) time.Duration {
		if at == 0 {
			return 0
		}
		return max(time.Duration(now-at), 1) * time.Microsecond
	}
	var out []Hindrance
	for _, name := range slices.Sorted(maps.Keys(in.lanes)) {
		l := in.lanes[name]
		h := Hindrance{Source: name, Waiting: since(l.began.Load())}
		if since(l.refusedAt.Load()) < lately {
			h.Refused = since(l.refused.Load())
		}
		if h.Waiting > 0 || h.Refused > 0 {
			out = append(out, h)
		}
	}
	return out
}

// MeanLatency is the mean time from the arrival of a source's packets until
// they were accepted, over all batches since the start.
func (in *Intake) MeanLatency(source string) time.Duration {
	in.mu.Lock()
	l := in.lanes[source]
	in.mu.Unlock()
	if l == nil || l.batches.Load() == 0 {
		return 0
	}
	return time.Duration(l.waited.Load()/l.batches.Load()) * time.Microsecond
}
