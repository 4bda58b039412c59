package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"dynotap/format"
	"dynotap/pipeline/imports"
	"dynotap/run"
)

// temporary opens a directory of its own that is removed at the end: what looks
// into files without keeping them does all that an import does, there.
func (o *options) temporary(ctx context.Context) (*client, error) {
	loaded, err := o.load()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dynotap-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	loaded.Config.Queue.Fsync = false
	c, err := o.serve(ctx, loaded, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c.temporary = dir
	return c, nil
}

// withFile imports a file into a temporary directory and does something with
// it there.
func withFile(cmd *cobra.Command, o *options, path string, do func(ctx context.Context, c *client, r *imports.Report) error) (err error) {
	in, name := cmd.InOrStdin(), "stdin"
	if path != fromStdin {
		file, err := os.Open(path)
		if err != nil {
			return usageError{err}
		}
		defer file.Close()
		in, name = file, path
	}
	ctx := cmd.Context()
	c, err := o.temporary(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	bar := newImportBar(cmd.ErrOrStderr(), []string{path})
	report, err := c.importFile(ctx, name, in, false, bar.file())
	bar.end()
	if err != nil {
		return err
	}
	report.File = name
	return do(ctx, c, &report)
}

func newInspect(p *Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Say what is in a file: format, runs, channels, problems; stores nothing",
		Args:  exactly(1),
	}
	o := p.options(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var rejected int64
		err := withFile(cmd, o, args[0], func(_ context.Context, _ *client, r *imports.Report) error {
			rejected = r.Rejected()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			return printInspection(cmd.OutOrStdout(), r)
		})
		var refused *imports.RefusedError
		switch {
		case errors.As(err, &refused) && asJSON:
			return errors.Join(err, printJSON(cmd.OutOrStdout(), &imports.Report{
				File: args[0], Runs: []run.Run{}, Errors: []format.Problem{{Message: refused.Err.Error()}}, ErrorCount: 1, Warnings: []string{},
			}))
		case err != nil:
			return err
		case rejected > 0:
			return lookError{fmt.Errorf("%s cells, rows or samples of %s were rejected", thousands(rejected), args[0])}
		}
		return nil
	}
	return cmd
}

func printInspection(out io.Writer, r *imports.Report) error {
	fmt.Fprintf(out, "%s: %s (%d %% sure), %s, %s\n", r.File, r.Format, r.Confidence, plural(len(r.Runs), "run"), plural(r.Pulls, "pull"))
	for i := range r.Runs {
		found := &r.Runs[i]
		view := runView{
			ID: found.ID, Kind: string(found.Kind), Source: found.Source, Name: found.Name, Notes: found.Notes, StartedAt: found.StartedAt,
			Summary: &found.Summary,
		}
		if err := view.print(out); err != nil {
			return err
		}
	}
	return printProblems(out, r, len(r.Errors))
}
