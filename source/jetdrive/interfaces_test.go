package jetdrive

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func testLinks() []link {
	made := func(index int, name string, flags net.Flags, addrs ...string) link {
		l := link{Interface: net.Interface{Index: index, Name: name, Flags: flags}}
		for _, a := range addrs {
			l.addrs = append(l.addrs, netip.MustParseAddr(a))
		}
		return l
	}
	const up, multicast = net.FlagUp, net.FlagMulticast
	return []link{
		made(1, "lo", up|net.FlagLoopback, "127.0.0.1"),
		made(2, "bond0", multicast, "10.9.9.9"),
		made(3, "v6only", up|multicast),
		made(4, "tun0", up, "10.8.0.2"),
		made(5, "Ethernet 2", up|multicast, "192.0.2.5", "198.51.100.5"),
		made(6, "wlan0", up|multicast, "203.0.113.6"),
	}
}

func TestRouteOfASetting(t *testing.T) {
	t.Parallel()
	all := []string{"lo", "Ethernet 2", "wlan0"}
	for _, tc := range []struct {
		setting  string
		listen   []string
		transmit string
		from     string
	}{
		{"", all, "Ethernet 2", "192.0.2.5"},
		{"0.0.0.0", all, "Ethernet 2", "192.0.2.5"},
		{"wlan0", []string{"wlan0"}, "wlan0", "203.0.113.6"},
		{"ethernet 2", []string{"Ethernet 2"}, "Ethernet 2", "192.0.2.5"},
		{"198.51.100.5", []string{"Ethernet 2"}, "Ethernet 2", "198.51.100.5"},
		{"127.0.0.1", []string{"lo"}, "lo", "127.0.0.1"},
		{"127.0.0.9", []string{"lo"}, "lo", "127.0.0.1"},
	} {
		t.Run(tc.setting, func(t *testing.T) {
			got, err := chooseRoute(tc.setting, testLinks())
			if err != nil {
				t.Fatal(err)
			}
			var listen []string
			for _, l := range got.listen {
				listen = append(listen, l.Name)
			}
			if !slices.Equal(listen, tc.listen) || got.transmit.Name != tc.transmit || got.transmit.addrs[0].String() != tc.from {
				t.Errorf("listens on %q, transmits on %q from %s", listen, got.transmit.Name, got.transmit.addrs[0])
			}
		})
	}
}

func TestRouteOfAMachineWithLoopbackAlone(t *testing.T) {
	t.Parallel()
	got, err := chooseRoute("0.0.0.0", testLinks()[:1])
	if err != nil || got.transmit.Name != "lo" || len(got.listen) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUnusableInterfaceIsOneSentenceWithTheOthers(t *testing.T) {
	t.Parallel()
	const others = ": choose one of lo (127.0.0.1), Ethernet 2 (192.0.2.5), wlan0 (203.0.113.6)"
	for _, tc := range []struct{ setting, want string }{
		{"eth7", `network interface "eth7" does not exist` + others},
		{"192.0.2.6", `network interface "192.0.2.6" does not exist` + others},
		{"bond0", `network interface "bond0" is down` + others},
		{"10.9.9.9", `network interface "10.9.9.9" is down` + others},
		{"v6only", `network interface "v6only" has no IPv4 address` + others},
		{"tun0", `network interface "tun0" cannot carry multicast` + others},
		{"::1", `network interface "::1" is not an IPv4 address` + others},
	} {
		_, err := chooseRoute(tc.setting, testLinks())
		var unusable *InterfaceError
		if !errors.As(err, &unusable) || err.Error() != tc.want {
			t.Errorf("%s: %v", tc.setting, err)
		}
	}
	_, err := chooseRoute("", testLinks()[1:4])
	if err == nil || !strings.Contains(err.Error(), "no other is up") {
		t.Errorf("without any: %v", err)
	}
}
