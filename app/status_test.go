package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"dynotap/source"
)

func TestStatusSaysWhatIsWrongBelowTheTable(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 7, 1, 12, 0, 0, 0, time.Local)
	bad := source.Health{State: source.Connected, Conditions: []source.Condition{{Code: "no_data", Text: "no data for 9s", Since: since}}}
	lost := source.Health{State: source.Reconnecting, LastError: "no port", Conditions: []source.Condition{{Text: "not connected: reconnecting", Since: since}}}
	var v statusView
	v.ready.Ready = true
	v.sources.Sources = []sourceView{
		{Name: "fine", Enabled: true, Health: source.Health{State: source.Connected, Healthy: true}, Losses: map[string]int64{"malformed_short": 1234, "none": 0}},
		{Name: "mute", Enabled: true, Health: bad},
		{Name: "never", Enabled: true, Absent: true, Health: lost},
		{Name: "gone", Enabled: true, Health: lost},
		{Name: "off", Health: source.Health{State: source.Disconnected}},
	}
	var out bytes.Buffer
	if err := v.print(&out, "http://x/"); err != nil {
		t.Fatal(err)
	}
	var rest []string
	health := map[string]string{}
	for line := range strings.Lines(out.String()) {
		cells := strings.Fields(line)
		if len(cells) > 11 {
			health[cells[0]] = strings.Join(cells[11:], " ") // the latency is two words
		} else if strings.Contains(line, ": ") {
			rest = append(rest, strings.TrimSpace(line))
		}
	}
	for name, want := range map[string]string{"fine": "healthy", "mute": "NOT healthy", "never": "no device", "gone": "NOT healthy", "off": "not enabled"} {
		if health[name] != want {
			t.Errorf("%s is %q in\n%s", name, health[name], &out)
		}
	}
	want := "fine: malformed_short 1 234\nmute: no data for 9s since 12:00:00\ngone: not connected: reconnecting since 12:00:00"
	if got := strings.Join(rest, "\n"); !strings.HasSuffix(got, want) {
		t.Errorf("below the table:\n%s", got)
	}
}
