//go:build linux || darwin

package serial

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goserial "go.bug.st/serial"
	"golang.org/x/sys/unix"

	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
)

const patience = 20 * time.Second

func newPTY(t *testing.T) *device.PTY {
	t.Helper()
	p, err := device.NewPTY(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func open(t *testing.T, name string) innovate.Port {
	t.Helper()
	p, err := Open(name, DefaultBaud)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// read reads until n bytes are there.
func read(t *testing.T, p innovate.Port, n int) []byte {
	t.Helper()
	var out []byte
	buf := make([]byte, 64)
	for end := time.Now().Add(patience); len(out) < n; {
		got, err := p.Read(buf, 50*time.Millisecond)
		if err != nil || time.Now().After(end) {
			t.Fatalf("%d of %d bytes: %v", len(out), n, err)
		}
		out = append(out, buf[:got]...)
	}
	return out
}

// Whatever the terminal was set to, all bytes come through, 0x11 and 0x13 too.
func TestPortIsRaw(t *testing.T) {
	t.Parallel()
	pty := newPTY(t)
	fd, err := unix.Open(pty.Path(), unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		t.Fatal(err)
	}
	before.Iflag |= unix.IXON | unix.IXOFF | unix.ICRNL | unix.ISTRIP
	before.Lflag |= unix.ICANON | unix.ECHO | unix.ISIG
	before.Cflag |= unix.CRTSCTS
	if err := unix.IoctlSetTermios(fd, setTermios, before); err != nil {
		t.Fatal(err)
	}
	if _, err := pty.Write([]byte("stale\n")); err != nil {
		t.Fatal(err)
	}
	p := open(t, pty.Path())
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	if _, err := pty.Write(all); err != nil {
		t.Fatal(err)
	}
	if got := read(t, p, len(all)); !bytes.Equal(got, all) {
		t.Errorf("came: % X", got)
	}
	after, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		t.Fatal(err)
	}
	if after.Iflag&(unix.IXON|unix.IXOFF|unix.IXANY|unix.ICRNL|unix.ISTRIP) != 0 ||
		after.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || after.Cflag&(unix.CRTSCTS|unix.PARENB|unix.CSTOPB) != 0 ||
		after.Cflag&unix.CSIZE != unix.CS8 {
		t.Errorf("terminal settings %+v", after)
	}
}

func TestReadWaits(t *testing.T) {
	t.Parallel()
	p := open(t, newPTY(t).Path())
	for _, wait := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		began := time.Now()
		if n, err := p.Read(make([]byte, 8), wait); n != 0 || err != nil || time.Since(began) < wait {
			t.Errorf("%v: %d, %v after %v", wait, n, err, time.Since(began))
		}
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(t *testing.T, path string) (release func()){
		"by TIOCEXCL, as LogWorks would": func(t *testing.T, path string) func() {
			t.Helper()
			p, err := goserial.Open(path, &goserial.Mode{BaudRate: DefaultBaud})
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = p.Close() }
		},
		"by a lock": func(t *testing.T, path string) func() {
			t.Helper()
			fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY, 0)
			if err == nil {
				err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
			}
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = unix.Close(fd) }
		},
		"by another dynotap": func(t *testing.T, path string) func() {
			t.Helper()
			p := open(t, path)
			return func() { _ = p.Close() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPTY(t).Path()
			release := hold(t, path)
			p, err := Open(path, DefaultBaud)
			var busy *BusyError
			if !errors.As(err, &busy) || busy.Port != path || p != nil {
				t.Errorf("%v, %v", p, err)
			} else if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, "LogWorks") {
				t.Error(text)
			}
			release()
			open(t, path)
		})
	}
}

func TestErrorsOfOpening(t *testing.T) {
	t.Parallel()
	var missing *NotFoundError
	if _, err := Open(filepath.Join(t.TempDir(), "ttyUSB7"), DefaultBaud); !errors.As(err, &missing) {
		t.Errorf("%v", err)
	}
	if _, err := Open("/dev/null", DefaultBaud); err == nil || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("%v", err)
	}
	var denied *PermissionError
	if err := explain("/dev/ttyUSB0", unix.EACCES); !errors.As(err, &denied) || !strings.Contains(err.Error(), "/dev/ttyUSB0") {
		t.Errorf("%v", err)
	}
}

func TestUnpluggedPortFails(t *testing.T) {
	t.Parallel()
	pty := newPTY(t)
	p := open(t, pty.Path())
	pty.Unplug()
	for end := time.Now().Add(patience); ; {
		if _, err := p.Read(make([]byte, 8), 10*time.Millisecond); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("reads on")
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestLineSends(t *testing.T) {
	t.Parallel()
	// A pseudo-terminal has the device on one end; here the other one sends.
	pty := newPTY(t)
	line, err := NewLine(pty.Path(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := line.Write([]byte{1, 2, 3}); n != 3 || err != nil {
		t.Error(n, err)
	}
	line.Unplug()
	if n, err := line.Write([]byte{1, 2, 3}); n != 3 || err != nil {
		t.Error(n, err)
	}
	if err := line.Plug(); err != nil {
		t.Error(err)
	}
	line.Unplug()
	var _ device.Line = line
}
