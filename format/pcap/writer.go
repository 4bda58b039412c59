package pcap

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// ErrAddress refuses a datagram that is not from and to IPv4 addresses.
var ErrAddress = errors.New("not an IPv4 address")

// Writer writes datagrams as a pcapng file of bare IP packets, with IP and UDP
// headers made from the addresses. It is for one goroutine.
type Writer struct {
	out    *pcapgo.NgWriter
	packet gopacket.SerializeBuffer
}

// NewWriter begins a capture. Application and comment are what Wireshark shows
// as its origin.
func NewWriter(w io.Writer, application, comment string) (*Writer, error) {
	face := pcapgo.DefaultNgInterface
	face.LinkType = layers.LinkTypeRaw
	face.SnapLength = 0
	face.OS = runtime.GOOS
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Application: application, Comment: comment, Hardware: runtime.GOARCH, OS: runtime.GOOS,
	}}
	out, err := pcapgo.NewNgWriterInterface(w, face, options)
	if err != nil {
		return nil, fmt.Errorf("begin capture: %w", err)
	}
	return &Writer{out: out, packet: gopacket.NewSerializeBuffer()}, nil
}

// Write adds a datagram; Packet is ignored, Data is not kept. It may wait in
// memory until Flush.
func (w *Writer) Write(d Datagram) error {
	for _, a := range []netip.AddrPort{d.From, d.To} {
		if !a.Addr().Unmap().Is4() {
			return fmt.Errorf("write capture: %s: %w", a.Addr(), ErrAddress)
		}
	}
	ip := &layers.IPv4{
		Version: 4, IHL: 5, TTL: 1, Protocol: layers.IPProtocolUDP,
		SrcIP: d.From.Addr().Unmap().AsSlice(), DstIP: d.To.Addr().Unmap().AsSlice(),
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(d.From.Port()), DstPort: layers.UDPPort(d.To.Port())}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(w.packet, options, ip, udp, gopacket.Payload(d.Data)); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	data := w.packet.Bytes()
	info := gopacket.CaptureInfo{Timestamp: d.At, CaptureLength: len(data), Length: len(data)}
	if err := w.out.WritePacket(info, data); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

// Flush writes out what waits in memory.
func (w *Writer) Flush() error {
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}
