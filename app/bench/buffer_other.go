//go:build !linux

package bench

import "net"

func forceBuffer(socket *net.UDPConn, size int) error { return socket.SetReadBuffer(size) }
