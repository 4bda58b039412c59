package pcap

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var (
	from = netip.MustParseAddrPort("10.0.0.7:50000")
	to   = netip.MustParseAddrPort("224.0.2.10:22344")
	at   = time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC)
)

func read(t *testing.T, file []byte) ([]Datagram, Skipped, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, Skipped{}, err
	}
	var all []Datagram
	for {
		d, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, r.Skipped(), nil
		}
		if err != nil {
			return all, r.Skipped(), err
		}
		d.Data = bytes.Clone(d.Data)
		all = append(all, d)
	}
}

func TestRoundTrip(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, "dynotap", "a test")
	if err != nil {
		t.Fatal(err)
	}
	want := []Datagram{
		{Packet: 1, At: at, From: from, To: to, Data: []byte("first")},
		{Packet: 2, At: at.Add(time.Microsecond), From: from, To: to, Data: []byte{}},
		{Packet: 3, At: at.Add(time.Second), From: to, To: from, Data: bytes.Repeat([]byte{7}, 65507)},
	}
	for _, d := range want {
		if err := w.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got, skipped, err := read(t, file.Bytes())
	if err != nil || skipped != (Skipped{}) || !reflect.DeepEqual(got, want) {
		t.Errorf("read %d datagrams, skipped %+v, %v", len(got), skipped, err)
	}
	if err := w.Write(Datagram{From: netip.MustParseAddrPort("[fe80::1]:1"), To: to}); !errors.Is(err, ErrAddress) {
		t.Errorf("an IPv6 address: %v", err)
	}
}

// ipPacket is an IP packet with a UDP datagram.
func ipPacket(tb testing.TB, change func(*layers.IPv4), data string) []byte {
	tb.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 1, Protocol: layers.IPProtocolUDP, Id: 9, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	if change != nil {
		change(ip)
	}
	_ = udp.SetNetworkLayerForChecksum(ip)
	return serialised(tb, ip, udp, gopacket.Payload(data))
}

func serialised(tb testing.TB, parts ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		tb.Fatal(err)
	}
	return bytes.Clone(b.Bytes())
}

// fragment is a part of an IP packet.
func fragment(tb testing.TB, packet []byte, first, last int, more bool) []byte {
	tb.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 1, Protocol: layers.IPProtocolUDP, Id: 9, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(), FragOffset: uint16(first / 8)}
	if more {
		ip.Flags = layers.IPv4MoreFragments
	}
	return serialised(tb, ip, gopacket.Payload(packet[20+first:20+last]))
}

func TestLinkTypes(t *testing.T) {
	plain := ipPacket(t, nil, "hello")
	ethernet := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	vlan := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeDot1Q}
	for name, c := range map[string]struct {
		link layers.LinkType
		data []byte
	}{
		"raw":      {layers.LinkTypeRaw, plain},
		"ethernet": {layers.LinkTypeEthernet, serialised(t, ethernet, gopacket.Payload(plain))},
		"vlan":     {layers.LinkTypeEthernet, serialised(t, vlan, &layers.Dot1Q{VLANIdentifier: 3, Type: layers.EthernetTypeIPv4}, gopacket.Payload(plain))},
		"loopback": {layers.LinkTypeNull, append([]byte{2, 0, 0, 0}, plain...)},
		"linux":    {layers.LinkTypeLinuxSLL, append([]byte{0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, plain...)},
	} {
		for kind, file := range files(t, c.link, at, c.data) {
			t.Run(name+" "+kind, func(t *testing.T) {
				got, skipped, err := read(t, file)
				if err != nil || len(got) != 1 || skipped != (Skipped{}) {
					t.Fatalf("read %v, skipped %+v, %v", got, skipped, err)
				}
				d := got[0]
				if d.From != from || d.To != to || string(d.Data) != "hello" || d.At.Sub(at).Abs() > time.Microsecond {
					t.Errorf("read %+v", d)
				}
			})
		}
	}
}

// files holds packets in each of the formats.
func files(tb testing.TB, link layers.LinkType, at time.Time, packets ...[]byte) map[string][]byte {
	tb.Helper()
	micro, nano, ng := new(bytes.Buffer), new(bytes.Buffer), new(bytes.Buffer)
	us, ns := pcapgo.NewWriter(micro), pcapgo.NewWriterNanos(nano)
	w, err := pcapgo.NewNgWriter(ng, link)
	if err = errors.Join(err, us.WriteFileHeader(1<<16, link), ns.WriteFileHeader(1<<16, link)); err != nil {
		tb.Fatal(err)
	}
	for _, p := range packets {
		info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(p), Length: len(p)}
		if err := errors.Join(us.WritePacket(info, p), ns.WritePacket(info, p), w.WritePacket(info, p)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return map[string][]byte{"pcap µs": micro.Bytes(), "pcap ns": nano.Bytes(), "pcapng": ng.Bytes()}
}

func TestFragmentsAreJoined(t *testing.T) {
	long := string(bytes.Repeat([]byte("0123456789"), 100))
	packet := ipPacket(t, nil, long)
	end := len(packet) - 20
	a, b, c := fragment(t, packet, 0, 400, true), fragment(t, packet, 400, 800, true), fragment(t, packet, 800, end, false)
	other := ipPacket(t, func(ip *layers.IPv4) { ip.Id = 10 }, "between")
	for name, file := range files(t, layers.LinkTypeRaw, at, a, other, c, b) {
		got, skipped, err := read(t, file)
		if err != nil || skipped != (Skipped{}) || len(got) != 2 || string(got[0].Data) != "between" || string(got[1].Data) != long || got[1].Packet != 4 {
			t.Errorf("%s: %d datagrams, %+v, %v", name, len(got), skipped, err)
		}
	}
	for name, file := range files(t, layers.LinkTypeRaw, at, a, c) {
		if got, skipped, err := read(t, file); err != nil || len(got) != 0 || skipped != (Skipped{Fragment: 2}) {
			t.Errorf("%s without the middle: %d datagrams, %+v, %v", name, len(got), skipped, err)
		}
	}
}

func TestPassedOverIsCounted(t *testing.T) {
	tcp := ipPacket(t, func(ip *layers.IPv4) { ip.Protocol = layers.IPProtocolTCP }, "x")
	short := ipPacket(t, nil, "hello")
	for name, c := range map[string]struct {
		packet []byte
		want   Skipped
	}{
		"another protocol":      {tcp, Skipped{Other: 1}},
		"half an IP header":     {short[:10], Skipped{Damaged: 1}},
		"UDP longer than it is": {short[:len(short)-2], Skipped{Damaged: 1}},
		"nothing":               {nil, Skipped{Other: 1}},
	} {
		for kind, file := range files(t, layers.LinkTypeRaw, at, c.packet) {
			if got, skipped, err := read(t, file); err != nil || len(got) != 0 || skipped != c.want {
				t.Errorf("%s, %s: %v, %+v, %v", name, kind, got, skipped, err)
			}
		}
	}
	var cut bytes.Buffer
	w := pcapgo.NewWriter(&cut)
	info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(short) - 3, Length: len(short)}
	if err := errors.Join(w.WriteFileHeader(96, layers.LinkTypeRaw), w.WritePacket(info, short[:len(short)-3])); err != nil {
		t.Fatal(err)
	}
	if got, skipped, err := read(t, cut.Bytes()); err != nil || len(got) != 0 || skipped != (Skipped{Cut: 1}) {
		t.Errorf("cut by the capture: %v, %+v, %v", got, skipped, err)
	}
}

func TestDamageIsLocated(t *testing.T) {
	packet := ipPacket(t, nil, "hello")
	for name, file := range files(t, layers.LinkTypeRaw, at, packet, packet, packet) {
		got, _, err := read(t, file[:len(file)-6])
		var damage *Error
		if len(got) != 2 || !errors.As(err, &damage) || damage.Packet != 2 {
			t.Errorf("%s cut off: %d datagrams, %v", name, len(got), err)
		}
	}
	for _, text := range []string{"", "abc", "Time,RPM\n0,900\n"} {
		if _, _, err := read(t, []byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	packet := ipPacket(f, nil, "hello")
	for _, file := range files(f, layers.LinkTypeRaw, at, packet, fragment(f, packet, 0, 8, true), fragment(f, packet, 8, 13, false)) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, _, err := read(t, file)
		total := 0
		for _, d := range got {
			total += len(d.Data)
			if !d.From.Addr().Is4() || !d.To.Addr().Is4() {
				t.Errorf("datagram from %s to %s", d.From, d.To)
			}
		}
		if kindOf(file) == gzipped {
			return // may hold more than it is long
		}
		if total > 10*len(file) && err == nil {
			t.Errorf("%d bytes out of a file of %d", total, len(file))
		}
	})
}
