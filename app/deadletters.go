package app

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// letterView is a dead letter as the API lists it.
type letterView struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	Priority   string            `json:"priority"`
	Samples    int64             `json:"samples"`
	Bytes      int64             `json:"bytes"`
	Attempts   int               `json:"attempts"`
	Reason     string            `json:"reason"`
	FirstError string            `json:"first_error"`
	LastError  string            `json:"last_error"`
	EnqueuedAt *time.Time        `json:"enqueued_at"`
	DiedAt     *time.Time        `json:"died_at"`
	Metadata   map[string]string `json:"metadata"`
}

// lettersView is a list of them, and all that match by kind.
type lettersView struct {
	DeadLetters []letterView `json:"dead_letters"`
	Total       int          `json:"total"`
	Complete    bool         `json:"complete"`
	Counts      []struct {
		Reason  string `json:"reason"`
		Source  string `json:"source"`
		Items   int64  `json:"items"`
		Samples int64  `json:"samples"`
	} `json:"counts"`
}

func newDeadLetters(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "List, show, retry and delete batches that could not be stored",
		Long: `A batch that could not be stored, even after retries, is kept as a dead letter with the
reason and the errors. Look at it, mend the cause, and retry it: it goes back into the
queue at its old place. The commands work on the running dynotap, or on the data
directory of a stopped one.`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLettersList(p), newLettersShow(p), newLettersRetry(p), newLettersDelete(p), newLettersClear(p))
	return cmd
}

// letterFilter chooses dead letters.
type letterFilter struct{ source, priority, reason string }

func (f *letterFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.source, "source", "", "only those of this `source`")
	cmd.Flags().StringVar(&f.priority, "priority", "", "only `critical`, high, normal, low or batch ones")
	cmd.Flags().StringVar(&f.reason, "reason", "", "only those that died for this `reason`")
}

func (f *letterFilter) empty() bool { return *f == letterFilter{} }

func (f *letterFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"source": f.source, "priority": f.priority, "reason": f.reason} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// none says that there is nothing, and why there may be nothing.
func (f *letterFilter) none(c *client) string {
	switch {
	case c.nothingKept():
		return c.whyNothing()
	case f.empty():
		return "no dead letters"
	}
	return "no dead letter matches"
}

func newLettersList(p *Program) *cobra.Command {
	var asJSON bool
	var filter letterFilter
	var limit, offset int
	cmd := &cobra.Command{Use: "list", Short: "List what was given up and why, in the order of death", Args: exactly(0)}
	o := p.options(cmd)
	filter.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many (up to 1000); 0 counts only")
	cmd.Flags().IntVar(&offset, "offset", 0, "leave out so many at the beginning")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			query := filter.query()
			query.Set("limit", strconv.Itoa(limit))
			query.Set("offset", strconv.Itoa(offset))
			var list lettersView
			raw, err := c.get(ctx, "api/v1/dead-letters", query, &list)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case asJSON:
				return printJSON(out, raw)
			case list.Total == 0:
				_, err := fmt.Fprintln(out, filter.none(c))
				return err
			}
			return list.print(out, o, offset)
		})
	}
	return cmd
}

// print prints the table, the sum of all that match, and what to do.
func (l *lettersView) print(out io.Writer, o *options, offset int) error {
	if len(l.DeadLetters) > 0 {
		if err := printLetters(out, l.DeadLetters, widthOf(out)); err != nil {
			return err
		}
		if last := offset + len(l.DeadLetters); offset > 0 || last < l.Total {
			fmt.Fprintf(out, "shown: %d to %d of %d; see --limit and --offset\n", offset+1, last, l.Total)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, l.summary())
	again := false
	for _, k := range l.kinds() {
		advice, retry := whatToDo(k.reason)
		fmt.Fprintf(out, "  %s: %s;\n    %s\n", k, deadNames(k.reason), advice)
		again = again || retry
	}
	_, err := fmt.Fprintf(out, "more about one: %s\n", o.command("dead-letters show ID"))
	if again {
		_, err = fmt.Fprintf(out, "try again:      %s\n                or retry IDs, or --all with --reason, --source, --priority\n", o.command("dead-letters retry --all"))
	}
	return err
}

// letterKind is dead letters of one reason and source.
type letterKind struct {
	reason, source string
	items          int64
}

// String is as in 10 retries_exhausted (jetdrive).
func (k letterKind) String() string {
	return fmt.Sprintf("%s %s (%s)", thousands(k.items), plain(k.reason), plain(k.source))
}

// kinds sums up over the priorities.
func (l *lettersView) kinds() []letterKind {
	var kinds []letterKind
	for _, c := range l.Counts {
		at := slices.IndexFunc(kinds, func(k letterKind) bool { return k.reason == c.Reason && k.source == c.Source })
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, letterKind{reason: c.Reason, source: c.Source})
		}
		kinds[at].items += c.Items
	}
	return kinds
}

// summary is as in 12 dead letters with 1 692 samples.
func (l *lettersView) summary() string {
	samples, least := int64(0), ""
	for _, c := range l.Counts {
		samples += c.Samples
	}
	if !l.Complete {
		least = "at least "
	}
	return fmt.Sprintf("%s%s with %s", least, countOf(int64(l.Total), "dead letter"), countOf(samples, "sample"))
}
