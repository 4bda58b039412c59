package app

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"dynotap/app/bench"
)

func newBench(*Program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure dynotap on this machine, beside bare loops in the same run",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, b := range []struct {
		name, short string
		measure     func(rounds int) (bench.Report, error)
	}{
		{"decode", "Decode ChannelValues messages", bench.Decode},
		{"validate", "Decode, normalise and validate", bench.Validate},
		{"pipeline", "Receive from the network, and all the way to the disk", bench.Pipeline},
	} {
		cmd.AddCommand(newBenchmark(b.name, b.short, b.measure))
	}
	return cmd
}

func newBenchmark(name, short string, measure func(int) (bench.Report, error)) *cobra.Command {
	var asJSON bool
	var rounds int
	cmd := &cobra.Command{
		Use: name, Short: short, Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 {
				return usageError{fmt.Errorf("--rounds must be 1 or more, not %d", rounds)}
			}
			report, err := measure(rounds)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return printReport(cmd.OutOrStdout(), report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&rounds, "rounds", 5, "rounds of which the median counts")
	return cmd
}

func printReport(out io.Writer, r bench.Report) error {
	fmt.Fprintf(out, "%s: %s, %s, %d cores, medians of %d rounds\n", r.Benchmark, r.Go, r.System, r.Cores, r.Rounds)
	rows := make([][]string, 0, len(r.Results))
	for _, x := range r.Results {
		rows = append(rows, []string{
			x.Name, figure(&x.Median), figure(&x.Min), figure(&x.Max), x.Unit, number(x.RatioToBare, 2), figure(x.Target), x.Note,
		})
	}
	return printTable(out, []string{"what", "median", "least", "most", "unit", "to bare", "target", "note"}, rows)
}

// figure prints a measured value to three digits or as a count.
func figure(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case *v >= 1000:
		return thousands(int64(*v))
	default:
		return strconv.FormatFloat(*v, 'g', 3, 64)
	}
}
