package segment

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"dynotap/sample"
)

// part is a stretch of one channel's rows.
type part struct {
	channel int
	points  []Point
}

func writeParts(w *Writer, parts []part) error {
	for _, p := range parts {
		if err := w.Write(p.channel, p.points); err != nil {
			return err
		}
	}
	return nil
}

// session makes the samples of a dyno session: noisy, converted, slow and
// stepwise channels at 20 Hz in turns, native values in 32 bits.
func session(channels, rows int) (Info, []part) {
	random := rand.New(rand.NewPCG(1, 2))
	info := Info{Capture: "c", Kind: "live", Source: "jetdrive", TimeBase: "absolute"}
	var parts []part
	for c := range channels {
		described := sample.Channel{
			Key: fmt.Sprintf("DWRT CPU/%03d/0", c), Provider: "DWRT CPU", HostID: 0x43fd, ID: uint32(c),
			Label: fmt.Sprintf("Channel %d", c), NativeUnit: sample.RPM, Unit: sample.RPM,
		}
		switch c % 4 {
		case 1:
			described.NativeUnit, described.Unit = sample.Celsius, sample.Fahrenheit
		case 2:
			described.NativeUnit, described.Unit = sample.Kilowatt, sample.Horsepower
		}
		ch := Describe("jetdrive", described.Key, &described)
		check := NewNativeCheck(ch.Conversion())
		points := make([]Point, rows/channels)
		at := int64(1_700_000_000_000_000)
		for i := range points {
			at += 50_000
			x := float64(i)
			v := 0.0
			switch c % 4 {
			case 0:
				v = 5000 + 2000*math.Sin(x/300) + random.NormFloat64()*5
			case 1:
				v = math.Round(80 + 20*math.Sin(x/5000))
			case 2:
				v = 60 + 30*math.Sin(x/300) + random.NormFloat64()/10
			case 3:
				v = math.Round(1470+random.NormFloat64()*5) / 100
			}
			points[i] = Point{Time: at + random.Int64N(3)*1000, Value: float64(float32(v))}
			check.See(points[i].Value)
		}
		ch.Native = check.Form()
		info.Channels = append(info.Channels, ch)
		parts = append(parts, part{c, points})
	}
	return info, parts
}

// BenchmarkWrite reports rows/s and bytes a row of writing a million rows of
// sixty channels.
func BenchmarkWrite(b *testing.B) {
	info, parts := session(60, 1_000_000)
	var size int64
	var rows int64
	for b.Loop() {
		w, err := NewWriter(io.Discard, info)
		if err != nil {
			b.Fatal(err)
		}
		if err := writeParts(w, parts); err != nil {
			b.Fatal(err)
		}
		got, err := w.Close()
		if err != nil {
			b.Fatal(err)
		}
		size, rows = w.Size(), got.Rows
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
	b.ReportMetric(float64(size)/float64(rows), "B/row")
}

// BenchmarkReadOneChannel reads one of sixty channels of a file of ten million
// rows, opening included.
func BenchmarkReadOneChannel(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.parquet")
	info, parts := session(60, 10_000_000)
	writeFile(b, path, info, parts)
	rows := 0
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		rows = 0
		c := f.Read(30, math.MinInt64, math.MaxInt64, false)
		for {
			points, err := c.Next()
			if err != nil {
				break
			}
			rows += len(points)
		}
		if err := c.Damage(); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	if rows != len(parts[30].points) {
		b.Fatalf("read %d rows of %d", rows, len(parts[30].points))
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
