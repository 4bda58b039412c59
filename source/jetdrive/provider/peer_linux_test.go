package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive"
)

// ownNetwork is a group and a port of the test's own on loopback.
func ownNetwork(t *testing.T) jetdrive.ConnSettings {
	t.Helper()
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return jetdrive.ConnSettings{
		Group:     netip.AddrFrom4([4]byte{239, 1 + byte(rand.IntN(250)), byte(rand.IntN(256)), 1 + byte(rand.IntN(250))}),
		Port:      uint16(free.LocalAddr().(*net.UDPAddr).Port),
		Interface: "127.0.0.1",
	}
}

// report is what the independent node prints at its end.
type report struct {
	Count   map[string]int64
	Remotes map[string]struct {
		Name                              string
		Values, Dropped, Late, Duplicate  uint64
		Cleared, Unlisted, Backwards, RTT int
		ListedNow                         int `json:"listed_now"`
		Incompatible                      bool
		Offset                            *float64
		RTTMin                            *int `json:"rtt_ms_min"`
		Channels                          map[string]struct{ Name, Unit string }
	}
	Responses [][]any
}

// peer is the independent node as a client.
type peer struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr bytes.Buffer
}

// startPeer starts the node and waits until it listens.
func startPeer(t *testing.T, s jetdrive.ConnSettings, args ...string) *peer {
	t.Helper()
	samples := os.Getenv("DYNOTAP_SAMPLES")
	if samples == "" {
		samples = filepath.Join("..", "..", "..", "..", "shared", "samples")
	}
	script := filepath.Join(filepath.Dir(samples), "peers", "jetdrive_peer.py")
	python, err := exec.LookPath("python3")
	if err == nil {
		_, err = os.Stat(script)
	}
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skipf("the independent node is absent: %v", err)
	}
	args = append([]string{script, "client", "--json", "--group", s.Group.String(), "--port", fmt.Sprint(s.Port)}, args...)
	p := &peer{cmd: exec.CommandContext(t.Context(), python, args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); !bound(t, s); {
		select {
		case <-deadline:
			t.Fatalf("the independent node does not listen: %s", &p.stderr)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return p
}

// bound reports whether somebody listens to the group's port.
func bound(t *testing.T, s jetdrive.ConnSettings) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(table), fmt.Sprintf(":%04X ", s.Port))
}

func (p *peer) report(t *testing.T) report {
	t.Helper()
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &p.stderr)
	}
	lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
	var r report
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("%v: %s", err, &p.stdout)
	}
	if r.Count["malformed"] != 0 || r.Count["id_conflicts"] != 0 {
		t.Errorf("the client counted %v", r.Count)
	}
	return r
}

// stream runs a provider for the given time and gives it back with the id it
// had.
func stream(t *testing.T, s Settings, d time.Duration) (p *Provider, host string) {
	t.Helper()
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for tick := time.NewTicker(10 * time.Millisecond); host == ""; {
		select {
		case err := <-ended:
			t.Fatalf("ended early: %v", err)
		case <-tick.C:
			if id := p.HostID(); id != 0 {
				host = fmt.Sprintf("0x%04X", id)
			}
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return p, host
}

func TestPassivePeerCountsWhatTheProviderCounts(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]Faults{
		"no faults": {},
		"faults":    {Loss: 0.05, Reorder: 0.02, Duplicate: 0.01, Seed: 1},
		"bad":       {Loss: 0.2, Reorder: 0.1, Duplicate: 0.1, Seed: 2},
		"wrap":      {WrapAfter: 2 * time.Second},
		"offset":    {ClockOffset: 1000 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := ownNetwork(t)
			client := startPeer(t, conn, "--passive", "--seconds", "4")
			specs := channels(60)
			specs[0] = ChannelSpec{ID: 1, Name: "Temperature of the intake ai°C", Unit: sample.Celsius}
			p, host := stream(t, Settings{Conn: conn, Name: "Go Dyno", Channels: specs, Rate: 100, Values: seconds, Faults: f}, 2500*time.Millisecond)
			r := client.report(t)
			got, c := r.Remotes[host], p.Counts()
			if got.Values != c.Values || got.Dropped != c.Lost || got.Late != c.Reordered || got.Duplicate != c.Duplicated {
				t.Errorf("the client saw %+v, the provider sent %+v", got, c)
			}
			if c.Values < 60*100 || c.SendErrors > 0 {
				t.Errorf("counts %+v", c)
			}
			if got.Cleared != 2 || got.ListedNow != 0 || got.Backwards != 0 {
				t.Errorf("the client saw %+v", got)
			}
			if f.Loss > 0 {
				return // a list may be among the losses
			}
			if got.Name != "Go Dyno" || len(got.Channels) != 60 || got.Unlisted != 0 {
				t.Errorf("the client saw %+v", got)
			}
			if first := got.Channels["1"]; first.Name != "Temperature of the intake ai" || first.Unit != "°C" {
				t.Errorf("the first channel is %+v", first)
			}
		})
	}
}

func TestActivePeerIsAnswered(t *testing.T) {
	t.Parallel()
	conn := ownNetwork(t)
	client := startPeer(t, conn, "--seconds", "6", "--control", "--echo", "abc")
	p, host := stream(t, Settings{Conn: conn, Channels: channels(6), Rate: 20, Values: seconds}, 6500*time.Millisecond)
	r := client.report(t)
	got := r.Remotes[host]
	if r.Count["echo_right"] < 3 || r.Count["echo_wrong"] != 0 || got.RTTMin == nil || *got.RTTMin > 1000 || got.Incompatible {
		t.Errorf("pings: %v, %+v", r.Count, got)
	}
	seen := map[string]int{}
	for _, response := range r.Responses {
		kind := response[0].(string)
		seen[fmt.Sprint(kind, " ", response[2])]++
	}
	// The walk asks 3 times about load control and brake each, and for the log
	// to be queried, begun, queried, cancelled, ended.
	for what, want := range map[string]int{
		"RequestLoadControlResponse 2": 3, "RequestBrakeResponse 2": 3,
		"RequestLoggingResponse 0": 3, "RequestLoggingResponse 1": 2,
	} {
		if seen[what] != want {
			t.Errorf("%s: %d times, want %d; all: %v", what, seen[what], want, seen)
		}
	}
	if c := p.Counts(); c.SendErrors > 0 {
		t.Errorf("counts %+v", c)
	}
}
