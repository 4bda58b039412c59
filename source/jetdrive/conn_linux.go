package jetdrive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// controlLen holds the two control messages that are asked for.
const controlLen = 128

// shareAddress lets other programs bind the port too.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	return control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
}

// restrict keeps out groups that only other programs joined (PROTOCOLS 1.3)
// and has the kernel report what it drops and when a datagram came.
func restrict(raw syscall.RawConn) error {
	return control(raw, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
			return fmt.Errorf("keep out other programs' groups: %w", err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
			return fmt.Errorf("ask for the count of drops: %w", err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return fmt.Errorf("ask for times of arrival: %w", err)
		}
		return nil
	})
}

// transmitFrom sets the interface of outgoing multicast by its address.
func transmitFrom(raw syscall.RawConn, addr [4]byte) error {
	return control(raw, func(fd int) error {
		return unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, addr)
	})
}

// receiveBuffer asks for a buffer, beyond net.core.rmem_max where this program
// may, and returns what was granted. Linux doubles the number for its own
// needs and reports the double.
func receiveBuffer(_ *net.UDPConn, raw syscall.RawConn, want int) (granted int, err error) {
	err = control(raw, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, want); err != nil {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, want); err != nil {
				return err
			}
		}
		doubled, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		granted = doubled / 2
		return err
	})
	return granted, err
}

// bufferMend says how to get the buffer.
func bufferMend(want int) string {
	return fmt.Sprintf("raise it with sysctl -w net.core.rmem_max=%d", want)
}

// portHeld reports whether binding failed because of another program.
func portHeld(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// truncated reports whether a datagram was longer than its buffer.
func truncated(flags int) bool { return flags&unix.MSG_TRUNC != 0 }

// kernelDrops reads the number of datagrams dropped since the socket was made,
// modulo 2^32. The kernel sends it along from the first drop on.
func kernelDrops(message []byte) (total uint32, ok bool) {
	for len(message) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(message)
		if err != nil {
			return 0, false
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SO_RXQ_OVFL && len(data) >= 4 {
			return binary.NativeEndian.Uint32(data), true
		}
		message = rest
	}
	return 0, false
}

// waited reads how long ago, at the wall clock now, the kernel got the
// datagram: on a busy machine that is milliseconds before this program is
// given the processor. What a step of the clock makes implausible counts as 0.
func waited(message []byte, now time.Time) time.Duration {
	for len(message) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(message)
		if err != nil {
			return 0
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPNS && len(data) >= 16 {
			seconds, nanos := binary.NativeEndian.Uint64(data), binary.NativeEndian.Uint64(data[8:])
			ago := time.Duration(now.UnixNano() - int64(seconds)*1e9 - int64(nanos))
			if ago < 0 || ago > time.Second {
				return 0
			}
			return ago
		}
		message = rest
	}
	return 0
}

// control runs f with the socket's descriptor.
func control(raw syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
