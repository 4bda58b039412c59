package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/internal/db"
)

// testDisk is the checks of one directory's disk, as this machine has it.
func testDisk(dir string) *disk {
	m := thisMachine()
	return &disk{path: dir, space: m.space, create: m.create, now: m.now}
}

func testDirectory(dir string) *directory {
	m := thisMachine()
	return &directory{path: dir, create: m.create, holder: m.holder}
}

func TestDiskSpaceThresholds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		free uint64
		err  error
		want problem
	}{
		"plenty":        {101, nil, problem{checkSpace, OK, "10 % of the disk", ""}},
		"just enough":   {100, nil, problem{checkSpace, OK, "", ""}},
		"below 10 %":    {99, nil, problem{checkSpace, Warning, "are free", "--data"}},
		"still imports": {50, nil, problem{checkSpace, Warning, "5 % of the disk", "Make room"}},
		"below 5 %":     {49, nil, problem{checkSpace, Error, "imports stop below 5 %", "Make room"}},
		"full":          {0, nil, problem{checkSpace, Error, "0.0 GB", "Make room"}},
		"not known":     {0, errors.New("no such device"), problem{checkSpace, Warning, "not known: no such device", "--data"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testDisk(t.TempDir())
			d.space = func(string) (free, total uint64, err error) { return tc.free, 1000, tc.err }
			wantProblems(t, d.lookSpace(t.Context()), tc.want)
		})
	}
}

// slowFile takes its time, on a clock of its own, to be durable.
type slowFile struct {
	now    time.Time
	takes  []time.Duration
	synced int
	closed bool
	err    error
}

func (f *slowFile) Write(p []byte) (int, error) { return len(p), nil }
func (f *slowFile) Close() error                { f.closed = true; return nil }
func (f *slowFile) Sync() error {
	f.now = f.now.Add(f.takes[f.synced%len(f.takes)])
	f.synced++
	return f.err
}

func TestDiskThatIsSlowToSync(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		takes []time.Duration
		err   error
		want  []problem
	}{
		"slow":       {[]time.Duration{180 * ms}, nil, []problem{{checkFsync, Warning, "durable after 180.0 ms", "internal SSD"}}},
		"just right": {[]time.Duration{50 * ms}, nil, []problem{{checkFsync, OK, "50.0 ms", ""}}},
		"one hitch":  {[]time.Duration{900 * ms, ms, ms, ms, ms, ms, ms, ms, ms}, nil, []problem{{checkFsync, OK, "1.0 ms (the slowest took 900.0 ms)", ""}}},
		"broken":     {[]time.Duration{ms}, errors.New("input/output error"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := &slowFile{takes: tc.takes, err: tc.err}
			d := testDisk(t.TempDir())
			d.create, d.now = func(string) (syncFile, error) { return file, nil }, func() time.Time { return file.now }
			findings := d.lookFsync(t.Context())
			wantProblems(t, findings, tc.want...)
			if !file.closed || (tc.err != nil) != (len(findings) == 0) {
				t.Errorf("closed %v, findings %+v", file.closed, findings)
			}
		})
	}
}

func TestExaminationLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wantProblems(t, testDisk(dir).lookFsync(t.Context()), problem{checkFsync, OK, "durable", ""})
	wantProblems(t, testDirectory(dir).look(t.Context()), problem{checkDirectory, OK, "can be written", ""})
	missing := filepath.Join(dir, "not", "yet")
	wantProblems(t, testDirectory(missing).look(t.Context()), problem{checkDirectory, OK, "does not exist yet", ""})
	wantProblems(t, testDisk(missing).lookSpace(t.Context()), problem{checkSpace, OK, "", ""})
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}

func TestDataDirectoryThatIsAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantProblems(t, testDirectory(file).look(t.Context()), problem{checkDirectory, Error, "is a file", "--data"})
}

func TestDataDirectoryOnABrokenDisk(t *testing.T) {
	t.Parallel()
	d := testDirectory(t.TempDir())
	d.create = func(string) (syncFile, error) { return nil, errors.New("input/output error") }
	wantProblems(t, d.look(t.Context()), problem{checkDirectory, Error, "cannot be written: input/output error", "mend the disk"})
}

func TestWhoHasTheDataDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database, err := db.Open(t.Context(), dir, db.Options{Fsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	d := testDirectory(dir)
	wantProblems(t, d.look(t.Context()), problem{checkDirectory, Info, "serves nothing", "when that process has ended"})

	if err := database.Announce("127.0.0.1:8686", "secret"); err != nil {
		t.Fatal(err)
	}
	wantProblems(t, d.look(t.Context()), problem{checkDirectory, OK, "has it open", ""})
	for name, tc := range map[string]struct {
		ready Readiness
		err   error
		want  problem
	}{
		"ready":      {Readiness{}, nil, problem{checkRunning, OK, "runs at 127.0.0.1:8686 and accepts samples", ""}},
		"notes":      {Readiness{Notes: []string{"not durable"}}, nil, problem{checkRunning, Info, "it notes: not durable", ""}},
		"not ready":  {Readiness{Reasons: []string{"the disk is full"}}, nil, problem{checkRunning, Error, "does not accept samples: the disk is full", "dynotap queue stats"}},
		"dead":       {Readiness{}, errors.New("connection refused"), problem{checkRunning, Warning, "does not answer at 127.0.0.1:8686", "end that process"}},
		"no details": {Readiness{Notes: []string{"a", "b"}}, nil, problem{checkRunning, Info, "a; b", ""}},
	} {
		d.running = func(context.Context) (Readiness, error) { return tc.ready, tc.err }
		t.Run(name, func(t *testing.T) { wantProblems(t, d.look(t.Context()), tc.want) })
	}
}

func TestLockFileOfAnotherUser(t *testing.T) {
	t.Parallel()
	d := testDirectory(t.TempDir())
	d.holder = func(string) (db.Holder, error) { return db.Holder{}, fs.ErrPermission }
	wantProblems(t, d.look(t.Context()), problem{checkDirectory, Error, "cannot be seen", "as the user whose directory it is"})
}

func TestThisMachinesClock(t *testing.T) {
	t.Parallel()
	says := func(synced, known bool) func() (bool, bool) { return func() (bool, bool) { return synced, known } }
	wantProblems(t, pcClock("linux", says(true, true)), problem{checkPCClock, OK, "is synchronised", ""})
	wantProblems(t, pcClock("linux", says(false, true)), problem{checkPCClock, Info, "is not synchronised", "timedatectl set-ntp true"})
	wantProblems(t, pcClock("windows", says(false, false)), problem{checkPCClock, OK, "w32tm /query /status", ""})
	wantProblems(t, pcClock("darwin", says(false, false)), problem{checkPCClock, OK, "sntp", ""})
}

func TestTimeZones(t *testing.T) {
	t.Parallel()
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	now := time.Date(2024, 1, 10, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		configured, system string
		severity           Severity
		found              string
	}{
		{"Europe/Vienna", "Europe/Vienna", OK, "times are those of Europe/Vienna (CET, UTC+01:00)"},
		{"Europe/Vienna", "Europe/Berlin", OK, ""},
		{"Europe/Vienna", "Africa/Lagos", Info, "this machine's is WAT"}, // the same in winter
		{"Europe/Vienna", "America/New_York", Info, "time_zone is Europe/Vienna (CET, UTC+01:00), this machine's is EST, UTC-05:00"},
		{"UTC", "UTC", Info, "this machine's time zone is UTC"},
		{"Europe/London", "Europe/London", OK, ""}, // UTC in winter
		{"Africa/Abidjan", "Africa/Abidjan", OK, ""},
	} {
		t.Run(tc.configured+" on "+tc.system, func(t *testing.T) {
			mend := ""
			if tc.severity == Info {
				mend = "the configuration"
			}
			wantProblems(t, timeZone(zone(tc.configured), tc.configured, zone(tc.system), now), problem{checkTimeZone, tc.severity, tc.found, mend})
		})
	}
}

func TestSerialPorts(t *testing.T) {
	t.Parallel()
	says := func(d *denial) func(string) (*denial, error) { return func(string) (*denial, error) { return d, nil } }
	granted := says(nil)
	for name, tc := range map[string]struct {
		system string
		port   SerialPort
		denied func(string) (*denial, error)
		want   problem
	}{
		"speaks":         {"windows", SerialPort{Name: "COM5", Product: "FT232R", Speaks: "DLG-1"}, granted, problem{checkSerial, OK, "DLG-1 speaks on COM5 (FT232R)", ""}},
		"silent":         {"windows", SerialPort{Name: "COM1"}, granted, problem{checkSerial, Info, "speaks on COM1", "is it powered"}},
		"damaged":        {"linux", SerialPort{Name: "/dev/ttyUSB0", Speaks: "LC-2", Hint: "stty -ixon"}, granted, problem{checkSerial, Warning, "damaged", "stty -ixon"}},
		"busy":           {"linux", SerialPort{Name: "/dev/ttyUSB0", Err: ErrPortBusy}, granted, problem{checkSerial, Warning, "held by another program", "sudo lsof /dev/ttyUSB0"}},
		"busy, Windows":  {"windows", SerialPort{Name: "COM5", Err: fs.ErrPermission}, granted, problem{checkSerial, Warning, "held by another program", "Close LogWorks"}},
		"gone":           {"linux", SerialPort{Name: "/dev/ttyUSB0", Err: errors.New("no such device")}, granted, problem{checkSerial, Warning, "no such device", "another USB socket"}},
		"not in dialout": {"linux", SerialPort{Name: "/dev/ttyUSB0", Err: fs.ErrPermission}, says(&denial{group: "dialout"}), problem{checkSerial, Error, "the group dialout", "sudo usermod -aG dialout $USER"}},
		"old session":    {"linux", SerialPort{Name: "/dev/ttyUSB0"}, says(&denial{group: "dialout", listed: true}), problem{checkSerial, Error, "the group dialout", "since after this session began"}},
		"root's own":     {"linux", SerialPort{Name: "/dev/ttyUSB0"}, says(&denial{group: "root", admin: true}), problem{checkSerial, Error, "the group root", "udev rule"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &serial{system: tc.system, denied: tc.denied, ports: func(context.Context) ([]SerialPort, error) { return []SerialPort{tc.port}, nil }}
			wantProblems(t, s.look(t.Context()), tc.want)
		})
	}
	none := &serial{ports: func(context.Context) ([]SerialPort, error) { return nil, nil }}
	wantProblems(t, none.look(t.Context()), problem{checkSerial, OK, "no serial port", "driver"})
	failing := &serial{ports: func(context.Context) ([]SerialPort, error) { return nil, errors.New("registry") }}
	wantProblems(t, failing.look(t.Context()), problem{checkSerial, Warning, "cannot be listed: registry", "Device Manager"})
}

func TestACheckThatHangsIsAFindingAndIsNotBegunAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release, begun := make(chan struct{}), make(chan struct{}, 2)
		ended := make(chan struct{})
		d := &Doctor{limit: 10 * time.Millisecond, checks: []*check{
			{name: checkFsync, look: func(context.Context) []Finding {
				begun <- struct{}{}
				<-release
				defer close(ended)
				return nil
			}},
			{name: checkSpace, look: func(context.Context) []Finding { return []Finding{{Check: checkSpace, Severity: OK, Found: "room"}} }},
		}}
		for range 2 {
			report, err := d.Examine(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantProblems(t, report.Findings, problem{checkFsync, Error, "gave no answer in time", "answers to other programs"}, problem{checkSpace, OK, "room", ""})
		}
		if len(begun) != 1 {
			t.Errorf("begun %d times", len(begun))
		}
		close(release)
		<-ended
	})
}

func TestEveryCheckIsExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "doctor.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []string{
		checkInterfaces, checkPort, checkReception, checkGroup, checkFirewall, checkNames, checkValues, checkClocks, checkProtocol, checkLoss,
		checkBuffer, checkDrops, checkPCClock, checkTimeZone, checkSerial, checkDirectory, checkRunning, checkSpace, checkFsync,
	} {
		if !strings.Contains(string(text), "| `"+check+"` |") {
			t.Errorf("docs/doctor.md says nothing of %s", check)
		}
	}
}

func TestExaminationEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Listen = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	d := assemble(c.Options, c.machine)
	ended := make(chan error)
	go func() {
		_, err := d.Examine(ctx)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	await(t, "the file of the disk's check is gone", func() bool {
		left, err := os.ReadDir(c.Data)
		return err == nil && len(left) == 0
	})
}

func TestAnExaminationThatIsStoppedWaitsForItsChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cleared := false
		d := &Doctor{limit: time.Minute, checks: []*check{{name: checkFsync, look: func(ctx context.Context) []Finding {
			cancel()
			<-ctx.Done()
			<-time.After(grace / 2) // as a slow disk does
			cleared = true
			return nil
		}}}}
		if _, err := d.Examine(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if !cleared {
			t.Error("ended while a check was still clearing up")
		}
	})
}
