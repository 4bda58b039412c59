package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/pkg/browser"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"dynotap/config"
	"dynotap/sim"
	"dynotap/source/innovate/device"
)

// stopLimit bounds a stop: delivery of what waits, the last runs, sealing.
const stopLimit = 30 * time.Second

// runFlags are the flags of `dynotap run` that are no settings.
type runFlags struct {
	demo    bool
	open    bool
	noUI    bool
	seconds float64
}

func newRun(p *Program) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Record: listen to the dyno, keep every sample, serve the dashboard",
		Long: `Listens to the dyno cell, checks and keeps every sample, finds the pulls, and serves
the dashboard and the API. Ctrl-C ends it: what is queued is delivered, the session
is sealed, and a report says what was done.

With --demo it needs no hardware: two simulated providers stream on loopback, with a
pull every 20 s, and everything is recorded into .demo/.`,
		Args: exactly(0),
	}
	o := p.options(cmd)
	o.networkFlags(cmd)
	o.override(cmd, "listen", "server.listen", "`address` of the HTTP server")
	o.override(cmd, "preset", "preset", "start from this preset")
	flags := cmd.Flags()
	flags.BoolVar(&f.demo, "demo", false, "simulate a dyno cell on loopback")
	flags.BoolVar(&f.open, "open", false, "open the dashboard in the browser")
	flags.BoolVar(&f.noUI, "no-ui", false, "serve the API only, no pages")
	flags.Float64Var(&f.seconds, "seconds", 0, "end after so many seconds (default: run until Ctrl-C)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := notNegative("seconds", f.seconds); err != nil {
			return err
		}
		if f.demo {
			if err := o.demo(cmd); err != nil {
				return err
			}
		}
		loaded, err := o.load()
		if err != nil {
			return err
		}
		dir, err := loaded.DataDir(o.data)
		if err != nil {
			return err
		}
		return runProgram(cmd, p, loaded, dir, f)
	}
	return cmd
}

// demoDir is where the demo records.
const demoDir = ".demo"

// demo sets what the demo needs and the user did not give: a network of its
// own that never leaves the machine, and a data directory of its own.
func (o *options) demo(cmd *cobra.Command) error {
	port, err := freePort(cmd.Context())
	if err != nil {
		return err
	}
	for flag, value := range map[string]string{
		"group": "239.255.86.86", "port": port, "interface": loopback, "preset": config.PresetLiveCapture,
	} {
		if cmd.Flags().Changed(flag) {
			continue
		}
		if flag == "preset" && o.path != "" {
			continue
		}
		if err := cmd.Flags().Set(flag, value); err != nil {
			return err
		}
	}
	if o.path == "" {
		for sensor, place := range map[string]string{"1": "front", "2": "rear"} {
			o.overrides["innovate.sensors."+sensor+".place"] = place
		}
	}
	if o.data == "" {
		o.data = demoDir
	}
	return nil
}

func runProgram(cmd *cobra.Command, p *Program, loaded *config.Loaded, dir string, f runFlags) (err error) {
	logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: loaded.Config.Level()}))
	say := newSpeaker(cmd.OutOrStdout())
	ctx, cancel := forSeconds(cmd.Context(), f.seconds)
	defer cancel()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}

	var pipe *device.Pipe
	if f.demo {
		pipe = device.NewPipe("simulated DLG-1")
		p = p.on(pipe)
	}
	a := &recording{program: p, loaded: loaded, dir: dir, logger: logger, say: say, serveUI: !f.noUI}
	if err := a.open(ctx); err != nil {
		return errors.Join(err, a.close())
	}
	// From here on everything stops in the reverse order of its start.
	defer func() {
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer done()
		err = errors.Join(err, a.stop(stop), a.close())
	}()
	if err := a.start(ctx); err != nil {
		return err
	}
	if f.open {
		if err := browser.OpenURL(a.server.URL()); err != nil {
			logger.Warn("open the browser", "error", err, "page", a.server.URL())
		}
	}
	if f.demo {
		return a.simulate(ctx, pipe)
	}
	return a.wait(ctx)
}

// simulate streams the demo's devices until ctx ends: two providers on the
// network, and a wideband of two sensors that look at the same engine.
func (a *recording) simulate(ctx context.Context, pipe *device.Pipe) error {
	settings, err := jetdriveSettings(&a.loaded.Config.Jetdrive)
	if err != nil {
		return err
	}
	s := simulation{conn: settings.Conn, start: time.Now(), rate: 20, logger: a.logger}
	s.faults.Seed = 1
	if s.cell, err = sim.New(sim.Settings{Seed: s.faults.Seed}); err != nil {
		return err
	}
	wideband, err := device.New(device.Settings{
		Model: "dlg-1", Values: widebandsOf(s.cell, s.start), Warmup: simulatedWarmup, Logger: a.logger,
	})
	if err != nil {
		return err
	}
	a.say.simulated(sim.Peak())
	var devices errgroup.Group
	devices.Go(func() error { _, err := s.run(ctx); return err })
	devices.Go(func() error { return wideband.Run(ctx, pipe) })
	err = a.wait(ctx)
	return errors.Join(err, devices.Wait())
}

// wait returns when ctx ends, without an error, or the server fails.
func (a *recording) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		a.say.stopping()
		return nil
	case <-a.server.Done():
		return fmt.Errorf("the HTTP server at %s has ended", a.server.URL())
	}
}
