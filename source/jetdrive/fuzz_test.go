package jetdrive

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"

	"dynotap/source/jetdrive/klhdv"
)

// mute is a network that swallows everything but notes what must never be sent.
type mute struct{ t *testing.T }

func (m mute) Send(datagram []byte) error {
	if err := klhdv.CheckOutgoing(datagram); err != nil {
		m.t.Error(err)
	}
	return nil
}

// FuzzReceiver feeds sequences of datagrams, each with its length (u16) and the
// time since the one before (u16, ms), and looks at everything that comes out.
func FuzzReceiver(f *testing.F) {
	record := func(dst []byte, key klhdv.Key, host uint16, seq uint8, value []byte) []byte {
		datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: host, Seq: seq, Dest: klhdv.AllHosts}, value)
		if err != nil {
			f.Fatal(err)
		}
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(datagram)))
		dst = binary.LittleEndian.AppendUint16(dst, 50)
		return append(dst, datagram...)
	}
	values := func(stamp uint32) []byte {
		return klhdv.EncodeValues(nil, []klhdv.Value{{Channel: 1, Stamp: stamp, Value: 1}, {Channel: 300, Stamp: stamp, Value: 2}})
	}
	info := klhdv.EncodeChannelInfo(nil, klhdv.ChannelInfo{Provider: "Dyno", Channels: []klhdv.Channel{{ID: 1, Name: "Power", Unit: 4}}})
	var life []byte
	for i, message := range []struct {
		key   klhdv.Key
		value []byte
	}{
		{klhdv.KeyClearChannelInfo, nil}, {klhdv.KeyChannelInfo, info}, {klhdv.KeyChannelValues, values(50)},
		{klhdv.KeyPing, klhdv.EncodePing(nil, 7)}, {klhdv.KeyChannelValues, values(100)}, {klhdv.KeyClearChannelInfo, nil},
		{klhdv.KeyChannelValues, values(1 << 31)}, {klhdv.KeyChannelInfo, info}, {klhdv.KeyChannelValues, values(0)},
		{klhdv.KeyLoggingResponse, klhdv.EncodeLoggingResponse(nil, klhdv.LoggingResponse{State: 1, Start: 40})},
		{klhdv.KeyPong, klhdv.EncodePong(nil, klhdv.Ping{HostTS: 7}, 8)}, {klhdv.KeyPing, []byte{10, 0, 0, 0, 0}},
	} {
		life = record(life, message.key, 7, uint8(i), message.value)
	}
	f.Add(life)
	f.Add(record(record(life, klhdv.KeyChannelInfo, 8, 0, info), klhdv.KeyChannelValues, 0x1234, 0, values(9)))
	f.Add([]byte{0, 0, 0, 0, 3, 0, 255, 255, 2, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		now := session
		r := newReceiver(newRegistry("jetdrive", nil, []string{"power", "1"}), slog.New(slog.DiscardHandler))
		r.node = NewNode(mute{t}, NodeSettings{Micros: func() int64 { return now }})
		r.node.self.Store(&identity{host: 0x1234})
		emitted := uint64(0)
		for len(data) >= 4 {
			length := min(int(binary.LittleEndian.Uint16(data)), len(data)-4)
			now += int64(binary.LittleEndian.Uint16(data[2:])) * 1000
			r.handle(data[4:4+length], netip.AddrPort{}, now)
			data = data[4+length:]
			if length%3 == 0 {
				emitted += checkBatches(t, r, now)
			}
		}
		emitted += checkBatches(t, r, now)
		if r.total.Malformed.Panic > 0 {
			t.Error("a datagram made the receiver panic")
		}
		if emitted != r.total.Values {
			t.Errorf("%d samples emitted, %d counted", emitted, r.total.Values)
		}
		for _, p := range r.providers(now) {
			if p.Reordered+p.Duplicate > p.Datagrams || p.Lost > 128*p.Datagrams {
				t.Errorf("impossible counts: %+v", p.Counters)
			}
		}
	})
}

func checkBatches(t *testing.T, r *receiver, now int64) (samples uint64) {
	t.Helper()
	for b := r.take(); b != nil; b = r.take() {
		if b.Set == nil || b.Source != "jetdrive" || len(b.Samples) == 0 || b.Received > now || b.Received < session {
			t.Fatalf("batch of %d samples, set %v, received %d", len(b.Samples), b.Set, b.Received)
		}
		keys := map[string]bool{}
		for _, c := range b.Set.Channels() {
			if keys[c.Key] || c.Label == "" || c.Key == "" {
				t.Errorf("channel %+v", c)
			}
			keys[c.Key] = true
		}
		for _, s := range b.Samples {
			if int(s.Channel) >= b.Set.Len() {
				t.Fatalf("sample of channel %d of %d", s.Channel, b.Set.Len())
			}
		}
		samples += uint64(len(b.Samples))
		r.recycle(b)
	}
	return samples
}
