package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dynotap/pipeline/imports"
	"dynotap/sample"
	"dynotap/sim"
)

// modelExport is a pull of the model as WinPEP would export it: thousands of rpm,
// hp and ft·lb, 20 rows a second.
func modelExport(t *testing.T) []byte {
	t.Helper()
	cell, err := sim.New(sim.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	hp, _ := sample.Kilowatt.To(sample.Horsepower)
	torque, _ := sample.NewtonMetre.To(sample.FootPound)
	var out bytes.Buffer
	out.WriteString("Time, (DWRT CPU) Engine RPM, (DWRT CPU) Power, (DWRT CPU) Torque, (PV) MAP, \n")
	const step = 50 * time.Millisecond
	for at := time.Duration(0); at < sim.DefaultPullEvery; at += step {
		s := cell.At(at)
		fmt.Fprintf(&out, "%g, %.6f, %.5f, %.5f, , \n", at.Seconds(), s.RPM/1000, hp.Apply(s.Power), torque.Apply(s.Torque))
	}
	return out.Bytes()
}

func TestA7PeaksOfAGeneratedExportAreTheModels(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pull.txt")
	if err := os.WriteFile(path, modelExport(t), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	code := execute(t.Context(), []string{"inspect", "--json", path}, Program{Version: "test", Stdout: &out, Stderr: &said})
	var report imports.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || code != exitDone || report.Format != "winpep" || len(report.Runs) != 1 || report.Pulls != 1 {
		t.Fatalf("exit code %d, %v, %s%s", code, err, said.Bytes(), out.Bytes())
	}
	run, want := &report.Runs[0], sim.Peak()
	for _, peak := range []struct {
		name           string
		got            *float64
		want, fraction float64
	}{
		{"power", run.PeakHP, want.HP, 0.001}, {"torque", run.PeakTorque, want.Torque, 0.001},
		{"rpm of power", run.HPPeakRPM, want.HPRPM, 0.03}, {"rpm of torque", run.TorquePeakRPM, want.TorqueRPM, 0.03}, // rows are 50 ms apart
	} {
		if peak.got == nil || math.Abs(*peak.got-peak.want) > peak.fraction*peak.want {
			t.Errorf("%s: %v, the model has %g", peak.name, peak.got, peak.want)
		}
	}
	if channels := run.Channels; len(channels) != 4 || channels[3].Label != "MAP" || channels[3].Samples != 0 {
		t.Errorf("the empty channel is not listed as empty: %+v", channels)
	}
}
