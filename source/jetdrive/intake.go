package jetdrive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"dynotap/source/jetdrive/klhdv"
)

const (
	// fullPatience is how long the reader waits for room in a full ring. The
	// kernel's buffer holds what comes meanwhile, and the taker gets the
	// processor. After that the ring is given up and datagrams are dropped.
	fullPatience = 20 * time.Millisecond
	// readErrorPause grows by itself with every error in a row up to
	// readErrorPauseMax, so that a broken socket is not read in a busy loop.
	readErrorPause    = time.Millisecond
	readErrorPauseMax = 100 * time.Millisecond
	// readErrorLimit of errors in a row, about ten seconds, end the reader.
	readErrorLimit = 200
)

// ConnCounters are a Conn's counters since it was opened. What reached the
// taker is Datagrams - Truncated - RingFull.
type ConnCounters struct {
	Datagrams   uint64 `json:"datagrams"`    // read from the socket
	Bytes       uint64 `json:"bytes"`        // in them, without IP and UDP headers
	Truncated   uint64 `json:"truncated"`    // cut by the system, and dropped
	KernelDrops uint64 `json:"kernel_drops"` // dropped by the system, its buffer being full; Linux only
	RingFull    uint64 `json:"ring_full"`    // dropped because the taker did not keep up
	// UnreadValues were in KernelDrops and RingFull: counted in the latter; in
	// the former, which nobody has seen, reckoned by the datagrams after them.
	UnreadValues uint64 `json:"unread_values"`
	ReadErrors   uint64 `json:"read_errors"`
	Sent         uint64 `json:"sent"`
	SendErrors   uint64 `json:"send_errors"` // refused messages included
}

// messageReader is the receiving side of a *net.UDPConn.
type messageReader interface {
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
}

// intake reads a socket into a ring and does nothing else.
type intake struct {
	socket  messageReader
	ring    *ring
	spare   []byte // for what finds the ring full
	control []byte
	dropped uint32        // the kernel's counter when last seen
	typical int           // values in a message, by the last one that was looked at
	own     atomic.Uint32 // the IPv4 address that is transmitted from
	other   atomic.Uint32 // the last other one that spoke; 0: none since it was looked at

	datagrams, bytes, truncated, kernelDrops, ringFull, unread, readErrors atomic.Uint64
}

func newIntake(socket messageReader, r *ring) *intake {
	return &intake{socket: socket, ring: r, spare: make([]byte, r.longest), control: make([]byte, controlLen)}
}

// run reads until the socket is closed or ctx ends, which is no error, or
// until reading has failed readErrorLimit times in a row.
func (in *intake) run(ctx context.Context) error {
	for failures := 0; ; {
		room := in.ring.reserve()
		if room == nil {
			room = in.ring.await(fullPatience)
		}
		full := room == nil
		if full {
			room = in.spare
		}
		n, controlled, flags, from, err := in.socket.ReadMsgUDPAddrPort(room, in.control)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			in.readErrors.Add(1)
			failures++
			if failures == readErrorLimit {
				return fmt.Errorf("read from the network: %w", err)
			}
			if !sleep(ctx, min(time.Duration(failures)*readErrorPause, readErrorPauseMax)) {
				return nil
			}
			continue
		}
		failures = 0
		in.accept(room[:n], in.control[:controlled], flags, from, full)
	}
}

// accept counts one datagram and hands it on.
func (in *intake) accept(datagram, control []byte, flags int, from netip.AddrPort, full bool) {
	arrived := time.Now()
	arrived = arrived.Add(-waited(control, arrived))
	in.datagrams.Add(1)
	in.bytes.Add(uint64(len(datagram)))
	if a := number(from.Addr()); a != in.own.Load() && a != in.other.Load() {
		in.other.Store(a)
	}
	if total, ok := kernelDrops(control); ok && total != in.dropped {
		dropped := uint64(total - in.dropped) // the counter wraps
		in.kernelDrops.Add(dropped)
		in.valuesIn(datagram)
		in.unread.Add(dropped * uint64(in.typical))
		in.dropped = total
	}
	if truncated(flags) {
		in.truncated.Add(1)
		return
	}
	if full {
		room := in.ring.reserve()
		if room == nil {
			in.ringFull.Add(1)
			in.unread.Add(uint64(in.valuesIn(datagram)))
			return
		}
		copy(room, datagram)
	}
	in.ring.publish(len(datagram), from, arrived)
}

// number is an IPv4 address as a number; 0 of anything else.
func number(a netip.Addr) uint32 {
	a = a.Unmap()
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// valuesIn counts the values in a datagram.
func (in *intake) valuesIn(datagram []byte) int {
	f, err := klhdv.Parse(datagram)
	if err != nil || f.Key != klhdv.KeyChannelValues {
		return 0
	}
	in.typical = len(f.Value) / klhdv.ValueLen
	return in.typical
}
