package isp

import (
	"bytes"
	"fmt"
	"testing"
)

// Whatever comes, the decoder does not fail, packets follow each other in the
// stream and encode to the very bytes they were read from, and the size of the
// pieces changes nothing.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(unhex("B2 84 47 13 01 51 47 13 01 51"), uint8(3))
	f.Add(unhex("B2 B2 82 43 13 03 74 A2 82 41 42 43 44 B2 80"), uint8(1))
	f.Add(bytes.Repeat(unhex(lm1Whole), 4), uint8(5))
	f.Add(append(unhex("A2 FF"), bytes.Repeat(unhex(lm1Whole), 12)...), uint8(5))
	f.Add(bytes.Repeat(unhex("B2 8A"+lm1Whole+"43 13 03 74"), 3), uint8(2))
	f.Add(sampleFile(f, "lc2-warmup-then-lambda.bin"), uint8(64))
	f.Add(sampleFile(f, "lc2-xoff-stripped.bin"), uint8(64))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, d := decode(stream)
		end, taken := int64(0), 0
		for _, g := range whole {
			if g.Offset < end || g.Offset+int64(g.Size) > int64(len(stream)) || g.Size < 2 {
				t.Fatalf("packet at %d with %d bytes after %d", g.Offset, g.Size, end)
			}
			end = g.Offset + int64(g.Size)
			taken += g.Size
			raw, err := Append(nil, &g.Packet)
			if err != nil || !bytes.Equal(raw, stream[g.Offset:end]) {
				t.Fatalf("%v: encoded % X, read from % X: %v", g, raw, stream[g.Offset:end], err)
			}
		}
		c := d.Counters()
		if c.Bytes != uint64(len(stream)) || c.Packets != uint64(len(whole)) || uint64(taken)+c.BytesSkipped != c.Bytes {
			t.Fatalf("%d bytes, %d in %d packets: %+v", len(stream), taken, len(whole), c)
		}
		pieces, other := decode(stream, int(size)+1, 1)
		if fmt.Sprint(pieces) != fmt.Sprint(whole) || other.Counters() != c {
			t.Fatalf("in pieces %d packets, whole %d", len(pieces), len(whole))
		}
		look(stream)
	})
}
