package klhdv

import (
	"encoding/binary"
	"math"
	"testing"
)

// A full ChannelValues message at the usual MTU.
func benchmarkPayload() []byte {
	values := make([]Value, MaxValues(1500))
	for i := range values {
		values[i] = Value{Channel: uint16(i), Stamp: uint32(i) * 1000, Value: float32(i) / 3}
	}
	return EncodeValues(nil, values)
}

func BenchmarkAppendValues(b *testing.B) {
	payload := benchmarkPayload()
	dst := make([]Value, 0, len(payload)/ValueLen)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = AppendValues(dst[:0], payload)
	}
	reportValues(b, len(payload)/ValueLen)
}

// BenchmarkBareLoop is what the machine does at best: the same loads and
// stores without an API around them.
func BenchmarkBareLoop(b *testing.B) {
	payload := benchmarkPayload()
	dst := make([]Value, len(payload)/ValueLen)
	b.ReportAllocs()
	for b.Loop() {
		bareLoop(dst, payload)
	}
	reportValues(b, len(dst))
}

func bareLoop(dst []Value, value []byte) {
	for len(value) >= ValueLen && len(dst) > 0 {
		v := &dst[0]
		v.Channel = binary.LittleEndian.Uint16(value)
		v.Stamp = binary.LittleEndian.Uint32(value[2:])
		v.Value = math.Float32frombits(binary.LittleEndian.Uint32(value[6:]))
		value, dst = value[ValueLen:], dst[1:]
	}
}

func BenchmarkParseAndAppendValues(b *testing.B) {
	datagram, err := AppendFrame(nil, Header{Key: KeyChannelValues, Host: 7, Dest: AllHosts}, benchmarkPayload())
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]Value, 0, MaxValues(1500))
	b.ReportAllocs()
	for b.Loop() {
		f, err := Parse(datagram)
		if err != nil {
			b.Fatal(err)
		}
		dst, _ = AppendValues(dst[:0], f.Value)
	}
	reportValues(b, MaxValues(1500))
}

func BenchmarkEncodeValues(b *testing.B) {
	values, _ := AppendValues(nil, benchmarkPayload())
	dst := make([]byte, 0, len(values)*ValueLen)
	b.ReportAllocs()
	for b.Loop() {
		dst = EncodeValues(dst[:0], values)
	}
	reportValues(b, len(values))
}

func reportValues(b *testing.B, perOp int) {
	b.Helper()
	b.ReportMetric(float64(perOp)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mvalues/s")
}
