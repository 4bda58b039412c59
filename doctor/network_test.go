package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
	"dynotap/source/jetdrive/provider"
)

func TestAHealthySystemHasNoProblem(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Ports = func(context.Context) ([]SerialPort, error) {
		return []SerialPort{{Name: "COM5", Product: "USB Serial", Speaks: "LC-2"}}, nil
	}
	c.Network.ProviderFilter, c.Network.ChannelFilter = []string{"0x0001"}, []string{"2"} // of the recording, not of the doctor
	stream(t, provider.Settings{Conn: c.Network.Conn, Rate: 20})
	report := c.examine(t)
	wantProblems(t, report.Findings,
		problem{checkReception, OK, `1 provider on ` + c.Network.Conn.Group.String(), ""},
		problem{checkReception, OK, `"Simulated"`, ""},
		problem{checkClocks, OK, "every provider's clock answers", ""},
		problem{checkGroup, OK, "nobody speaks on 224.0.2.10", ""},
	)
	want := []string{
		checkInterfaces, checkPort, checkGroup, checkReception, checkFirewall, checkBuffer, checkDrops, checkNames, checkValues,
		checkClocks, checkLoss, checkDirectory, checkSpace, checkFsync, checkPCClock, checkTimeZone, checkSerial,
	}
	if !slices.Equal(report.Checked, want) {
		t.Errorf("checked %v", report.Checked)
	}
}

func TestPortHeldWithoutSharing(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows shares a port whose holder did not forbid it")
	}
	c := newCell(t)
	holder, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	c.Network.Conn.Port = uint16(holder.LocalAddr().(*net.UDPAddr).Port)
	who, how := "held by another program, which", "Which one it is: "
	if runtime.GOOS == "linux" {
		who = fmt.Sprintf("held by %.15s (process %d), which", filepath.Base(os.Args[0]), os.Getpid())
	}
	report := c.examine(t)
	wantProblems(t, report.Findings, problem{checkPort, Error, who, how})
	if slices.Contains(report.Checked, checkReception) {
		t.Error("a port that could not be opened was listened to")
	}
}

func TestNothingIsHeard(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Listen = time.Second
	wantProblems(t, c.examine(t).Findings,
		problem{checkReception, Warning, "nothing came on " + c.Network.Conn.Group.String(), "In Power Core open Dyno Control / Devices > JETDRIVE"})
}

func TestAnotherGroupIsInUse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ set, used string }{
		"usual one":  {"239.255.60.60", "224.0.2.10"},
		"other one":  {"224.0.2.10", "239.255.60.60"},
		"odd choice": {"", "239.255.60.60"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t)
			if tc.set != "" {
				c.Network.Conn.Group = netip.MustParseAddr(tc.set)
			}
			used := c.Network.Conn
			used.Group = netip.MustParseAddr(tc.used)
			stream(t, provider.Settings{Conn: used, Rate: 20})
			wantProblems(t, c.examine(t).Findings,
				problem{checkReception, Warning, "nothing came", ""},
				problem{checkGroup, Error, "JETDRIVE is spoken on " + tc.used, `"multicast_group": "` + tc.used + `"`},
				problem{checkFirewall, OK, "packets come in", ""})
		})
	}
}

// A neighbour's dyno in the other group is no problem of ours.
func TestAnotherGroupBesideOurs(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	stream(t, provider.Settings{Conn: c.Network.Conn, Rate: 20})
	used := c.Network.Conn
	used.Group = netip.MustParseAddr("239.255.60.60")
	stream(t, provider.Settings{Conn: used, Rate: 20})
	wantProblems(t, c.examine(t).Findings, problem{checkGroup, Info, "JETDRIVE is spoken on 239.255.60.60", "unless that is your dyno"})
}

func TestProviderThatSendsNoNamesAndAnswersNoPing(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	d := newDevice(t, c.Network.Conn)
	d.repeat(20*time.Millisecond, func() [][]byte { return [][]byte{d.values()} })
	wantProblems(t, c.examine(t).Findings,
		problem{checkNames, Warning, "0x43FD at 127.0.0.1 (2 of 2 channels)", "dynotap doctor --timeout 35s"},
		problem{checkClocks, Warning, "no answer to pings: 0x43FD at 127.0.0.1", "Pings must reach the provider"})
}

// Without transmission names may take half a minute and clocks are never read:
// nothing is wrong with that.
func TestListeningOnlyIsNoProblem(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Network.ListenOnly = true
	c.Listen = time.Second
	d := newDevice(t, c.Network.Conn)
	d.repeat(20*time.Millisecond, func() [][]byte { return [][]byte{d.values()} })
	second := hearing(t, c.Network.Conn)
	wantProblems(t, c.examine(t).Findings,
		problem{checkNames, Info, "values without names", `"transmit": true`},
		problem{checkClocks, Info, "arrival", `"transmit": true`})
	if hosts := second.Hosts(); len(hosts) != 1 {
		t.Errorf("the doctor was told to be silent, and there are %+v", hosts)
	}
}

// hearing is a client that only listens until the test ends.
func hearing(t *testing.T, conn jetdrive.ConnSettings) *jetdrive.Source {
	t.Helper()
	s := jetdrive.New(jetdrive.Settings{Conn: conn, ListenOnly: true}, jetdrive.Options{})
	reader, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	})
	background(t, func(ctx context.Context) error {
		for reader.Read(ctx, func(*sample.Batch) error { return nil }) == nil {
		}
		return nil
	})
	return s
}

func TestProviderThatListsChannelsAndSendsNoValues(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	stream(t, provider.Settings{Conn: c.Network.Conn, Rate: 20})
	d := newDevice(t, c.Network.Conn)
	d.repeat(50*time.Millisecond, func() [][]byte { return [][]byte{d.info()} })
	wantProblems(t, c.examine(t).Findings,
		problem{checkValues, Warning, `channels but no values within 4s: "Mute", 0x43FD at 127.0.0.1 (2 channels)`, "channels are ticked"},
		problem{checkClocks, Warning, `"Mute"`, ""})
}

func TestHostsWithoutValues(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	d := newDevice(t, c.Network.Conn)
	d.repeat(50*time.Millisecond, func() [][]byte { return [][]byte{d.frame(klhdv.KeyPing, klhdv.EncodePing(nil, 1))} })
	wantProblems(t, c.examine(t).Findings,
		problem{checkReception, Warning, "0x43FD (127.0.0.1, this machine) is heard but no values", "tick the channels"})
}

func TestNewerProtocol(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	stream(t, provider.Settings{Conn: c.Network.Conn, Rate: 20})
	d := newDevice(t, c.Network.Conn)
	d.repeat(50*time.Millisecond, func() [][]byte {
		ping := klhdv.EncodePing(nil, 1)
		ping[0] = klhdv.BreakingVersion
		return [][]byte{d.frame(klhdv.KeyPing, ping)}
	})
	wantProblems(t, c.examine(t).Findings, problem{checkProtocol, Warning, "0x43FD speaks a newer JETDRIVE protocol", "Update dynotap"})
}

func TestWhatComesIsNotJetdrive(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Listen = time.Second
	d := newDevice(t, c.Network.Conn)
	d.repeat(20*time.Millisecond, func() [][]byte { return [][]byte{[]byte("hello"), {}} })
	wantProblems(t, c.examine(t).Findings, problem{checkReception, Warning, "is not JETDRIVE", "Another program uses this group and port"})
}

func TestNetworkThatLoses(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	stream(t, provider.Settings{Conn: c.Network.Conn, Rate: 100, Faults: provider.Faults{Loss: 0.2, Seed: 3}})
	wantProblems(t, c.examine(t).Findings, problem{checkLoss, Warning, "lost on the way", "Use a cable"})
}

func TestInterfaceThatDoesNotExist(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Network.Conn.Interface = "nosuch0"
	_, unusable := jetdrive.Interfaces("nosuch0")
	c.machine.hear = func(_ context.Context, s jetdrive.Settings, _ time.Duration) heard {
		if s.Conn.Interface == "nosuch0" {
			return heard{group: s.Conn.Group, err: unusable}
		}
		return heard{group: s.Conn.Group}
	}
	wantProblems(t, c.examine(t).Findings,
		problem{checkInterfaces, Error, `network interface "nosuch0", which jetdrive.interface names, does not exist`, "(127.0.0.1)"})
}

// pc is a machine with two networks, Wi-Fi first, that hears what ears gives.
func (c *cell) pc(setting string, ears func(jetdrive.Settings) heard) {
	c.Network.Conn.Interface = setting
	c.machine.interfaces = func(setting string) ([]jetdrive.InterfaceStatus, error) {
		made := func(name, address string) jetdrive.InterfaceStatus {
			prefix := netip.MustParsePrefix(address)
			named := setting == name || setting == prefix.Addr().String()
			return jetdrive.InterfaceStatus{
				Name: name, Addresses: []netip.Prefix{prefix}, Loopback: name == "lo",
				Listens: setting == "" || named, Transmits: setting == "" && name == "Wi-Fi" || named,
			}
		}
		return []jetdrive.InterfaceStatus{made("lo", "127.0.0.1/8"), made("Wi-Fi", "192.0.2.7/24"), made("Ethernet 2", "198.51.100.5/24")}, nil
	}
	c.machine.route = func(context.Context, netip.AddrPort) (netip.Addr, error) {
		return netip.MustParseAddr("198.51.100.5"), nil
	}
	c.machine.hear = func(_ context.Context, s jetdrive.Settings, _ time.Duration) heard {
		if s.Conn.Group != c.Network.Conn.Group {
			return heard{group: s.Conn.Group}
		}
		h := ears(s)
		h.group, h.status.Buffer, h.status.HostID = s.Conn.Group, 1<<30, 0x1001
		return h
	}
}

// dyno is a provider at an address.
func dyno(address string, synced bool) heard {
	at := netip.AddrPortFrom(netip.MustParseAddr(address), 22344)
	p := jetdrive.ProviderStatus{
		HostID: 0x43FD, Name: "DWRT CPU", Address: at, Channels: []jetdrive.ChannelStatus{{ID: 1, Name: "Engine RPM", Listed: true}},
		Clock: jetdrive.ClockStatus{Synced: synced}, Counters: jetdrive.Counters{Values: 40},
	}
	return heard{status: jetdrive.Status{Providers: []jetdrive.ProviderStatus{p}}, hosts: []jetdrive.HostStatus{{HostID: 0x43FD, Address: at, Provider: true}}}
}

func TestTheDynoIsOnAnotherInterface(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ address, found, mend string }{
		"in its network":  {"198.51.100.20", `the dyno is heard on Ethernet 2 (198.51.100.5), not on "Wi-Fi"`, `"interface": "198.51.100.5"`},
		"in none of ours": {"203.0.113.9", `another network (from 203.0.113.9)`, `"interface": "0.0.0.0"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t)
			c.pc("Wi-Fi", func(s jetdrive.Settings) heard {
				if s.Conn.Interface == "" && s.ListenOnly {
					return dyno(tc.address, false)
				}
				return heard{}
			})
			wantProblems(t, c.examine(t).Findings,
				problem{checkInterfaces, Error, tc.found, tc.mend}, problem{checkReception, Warning, "nothing came", ""})
		})
	}
}

func TestTransmitsOnTheWrongInterface(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.pc("", func(jetdrive.Settings) heard { return dyno("198.51.100.20", false) })
	wantProblems(t, c.examine(t).Findings,
		problem{checkInterfaces, Info, "the providers are on Ethernet 2 (198.51.100.5), but dynotap transmits on Wi-Fi (192.0.2.7) for the first half minute", `"interface": "198.51.100.5"`},
		problem{checkClocks, Warning, "no answer to pings", "jetdrive.interface"})
}

func TestSeveralInterfacesAreWorthKnowing(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.pc("", func(jetdrive.Settings) heard { return dyno("198.51.100.20", true) })
	wantProblems(t, c.examine(t).Findings, problem{
		checkInterfaces, Info,
		"hears the group on all of Wi-Fi (192.0.2.7), Ethernet 2 (198.51.100.5); transmits on Wi-Fi (192.0.2.7) unless providers are heard elsewhere only (other programs on this machine send from 198.51.100.5)",
		`"interface": "192.168.10.5"`,
	})
}

func TestNoNetworkButLoopback(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.pc("", func(jetdrive.Settings) heard { return dyno("127.0.0.1", true) })
	all := c.machine.interfaces
	c.machine.interfaces = func(setting string) ([]jetdrive.InterfaceStatus, error) {
		list, err := all(setting)
		list[0].Transmits = true
		for i := range list[1:] {
			list[1+i].Listens, list[1+i].Transmits, list[1+i].Problem = false, false, "is down"
		}
		return list, err
	}
	wantProblems(t, c.examine(t).Findings, problem{checkInterfaces, Warning, "no network but loopback", "Plug in the dyno's network cable"})
}

func TestFirewallWhereNothingComesIn(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	ufw := fstest.MapFS{"etc/ufw/ufw.conf": file("# x\nENABLED=yes\n"), "etc/ufw/user.rules": file("### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n")}
	opened := fstest.MapFS{
		"etc/ufw/ufw.conf":   file("ENABLED=yes\n"),
		"etc/ufw/user.rules": file("### tuple ### allow udp 22344 0.0.0.0/0 any 0.0.0.0/0 in\n"),
	}
	nft := fstest.MapFS{
		"etc/systemd/system/sysinit.target.wants/nftables.service": file(""),
		"etc/nftables.conf": file("table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n }\n}\n"),
	}
	open := fstest.MapFS{
		"etc/systemd/system/sysinit.target.wants/nftables.service": file(""),
		"etc/nftables.conf": file("# policy drop would shut it\nchain input { type filter hook input priority filter; policy accept; }\n"),
	}
	for name, tc := range map[string]struct {
		system      string
		files       fstest.MapFS
		severity    Severity
		found, mend string
	}{
		"ufw":               {"linux", ufw, Warning, "the firewall ufw is active", "sudo ufw allow in proto udp to any port 22344"},
		"ufw with a rule":   {"linux", opened, Info, "no active firewall", "UDP port 22344 must be accepted"},
		"ufw off":           {"linux", fstest.MapFS{"etc/ufw/ufw.conf": file("ENABLED=no\n")}, Info, "no active firewall", ""},
		"firewalld":         {"linux", fstest.MapFS{"proc/812/comm": file("firewalld\n")}, Warning, "firewalld", "--add-port=22344/udp"},
		"nftables":          {"linux", nft, Warning, "nftables", "udp dport 22344 accept"},
		"nftables open":     {"linux", open, Info, "no active firewall", ""},
		"nftables disabled": {"linux", fstest.MapFS{"etc/nftables.conf": nft["etc/nftables.conf"]}, Info, "no active firewall", ""},
		"Windows":           {"windows", nil, Info, "profile Public", `netsh advfirewall firewall add rule name="dynotap JETDRIVE" dir=in action=allow protocol=UDP localport=22344`},
		"macOS":             {"darwin", nil, Info, "not known here", "System Settings > Network > Firewall"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t)
			c.Network.Conn.Port = 22344
			c.pc("", func(jetdrive.Settings) heard { return heard{} })
			c.machine.system, c.machine.files = tc.system, tc.files
			if tc.files == nil {
				c.machine.files = nil
			}
			want := []problem{{checkReception, Warning, "nothing came", ""}, {checkFirewall, tc.severity, tc.found, tc.mend}}
			wantProblems(t, c.examine(t).Findings, want...)
		})
	}
}

func TestThisMachineTalkingToItselfSaysNothingOfTheFirewall(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.machine.system = "windows"
	c.pc("", func(jetdrive.Settings) heard {
		return heard{hosts: []jetdrive.HostStatus{{HostID: 7, Address: netip.MustParseAddrPort("192.0.2.7:22344")}}}
	})
	wantProblems(t, c.examine(t).Findings,
		problem{checkReception, Warning, "0x0007 (192.0.2.7, this machine) is heard but no values", ""},
		problem{checkFirewall, Info, "Windows Defender", ""})
}

func TestPortUsersFromProc(t *testing.T) {
	t.Parallel()
	const head = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(to), Mode: 0o777 | 1<<27} }
	root := fstest.MapFS{
		"proc/net/udp": {Data: []byte(head +
			" 1107: 00000000:5748 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 111 2 0000000000000000 0\n" +
			" 1108: 0100007F:5749 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 222 2 0000000000000000 0\n" +
			"garbage\n")},
		"proc/net/udp6": {Data: []byte(head +
			" 2107: 00000000000000000000000000000000:5748 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 4294967294        0 333 2 0000000000000000 0\n")},
		"proc/812/comm": {Data: []byte("PowerCore.exe\n")},
		"proc/812/fd/3": link("socket:[222]"), "proc/812/fd/4": link("socket:[111]"), "proc/812/fd/5": link("/dev/null"), "proc/100/fd/1": link("111"),
	}
	users := portUsers(root, 22344)
	if len(users) != 2 || users[0].PID != 812 || users[0].Program != "PowerCore.exe" || users[1].PID != 0 || users[1].User != "4294967294" {
		t.Errorf("%+v", users)
	}
	if got := strings.Join(foreign(users), "; "); got != "PowerCore.exe (process 812); a program of user 4294967294" {
		t.Error(got)
	}
	if users := portUsers(root, 1); users != nil {
		t.Errorf("%+v", users)
	}
}
