package app

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"testing"

	"dynotap/sim"
)

// TestDemo runs the demo as a newcomer does and holds its pulls against the
// simulated engine.
func TestDemo(t *testing.T) {
	t.Parallel()
	in := &instance{t: t, dir: t.TempDir()}
	in.cmd = exec.Command("dynotap", "run", "--demo", "--seconds", "32", "--listen", "127.0.0.1:0", "--data", in.dir)
	in.cmd.Env = append(os.Environ(), innovateEnabled+"=true")
	in.cmd.Stdout, in.cmd.Stderr = &in.stdout, &in.stderr
	if err := in.cmd.Run(); err != nil {
		t.Fatalf("demo: %v\n%s\n%s", err, in.stdout.String(), in.stderr.String())
	}
	pulls := in.runs("pull")
	if len(pulls) < 1 {
		t.Fatalf("no pull was found:\n%s", in.stdout.String())
	}
	truth := sim.Peak()
	for _, p := range pulls {
		if p.Name == "" || p.Summary == nil || p.Summary.PeakHP == nil || p.Summary.PeakTorque == nil {
			t.Errorf("pull without peaks: %+v", p)
			continue
		}
		if off := math.Abs(*p.Summary.PeakHP/truth.HP - 1); off > 0.005 {
			t.Errorf("%s: %.2f hp, the engine makes %.2f", p.Name, *p.Summary.PeakHP, truth.HP)
		}
		if off := math.Abs(*p.Summary.PeakTorque/truth.Torque - 1); off > 0.005 {
			t.Errorf("%s: %.2f ft·lb, the engine makes %.2f", p.Name, *p.Summary.PeakTorque, truth.Torque)
		}
	}
	sessions := in.runs("session")
	if len(sessions) != 1 {
		t.Fatalf("not one session: %+v", sessions)
	}
	devices := map[string]int{} // number of channels
	for _, c := range sessions[0].Summary.Channels {
		devices[c.Device]++
	}
	wideband := devices["Innovate"]
	delete(devices, "Innovate")
	if len(devices) != 2 || devices[sim.Dyno]+devices[sim.Atmosphere] != 60 || wideband != 14 {
		t.Errorf("devices: %v, channels of the wideband: %d", devices, wideband)
	}
	followsThePull(t, of(in.export(), "Innovate"))
	var shown runView
	if err := json.Unmarshal(in.dynotap("runs", "show", "--json", pulls[0].ID), &shown); err != nil || shown.ID != pulls[0].ID {
		t.Errorf("runs show: %v, %+v", err, shown)
	}
	in.dynotap("runs", "edit", pulls[0].ID[:24], "--name", "Baseline", "--tags", "dry, 20 °C, dry")
	if err := json.Unmarshal(in.dynotap("runs", "show", "--json", pulls[0].ID), &shown); err != nil || shown.Name != "Baseline" || len(shown.Tags) != 2 {
		t.Errorf("runs edit: %v, %+v", err, shown)
	}
}

// followsThePull fails unless the widebands show the mixture of a pull, richer
// than that of the engine at rest, and nothing while they warm up.
func followsThePull(t *testing.T, rows []exported) {
	t.Helper()
	low, high := map[string]float64{}, map[string]float64{}
	for _, row := range rows {
		if row.Value == nil || row.Name != "afr_front" && row.Name != "afr_rear" {
			continue
		}
		if _, seen := low[row.Name]; !seen {
			low[row.Name], high[row.Name] = *row.Value, *row.Value
		}
		low[row.Name], high[row.Name] = min(low[row.Name], *row.Value), max(high[row.Name], *row.Value)
	}
	for _, name := range []string{"afr_front", "afr_rear"} {
		if !(low[name] > 10 && low[name] < 13.5 && high[name] > low[name]+0.5 && high[name] < 16) {
			t.Errorf("%s of the wideband from %.2f to %.2f", name, low[name], high[name])
		}
	}
}
