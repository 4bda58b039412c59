package mlg_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"dynotap/format"
	"dynotap/format/mlg"
	"dynotap/sample"
)

// FuzzRead: whatever a file holds, reading ends, and what it gives keeps the
// contract of a format.
func FuzzRead(f *testing.F) {
	f.Add(everyType(1).bytes())
	f.Add(everyType(2).mark(5, "mark").bytes())
	f.Add(ramp(30).bytes())
	f.Add(append(ramp(3).bytes(), make([]byte, 600)...))
	f.Add(write(f, []mlg.Field{{Name: "RPM", Unit: sample.RPM}}, time.Unix(1700000000, 0), []row{{0, []float64{1}}, {time.Second, []float64{2}}}))
	f.Fuzz(func(t *testing.T, file []byte) {
		mlg.Format{}.Detect(file, "x.mlg")
		a, errA := tryRead(file)
		b, errB := tryRead(file)
		if len(a.samples) != len(b.samples) || (errA == nil) != (errB == nil) {
			t.Fatal("the same file gives different samples")
		}
		if len(a.samples) > 0 && (len(a.runs) != 1 || a.largest > format.MaxSamples) {
			t.Fatalf("%d runs, a batch of %d", len(a.runs), a.largest)
		}
		for _, s := range a.samples {
			if int(s.Channel) >= a.set.Len() {
				t.Fatalf("channel %d of %d", s.Channel, a.set.Len())
			}
		}
	})
}

// nothing counts.
type nothing struct{ samples int }

func (*nothing) Begin(format.Run) error { return nil }
func (n *nothing) Batch(b *sample.Batch) error {
	n.samples += len(b.Samples)
	return nil
}
func (*nothing) Problem(format.Problem) {}
func (*nothing) Warn(string)            {}

func BenchmarkRead(b *testing.B) {
	fields := make([]mlg.Field, 60)
	values := make([]float64, len(fields))
	rows := make([]row, 20000)
	for i := range rows {
		rows[i] = row{time.Duration(i) * 10 * time.Millisecond, values}
	}
	file := write(b, fields, time.Time{}, rows)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	n := &nothing{}
	for b.Loop() {
		if err := (mlg.Format{}).Read(context.Background(), bytes.NewReader(file), int64(len(file)), n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(n.samples)/b.Elapsed().Seconds(), "samples/s")
}

func BenchmarkReadGarbage(b *testing.B) {
	file := append(ramp(3).bytes(), bytes.Repeat([]byte{0, 1, 0, 0, 7}, 4<<20/5)...)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		_ = mlg.Format{}.Read(context.Background(), bytes.NewReader(file), int64(len(file)), &nothing{})
	}
}
