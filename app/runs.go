package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynotap/run"
)

// runView is a run as the API gives it.
type runView struct {
	ID        string       `json:"id"`
	Capture   string       `json:"capture"`
	Kind      string       `json:"kind"`
	Source    string       `json:"source"`
	Name      string       `json:"name"`
	Notes     string       `json:"notes"`
	Tags      []string     `json:"tags"`
	StartedAt *time.Time   `json:"started_at"`
	EndedAt   *time.Time   `json:"ended_at"`
	Summary   *run.Summary `json:"summary"`
}

func newRuns(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List, show, edit, draw, export and delete what was recorded",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRunsList(p), newRunsShow(p), newRunsEdit(p), newRunsExport(p), newRunsPlot(p), newRunsCompare(p), newRunsMerge(p), newRunsDelete(p))
	return cmd
}

// withClient runs a command against the running instance or the directory.
func withClient(cmd *cobra.Command, o *options, do func(context.Context, *client) error) (err error) {
	ctx := cmd.Context()
	c, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	return do(ctx, c)
}

func newRunsList(p *Program) *cobra.Command {
	var asJSON bool
	var kind, text string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List runs, the newest first", Args: exactly(0)}
	o := p.options(cmd)
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&kind, "kind", "", "only `session`, recording, pull or import")
	f.StringVar(&text, "text", "", "only runs with this `text` in id, name, notes, source or a tag")
	f.IntVar(&limit, "limit", 100, "at most so many")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}, "channels": {strconv.FormatBool(asJSON)}}
			if kind != "" {
				query.Set("kind", kind)
			}
			if text != "" {
				query.Set("text", text)
			}
			var list struct {
				Runs  []runView `json:"runs"`
				Total int       `json:"total"`
			}
			raw, err := c.get(ctx, "api/v1/runs", query, &list)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			if list.Total == 0 && (kind != "" || text != "") {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "no run matches")
				return err
			}
			return printRuns(cmd.OutOrStdout(), list.Runs, list.Total)
		})
	}
	return cmd
}

func printRuns(out io.Writer, runs []runView, total int) error {
	if total == 0 {
		_, err := fmt.Fprintln(out, "no runs yet: record with dynotap run")
		return err
	}
	rows := make([][]string, 0, len(runs))
	for _, r := range runs {
		rows = append(rows, r.row())
	}
	err := printTable(out, []string{"id", "kind", "started", "length", "peak", "torque", "samples", "name"}, rows)
	if err == nil && total > len(runs) {
		_, err = fmt.Fprintf(out, "%d of %d; see --limit\n", len(runs), total)
	}
	return err
}

func (r *runView) row() []string {
	started, length := "-", "-"
	if r.StartedAt != nil {
		started = localTime(r.StartedAt.UnixMicro())
	}
	power, torque, samples := "-", "-", "-"
	if s := r.Summary; s != nil {
		length = fmt.Sprintf("%.1f s", float64(s.DurationMS)/1000)
		power, torque = peak(s.PeakHP, "hp", s.HPPeakRPM), peak(s.PeakTorque, "ft·lb", s.TorquePeakRPM)
		samples = thousands(s.SampleCount)
	}
	return []string{r.ID, r.Kind, started, length, power, torque, samples, r.Name}
}

// peak prints a value and the rpm it was reached at.
func peak(value *float64, unit string, rpm *float64) string {
	if value == nil {
		return "-"
	}
	if rpm == nil {
		return number(value, 1) + " " + unit
	}
	return fmt.Sprintf("%s %s @ %s", number(value, 1), unit, number(rpm, 0))
}

func newRunsShow(p *Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "show ID", Short: "Show one run with its channels", Args: exactly(1)}
	o := p.options(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			var r runView
			path, err := runPath(ctx, c, args[0])
			if err != nil {
				return err
			}
			raw, err := c.get(ctx, path, nil, &r)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			return r.print(cmd.OutOrStdout())
		})
	}
	return cmd
}

// runPath is where a run is found by its id or by the beginning of it, as long
// as no other run's begins so.
func runPath(ctx context.Context, c *client, id string) (string, error) {
	const whole = 36
	if len(id) >= whole || id == "" {
		return "api/v1/runs/" + url.PathEscape(id), nil
	}
	var list struct {
		Runs []runView `json:"runs"`
	}
	if _, err := c.get(ctx, "api/v1/runs", url.Values{"text": {id}, "limit": {"1000"}}, &list); err != nil {
		return "", err
	}
	var found []string
	for i := range list.Runs {
		if strings.HasPrefix(list.Runs[i].ID, strings.ToLower(id)) {
			found = append(found, list.Runs[i].ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no run %s: dynotap runs list shows what there is", id)
	case 1:
		return "api/v1/runs/" + url.PathEscape(found[0]), nil
	}
	return "", fmt.Errorf("%d runs begin with %s, such as %s and %s: give more of the id", len(found), id, found[0], found[1])
}

func (r *runView) print(out io.Writer) error {
	row := r.row()
	fmt.Fprintf(out, "%s %s\nstarted %s, length %s, %s samples\npeak %s, torque %s\n", r.Kind, r.ID, row[2], row[3], row[6], row[4], row[5])
	for _, line := range [][2]string{{"name", r.Name}, {"notes", r.Notes}, {"tags", strings.Join(r.Tags, ", ")}} {
		if line[1] != "" {
			fmt.Fprintf(out, "%s: %s\n", line[0], line[1])
		}
	}
	if r.Summary == nil {
		return nil
	}
	if formula := r.Summary.Derived["peak_hp"]; formula != "" {
		fmt.Fprintf(out, "no channel has power: the peak is derived from %s\n", formula)
	}
	for _, warning := range r.Summary.Warnings {
		fmt.Fprintf(out, "warning: %s\n", warning)
	}
	rows := make([][]string, 0, len(r.Summary.Channels))
	for _, c := range r.Summary.Channels {
		rows = append(rows, []string{
			c.Device, c.Label, c.Name, string(c.Unit), thousands(c.Samples), number(c.Min, 3), number(c.Max, 3),
			thousands(c.Suspect), thousands(c.Bad),
		})
	}
	return printTable(out, []string{"device", "channel", "name", "unit", "samples", "min", "max", "suspect", "bad"}, rows)
}

func newRunsEdit(p *Program) *cobra.Command {
	var name, notes, tags string
	cmd := &cobra.Command{Use: "edit ID", Short: "Change a run's name, notes or tags", Args: exactly(1)}
	o := p.options(cmd)
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "the run's name")
	f.StringVar(&notes, "notes", "", "notes")
	f.StringVar(&tags, "tags", "", "tags, separated by commas")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change := map[string]any{}
		if f.Changed("name") {
			change["name"] = name
		}
		if f.Changed("notes") {
			change["notes"] = notes
		}
		if f.Changed("tags") {
			change["tags"] = splitTags(tags)
		}
		if len(change) == 0 {
			return usageError{errors.New("nothing to change: give --name, --notes or --tags")}
		}
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			var r runView
			path, err := runPath(ctx, c, args[0])
			if err != nil {
				return err
			}
			if _, err := c.call(ctx, http.MethodPatch, path, nil, change, &r); err != nil {
				return err
			}
			return r.print(cmd.OutOrStdout())
		})
	}
	return cmd
}

func splitTags(text string) []string {
	tags := []string{}
	for tag := range strings.SplitSeq(text, ",") {
		if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

func newRunsExport(p *Program) *cobra.Command {
	var format, out string
	var wide bool
	var rate float64
	cmd := &cobra.Command{Use: "export ID", Short: "Write a run as CSV, Parquet, JSON lines, or .mlg for MegaLogViewer", Args: exactly(1)}
	o := p.options(cmd)
	f := cmd.Flags()
	f.StringVar(&format, "format", "csv", "csv, parquet, jsonl or mlg (default: by the name of the output)")
	f.Float64Var(&rate, "rate", 0, "so many rows a `second` at equal distances (csv, in its wide form, and mlg; default: as recorded)")
	f.BoolVar(&wide, "wide", false, "one column a channel instead of one row a sample")
	f.StringVarP(&out, "output", "o", "", "`file` to write (default: standard output)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !f.Changed("format") {
			format = formatOf("", out)
		}
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			query := exportQuery(format, wide, rate)
			path, err := runPath(ctx, c, args[0])
			if err != nil {
				return err
			}
			stream, err := c.do(ctx, http.MethodGet, path+"/export", query, nil)
			if err != nil {
				return err
			}
			defer stream.Close()
			if out == "" {
				_, err := io.Copy(cmd.OutOrStdout(), stream)
				return err
			}
			return writeFile(out, stream)
		})
	}
	return cmd
}

// writeFile writes a file whole or not at all.
func writeFile(name string, from io.Reader) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(name), ".dynotap-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: is there a folder %s, and may you write there? (%w)", name, filepath.Dir(name), err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	if _, err := io.Copy(temp, from); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), temp.Close())
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(temp.Name(), name)
}
