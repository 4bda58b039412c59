package app

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/server"
)

// queueView is what /api/v1/queue says.
type queueView struct {
	server.QueueState
	queue.Stats
}

func newQueue(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "What waits to be stored, what was lost, what was given up",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newQueueStats(p))
	return cmd
}

func newQueueStats(p *Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show how full the queue is, how fast it empties, what it lost and why",
		Long: `Shows how full the queue is, how fast it empties, what it lost and why, and what was
given up (dead letters). It asks the running dynotap; where none runs, it looks into the
data directory and changes nothing there.`,
		Args: exactly(0),
	}
	o := p.options(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as /api/v1/queue gives it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			var view queueView
			raw, err := c.get(ctx, "api/v1/queue", nil, &view)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			var letters lettersView
			if _, err := c.get(ctx, "api/v1/dead-letters", url.Values{"limit": {"0"}}, &letters); err != nil {
				return err
			}
			return view.print(cmd.OutOrStdout(), o, c, &letters)
		})
	}
	return cmd
}

// sheet prints facts, each under its heading.
type sheet struct{ out io.Writer }

// line prints a fact; an empty heading continues the one before.
func (s sheet) line(heading, format string, args ...any) {
	fmt.Fprintf(s.out, "%-13s%s\n", heading, fmt.Sprintf(format, args...))
}

func (v *queueView) print(out io.Writer, o *options, c *client, letters *lettersView) error {
	s := sheet{out}
	switch {
	case c.nothingKept():
		_, err := fmt.Fprintln(out, c.whyNothing())
		return err
	case v.Running:
		s.line("dynotap", "runs at %s", c.base)
	default:
		s.line("dynotap", "is not running on %s", c.offline.dir)
		s.line("", "this is what the queue on disk holds: %s delivers it", o.command("run"))
	}
	s.line("kept", "%s", durabilityNames(v.Durability))
	most := ""
	if v.Running {
		most = ", most since the start " + thousands(int64(v.HighWatermark))
	}
	s.line("waiting", "%s of %s batches%s", thousands(int64(v.CurrentSize)), thousands(int64(v.MaxSize)), most)
	s.line("", "%s", byPriority(v.ByPriority))
	if v.CurrentSize > 0 {
		s.line("", "the oldest for %s", seconds(v.OldestAge))
	}
	if v.Running && v.Leased+v.Delayed > 0 {
		s.line("", "%d of them in delivery, %d failed and waiting for the next attempt", v.Leased, v.Delayed)
	}
	s.line("when full", "%s", whenFullNames(v.WhenFull))
	if v.Running {
		v.printStart(s)
	}
	printDead(s, o, v.DeadLetters, letters)
	return nil
}

// printStart prints what is counted since the start.
func (v *queueView) printStart(s sheet) {
	if v.Waiting > 0 || v.TotalWaits > 0 {
		s.line("", "%d wait for room now, %s had to since the start, %s in all", v.Waiting, thousands(v.TotalWaits), seconds(v.WaitSeconds))
	}
	s.line("since start", "%s batches taken in, %s stored, %s given up (dead letters)",
		thousands(v.TotalEnqueued), thousands(v.TotalProcessed), thousands(v.TotalFailed))
	s.line("", "%s attempts failed and were followed by another", thousands(v.TotalRetried))
	s.line("dropped", "%s batches, %.2f %% of what came", thousands(v.TotalDropped), v.DropRate)
	for _, d := range v.Dropped {
		s.line("", "%s: %s, %s: %s", plain(d.Source), countOf(d.Items, "batch"), countOf(d.Samples, "sample"), dropNames(d.Reason))
	}
	s.line("speed", "%.1f batches/s over the last ten seconds", v.Rate)
	if v.Latency.Count > 0 {
		s.line("", "from queue to store: half within %s, 99 %% within %s, at most %s",
			seconds(v.Latency.P50), seconds(v.Latency.P99), seconds(v.Latency.Max))
	} else {
		s.line("", "nothing was stored in the last minutes")
	}
}

func printDead(s sheet, o *options, n int, letters *lettersView) {
	if n == 0 {
		s.line("dead letters", "none")
		return
	}
	s.line("dead letters", "%s", letters.summary())
	for _, k := range letters.kinds() {
		s.line("", "%s: %s", k, deadNames(k.reason))
	}
	s.line("", "look at them: %s", o.command("dead-letters list"))
}

// command is how to call another command on the same data.
func (o *options) command(name string) string {
	words := []string{"dynotap", name}
	for _, flag := range [][2]string{{"--data", o.data}, {"--config", o.path}} {
		if flag[1] != "" {
			words = append(words, flag[0], quoted(flag[1]))
		}
	}
	return strings.Join(words, " ")
}

func quoted(arg string) string {
	if strings.ContainsAny(arg, " \t'\"$&;|<>()*?") {
		return strconv.Quote(arg)
	}
	return arg
}

// nothingKept reports whether this is about a queue in memory that ended with
// its program.
func (c *client) nothingKept() bool {
	return c.offline != nil && !c.offline.loaded.Config.Queue.PersistToDisk
}

func (c *client) whyNothing() string {
	return fmt.Sprintf("dynotap is not running on %s, and its queue is in memory (queue.persist_to_disk is false):\n"+
		"there is nothing to look at, what was in it ended with the program", c.offline.dir)
}

func durabilityNames(d string) string {
	switch d {
	case server.SurvivesPowerLoss:
		return "on disk: what was accepted survives a crash and power loss"
	case server.SurvivesCrash:
		return "on disk without fsync: survives a crash, not power loss"
	}
	return "in memory: what waits is lost if dynotap or the machine crashes"
}

func whenFullNames(policy string) string {
	switch policy {
	case "wait":
		return "sources wait until there is room, nothing is lost here"
	case "drop_oldest":
		return "the oldest of the least urgent batches makes room and is lost"
	case "drop_newest":
		return "the newcomer is lost, unless a less urgent batch can make room"
	}
	return policy
}

// dropNames says why samples were dropped.
func dropNames(reason string) string {
	switch reason {
	case queue.ReasonFull:
		return "refused, no room (" + reason + ")"
	case queue.ReasonEvicted:
		return "made room for others (" + reason + ")"
	case queue.ReasonDeadFull:
		return "too many dead letters (" + reason + ")"
	}
	return plain(reason)
}

// deadNames says what a reason of dead letters means.
func deadNames(reason string) string {
	switch reason {
	case queue.ReasonExhausted:
		return "storing it failed at every attempt"
	case pipeline.ReasonUndecodable:
		return "its payload is no batch that dynotap can read"
	case queue.ReasonDamaged:
		return "the disk gave back other bytes than were written"
	}
	return "delivery refused it"
}

// whatToDo says how to mend what a reason of dead letters stands for, and
// whether a retry can then succeed.
func whatToDo(reason string) (advice string, retry bool) {
	switch reason {
	case pipeline.ReasonUndecodable:
		return "only a newer dynotap may read it: keep it for that, or delete it", false
	case queue.ReasonDamaged:
		return "check the disk; a retry does not mend it: see what it was, then delete it", false
	}
	return "mend what the last error says, then retry", true
}

func byPriority(n map[string]int) string {
	parts := make([]string, 0, sample.Priorities)
	for p := range sample.Priorities {
		name := sample.Priority(p).String()
		parts = append(parts, fmt.Sprintf("%s %s", name, thousands(int64(n[name]))))
	}
	return strings.Join(parts, ", ")
}

// countOf prints a count in groups with its noun.
func countOf(n int64, noun string) string {
	return strings.Replace(plural(int(n), noun), strconv.FormatInt(n, 10), thousands(n), 1)
}

// seconds prints a span of time as people say it.
func seconds(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.1f ms", s*1000)
	case s < 120:
		return fmt.Sprintf("%.1f s", s)
	}
	if days := int(s) / (24 * 3600); days > 1 {
		return plural(days, "day")
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
