package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"dynotap/internal/db"
	"dynotap/source/jetdrive"
)

// DefaultListen is how long the network is listened to: long enough for a host
// id, which takes a second, for clocks, and for a provider's names.
const DefaultListen = 3 * time.Second

// Options say what to look at.
type Options struct {
	// Network is what a recording would use. Filters are left aside.
	Network jetdrive.Settings
	// Listen is how long the network is listened to; 0: DefaultListen.
	Listen time.Duration
	// Data is the data directory; it need not exist.
	Data string
	// TimeZone is the configured one and ZoneName how it is written there.
	TimeZone *time.Location
	ZoneName string
	// Ports lists the serial ports and what speaks on them. Nil: not looked at.
	Ports func(ctx context.Context) ([]SerialPort, error)
	// Running asks the dynotap that has the data directory open. It is called
	// where there is one that serves. Nil: not asked.
	Running func(ctx context.Context) (Readiness, error)
}

// New makes a doctor for this machine.
func New(o Options) *Doctor { return assemble(o, thisMachine()) }

// machine is the edge of the operating system.
type machine struct {
	system     string         // as runtime.GOOS
	files      fs.FS          // the root; nil: /proc and /etc say nothing here
	location   *time.Location // the system's time zone
	now        func() time.Time
	interfaces func(setting string) ([]jetdrive.InterfaceStatus, error)
	hear       func(ctx context.Context, s jetdrive.Settings, d time.Duration) heard
	route      func(ctx context.Context, to netip.AddrPort) (netip.Addr, error)
	space      func(dir string) (free, total uint64, err error)
	create     func(dir string) (syncFile, error)
	holder     func(dir string) (db.Holder, error)
	clock      func() (synced, known bool)
	denied     func(device string) (*denial, error)
}

// Systems whose mends differ, as runtime.GOOS has them.
const (
	windows = "windows"
	linux   = "linux"
	macOS   = "darwin"
)

func thisMachine() machine {
	m := machine{
		system: runtime.GOOS, location: time.Local, now: time.Now, interfaces: jetdrive.Interfaces, hear: hear, route: systemRoute,
		space: db.FreeSpace, create: createFile, holder: db.HolderOf, clock: clockSynced, denied: deniedTo,
	}
	if m.system == linux {
		m.files = os.DirFS("/")
	}
	return m
}

// systemRoute is the address from which the system would send to a group by
// its routing table. Nothing is sent.
func systemRoute(ctx context.Context, to netip.AddrPort) (netip.Addr, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp4", to.String())
	if err != nil {
		return netip.Addr{}, err
	}
	from, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return from.Addr(), errors.Join(err, conn.Close())
}

func assemble(o Options, m machine) *Doctor {
	if o.Listen <= 0 {
		o.Listen = DefaultListen
	}
	o.Network.ProviderFilter, o.Network.ChannelFilter = nil, nil
	cell := &network{settings: o.Network, listen: o.Listen, machine: m}
	directory := &directory{path: o.Data, create: m.create, holder: m.holder, running: o.Running}
	disk := &disk{path: o.Data, space: m.space, create: m.create, now: m.now}
	d := &Doctor{limit: o.Listen + patience, checks: []*check{
		{name: checkReception, look: cell.look},
		{name: checkDirectory, look: directory.look},
		{name: checkSpace, look: disk.lookSpace},
		{name: checkFsync, look: disk.lookFsync},
		{name: checkPCClock, look: func(context.Context) []Finding { return pcClock(m.system, m.clock) }},
		{name: checkTimeZone, look: func(context.Context) []Finding { return timeZone(o.TimeZone, o.ZoneName, m.location, m.now()) }},
	}}
	if o.Ports != nil {
		s := &serial{system: m.system, ports: o.Ports, denied: m.denied}
		d.checks = append(d.checks, &check{name: checkSerial, look: s.look})
	}
	return d
}

// The names of what is looked at, as findings carry them.
const (
	checkInterfaces = "interfaces"
	checkPort       = "port"
	checkReception  = "reception"
	checkGroup      = "other_groups"
	checkFirewall   = "firewall"
	checkNames      = "channel_names"
	checkValues     = "channel_values"
	checkClocks     = "provider_clocks"
	checkProtocol   = "protocol"
	checkLoss       = "packet_loss"
	checkBuffer     = "receive_buffer"
	checkDrops      = "dropped_here"
	checkPCClock    = "pc_clock"
	checkTimeZone   = "time_zone"
	checkSerial     = "serial_ports"
	checkDirectory  = "data_directory"
	checkRunning    = "running"
	checkSpace      = "disk_space"
	checkFsync      = "disk_speed"
)
