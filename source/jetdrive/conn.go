package jetdrive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"dynotap/internal/startstop"
	"dynotap/source/jetdrive/klhdv"

	"golang.org/x/net/ipv4"
)

const (
	// DefaultReceiveBuffer is asked of the system: 8 MiB hold 400,000
	// datagrams/s, where the usual 208 KiB lose 12 % at 100,000 (DESIGN,
	// Choices).
	DefaultReceiveBuffer = 8 << 20
	// DefaultBufferDatagrams wait at most between socket and decoder.
	DefaultBufferDatagrams = 4096
)

// DefaultGroup and DefaultPort are where JETDRIVE speaks unless told otherwise
// (PROTOCOLS 1).
const (
	DefaultGroup = "224.0.2.10"
	DefaultPort  = 22344
)

// ErrPortHeld is wrapped by the error of OpenConn when another program holds
// the port for itself.
var ErrPortHeld = errors.New("held by another program that does not share it")

// ConnSettings say where a Conn listens and speaks.
type ConnSettings struct {
	Group netip.Addr // an IPv4 multicast address
	Port  uint16     // not 0
	// Interface is an interface's name, one of its IPv4 addresses, or "" or
	// "0.0.0.0": listen on all, transmit where others are heard, at first on
	// the first that is not loopback. What comes and goes of them, and of
	// their addresses, is followed while the Conn is open.
	Interface string
	// ReceiveBuffer is asked of the system, in bytes; 0: DefaultReceiveBuffer.
	ReceiveBuffer int
	// BufferDatagrams wait at most between socket and taker, and about 2 KiB
	// for each; 0: DefaultBufferDatagrams.
	BufferDatagrams int
	// Notice is told, in a sentence, what has changed about the interfaces. It
	// must not block and is called from one goroutine. Nil: nobody is told.
	Notice func(string)
}

// Conn is a socket in a JETDRIVE group, shared with other programs on the same
// port. A goroutine that does nothing else reads it into a ring, from which
// one goroutine takes the packets. Send may be called from several.
type Conn struct {
	socket   *net.UDPConn
	to       netip.AddrPort
	in       *intake
	reader   startstop.Service
	watcher  startstop.Service // ends with the reader
	err      error             // of the reader, once Done is closed
	granted  int
	links    *attachment
	warnings []string // of the opening

	sent, sendErrors atomic.Uint64
}

// OpenConn binds the port on all addresses (a unicast address would receive no
// multicast on Linux), joins the group and starts to receive. ctx bounds the
// opening only. The error may be an *InterfaceError or wrap ErrPortHeld.
func OpenConn(ctx context.Context, s ConnSettings) (*Conn, error) {
	if !s.Group.Is4() || !s.Group.IsMulticast() {
		return nil, fmt.Errorf("%s is not an IPv4 multicast address (224.0.0.0 to 239.255.255.255)", s.Group)
	}
	if s.Port == 0 {
		return nil, errors.New("UDP port 0 cannot be shared with other programs: choose one from 1 to 65535")
	}
	if s.ReceiveBuffer <= 0 {
		s.ReceiveBuffer = DefaultReceiveBuffer
	}
	if s.BufferDatagrams <= 0 {
		s.BufferDatagrams = DefaultBufferDatagrams
	}
	links, err := systemLinks()
	if err != nil {
		return nil, err
	}
	via, err := chooseRoute(s.Interface, links)
	if err != nil {
		return nil, err
	}
	if s.Notice == nil {
		s.Notice = func(string) {}
	}
	c := &Conn{to: netip.AddrPortFrom(s.Group, s.Port)}
	if err := c.open(ctx, s, via); err != nil {
		return nil, err
	}
	c.in = newIntake(c.socket, newRing(s.BufferDatagrams, longestDatagram))
	if err := errors.Join(c.watcher.Start(ctx, c.watch), c.reader.Start(ctx, c.read)); err != nil {
		return nil, errors.Join(err, c.socket.Close())
	}
	return c, nil
}

// open makes the socket and leaves none behind when that fails.
func (c *Conn) open(ctx context.Context, s ConnSettings, via route) error {
	config := net.ListenConfig{Control: shareAddress}
	bound, err := config.ListenPacket(ctx, "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), s.Port).String())
	if portHeld(err) {
		return fmt.Errorf("UDP port %d is %w: close that program or choose another port", s.Port, ErrPortHeld)
	}
	if err != nil {
		return fmt.Errorf("open UDP port %d: %w", s.Port, err)
	}
	socket, ok := bound.(*net.UDPConn)
	if !ok {
		return errors.Join(fmt.Errorf("open UDP port %d: not a UDP socket", s.Port), bound.Close())
	}
	c.socket = socket
	if err := c.tune(s, via); err != nil {
		return errors.Join(err, socket.Close())
	}
	return nil
}

// tune sets everything that PROTOCOLS 1.3 asks of a socket.
func (c *Conn) tune(s ConnSettings, via route) error {
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("reach the socket: %w", err)
	}
	if err := restrict(raw); err != nil {
		return err
	}
	if c.granted, err = receiveBuffer(c.socket, raw, s.ReceiveBuffer); err != nil {
		return fmt.Errorf("set the receive buffer: %w", err)
	}
	if warning := bufferWarning(c.granted, s.ReceiveBuffer); warning != "" {
		c.warnings = append(c.warnings, warning)
	}
	p := ipv4.NewPacketConn(c.socket)
	c.links = newAttachment(s, p, raw)
	refused, err := c.links.follow(via)
	if err != nil {
		return err
	}
	c.warnings = append(c.warnings, refused...)
	if err := p.SetMulticastLoopback(true); err != nil {
		return fmt.Errorf("let this machine hear its own multicast: %w", err)
	}
	return nil
}

// bufferWarning is empty when the buffer is as large as was asked for.
func bufferWarning(granted, want int) string {
	if granted >= want {
		return ""
	}
	return fmt.Sprintf("the receive buffer is %d KiB instead of %d KiB and may lose datagrams in bursts: %s",
		granted>>10, want>>10, bufferMend(want))
}

// read is the reader's life; the socket ends with it.
func (c *Conn) read(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.shut)
	defer stop()
	c.err = c.in.run(ctx)
	c.shut()
	return c.watcher.Stop(context.WithoutCancel(ctx))
}

// shut makes a read return. Closing again is an error that says nothing.
func (c *Conn) shut() { _ = c.socket.Close() }

// Ready gets a token when packets came after the last Drain. A token may turn
// out to be stale.
func (c *Conn) Ready() <-chan struct{} { return c.in.ring.ready }

// Drain calls each with the packets that wait at the moment of the call,
// oldest first, and returns their number; it does not block and does not
// allocate. Only one goroutine may take packets.
func (c *Conn) Drain(each func(Packet)) int { return c.in.ring.take(each) }

// Receive waits for the first packet and calls each with all that wait then.
// It returns ctx's error, or once the socket is closed and everything taken,
// net.ErrClosed or what ended the reader. Only one goroutine may take packets.
func (c *Conn) Receive(ctx context.Context, each func(Packet)) error {
	done := c.Done()
	for {
		ended := false
		select {
		case <-done:
			ended = true
		default:
		}
		if c.Drain(each) > 0 {
			return nil
		}
		if ended {
			return c.Err()
		}
		select {
		case <-c.Ready():
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Done is closed when the reader has ended: by Close, or because reading
// failed many times in a row.
func (c *Conn) Done() <-chan struct{} { return c.reader.Done() }

// Err says why Done is closed: net.ErrClosed after Close. It must not be
// called earlier.
func (c *Conn) Err() error {
	if c.err != nil {
		return c.err
	}
	return net.ErrClosed
}

// Send puts one message on the network. It refuses what klhdv.CheckOutgoing
// refuses: load control, brake, and what stops a vendor's node. It keeps
// nothing of the datagram.
func (c *Conn) Send(datagram []byte) error {
	err := klhdv.CheckOutgoing(datagram)
	if err == nil {
		_, err = c.socket.WriteToUDPAddrPort(datagram, c.to)
	}
	if err != nil {
		c.sendErrors.Add(1)
		return fmt.Errorf("send to %s: %w", c.to, err)
	}
	c.sent.Add(1)
	return nil
}

// GrantedBuffer is the receive buffer that the system granted, in bytes.
func (c *Conn) GrantedBuffer() int { return c.granted }

// Warning says what is not as it should be, and the mend; empty when all is.
func (c *Conn) Warning() string {
	warnings := slices.Clone(c.warnings)
	if w := c.links.warning(); w != "" {
		warnings = append(warnings, w)
	}
	return strings.Join(warnings, "; ")
}

// Counters gives the counters at this moment.
func (c *Conn) Counters() ConnCounters {
	return ConnCounters{
		Datagrams: c.in.datagrams.Load(), Bytes: c.in.bytes.Load(), Truncated: c.in.truncated.Load(),
		KernelDrops: c.in.kernelDrops.Load(), RingFull: c.in.ringFull.Load(), UnreadValues: c.in.unread.Load(), ReadErrors: c.in.readErrors.Load(),
		Sent: c.sent.Load(), SendErrors: c.sendErrors.Load(),
	}
}

// Close leaves the group, closes the socket and waits for the reader, at most
// some 20 ms. Packets that wait can still be taken. It may be called again.
func (c *Conn) Close() error {
	return c.reader.Stop(context.Background())
}
