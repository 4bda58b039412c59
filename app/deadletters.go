package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// countView is how many dead letters something was done to.
type countView struct {
	Count int `json:"count"`
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

func letterPath(id string) string { return "api/v1/dead-letters/" + url.PathEscape(id) }

func newLettersRetry(p *Program) *cobra.Command {
	var asJSON, all bool
	var filter letterFilter
	cmd := &cobra.Command{
		Use:   "retry ID... | --all",
		Short: "Put dead letters back into the queue, at their old place",
		Long: `Puts dead letters back into the queue, at their old place and with all their attempts.
Mend the cause first: what fails again becomes a dead letter again. An ID can be
shortened to its beginning or end.`,
	}
	o := p.options(cmd)
	filter.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all, or all that the filters choose")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case all && len(args) > 0:
			return usageError{errors.New("give IDs or --all, not both")}
		case !all && !filter.empty():
			return usageError{errors.New("--source, --priority and --reason choose among --all: add it")}
		case !all && len(args) == 0:
			return usageError{fmt.Errorf("which ones? Give their IDs, or --all: %s", cmd.UseLine())}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			var done countView
			var err error
			if all {
				_, err = c.call(ctx, http.MethodPost, "api/v1/dead-letters/retry", filter.query(), nil, &done)
			} else {
				done, err = c.each(ctx, args, http.MethodPost, "/retry", nil)
			}
			if err != nil && done.Count == 0 {
				return err
			}
			if asJSON {
				return errors.Join(err, printJSON(cmd.OutOrStdout(), done))
			}
			return errors.Join(err, sayRetried(cmd.OutOrStdout(), o, c, &filter, done.Count))
		})
	}
	return cmd
}

func sayRetried(out io.Writer, o *options, c *client, filter *letterFilter, n int) error {
	var err error
	switch {
	case n == 0:
		_, err = fmt.Fprintln(out, filter.none(c))
	case c.offline != nil:
		_, err = fmt.Fprintf(out, "%s back in the queue; dynotap is not running: the next start delivers: %s\n", countOf(int64(n), "dead letter"), o.command("run"))
	default:
		_, err = fmt.Fprintf(out, "%s back in the queue, to be delivered now; what fails again is in %s\n", countOf(int64(n), "dead letter"), o.command("dead-letters list"))
	}
	return err
}

func newLettersDelete(p *Program) *cobra.Command {
	var asJSON, yes bool
	cmd := &cobra.Command{
		Use: "delete ID...", Short: "Delete dead letters and their samples for good",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("an argument is missing: %s", cmd.UseLine())}
			}
			return nil
		},
	}
	o := p.options(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := mayDelete(cmd, yes); err != nil {
			return err
		}
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			agree := func(n int) error {
				if yes {
					return nil
				}
				return confirm(cmd, fmt.Sprintf("delete %s and what is in it for good?", countOf(int64(n), "dead letter")))
			}
			done, err := c.each(ctx, args, http.MethodDelete, "", agree)
			if err != nil && done.Count == 0 {
				return err
			}
			return errors.Join(err, sayDeleted(cmd.OutOrStdout(), done, asJSON))
		})
	}
	return cmd
}

func newLettersClear(p *Program) *cobra.Command {
	var asJSON, yes bool
	var filter letterFilter
	cmd := &cobra.Command{Use: "clear", Short: "Delete all dead letters, or all that the filters choose, for good", Args: exactly(0)}
	o := p.options(cmd)
	filter.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := mayDelete(cmd, yes); err != nil {
			return err
		}
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			var list lettersView
			query := filter.query()
			query.Set("limit", "0")
			if _, err := c.get(ctx, "api/v1/dead-letters", query, &list); err != nil {
				return err
			}
			if list.Total == 0 && !asJSON {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), filter.none(c))
				return err
			}
			query = filter.query()
			query.Set("died_by", time.Now().UTC().Format(time.RFC3339Nano)) // not what dies while the user reads
			if !yes {
				if err := confirm(cmd, "delete for good: "+list.summary()+"?"); err != nil {
					return err
				}
			}
			var done countView
			if _, err := c.call(ctx, http.MethodDelete, "api/v1/dead-letters", query, nil, &done); err != nil {
				return err
			}
			return sayDeleted(cmd.OutOrStdout(), done, asJSON)
		})
	}
	return cmd
}

// mayDelete refuses where nobody can be asked and nobody said yes.
func mayDelete(cmd *cobra.Command, yes bool) error {
	if yes || askable(cmd) {
		return nil
	}
	return usageError{fmt.Errorf("%s deletes samples for good and nobody can be asked here: add --yes", cmd.CommandPath())}
}

func sayDeleted(out io.Writer, done countView, asJSON bool) error {
	if asJSON {
		return printJSON(out, done)
	}
	_, err := fmt.Fprintf(out, "deleted %s\n", countOf(int64(done.Count), "dead letter"))
	return err
}

// each does something to each of the dead letters named, once all names are
// clear and agree, if any, has agreed. It goes on past one that fails.
func (c *client) each(ctx context.Context, names []string, method, action string, agree func(n int) error) (done countView, err error) {
	ids, err := c.letterIDs(ctx, names)
	if err == nil && agree != nil {
		err = agree(len(ids))
	}
	if err != nil {
		return done, err
	}
	var failed []error
	for _, id := range ids {
		stream, err := c.do(ctx, method, letterPath(id)+action, nil, nil)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
			continue
		}
		done.Count++
		if err := stream.Close(); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
		}
	}
	return done, errors.Join(failed...)
}

const (
	idLength    = 16
	shortestID  = 4
	lettersPage = 1000
)

// letterIDs completes ids that were shortened to their beginning or end. None
// is given where one of the names is not clear.
func (c *client) letterIDs(ctx context.Context, names []string) ([]string, error) {
	if c.nothingKept() {
		return nil, errors.New(c.whyNothing())
	}
	ids := make([]string, 0, len(names))
	var all []string
	for _, name := range names {
		id := strings.ToLower(name)
		if len(id) < idLength {
			if all == nil {
				var err error
				if all, err = c.allLetterIDs(ctx); err != nil {
					return nil, err
				}
			}
			var err error
			if id, err = complete(id, all); err != nil {
				return nil, err
			}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func complete(short string, all []string) (string, error) {
	if len(short) < shortestID {
		return "", usageError{fmt.Errorf("%q is too short for an ID: give at least %d characters of its beginning or end", short, shortestID)}
	}
	var found []string
	for _, id := range all {
		if strings.HasPrefix(id, short) || strings.HasSuffix(id, short) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no dead letter has an ID that begins or ends with %q: dynotap dead-letters list lists them", short)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%d dead letters have an ID that begins or ends with %q: give more of it", len(found), short)
}

func (c *client) allLetterIDs(ctx context.Context) ([]string, error) {
	ids := []string{}
	for {
		var page lettersView
		query := url.Values{"limit": {strconv.Itoa(lettersPage)}, "offset": {strconv.Itoa(len(ids))}}
		if _, err := c.get(ctx, "api/v1/dead-letters", query, &page); err != nil {
			return nil, err
		}
		for i := range page.DeadLetters {
			ids = append(ids, page.DeadLetters[i].ID)
		}
		if len(page.DeadLetters) < lettersPage {
			return ids, nil
		}
	}
}
