package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// countView is how many dead letters something was done to.
type countView struct {
	Count int `json:"count"`
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
			total := len(args)
			if all {
				done, total, err = c.retryAll(ctx, &filter)
			} else {
				done, err = c.each(ctx, args, http.MethodPost, "/retry", nil)
			}
			if err != nil {
				err = c.explainFull(ctx, o, err)
				if done.Count == 0 {
					return err
				}
			}
			if asJSON {
				return errors.Join(err, printJSON(cmd.OutOrStdout(), done))
			}
			sayRetried(cmd.OutOrStdout(), o, c, &filter, done.Count, total)
			return err
		})
	}
	return cmd
}

// retryAll retries all that match, and tells how many that were.
func (c *client) retryAll(ctx context.Context, filter *letterFilter) (done countView, total int, err error) {
	list, err := c.count(ctx, filter)
	if err == nil {
		_, err = c.call(ctx, http.MethodPost, "api/v1/dead-letters/retry", filter.query(), nil, &done)
	}
	return done, list.Total, err
}

// count counts all that match.
func (c *client) count(ctx context.Context, filter *letterFilter) (list lettersView, err error) {
	query := filter.query()
	query.Set("limit", "0")
	_, err = c.get(ctx, "api/v1/dead-letters", query, &list)
	return list, err
}

// explainFull adds to an error why it lasts: a full queue has no room while
// nobody empties it.
func (c *client) explainFull(ctx context.Context, o *options, err error) error {
	var v queueView
	if c.offline == nil {
		return err
	}
	if _, failed := c.get(ctx, "api/v1/queue", nil, &v); failed != nil || v.CurrentSize < v.MaxSize {
		return err
	}
	return fmt.Errorf("%w; it gets room once dynotap runs: %s", err, o.command("run"))
}

func sayRetried(out io.Writer, o *options, c *client, filter *letterFilter, n, total int) {
	switch {
	case total == 0:
		fmt.Fprintln(out, filter.none(c))
		return
	case c.offline != nil:
		fmt.Fprintf(out, "%s back in the queue; dynotap is not running: the next start delivers: %s\n", countOf(int64(n), "dead letter"), o.command("run"))
	default:
		fmt.Fprintf(out, "%s back in the queue, to be delivered now; what fails again is in %s\n", countOf(int64(n), "dead letter"), o.command("dead-letters list"))
	}
	sayRest(out, n, total)
}

// sayRest says why some were left out: what has died after now was not meant.
func sayRest(out io.Writer, n, total int) {
	if n < total {
		fmt.Fprintf(out, "%d more are as they were; if the clock was set back since they died, name them by their IDs\n", total-n)
	}
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
			return errors.Join(err, sayDeleted(cmd.OutOrStdout(), done, done.Count, asJSON))
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
			list, err := c.count(ctx, &filter)
			if err != nil {
				return err
			}
			if list.Total == 0 && !asJSON {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), filter.none(c))
				return err
			}
			query := filter.query()
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
			return sayDeleted(cmd.OutOrStdout(), done, list.Total, asJSON)
		})
	}
	return cmd
}

// mayDelete refuses where nobody can be asked and nobody said yes.
func mayDelete(cmd *cobra.Command, yes bool) error {
	if yes || askable(cmd) {
		return nil
	}
	return usageError{fmt.Errorf("%s cannot be undone and nobody can be asked here: add --yes", cmd.CommandPath())}
}

func sayDeleted(out io.Writer, done countView, total int, asJSON bool) error {
	if asJSON {
		return printJSON(out, done)
	}
	_, err := fmt.Fprintf(out, "deleted %s\n", countOf(int64(done.Count), "dead letter"))
	sayRest(out, done.Count, total)
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
