package mlg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"dynotap/format"
	"dynotap/format/mlg"
	"dynotap/sample"
)

// kept takes what a file gives.
type kept struct {
	runs     []format.Run
	set      *sample.ChannelSet
	samples  []sample.Sample
	problems format.Problems
	warnings []string
	largest  int
}

func (k *kept) Begin(run format.Run) error {
	k.runs = append(k.runs, run)
	return nil
}

func (k *kept) Batch(b *sample.Batch) error {
	k.set = b.Set
	k.largest = max(k.largest, len(b.Samples))
	k.samples = append(k.samples, b.Samples...)
	return nil
}

func (k *kept) Problem(p format.Problem) { k.problems.Add(p) }
func (k *kept) Warn(text string)         { k.warnings = append(k.warnings, text) }

// values of one channel, in order.
func (k *kept) values(label string) []float64 {
	var out []float64
	for _, s := range k.samples {
		if k.set.Channels()[s.Channel].Label == label {
			out = append(out, s.Value)
		}
	}
	return out
}

// times of the samples of one channel, in µs.
func (k *kept) times(label string) []int64 {
	var out []int64
	for _, s := range k.samples {
		if k.set.Channels()[s.Channel].Label == label {
			out = append(out, s.Time)
		}
	}
	return out
}

func (k *kept) labels() []string {
	var out []string
	for _, c := range k.set.Channels() {
		out = append(out, c.Label)
	}
	return out
}

func read(tb testing.TB, file []byte) *kept {
	tb.Helper()
	k, err := tryRead(file)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func tryRead(file []byte) (*kept, error) {
	k := &kept{}
	err := mlg.Format{}.Read(context.Background(), bytes.NewReader(file), int64(len(file)), k)
	return k, err
}

// def is a field of a file that a test makes, in its own words so that reader
// and writer are not checked against each other alone.
type def struct {
	kind             byte
	name, units      string
	scale, transform float32
	category         string
	bits             byte
	names            uint32
}

// file is a log that a test makes.
type file struct {
	version int
	started uint32
	defs    []def
	names   []byte // of bits
	info    string
	payload int // as the header says; 0: the right one
	blocks  [][]byte
	counter byte
}

var widths = map[byte]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 8, 7: 4, 10: 1, 11: 2, 12: 4, 16: 1, 17: 2, 18: 4}

func padded(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

func (f *file) header() []byte {
	var defs []byte
	payload := 0
	for _, d := range f.defs {
		payload += widths[d.kind]
		defs = append(defs, d.kind)
		defs = append(defs, padded(d.name, 34)...)
		defs = append(defs, padded(d.units, 10)...)
		defs = append(defs, 0)
		if d.kind >= 10 {
			defs = append(defs, 2)
			defs = binary.BigEndian.AppendUint32(defs, d.names)
			defs = append(defs, d.bits, 0, 0, 0)
		} else {
			defs = binary.BigEndian.AppendUint32(defs, math.Float32bits(d.scale))
			defs = binary.BigEndian.AppendUint32(defs, math.Float32bits(d.transform))
			defs = append(defs, 1)
		}
		if f.version == 2 {
			defs = append(defs, padded(d.category, 34)...)
		}
	}
	if f.payload > 0 {
		payload = f.payload
	}
	start := 22
	if f.version == 2 {
		start = 24
	}
	b := append([]byte("MLVLG\x00"), 0, byte(f.version))
	b = binary.BigEndian.AppendUint32(b, f.started)
	info := start + len(defs) + len(f.names)
	data := info + len(f.info)
	if f.info == "" {
		info = 0
	}
	if f.version == 2 {
		b = binary.BigEndian.AppendUint32(b, uint32(info))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(info))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(data))
	b = binary.BigEndian.AppendUint16(b, uint16(payload))
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.defs)))
	return slices.Concat(b, defs, f.names, []byte(f.info))
}

// record adds one, with the fields' bytes.
func (f *file) record(ticks int, payload ...byte) *file {
	b := []byte{0, f.counter, byte(ticks >> 8), byte(ticks)}
	sum := byte(0)
	for _, v := range payload {
		sum += v
	}
	f.blocks = append(f.blocks, append(append(b, payload...), sum))
	f.counter++
	return f
}

func (f *file) mark(ticks int, text string) *file {
	f.blocks = append(f.blocks, append([]byte{1, f.counter, byte(ticks >> 8), byte(ticks)}, padded(text, 50)...))
	f.counter++
	return f
}

func (f *file) bytes() []byte { return slices.Concat(append([][]byte{f.header()}, f.blocks...)...) }

// rpms is a log of one field, a record every 20 ms.
func rpms(values ...uint16) *file {
	f := &file{version: 1, defs: []def{{kind: 2, name: "RPM", units: "rpm", scale: 1}}}
	for i, v := range values {
		f.record(i*2000, byte(v>>8), byte(v))
	}
	return f
}

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func f32(v float32) []byte {
	return u32(math.Float32bits(v))
}
