package pcap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Datagram is one UDP datagram of a capture.
type Datagram struct {
	// Packet is the number of the packet in the file, from 1, as Wireshark
	// counts; of a fragmented datagram the last one.
	Packet   int
	At       time.Time // UTC; zero where the file does not say
	From, To netip.AddrPort
	Data     []byte
}

// Skipped counts packets of the file that hold no whole UDP datagram.
type Skipped struct {
	Other    int `json:"other"`    // another protocol
	Cut      int `json:"cut"`      // captured in part only
	Damaged  int `json:"damaged"`  // headers that do not fit the packet
	Fragment int `json:"fragment"` // of a datagram of which other parts are missing
}

// ErrFormat is wrapped by the error of NewReader for what is no capture.
var ErrFormat = errors.New("neither pcap nor pcapng")

// Error says where in a file reading failed.
type Error struct {
	Packet int // the last one that was read whole, from 1; 0: none
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("read capture after packet %d: %v", e.Packet, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// fragmented names a datagram that came in parts.
type fragmented struct {
	from, to string
	id       uint16
}

// fragmentLife is how long a fragment waits for the others, on the capture's
// clock (RFC 791, 3.2: 15 s at least).
const fragmentLife = 30 * time.Second

// Reader gives the datagrams of a capture in the order of the file. It is for
// one goroutine.
type Reader struct {
	packets func() ([]byte, gopacket.CaptureInfo, error)
	link    func(gopacket.CaptureInfo) layers.LinkType
	defrag  *ip4defrag.IPv4Defragmenter
	pending map[fragmented]int // fragments that wait for others
	count   int
	swept   time.Time
	skipped Skipped
}

// kind is what a file is by its first bytes.
type kind uint8

const (
	unknown kind = iota
	classic      // pcap in either byte order, µs or ns
	gzipped      // perhaps pcap
	ng
)

func kindOf(head []byte) kind {
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		return gzipped
	}
	if len(head) < 4 {
		return unknown
	}
	switch binary.LittleEndian.Uint32(head) {
	case 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1:
		return classic
	case 0x0a0d0d0a:
		return ng
	}
	return unknown
}

// NewReader begins to read a capture: pcap, gzipped pcap, or pcapng.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read capture: %w", err)
	}
	out := &Reader{defrag: ip4defrag.NewIPv4Defragmenter(), pending: map[fragmented]int{}}
	switch kindOf(head) {
	case ng:
		err = out.openNG(in)
	case classic, gzipped:
		err = out.openClassic(in)
	default:
		return nil, fmt.Errorf("%w: it begins with % x", ErrFormat, head)
	}
	if err != nil {
		return nil, &Error{Err: err}
	}
	return out, nil
}

func (r *Reader) openNG(in io.Reader) error {
	file, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return err
	}
	r.packets = file.ZeroCopyReadPacketData
	r.link = func(info gopacket.CaptureInfo) layers.LinkType {
		if len(info.AncillaryData) > 0 {
			if link, ok := info.AncillaryData[0].(layers.LinkType); ok {
				return link
			}
		}
		return layers.LinkTypeNull
	}
	return nil
}

func (r *Reader) openClassic(in io.Reader) error {
	file, err := pcapgo.NewReader(in)
	if err != nil {
		return err
	}
	file.SetSnaplen(maxPacket)
	r.packets = file.ZeroCopyReadPacketData
	r.link = func(gopacket.CaptureInfo) layers.LinkType { return file.LinkType() }
	return nil
}

// maxPacket is the longest packet that is read: the longest IPv4 packet and
// room for what is around it.
const maxPacket = 1 << 17

// Next gives the next datagram; its Data is good until the next call. At the
// end of the file the error is io.EOF, at damage an *Error.
func (r *Reader) Next() (Datagram, error) {
	for {
		data, info, err := r.packets()
		if errors.Is(err, io.EOF) {
			for _, n := range r.pending {
				r.skipped.Fragment += n
			}
			clear(r.pending)
			return Datagram{}, io.EOF
		}
		if err != nil {
			return Datagram{}, &Error{Packet: r.count, Err: err}
		}
		r.count++
		if d, ok := r.datagram(data, info); ok {
			return d, nil
		}
	}
}

// Skipped counts what Next has passed over until now; fragments without the
// others are counted at the end of the file.
func (r *Reader) Skipped() Skipped { return r.skipped }

func (r *Reader) datagram(data []byte, info gopacket.CaptureInfo) (Datagram, bool) {
	packet := gopacket.NewPacket(data, r.link(info), gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	ip, ok := packet.NetworkLayer().(*layers.IPv4)
	switch {
	case info.CaptureLength < info.Length:
		r.skipped.Cut++
		return Datagram{}, false
	case ok && len(ip.Contents) == 0, !ok && packet.ErrorLayer() != nil: // a header that failed to decode
		r.skipped.Damaged++
		return Datagram{}, false
	case !ok || ip.Protocol != layers.IPProtocolUDP:
		r.skipped.Other++
		return Datagram{}, false
	}
	whole, ok := r.whole(ip, info.Timestamp)
	if !ok {
		return Datagram{}, false
	}
	var udp layers.UDP
	if err := udp.DecodeFromBytes(whole.Payload, gopacket.NilDecodeFeedback); err != nil || int(udp.Length) > len(whole.Payload) {
		r.skipped.Damaged++
		return Datagram{}, false
	}
	from, _ := netip.AddrFromSlice(whole.SrcIP.To4())
	to, _ := netip.AddrFromSlice(whole.DstIP.To4())
	return Datagram{
		Packet: r.count, At: info.Timestamp.UTC(), Data: udp.Payload,
		From: netip.AddrPortFrom(from, uint16(udp.SrcPort)), To: netip.AddrPortFrom(to, uint16(udp.DstPort)),
	}, true
}

// whole joins fragments.
func (r *Reader) whole(ip *layers.IPv4, at time.Time) (*layers.IPv4, bool) {
	if ip.Flags&layers.IPv4MoreFragments == 0 && ip.FragOffset == 0 {
		return ip, true
	}
	if at.Sub(r.swept) > fragmentLife {
		r.defrag.DiscardOlderThan(at.Add(-fragmentLife))
		r.swept = at
	}
	fragment := *ip
	fragment.Payload = bytes.Clone(ip.Payload) // the reader's memory is used again
	whole, err := r.defrag.DefragIPv4WithTimestamp(&fragment, at)
	if err != nil {
		r.skipped.Damaged++
		return nil, false
	}
	of := fragmented{ip.SrcIP.String(), ip.DstIP.String(), ip.Id}
	if whole == nil {
		r.pending[of]++
		return nil, false
	}
	delete(r.pending, of)
	return whole, true
}
