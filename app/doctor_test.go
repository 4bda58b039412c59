package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dynotap/doctor"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestDoctorPrintsTheWorstFirst(t *testing.T) {
	t.Parallel()
	report := doctor.Report{Severity: doctor.Error, Checked: []string{"port", "receive_buffer", "pc_clock", "reception", "disk_space"}, Findings: []doctor.Finding{
		{
			Check: "port", Severity: doctor.Error, Found: "UDP port 22344 is held by logger (process 812), which does not share it (opened without SO_REUSEADDR)",
			Mend: "Close that program, or start it after dynotap if it can share the port.",
		},
		{
			Check: "receive_buffer", Severity: doctor.Warning, Found: "the system grants a receive buffer of 208 KiB, 8192 KiB are wanted: bursts may be lost",
			Mend: "sudo sysctl -w net.core.rmem_max=8388608; to keep it: echo net.core.rmem_max=8388608 | sudo tee /etc/sysctl.d/90-dynotap.conf",
		},
		{Check: "pc_clock", Severity: doctor.Info, Found: "this machine's clock is not synchronised", Mend: "With internet: sudo timedatectl set-ntp true."},
		{Check: "reception", Severity: doctor.OK, Found: "1 provider on 224.0.2.10:22344: \"evil \x1b[31m\nname\", 0x43FD at 192.0.2.7 (40 channels, 20 Hz)", Mend: "not printed"},
		{Check: "disk_space", Severity: doctor.OK, Found: "50.0 GB, 50 % of the disk of /data, are free"},
	}}
	for name, width := range map[string]int{"pipe": 0, "terminal": 80, "narrow": 40} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := printFindings(&out, &report, width); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "doctor-"+name+".golden")
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.ReplaceAll(string(want), "\r\n", "\n"); out.String() != text {
				t.Errorf("printed\n%swant\n%s", out.String(), text)
			}
		})
	}
}

// examine runs `dynotap doctor` on a network and gives the report and the exit
// code.
func examine(t *testing.T, n network, args ...string) (doctor.Report, int) {
	t.Helper()
	cmd := exec.Command("dynotap", append([]string{
		"doctor", "--json", "--group", n.group, "--port", strconv.Itoa(n.port), "--interface", loopback,
	}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	code := cmd.ProcessState.ExitCode()
	if said := stderr.String(); (code != exitDone) != strings.HasPrefix(said, "dynotap: ") || strings.Count(said, "\n") > 1 {
		t.Errorf("exit code %d, stderr %q", code, said)
	}
	var report doctor.Report
	if code == exitUsage {
		return report, code
	}
	strict := json.NewDecoder(bytes.NewReader(out))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return report, code
}

func finding(t *testing.T, r doctor.Report, check string) doctor.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("%s was not looked at: %+v", check, r)
	}
	return r.Findings[i]
}

func TestDoctorExitCodesSayTheWorst(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	if r, code := examine(t, n, "--data", t.TempDir(), "--timeout", "200ms"); code != exitRejected || r.Severity != doctor.Warning {
		t.Errorf("nothing heard: exit code %d, %+v", code, r)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, code := examine(t, n, "--data", file, "--timeout", "200ms")
	if code != exitFailed || r.Severity != doctor.Error || r.Findings[0].Check != "data_directory" {
		t.Errorf("no data directory: exit code %d, %+v", code, r)
	}
	if _, code := examine(t, n, "--timeout", "0s"); code != exitUsage {
		t.Errorf("no time: exit code %d", code)
	}
}

// TestDoctorBesideARunningInstance has the doctor listen on the instance's own
// port and directory, from outside and from within: both see a healthy cell,
// and the instance goes on.
func TestDoctorBesideARunningInstance(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	in := startInstance(t, n)
	cell := exec.Command("dynotap", "simulate", "jetdrive", "--group", n.group, "--port", strconv.Itoa(n.port))
	if err := cell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cell.Process.Kill()
		_ = cell.Wait()
	})
	await(t, "two providers stream", func() bool { return len(in.source().Details.Providers) == 2 })

	outside, code := examine(t, n, "--data", in.dir, "--timeout", "4s")
	var within doctor.Report
	if _, err := in.client.get(t.Context(), "api/v1/doctor", nil, &within); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]doctor.Report{"outside": outside, "within": within} {
		for _, f := range r.Findings {
			ours := !slices.Contains([]string{"receive_buffer", "disk_space", "disk_speed", "serial_ports"}, f.Check) // those are this machine's
			if ours && (f.Severity == doctor.Warning || f.Severity == doctor.Error) {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if f := finding(t, r, "running"); !strings.Contains(f.Found, "accepts samples") {
			t.Errorf("%s: %+v", name, f)
		}
		if f := finding(t, r, "reception"); !strings.Contains(f.Found, "2 providers") {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if (outside.Severity == doctor.Info) != (code == exitDone) {
		t.Errorf("exit code %d", code)
	}
	if !slices.Equal(outside.Checked, within.Checked) {
		t.Errorf("checked %v from outside, %v from within", outside.Checked, within.Checked)
	}
	in.balanced()
	in.stop()
}
