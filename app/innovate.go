package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynotap/sim"
	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
	"dynotap/source/innovate/serial"
)

func newDecodeInnovate(*Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "innovate FILE",
		Short: "Sensors, states and values in a raw dump of an Innovate wideband's serial port",
		Args:  exactly(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, err := os.Open(args[0])
		if err != nil {
			return usageError{err}
		}
		defer file.Close()
		report, err := innovate.Inspect(file)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if asJSON {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			err = printInspection(cmd.OutOrStdout(), args[0], &report)
		}
		if err == nil && report.Packets == 0 {
			err = lookError{fmt.Errorf("%s: no packet of an Innovate device in it", args[0])}
		}
		return err
	}
	return cmd
}

func printInspection(out io.Writer, path string, r *innovate.Report) error {
	fmt.Fprintf(out, "%s: %s %s, %s, %d resynchronisations, %d bytes skipped\n",
		path, r.Protocol, r.Device, plural(int(r.Packets), "packet"), r.Resyncs, r.BytesSkipped)
	rows := make([][]string, 0, len(r.Sensors))
	count := func(n uint64) string { return thousands(int64(n)) }
	for _, s := range r.Sensors {
		rows = append(rows, []string{
			count(uint64(s.Index)), count(s.States.Lambda), count(s.States.WarmingUp), count(s.States.O2),
			count(s.States.FreeAirCalibration + s.States.NeedsCalibration), count(s.States.HeaterCalibration),
			count(s.States.Error), spanText(s.Lambda), spanText(s.AFR),
		})
	}
	if err := printTable(out, []string{"sensor", "valid", "warming up", "O2", "calibration", "heater", "error", "lambda", "AFR"}, rows); err != nil {
		return err
	}
	for _, a := range r.Aux {
		fmt.Fprintf(out, "input %d: %s V\n", a.Index, spanText(&a.Span))
	}
	for _, hint := range r.Hints {
		fmt.Fprintln(out, hint)
	}
	return nil
}

func spanText(s *innovate.Span) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f to %.3f", s.Min, s.Max)
}

func newSimulateInnovate(*Program) *cobra.Command {
	var model, faults, port string
	var seconds, warmup float64
	cmd := &cobra.Command{
		Use:   "innovate",
		Short: "Be an Innovate wideband on a pseudo-terminal, whose AFR follows a pull every 20 s",
		Long: `Sends the true bytes of an Innovate wideband controller onto a pseudo-terminal and
prints its path; the AFR follows a simulated pull every 20 s. On Windows it needs
--port, and the program under test reads the other end of the cable.

Faults, separated by commas: lose=0.01, insert=0.01, flip=0.01 (shares of the bytes),
xonxoff, latency=16ms, silence=30s/5s, unplug=60s/3s, seed=7.`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringVar(&model, "device", "dlg-1", "the `device`: "+strings.Join(device.Models(), ", "))
	f.StringVar(&faults, "faults", "", "what goes wrong on the line")
	f.StringVar(&port, "port", "", "send on this serial `port` instead")
	f.Float64Var(&warmup, "warmup", 10, "seconds the sensors take to warm up")
	f.Float64Var(&seconds, "seconds", 0, "end after so many seconds (default: run until Ctrl-C)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(notNegative("seconds", seconds), notNegative("warmup", warmup)); err != nil {
			return usageError{err}
		}
		made, err := simulatedWideband(model, faults, time.Duration(warmup*float64(time.Second)), cmd.ErrOrStderr())
		if err != nil {
			return usageError{err}
		}
		ctx, cancel := forSeconds(cmd.Context(), seconds)
		defer cancel()
		if err := sendOn(ctx, made, port, cmd.OutOrStdout()); err != nil {
			return err
		}
		counts := made.Counts()
		fmt.Fprintf(cmd.OutOrStdout(), "sent %s, damaged %d, withheld %d, skipped %d\n",
			plural(int(counts.Packets), "packet"), counts.Damaged, counts.Withheld, counts.Skipped)
		return nil
	}
	return cmd
}

// simulatedWideband is a device at the simulated engine's exhaust.
func simulatedWideband(model, faults string, warmup time.Duration, log io.Writer) (*device.Device, error) {
	wrong, err := device.ParseFaults(faults)
	if err != nil {
		return nil, err
	}
	cell, err := sim.New(sim.Settings{Seed: 1})
	if err != nil {
		return nil, err
	}
	return device.New(device.Settings{
		Model: model, Warmup: warmup, Faults: wrong, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Values: func(t time.Duration, afr []float64) {
			state := cell.At(t)
			for i := range afr {
				afr[i] = []float64{state.AFRFront, state.AFRRear}[i%2]
			}
		},
	})
}

// sendOn runs a device on a serial port, or on a pseudo-terminal whose path it
// prints.
func sendOn(ctx context.Context, made *device.Device, port string, out io.Writer) error {
	if port != "" {
		line, err := serial.NewLine(port, 0)
		if err != nil {
			return err
		}
		defer line.Unplug()
		return made.Run(ctx, line)
	}
	terminal, err := device.NewPTY(func(path string) { fmt.Fprintln(out, path) })
	if err != nil {
		return err
	}
	return errors.Join(made.Run(ctx, terminal), terminal.Close())
}
