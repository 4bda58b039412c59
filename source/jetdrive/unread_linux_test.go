package jetdrive

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"dynotap/source/jetdrive/klhdv"

	"golang.org/x/sys/unix"
)

// message is a datagram of a provider with so many values.
func message(t *testing.T, key klhdv.Key, values int) string {
	t.Helper()
	datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: 9, Dest: klhdv.AllHosts}, make([]byte, values*klhdv.ValueLen))
	if err != nil {
		t.Fatal(err)
	}
	return string(datagram)
}

// TestValuesNobodyReadAreCounted: those in datagrams that found the ring full,
// and about those in datagrams that the kernel dropped.
func TestValuesNobodyReadAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(&script{reads: []read{
			{data: message(t, klhdv.KeyChannelValues, 3)}, {data: message(t, klhdv.KeyChannelValues, 4)}, // these fit
			{data: message(t, klhdv.KeyChannelValues, 5)}, {data: message(t, klhdv.KeyPing, 1)}, {data: "?"},
			{data: message(t, klhdv.KeyChannelValues, 7)},
		}}, newRing(2, 256))
		if err := in.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f, v := in.ringFull.Load(), in.unread.Load(); f != 4 || v != 12 {
			t.Errorf("%d datagrams dropped with %d values", f, v)
		}
		in.accept([]byte(message(t, klhdv.KeyChannelValues, 6)), controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 10), 0, netip.AddrPort{}, true)
		if k, v := in.kernelDrops.Load(), in.unread.Load(); k != 10 || v != 12+10*6+6 {
			t.Errorf("%d datagrams dropped by the kernel, %d values in all", k, v)
		}
		in.accept([]byte(message(t, klhdv.KeyPing, 1)), controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 11), 0, netip.AddrPort{}, true)
		if v := in.unread.Load(); v != 12+10*6+6+6 {
			t.Errorf("%d values in all", v)
		}
	})
}
