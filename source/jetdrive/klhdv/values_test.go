package klhdv

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendValues(t *testing.T) {
	t.Parallel()
	one := "0100 02000000 0000C03F"
	v := Value{1, 2, 1.5}
	for _, tc := range []struct {
		name, bytes string
		want        []Value
		rest        int
	}{
		{"none", "", nil, 0},
		{"less than one", "0100 0200", nil, 4},
		{"one", one, []Value{v}, 0},
		{"one and nine bytes", one + "010002000000 000000", []Value{v}, 9},
		{"four", one + one + one + one, []Value{v, v, v, v}, 0},
		{"seven and one byte", one + one + one + one + one + one + one + "FF", []Value{v, v, v, v, v, v, v}, 1},
		{"infinite", "FFFF FFFFFFFF 0000807F", []Value{{0xFFFF, math.MaxUint32, float32(math.Inf(1))}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := Value{9, 9, 9}
			got, rest := AppendValues([]Value{before}, unhex(t, tc.bytes))
			if got[0] != before || !slices.Equal(got[1:], tc.want) || rest != tc.rest {
				t.Errorf("%v rest %d, want %v rest %d", got, rest, tc.want, tc.rest)
			}
		})
	}
}

func TestAppendValuesKeepsNaNBits(t *testing.T) {
	t.Parallel()
	got, _ := AppendValues(nil, unhex(t, "0100 02000000 0100C07F"))
	if bits := math.Float32bits(got[0].Value); bits != 0x7FC00001 {
		t.Errorf("bits %08x", bits)
	}
}

func TestAppendValuesDoesNotAllocate(t *testing.T) {
	payload := benchmarkPayload()
	dst := make([]Value, 0, len(payload)/ValueLen)
	if n := testing.AllocsPerRun(100, func() { dst, _ = AppendValues(dst[:0], payload) }); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func TestValuesSurviveTheWire(t *testing.T) {
	t.Parallel()
	value := rapid.Custom(func(t *rapid.T) Value {
		return Value{rapid.Uint16().Draw(t, "channel"), rapid.Uint32().Draw(t, "stamp"), rapid.Float32().Draw(t, "value")}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(value).Draw(t, "values")
		encoded := EncodeValues(nil, want)
		if len(encoded) != len(want)*ValueLen {
			t.Fatalf("%d bytes", len(encoded))
		}
		got, rest := AppendValues(nil, encoded)
		same := func(a, b Value) bool {
			return a.Channel == b.Channel && a.Stamp == b.Stamp && math.Float32bits(a.Value) == math.Float32bits(b.Value)
		}
		if rest != 0 || !slices.EqualFunc(got, want, same) {
			t.Fatalf("%v rest %d, want %v", got, rest, want)
		}
	})
}

func TestMaxRecordsOfAnMTU(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ mtu, values, channels int }{
		{1500, 146, 41}, // 28 + 8 + 1460; 28 + 8 + 50 + 1394
		{1400, 136, 38},
		{576, 54, 14},
		{120, 8, 1},
		{60, 2, 1},
		{0, 1, 1},
		{-5, 1, 1},
		{1 << 20, 6549, 1924}, // bounded by the datagram
	} {
		if v, c := MaxValues(tc.mtu), MaxChannels(tc.mtu); v != tc.values || c != tc.channels {
			t.Errorf("MTU %d: %d values, %d channels; want %d, %d", tc.mtu, v, c, tc.values, tc.channels)
		}
	}
}
