package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	envNetfaults = "DYNOTAP_TEST_NETFAULTS" // set in the child that has a network of its own
	envLinkDown  = "DYNOTAP_TEST_LINK_DOWN" // how long a link is down, such as 30s
	noNetwork    = 77                       // the child's exit code when it may not
)

// TestNetworkFaults has the real program and a provider on two machines, as
// far as the kernel is concerned, with a switch between them, and does to that
// network what happens to networks. The samples go on by themselves each time.
func TestNetworkFaults(t *testing.T) {
	if os.Getenv(envNetfaults) != "" {
		testNetworkFaults(t)
		return
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run=^TestNetworkFaults$", "-test.v")
	child.Env = append(os.Environ(), envNetfaults+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		child.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: gid, Size: 1}}
	}
	out, err := child.CombinedOutput()
	switch code := child.ProcessState.ExitCode(); {
	case err == nil:
		t.Logf("%s", out)
	case code == noNetwork || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC):
		need(t, false, "this user may not make a network of his own: %v %s", err, out)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}

func testNetworkFaults(t *testing.T) {
	t.Helper()
	here := newNamespace(t)
	if err := here.try("ip", "link add dev tryout0 type veth peer name tryout1"); err != nil {
		fmt.Println(err)
		os.Exit(noNetwork)
	}
	if err := here.try("tc", "qdisc add dev tryout0 root netem loss 5%"); err != nil {
		t.Logf("unavailable: sch_netem (%v); the switch of this test does the same instead", err)
	} else {
		t.Run("netem", testNetem)
	}
	for _, test := range []struct {
		name   string
		faults impairment
	}{
		{"loss", impairment{loss: 0.05}},
		{"jitter", impairment{jitter: 50 * time.Millisecond}},
		{"reorder", impairment{reorder: 0.05}},
		{"duplicate", impairment{duplicate: 0.05}},
		{"everything", impairment{loss: 0.05, duplicate: 0.05, jitter: 50 * time.Millisecond}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			testImpaired(t, test.faults)
		})
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"link down", testLinkDown},
		{"cable out", testCableOut},
		{"address changes", testAddressChange},
		{"address comes late", testAddressLate},
		{"interface vanishes", testInterfaceVanishes},
		{"interface appears", testInterfaceAppears},
		{"membership lost", testMembershipLost},
		{"speaks where it hears", testSpeaksWhereItHears},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t)
		})
	}
}

// linkDown is how long a fault lasts where that is not the point.
func linkDown(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(envLinkDown)
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// values is how many have come, and flows waits for more.
func (in *instance) values() (n uint64) {
	for _, p := range in.source().Details.Providers {
		n += p.Values
	}
	return n
}

func (in *instance) flows(why string) {
	in.t.Helper()
	begun := time.Now()
	from := in.values()
	await(in.t, "samples go on: "+why, func() bool { return in.values() > from+100 })
	await(in.t, "it is healthy: "+why, func() bool {
		v := in.source()
		return v.Health.Healthy && !strings.Contains(v.Details.Warning, "since ")
	})
	in.t.Logf("%s: samples again and healthy after %v", why, time.Since(begun).Round(10*time.Millisecond))
}

// ails waits until health and, where given, the warning say what is wrong.
func (in *instance) ails(reason, warning string) {
	in.t.Helper()
	await(in.t, fmt.Sprintf("health says %q and the network %q", reason, warning), func() bool {
		v := in.source()
		said := v.Details.Warning
		return !v.Health.Healthy && strings.Contains(strings.Join(v.Health.Reasons, "; "), reason) &&
			strings.Contains(said, warning) && (warning == "" || strings.Contains(said, "since "))
	})
}

// notes waits until readyz, and so status, say a thing.
func (in *instance) notes(what string) {
	in.t.Helper()
	await(in.t, "readyz says "+what, func() bool {
		var ready struct{ Notes []string }
		_, err := in.client.get(in.t.Context(), "readyz", nil, &ready)
		return err == nil && strings.Contains(strings.Join(ready.Notes, "\n"), what)
	})
}

// stays lets a fault last.
func (in *instance) stays(d time.Duration) {
	in.t.Helper()
	select {
	case <-time.After(d):
	case <-in.t.Context().Done():
		in.t.Fatal("the test has ended")
	}
}

// ends stops provider and program and holds the sum.
func (in *instance) ends(provider *simulated) {
	in.t.Helper()
	sent := provider.stop()
	await(in.t, "everything is stored", func() bool { return in.balanced()["jetdrive"].Queued == 0 })
	account := in.balanced()["jetdrive"]
	if account.Received == 0 || account.Received > sent || account.Dropped+account.Failed != 0 {
		in.t.Errorf("the provider sent %d values; account %+v", sent, account)
	}
	in.stop()
}

// testImpaired holds what the program counted against what the switch did.
func testImpaired(t *testing.T, faults impairment) {
	t.Helper()
	r := newRig(t, 4)
	r.plugDyno(dynoAddress)
	in := r.startInstance("--interface", "dyno0")
	await(t, "the switch knows", func() bool { r.lan.mu.Lock(); defer r.lan.mu.Unlock(); return r.lan.member })
	provider := r.startSimulation()
	in.flows("before")
	r.lan.impair(faults)
	from := in.values()
	await(t, "a while has passed", func() bool { return in.values() > from+12000 })
	in.flows("under the fault")
	r.lan.impair(impairment{})
	in.flows("after")
	sent := provider.stop()
	r.lan.late.Wait()
	want := r.lan.counts()
	await(t, "all that arrived is counted", func() bool { return int64(in.values()) == want.values })
	got := in.source().Details.Total
	t.Logf("switch: %+v; dynotap: values %d, lost %d, reordered %d, duplicate %d; sent %d", want, in.values(), got.Lost, got.Reordered, got.Duplicate, sent)
	if int64(got.Lost) != want.lost || int64(got.Duplicate) != want.duplicate {
		t.Errorf("lost %d, duplicate %d: the switch lost %d and doubled %d", got.Lost, got.Duplicate, want.lost, want.duplicate)
	}
	if faults.jitter > 0 != (got.Reordered > uint64(want.delayed)) || int64(got.Reordered) < want.delayed-2 {
		t.Errorf("reordered %d: the switch held %d back", got.Reordered, want.delayed)
	}
	await(t, "everything that arrived is stored", func() bool { return in.balanced()["jetdrive"].Processed == want.values })
	in.stop()
}

// testNetem is the kernel's own way to spoil a network.
func testNetem(t *testing.T) {
	t.Helper()
	r := newRig(t, 5)
	r.plugDyno(dynoAddress)
	in := r.startInstance("--interface", "dyno0")
	provider := r.startSimulation()
	in.flows("before")
	if err := r.cell.try("tc", "qdisc add dev cell0 root netem loss 5% delay 60ms 50ms duplicate 1% reorder 5%"); err != nil {
		t.Fatal(err)
	}
	from := in.values()
	await(t, "a while has passed", func() bool { return in.values() > from+12000 })
	in.flows("under netem")
	if err := r.cell.try("tc", "qdisc del dev cell0 root"); err != nil {
		t.Fatal(err)
	}
	in.flows("after")
	got := in.source().Details.Total
	if got.Lost == 0 || got.Reordered == 0 || got.Duplicate == 0 || got.Lost > got.Datagrams/4 {
		t.Errorf("counted %+v", got)
	}
	in.ends(provider)
}

func testLinkDown(t *testing.T) {
	t.Helper()
	r := newRig(t, 6)
	r.plugDyno(dynoAddress)
	in := r.startInstance("--interface", "dyno0")
	provider := r.startSimulation()
	in.flows("before")
	r.dyno.ip(t, "link set dev dyno0 down")
	in.ails("no data for", `"dyno0" is down`)
	in.notes(`source jetdrive is connected, but: network interface "dyno0" is down`)
	in.stays(linkDown(t))
	r.dyno.ip(t, "link set dev dyno0 up")
	in.flows("link up")
	in.ends(provider)
}

func testCableOut(t *testing.T) {
	t.Helper()
	r := newRig(t, 7)
	r.plugDyno(dynoAddress)
	in := r.startInstance("--interface", "dyno0")
	provider := r.startSimulation()
	in.flows("before")
	r.wire.ip(t, "link set dev w0 down")
	in.ails("no data for", "")
	in.stays(linkDown(t))
	r.wire.ip(t, "link set dev w0 up")
	in.flows("cable in")
	in.ends(provider)
}

// testAddressChange is a network that changes its address in the middle of a
// day: what is sent must leave from the new one.
func testAddressChange(t *testing.T) {
	t.Helper()
	r := newRig(t, 8)
	r.plugDyno(dynoAddress)
	in := r.startInstance("--interface", "dyno0")
	provider := r.startSimulation()
	in.flows("before")
	r.dyno.ip(t, "addr add 10.78.0.1/24 dev dyno0")
	r.dyno.ip(t, "addr del "+dynoAddress+"/24 dev dyno0")
	r.cell.ip(t, "addr add 10.78.0.2/24 dev cell0")
	in.speaksFrom(r, "10.78.0.1")
	in.flows("new address")
	in.ends(provider)
}

// speaksFrom waits until the provider's side hears the program from there.
func (in *instance) speaksFrom(r *rig, address string) {
	in.t.Helper()
	await(in.t, "it transmits from "+address, func() bool { return r.lan.speaker() == address })
	before := in.source().Details.Socket
	await(in.t, "it goes on transmitting", func() bool { return in.source().Details.Socket.Sent > before.Sent+1 })
	if after := in.source().Details.Socket; after.SendErrors != before.SendErrors {
		in.t.Errorf("%d messages could not be sent", after.SendErrors-before.SendErrors)
	}
}

// testAddressLate starts on an interface that DHCP has not answered yet.
func testAddressLate(t *testing.T) {
	t.Helper()
	r := newRig(t, 9)
	r.plugDyno("")
	in := r.startInstance("--interface", "dyno0")
	provider := r.startSimulation()
	in.ails("not connected", "")
	if last := in.source().Stats; last.Rate != 0 {
		t.Errorf("samples without an address: %+v", last)
	}
	r.dyno.ip(t, "addr add "+dynoAddress+"/24 dev dyno0")
	in.flows("address given")
	in.speaksFrom(r, dynoAddress)
	in.ends(provider)
}

// testInterfaceVanishes takes the adapter out and puts it in again: the same
// name, another index, which no membership of before is bound to.
func testInterfaceVanishes(t *testing.T) {
	t.Helper()
	r := newRig(t, 10)
	r.plugDyno(dynoAddress)
	in := r.startInstance("--interface", "dyno0")
	provider := r.startSimulation()
	in.flows("before")
	for range 2 {
		r.unplugDyno()
		in.ails("no data for", `"dyno0" does not exist`)
		r.plugDyno(dynoAddress)
		in.flows("plugged in again")
		in.speaksFrom(r, dynoAddress)
	}
	in.ends(provider)
}

// testInterfaceAppears starts on all interfaces before the dyno's is there.
func testInterfaceAppears(t *testing.T) {
	t.Helper()
	r := newRig(t, 11)
	in := r.startInstance()
	provider := r.startSimulation()
	in.ails("no data yet", "")
	r.plugDyno(dynoAddress)
	in.flows("it appeared")
	in.speaksFrom(r, dynoAddress)
	r.unplugDyno()
	in.ails("no data for", "")
	r.plugDyno("10.77.0.7")
	in.flows("it appeared again")
	in.speaksFrom(r, "10.77.0.7")
	in.ends(provider)
}

// testMembershipLost is a switch that snoops IGMP and forgets who asked.
func testMembershipLost(t *testing.T) {
	t.Helper()
	r := newRig(t, 12)
	r.plugDyno(dynoAddress)
	in := r.startInstance("--interface", "dyno0")
	provider := r.startSimulation()
	in.flows("before")
	r.lan.forget()
	in.ails("no data for", "")
	in.flows("membership renewed")
	r.dyno.ip(t, "link set dev dyno0 multicast off")
	in.ails("", `"dyno0" cannot carry multicast`)
	r.dyno.ip(t, "link set dev dyno0 multicast on")
	in.flows("multicast on")
	in.ends(provider)
}

// testSpeaksWhereItHears has another network listed first.
func testSpeaksWhereItHears(t *testing.T) {
	t.Helper()
	r := newRig(t, 13)
	r.dyno.ip(t, "link add dev wlan0 type veth peer name wlan1")
	r.dyno.ip(t, "addr add 10.99.0.1/24 dev wlan0")
	r.dyno.ip(t, "link set dev wlan0 up")
	r.dyno.ip(t, "link set dev wlan1 up")
	r.plugDyno(dynoAddress)
	in := r.startInstance()
	provider := r.startSimulation()
	in.speaksFrom(r, dynoAddress)
	in.flows("speaks")
	in.ends(provider)
}
