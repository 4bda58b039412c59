package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/source/jetdrive"
)

// instance is a running `dynotap run`, the real program in a process of its
// own.
type instance struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string
	client *client
	stderr bytes.Buffer
	stdout bytes.Buffer
}

// startInstance starts the program on a network and waits until it listens
// there and serves.
func startInstance(t *testing.T, n network, args ...string) *instance {
	t.Helper()
	in := launch(t, t.TempDir(), append([]string{
		"--group", n.group, "--port", strconv.Itoa(n.port), "--interface", loopback,
	}, args...)...)
	await(t, "dynotap listens", func() bool { return in.source().Health.State == "connected" })
	return in
}

// launch starts the program on a directory and waits until it serves.
func launch(t *testing.T, dir string, args ...string) *instance {
	t.Helper()
	return launchIn(t, os.Environ(), dir, args...)
}

// launchIn is launch in an environment of its own.
func launchIn(t *testing.T, environ []string, dir string, args ...string) *instance {
	t.Helper()
	in := &instance{t: t, dir: dir}
	in.cmd = exec.Command("dynotap", append([]string{"run", "--data", dir, "--listen", "127.0.0.1:0"}, args...)...)
	in.cmd.Env, in.cmd.Stdout, in.cmd.Stderr = environ, &in.stdout, &in.stderr
	if err := in.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if in.cmd.ProcessState == nil {
			_ = in.cmd.Process.Kill()
			_ = in.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("dynotap said:\n%s\n%s", in.stdout.String(), in.stderr.String())
		}
	})
	await(t, "dynotap serves", func() bool {
		holder, err := db.HolderOf(in.dir)
		if err != nil || holder.Address == "" {
			return false
		}
		in.client = &client{base: "http://" + holder.Address + "/", token: holder.Token, http: newHTTPClient()}
		return true
	})
	return in
}

// await waits for a condition; it gives up after 20 s.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// jetdriveView is what /api/v1/sources/jetdrive says.
type jetdriveView struct {
	sourceView
	Details jetdrive.Status `json:"details"`
}

func (in *instance) source() (v jetdriveView) {
	in.t.Helper()
	if _, err := in.client.get(in.t.Context(), "api/v1/sources/jetdrive", nil, &v); err != nil {
		return jetdriveView{}
	}
	return v
}

// provider finds a provider by name.
func (in *instance) provider(name string) jetdrive.ProviderStatus {
	in.t.Helper()
	for _, p := range in.source().Details.Providers {
		if p.Name == name {
			return p
		}
	}
	in.t.Fatalf("provider %q was not heard", name)
	return jetdrive.ProviderStatus{}
}

// balanced gives the accounts, and fails where one does not add up.
func (in *instance) balanced() map[string]pipeline.Account {
	in.t.Helper()
	var stats struct {
		Sources map[string]pipeline.Account `json:"sources"`
		Total   pipeline.Account            `json:"total"`
	}
	if _, err := in.client.get(in.t.Context(), "api/v1/stats", nil, &stats); err != nil {
		in.t.Error(err)
		return nil
	}
	stats.Sources["total"] = stats.Total
	for name, a := range stats.Sources {
		if a.Balance() != 0 {
			in.t.Errorf("%s does not add up: %+v", name, a)
		}
	}
	return stats.Sources
}

// watchSum looks at the sum again and again until the function it gives is
// called, which tells how often.
func (in *instance) watchSum() (stop func() int) {
	done, looks := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-done:
				looks <- n
				return
			default:
				in.balanced()
				n++
			}
		}
	}()
	return func() int {
		close(done)
		return <-looks
	}
}

// stop ends the program as Ctrl-C does.
func (in *instance) stop() {
	in.t.Helper()
	if err := in.cmd.Process.Signal(syscall.SIGINT); err != nil {
		in.t.Fatal(err)
	}
	if err := in.cmd.Wait(); err != nil {
		in.t.Fatalf("dynotap: %v", err)
	}
}

// dynotap runs one command on the instance's directory.
func (in *instance) dynotap(args ...string) []byte {
	in.t.Helper()
	cmd := exec.Command("dynotap", append(args, "--data", in.dir)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		in.t.Fatalf("dynotap %v: %v", args, err)
	}
	return out
}

// runs lists the runs of a kind.
func (in *instance) runs(kind string) []runView {
	in.t.Helper()
	var list struct{ Runs []runView }
	if err := json.Unmarshal(in.dynotap("runs", "list", "--json", "--kind", kind), &list); err != nil {
		in.t.Fatal(err)
	}
	return list.Runs
}

// exported is one line of an export as JSON lines.
type exported struct {
	Time    time.Time `json:"time"`
	Channel string    `json:"channel"`
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Value   *float64  `json:"value"`
	Quality string    `json:"quality"`
	Device  string    `json:"device"`
}

// export reads the session back as people get it.
func (in *instance) export() []exported {
	in.t.Helper()
	sessions := in.runs("session")
	if len(sessions) != 1 {
		in.t.Fatalf("%d sessions", len(sessions))
	}
	return in.exportRun(sessions[0].ID)
}

func (in *instance) exportRun(id string) []exported {
	in.t.Helper()
	file := filepath.Join(in.t.TempDir(), "run.jsonl")
	in.dynotap("runs", "export", id, "--format", "jsonl", "-o", file)
	f, err := os.Open(file)
	if err != nil {
		in.t.Fatal(err)
	}
	defer f.Close()
	var rows []exported
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var row exported
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			in.t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		in.t.Fatal(err)
	}
	return rows
}

// of keeps the rows of one device.
func of(rows []exported, device string) []exported {
	var out []exported
	for _, r := range rows {
		if r.Device == device {
			out = append(out, r)
		}
	}
	return out
}
