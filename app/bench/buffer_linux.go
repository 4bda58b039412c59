package bench

import (
	"net"

	"golang.org/x/sys/unix"
)

// forceBuffer gives the socket as large a receive buffer as dynotap gets.
func forceBuffer(socket *net.UDPConn, size int) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var forced error
	if err := raw.Control(func(fd uintptr) {
		forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
	}); err != nil {
		return err
	}
	if forced != nil {
		return socket.SetReadBuffer(size)
	}
	return nil
}
