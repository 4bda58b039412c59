package jetdrive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dynotap/internal/clock"
	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

// peerScript is the independent node, or the test is skipped.
func peerScript(t *testing.T) (python, script string) {
	t.Helper()
	samples := os.Getenv("DYNOTAP_SAMPLES")
	if samples == "" {
		samples = filepath.Join("..", "..", "..", "shared", "samples")
	}
	script = filepath.Join(samples, "..", "peers", "jetdrive_peer.py")
	python, err := exec.LookPath("python3")
	if err == nil {
		_, err = os.Stat(script)
	}
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatalf("the independent JETDRIVE node cannot run: %v", err)
		}
		t.Skipf("the independent JETDRIVE node cannot run: %v", err)
	}
	return python, script
}

// peerReport is the peer's last line.
type peerReport struct {
	Host    string
	Count   map[string]int
	Remotes map[string]struct {
		Name                                 string
		Values, Dropped, Late, Duplicate     uint64
		Unlisted, Backwards, Cleared, Listed int
		Channels                             map[string]struct {
			Name, Unit string
			Count      int
		}
		Offset *float64
		RTT    *float64 `json:"rtt_ms_min"`
	}
	Responses [][]any
}

// peer is a running peer.
type peer struct {
	started chan struct{} // closed at its first line
	report  chan peerReport
}

func startPeer(t *testing.T, conn ConnSettings, args ...string) *peer {
	t.Helper()
	python, script := peerScript(t)
	args = append([]string{script, args[0], "--group", conn.Group.String(), "--port", fmt.Sprint(conn.Port)}, args[1:]...)
	cmd := exec.CommandContext(t.Context(), python, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &peer{started: make(chan struct{}), report: make(chan peerReport, 1)}
	go func() {
		defer close(p.report)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		last := ""
		for lines.Scan() {
			if last == "" {
				close(p.started)
			}
			last = lines.Text()
		}
		var r peerReport
		if err := errors.Join(cmd.Wait(), json.Unmarshal([]byte(last), &r)); err != nil {
			t.Errorf("peer %v: %v %s", args[1:], err, &stderr)
			return
		}
		p.report <- r
	}()
	return p
}

// wait gives the report of a peer that has ended.
func (p *peer) wait(t *testing.T) peerReport {
	t.Helper()
	r, ok := <-p.report
	if !ok {
		t.FailNow()
	}
	return r
}

// keptSample is one sample as it was emitted.
type keptSample struct {
	channel sample.Channel
	sample.Sample
	clock sample.Clock
}

// listener runs a Source and keeps everything it emits.
type listener struct {
	*Source
	session *clock.Session
	mu      sync.Mutex
	samples []keptSample
	changes []LoggingChange
	stop    func()
}

func listen(t *testing.T, settings Settings) *listener {
	t.Helper()
	l := &listener{session: clock.New()}
	l.Source = New(settings, Options{Session: l.session, Logging: func(c LoggingChange) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changes = append(l.changes, c)
	}})
	reader, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for {
			if err := reader.Read(ctx, l.keep); err != nil {
				done <- err
				return
			}
		}
	}()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("read: %v", err)
		}
		if err := reader.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(l.stop)
	return l
}

func (l *listener) keep(b *sample.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range b.Samples {
		l.samples = append(l.samples, keptSample{b.Set.Channels()[s.Channel], s, b.Clock})
	}
	return nil
}

// rawTap keeps the timestamp and the arrival of every value on the network, by
// host, channel and value, whose bits hardly ever repeat.
type rawTap struct {
	session *clock.Session
	seen    map[rawKey]rawValue
	mixed   map[rawKey]bool
}

type rawValue struct {
	stamp   uint32
	arrived int64
}

type rawKey struct {
	host, channel uint16
	bits          uint32
}

func tapRaw(t *testing.T, conn ConnSettings, session *clock.Session) (stop func() rawTap) {
	t.Helper()
	c := openConn(t, conn)
	tap := rawTap{session: session, seen: map[rawKey]rawValue{}, mixed: map[rawKey]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c.Receive(ctx, tap.note) == nil {
		}
	}()
	return func() rawTap {
		cancel()
		<-done
		return tap
	}
}

func (tap rawTap) note(p Packet) {
	f, err := klhdv.Parse(p.Data)
	if err != nil || f.Key != klhdv.KeyChannelValues {
		return
	}
	values, _ := klhdv.AppendValues(nil, f.Value)
	for _, v := range values {
		key := rawKey{f.Host, v.Channel, math.Float32bits(v.Value)}
		if old, ok := tap.seen[key]; !ok {
			tap.seen[key] = rawValue{v.Stamp, tap.session.At(p.Arrived)}
		} else if old.stamp != v.Stamp {
			tap.mixed[key] = true
		}
	}
}

// TestPeer compares with the independent node: what its passive client counts
// for its provider is what we count, the differences of our sample times are
// those of its timestamps, and the times are close to the arrivals.
func TestPeer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		args       []string
		listenOnly bool
	}{
		{"faults seed 1", []string{"--loss", ".05", "--reorder", ".02", "--dup", ".01", "--seed", "1"}, false},
		{"faults seed 2 listening only", []string{"--loss", ".05", "--reorder", ".02", "--dup", ".01", "--seed", "2"}, true},
		{"timestamps wrap", []string{"--wrap-ts"}, false},
		{"garbage", []string{"--garbage"}, false},
		{"clock offset", []string{"--clock-offset-ms", "5000000"}, false},
		{"channel list changes", []string{"--change-at", "2", "--reorder", ".02", "--seed", "3"}, false},
		{"without brake and load control", []string{"--bare"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn := testSettings(t)
			ours := listen(t, Settings{Conn: conn, ListenOnly: test.listenOnly, Linger: DefaultLinger})
			raw := tapRaw(t, conn, ours.session)
			client := startPeer(t, conn, "client", "--passive", "--seconds", "7.5")
			<-client.started
			provider := startPeer(t, conn, append([]string{
				"provider", "--seconds", "4", "--rate", "50", "--channels", "60",
			}, test.args...)...)
			sent, heard := provider.wait(t), client.wait(t)
			ours.stop()
			comparePeer(t, ours, sent.Host, heard)
			compareTimes(t, ours, sent.Host, raw())
		})
	}
}

func comparePeer(t *testing.T, ours *listener, hostID string, heard peerReport) {
	t.Helper()
	them, ok := heard.Remotes[hostID]
	if !ok {
		t.Fatalf("the passive client did not hear %s", hostID)
	}
	i := slices.IndexFunc(ours.Providers(), func(p ProviderStatus) bool { return p.HostID.String() == hostID })
	if i < 0 {
		t.Fatalf("provider %s not found in %+v", hostID, ours.Providers())
	}
	us := ours.Providers()[i]
	t.Logf("values %d %d, lost %d %d, reordered %d %d, duplicate %d %d (ours, the passive client's); clock %s offset %.1f ms",
		us.Values, them.Values, us.Lost, them.Dropped, us.Reordered, them.Late, us.Duplicate, them.Duplicate, us.Clock.Source, *us.Clock.OffsetMS)
	if us.Values != them.Values || us.Lost != them.Dropped || us.Reordered != them.Late || us.Duplicate != them.Duplicate {
		t.Errorf("values, lost, reordered, duplicate %d %d %d %d, the passive client has %d %d %d %d",
			us.Values, us.Lost, us.Reordered, us.Duplicate, them.Values, them.Dropped, them.Late, them.Duplicate)
	}
	if status := ours.Status(); status.Socket.KernelDrops+status.Socket.RingFull+status.Total.Malformed.Panic > 0 {
		t.Errorf("dropped: %+v %+v", status.Socket, status.Total)
	}
	emitted := uint64(0)
	for _, s := range ours.samples {
		if HostID(s.channel.HostID).String() == hostID {
			emitted++
		}
	}
	if emitted != us.Values {
		t.Errorf("%d samples emitted, %d counted", emitted, us.Values)
	}
	if us.Name != them.Name {
		t.Errorf("name %q, want %q", us.Name, them.Name)
	}
	labels := map[string]sample.Unit{}
	for _, s := range ours.samples {
		if HostID(s.channel.HostID).String() == hostID {
			labels[s.channel.Label] = s.channel.NativeUnit
		}
	}
	for id, c := range them.Channels {
		if c.Count == 0 {
			continue
		}
		unit, ok := labels[c.Name]
		if !ok {
			t.Errorf("no samples of channel %s %q", id, c.Name)
		}
		if want := peerUnits.Replace(c.Unit); string(unit) != want {
			t.Errorf("channel %q has unit %q, want %q", c.Name, unit, want)
		}
	}
}

// peerUnits leads from the peer's spelling of units to ours.
var peerUnits = strings.NewReplacer("rpm/kph", "rpm/(km/h)", "kph/s", "(km/h)/s", "kph", "km/h", "RPM", "rpm", "kg/hr", "kg/h", "Lambda", "lambda")

// compareTimes wants the differences of sample times to be those of the
// timestamps, exactly, and the times close to the arrivals: within -5 and
// +20 ms for 99 %, save what the peer held back or a busy machine delayed.
func compareTimes(t *testing.T, ours *listener, hostID string, raw rawTap) {
	t.Helper()
	type timed struct{ at, sent, arrived int64 } // sent by the timestamp, from the first on
	var times []timed
	var firstStamp uint32
	clocks := map[sample.Clock]int{}
	for _, s := range ours.samples {
		if HostID(s.channel.HostID).String() != hostID {
			continue
		}
		clocks[s.clock]++
		key := rawKey{s.channel.HostID, uint16(s.channel.ID), math.Float32bits(float32(s.Value))}
		sent, ok := raw.seen[key]
		if !ok {
			t.Fatalf("a sample that was not sent: %+v", s)
		}
		if raw.mixed[key] {
			continue
		}
		if len(times) == 0 {
			firstStamp = sent.stamp
		}
		times = append(times, timed{s.Time, int64(int32(sent.stamp-firstStamp)) * 1000, sent.arrived})
	}
	if len(times) == 0 {
		t.Fatal("no times to compare")
	}
	smallest := int64(math.MaxInt64)
	for i, at := range times {
		if at.at-times[0].at != at.sent {
			t.Fatalf("sample %d: %d µs after the first, its timestamp says %d", i, at.at-times[0].at, at.sent)
		}
		smallest = min(smallest, at.arrived-at.sent)
	}
	newest, late, delayed, far := int64(0), 0, 0, 0
	for _, at := range times {
		if at.at < newest {
			late++ // held back by the peer for a whole period
			continue
		}
		newest = at.at
		if at.arrived-at.sent-smallest > 5_000 {
			delayed++
		}
		if d := at.at - at.arrived; d < -5_000 || d > 20_000 {
			far++
		}
	}
	n := len(times)
	t.Logf("%d times exact, %d reordered, %d delayed on their way, %d far from their arrival; first %d µs above the smallest delay; clocks %v",
		n, late, delayed, far, times[0].at-smallest, clocks)
	if (far-delayed)*100 > n {
		t.Errorf("%d of %d samples are not within -5 and +20 ms of their arrival, and only %d were delayed", far, n, delayed)
	}
	if off := times[0].at - smallest; off < -1_000 || off > 20_000 {
		t.Errorf("times are %d µs from those of the smallest delay", off)
	}
}

func TestPeerLogging(t *testing.T) {
	t.Parallel()
	conn := testSettings(t)
	ours := listen(t, Settings{Conn: conn})
	provider := startPeer(t, conn, "provider", "--seconds", "7", "--rate", "5", "--channels", "3", "--name", "Logger")
	client := startPeer(t, conn, "client", "--seconds", "6", "--json", "--control")
	report := client.wait(t)
	provider.wait(t)
	ours.stop()
	var started, ended int
	for _, c := range ours.changes {
		if c.Provider != "Logger" {
			t.Errorf("change %+v of an unexpected provider", c)
		}
		if off := ours.session.Micros() - c.At; off < 0 || off > int64(20*time.Second/time.Microsecond) {
			t.Errorf("change %+v is %d µs ago", c, off)
		}
		if c.Started {
			started++
		} else {
			ended++
		}
	}
	if started != 1 || ended != 1 {
		t.Errorf("log began %d and ended %d times, want 1 and 1: %+v, the peer saw %v", started, ended, ours.changes, report.Responses)
	}
	for _, remote := range report.Remotes {
		if remote.RTT == nil {
			t.Errorf("a host did not answer the peer's pings: %+v", remote)
		}
	}
}
