package doctor

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"

	"dynotap/sample"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
	"dynotap/source/jetdrive/provider"
)

// TestMain lets many tests run side by side whatever the number of cores: they
// listen most of the time.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// need skips a test whose precondition is absent, or fails it where the
// environment promises that everything is there.
func need(t *testing.T, ok bool, why string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// await waits for a condition; it gives up after 20 s.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// cell is a healthy cell on loopback, with a port of its own, for a test to
// spoil.
type cell struct {
	Options
	machine machine
}

func newCell(t *testing.T) *cell {
	t.Helper()
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{machine: thisMachine(), Options: Options{
		Network: jetdrive.Settings{Conn: jetdrive.ConnSettings{
			Group:     netip.AddrFrom4([4]byte{239, 1 + byte(rand.IntN(250)), byte(rand.IntN(256)), 1 + byte(rand.IntN(250))}),
			Port:      uint16(free.LocalAddr().(*net.UDPAddr).Port),
			Interface: "127.0.0.1",
			// What every system grants: the machine of the test may be set up badly.
			ReceiveBuffer: 64 << 10,
		}, Linger: jetdrive.DefaultLinger},
		Listen: 4 * time.Second, Data: t.TempDir(), TimeZone: vienna, ZoneName: "Local",
	}}
	c.machine.location = vienna
	c.machine.clock = func() (synced, known bool) { return true, true }
	c.machine.space = func(string) (free, total uint64, err error) { return 50e9, 100e9, nil }
	var clock sync.Mutex
	now := time.Date(2024, 6, 1, 10, 0, 0, 0, time.UTC)
	c.machine.now = func() time.Time { // a millisecond goes by between any two looks
		clock.Lock()
		defer clock.Unlock()
		now = now.Add(time.Millisecond)
		return now
	}
	return c
}

// examine runs the doctor and checks what holds for every report.
func (c *cell) examine(t *testing.T) Report {
	t.Helper()
	report, err := assemble(c.Options, c.machine).Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	worst := OK
	for _, f := range report.Findings {
		if f.Check == "" || f.Found == "" || f.Details == nil || f.Severity.place() < 0 {
			t.Errorf("incomplete: %+v", f)
		}
		if (f.Severity == Warning || f.Severity == Error) && f.Mend == "" {
			t.Errorf("no mend: %+v", f)
		}
		if !slices.Contains(report.Checked, f.Check) {
			t.Errorf("%s is not said to have been checked", f.Check)
		}
		if f.Severity.place() < worst.place() {
			worst = f.Severity
		}
	}
	if report.Severity != worst || len(report.Findings) > 0 && report.Findings[0].Severity != worst {
		t.Errorf("severity %s, the worst finding is %s, the first %s", report.Severity, worst, report.Findings[0].Severity)
	}
	if _, err := json.Marshal(report); err != nil {
		t.Error(err)
	}
	return report
}

// problem is a finding that a test expects.
type problem struct {
	check    string
	severity Severity
	found    string // a part of it
	mend     string // a part of it
}

// wantProblems checks that the report's warnings and errors are those, and
// that its other findings hold those expected of a lesser severity.
func wantProblems(t *testing.T, findings []Finding, want ...problem) {
	t.Helper()
	seen := make([]bool, len(want))
	for _, f := range findings {
		wanted := false
		for i, p := range want {
			if p.check == f.Check && p.severity == f.Severity && strings.Contains(f.Found, p.found) && strings.Contains(f.Mend, p.mend) {
				seen[i], wanted = true, true
			}
		}
		if !wanted && (f.Severity == Warning || f.Severity == Error) {
			t.Errorf("unexpected: %s %s: %s [%s]", f.Severity, f.Check, f.Found, f.Mend)
		}
	}
	for i, p := range want {
		if !seen[i] {
			t.Errorf("not found: %+v among %+v", p, findings)
		}
	}
}

// stream has a simulated provider stream until the test ends.
func stream(t *testing.T, s provider.Settings) {
	t.Helper()
	s.Name = "Simulated"
	s.Channels = []provider.ChannelSpec{{ID: 1, Name: "Engine RPM", Unit: sample.RPM}, {ID: 6, Name: "Humidity", Unit: sample.Percent}}
	s.Values = func(at time.Duration, dst []float32) { dst[0], dst[1] = float32(at.Milliseconds()), 50 }
	p, err := provider.New(s)
	if err != nil {
		t.Fatal(err)
	}
	background(t, p.Run)
	await(t, "the provider has its id", func() bool { return p.HostID() != 0 })
}

// background runs f until the test ends.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// device is a host that says what a test wants, and never answers.
type device struct {
	t      *testing.T
	socket net.PacketConn
	to     net.Addr
	seq    uint8
}

func newDevice(t *testing.T, conn jetdrive.ConnSettings) *device {
	t.Helper()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	loopback := slices.IndexFunc(list, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	p := ipv4.NewPacketConn(socket)
	if err := p.SetMulticastInterface(&list[loopback]); err != nil {
		t.Fatal(err)
	}
	if err := p.SetMulticastTTL(0); err != nil {
		t.Fatal(err)
	}
	if err := p.SetMulticastLoopback(true); err != nil {
		t.Fatal(err)
	}
	return &device{t: t, socket: socket, to: net.UDPAddrFromAddrPort(netip.AddrPortFrom(conn.Group, conn.Port))}
}

// repeat sends what next gives, again and again until the test ends.
func (d *device) repeat(every time.Duration, next func() [][]byte) {
	background(d.t, func(ctx context.Context) error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			for _, datagram := range next() {
				if _, err := d.socket.WriteTo(datagram, d.to); err != nil {
					return err
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// frame builds the device's next message.
func (d *device) frame(key klhdv.Key, value []byte) []byte {
	datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: 0x43FD, Seq: d.seq, Dest: klhdv.AllHosts}, value)
	if err != nil {
		d.t.Error(err)
	}
	d.seq++
	return datagram
}

// values is a ChannelValues message of two channels.
func (d *device) values() []byte {
	stamp := uint32(d.seq) * 20
	return d.frame(klhdv.KeyChannelValues, klhdv.EncodeValues(nil, []klhdv.Value{
		{Channel: 1, Stamp: stamp, Value: 3500}, {Channel: 6, Stamp: stamp, Value: 50},
	}))
}

// info names the two.
func (d *device) info() []byte {
	return d.frame(klhdv.KeyChannelInfo, klhdv.EncodeChannelInfo(nil, klhdv.ChannelInfo{
		Provider: "Mute", Channels: []klhdv.Channel{{ID: 1, Name: "Engine RPM", Unit: 8}, {ID: 6, Name: "Humidity", Unit: 16}},
	}))
}
