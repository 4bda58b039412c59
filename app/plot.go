package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dynotap/run/correct"
	dynosheet "dynotap/run/sheet"
	"dynotap/run/smooth"
)

// plotting is how a sheet is wished for.
type plotting struct {
	out, over, correction, units, title string
	smoothing                           int
}

func newRunsPlot(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "plot ID|FILE -o sheet.svg", Short: "Draw the dyno sheet of a run, or of a file without importing it", Args: exactly(1),
		Long: `Draw the dyno sheet of a run as SVG or PNG: power and torque over engine speed,
the mixture below. Of a session the strongest pull is drawn.

Power and torque are shown as recorded where they carry a correction, else by
SAE J1349 where there is weather, else uncorrected; --correction chooses. The
sheet names what it shows. Nothing stored is changed.`,
	}
	return plottingCommand(p, cmd)
}

func newRunsCompare(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "compare ID|FILE ID|FILE... -o sheet.svg", Short: "Draw up to six runs, or files, over each other",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 || len(args) > dynosheet.MostRuns {
				return usageError{fmt.Errorf("give the ids of 2 to %d runs: dynotap runs list shows them", dynosheet.MostRuns)}
			}
			return nil
		},
	}
	return plottingCommand(p, cmd)
}

func plottingCommand(p *Program, cmd *cobra.Command) *cobra.Command {
	o := p.options(cmd)
	w := &plotting{}
	f := cmd.Flags()
	f.StringVarP(&w.out, "output", "o", "", "`file` to write, .svg or .png (needed)")
	f.StringVar(&w.over, "over", "rpm", "horizontal axis: `rpm` or time")
	f.StringVar(&w.correction, "correction", "", "bring power and torque to `sae`, std or none")
	f.IntVar(&w.smoothing, "smoothing", 0, "0 (none) to 5")
	f.StringVar(&w.units, "units", "", "`us` or metric (default: those of the configuration)")
	f.StringVar(&w.title, "title", "", "title of the sheet (default: the run's name)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := w.check()
		if err != nil {
			return usageError{err}
		}
		return withRuns(cmd, o, args, func(ctx context.Context, c *client, ids []string) error {
			return w.write(ctx, cmd, c, format, ids)
		})
	}
	return cmd
}

// check finds what is wrong with a wish before anything is opened.
func (w *plotting) check() (format string, err error) {
	if w.out == "" {
		return "", errors.New("name the picture with -o sheet.svg or -o sheet.png")
	}
	format = strings.ToLower(strings.TrimPrefix(filepath.Ext(w.out), "."))
	if format != string(dynosheet.SVG) && format != string(dynosheet.PNG) {
		return "", fmt.Errorf("%s: a sheet is drawn as .svg or .png", w.out)
	}
	if _, err := smooth.Reach(w.smoothing); err != nil {
		return "", fmt.Errorf("--%w", err)
	}
	for _, c := range []struct {
		flag, value string
		known       []string
	}{
		{"over", w.over, []string{"rpm", "time"}}, {"correction", w.correction, append(correct.Standards(), "")},
		{"units", w.units, []string{"us", "metric", ""}},
	} {
		if !slices.Contains(c.known, c.value) {
			return "", fmt.Errorf("--%s %q: use %s", c.flag, c.value, strings.Join(slices.DeleteFunc(c.known, func(k string) bool { return k == "" }), ", "))
		}
	}
	return format, nil
}

func isFile(arg string) bool {
	info, err := os.Stat(arg)
	return err == nil && info.Mode().IsRegular()
}

// withRuns does something with the runs of the data directory that are named,
// or with those of files, which are not imported for that. Ids and files do not
// mix, because runs are of one directory.
func withRuns(cmd *cobra.Command, o *options, args []string, do func(ctx context.Context, c *client, ids []string) error) (err error) {
	if !slices.ContainsFunc(args, isFile) {
		return withClient(cmd, o, func(ctx context.Context, c *client) error { return do(ctx, c, args) })
	}
	ctx := cmd.Context()
	c, err := o.temporary(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	var ids []string
	for _, path := range args {
		if !isFile(path) {
			return usageError{fmt.Errorf("%s is no file: name files only, or import them and name runs only", path)}
		}
		id, err := c.importPath(ctx, path)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	return do(ctx, c, ids)
}

// importPath imports a file and gives the id of its first run.
func (c *client) importPath(ctx context.Context, path string) (id string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	report, err := c.importFile(ctx, path, file, false, &barShare{})
	if err != nil {
		return "", err
	}
	return report.Runs[0].ID, nil
}

// write asks for the picture and writes it.
func (w *plotting) write(ctx context.Context, cmd *cobra.Command, c *client, format string, ids []string) error {
	var paths []string
	for _, id := range ids {
		found, err := runPath(ctx, c, id)
		if err != nil {
			return err
		}
		paths = append(paths, found)
	}
	query := url.Values{"over": {w.over}, "smoothing": {strconv.Itoa(w.smoothing)}}
	for name, value := range map[string]string{"correction": w.correction, "units": w.units, "title": w.title} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for _, other := range paths[1:] {
		query.Add("with", path.Base(other))
	}
	picture, err := c.do(ctx, http.MethodGet, paths[0]+"/plot."+format, query, nil)
	if err != nil {
		return err
	}
	defer picture.Close()
	if err := writeFile(w.out, picture); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "drew %s\n", w.out)
	return err
}
