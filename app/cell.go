package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"dynotap/config"
	"dynotap/internal/clock"
	"dynotap/internal/startstop"
	"dynotap/pipeline"
	"dynotap/server"
	"dynotap/source"
	"dynotap/validate"
)

// cell is the live sources of a running program, each with its supervisor. It
// is what the server calls Sources.
type cell struct {
	sources  []*cellSource
	pipeline *pipeline.Pipeline
	plugs    startstop.Service
}

type cellSource struct {
	name       string
	enabled    bool
	live       LiveSource
	supervisor *source.Supervisor
}

// newCell builds every source of the program, enabled or not, so that one can
// be started later.
func newCell(p *Program, cfg *config.Config, pipe *pipeline.Pipeline, session *clock.Session, logger *slog.Logger, say *speaker) (*cell, error) {
	c := &cell{pipeline: pipe}
	for _, spec := range p.Sources {
		settings := cfg.Source(spec.Name)
		live, err := spec.Build(SourceInput{
			Config: cfg, Settings: settings, Session: session, Logger: logger.With("source", spec.Name),
			Logging: pipe.Recorder.Logging, Announce: say.event,
		})
		if err != nil {
			return nil, usageError{fmt.Errorf("source %s: %w", spec.Name, err)}
		}
		name := spec.Name
		supervisor, err := source.NewSupervisor(live, source.Options{
			Name: name, Settings: supervision(settings), Accept: pipe.Intake.Lane(name, validate.Settings(settings.Validation)),
			Tally: func() source.Tally { return c.tally(name) }, OnTransition: say.transition, Sporadic: live.Sporadic, Logger: logger,
		})
		if err != nil {
			return nil, usageError{err}
		}
		c.sources = append(c.sources, &cellSource{name: name, enabled: settings.Enabled, live: live, supervisor: supervisor})
	}
	return c, nil
}

func (c *cell) tally(name string) source.Tally {
	accounts, _ := c.pipeline.Ledger.Snapshot()
	a := accounts[name]
	return source.Tally{
		Processed: a.Processed, Failed: a.Failed, Dropped: a.Dropped, Latency: c.pipeline.Intake.MeanLatency(name),
	}
}

// check says whether the enabled sources can work as configured.
func (c *cell) check(ctx context.Context) error {
	for _, s := range c.sources {
		if !s.enabled || s.live.Check == nil {
			continue
		}
		if err := s.live.Check(ctx); err != nil {
			return fmt.Errorf("source %s: %w", s.name, err)
		}
	}
	return nil
}

// start starts the enabled sources.
func (c *cell) start(ctx context.Context) error {
	for _, s := range c.sources {
		if !s.enabled {
			continue
		}
		if err := s.supervisor.Start(ctx); err != nil {
			return fmt.Errorf("start source %s: %w", s.name, err)
		}
	}
	return c.plugs.Start(ctx, c.watchPlugs)
}

// stop stops all sources, each bounded by ctx.
func (c *cell) stop(ctx context.Context) error {
	errs := append(make([]error, 0, len(c.sources)+1), c.plugs.Stop(ctx))
	for _, s := range c.sources {
		errs = append(errs, s.supervisor.Stop(ctx))
	}
	return errors.Join(errs...)
}

func (c *cell) find(name string) (*cellSource, error) {
	for _, s := range c.sources {
		if s.name == name {
			return s, nil
		}
	}
	return nil, server.ErrNoSource
}

// Sources lists all, in the order of the program's list.
func (c *cell) Sources() []server.SourceStatus {
	out := make([]server.SourceStatus, 0, len(c.sources))
	for _, s := range c.sources {
		status := server.SourceStatus{
			Name: s.name, Enabled: s.enabled, Health: s.supervisor.Health(), Stats: s.supervisor.Stats(),
		}
		if s.live.Losses != nil {
			status.Losses = s.live.Losses()
		}
		status.Absent = s.live.Absent != nil && s.live.Absent()
		if s.live.Details != nil {
			status.Details = s.live.Details()
		}
		out = append(out, status)
	}
	return out
}

// remarks says of each enabled source that is not connected why, and of the
// others what is not as it should be.
func (c *cell) remarks() []string {
	var out []string
	for _, s := range c.sources {
		if remark := s.remark(); remark != "" && s.enabled {
			out = append(out, "source "+s.name+" "+remark)
		}
	}
	return out
}

func (s *cellSource) remark() string {
	h := s.supervisor.Health()
	switch {
	case h.State == source.Disconnected:
		return ""
	case h.State == source.Connected:
		if s.live.Warning == nil || s.live.Warning() == "" {
			return ""
		}
		return "is connected, but: " + plain(s.live.Warning())
	case h.LastError == "":
		return ""
	}
	what := "is not connected"
	if s.live.Absent != nil && s.live.Absent() {
		what = "has found no device"
	}
	return fmt.Sprintf("%s (%s): %s", what, strings.ReplaceAll(string(h.State), "_", " "), plain(h.LastError))
}

// StartSource starts one source.
func (c *cell) StartSource(ctx context.Context, name string) error {
	s, err := c.find(name)
	if err != nil {
		return err
	}
	err = s.supervisor.Start(ctx)
	if errors.Is(err, startstop.ErrRunning) {
		return fmt.Errorf("%w: source %s runs already", server.ErrConflict, name)
	}
	return err
}

// StopSource stops one source.
func (c *cell) StopSource(ctx context.Context, name string) error {
	s, err := c.find(name)
	if err != nil {
		return err
	}
	if s.supervisor.State() == source.Disconnected {
		return fmt.Errorf("%w: source %s does not run", server.ErrConflict, name)
	}
	return s.supervisor.Stop(ctx)
}

// ResetSource closes one source's breaker.
func (c *cell) ResetSource(_ context.Context, name string) error {
	s, err := c.find(name)
	if err != nil {
		return err
	}
	s.supervisor.Reset()
	return nil
}

// sourceStats is one source of /api/v1/stats: the account of its samples and
// the guide's figures, whose counts are taken from the same snapshot.
type sourceStats struct {
	pipeline.Account
	source.Stats
	// Overruns never were samples: they are not in the account.
	Overruns Overruns `json:"overruns"`
}

// statistics is the body of /api/v1/stats (DESIGN decision 7).
type statistics struct {
	Sources  map[string]sourceStats `json:"sources"`
	Total    pipeline.Account       `json:"total"`
	Pressure pressureView           `json:"pressure"`
}

// overruns gives those of every source.
func (c *cell) overruns() map[string]Overruns {
	out := map[string]Overruns{}
	for _, s := range c.sources {
		if s.live.Overruns != nil {
			out[s.name] = s.live.Overruns()
		}
	}
	return out
}

func (c *cell) stats() statistics {
	figures := map[string]source.Stats{}
	for _, s := range c.sources {
		figures[s.name] = s.supervisor.Stats()
	}
	accounts, total := c.pipeline.Accounts()
	out := statistics{Sources: map[string]sourceStats{}, Total: total}
	overruns := c.overruns()
	for name, f := range figures {
		out.Sources[name] = sourceStats{Stats: f, Overruns: overruns[name]}
		if _, ok := accounts[name]; !ok {
			accounts[name] = pipeline.Account{}
		}
	}
	for name, account := range accounts {
		s := out.Sources[name]
		s.Account = account
		s.SamplesReceived, s.SamplesProcessed = account.Received, account.Processed
		s.SamplesFailed, s.SamplesDropped = account.Failed, account.Dropped
		if s.CircuitState == "" {
			s.CircuitState = source.Closed // a source of an earlier start, such as one that was removed
		}
		out.Sources[name] = s
	}
	return out
}
