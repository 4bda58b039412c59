package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// need skips a test whose precondition is absent, or fails it where the
// environment promises that everything is there.
func need(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// shared finds a file of the shared material beside the project.
func shared(t *testing.T, elements ...string) string {
	t.Helper()
	samples := os.Getenv("DYNOTAP_SAMPLES")
	if samples == "" {
		samples = filepath.Join("..", "..", "shared", "samples")
	}
	path, err := filepath.Abs(filepath.Join(append([]string{filepath.Dir(samples)}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(path)
	need(t, err == nil, "shared material absent: %v", err)
	return path
}

// network is a multicast group and port of a test's own, on loopback.
type network struct {
	group string
	port  int
}

func newNetwork(t *testing.T) network {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return network{
		group: fmt.Sprintf("239.%d.%d.%d", 1+rand.IntN(250), rand.IntN(256), 1+rand.IntN(250)),
		port:  conn.LocalAddr().(*net.UDPAddr).Port,
	}
}

// peerReport is the last line that the independent peer prints.
type peerReport struct {
	Host      string           `json:"host"`
	Count     map[string]int64 `json:"count"`
	Remotes   map[string]peerRemote
	Responses []json.RawMessage `json:"responses"`
}

type peerRemote struct {
	Name      string `json:"name"`
	Packets   int64  `json:"packets"`
	Values    int64  `json:"values"`
	Dropped   int64  `json:"dropped"`
	Late      int64  `json:"late"`
	Duplicate int64  `json:"duplicate"`
	Cleared   int64  `json:"cleared"`
	Channels  map[string]struct {
		Name  string `json:"name"`
		Unit  string `json:"unit"`
		Count int64  `json:"count"`
		Last  any    `json:"last"`
	} `json:"channels"`
}

// peer is a running jetdrive_peer.py.
type peer struct {
	t   *testing.T
	cmd *exec.Cmd
	out bytes.Buffer
}

// startPeer starts the independent node in a role (provider, client).
func startPeer(t *testing.T, n network, role string, seconds float64, args ...string) *peer {
	t.Helper()
	python, err := exec.LookPath("python3")
	need(t, err == nil, "python3 absent: %v", err)
	script := shared(t, "peers", "jetdrive_peer.py")
	args = append([]string{script, role, "--json", "--iface", "127.0.0.1", "--group", n.group,
		"--port", strconv.Itoa(n.port), "--seconds", strconv.FormatFloat(seconds, 'f', -1, 64)}, args...)
	p := &peer{t: t, cmd: exec.Command(python, args...)}
	p.cmd.Stdout = &p.out
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// wait gives the report once the peer has ended by itself.
func (p *peer) wait() peerReport {
	p.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("peer: %v\n%s", err, p.out.String())
	}
	lines := bytes.Split(bytes.TrimSpace(p.out.Bytes()), []byte("\n"))
	var report peerReport
	if err := json.Unmarshal(lines[len(lines)-1], &report); err != nil {
		p.t.Fatalf("peer printed %q: %v", p.out.String(), err)
	}
	return report
}
