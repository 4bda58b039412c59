package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dynotap/pipeline/imports"
)

func newConvert(p *Program) *cobra.Command {
	var to, out string
	var wide bool
	var rate float64
	cmd := &cobra.Command{
		Use:   "convert FILE",
		Short: "Write a file's samples in another form; stores nothing",
		Long: `Convert reads any file that import reads and writes its samples as CSV (a row a sample, or with --wide a column a channel),
Parquet, JSON lines, or .mlg for MegaLogViewer. A file of several runs becomes several files, numbered from the second on.`,
		Args: exactly(1),
	}
	o := p.options(cmd)
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "csv, parquet, jsonl or mlg (default: by the name of the output, else csv)")
	f.BoolVar(&wide, "wide", false, "one column a channel instead of one row a sample (CSV)")
	f.Float64Var(&rate, "rate", 0, "so many rows a `second` at equal distances (default: as recorded)")
	f.StringVarP(&out, "output", "o", "", "`file` to write (default: standard output)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := notNegative("rate", rate); err != nil {
			return err
		}
		query := exportQuery(formatOf(to, out), wide, rate)
		var rejected int64
		err := withFile(cmd, o, args[0], func(ctx context.Context, c *client, r *imports.Report) error {
			rejected = r.Rejected()
			if rejected > 0 {
				_ = printProblems(cmd.ErrOrStderr(), r, 5)
			}
			if out == "" && len(r.Runs) > 1 {
				return usageError{fmt.Errorf("%s has %d runs: name a file with -o, each run gets its own", r.File, len(r.Runs))}
			}
			for i := range r.Runs {
				if err := c.export(ctx, r.Runs[i].ID, query, numbered(out, i), cmd.OutOrStdout()); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && rejected > 0 {
			return lookError{fmt.Errorf("%s cells, rows or samples of %s were rejected: the rest is written", thousands(rejected), args[0])}
		}
		return err
	}
	return cmd
}

// exportQuery asks for a form of export; a rate makes rows, so CSV is then wide.
func exportQuery(format string, wide bool, rate float64) url.Values {
	query := url.Values{"format": {format}, "wide": {strconv.FormatBool(wide || rate > 0 && format == "csv")}}
	if rate > 0 {
		query.Set("rate", strconv.FormatFloat(rate, 'g', -1, 64))
	}
	return query
}

// formatOf is the form that was asked for, or that the output's name asks for.
func formatOf(asked, out string) string {
	if asked != "" {
		return asked
	}
	switch named := strings.ToLower(strings.TrimPrefix(filepath.Ext(out), ".")); named {
	case "parquet", "jsonl", "mlg":
		return named
	}
	return "csv"
}

// numbered is the name of the output of run i.
func numbered(out string, i int) string {
	if out == "" || i == 0 {
		return out
	}
	ext := filepath.Ext(out)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(out, ext), i+1, ext)
}

// export writes a run to a file, or where none is named to the writer.
func (c *client) export(ctx context.Context, id string, query url.Values, out string, elsewhere io.Writer) (err error) {
	stream, err := c.do(ctx, http.MethodGet, "api/v1/runs/"+url.PathEscape(id)+"/export", query, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	if out == "" {
		_, err = io.Copy(elsewhere, stream)
		return err
	}
	return writeFile(out, stream)
}
