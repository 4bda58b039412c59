package app

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dynotap/internal/db"
)

// rig is a dyno network of its own: the program's namespace and the
// provider's, and between them a switch in a third one.
type rig struct {
	t                *testing.T
	n                network
	dyno, wire, cell namespace
	lan              *lan
}

const (
	dynoAddress = "10.77.0.1"
	cellAddress = "10.77.0.2"
)

func newRig(t *testing.T, seed uint64) *rig {
	t.Helper()
	r := &rig{t: t, n: network{group: "239.77.1.9", port: 22344}}
	r.dyno, r.wire, r.cell = newNamespace(t), newNamespace(t), newNamespace(t)
	r.lan = newLAN(r.n, seed)
	t.Cleanup(r.lan.close)
	r.plug("w1", "cell0", r.cell, cellAddress, &r.lan.cell)
	return r
}

// plugDyno gives the program's machine its interface, with an index of its
// own each time.
func (r *rig) plugDyno(address string) {
	r.t.Helper()
	r.plug("w0", "dyno0", r.dyno, address, &r.lan.dyno)
}

// unplugDyno takes the interface away.
func (r *rig) unplugDyno() {
	r.t.Helper()
	r.lan.dyno.close()
	r.wire.ip(r.t, "link del dev w0")
}

func (r *rig) plug(ours, theirs string, ns namespace, address string, p *port) {
	r.t.Helper()
	r.wire.ip(r.t, fmt.Sprintf("link add dev %s type veth peer name %s netns %s", ours, theirs, ns.path()))
	r.wire.ip(r.t, "link set dev "+ours+" up")
	if address != "" {
		ns.ip(r.t, fmt.Sprintf("addr add %s/24 dev %s", address, theirs))
	}
	ns.ip(r.t, "link set dev "+theirs+" up")
	if err := r.wire.within(func() error { return r.lan.attach(p, ours) }); err != nil {
		r.t.Fatal(err)
	}
}

// startInstance starts the program in its namespace and waits until it serves.
func (r *rig) startInstance(args ...string) *instance {
	t := r.t
	t.Helper()
	in := &instance{t: t, dir: t.TempDir()}
	in.cmd = exec.Command("dynotap", append([]string{
		"run", "--data", in.dir, "--listen", "127.0.0.1:0", "--no-ui", "--group", r.n.group, "--port", strconv.Itoa(r.n.port),
	}, args...)...)
	in.cmd.Env = append(os.Environ(), "DYNOTAP_DATA_SOURCES__JETDRIVE__CUSTOM_SETTINGS__STALE_DATA_THRESHOLD_SEC=1",
		"DYNOTAP_DATA_SOURCES__JETDRIVE__RECONNECT_DELAY_SEC=1")
	in.cmd.Stdout, in.cmd.Stderr = &in.stdout, &in.stderr
	r.start(r.dyno, in.cmd)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dynotap said:\n%s\n%s", in.stdout.String(), in.stderr.String())
		}
	})
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = r.dyno.within(func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
	await(t, "dynotap serves", func() bool {
		holder, err := db.HolderOf(in.dir)
		if err != nil || holder.Address == "" {
			return false
		}
		in.client = &client{base: "http://" + holder.Address + "/", token: holder.Token,
			http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
		return in.source().Name != ""
	})
	return in
}

// start starts a program in a namespace; it is killed with the test.
func (r *rig) start(ns namespace, cmd *exec.Cmd) {
	r.t.Helper()
	if err := ns.within(cmd.Start); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

// simulated is a running `dynotap simulate jetdrive` on cell0.
type simulated struct {
	rig *rig
	cmd *exec.Cmd
	out bytes.Buffer
}

func (r *rig) startSimulation() *simulated {
	r.t.Helper()
	s := &simulated{rig: r, cmd: exec.Command("dynotap", "simulate", "jetdrive", "--interface", "cell0", "--rate", "50",
		"--group", r.n.group, "--port", strconv.Itoa(r.n.port))}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, os.Stderr
	r.start(r.cell, s.cmd)
	return s
}

// stop ends it and gives how many values it has sent.
func (s *simulated) stop() (values int64) {
	t := s.rig.t
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("simulation: %v", err)
	}
	for line := range strings.Lines(s.out.String()) {
		_, said, _ := strings.Cut(line, ": sent ")
		text, _, _ := strings.Cut(said, " values")
		n, err := strconv.ParseInt(strings.NewReplacer(",", "", " ", "", " ", "").Replace(text), 10, 64)
		if err != nil {
			t.Fatalf("simulation said %q: %v", line, err)
		}
		values += n
	}
	return values
}

// namespace is a network namespace, which lives as long as the file is open.
type namespace struct{ file *os.File }

func newNamespace(t *testing.T) namespace {
	t.Helper()
	var ns namespace
	err := pinned(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		var err error
		ns.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.file.Close() })
	ns.ip(t, "link set dev lo up")
	return ns
}

// within calls do in the namespace, in which the sockets and programs that it
// makes stay.
func (ns namespace) within(do func() error) error {
	return pinned(func() error {
		if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return do()
	})
}

// pinned calls do on a thread of its own that is in this process's namespace
// before and after.
func pinned(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		err = do()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // else the thread ends with this goroutine
		}
		done <- err
	}()
	return <-done
}

// path names the namespace for other programs.
func (ns namespace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd()) }

// try runs a program of iproute2.
func (ns namespace) try(program, command string) error {
	cmd := exec.Command(program, strings.Fields(command)...)
	var out []byte
	err := ns.within(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, command, err, bytes.TrimSpace(out))
	}
	return nil
}

func (ns namespace) ip(t *testing.T, command string) {
	t.Helper()
	if err := ns.try("ip", command); err != nil {
		t.Fatal(err)
	}
}
