package store

import (
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/sample"
)

// fill stores samples of sixty channels in batches of size samples, many to a
// transaction, and gives how long the transactions took.
func fill(b *testing.B, r *rig, samples, size int) time.Duration {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	set := testSet("jetdrive", 60)
	r.begin("c")
	if err := r.PutSet(b.Context(), set); err != nil {
		b.Fatal(err)
	}
	batch := &sample.Batch{Source: "jetdrive", Capture: "c", Set: set, Samples: make([]sample.Sample, size)}
	var took time.Duration
	at := int64(1_700_000_000_000_000)
	for done := 0; done < samples; {
		var effects []db.Effect
		for range 256 {
			for i := range batch.Samples {
				x := float64(done) / 60
				at += int64(i%60/59) * 50_000
				batch.Samples[i] = sample.Sample{
					Time: at, Channel: uint32(i % 60),
					Value: float64(float32(5000 + 2000*math.Sin(x/300) + random.NormFloat64()*5)),
				}
				done++
			}
			batch.ID = r.ids.Next()
			effects = append(effects, ChunkEffect(NewChunk(batch, sample.AppendBatch(nil, batch))))
		}
		start := time.Now()
		if err := r.Write(b.Context(), effects...); err != nil {
			b.Fatal(err)
		}
		took += time.Since(start)
	}
	return took
}

// BenchmarkChunkEffect reports what storing one batch of 600 samples costs
// within a transaction of many.
func BenchmarkChunkEffect(b *testing.B) {
	r := newRig(b, Options{})
	n := b.N
	took := fill(b, r, n*600, 600)
	batches := (n + 255) / 256 * 256
	b.ReportMetric(float64(took.Microseconds())/float64(batches), "µs/batch")
}

// BenchmarkSeal reports rows/s of sealing ten million samples, decoding
// included, how long a commit of somebody else waits meanwhile at most, and
// the live heap it needs.
func BenchmarkSeal(b *testing.B) {
	const samples = 10_000_000
	for b.Loop() {
		b.StopTimer()
		r := newRig(b, Options{})
		fill(b, r, samples, 600)
		runtime.GC()
		b.StartTimer()
		start := time.Now()
		stop, worst := make(chan struct{}), make(chan time.Duration)
		go func() {
			var longest time.Duration
			for {
				select {
				case <-stop:
					worst <- longest
					return
				default:
				}
				t := time.Now()
				if err := r.Write(b.Context(), CursorEffect("x", 1)); err != nil {
					b.Error(err)
				}
				longest = max(longest, time.Since(t))
				time.Sleep(5 * time.Millisecond)
			}
		}()
		r.seal("c", 0)
		took := time.Since(start)
		close(stop)
		b.ReportMetric(samples/took.Seconds()/1e6, "Mrows/s")
		b.ReportMetric(float64((<-worst).Milliseconds()), "ms-longest-commit")
		var bytes int64
		_ = r.db.Read(b.Context(), func(c *db.Conn) error {
			return c.Query(`SELECT sum(bytes) FROM segments`, scanInt(&bytes))
		})
		b.ReportMetric(float64(bytes)/samples, "B/row")
	}
}

// BenchmarkReadSealed reads a whole capture of ten million samples.
func BenchmarkReadSealed(b *testing.B) {
	const samples = 10_000_000
	r := newRig(b, Options{})
	fill(b, r, samples, 600)
	r.seal("c", 0)
	for b.Loop() {
		n := 0
		if err := r.Read(b.Context(), Query{Capture: "c"}, func(_ *Channel, points []Point) error {
			n += len(points)
			return nil
		}); err != nil || n < samples {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(samples*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

// BenchmarkReadLive reads one channel of two million live samples.
func BenchmarkReadLive(b *testing.B) {
	const samples = 2_000_000
	r := newRig(b, Options{})
	fill(b, r, samples, 600)
	for b.Loop() {
		if err := r.Read(b.Context(), Query{Capture: "c", Channels: []string{"Channel 3"}}, func(*Channel, []Point) error {
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(samples*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
}

// BenchmarkExport writes two million sealed samples in every form.
func BenchmarkExport(b *testing.B) {
	const samples = 2_000_000
	r := newRig(b, Options{})
	fill(b, r, samples, 600)
	r.seal("c", 0)
	for name, form := range map[string]struct {
		format Format
		opts   ExportOptions
	}{
		"csv": {CSV, ExportOptions{}}, "wide": {CSV, ExportOptions{Wide: true}},
		"jsonl": {JSONL, ExportOptions{}}, "parquet": {Parquet, ExportOptions{}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := r.Export(b.Context(), io.Discard, Query{Capture: "c"}, form.format, form.opts); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(samples*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

// BenchmarkPlot reduces one of sixty channels of two million sealed samples
// to a thousand points.
func BenchmarkPlot(b *testing.B) {
	r := newRig(b, Options{})
	fill(b, r, 2_000_000, 600)
	r.seal("c", 0)
	for b.Loop() {
		if _, err := r.Plot(b.Context(), Query{Capture: "c", Channels: []string{"Channel 3"}}, 1000); err != nil {
			b.Fatal(err)
		}
	}
}
