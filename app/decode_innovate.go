package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"dynotap/source/innovate"
)

func newDecodeInnovate() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "innovate FILE",
		Short: "Packets, sensors and their states in raw bytes of an Innovate serial port",
		Long: `Says what is in a file of raw bytes of an Innovate serial port: packets, what each
sensor said, AFR and lambda where they were valid, and what looks damaged.

The exit code is 0, or 3 where no packet could be decoded or the bytes look damaged.`,
		Args: exactly(1),
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
			err = printDump(cmd.OutOrStdout(), args[0], &report)
		}
		switch {
		case err != nil:
			return err
		case len(report.Hints) > 0:
			return lookError{fmt.Errorf("%s: %s", args[0], report.Hints[0])}
		case report.Packets == 0:
			return lookError{errors.New(args[0] + " holds no packet of an Innovate device")}
		}
		return nil
	}
	return cmd
}

func printDump(out io.Writer, name string, r *innovate.Report) error {
	fmt.Fprintf(out, "%s: %s, %s, packets %s, resyncs %s, bytes skipped %s\n", name, r.Protocol, r.Device,
		thousands(int64(r.Packets)), thousands(int64(r.Resyncs)), thousands(int64(r.BytesSkipped)))
	for _, hint := range r.Hints {
		fmt.Fprintf(out, "hint: %s\n", hint)
	}
	rows := make([][]string, 0, len(r.Sensors))
	for i := range r.Sensors {
		s := &r.Sensors[i]
		count := func(n uint64) string { return thousands(int64(n)) }
		rows = append(rows, []string{
			strconv.Itoa(s.Index), count(s.States.Lambda), count(s.States.O2), count(s.States.WarmingUp),
			count(s.States.FreeAirCalibration + s.States.NeedsCalibration + s.States.HeaterCalibration),
			count(s.States.Error), spanText(s.Lambda, 3), spanText(s.AFR, 2),
		})
	}
	if len(rows) > 0 {
		header := []string{"sensor", "lambda valid", "O2", "warming up", "calibration", "error", "lambda", "AFR"}
		if err := printTable(out, header, rows); err != nil {
			return err
		}
	}
	for i := range r.Aux {
		fmt.Fprintf(out, "input %d: %s V\n", r.Aux[i].Index, spanText(&r.Aux[i].Span, 3))
	}
	return nil
}

// spanText is a span as lowest to highest value.
func spanText(s *innovate.Span, digits int) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f to %.*f", digits, s.Min, digits, s.Max)
}
