package segment

import (
	"encoding/binary"
	"math"
	"math/bits"

	"dynotap/sample"

	"github.com/parquet-go/parquet-go/encoding/bytestreamsplit"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// bounds are a page's or chunk's least and greatest value as the footer holds
// them; nil where there are none.
type bounds struct{ min, max []byte }

// scratch encodes the pages of one stretch of a channel's rows; its buffers
// are reused.
type scratch struct {
	values []float64 // the rows' values in the channel's unit
	out    []byte
	times  []int64
	native []float64
	codes  []int32
}

// begin converts the rows' native values.
func (s *scratch) begin(c *Channel, points []Point) {
	s.values = s.values[:0]
	conv := c.Conversion()
	if conv.IsIdentity() {
		for i := range points {
			s.values = append(s.values, points[i].Value)
		}
		return
	}
	for i := range points {
		s.values = append(s.values, conv.Apply(points[i].Value))
	}
}

// encode gives the body of a column's page and its bounds; both are valid
// until the next call.
func (s *scratch) encode(column int, c *Channel, points []Point, words *texts) (body []byte, b bounds, err error) {
	switch column {
	case columnTime:
		return s.timesOf(points)
	case columnValue:
		s.out, err = new(bytestreamsplit.Encoding).EncodeDouble(s.out[:0], s.values)
		return s.out, valueBounds(s.values), err
	case columnQuality:
		return s.qualities(points, words.bitWidth())
	case columnNative:
		return s.natives(c, points)
	}
	word := text(column, c)
	code := words.code(word)
	s.out = appendRun(s.out[:0], words.bitWidth(), len(points), code)
	return s.out, bounds{min: []byte(word), max: []byte(word)}, nil
}

// texts gives each distinct text of a row group its code, in order of
// appearance.
type texts struct {
	list  []string
	codes map[string]int32
}

func (t *texts) code(text string) int32 {
	code, ok := t.codes[text]
	if !ok {
		if t.codes == nil {
			t.codes = make(map[string]int32)
		}
		code = int32(len(t.list))
		t.codes[text] = code
		t.list = append(t.list, text)
	}
	return code
}

// plain is the body of the dictionary page.
func (t *texts) plain() []byte {
	var out []byte
	for _, text := range t.list {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
		out = append(out, text...)
	}
	return out
}

// bitWidth is that of the codes; at least 1, which every reader knows.
func (t *texts) bitWidth() int { return max(1, bits.Len(uint(len(t.list)-1))) }

// appendRun writes count equal codes as the body of a data page: the bit
// width, then one run of the RLE hybrid (Parquet, Encodings.md, RLE = 3).
func appendRun(dst []byte, width, count int, code int32) []byte {
	dst = append(dst, byte(width))
	return appendRunLength(dst, width, count, code)
}

func appendRunLength(dst []byte, width, count int, code int32) []byte {
	dst = binary.AppendUvarint(dst, uint64(count)<<1)
	for shift := 0; shift < width; shift += 8 {
		dst = append(dst, byte(code>>shift))
	}
	return dst
}

// text gives a text column's value for a channel.
func text(column int, c *Channel) string {
	switch column {
	case columnName:
		return c.DisplayName()
	case columnUnit:
		return string(c.Unit)
	}
	return c.Key
}

// qualities encodes the quality column; a page is mostly of one quality.
func (s *scratch) qualities(points []Point, width int) ([]byte, bounds, error) {
	var present [sample.Qualities]bool
	for i := range points {
		present[points[i].Quality] = true
	}
	var b bounds
	kinds := 0
	for q, here := range present {
		if !here {
			continue
		}
		kinds++
		name := []byte(sample.Quality(q).String())
		if b.min == nil || string(name) < string(b.min) {
			b.min = name
		}
		if b.max == nil || string(name) > string(b.max) {
			b.max = name
		}
	}
	if kinds == 1 {
		s.out = appendRun(s.out[:0], width, len(points), int32(points[0].Quality))
		return s.out, b, nil
	}
	s.codes = s.codes[:0]
	for i := range points {
		s.codes = append(s.codes, int32(points[i].Quality))
	}
	var err error
	s.out = append(s.out[:0], byte(width))
	hybrid := rle.Encoding{BitWidth: width}
	body, err := hybrid.EncodeInt32(nil, s.codes)
	s.out = append(s.out, body...)
	return s.out, b, err
}

func (s *scratch) timesOf(points []Point) ([]byte, bounds, error) {
	s.times = s.times[:0]
	for i := range points {
		s.times = append(s.times, points[i].Time)
	}
	var err error
	s.out, err = new(delta.BinaryPackedEncoding).EncodeInt64(s.out[:0], s.times)
	first, last := s.times[0], s.times[len(s.times)-1]
	return s.out, bounds{
		min: binary.LittleEndian.AppendUint64(nil, uint64(first)),
		max: binary.LittleEndian.AppendUint64(nil, uint64(last)),
	}, err
}

// natives encodes native_value: definition levels (4 bytes of length and one
// run), then the values, or no values where the channel needs none.
func (s *scratch) natives(c *Channel, points []Point) ([]byte, bounds, error) {
	defined := int32(0)
	if c.Native == NativeColumn {
		defined = 1
	}
	s.out = append(s.out[:0], 0, 0, 0, 0)
	s.out = appendRunLength(s.out, 1, len(points), defined)
	binary.LittleEndian.PutUint32(s.out, uint32(len(s.out)-4))
	if defined == 0 {
		return s.out, bounds{}, nil
	}
	s.native = s.native[:0]
	for i := range points {
		s.native = append(s.native, points[i].Value)
	}
	body, err := new(bytestreamsplit.Encoding).EncodeDouble(nil, s.native)
	s.out = append(s.out, body...)
	return s.out, valueBounds(s.native), err
}

// valueBounds leaves NaN out and gives zeros the signs that the format asks
// for (parquet.thrift, ColumnOrder).
func valueBounds(values []float64) bounds {
	low, high := math.Inf(1), math.Inf(-1)
	found := false
	for _, v := range values {
		if v == v {
			low, high, found = min(low, v), max(high, v), true
		}
	}
	if !found {
		return bounds{}
	}
	if low == 0 {
		low = math.Copysign(0, -1)
	}
	if high == 0 {
		high = 0
	}
	return bounds{min: float64Bytes(low), max: float64Bytes(high)}
}

func float64Bytes(v float64) []byte {
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
}

// widen takes a page's bounds into those of its chunk.
func widen(s *format.Statistics, column int, b bounds) {
	if b.min == nil {
		return
	}
	if s.MinValue == nil || less(column, b.min, s.MinValue) {
		s.MinValue = b.min
	}
	if s.MaxValue == nil || less(column, s.MaxValue, b.max) {
		s.MaxValue = b.max
	}
}

// less compares two bounds in the order of the column's type.
func less(column int, a, b []byte) bool {
	switch columnNames[column].physical {
	case format.Int64:
		return int64(binary.LittleEndian.Uint64(a)) < int64(binary.LittleEndian.Uint64(b))
	case format.Double:
		return math.Float64frombits(binary.LittleEndian.Uint64(a)) < math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return string(a) < string(b)
}
