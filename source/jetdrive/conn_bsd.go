//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package jetdrive

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// controlLen is 0: no control messages are asked for.
const controlLen = 0

// shareAddress lets other programs bind the port too, which takes both options
// here.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	return control(raw, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
}

// restrict has nothing to do: a socket hears the groups it joined itself.
func restrict(syscall.RawConn) error { return nil }

// transmitFrom sets the interface of outgoing multicast by its address.
func transmitFrom(raw syscall.RawConn, addr [4]byte) error {
	return control(raw, func(fd int) error {
		return unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, addr)
	})
}

// receiveBuffer asks for a buffer, and for half as long as the system refuses,
// and returns what was granted.
func receiveBuffer(_ *net.UDPConn, raw syscall.RawConn, want int) (granted int, err error) {
	err = control(raw, func(fd int) error {
		for size := want; size > 0; size /= 2 {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size) == nil {
				break
			}
		}
		var err error
		granted, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		return err
	})
	return granted, err
}

// bufferMend says how to get the buffer.
func bufferMend(want int) string {
	return fmt.Sprintf("raise it with sysctl -w kern.ipc.maxsockbuf=%d", 2*want)
}

// portHeld reports whether binding failed because of another program.
func portHeld(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// truncated reports whether a datagram was longer than its buffer.
func truncated(flags int) bool { return flags&unix.MSG_TRUNC != 0 }

// kernelDrops are not reported here.
func kernelDrops([]byte) (total uint32, ok bool) { return 0, false }

// control runs f with the socket's descriptor.
func control(raw syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// waited is not known here.
func waited([]byte, time.Time) time.Duration { return 0 }
