package app

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"dynotap/app/bench"
)

func newBench(p *Program) *cobra.Command {
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
		{"stream", "What ten clients of the live stream do to the time to the disk", func(rounds int) (bench.Report, error) {
			return bench.Streams(rounds, p.benchCell)
		}},
	} {
		cmd.AddCommand(newBenchmark(b.name, b.short, b.measure))
	}
	cmd.AddCommand(newQueueBenchmark())
	return cmd
}

func newBenchmark(name, short string, measure func(int) (bench.Report, error)) *cobra.Command {
	var asJSON bool
	var rounds int
	cmd := &cobra.Command{
		Use: name, Short: short, Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRounds(rounds); err != nil {
				return err
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

func checkRounds(rounds int) error {
	if rounds < 1 {
		return usageError{fmt.Errorf("--rounds must be 1 or more, not %d", rounds)}
	}
	return nil
}

func newQueueBenchmark() *cobra.Command {
	var asJSON bool
	var opts bench.QueueOptions
	cmd := &cobra.Command{
		Use: "queue", Short: "Enqueue, dequeue and move items, beside a bare loop and a plain file", Args: exactly(0),
		Long: `Measure the queue on this machine: enqueue, dequeue (gone for good) and move
(stored as a chunk in the same transaction), by payload and by group; many
producers, latency under an offered load, a million waiting items. Beside each,
round by round in turn, run a bare loop over the same engine and a plain
append-only file that is flushed as often.

The files lie in a new directory below --dir, which should be on the disk that
is meant; it is removed at the end. It takes about two minutes.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRounds(opts.Rounds); err != nil {
				return err
			}
			if opts.Backend != bench.MemoryBackend && opts.Backend != bench.SQLiteBackend {
				return usageError{fmt.Errorf("--backend must be memory or sqlite, not %q", opts.Backend)}
			}
			report, err := bench.Queue(opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return printQueueReport(cmd.OutOrStdout(), report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&opts.Backend, "backend", bench.SQLiteBackend, "memory or sqlite")
	cmd.Flags().StringVar(&opts.Dir, "dir", "", "where the files go (default: the system's temporary directory)")
	cmd.Flags().IntVar(&opts.Rounds, "rounds", 5, "rounds of which the median counts")
	cmd.Flags().BoolVar(&opts.Quick, "quick", false, "only try whether it runs: the figures mean nothing")
	return cmd
}

func printQueueReport(out io.Writer, r bench.Report) error {
	fmt.Fprintf(out, "%s over %s: %s, %s, %d cores, medians of %d rounds", r.Benchmark, r.Backend, r.Go, r.System, r.Cores, r.Rounds)
	if r.Directory != "" {
		fmt.Fprintf(out, ", files in %s %s", r.Directory, r.FileSystem)
	}
	fmt.Fprintln(out)
	if r.Note != "" {
		fmt.Fprintln(out, r.Note)
	}
	rows := make([][]string, 0, len(r.Results))
	for _, x := range r.Results {
		rows = append(rows, []string{
			x.Name, count(x.Group), count(x.PayloadBytes), figure(&x.Median), x.Unit,
			figure(x.BareMedian), number(x.RatioToBare, 2), figure(x.FileMedian), number(x.RatioToFile, 2), aim(x), met(x.TargetMet),
		})
	}
	if err := printTable(out, []string{"what", "group", "bytes", "median", "unit", "bare", "to bare", "file", "to file", "target", "met"}, rows); err != nil {
		return err
	}
	said := ""
	for _, x := range r.Results {
		if x.Note != "" && x.Note != said {
			said = x.Note
			fmt.Fprintf(out, "%s: %s\n", x.Name, x.Note)
		}
	}
	return nil
}

func count(n int) string {
	if n == 0 {
		return "-"
	}
	return thousands(int64(n))
}

// aim prints what was asked for.
func aim(r bench.Result) string {
	switch {
	case r.RatioTarget != nil:
		return number(r.RatioTarget, 1) + " of bare"
	case r.Target == nil:
		return "-"
	case r.TargetIsMost:
		return "at most " + figure(r.Target)
	default:
		return figure(r.Target)
	}
}

func met(v *bool) string {
	switch {
	case v == nil:
		return "-"
	case *v:
		return "yes"
	default:
		return "NO"
	}
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
