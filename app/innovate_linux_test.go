package app

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dynotap/source"
	"dynotap/source/innovate/device"
)

// wideband is a simulated device that runs as a program of its own.
type wideband struct {
	cmd    *exec.Cmd
	stderr strings.Builder

	mu   sync.Mutex
	told string
}

func (w *wideband) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told += string(b)
	return len(b), nil
}

func (w *wideband) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// simulateWideband starts `dynotap simulate innovate` and gives the path of its
// terminal.
func simulateWideband(t *testing.T, args ...string) (w *wideband, path string) {
	t.Helper()
	w = &wideband{cmd: exec.Command("dynotap", append([]string{"simulate", "innovate"}, args...)...)}
	w.cmd.Stdout, w.cmd.Stderr = w, &w.stderr
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
		}
	})
	await(t, "the simulated device says where it is", func() bool { return strings.Contains(w.said(), " is at /") })
	_, path, _ = strings.Cut(strings.TrimSpace(w.said()), " is at ")
	return w, path
}

// onPort starts the program with widebands only, on a port.
func onPort(t *testing.T, port string, settings map[string]any) *instance {
	t.Helper()
	section := map[string]any{
		"port": port, "reconnect_delay_sec": 0.05,
		"sensors": map[string]any{"1": map[string]any{"place": "front"}, "2": map[string]any{"place": "rear", "offset": 1}},
	}
	for name, value := range settings {
		section[name] = value
	}
	file, err := json.Marshal(map[string]any{
		"preset": "live_capture", "innovate": section,
		"data_sources": map[string]any{
			"jetdrive": map[string]any{"enabled": false},
			"innovate": map[string]any{"circuit_breaker": map[string]any{"enabled": false}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "dynotap.json")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return launchIn(t, append(os.Environ(), innovateEnabled+"=true"), t.TempDir(), "--config", name)
}

type widebandView struct {
	sourceView
	Details widebandDetails `json:"details"`
}

func (in *instance) wideband() (v widebandView) {
	in.t.Helper()
	if _, err := in.client.get(in.t.Context(), "api/v1/sources/innovate", nil, &v); err != nil {
		return widebandView{}
	}
	return v
}

// measures reports whether all sensors, at least one, say that lambda is valid.
func (v *widebandView) measures() bool {
	for _, s := range v.Details.Sensors {
		if s.State != "lambda" || s.AFR == nil {
			return false
		}
	}
	return len(v.Details.Sensors) > 0
}

// A wideband on a serial port warms up without an AFR, then its AFR is stored
// as that of its cylinder; the chain, the port and what is wrong are shown.
func TestWidebandOnASerialPort(t *testing.T) {
	t.Parallel()
	// The program waits for the device, so that it hears the warm-up on any machine.
	path := filepath.Join(t.TempDir(), "wideband")
	in := onPort(t, path, nil)
	_, terminal := simulateWideband(t, "--device", "dlg-1", "--warmup", "3s", "--faults", "lose=0.01,seed=3")
	if err := os.Symlink(terminal, path); err != nil {
		t.Fatal(err)
	}
	await(t, "the sensors measure", func() bool { v := in.wideband(); return v.measures() })
	v := in.wideband()
	if d := v.Details; d.Device != "DLG-1" || d.Protocol != "ISP2" || d.Port == nil || d.Port.Name != path || len(d.Sensors) != 2 {
		t.Errorf("details: %+v", d)
	}
	await(t, "some AFR is stored", func() bool { return in.balanced()["innovate"].Processed > 300 })
	in.stop()
	if said := in.stdout.String(); !strings.Contains(said, "wideband port: "+path) ||
		!strings.Contains(said, "wideband 2: warms up, no AFR") || !strings.Contains(said, "wideband 1: measures lambda") {
		t.Errorf("said:\n%s", said)
	}
	at := map[bool]map[string][]time.Time{false: {}, true: {}} // by whether lambda is valid
	seen := map[string][]time.Time{}
	for _, row := range in.export() {
		seen[row.Name] = append(seen[row.Name], row.Time)
		if sensor, ok := strings.CutSuffix(row.Name, "_status"); ok {
			at[*row.Value == 0][sensor] = append(at[*row.Value == 0][sensor], row.Time)
		}
	}
	for sensor, channel := range map[string]string{"wideband_1": "afr_front", "wideband_2": "afr_rear"} {
		afr, warm := seen[channel], at[false][sensor]
		if len(afr) == 0 || len(afr) != len(at[true][sensor]) || len(warm) == 0 || !warm[len(warm)-1].Before(afr[0]) {
			t.Errorf("%s: %d of AFR, %d of valid status, %d of warm-up; channels %v",
				sensor, len(afr), len(at[true][sensor]), len(warm), slices.Sorted(maps.Keys(seen)))
		}
	}
}

// The device is unplugged and comes back: the data goes on by itself.
// TestWidebandBehindFlowControl: readyz, and with it status, and the doctor say
// what is in the way while no value comes.
func TestWidebandBehindFlowControl(t *testing.T) {
	t.Parallel()
	_, path := simulateWideband(t, "--device", "lc-2", "--warmup", "0", "--faults", "xonxoff")
	in := onPort(t, path, nil)
	in.notes("source innovate is connected, but: flow control")
	var report struct {
		Findings []struct{ Check, Severity, Found, Mend string }
	}
	if _, err := in.client.get(t.Context(), "api/v1/doctor", nil, &report); err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		if f.Check == "serial_ports" && strings.Contains(f.Found+f.Mend, "XON/XOFF") && strings.Contains(f.Found+f.Mend, path) {
			in.stop()
			return
		}
	}
	t.Errorf("%+v", report.Findings)
}

func TestWidebandComesBack(t *testing.T) {
	t.Parallel()
	pty, err := device.NewPTY(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pty.Close() }()
	link := filepath.Join(t.TempDir(), "wideband") // where a udev rule has it
	relink := func() {
		if err := os.Symlink(pty.Path(), link); err != nil {
			t.Fatal(err)
		}
	}
	relink()
	one, err := device.New(device.Settings{Model: "lc-2", Values: steadyAFR})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	ran := make(chan error, 1)
	go func() { ran <- one.Run(ctx, pty) }()
	in := onPort(t, link, map[string]any{"reconnect_delay_sec": 1000})
	await(t, "the sensor measures", func() bool { v := in.wideband(); return v.measures() })
	await(t, "the connection lasts", func() bool { return in.wideband().Stats.Uptime > 2*plugSteady })
	if err := os.Remove(link); err != nil { // first: another test's terminal may be given its number
		t.Fatal(err)
	}
	pty.Unplug()
	await(t, "the loss is seen", func() bool { return in.wideband().Health.State != source.Connected })
	in.notes("source innovate is not connected")
	await(t, "the attempts end", func() bool { return in.wideband().Health.State == source.Error })
	if err := pty.Plug(); err != nil {
		t.Fatal(err)
	}
	before := in.balanced()["innovate"].Processed
	relink()
	await(t, "the data goes on", func() bool { return in.balanced()["innovate"].Processed > before+20 })
	in.stop()
	select {
	case err := <-ran:
		t.Errorf("the device ended: %v", err)
	default:
	}
}
