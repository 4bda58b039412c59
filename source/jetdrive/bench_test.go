package jetdrive

import (
	"log/slog"
	"net/netip"
	"testing"

	"dynotap/source/jetdrive/klhdv"
)

// BenchmarkReceiver is datagram to samples: parse, number, clock, channel
// index, batch, at 20 Hz of session time a message.
func BenchmarkReceiver(b *testing.B) {
	for _, bench := range []struct {
		name   string
		values int
	}{{"full MTU", klhdv.MaxValues(1500)}, {"60 channels", 60}, {"6 channels", 6}} {
		b.Run(bench.name, func(b *testing.B) {
			r := newReceiver(newRegistry("jetdrive", nil, nil), slog.New(slog.DiscardHandler))
			values := make([]klhdv.Value, bench.values)
			datagrams := make([][]byte, 256)
			for i := range datagrams {
				for k := range values {
					values[k] = klhdv.Value{Channel: uint16(k + 1), Stamp: uint32(i), Value: float32(k) / 3}
				}
				datagrams[i], _ = klhdv.AppendFrame(nil, klhdv.Header{
					Key: klhdv.KeyChannelValues, Host: 7, Seq: uint8(i), Dest: klhdv.AllHosts,
				}, klhdv.EncodeValues(nil, values))
			}
			from := netip.MustParseAddrPort("127.0.0.1:22344")
			arrival, n := session, 0
			b.ReportAllocs()
			for b.Loop() {
				r.handle(datagrams[n%256], from, arrival)
				arrival += 1000
				if n++; n%200 == 0 {
					for batch := r.take(); batch != nil; batch = r.take() {
						r.recycle(batch)
					}
				}
			}
			samples := float64(b.N) * float64(bench.values)
			b.ReportMetric(b.Elapsed().Seconds()*1e9/samples, "ns/sample")
			b.ReportMetric(samples/b.Elapsed().Seconds()/1e6, "Msamples/s")
			if r.total.Values != uint64(samples) {
				b.Fatalf("%d values of %.0f", r.total.Values, samples)
			}
		})
	}
}
