package app

import (
	"encoding/json"
	"math"
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
	if len(sessions) != 1 || len(sessions[0].Summary.Channels) != 60 {
		t.Fatalf("not one session of 60 channels: %+v", sessions)
	}
	devices := map[string]int{}
	for _, c := range sessions[0].Summary.Channels {
		devices[c.Device]++
	}
	if len(devices) != 2 {
		t.Errorf("devices: %v", devices)
	}
	var shown runView
	if err := json.Unmarshal(in.dynotap("runs", "show", "--json", pulls[0].ID), &shown); err != nil || shown.ID != pulls[0].ID {
		t.Errorf("runs show: %v, %+v", err, shown)
	}
	in.dynotap("runs", "edit", pulls[0].ID, "--name", "Baseline", "--tags", "dry, 20 °C")
	if err := json.Unmarshal(in.dynotap("runs", "show", "--json", pulls[0].ID), &shown); err != nil || shown.Name != "Baseline" || len(shown.Tags) != 2 {
		t.Errorf("runs edit: %v, %+v", err, shown)
	}
}
