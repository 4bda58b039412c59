package app

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// impairment is what a lan does to the datagrams of the group that pass to the
// program; shares are 0 to 1.
type impairment struct {
	loss, duplicate, reorder float64
	jitter                   time.Duration // each is held back for up to so long
}

// passed is what became of the messages to the program.
type passed struct {
	values             int64 // in those that arrived, each once
	messages, lost     int64
	duplicate, delayed int64
}

// lan is a switch of two ports that looks at IGMP, as many do: the group goes
// to the program's port only while that port has asked for it.
type lan struct {
	network
	dyno, cell port

	mu     sync.Mutex
	random *rand.Rand
	faults impairment
	count  passed
	member bool
	spoke  string             // the address that the program spoke from last
	held   map[[2]byte][]byte // by host: waits for its next one, which overtakes it
	late   sync.WaitGroup
	pumps  sync.WaitGroup
	ended  bool
}

// port is a raw socket on one end of a cable.
type port struct {
	mu   sync.Mutex
	file *os.File // nil: nothing is plugged in
}

func newLAN(n network, seed uint64) *lan {
	return &lan{network: n, random: rand.New(rand.NewPCG(seed, 1)), held: map[[2]byte][]byte{}}
}

// attach plugs an interface of this thread's namespace into a port.
func (l *lan) attach(p *port, name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}),
	); err != nil {
		return errors.Join(err, file.Close())
	}
	p.mu.Lock()
	p.file = file
	p.mu.Unlock()
	l.pumps.Go(func() { l.pump(file, p) })
	return nil
}

func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
}

// send puts a frame on the cable; what the cable does not take is lost.
func (p *port) send(frame []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return false
	}
	_, err := p.file.Write(frame)
	return err == nil
}

func (l *lan) close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.late.Wait()
	l.dyno.close()
	l.cell.close()
	l.pumps.Wait()
}

func (l *lan) pump(file *os.File, p *port) {
	frame := make([]byte, 65536)
	for {
		n, err := file.Read(frame)
		switch {
		case err == nil:
			l.take(frame[:n], p)
		case errors.Is(err, os.ErrClosed):
			return
		default: // it is down
			<-time.After(10 * time.Millisecond)
		}
	}
}

const ethernetLen = 14

// take passes one frame on.
func (l *lan) take(frame []byte, from *port) {
	if len(frame) < ethernetLen+20 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP {
		l.other(from).send(frame)
		return
	}
	packet := frame[ethernetLen:]
	header := int(packet[0]&0xF) * 4
	destination, _ := netip.AddrFromSlice(packet[16:20])
	if len(packet) < header+8 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case packet[9] == unix.IPPROTO_IGMP && from == &l.dyno:
		l.listen(packet[header:])
	case packet[9] == unix.IPPROTO_UDP && destination.String() == l.group:
		// The sending kernel leaves the checksum to the card, which is none.
		packet[header+6], packet[header+7] = 0, 0
		if from == &l.dyno {
			source, _ := netip.AddrFromSlice(packet[12:16])
			l.spoke = source.String()
		} else {
			l.spoil(frame, packet[header+8:])
			return
		}
	}
	l.other(from).send(frame)
}

func (l *lan) other(p *port) *port {
	if p == &l.dyno {
		return &l.cell
	}
	return &l.dyno
}

// listen reads membership reports of IGMP version 3 and 2.
func (l *lan) listen(igmp []byte) {
	group := netip.MustParseAddr(l.group).As4()
	switch igmp[0] {
	case 0x16, 0x17:
		if [4]byte(igmp[4:8]) == group {
			l.member = igmp[0] == 0x16
		}
	case 0x22:
		for records := igmp[8:]; len(records) >= 8; {
			if [4]byte(records[4:8]) == group {
				l.member = records[0] == 2 || records[0] == 4 // excludes no source
			}
			records = records[min(len(records), 8+4*(int(records[1])+int(binary.BigEndian.Uint16(records[2:])))):]
		}
	}
}

// spoil passes a message to the program, or does to it what is asked for.
func (l *lan) spoil(frame, message []byte) {
	if !l.member || l.ended {
		return
	}
	l.count.messages++
	if l.random.Float64() < l.faults.loss {
		l.count.lost++
		return
	}
	if message[0] == 0x02 { // ChannelValues
		l.count.values += int64(binary.LittleEndian.Uint16(message[1:])) / 10
	}
	copied, host := append([]byte(nil), frame...), [2]byte(message[3:])
	switch {
	case l.faults.jitter > 0:
		l.later(copied)
	case l.held[host] == nil && l.random.Float64() < l.faults.reorder:
		l.count.delayed++
		l.held[host] = copied
		return
	default:
		l.dyno.send(copied)
	}
	if l.random.Float64() < l.faults.duplicate {
		l.count.duplicate++
		l.dyno.send(copied)
	}
	if frame := l.held[host]; frame != nil {
		l.dyno.send(frame)
		delete(l.held, host)
	}
}

func (l *lan) later(frame []byte) {
	l.late.Add(1)
	time.AfterFunc(time.Duration(l.random.Int64N(int64(l.faults.jitter))), func() {
		defer l.late.Done()
		l.dyno.send(frame)
	})
}

// impair sets what is done from now on, and releases what is held.
func (l *lan) impair(f impairment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = f
	for host, frame := range l.held {
		l.dyno.send(frame)
		delete(l.held, host)
	}
}

// forget makes the switch forget who asked for the group.
func (l *lan) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.member = false
}

func (l *lan) counts() passed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *lan) speaker() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spoke
}
