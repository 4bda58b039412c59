package app

import (
	"bufio"
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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/sim"
	"dynotap/source/innovate/device"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/provider"
)

const (
	envSoak     = "DYNOTAP_TEST_SOAK"      // how long, such as 30m
	envSoakSeed = "DYNOTAP_TEST_SOAK_SEED" // repeats the faults of another soak
	shortSoak   = 20 * time.Second
)

// TestSoak runs the program for long beside providers and a wideband that go
// wrong in every way, one after the other: each time the samples go on by
// themselves, and in the end every one is accounted for and nothing has grown.
func TestSoak(t *testing.T) {
	t.Parallel()
	span, seed := shortSoak, rand.Uint64()
	if text := os.Getenv(envSoak); text != "" {
		var err error
		if span, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv(envSoakSeed); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%v with %s=%d", span, envSoakSeed, seed)
	s := &soak{t: t, n: newNetwork(t), random: rand.New(rand.NewPCG(seed, 2)), seen: map[string]int{}}
	s.start()
	s.heal()
	for end := time.Now().Add(span); time.Now().Before(end); {
		s.round()
	}
	s.finish()
}

// soak is a program under faults and the devices around it.
type soak struct {
	t      *testing.T
	n      network
	random *rand.Rand
	in     *instance
	pty    *device.PTY
	// terminal is a file with the path of the pty while it is plugged in.
	terminal string
	seen     map[string]int // faults by name
	rounds   []figures

	mu     sync.Mutex
	latest figures

	providers []*provider.Provider // of all rounds
	dyno      running              // at present
	wideband  running
	slowest   time.Duration
}

// running is a device that is switched on.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func (s *soak) run(r *running, work func(context.Context) error) {
	ctx, cancel := context.WithCancel(s.t.Context())
	*r = running{cancel, make(chan error, 1)}
	go func() { r.done <- work(ctx) }()
}

func (s *soak) off(r *running) {
	s.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	if err := <-r.done; err != nil && s.t.Context().Err() == nil {
		s.t.Errorf("a simulated device: %v", err)
	}
	r.cancel = nil
}

// start starts the program with both sources and policies of some seconds.
func (s *soak) start() {
	t := s.t
	s.terminal = filepath.Join(t.TempDir(), "terminal")
	var err error
	if s.pty, err = device.NewPTY(func(path string) {
		if err := os.WriteFile(s.terminal+".new", []byte(path), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(s.terminal+".new", s.terminal); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	in := &instance{t: t, dir: t.TempDir()}
	in.cmd = exec.Command(soakProgram, "run", "--data", in.dir, "--listen", "127.0.0.1:0", "--no-ui",
		"--group", s.n.group, "--port", strconv.Itoa(s.n.port), "--interface", loopback)
	in.cmd.Env = append(os.Environ(), envTerminal+"="+s.terminal, "DYNOTAP_DEFAULT_CIRCUIT_BREAKER__TIMEOUT_SEC=3")
	for _, source := range []string{"JETDRIVE", "INNOVATE"} {
		in.cmd.Env = append(in.cmd.Env,
			"DYNOTAP_DATA_SOURCES__"+source+"__ENABLED=true",
			"DYNOTAP_DATA_SOURCES__"+source+"__RECONNECT_DELAY_SEC=1",
			"DYNOTAP_DATA_SOURCES__"+source+"__CUSTOM_SETTINGS__STALE_DATA_THRESHOLD_SEC=1")
	}
	in.cmd.Stderr = &in.stderr
	out, err := in.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := in.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.off(&s.dyno)
		s.off(&s.wideband)
		_ = s.pty.Close()
		if in.cmd.ProcessState == nil {
			_ = in.cmd.Process.Kill()
			_ = in.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("dynotap said:\n%s", in.stderr.String())
		}
	})
	go s.hear(bufio.NewScanner(out))
	await(t, "dynotap serves", func() bool {
		holder, err := db.HolderOf(in.dir)
		if err != nil || holder.Address == "" {
			return false
		}
		in.client = &client{base: "http://" + holder.Address + "/", token: holder.Token, http: newHTTPClient()}
		return in.source().Health.State == "connected"
	})
	s.in = in
}

func (s *soak) hear(lines *bufio.Scanner) {
	for lines.Scan() {
		var f figures
		if json.Unmarshal(lines.Bytes(), &f) == nil {
			s.mu.Lock()
			s.latest = f
			s.mu.Unlock()
		}
	}
}

// round has one fault of each device at once for a while, and then none.
func (s *soak) round() {
	t := s.t
	dyno, wideband := s.pickDyno(), s.pickWideband()
	what := dyno.name + " and " + wideband.name
	s.seen["jetdrive "+dyno.name]++
	s.seen["innovate "+wideband.name]++
	dyno.apply()
	wideband.apply()
	over := time.Now().Add(time.Duration(1000+s.random.IntN(4000)) * time.Millisecond)
	await(t, "the fault has lasted", func() bool { return time.Now().After(over) })
	if dyno.silent {
		await(t, "health shows "+dyno.name, func() bool { return !s.health("jetdrive").Health.Healthy })
	}
	if wideband.silent {
		await(t, "health shows "+wideband.name, func() bool { return !s.health("innovate").Health.Healthy })
	}
	s.heal()
	begun := time.Now()
	before := s.in.balanced()
	for _, source := range []string{"jetdrive", "innovate"} {
		await(t, source+" is well again after "+what, func() bool {
			return s.health(source).Health.Healthy && s.in.balanced()[source].Received > before[source].Received
		})
	}
	s.slowest = max(s.slowest, time.Since(begun))
	s.measure()
}

func (s *soak) health(source string) (v sourceView) {
	if _, err := s.in.client.get(s.t.Context(), "api/v1/sources/"+source, nil, &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// heal switches everything off and on again as it should be.
func (s *soak) heal() {
	s.t.Helper()
	s.provide(provider.Faults{}, 50)
	if err := s.pty.Plug(); err != nil {
		s.t.Fatal(err)
	}
	s.sense(device.Faults{})
}

type soakFault struct {
	name   string
	silent bool // no data come while it lasts
	apply  func()
}

func (s *soak) pickDyno() soakFault {
	faulty := func(f provider.Faults) func() { return func() { s.provide(f, 50) } }
	faults := []soakFault{
		{"lossy", false, faulty(provider.Faults{Loss: 0.05})},
		{"reordered", false, faulty(provider.Faults{Reorder: 0.05})},
		{"doubled", false, faulty(provider.Faults{Duplicate: 0.05})},
		{"everything", false, faulty(provider.Faults{Loss: 0.1, Reorder: 0.1, Duplicate: 0.1, WrapAfter: 2 * time.Second})},
		{"restarts", false, faulty(provider.Faults{RestartEvery: 1500 * time.Millisecond})},
		{"flood", false, func() { s.provide(provider.Faults{}, 1000) }},
		{"garbage", false, s.garbage},
		{"silence", true, func() { s.off(&s.dyno) }},
	}
	return faults[s.random.IntN(len(faults))]
}

func (s *soak) pickWideband() soakFault {
	faulty := func(f device.Faults) func() { return func() { s.sense(f) } }
	faults := []soakFault{
		{"lost bytes", false, faulty(device.Faults{Lose: 0.02})},
		{"spoilt bytes", false, faulty(device.Faults{Flip: 0.02, Insert: 0.02})},
		{"flow control", false, faulty(device.Faults{FlowControl: true})},
		{"latency", false, faulty(device.Faults{Latency: 16 * time.Millisecond})},
		{"silence", true, func() { s.off(&s.wideband) }},
		{"unplugged", true, func() {
			s.off(&s.wideband)
			// The path goes first: another test's terminal may be given the same.
			if err := os.Remove(s.terminal); err != nil {
				s.t.Error(err)
			}
			s.pty.Unplug()
		}},
	}
	return faults[s.random.IntN(len(faults))]
}

// provide switches the provider off and another on, with the same name.
func (s *soak) provide(f provider.Faults, rate float64) {
	s.off(&s.dyno)
	f.Seed = s.random.Uint64()
	cell, err := sim.New(sim.Settings{Seed: f.Seed})
	if err != nil {
		s.t.Fatal(err)
	}
	described := sim.Providers()[0]
	made, err := provider.New(provider.Settings{
		Conn: jetdrive.ConnSettings{Group: netip.MustParseAddr(s.n.group), Port: uint16(s.n.port), Interface: loopback},
		Name: described.Name, Channels: specs(described), Rate: rate, Values: valuesOf(cell, described, time.Now()), Faults: f,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.providers = append(s.providers, made)
	s.run(&s.dyno, made.Run)
}

// sense switches the wideband off and on.
func (s *soak) sense(f device.Faults) {
	s.off(&s.wideband)
	f.Seed = s.random.Uint64()
	made, err := device.New(device.Settings{Model: "dlg-1", Faults: f, Values: func(at time.Duration, afr []float64) {
		for i := range afr {
			afr[i] = 12 + at.Seconds()/100 + float64(i)
		}
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(&s.wideband, func(ctx context.Context) error { return made.Run(ctx, s.pty) })
}

// garbage is what other programs send to the same group and port.
func (s *soak) garbage() {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	to := &net.UDPAddr{IP: net.ParseIP(s.n.group), Port: s.n.port}
	for range 300 {
		junk := make([]byte, s.random.IntN(600))
		for i := range junk {
			junk[i] = byte(s.random.Uint32())
		}
		if len(junk) > 2 { // a key that nobody knows, or less than it promises
			junk[0] |= 0x80
			if s.random.IntN(2) == 0 {
				junk[0], junk[2] = 0x02, 0xFF
			}
		}
		if _, err := conn.WriteToUDP(junk, to); err != nil {
			s.t.Fatal(err)
		}
	}
}

// measure keeps the program's present size.
func (s *soak) measure() {
	s.mu.Lock()
	f := s.latest
	s.mu.Unlock()
	proc := fmt.Sprintf("/proc/%d/", s.in.cmd.Process.Pid)
	open, err := os.ReadDir(proc + "fd")
	if err != nil {
		s.t.Fatal(err)
	}
	f.Descriptors = len(open)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			if _, err := fmt.Sscan(text, &f.Resident); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.rounds = append(s.rounds, f)
}

// finish ends everything and looks at the whole.
func (s *soak) finish() {
	t := s.t
	s.off(&s.dyno)
	s.off(&s.wideband)
	var sent uint64
	for _, p := range s.providers {
		sent += p.Counts().Values
	}
	await(t, "everything is stored", func() bool {
		a := s.in.balanced()["total"]
		return a.Queued == 0 && s.in.balanced()["jetdrive"].Received == int64(sent)
	})
	for name, a := range s.in.balanced() {
		if a.Received == 0 || a.Failed+a.Dropped+a.Dead != 0 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	total := s.in.source().Details.Total
	t.Logf("%d rounds, the slowest recovery took %v; faults: %v", len(s.rounds), s.slowest.Round(time.Millisecond), s.seen)
	t.Logf("jetdrive received all %d values that were sent; lost %d, reordered %d, duplicate %d, malformed %d, unknown keys %d",
		sent, total.Lost, total.Reordered, total.Duplicate, total.Malformed.Total(), total.UnknownKeys)
	s.flat()
	s.in.stop()
	if bad := bytes.Count(s.in.stderr.Bytes(), []byte("panic")); bad != 0 {
		t.Errorf("%d panics", bad)
	}
}

// flat compares the thirds of the soak: nothing goes on growing.
func (s *soak) flat() {
	third := len(s.rounds) / 3
	if third == 0 {
		s.t.Errorf("%d rounds only", len(s.rounds))
		return
	}
	mean := func(rounds []figures, of func(figures) int) int {
		sum := 0
		for _, f := range rounds {
			sum += of(f)
		}
		return sum / len(rounds)
	}
	for _, what := range []struct {
		name  string
		of    func(figures) int
		slack int
	}{
		{"goroutines", func(f figures) int { return f.Goroutines }, 10},
		{"descriptors", func(f figures) int { return f.Descriptors }, 10},
		{"KiB of heap", func(f figures) int { return f.Heap }, 32 << 10},
		{"KiB resident", func(f figures) int { return f.Resident }, 64 << 10},
	} {
		first, second, last := mean(s.rounds[:third], what.of), mean(s.rounds[third:2*third], what.of), mean(s.rounds[2*third:], what.of)
		s.t.Logf("%s: %d, %d, %d in the thirds", what.name, first, second, last)
		if last > second+second/4+what.slack {
			s.t.Errorf("%s have grown from %d to %d", what.name, second, last)
		}
	}
}
