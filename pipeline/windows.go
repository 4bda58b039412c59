package pipeline

import (
	"context"
	"time"

	"dynotap/queue"
	"dynotap/run/window"
	"dynotap/sample"
)

// Windows says that of each channel one value a window is stored, in place of
// every sample (CONFORMANCE A5). Critical channels are stored as they come, and
// so is what fits into no window: bad samples, and those that come when their
// window is stored.
type Windows struct {
	// Width of a window; 0: every sample is stored.
	Width time.Duration
	// Statistics by canonical name, label or address; window.Last for others.
	Statistics map[string]window.Statistic
}

// reasonWindow is why samples are discarded: a window's value stands for them.
const reasonWindow = "window"

// silence is after how long without a sample of its own a channel set's last
// windows are stored, by the time of the source's other samples.
const silence = time.Second

// windowed is the windows of one channel set.
type windowed struct {
	aggregator *window.Aggregator
	statistics []window.Statistic // by channel index
	out        []sample.Sample
	taken      int          // samples that out stands for
	last       sample.Batch // the newest of the set, without samples
}

// of makes the windows of a set; nil where every sample is stored.
func (w *Windows) of(set *sample.ChannelSet) *windowed {
	if w.Width <= 0 {
		return nil
	}
	g := &windowed{statistics: make([]window.Statistic, set.Len())}
	for i, c := range set.Channels() {
		for _, name := range []string{c.Address(), c.Label, c.Name} {
			if s, ok := w.Statistics[name]; ok {
				g.statistics[i] = s
			}
		}
	}
	g.aggregator = window.New(window.Settings{Width: w.Width}, g.give)
	return g
}

// give turns a window into samples.
func (g *windowed) give(w window.Window) {
	for _, c := range w.Cells {
		if c.Count == 0 {
			continue
		}
		value, _ := c.Value(g.statistics[c.Channel])
		g.out = append(g.out, sample.Sample{Time: c.At, Value: value, Channel: c.Channel, Quality: c.Quality})
		g.taken += c.Count
	}
}

func (g *windowed) open() bool { return g != nil && (g.aggregator.Open() || len(g.out) > 0) }

// gather puts a batch's samples into their windows and enqueues the windows
// that are complete.
func (in *Intake) gather(ctx context.Context, l *lane, p *prepared, b *sample.Batch, samples []sample.Sample) error {
	p.windows.last = *b
	p.windows.last.Samples = nil
	l.single = l.single[:0]
	newest := int64(0)
	for _, s := range samples {
		newest = max(newest, s.Time)
		if !p.windows.aggregator.Add(s) {
			l.single = append(l.single, s)
		}
	}
	if err := in.enqueue(ctx, l, b, l.single, b.Priority); err != nil {
		return err
	}
	for _, other := range l.ready {
		other.windows.aggregator.Advance(newest - silence.Microseconds())
		if err := in.settle(ctx, l, other.windows); err != nil {
			return err
		}
	}
	return nil
}

// settle enqueues what a set's complete windows have given.
func (in *Intake) settle(ctx context.Context, l *lane, g *windowed) error {
	if len(g.out) == 0 {
		return nil
	}
	defer func() { g.out, g.taken = g.out[:0], 0 }()
	if spare := g.taken - len(g.out); spare > 0 {
		in.ledger.Observe(queue.Event{Source: l.name, Samples: spare, From: queue.Queued, To: queue.Discarded, Reason: reasonWindow})
	}
	return in.enqueue(ctx, l, &g.last, g.out, g.last.Priority)
}

// flush enqueues the windows that are not complete: the sources have stopped.
// What cannot be enqueued is counted.
func (in *Intake) flush(ctx context.Context) {
	in.mu.Lock()
	lanes := make([]*lane, 0, len(in.lanes))
	for _, l := range in.lanes {
		lanes = append(lanes, l)
	}
	in.mu.Unlock()
	for _, l := range lanes {
		for _, p := range l.ready {
			if !p.windows.open() {
				continue
			}
			p.windows.aggregator.Flush()
			if err := in.settle(ctx, l, p.windows); err != nil {
				in.logger.Error("store the last windows of a source", "source", l.name, "error", err)
			}
		}
	}
}
