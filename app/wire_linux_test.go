package app

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// reading is one value as it came over the wire.
type reading struct {
	stamp   uint32 // ms
	arrived int64  // µs since the epoch
	late    bool   // after a message of a later number
}

// wire listens beside everybody and reads ChannelValues by the letter of
// PROTOCOLS 1.1, with no code of the decoder under test.
type wire struct {
	mu       sync.Mutex
	readings map[uint16]map[uint16][]reading // by host and channel, repeats left out
	seen     map[string]bool                 // whole datagrams
	newest   map[uint16]uint8                // number of the newest message, by host
}

func listenWire(t *testing.T, n network) *wire {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if failed := raw.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0),
			)
		}); failed != nil {
			return failed
		}
		return err
	}}
	socket, err := config.ListenPacket(t.Context(), "udp4", net.JoinHostPort("0.0.0.0", strconv.Itoa(n.port)))
	if err != nil {
		t.Fatal(err)
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := ipv4.NewPacketConn(socket).JoinGroup(lo, &net.UDPAddr{IP: net.ParseIP(n.group)}); err != nil {
		t.Fatal(err)
	}
	w := &wire{readings: map[uint16]map[uint16][]reading{}, seen: map[string]bool{}, newest: map[uint16]uint8{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.listen(t, socket.(*net.UDPConn))
	}()
	t.Cleanup(func() {
		socket.Close()
		<-done
	})
	return w
}

// listen takes datagrams with the time at which the kernel got them, so that
// a busy machine does not make them late.
func (w *wire) listen(t *testing.T, socket *net.UDPConn) {
	t.Helper()
	data, control := make([]byte, 65536), make([]byte, 256)
	for {
		n, controlled, _, _, err := socket.ReadMsgUDPAddrPort(data, control)
		if err != nil {
			return // closed
		}
		messages, err := unix.ParseSocketControlMessage(control[:controlled])
		if err != nil {
			t.Error(err)
			return
		}
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS {
				seconds, nanos := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
				w.take(data[:n], int64(seconds)*1e6+int64(nanos)/1e3)
			}
		}
	}
}

func (w *wire) take(d []byte, arrived int64) {
	if len(d) < 8 {
		return
	}
	length := int(binary.LittleEndian.Uint16(d[1:]))
	host := binary.LittleEndian.Uint16(d[3:])
	if len(d) < 8+length {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[string(d)] {
		return
	}
	w.seen[string(d)] = true
	newest, heard := w.newest[host]
	late := heard && d[5]-newest >= 128
	if !late {
		w.newest[host] = d[5]
	}
	if d[0] != 0x02 {
		return
	}
	if w.readings[host] == nil {
		w.readings[host] = map[uint16][]reading{}
	}
	for value := d[8 : 8+length]; len(value) >= 10; value = value[10:] {
		id, stamp := binary.LittleEndian.Uint16(value), binary.LittleEndian.Uint32(value[2:])
		w.readings[host][id] = append(w.readings[host][id], reading{stamp, arrived, late})
	}
}

// of gives a host's readings by channel.
func (w *wire) of(host uint16) map[uint16][]reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.readings[host]
}

// awaitListeners waits until so many sockets are bound to the network's port.
func awaitListeners(t *testing.T, n network, count int) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/udp")
	need(t, err == nil, "this system does not list its sockets: %v", err)
	port := fmt.Sprintf(":%04X", n.port)
	await(t, fmt.Sprintf("%d programs listen on port %d", count, n.port), func() bool {
		table, _ = os.ReadFile("/proc/net/udp")
		bound := 0
		for line := range strings.Lines(string(table)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasSuffix(fields[1], port) {
				bound++
			}
		}
		return bound >= count
	})
}
