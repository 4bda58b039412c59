package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynotap/sim"
	"dynotap/source/innovate/device"
	"dynotap/source/innovate/serial"
)

// simulatedWarmup is how long a simulated wideband warms up; a real one takes
// about 30 s.
const simulatedWarmup = 4 * time.Second

func newSimulateInnovate(p *Program) *cobra.Command {
	var faults, port string
	settings := device.Settings{}
	var pullEvery time.Duration
	cmd := &cobra.Command{
		Use:   "innovate",
		Short: "Be an Innovate wideband on a pseudo-terminal: AFR of an engine with a pull every 20 s",
		Long: `Sends what an Innovate wideband sends, on a pseudo-terminal whose path is printed;
another dynotap reads it with innovate.port set to that path. The sensors warm up
first, then follow an engine with a pull every 20 s.

On Windows, which has no pseudo-terminals, --port names a serial port, such as one
end of a pair of virtual ports.

--faults takes any of these, separated by commas: lose=0.01, insert=0.01, flip=0.01
(shares of the bytes), xonxoff, latency=16ms, silence=30s/5s and unplug=60s/3s
(every so often, for so long), seed=7.`,
		Args: exactly(0),
	}
	o := p.options(cmd)
	f := cmd.Flags()
	f.StringVar(&settings.Model, "device", "dlg-1", "one of "+strings.Join(device.Models(), ", "))
	f.IntVar(&settings.Sensors, "sensors", 0, "sensors in the chain (default: what the device has)")
	f.StringVar(&faults, "faults", "", "what goes wrong, see above")
	f.StringVar(&port, "port", "", "send on this serial `port` (default: a pseudo-terminal)")
	f.DurationVar(&settings.Warmup, "warmup", simulatedWarmup, "how long the sensors warm up")
	f.Float64Var(&settings.Stoichiometric, "stoichiometric", 14.7, "air-fuel ratio of lambda 1 that the device is set to")
	f.DurationVar(&pullEvery, "pull-every", sim.DefaultPullEvery, "time from one pull to the next")
	seconds := f.Float64("seconds", 0, "end after so many seconds (default: run until Ctrl-C)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := notNegative("seconds", *seconds); err != nil {
			return err
		}
		loaded, err := o.load()
		if err != nil {
			return err
		}
		if settings.Faults, err = device.ParseFaults(faults); err != nil {
			return usageError{fmt.Errorf("--faults: %w", err)}
		}
		cell, err := sim.New(sim.Settings{Seed: settings.Faults.Seed, PullEvery: pullEvery})
		if err != nil {
			return usageError{err}
		}
		settings.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: loaded.Config.Level()}))
		settings.Values = widebandsOf(cell, time.Now())
		made, err := device.New(settings)
		if err != nil {
			return usageError{err}
		}
		ctx, cancel := forSeconds(cmd.Context(), *seconds)
		defer cancel()
		return simulateOn(ctx, cmd.OutOrStdout(), made, settings.Model, port)
	}
	return cmd
}

// widebandsOf lets sensors look at a cell that began at a time: one at the
// front cylinder, the next at the rear, and so on.
func widebandsOf(cell *sim.Cell, start time.Time) func(time.Duration, []float64) {
	return func(_ time.Duration, afr []float64) {
		state := cell.At(time.Since(start))
		for i := range afr {
			afr[i] = state.AFRFront
			if i%2 == 1 {
				afr[i] = state.AFRRear
			}
		}
	}
}

// simulateOn runs a device on a serial port, or on a pseudo-terminal where none
// is named, and says what it did.
func simulateOn(ctx context.Context, out io.Writer, made *device.Device, model, port string) error {
	line, end, err := simulatedLine(out, model, port)
	if err != nil {
		return err
	}
	defer end()
	err = made.Run(ctx, line)
	c := made.Counts()
	fmt.Fprintf(out, "%s: sent %s packets whole, %s damaged, %s withheld\n", model,
		thousands(int64(c.Packets)), thousands(int64(c.Damaged)), thousands(int64(c.Withheld+c.Skipped)))
	return err
}

func simulatedLine(out io.Writer, model, port string) (line device.Line, end func(), err error) {
	if port != "" {
		made, err := serial.NewLine(port, 0)
		if err != nil {
			return nil, nil, usageError{err}
		}
		fmt.Fprintf(out, "%s sends on %s\n", model, port)
		return made, made.Unplug, nil
	}
	made, err := device.NewPTY(func(path string) { fmt.Fprintf(out, "%s is at %s\n", model, path) })
	if err != nil {
		return nil, nil, usageError{err}
	}
	return made, made.Unplug, nil
}

// on gives the program with its Innovate source on a line within the program,
// whatever port is configured.
func (p *Program) on(pipe *device.Pipe) *Program {
	with := *p
	with.Sources = slices.Clone(p.Sources)
	for i := range with.Sources {
		if with.Sources[i].Name == "innovate" {
			with.Sources[i].Build = func(in SourceInput) (LiveSource, error) {
				return buildInnovateOn(pipe, func() []serial.Found { return []serial.Found{} }, in)
			}
		}
	}
	return &with
}
