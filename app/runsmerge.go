package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynotap/run/align"
	"dynotap/server"
)

// channelOption is the name of a flag and of the parameter that it becomes.
const channelOption = "channel"

// merging is how two runs are wished to be merged.
type merging struct {
	out, by           string
	offset, tolerance time.Duration
	channels          []string
	asJSON            bool
	given             bool // the offset
}

func newRunsMerge(p *Program) *cobra.Command {
	m := &merging{}
	cmd := &cobra.Command{
		Use: "merge ID|FILE ID|FILE -o merged.csv", Short: "Bring the readings of one run, such as a wideband's, to the points of another", Args: exactly(2),
		Long: `Merge gives each reading of the second run to the nearest point of the first, each reading once and none further away than the
tolerance, and writes the points with the channels of both as CSV or .mlg, which import, plot and every other program read.

Where the two have clocks of their own, the offset is found first, by the correlation of a channel that both have (engine speed,
speed, throttle, pressure or AFR) or of the two that --by names, such as --by horsepower:afr. It is reported with how sure it is.
Nothing stored is changed.`,
	}
	o := p.options(cmd)
	f := cmd.Flags()
	f.StringVarP(&m.out, "output", "o", "", "`file` to write, .csv or .mlg (default: only the report)")
	f.StringVar(&m.by, "by", "", "compare the clocks by this `channel`, or two as first:second")
	f.DurationVar(&m.offset, "offset", 0, "how far the second's clock is ahead, such as 1.25s (default: it is found out)")
	f.DurationVar(&m.tolerance, "tolerance", align.DefaultTolerance, "how far from a point a reading may lie")
	f.StringArrayVar(&m.channels, channelOption, nil, "`channel` of the second run; may be repeated (default: all)")
	f.BoolVar(&m.asJSON, "json", false, "print the report as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m.given = f.Changed("offset")
		if err := m.check(); err != nil {
			return usageError{err}
		}
		return withRuns(cmd, o, args, func(ctx context.Context, c *client, ids []string) error {
			return m.run(ctx, cmd.OutOrStdout(), c, ids, args)
		})
	}
	return cmd
}

func (m *merging) check() error {
	if ext := strings.ToLower(filepath.Ext(m.out)); m.out != "" && ext != ".csv" && ext != ".mlg" {
		return fmt.Errorf("%s: merged runs are written as .csv or .mlg", m.out)
	}
	if m.tolerance < 0 || m.tolerance > time.Minute {
		return fmt.Errorf("--tolerance %s: give 0 to 1m", m.tolerance)
	}
	return nil
}

// run asks for the report and, with the offset that it found, for the file.
func (m *merging) run(ctx context.Context, out io.Writer, c *client, ids, names []string) error {
	first, err := runPath(ctx, c, ids[0])
	if err != nil {
		return err
	}
	second, err := runPath(ctx, c, ids[1])
	if err != nil {
		return err
	}
	by, other, _ := strings.Cut(m.by, ":")
	query := url.Values{
		"with": {path.Base(second)}, channelOption: m.channels, "tolerance_us": {strconv.FormatInt(m.tolerance.Microseconds(), 10)},
		"by": {by}, "other": {other},
	}
	if m.given {
		query.Set("offset_us", strconv.FormatInt(m.offset.Microseconds(), 10))
	}
	answer, err := c.do(ctx, http.MethodGet, first+"/merge", query, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	var report server.MergeReport
	if err := json.NewDecoder(answer).Decode(&report); err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	if m.asJSON {
		err = printJSON(out, report)
	} else {
		err = printMerge(out, &report, names)
	}
	if err != nil || m.out == "" {
		return err
	}
	query.Set("offset_us", strconv.FormatInt(report.Clock.OffsetUS, 10))
	query.Set("format", strings.TrimPrefix(strings.ToLower(filepath.Ext(m.out)), "."))
	file, err := c.do(ctx, http.MethodGet, first+"/merge/table", query, nil)
	if err != nil {
		return err
	}
	return errors.Join(writeFile(m.out, file), file.Close())
}

func printMerge(out io.Writer, r *server.MergeReport, names []string) error {
	switch c := r.Clock; c.How {
	case "found":
		fmt.Fprintf(out, "clock: that of %s is %s ahead (by %s, correlation %.3f, confidence %.2f)\n", names[1],
			inSeconds(c.OffsetUS), c.By, c.Correlation, c.Confidence)
	case "given":
		fmt.Fprintf(out, "clock: that of %s is taken to be %s ahead\n", names[1], inSeconds(c.OffsetUS))
	case "same":
		fmt.Fprintln(out, "clock: the same")
	default:
		fmt.Fprintln(out, "clock: taken to be the same: both have the time of day, and no channel in common to compare them by")
	}
	for _, s := range r.Merged {
		if _, err := fmt.Fprintf(out, "%s: at %s of %s points, %s readings unused\n", s.Name,
			thousands(int64(s.Used)), thousands(int64(r.Points)), thousands(int64(s.Unused))); err != nil {
			return err
		}
	}
	return nil
}

func inSeconds(us int64) string { return strconv.FormatFloat(float64(us)/1e6, 'f', 3, 64) + " s" }
