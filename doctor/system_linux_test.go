package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynotap/source/jetdrive"
)

// alone runs f on a thread of its own, which change has made another's and
// which ends with f. Without the rights of root change is left out, if this
// user has none to give up.
func alone(t *testing.T, change func() error, f func()) (err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: nobody else may have this thread
		if err = change(); err == nil {
			f()
		}
	}()
	<-done
	return err
}

// nobody gives up root's right to every file.
func nobody() error {
	if os.Geteuid() != 0 {
		return nil
	}
	const id = 65534
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno
	}
	unix.RawSyscall(unix.SYS_SETFSGID, id, 0, 0) // gives the old one, never an error
	unix.RawSyscall(unix.SYS_SETFSUID, id, 0, 0)
	return nil
}

func TestDirectoryThatThisUserMayNotWrite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	for above := filepath.Dir(dir); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	err := alone(t, nobody, func() {
		wantProblems(t, testDirectory(dir).look(t.Context()), problem{checkDirectory, Error, "this user may not write to the data directory", "sudo chown"})
		if findings := testDisk(dir).lookFsync(t.Context()); len(findings) != 0 {
			t.Errorf("%+v", findings)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSerialPortWithoutPermission(t *testing.T) {
	t.Parallel()
	port := filepath.Join(t.TempDir(), "ttyUSB0")
	if err := os.WriteFile(port, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for above := filepath.Dir(port); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	s := &serial{system: "linux", denied: deniedTo, ports: func(context.Context) ([]SerialPort, error) {
		return []SerialPort{{Name: port}, {Name: filepath.Join(filepath.Dir(port), "gone"), Err: errors.New("gone")}}, nil
	}}
	wantProblems(t, s.look(t.Context()), problem{checkSerial, Info, "no device", ""}, problem{checkSerial, Warning, "gone", ""})
	if err := os.Chmod(port, 0); err != nil {
		t.Fatal(err)
	}
	err := alone(t, nobody, func() {
		wantProblems(t, s.look(t.Context()), problem{checkSerial, Error, "this user may not open " + port, ""}, problem{checkSerial, Warning, "gone", ""})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSmallDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const size = 4 << 20
	mount := func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		return unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m")
	}
	err := alone(t, mount, func() {
		disk := testDisk(dir)
		wantProblems(t, disk.lookSpace(t.Context()), problem{checkSpace, OK, "are free", ""})
		for _, step := range []struct {
			percent int
			want    problem
		}{
			{92, problem{checkSpace, Warning, "8 % of the disk", "Make room"}},
			{97, problem{checkSpace, Error, "3 % of the disk", "Make room"}},
			{100, problem{checkSpace, Error, "0 % of the disk", "Make room"}},
		} {
			if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, size/100*step.percent/4096*4096), 0o600); err != nil {
				t.Error(err)
				return
			}
			wantProblems(t, disk.lookSpace(t.Context()), step.want)
		}
	})
	need(t, !errors.Is(err, unix.EPERM), "this user may not mount a file system of his own")
	if err != nil {
		t.Error(err)
	}
}

// withoutNetAdmin gives up the right to exceed net.core.rmem_max.
func withoutNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	sets[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&header, &sets[0])
}

func TestReceiveBufferThatIsNotGranted(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Listen = time.Second
	c.Network.Conn.ReceiveBuffer = 1 << 30
	c.machine.hear = func(ctx context.Context, s jetdrive.Settings, d time.Duration) (h heard) {
		if err := alone(t, withoutNetAdmin, func() { h = hear(ctx, s, d) }); err != nil {
			t.Error(err)
		}
		return h
	}
	wantProblems(t, c.examine(t).Findings,
		problem{checkBuffer, Warning, "1048576 KiB are wanted: bursts may be lost", "sudo sysctl -w net.core.rmem_max=1073741824"},
		problem{checkReception, Warning, "", ""})
}

func TestBufferMendsOfEverySystem(t *testing.T) {
	t.Parallel()
	for system, want := range map[string]string{
		"linux":  "sudo sysctl -w net.core.rmem_max=8388608; to keep it: echo net.core.rmem_max=8388608 | sudo tee /etc/sysctl.d/90-dynotap.conf",
		"darwin": "sudo sysctl -w kern.ipc.maxsockbuf=16777216", "windows": "Close programs that use much memory: Windows grants the buffer when there is room.",
	} {
		if got := bufferMend(system, 8<<20); got != want {
			t.Errorf("%s: %s", system, got)
		}
	}
}

// A receive buffer of a few datagrams loses some of every burst.
func TestKernelDropsWhileListening(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	c.Listen = 2 * time.Second
	c.Network.Conn.ReceiveBuffer = 4096
	d := newDevice(t, c.Network.Conn)
	d.repeat(20*time.Millisecond, func() [][]byte {
		var burst [][]byte
		for range 300 {
			burst = append(burst, d.values())
		}
		return burst
	})
	found := false
	for _, f := range c.examine(t).Findings {
		if f.Check == checkDrops {
			found = true
			wantProblems(t, []Finding{f}, problem{checkDrops, Warning, "the system dropped", "net.core.rmem_max"})
		}
	}
	if !found {
		t.Error("not looked at")
	}
}
