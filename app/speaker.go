package app

import (
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"dynotap/pipeline"
	"dynotap/run"
	"dynotap/sim"
	"dynotap/source"
)

// speaker tells the user on the terminal what a recording does, a line an
// event. The log goes elsewhere.
type speaker struct {
	mu    sync.Mutex
	out   io.Writer
	pulls map[string]bool // pulls told of, by id
	truth *sim.Peaks      // of the simulated engine; nil for a real one
	// failing holds, for each source that fails, the reason told last.
	failing map[string]string
}

func newSpeaker(out io.Writer) *speaker {
	return &speaker{out: out, pulls: map[string]bool{}, failing: map[string]string{}}
}

func (s *speaker) line(format string, args ...any) {
	fmt.Fprintf(s.out, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// hello says where everything is.
func (s *speaker) hello(a *recording) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg := &a.loaded.Config
	durable := "on disk"
	if !cfg.Queue.PersistToDisk {
		durable = "in memory, NOT durable (queue.persist_to_disk is false)"
	}
	s.line("dynotap %s, recording into %s, queue %s", a.program.Version, a.dir, durable)
	s.line("dashboard and API: %s", a.server.URL())
	if list := fromElsewhere(cfg.Server.Listen, a.server.URL(), net.InterfaceAddrs); len(list) > 0 {
		s.line("from a tablet or phone, with the token: %s", strings.Join(list, ", "))
	}
}

// simulated tells what the demo's engine makes, to hold the pulls against.
func (s *speaker) simulated(p sim.Peaks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.truth = &p
	s.line("simulated engine: %s, %s", peak(&p.HP, "hp", &p.HPRPM), peak(&p.Torque, "ft·lb", &p.TorqueRPM))
}

// transition tells of a source's change of state. Of attempts that fail and
// fail again for the same reason only the first is told of.
func (s *speaker) transition(t source.Transition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, failing := s.failing[t.Source]
	switch t.To {
	case source.Error, source.CircuitOpen:
		if failing && before == t.Reason {
			return
		}
		s.failing[t.Source] = t.Reason
	case source.Connecting, source.Reconnecting:
		if failing {
			return
		}
	case source.Connected, source.Disconnected:
		delete(s.failing, t.Source)
	}
	s.line("source %s: %s (%s)", t.Source, t.To, t.Reason)
}

// event tells of something in words of its own.
func (s *speaker) event(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line("%s", text)
}

// run tells of a pull or recording once it has ended.
func (s *speaker) run(r run.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Kind == run.KindSession || r.To == nil || r.SampleCount == 0 || s.pulls[r.ID] {
		return
	}
	s.pulls[r.ID] = true
	s.line("%s: %s, %s, %.1f s%s", describeRun(&r), peak(r.PeakHP, "hp", r.HPPeakRPM),
		peak(r.PeakTorque, "ft·lb", r.TorquePeakRPM), float64(r.DurationMS)/1000, s.offTruth(&r))
}

// offTruth says how far a pull's peak power is from the simulated engine's.
func (s *speaker) offTruth(r *run.Run) string {
	if s.truth == nil || r.PeakHP == nil || r.Kind != run.KindPull {
		return ""
	}
	return fmt.Sprintf(", %+.2f %% of the engine's power", 100*(*r.PeakHP/s.truth.HP-1))
}

func describeRun(r *run.Run) string {
	if r.Name != "" {
		return r.Name
	}
	return string(r.Kind)
}

// stopping says that the end has begun.
func (s *speaker) stopping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line("stopping: what waits is delivered and the session sealed; Ctrl-C again breaks off")
}

// goodbye says what was done and what is left.
func (s *speaker) goodbye(a *recording, left pipeline.Left) {
	s.mu.Lock()
	defer s.mu.Unlock()
	accounts, total := a.pipeline.Accounts()
	took := time.Duration(a.clock.Micros()-a.startedUS) * time.Microsecond
	s.line("stopped after %s", took.Round(100*time.Millisecond))
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		c := accounts[name]
		s.line("%s: received %s%s = processed %s + failed %s + dropped %s + queued %s + dead %s + discarded %s", name,
			thousands(c.Received), recovered(c), thousands(c.Processed), thousands(c.Failed), thousands(c.Dropped),
			thousands(c.Queued), thousands(c.Dead), thousands(c.Discarded))
		for _, losses := range []struct {
			what string
			by   map[string]int64
		}{{"failed", c.FailedBy}, {"dropped", c.DroppedBy}} {
			if len(losses.by) > 0 {
				s.line("%s: %s by reason: %s", name, losses.what, reasons(losses.by))
			}
		}
	}
	for source, o := range a.cell.overruns() {
		if o.Datagrams > 0 {
			s.line("%s", overrunText(source, o))
		}
	}
	if len(accounts) == 0 && s.truth == nil {
		s.line("no samples came: is JETDRIVE switched on in Power Core, and is this the right interface? See dynotap discover")
	}
	if left.Items > 0 {
		s.line("%s with %s samples left in the queue: the next start delivers them", plural(left.Items, "batch"), thousands(total.Queued))
	}
}

func recovered(a pipeline.Account) string {
	if a.Recovered == 0 {
		return ""
	}
	return " + recovered " + thousands(a.Recovered)
}

func reasons(by map[string]int64) string {
	parts := make([]string, 0, len(by))
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s %s", reason, thousands(by[reason])))
	}
	return strings.Join(parts, ", ")
}
