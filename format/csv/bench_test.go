package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"testing"

	"dynotap/format"
	"dynotap/sample"
)

// wideTable is a numeric table of 100 columns, as a logger writes it.
func wideTable(rows int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	out := []byte("Time (s)")
	for i := 1; i < 100; i++ {
		out = append(out, ",Channel "...)
		out = strconv.AppendInt(out, int64(i), 10)
	}
	out = append(out, '\n')
	for row := range rows {
		out = strconv.AppendFloat(out, float64(row)/100, 'f', 3, 64)
		for i := 1; i < 100; i++ {
			out = append(out, ',')
			out = strconv.AppendFloat(out, random.Float64()*10000, 'f', 1+i%4, 64)
		}
		out = append(out, '\n')
	}
	return out
}

type discarding struct{ samples, problems int }

func (d *discarding) Begin(format.Run) error { return nil }
func (d *discarding) Batch(b *sample.Batch) error {
	d.samples += len(b.Samples)
	return nil
}
func (d *discarding) Problem(format.Problem) { d.problems++ }
func (d *discarding) Warn(string)            {}

// BenchmarkWideTable reads 100 columns and 27 MB into batches, and beside it
// the same with encoding/csv and strconv.ParseFloat.
func BenchmarkWideTable(b *testing.B) {
	const rows = 34_000
	file := wideTable(rows)
	quoted := bytes.ReplaceAll(bytes.ReplaceAll(file, []byte(","), []byte(`","`)), []byte("\n"), []byte("\"\n\""))
	quoted = append([]byte(`"`), quoted[:len(quoted)-1]...)
	for _, c := range []struct {
		name string
		file []byte
		read func(sink format.RunSink) error
	}{
		{"dynotap", file, func(sink format.RunSink) error {
			return New(format.Settings{}).Read(b.Context(), bytes.NewReader(file), int64(len(file)), sink)
		}},
		{"dynotap, all quoted", quoted, func(sink format.RunSink) error {
			return New(format.Settings{}).Read(b.Context(), bytes.NewReader(quoted), int64(len(quoted)), sink)
		}},
		{"encoding-csv", file, func(sink format.RunSink) error { return plainRead(bytes.NewReader(file), sink) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.file)))
			for b.Loop() {
				var sink discarding
				if err := c.read(&sink); err != nil || sink.samples != rows*99 {
					b.Fatalf("%v, %d samples", err, sink.samples)
				}
			}
		})
	}
}

// plainRead is the bare loop over the standard library.
func plainRead(r io.Reader, sink format.RunSink) error {
	in := stdcsv.NewReader(r)
	in.ReuseRecord = true
	if _, err := in.Read(); err != nil {
		return err
	}
	batch := sample.Batch{}
	samples := make([]sample.Sample, 0, format.MaxSamples)
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			batch.Samples = samples
			return sink.Batch(&batch)
		}
		if err != nil {
			return err
		}
		at, err := strconv.ParseFloat(cells[0], 64)
		if err != nil {
			return err
		}
		for i, cell := range cells[1:] {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return err
			}
			if len(samples) == cap(samples) {
				batch.Samples = samples
				if err := sink.Batch(&batch); err != nil {
					return err
				}
				samples = samples[:0]
			}
			samples = append(samples, sample.Sample{Time: int64(at * 1e6), Value: v, Channel: uint32(i)})
		}
	}
}
