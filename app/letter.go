package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"dynotap/queue"
	"dynotap/server"
)

// contentsView is what a dead letter carries.
type contentsView struct {
	BatchID    string           `json:"batch_id"`
	Capture    string           `json:"capture"`
	Clock      string           `json:"clock"`
	ReceivedAt *time.Time       `json:"received_at"`
	Total      int              `json:"total"`
	Samples    []sampleOfLetter `json:"samples"`
	Error      string           `json:"error"`
	Head       string           `json:"head"`
}

type sampleOfLetter struct {
	Time        *time.Time    `json:"time"`
	TimeUS      int64         `json:"time_us"`
	Provider    string        `json:"provider"`
	Label       string        `json:"label"`
	Name        string        `json:"name"`
	Value       server.Number `json:"value"`
	Unit        string        `json:"unit"`
	NativeValue server.Number `json:"native_value"`
	NativeUnit  string        `json:"native_unit"`
	Quality     string        `json:"quality"`
}

const (
	shownSamples = 20
	// allSamples is more than a batch holds and as much as the API gives.
	allSamples = 1_000_000
)

func newLettersShow(p *Program) *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter: why it died, when, and its samples",
		Long: `Shows one dead letter: why it died, when, and its samples. The ID can be shortened to its
beginning or end.`,
		Args: exactly(1),
	}
	o := p.options(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with all samples unless --limit is given")
	cmd.Flags().IntVar(&limit, "limit", shownSamples, "at most so many samples; 0: all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 0 {
			return usageError{fmt.Errorf("--limit must be 0 or more, not %d", limit)}
		}
		if limit == 0 || asJSON && !cmd.Flags().Changed("limit") {
			limit = allSamples
		}
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			ids, err := c.letterIDs(ctx, args)
			if err != nil {
				return err
			}
			var shown struct {
				letterView
				Contents contentsView `json:"contents"`
			}
			raw, err := c.get(ctx, letterPath(ids[0]), url.Values{"limit": {strconv.Itoa(limit)}}, &shown)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			s := sheet{cmd.OutOrStdout()}
			shown.printHead(s)
			if err := shown.Contents.print(s, &shown.letterView); err != nil {
				return err
			}
			advice, retry := whatToDo(shown.Reason)
			s.line("what to do", "%s", advice)
			if retry {
				s.line("", "%s", o.command("dead-letters retry "+shown.ID))
			}
			s.line("", "%s", o.command("dead-letters delete "+shown.ID))
			return nil
		})
	}
	return cmd
}

func (l *letterView) printHead(s sheet) {
	s.line("dead letter", "%s", l.ID)
	s.line("reason", "%s: %s", plain(l.Reason), deadNames(l.Reason))
	s.line("source", "%s, priority %s", plain(l.Source), l.Priority)
	s.line("taken in", "%s", local(l.EnqueuedAt, time.RFC3339))
	s.line("died", "%s, after %s", local(l.DiedAt, time.RFC3339), plural(l.Attempts, "attempt"))
	if l.FirstError != l.LastError {
		printError(s, "first error", l.FirstError)
	}
	printError(s, "last error", l.LastError)
	for _, key := range slices.Sorted(maps.Keys(l.Metadata)) {
		s.line("metadata", "%s = %s", plain(key), plain(l.Metadata[key]))
	}
	s.line("payload", "%s in %s", countOf(l.Samples, "sample"), countOf(l.Bytes, "byte"))
}

// printError prints every line of an error.
func printError(s sheet, heading, text string) {
	if text == "" {
		text = "-"
	}
	for line := range strings.Lines(text) {
		s.line(heading, "%s", plain(strings.ReplaceAll(line, "\t", "  ")))
		heading = ""
	}
}

func (v *contentsView) print(s sheet, l *letterView) error {
	if v.BatchID != "" {
		s.line("batch", "%s, clock %s", v.BatchID, v.Clock)
		s.line("session", "%s", plain(v.Capture))
		s.line("received", "%s", local(v.ReceivedAt, time.RFC3339Nano))
	}
	if v.Error != "" {
		why := plain(v.Error)
		if v.Error == l.LastError {
			why = "for the same reason"
		}
		s.line("samples", "cannot be shown: %s", why)
		if v.Head != "" {
			s.line("begins with", "%s", v.Head)
		}
		return nil
	}
	if l.Reason == queue.ReasonDamaged {
		s.line("", "the bytes are not those that were written: the samples may be wrong")
	}
	if len(v.Samples) == 0 {
		return nil
	}
	one := !slices.ContainsFunc(v.Samples, func(other sampleOfLetter) bool { return other.Provider != v.Samples[0].Provider })
	if one {
		s.line("device", "%s", plain(v.Samples[0].Provider))
	}
	fmt.Fprintln(s.out)
	if err := printSamples(s.out, v.Samples, !one); err != nil {
		return err
	}
	if len(v.Samples) < v.Total {
		fmt.Fprintf(s.out, "the first %d of %s; --limit 0 shows all\n", len(v.Samples), countOf(int64(v.Total), "sample"))
	}
	_, err := fmt.Fprintln(s.out)
	return err
}

// printSamples prints samples under their day, where it is one day.
func printSamples(out io.Writer, samples []sampleOfLetter, devices bool) error {
	const day, clock = "2006-01-02", "15:04:05.000000"
	layout, first := clock, local(samples[0].Time, day)
	for i := range samples {
		if local(samples[i].Time, day) != first {
			layout = day + " " + clock
		}
	}
	headers := []string{"time", "channel", "name", "value", "unit", "native", "quality"}
	if layout == clock {
		headers[0] = "on " + first
	}
	if devices {
		headers = slices.Insert(headers, 1, "device")
	}
	rows := make([][]string, 0, len(samples))
	for i := range samples {
		v := &samples[i]
		native := ""
		if v.Unit != v.NativeUnit {
			native = number((*float64)(&v.NativeValue), 3) + " " + v.NativeUnit
		}
		row := []string{
			local(v.Time, layout), plain(v.Label), plain(v.Name),
			number((*float64)(&v.Value), 3), plain(v.Unit), plain(native), v.Quality,
		}
		if devices {
			row = slices.Insert(row, 1, plain(v.Provider))
		}
		rows = append(rows, row)
	}
	return printTable(out, headers, rows)
}

// local prints a time as people read it in the cell.
func local(t *time.Time, layout string) string {
	if t == nil {
		return "unknown"
	}
	return t.Local().Format(layout)
}

// errorColumn is the least that is worth a column for the error.
const errorColumn = 24

// printLetters prints the table. Where the terminal is too narrow for a
// column of errors, each has a line of its own below its letter. A width of 0
// has room for everything.
func printLetters(out io.Writer, letters []letterView, width int) error {
	headers := append(make([]string, 0, 8), "id", "died", "source", "priority", "samples", "attempts", "reason")
	rows := make([][]string, 0, len(letters))
	for i := range letters {
		l := &letters[i]
		rows = append(rows, []string{
			l.ID, local(l.DiedAt, time.DateTime), plain(l.Source), l.Priority, thousands(l.Samples), strconv.Itoa(l.Attempts), plain(l.Reason),
		})
	}
	if width > 0 {
		var bare bytes.Buffer
		if err := printTable(&bare, headers, rows); err != nil {
			return err
		}
		room := width - lipgloss.Width(bare.String()) - 2
		if room < errorColumn {
			return printNarrow(out, headers, rows, letters, width)
		}
		width = room
	}
	for i := range rows {
		rows[i] = append(rows[i], cut(plain(letters[i].LastError), width))
	}
	return printTable(out, append(headers, "last error"), rows)
}

func printNarrow(out io.Writer, headers []string, rows [][]string, letters []letterView, width int) error {
	for i := range rows {
		rows[i] = rows[i][:len(headers)-1]
	}
	var bare bytes.Buffer
	if err := printTable(&bare, headers[:len(headers)-1], rows); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(bare.String(), "\n"), "\n")
	head := len(lines) - len(letters)
	for i, line := range lines {
		fmt.Fprintln(out, strings.TrimRight(line, " "))
		if i >= head {
			l := &letters[i-head]
			fmt.Fprintln(out, cut("  "+plain(l.Reason)+": "+plain(l.LastError), width))
		}
	}
	return nil
}
