package jetdrive

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// controlLen is 0: no control messages are asked for.
const controlLen = 0

// shareAddress lets other programs, Power Core above all, bind the port too.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	return control(raw, func(fd windows.Handle) error {
		return windows.SetsockoptInt(fd, windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
	})
}

// restrict has nothing to do: a socket hears the groups it joined itself.
func restrict(syscall.RawConn) error { return nil }

// transmitFrom sets the interface of outgoing multicast by its address.
func transmitFrom(raw syscall.RawConn, addr [4]byte) error {
	return control(raw, func(fd windows.Handle) error {
		return windows.SetsockoptInet4Addr(fd, windows.IPPROTO_IP, windows.IP_MULTICAST_IF, addr)
	})
}

// receiveBuffer asks for a buffer and returns what was granted.
func receiveBuffer(socket *net.UDPConn, raw syscall.RawConn, want int) (granted int, err error) {
	if err := socket.SetReadBuffer(want); err != nil {
		return 0, err
	}
	err = control(raw, func(fd windows.Handle) error {
		var err error
		granted, err = windows.GetsockoptInt(fd, windows.SOL_SOCKET, windows.SO_RCVBUF)
		return err
	})
	return granted, err
}

// bufferMend says how to get the buffer.
func bufferMend(want int) string {
	return fmt.Sprintf("close programs that use much memory until Windows grants %d bytes", want)
}

// portHeld reports whether binding failed because of another program: one that
// demands the port exclusively makes it an access violation.
func portHeld(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}

// truncated is false: Windows reports a cut datagram as an error of the read.
func truncated(int) bool { return false }

// kernelDrops are not reported here.
func kernelDrops([]byte) (total uint32, ok bool) { return 0, false }

// control runs f with the socket's handle.
func control(raw syscall.RawConn, f func(fd windows.Handle) error) error {
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(windows.Handle(fd)) }); err != nil {
		return err
	}
	return inner
}

// waited is not known here.
func waited([]byte, time.Time) time.Duration { return 0 }
