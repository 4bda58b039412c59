package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/server"
	"dynotap/source"
)

// statusReport is what `status --json` prints: the answers of the API, as they
// came.
type statusReport struct {
	Address string          `json:"address"`
	Ready   json.RawMessage `json:"ready"`
	Stats   json.RawMessage `json:"stats"`
	Queue   json.RawMessage `json:"queue"`
	Sources json.RawMessage `json:"sources"`
}

// statusView is the part of it that people read.
type statusView struct {
	ready struct {
		Ready bool `json:"ready"`
		server.Readiness
	}
	stats struct {
		Sources map[string]struct {
			pipeline.Account
			Overruns Overruns `json:"overruns"`
		} `json:"sources"`
		Pressure pressureView `json:"pressure"`
	}
	queue   queue.Stats
	sources struct {
		Sources []sourceView `json:"sources"`
	}
}

type sourceView struct {
	Name    string        `json:"name"`
	Enabled bool          `json:"enabled"`
	Absent  bool          `json:"absent"`
	Health  source.Health `json:"health"`
	Stats   struct {
		Rate    float64 `json:"samples_per_second"`
		Latency float64 `json:"avg_latency_ms"`
		Uptime  float64 `json:"uptime_sec"`
	} `json:"stats"`
	Losses map[string]int64 `json:"losses"`
}

func newStatus(p *Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "What the running dynotap is doing: sources, queue, where every sample is", Args: exactly(0),
	}
	o := p.options(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := o.connectRunning()
		if err != nil {
			return err
		}
		report, view, err := askStatus(cmd.Context(), c)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), report)
		}
		return view.print(cmd.OutOrStdout(), report.Address)
	}
	return cmd
}

func askStatus(ctx context.Context, c *client) (report statusReport, view statusView, err error) {
	report.Address = c.base
	for _, part := range []struct {
		path string
		raw  *json.RawMessage
		into any
	}{
		{"readyz", &report.Ready, &view.ready},
		{"api/v1/stats", &report.Stats, &view.stats},
		{"api/v1/queue", &report.Queue, &view.queue},
		{"api/v1/sources", &report.Sources, &view.sources},
	} {
		if *part.raw, err = c.get(ctx, part.path, nil, part.into); err != nil {
			return report, view, err
		}
	}
	return report, view, nil
}

func (v *statusView) print(out io.Writer, address string) error {
	state := "accepting samples"
	if !v.ready.Ready {
		state = "NOT accepting samples: " + strings.Join(v.ready.Reasons, "; ")
	}
	fmt.Fprintf(out, "dynotap at %s: %s\n", address, state)
	for _, note := range v.ready.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	v.printQueue(out)
	rows := make([][]string, 0, len(v.sources.Sources))
	for _, s := range v.sources.Sources {
		a := v.stats.Sources[s.Name]
		rows = append(rows, []string{
			s.Name, string(s.Health.State), fmt.Sprintf("%.0f", s.Stats.Rate), fmt.Sprintf("%.1f ms", s.Stats.Latency),
			thousands(a.Received), thousands(a.Processed), thousands(a.Failed), thousands(a.Dropped),
			thousands(a.Queued), thousands(a.Dead), s.health(),
		})
	}
	err := printTable(out, []string{
		"source", "state", "samples/s", "latency", "received", "processed", "failed", "dropped", "queued", "dead", "health",
	}, rows)
	if err != nil {
		return err
	}
	for i := range v.sources.Sources {
		if remarks := v.sources.Sources[i].remarks(); len(remarks) > 0 {
			fmt.Fprintf(out, "%s: %s\n", v.sources.Sources[i].Name, strings.Join(remarks, "; "))
		}
	}
	v.printChannels(out)
	return nil
}

// off says that a source is not enabled, nor was it started all the same.
func (s *sourceView) off() bool { return !s.Enabled && s.Health.State == source.Disconnected }

// health is the source's health in a word or two.
func (s *sourceView) health() string {
	switch {
	case s.off():
		return "not enabled"
	case s.Health.Healthy:
		return "healthy"
	case s.Absent && s.Health.LastError != "":
		return "no device"
	}
	return "NOT healthy"
}

// remarks say what is wrong with a source and since when, and what came and
// became no sample. Why a source is not connected readyz has said.
func (s *sourceView) remarks() (out []string) {
	if !s.off() && !s.Absent {
		for _, c := range s.Health.Conditions {
			out = append(out, c.Text+" since "+c.Since.Local().Format("15:04:05"))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Losses)) {
		if n := s.Losses[reason]; n > 0 {
			out = append(out, reason+" "+thousands(n))
		}
	}
	return out
}

// printChannels names the channels that are in trouble, of the sources that
// are to have any.
func (v *statusView) printChannels(out io.Writer) {
	for i := range v.sources.Sources {
		s := &v.sources.Sources[i]
		if s.Health.State == source.Disconnected {
			continue
		}
		for _, remark := range s.Health.ChannelRemarks() {
			fmt.Fprintf(out, "%s: %s\n", s.Name, remark)
		}
	}
}

// printQueue says how full the queue is and what that has cost. What goes on
// at present has been said by readyz.
func (v *statusView) printQueue(out io.Writer) {
	full := ""
	if v.queue.CurrentSize >= v.queue.MaxSize {
		full = "FULL, "
	}
	fmt.Fprintf(out, "queue: %s%d of %d batches, most %d, when full: %s, dropped %.2f %%, dead letters %d\n",
		full, v.queue.CurrentSize, v.queue.MaxSize, v.queue.HighWatermark, strings.ReplaceAll(v.queue.WhenFull, "_", " "),
		v.queue.DropRate, v.queue.DeadLetters)
	overruns := map[string]Overruns{}
	for name, s := range v.stats.Sources {
		overruns[name] = s.Overruns
	}
	for _, line := range historyLines(&v.stats.Pressure, &v.queue, overruns) {
		fmt.Fprintln(out, line)
	}
}
