package jetdrive

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestCutDatagramsAreCountedAndDropped(t *testing.T) {
	t.Parallel()
	in := newIntake(&script{reads: []read{{data: "cut", flags: unix.MSG_TRUNC}, {data: "whole"}}}, newRing(8, 64))
	if err := in.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := taken(in.ring); len(got) != 1 || got[0] != "whole" {
		t.Errorf("received %q", got)
	}
	if in.truncated.Load() != 1 || in.datagrams.Load() != 2 || in.bytes.Load() != 8 {
		t.Errorf("%d truncated of %d datagrams, %d bytes", in.truncated.Load(), in.datagrams.Load(), in.bytes.Load())
	}
}

// controlMessage is one as the kernel writes it.
func controlMessage(level, kind int32, value uint32) []byte {
	message := make([]byte, unix.CmsgSpace(4))
	header := (*unix.Cmsghdr)(unsafe.Pointer(&message[0]))
	header.Level, header.Type = level, kind
	header.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(message[unix.CmsgLen(0):], value)
	return message
}

func TestKernelDropsAreCountedAcrossTheWrap(t *testing.T) {
	t.Parallel()
	in := newIntake(&script{}, newRing(8, 64))
	other := controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMP, 99)
	for _, step := range []struct {
		control []byte
		want    uint64
	}{
		{nil, 0},
		{other, 0},
		{controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 5), 5},
		{append(other, controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 7)...), 7},
		{[]byte{1, 2, 3}, 7},
		{controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, math.MaxUint32), math.MaxUint32},
		{controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 3), math.MaxUint32 + 4},
	} {
		in.accept(nil, step.control, 0, netip.AddrPort{}, false)
		if got := in.kernelDrops.Load(); got != step.want {
			t.Errorf("%d drops, want %d", got, step.want)
		}
	}
}
