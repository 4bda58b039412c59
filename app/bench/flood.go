package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/net/ipv4"

	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
)

// floodValues a message make datagrams of 1,408 bytes, as a real provider's.
const floodValues = 140

// loopbackNetwork is a group and port of this measurement's own that never
// leave the machine.
func loopbackNetwork() (jetdrive.ConnSettings, error) {
	probe, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return jetdrive.ConnSettings{}, err
	}
	defer func() { _ = probe.Close() }()
	return jetdrive.ConnSettings{
		Group:           netip.AddrFrom4([4]byte{239, byte(1 + rand.IntN(250)), byte(rand.IntN(256)), byte(1 + rand.IntN(250))}),
		Port:            uint16(probe.LocalAddr().(*net.UDPAddr).Port),
		Interface:       "127.0.0.1",
		BufferDatagrams: jetdrive.DefaultBufferDatagrams,
	}, nil
}

// flood is a sender that is faster than any dyno: a provider with one list of
// channels that puts many datagrams into one system call.
type flood struct {
	conn    *ipv4.PacketConn
	socket  net.PacketConn
	address *net.UDPAddr
	values  []klhdv.Value
	batch   []ipv4.Message
	started time.Time
	number  uint8
	written int
}

func newFlood(to jetdrive.ConnSettings) (*flood, error) {
	var config net.ListenConfig
	socket, err := config.ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &flood{
		conn: ipv4.NewPacketConn(socket), socket: socket, started: time.Now(),
		address: net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Group, to.Port)),
		values:  make([]klhdv.Value, floodValues), batch: make([]ipv4.Message, 32),
	}
	for i := range f.batch {
		f.batch[i] = ipv4.Message{Buffers: make([][]byte, 1), Addr: f.address}
	}
	loop, err := loopbackInterface()
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	if err := errors.Join(f.conn.SetMulticastInterface(loop), f.conn.SetMulticastTTL(0)); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return f, f.announce()
}

func loopbackInterface() (*net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Flags&net.FlagLoopback != 0 {
			return &all[i], nil
		}
	}
	return nil, errors.New("this machine has no loopback interface")
}

// announce sends the list of channels.
func (f *flood) announce() error {
	info := klhdv.ChannelInfo{Provider: "Bench"}
	for i := range floodValues {
		info.Channels = append(info.Channels, klhdv.Channel{ID: uint16(i), Name: fmt.Sprintf("Bench %d", i), Unit: 8})
	}
	for part := info.Channels; len(part) > 0; {
		n := min(len(part), klhdv.MaxChannels(mtu))
		value := klhdv.EncodeChannelInfo(nil, klhdv.ChannelInfo{Provider: info.Provider, Channels: part[:n]})
		if err := f.write([][]byte{value}, klhdv.KeyChannelInfo); err != nil {
			return err
		}
		part = part[n:]
	}
	return nil
}

// send sends count messages of values, at most rate a second.
func (f *flood) send(count int, rate float64) error {
	start := time.Now()
	payloads := make([][]byte, len(f.batch))
	for sent := 0; sent < count; {
		for float64(sent) > time.Since(start).Seconds()*rate {
			pause(rate)
		}
		n := min(len(f.batch), count-sent)
		if rate < 10_000 {
			n = 1
		}
		for i := range n {
			payloads[i] = f.message(payloads[i][:0])
		}
		if err := f.write(payloads[:n], klhdv.KeyChannelValues); err != nil {
			return err
		}
		sent += n
	}
	return nil
}

// pause lets others run: a fast sender spins, a slow one sleeps.
func pause(rate float64) {
	if rate < 10_000 {
		time.Sleep(500 * time.Microsecond)
		return
	}
	runtime.Gosched()
}

// message is one set of values, each at the present ms.
func (f *flood) message(dst []byte) []byte {
	stamp := uint32(time.Since(f.started).Milliseconds())
	f.written++
	for i := range f.values {
		f.values[i] = klhdv.Value{Channel: uint16(i), Stamp: stamp, Value: float32(1000 + (f.written+i)%5000)}
	}
	return klhdv.EncodeValues(dst, f.values)
}

// repeat sends the same messages again and again, count in all and at most
// rate a second: nothing but the sending costs the sender anything.
func (f *flood) repeat(count int, rate float64) (float64, error) {
	payloads := make([][]byte, len(f.batch))
	for i := range payloads {
		payloads[i] = f.message(nil)
	}
	if err := f.write(payloads, klhdv.KeyChannelValues); err != nil {
		return 0, err
	}
	start := time.Now()
	for sent := len(f.batch); sent < count; {
		for float64(sent) > time.Since(start).Seconds()*rate {
			pause(rate)
		}
		n, err := f.conn.WriteBatch(f.batch[:min(len(f.batch), count-sent)], 0)
		if err != nil {
			return 0, err
		}
		sent += n
	}
	return time.Since(start).Seconds(), nil
}

func (f *flood) write(payloads [][]byte, key klhdv.Key) error {
	for i, payload := range payloads {
		datagram, err := klhdv.AppendFrame(f.batch[i].Buffers[0][:0], klhdv.Header{Key: key, Host: 7, Seq: f.number, Dest: klhdv.AllHosts}, payload)
		if err != nil {
			return err
		}
		f.batch[i].Buffers[0] = datagram
		f.number++
	}
	for rest := f.batch[:len(payloads)]; len(rest) > 0; {
		n, err := f.conn.WriteBatch(rest, 0)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (f *flood) close() error { return f.socket.Close() }
