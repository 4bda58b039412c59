package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"dynotap/channel"
	"dynotap/config"
	"dynotap/internal/clock"
	"dynotap/internal/db"
	"dynotap/internal/startstop"
	"dynotap/pipeline"
	"dynotap/pipeline/imports"
	"dynotap/sample"
	"dynotap/server"
	"dynotap/validate"
	"dynotap/web"
)

// recording is a running program: everything `dynotap run` opens, in the order
// in which it opens it.
type recording struct {
	program *Program
	loaded  *config.Loaded
	dir     string
	logger  *slog.Logger
	say     *speaker
	serveUI bool
	// accepted, if it is not nil, is told of every batch that is durable.
	accepted func(pipeline.Accepted)

	db       *db.DB
	registry *prometheus.Registry
	clock    *clock.Session
	pipeline *pipeline.Pipeline
	cell     *cell
	pressure *pressure
	watching startstop.Service // of the pressure
	counting startstop.Service // statistics in the log
	imports  *imports.Importer
	inbox    startstop.Service // watches the inbox, after what was cut off
	backups  *backups
	storage  *storage
	// retention deletes what is too old.
	retention *retention
	retaining startstop.Service
	server    *server.Server

	startedUS int64
	started   bool // there is something to stop
	said      bool // hello
}

// open takes the data directory and builds everything; nothing runs yet.
func (a *recording) open(ctx context.Context) (err error) {
	cfg := &a.loaded.Config
	a.db, err = db.Open(ctx, a.dir, db.Options{Fsync: cfg.Queue.Fsync, Logger: a.logger})
	if err != nil {
		return explainDir(err, a.dir)
	}
	mapped, err := mapping(cfg)
	if err != nil {
		return usageError{err}
	}
	resolver, err := channel.NewResolver(mapped)
	if err != nil {
		return usageError{fmt.Errorf("channels: %w", err)}
	}
	ranges, err := cfg.Ranges()
	if err != nil {
		return usageError{fmt.Errorf("sensor_ranges: %w", err)}
	}
	a.clock = clock.New()
	a.startedUS = a.clock.Micros()
	a.registry = prometheus.NewRegistry()
	a.pipeline, err = pipeline.New(ctx, pipeline.Options{
		DB: a.db, Dir: a.dir, Durable: cfg.Queue.PersistToDisk, Queue: queueing(cfg),
		Resolver: resolver, Ranges: ranges, Critical: cfg.CriticalChannels,
		Windows: windowing(&cfg.Aggregation),
		Source:  strings.Join(a.enabledSources(), "+"), Clock: a.clock, Registerer: a.registry, Logger: a.logger,
		Run: a.say.run, Accepted: a.accepted,
	})
	if err != nil {
		return err
	}
	if a.imports, err = a.newImporter(resolver, ranges); err != nil {
		return err
	}
	a.cell, err = newCell(a.program, cfg, a.pipeline, a.clock, a.logger, a.say)
	if err != nil {
		return err
	}
	a.pressure = &pressure{
		stats: a.pipeline.Queue.Stats, hindered: a.pipeline.Intake.Hindrances, overruns: a.cell.overruns,
		announce: a.say.event, logger: a.logger, now: time.Now,
	}
	if err := a.registerMetrics(); err != nil {
		return err
	}
	if a.backups, err = newBackups(a); err != nil {
		return explainDir(err, a.dir)
	}
	a.retention = &retention{
		days: cfg.Retention.Days, catalog: catalog{a.pipeline.Store, a.imports}, now: a.clock.Micros, logger: a.logger,
	}
	a.storage = newStorage(a)
	a.server, err = a.newServer(ranges)
	return err
}

func (a *recording) enabledSources() []string {
	var names []string
	for _, spec := range a.program.Sources {
		if a.loaded.Config.Source(spec.Name).Enabled {
			names = append(names, spec.Name)
		}
	}
	return names
}

func (a *recording) registerMetrics() error {
	if err := a.registry.Register(collectors.NewGoCollector()); err != nil {
		return err
	}
	if err := a.registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})); err != nil {
		return err
	}
	return a.registry.Register(&metrics{cell: a.cell, pipeline: a.pipeline, pressure: a.pressure})
}

// start takes up what an earlier start left, then serves, then records.
func (a *recording) start(ctx context.Context) error {
	if err := a.cell.check(ctx); err != nil {
		return err
	}
	if err := a.pipeline.Recover(ctx); err != nil {
		return err
	}
	if err := a.pipeline.Start(ctx); err != nil {
		return err
	}
	a.started = true
	if err := a.server.Start(ctx); err != nil {
		return err
	}
	address := strings.TrimSuffix(strings.TrimPrefix(a.server.URL(), "http://"), "/")
	if err := a.db.Announce(address, a.loaded.Config.Server.Token); err != nil {
		return err
	}
	a.said = true
	a.say.hello(a)
	if err := a.watching.Start(ctx, a.pressure.watch); err != nil {
		return err
	}
	if a.loaded.Config.MetricsEnabled {
		if err := a.counting.Start(ctx, a.logStatistics); err != nil {
			return err
		}
	}
	if err := a.inbox.Start(ctx, a.watchInbox); err != nil {
		return err
	}
	if err := a.retaining.Start(ctx, a.retention.watch); err != nil {
		return err
	}
	return a.cell.start(ctx)
}

// stop ends everything that runs, sources first, so that nothing is taken in
// that is not delivered; then it reports.
func (a *recording) stop(ctx context.Context) error {
	if !a.started {
		return nil
	}
	err := errors.Join(a.inbox.Stop(ctx), a.retaining.Stop(ctx), a.cell.stop(ctx))
	left, stop := a.pipeline.Stop(ctx)
	err = errors.Join(err, stop, a.watching.Stop(ctx), a.counting.Stop(ctx), a.server.Stop(ctx))
	if a.said {
		a.say.goodbye(a, left)
	}
	return err
}

// close gives the data directory free.
func (a *recording) close() error {
	if a.db == nil {
		return nil
	}
	return a.db.Close()
}

func (a *recording) newServer(ranges validate.Ranges) (*server.Server, error) {
	cfg := &a.loaded.Config
	units, _ := sample.ParseSystem(cfg.Display.Units)
	zone, err := cfg.Location()
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	examiner, err := a.newDoctor()
	if err != nil {
		return nil, err
	}
	dashboard, err := web.New()
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	s, err := server.New(server.Options{
		Hosts:  serverNames(cfg.Server.Hosts, os.Hostname),
		Listen: cfg.Server.Listen, Token: cfg.Server.Token, Version: a.program.Version,
		Units: units, Logger: a.logger, NoPages: !a.serveUI, Dashboard: dashboard,
		Gatherer: a.registry, NoMetrics: !cfg.MetricsEnabled, Readiness: a.readiness, Stats: a.stats, Config: a.effective,
		Sources: a.cell, Queue: a.pipeline.Queue, QueueState: a.queueState, Decoder: a.pipeline, Runs: a.retention.catalog,
		Samples:    runSamples{store: a.pipeline.Store, units: units},
		Sheets:     &runSheets{store: a.pipeline.Store, units: units, zone: zone},
		Recordings: &recordings{recorder: a.pipeline.Recorder}, Live: a.pipeline.Hub, Ranges: ranges, Doctor: examiner,
		Imports: a.imports, Backups: a.backups, Storage: a.storage.Storage,
	})
	if errors.Is(err, server.ErrToken) {
		return nil, usageError{err}
	}
	return s, err
}

// queueState is what the queue does not know of itself.
func (a *recording) queueState() server.QueueState {
	s := server.QueueState{Running: a.started, Durability: server.SurvivesPowerLoss}
	switch q := a.loaded.Config.Queue; {
	case !q.PersistToDisk:
		s.Durability = server.SurvivesNothing
	case !q.Fsync:
		s.Durability = server.SurvivesCrash
	}
	return s
}

// stats is the body of /api/v1/stats.
func (a *recording) stats() any {
	s := a.cell.stats()
	s.Pressure = a.pressure.view()
	return s
}

// effective is the body of /api/v1/config: each setting, its value without
// secrets, and where it comes from.
func (a *recording) effective() any {
	return map[string]any{"settings": a.loaded.Settings(a.program.sourceNames()), "data": a.dir}
}

// readiness says whether samples are accepted: not while the queue takes
// nothing because of an error, nor once it has taken nothing of a source for
// notAcceptingAfter, whether that waits or is refused.
func (a *recording) readiness(ctx context.Context) server.Readiness {
	var r server.Readiness
	if err := a.pipeline.Intake.Stuck(); err != nil {
		r.Reasons = append(r.Reasons, "the queue does not take batches: "+err.Error())
	}
	reasons, notes := a.pressure.readiness()
	r.Reasons, r.Notes = append(r.Reasons, reasons...), append(r.Notes, notes...)
	r.Notes = append(r.Notes, a.cell.remarks()...)
	if !a.loaded.Config.Queue.PersistToDisk {
		r.Notes = append(r.Notes, "not durable: the queue is in memory (queue.persist_to_disk is false)")
		if !a.loaded.Config.Queue.Fsync {
			r.Notes = append(r.Notes, "what was stored last may be lost with the power (queue.fsync is false)")
		}
		if note := unusedNote(a.pipeline.Unused); note != "" {
			r.Notes = append(r.Notes, note)
		}
	} else if !a.loaded.Config.Queue.Fsync {
		r.Notes = append(r.Notes, "durable against a crash, not against power loss (queue.fsync is false)")
	}
	for _, note := range []string{a.storage.warning(ctx), a.retention.note()} {
		if note != "" {
			r.Notes = append(r.Notes, note)
		}
	}
	r.Notes = append(r.Notes, quarantineNotes(a.db.Quarantined())...)
	return r
}

// freePort finds a UDP port that nobody uses at the moment.
func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	probe, err := config.ListenPacket(ctx, "udp4", loopback+":0")
	if err != nil {
		return "", err
	}
	defer probe.Close()
	_, port, err := net.SplitHostPort(probe.LocalAddr().String())
	return port, err
}
