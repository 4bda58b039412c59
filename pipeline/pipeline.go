// Package pipeline is the way of the data: what sources emit is resolved to
// canonical channels, validated, queued, and delivered to the store, where
// runs are found in it. It keeps the account of every sample on the way.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"dynotap/channel"
	"dynotap/internal/clock"
	"dynotap/internal/db"
	"dynotap/internal/startstop"
	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/queue/sqlite"
	"dynotap/run"
	"dynotap/sample"
	"dynotap/store"
	"dynotap/validate"
)

// Options are what a Pipeline is made of. DB, Dir, Resolver, Ranges and Clock
// are needed.
type Options struct {
	DB  *db.DB
	Dir string // the data directory
	// Durable keeps the queue on disk; otherwise it is in memory.
	Durable bool
	Queue   queue.Settings
	Store   store.Options

	Resolver *channel.Resolver
	Ranges   validate.Ranges
	// Critical channels, by canonical name, label or address, go ahead of
	// everything else.
	Critical []string
	// Windows, if it has a width, are stored in place of every sample.
	Windows Windows
	// Source names the session's runs.
	Source string

	Clock      *clock.Session
	Registerer prometheus.Registerer // nil: no metrics
	Logger     *slog.Logger          // nil: silent
	// Accepted is told of every batch once it is durable. It must not block.
	Accepted func(Accepted)
	// Run is told of every run that is found or changed. It must not block.
	Run func(run.Run)
}

// Pipeline is everything between the sources and the disk. It is safe for
// concurrent use.
type Pipeline struct {
	Store  *store.Store
	Queue  *queue.Queue
	Ledger *Ledger
	// Imported is the accounts of files, by format.
	Imported *Ledger
	Hub      *Hub
	Intake   *Intake
	// Recorder finds runs in what is stored, and seals it.
	Recorder *Recorder
	// Unused is what lies in the queue on disk while the queue is in memory: an
	// earlier start left it, and nobody delivers it.
	Unused Left

	process queue.Processor
	logger  *slog.Logger
	service startstop.Service
}

// New opens store and queue, and books what the queue held from an earlier
// start. It blocks on the database.
func New(ctx context.Context, o Options) (*Pipeline, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Store.Logger == nil {
		o.Store.Logger = o.Logger
	}
	st, err := store.Open(ctx, o.DB, o.Dir, o.Store)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	p := &Pipeline{Store: st, Ledger: NewLedger(), Imported: NewLedger(), Hub: NewHub(), process: Deliver(st), logger: o.Logger}
	if err := p.openQueue(ctx, o); err != nil {
		return nil, err
	}
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "dynotap_latency_seconds",
		Help:    "Time from a packet's arrival until its samples are in the queue, durable if the queue is.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
	})
	if o.Registerer != nil {
		if err := o.Registerer.Register(latency); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	p.Recorder = newRecorder(st, o.DB, o.Clock, o.Logger, func() int64 {
		_, total := p.Ledger.Snapshot()
		return total.Failed
	}, o.Run)
	critical := make(map[string]bool, len(o.Critical))
	for _, name := range o.Critical {
		critical[name] = true
	}
	p.Intake = &Intake{
		resolver: o.Resolver, ranges: o.Ranges, critical: critical, windows: o.Windows,
		queue: p.Queue, store: st, session: &session{store: st, clock: o.Clock, source: o.Source, begun: p.Recorder.follow}, ledger: p.Ledger, hub: p.Hub, latency: latency,
		ids: sample.NewBatchIDs(), clock: o.Clock, accepted: o.Accepted, logger: o.Logger,
		lanes: map[string]*lane{},
	}
	return p, nil
}

func (p *Pipeline) openQueue(ctx context.Context, o Options) (err error) {
	var driver queue.Driver = sqlite.New(o.DB)
	if !o.Durable {
		if p.Unused, err = unused(ctx, driver); err != nil {
			return err
		}
		driver = memory.New()
	}
	p.Queue, err = queue.New(driver, o.Queue, queue.Options{
		Logger:   o.Logger,
		Observer: p.Ledger.Observe,
		Apply:    func(ctx context.Context, effects []db.Effect) []error { return ApplyEach(ctx, o.DB, effects) },
	})
	if err != nil {
		return fmt.Errorf("open queue: %w", err)
	}
	return nil
}

// Accounts are those of the sources and of the formats of imported files.
func (p *Pipeline) Accounts() (all map[string]Account, total Account) {
	all, total = p.Ledger.Snapshot()
	imported, more := p.Imported.Snapshot()
	for name, a := range imported {
		sum := all[name]
		sum.add(a)
		all[name] = sum
	}
	total.add(more)
	return all, total
}

// unused is what an earlier start with a queue on disk has left.
func unused(ctx context.Context, disk queue.Driver) (left Left, err error) {
	state, err := disk.Load(ctx)
	if err != nil {
		return left, fmt.Errorf("look at the queue on disk: %w", err)
	}
	for _, t := range state.Totals {
		if t.Dead {
			left.Dead += int64(t.Samples)
			continue
		}
		left.Items += t.Items
		left.Samples += int64(t.Samples)
	}
	return left, nil
}

// ApplyEach commits effects together, each failing alone: it is what a queue
// in memory needs before it lets go of an item.
func ApplyEach(ctx context.Context, d *db.DB, effects []db.Effect) []error {
	errs := make([]error, len(effects))
	err := d.Write(ctx, func(tx *db.Tx) error {
		for i, effect := range effects {
			errs[i] = tx.Savepoint(func() error { return effect(tx) })
			if errors.Is(errs[i], db.ErrRolledBack) {
				return errs[i]
			}
		}
		return nil
	})
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// Left is what a stop or a start leaves in the queue.
type Left struct {
	Items   int
	Samples int64
	Dead    int64 // samples among the dead letters
}

// Recover delivers what an earlier start left in the queue and completes the
// captures that it did not end: their runs are found and their chunks sealed.
// It is for before Start, and goes on until all is done or ctx ends; what
// cannot be delivered yet stays in the queue.
func (p *Pipeline) Recover(ctx context.Context) error {
	report, err := p.Queue.Drain(ctx, p.process, -1)
	if err != nil {
		return fmt.Errorf("deliver what was left in the queue: %w", err)
	}
	if report.Done > 0 {
		p.logger.Info("delivered what was left in the queue", "batches", report.Done, "left", report.Left)
	}
	if err := p.Recorder.completeEarlier(ctx); err != nil {
		return err
	}
	return p.Recorder.sealDue(ctx)
}

// Seal seals what is due, for those who do not Start.
func (p *Pipeline) Seal(ctx context.Context) error { return p.Recorder.sealDue(ctx) }

// Start begins delivery, the live hub, run detection and sealing.
func (p *Pipeline) Start(ctx context.Context) error {
	if err := p.Queue.Start(ctx, p.process); err != nil {
		return err
	}
	return p.service.Start(ctx, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return p.Hub.Run(ctx) })
		group.Go(func() error { return p.Recorder.detect(ctx) })
		group.Go(func() error { return p.Recorder.seal(ctx) })
		return group.Wait()
	})
}

// Stop is for after the sources have stopped: it delivers what waits, ends the
// session, finds its last runs and seals it, all until ctx ends, and tells
// what is left in the queue for the next start.
func (p *Pipeline) Stop(ctx context.Context) (Left, error) {
	p.Intake.flush(ctx)
	err := p.Queue.Stop(ctx)
	if _, drain := p.Queue.Drain(ctx, p.process, -1); drain != nil {
		err = errors.Join(err, drain)
	}
	stop := p.service.Stop(ctx)
	err = errors.Join(err, stop)
	left := Left{Items: p.Queue.Len()}
	_, total := p.Ledger.Snapshot()
	left.Samples, left.Dead = total.Queued, total.Dead
	if stop != nil {
		return left, err // the recorder is still at it; the next start completes the session
	}
	if complete := p.Recorder.completeSession(ctx); complete != nil {
		err = errors.Join(err, fmt.Errorf("complete the session: %w", complete))
	}
	if late := p.Recorder.sealDue(ctx); late != nil {
		err = errors.Join(err, fmt.Errorf("seal what came late: %w", late))
	}
	return left, err
}
