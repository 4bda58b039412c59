package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"dynotap/sim"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/provider"
)

func newSimulate(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Be a device, for trying things out without hardware",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSimulateJetdrive(p), newSimulateInnovate(p))
	return cmd
}

func newSimulateJetdrive(p *Program) *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "jetdrive",
		Short: "Stream two simulated JETDRIVE providers: an inertia dyno with a pull every 20 s",
		Long: `Streams two simulated JETDRIVE providers with 60 channels and colliding ids: an
inertia dyno with a pull every 20 s. Without --interface it stays on loopback.`,
		Args: exactly(0),
	}
	o := p.options(cmd)
	o.networkFlags(cmd)
	f := cmd.Flags()
	f.Float64Var(&s.rate, "rate", 20, "sets of values a second")
	f.Float64Var(&s.faults.Loss, "loss", 0, "share of messages that are not sent, 0 to 1")
	f.Float64Var(&s.faults.Reorder, "reorder", 0, "share of messages that are sent after the next one")
	f.Float64Var(&s.faults.Duplicate, "duplicate", 0, "share of messages that are sent twice")
	f.Uint64Var(&s.faults.Seed, "seed", 1, "makes faults and noise repeatable")
	f.DurationVar(&s.faults.RestartEvery, "restart-every", 0, "switch off and on again, under another host id")
	f.DurationVar(&s.faults.ClockOffset, "clock-offset", 0, "where the providers' clocks start")
	f.DurationVar(&s.faults.WrapAfter, "wrap-after", 0, "when the providers' 32-bit clocks wrap")
	pullEvery := f.Duration("pull-every", sim.DefaultPullEvery, "time from one pull to the next")
	seconds := f.Float64("seconds", 0, "end after so many seconds (default: run until Ctrl-C)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := notNegative("seconds", *seconds); err != nil {
			return err
		}
		if !cmd.Flags().Changed("interface") {
			o.overrides["jetdrive.interface"] = loopback
		}
		loaded, err := o.load()
		if err != nil {
			return err
		}
		settings, err := jetdriveSettings(&loaded.Config.Jetdrive)
		if err != nil {
			return err
		}
		s.cell, err = sim.New(sim.Settings{Seed: s.faults.Seed, PullEvery: *pullEvery})
		if err != nil {
			return usageError{err}
		}
		ctx, cancel := forSeconds(cmd.Context(), *seconds)
		defer cancel()
		s.start = time.Now()
		s.conn = settings.Conn
		s.logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: loaded.Config.Level()}))
		counts, err := s.run(ctx)
		if err != nil {
			return networkError(err)
		}
		for _, c := range counts {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: sent %s values in %s messages; lost %d, reordered %d, duplicated %d, restarts %d\n",
				c.name, thousands(int64(c.Values)), thousands(int64(c.Messages)), c.Lost, c.Reordered, c.Duplicated, c.Restarts)
		}
		return nil
	}
	return cmd
}

// loopback is where simulations stay unless told otherwise.
const loopback = "127.0.0.1"

// simulation is the simulated dyno cell on a network.
type simulation struct {
	conn   jetdrive.ConnSettings
	cell   *sim.Cell
	start  time.Time // of the cell
	rate   float64
	faults provider.Faults
	logger *slog.Logger
}

type sentCounts struct {
	name string
	provider.Counts
}

// run streams the cell's providers until ctx ends and gives what they sent.
func (s simulation) run(ctx context.Context) ([]sentCounts, error) {
	var providers []*provider.Provider
	var names []string
	for i, device := range sim.Providers() {
		faults := s.faults
		faults.Seed += uint64(i)
		made, err := provider.New(provider.Settings{
			Conn: s.conn, Name: device.Name, Channels: specs(device), Rate: s.rate,
			Values: valuesOf(s.cell, device, s.start), Faults: faults, Logger: s.logger,
		})
		if err != nil {
			return nil, usageError{err}
		}
		providers, names = append(providers, made), append(names, device.Name)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, made := range providers {
		group.Go(func() error { return made.Run(ctx) })
	}
	err := group.Wait()
	counts := make([]sentCounts, len(providers))
	for i, made := range providers {
		counts[i] = sentCounts{names[i], made.Counts()}
	}
	return counts, err
}

func specs(device sim.Provider) []provider.ChannelSpec {
	out := make([]provider.ChannelSpec, 0, len(device.Channels))
	for _, c := range device.Channels {
		out = append(out, provider.ChannelSpec{ID: c.ID, Name: c.Name, Unit: c.Unit})
	}
	return out
}

// valuesOf lets a device look at the cell. All devices share the cell's
// start, whenever they were switched on.
func valuesOf(cell *sim.Cell, device sim.Provider, start time.Time) provider.Values {
	return func(_ time.Duration, dst []float32) {
		state := cell.At(time.Since(start))
		for i := range dst {
			dst[i] = float32(device.Channels[i].Value(state))
		}
	}
}

// forSeconds ends ctx after the given seconds; 0 leaves it as it is.
func forSeconds(ctx context.Context, seconds float64) (context.Context, context.CancelFunc) {
	if seconds <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(seconds*float64(time.Second)))
}
