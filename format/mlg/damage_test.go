package mlg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"dynotap/format"
	"dynotap/format/mlg"
)

// ramp is a log whose record i has the value i and comes at i x 10 ms.
func ramp(n int) *file {
	f := &file{version: 1, defs: []def{{kind: 2, name: "x", scale: 1}, {kind: 4, name: "y", scale: 1}}}
	for i := range n {
		f.record(i*1000, slices.Concat([]byte{byte(i >> 8), byte(i)}, u32(uint32(i)*7919))...)
	}
	return f
}

const rampRecord = 4 + 6 + 1

func TestA8MLGDamage(t *testing.T) {
	t.Parallel()
	head := len(ramp(0).header())
	whole := ramp(300).bytes()
	for _, test := range []struct {
		name     string
		damage   func(b []byte) []byte
		lost     []int // records
		problems []string
	}{
		{"a value", func(b []byte) []byte { b[head+100*rampRecord+5]++; return b }, []int{100}, []string{"byte 1232: the bytes of the record add up to"}},
		{"a checksum", func(b []byte) []byte { b[head+101*rampRecord-1]++; return b }, []int{100}, []string{"byte 1232: "}},
		{"three records in a row", func(b []byte) []byte {
			for i := range 3 {
				b[head+(100+i)*rampRecord+6]++
			}
			return b
		}, []int{100, 101, 102}, []string{"byte 1232: ", "byte 1243: ", "byte 1254: "}},
		{"a kind of block that does not exist", func(b []byte) []byte { b[head+100*rampRecord] = 9; return b }, []int{100}, []string{"byte 1232: 11 bytes are no record"}},
		{"bytes are missing", func(b []byte) []byte { return slices.Delete(b, head+100*rampRecord+3, head+100*rampRecord+8) }, []int{100}, []string{"byte 1232: 6 bytes are no record"}},
		{"bytes too many", func(b []byte) []byte {
			return slices.Insert(b, head+100*rampRecord, bytes.Repeat([]byte{0xee}, 5000)...)
		}, nil, []string{"byte 1232: 5000 bytes are no record"}},
		{"the end is cut", func(b []byte) []byte { return b[:len(b)-1] }, []int{299}, []string{"byte 3421: the file ends inside the last block, after 10 of its bytes"}},
		{"garbage at the end", func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0xee}, 3)...) }, nil, []string{"byte 3432: 3 bytes are no record"}},
		{"zeros at the end", func(b []byte) []byte { return append(b, make([]byte, 3<<20)...) }, nil, nil},
		{"zeros in the middle", func(b []byte) []byte {
			return slices.Insert(b, head+100*rampRecord, make([]byte, 512)...)
		}, nil, nil},
		{"the place of the records is wrong", func(b []byte) []byte { binary.BigEndian.PutUint32(b[14:], 1<<31-1); return b }, nil, []string{"byte 14: the header says that records begin at byte 2147483647"}},
		{"the place of the records is inside the fields", func(b []byte) []byte { binary.BigEndian.PutUint32(b[14:], 30); return b }, nil, []string{"byte 14: "}},
		{"the length of a record is wrong", func(b []byte) []byte { b[19] = 17; return b }, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := read(t, test.damage(bytes.Clone(whole)))
			var want []float64
			for i := range 300 {
				if !slices.Contains(test.lost, i) {
					want = append(want, float64(i))
				}
			}
			if got := k.values("x"); !slices.Equal(got, want) {
				t.Errorf("%d records instead of %d", len(got), len(want))
			}
			for i, v := range k.values("x") {
				if at := k.times("x")[i]; at != int64(v)*10000 {
					t.Fatalf("record %g at %d µs", v, at)
				}
			}
			if len(k.problems.Kept) != len(test.problems) {
				t.Fatalf("problems %v", k.problems.Kept)
			}
			for i, p := range k.problems.Kept {
				if !strings.HasPrefix(p.Message, test.problems[i]) {
					t.Errorf("problem %q, want %q", p.Message, test.problems[i])
				}
			}
		})
	}
}

func TestA8MLGRecordsLongerThanTheirFields(t *testing.T) {
	t.Parallel()
	f := rpms()
	f.payload = 5
	for i := range 100 {
		f.record(i*1000, 1, byte(i), 0xaa, 0xbb, 0xcc)
	}
	k := read(t, f.bytes())
	if len(k.samples) != 100 || k.problems.Count != 0 || len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "3 bytes more") {
		t.Errorf("%d samples, %d problems, warnings %q", len(k.samples), k.problems.Count, k.warnings)
	}
}

func TestA8MLGDamagedHeaders(t *testing.T) {
	t.Parallel()
	whole := ramp(10).bytes()
	set := func(at int, v ...byte) []byte { b := bytes.Clone(whole); copy(b[at:], v); return b }
	for _, test := range []struct {
		name string
		file []byte
		err  error
		says string
	}{
		{"empty", nil, mlg.ErrHeader, "byte 0"},
		{"another file", []byte("Time,RPM\n0,1000\n and so on"), mlg.ErrHeader, "begins with MLVLG"},
		{"signature only", whole[:6], mlg.ErrHeader, "byte 6"},
		{"version 3", set(6, 0, 3), mlg.ErrVersion, "version 3"},
		{"no fields", set(20, 0, 0), mlg.ErrHeader, "no fields"},
		{"more fields than the file has room for", set(20, 0xff, 0xff), mlg.ErrHeader, "65535 fields"},
		{"cut in the fields", whole[:60], mlg.ErrHeader, "2 fields do not fit"},
		{"a type that does not exist", set(22+55, 99), mlg.ErrHeader, "byte 77: damaged header: field 2 (y) has type 99"},
		{"nothing but garbage", append(bytes.Clone(whole[:132]), bytes.Repeat([]byte{0xee}, 4000)...), mlg.ErrNoRecords, "byte 132"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k, err := tryRead(test.file)
			var at *format.Error
			if !errors.Is(err, test.err) || !errors.As(err, &at) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v", err)
			}
			if len(k.samples) != 0 {
				t.Errorf("%d samples", len(k.samples))
			}
		})
	}
}

func TestMLGScaleThatGivesNoValues(t *testing.T) {
	t.Parallel()
	f := &file{version: 1, defs: []def{{kind: 0, name: "good", scale: 1}, {kind: 0, name: "bad", scale: 0}}}
	k := read(t, f.record(0, 1, 2).bytes())
	if !slices.Equal(k.labels(), []string{"good"}) || k.problems.Count != 1 || !strings.Contains(k.problems.Kept[0].Message, "byte 77: field bad") {
		t.Errorf("channels %q, problems %v", k.labels(), k.problems.Kept)
	}
}

// Cut anywhere, a file gives the records that are whole.
func TestA8MLGCutAnywhere(t *testing.T) {
	t.Parallel()
	whole := ramp(20).bytes()
	head := len(ramp(0).header())
	for n := range whole {
		k, err := tryRead(whole[:n])
		if want := max(0, (n-head)/rampRecord); len(k.samples) != 2*want {
			t.Fatalf("cut at %d: %d samples, want %d (%v)", n, len(k.samples), 2*want, err)
		}
	}
}

func TestA8MLGAnyByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	whole := everyType(2).mark(5, "mark").bytes()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range whole {
		for range 8 {
			b := bytes.Clone(whole)
			b[i] = byte(rng.Uint32())
			_, _ = tryRead(b)
		}
	}
}

// counted counts the bytes that were read.
type counted struct {
	bytes.Reader
	read int64
}

func (c *counted) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(b, off)
	c.read += int64(n)
	return n, err
}

// Damage between any two records must not make the work grow with the square
// of the size.
func TestA8MLGDamageEverywhereStaysLinear(t *testing.T) {
	t.Parallel()
	f := ramp(60000)
	for i := range f.blocks {
		if i%2 == 1 {
			f.blocks[i] = append(f.blocks[i], 0xee, 0xee, 0xee)
		}
	}
	file := f.bytes()
	in := &counted{Reader: *bytes.NewReader(file)}
	k := &kept{}
	if err := (mlg.Format{}).Read(context.Background(), in, int64(len(file)), k); err != nil {
		t.Fatal(err)
	}
	if len(k.samples) != 120000 || k.problems.Count != 30000 || in.read > 6*int64(len(file)) {
		t.Errorf("%d samples, %d problems, %d bytes read of a file of %d", len(k.samples), k.problems.Count, in.read, len(file))
	}
}

// A header that promises more than there is must not cost memory.
func TestA8MLGLyingHeaderCostsNoMemory(t *testing.T) {
	lie := append([]byte("MLVLG\x00"), 0, 2)
	lie = append(lie, bytes.Repeat([]byte{0xff}, 14)...)
	lie = append(lie, 0xff, 0xff)
	lie = append(lie, make([]byte, 1000)...)
	fields := ramp(3).bytes()
	binary.BigEndian.PutUint32(fields[14:], 1<<31)
	binary.BigEndian.PutUint16(fields[18:], 1<<16-1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range [][]byte{lie, fields} {
		for _, size := range []int64{int64(len(b)), 1 << 40, -1} {
			k := &kept{}
			_ = mlg.Format{}.Read(context.Background(), bytes.NewReader(b), size, k)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 24<<20 {
		t.Errorf("%d bytes allocated", got)
	}
}

type failing struct{ io.ReaderAt }

var errDisk = errors.New("disk")

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

func TestMLGErrorsOfTheDiskAndTheSinkEndIt(t *testing.T) {
	t.Parallel()
	if err := (mlg.Format{}).Read(context.Background(), failing{}, 1000, &kept{}); !errors.Is(err, errDisk) {
		t.Errorf("disk: %v", err)
	}
	file := ramp(10000).bytes()
	if err := (mlg.Format{}).Read(context.Background(), bytes.NewReader(file), int64(len(file)), &full{}); !errors.Is(err, errFull) {
		t.Errorf("sink: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := (mlg.Format{}).Read(ctx, bytes.NewReader(file), int64(len(file)), &kept{}); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
}

var errFull = errors.New("full")

type full struct{ kept }

func (*full) Begin(format.Run) error { return errFull }
