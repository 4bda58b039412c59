package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// deletion is what deleting a run takes away.
type deletion struct {
	Deleted []string `json:"deleted"` // ids of runs
	// Samples says that the samples went, too: no run shows them any more.
	Samples bool `json:"samples_deleted"`
	// Left is how many other runs show the samples.
	Left int `json:"runs_left"`
}

func newRunsDelete(p *Program) *cobra.Command {
	var all, yes, asJSON bool
	cmd := &cobra.Command{
		Use: "delete ID", Short: "Delete a run, and with the last run of a session or file its samples", Args: exactly(1),
		Long: "Delete a run. Its samples stay as long as another run shows them, such as the session of a pull;\n" +
			"with the last run of a session or file they go too, and so does the copy of an imported file.",
	}
	o := p.options(cmd)
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "delete every other run of its session or file as well, and so the samples")
	f.BoolVar(&yes, "yes", false, "do not ask (with --all)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all {
			if err := mayDelete(cmd, yes); err != nil {
				return err
			}
		}
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			path, err := runPath(ctx, c, args[0])
			if err != nil {
				return err
			}
			planned, err := planDeletion(ctx, c, path, all)
			if err != nil {
				return err
			}
			if all && !yes {
				question := fmt.Sprintf("delete %s and their samples for good?", countOf(int64(len(planned.Deleted)), "run"))
				if err := confirm(cmd, question); err != nil {
					return err
				}
			}
			if _, err := c.call(ctx, http.MethodDelete, path, url.Values{"all": {strconv.FormatBool(all)}}, nil); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), planned)
			}
			return planned.print(cmd.OutOrStdout())
		})
	}
	return cmd
}

// planDeletion finds out what deleting a run takes away.
func planDeletion(ctx context.Context, c *client, path string, all bool) (d deletion, err error) {
	var one runView
	if _, err := c.get(ctx, path, nil, &one); err != nil {
		return d, err
	}
	var list struct {
		Runs  []runView `json:"runs"`
		Total int       `json:"total"`
	}
	if _, err := c.get(ctx, "api/v1/runs", url.Values{"capture": {one.Capture}, "limit": {"1000"}}, &list); err != nil {
		return d, err
	}
	d.Deleted = []string{one.ID}
	for i := range list.Runs {
		if id := list.Runs[i].ID; all && id != one.ID {
			d.Deleted = append(d.Deleted, id)
		}
	}
	d.Left = max(0, list.Total-1)
	if all {
		d.Left = 0
	}
	d.Samples = d.Left == 0
	return d, nil
}

func (d *deletion) print(out io.Writer) error {
	for _, id := range d.Deleted {
		fmt.Fprintf(out, "deleted run %s\n", id)
	}
	if d.Samples {
		_, err := fmt.Fprintln(out, "its samples are deleted too: no other run shows them")
		return err
	}
	_, err := fmt.Fprintf(out, "its samples stay with %s of the same session or file (--all deletes everything)\n", countOf(int64(d.Left), "other run"))
	return err
}
