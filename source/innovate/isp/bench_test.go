package isp

import "testing"

func benchmark(b *testing.B, packet string) {
	b.Helper()
	raw := unhex(packet)
	var stream []byte
	for range 1000 {
		stream = append(stream, raw...)
	}
	var d Decoder
	packets := 0
	count := func(p *Packet) { packets += len(p.Sensors) }
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		d.Feed(stream, count)
	}
	if d.Counters().BytesSkipped > 16 {
		b.Fatal(d.Counters())
	}
	b.ReportMetric(float64(d.Counters().Packets)/b.Elapsed().Seconds(), "packets/s")
}

func BenchmarkDecodeLC2(b *testing.B)  { benchmark(b, "B2 82 43 13 03 74") }
func BenchmarkDecodeDLG1(b *testing.B) { benchmark(b, "B2 84 47 13 01 51 43 13 03 74") }
func BenchmarkDecodeLM1(b *testing.B)  { benchmark(b, lm1Whole) }

func TestDecodingAllocatesNothing(t *testing.T) {
	stream := unhex("B2 8A" + lm1Whole + "43 13 03 74" + "B2 82 43 13 03 B2 82 43 13 03 74")
	var d Decoder
	count := func(*Packet) {}
	if n := testing.AllocsPerRun(100, func() { d.Feed(stream, count); d.Flush(count) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
