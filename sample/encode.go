package sample

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrEncoding is wrapped by every error about bytes that are not an encoded
// batch or channel set.
var ErrEncoding = errors.New("not a valid encoding")

// Field numbers of batch.proto.
const (
	fieldID         = 1
	fieldSource     = 2
	fieldCapture    = 3
	fieldChannelSet = 4
	fieldPriority   = 5
	fieldReceived   = 6
	fieldClock      = 7
	fieldStart      = 8
	fieldChannel    = 9
	fieldStep       = 10
	fieldValue      = 11
	fieldValue32    = 12
	fieldQuality    = 13
)

// AppendBatch appends b's encoding to dst and returns the longer slice. It
// keeps nothing of b.
func AppendBatch(dst []byte, b *Batch) []byte {
	dst = appendBytes(dst, fieldID, b.ID[:])
	dst = appendString(dst, fieldSource, b.Source)
	dst = appendString(dst, fieldCapture, b.Capture)
	if b.Set != nil {
		dst = appendBytes(dst, fieldChannelSet, b.Set.id[:])
	}
	dst = appendVarint(dst, fieldPriority, uint64(b.Priority))
	dst = appendVarint(dst, fieldReceived, uint64(b.Received))
	dst = appendVarint(dst, fieldClock, uint64(b.Clock))
	if len(b.Samples) == 0 {
		return dst
	}
	dst = appendVarint(dst, fieldStart, uint64(b.Samples[0].Time))
	return appendColumns(dst, b.Samples)
}

// appendColumns writes the samples' columns, leaving out what is uniform.
func appendColumns(dst []byte, samples []Sample) []byte {
	steps, qualities, narrow := false, false, true
	channelBytes := 0
	for i := range samples {
		s := &samples[i]
		channelBytes += protowire.SizeVarint(uint64(s.Channel))
		steps = steps || s.Time != samples[0].Time
		qualities = qualities || s.Quality != Good
		narrow = narrow && exactInFloat32(s.Value)
	}
	dst = slices.Grow(dst, len(samples)*12+32)
	dst = appendLength(dst, fieldChannel, channelBytes)
	for i := range samples {
		dst = protowire.AppendVarint(dst, uint64(samples[i].Channel))
	}
	if steps {
		dst = appendSteps(dst, samples)
	}
	if narrow {
		dst = appendLength(dst, fieldValue32, 4*len(samples))
		for i := range samples {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(samples[i].Value)))
		}
	} else {
		dst = appendLength(dst, fieldValue, 8*len(samples))
		for i := range samples {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(samples[i].Value))
		}
	}
	if qualities {
		dst = appendLength(dst, fieldQuality, len(samples))
		for i := range samples {
			dst = append(dst, byte(samples[i].Quality))
		}
	}
	return dst
}

func appendSteps(dst []byte, samples []Sample) []byte {
	size, last := 0, samples[0].Time
	for i := range samples {
		size += protowire.SizeVarint(protowire.EncodeZigZag(samples[i].Time - last))
		last = samples[i].Time
	}
	dst = appendLength(dst, fieldStep, size)
	last = samples[0].Time
	for i := range samples {
		dst = protowire.AppendVarint(dst, protowire.EncodeZigZag(samples[i].Time-last))
		last = samples[i].Time
	}
	return dst
}

// exactInFloat32 reports whether v survives the narrow column bit for bit; a
// NaN does if its payload fits.
func exactInFloat32(v float64) bool {
	return math.Float64bits(float64(float32(v))) == math.Float64bits(v)
}

// columns is a batch's encoded columns before they are put together.
type columns struct {
	start                                  int64
	channel, step, value, value32, quality []byte
}

// at gives the place of a column's bytes, nil for a field that is no column.
func (c *columns) at(num protowire.Number) *[]byte {
	switch num {
	case fieldChannel:
		return &c.channel
	case fieldStep:
		return &c.step
	case fieldValue:
		return &c.value
	case fieldValue32:
		return &c.value32
	case fieldQuality:
		return &c.quality
	}
	return nil
}

// DecodeBatch reads what AppendBatch wrote into b, reusing b.Samples. It asks
// lookup for the channel set and checks every channel index against it. The
// result holds no reference to data. Errors wrap ErrEncoding, or are lookup's.
func DecodeBatch(data []byte, lookup func(SetID) (*ChannelSet, error), b *Batch) error {
	*b = Batch{Samples: b.Samples[:0]}
	var cols columns
	var setID []byte
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%w: batch tag: %w", ErrEncoding, protowire.ParseError(n))
		}
		data = data[n:]
		if typ != protowire.BytesType && cols.at(num) != nil {
			return fmt.Errorf("batch field %d: %w: column is not packed", num, ErrEncoding)
		}
		var err error
		switch typ {
		case protowire.VarintType:
			data, err = batchNumber(data, num, b, &cols)
		case protowire.BytesType:
			data, err = batchField(data, num, b, &cols, &setID)
		default:
			data, err = skip(data, num, typ)
		}
		if err != nil {
			return fmt.Errorf("batch field %d: %w", num, err)
		}
	}
	if len(setID) != len(SetID{}) {
		return fmt.Errorf("%w: channel set id has %d bytes", ErrEncoding, len(setID))
	}
	set, err := lookup(SetID(setID))
	if err != nil {
		return err
	}
	b.Set = set
	return cols.decode(b)
}

func batchNumber(data []byte, num protowire.Number, b *Batch, cols *columns) ([]byte, error) {
	v, n := protowire.ConsumeVarint(data)
	if n < 0 {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, protowire.ParseError(n))
	}
	switch num {
	case fieldPriority:
		if v >= uint64(Priorities) {
			return nil, fmt.Errorf("%w: priority %d", ErrEncoding, v)
		}
		b.Priority = Priority(v)
	case fieldReceived:
		b.Received = int64(v)
	case fieldClock:
		if v >= uint64(len(clockNames)) {
			return nil, fmt.Errorf("%w: clock %d", ErrEncoding, v)
		}
		b.Clock = Clock(v)
	case fieldStart:
		cols.start = int64(v)
	}
	return data[n:], nil
}

func batchField(data []byte, num protowire.Number, b *Batch, cols *columns, setID *[]byte) ([]byte, error) {
	v, n := protowire.ConsumeBytes(data)
	if n < 0 {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, protowire.ParseError(n))
	}
	if column := cols.at(num); column != nil {
		if *column != nil {
			return nil, fmt.Errorf("%w: column given twice", ErrEncoding)
		}
		*column = v
		return data[n:], nil
	}
	switch num {
	case fieldID:
		if len(v) != len(b.ID) {
			return nil, fmt.Errorf("%w: batch id has %d bytes", ErrEncoding, len(v))
		}
		b.ID = BatchID(v)
	case fieldSource, fieldCapture:
		if !utf8.Valid(v) {
			return nil, fmt.Errorf("%w: text is not UTF-8", ErrEncoding)
		}
		if num == fieldSource {
			b.Source = string(v)
		} else {
			b.Capture = string(v)
		}
	case fieldChannelSet:
		*setID = v
	}
	return data[n:], nil
}

// decode puts the columns together into b.Samples.
func (c *columns) decode(b *Batch) error {
	var count int
	switch {
	case len(c.value32) > 0 && len(c.value) == 0:
		count = len(c.value32) / 4
		if len(c.value32)%4 != 0 {
			return fmt.Errorf("%w: value column of %d bytes", ErrEncoding, len(c.value32))
		}
	case len(c.value32) == 0:
		count = len(c.value) / 8
		if len(c.value)%8 != 0 {
			return fmt.Errorf("%w: value column of %d bytes", ErrEncoding, len(c.value))
		}
	default:
		return fmt.Errorf("%w: two value columns", ErrEncoding)
	}
	// One byte a channel index at least: the count is bounded by the input.
	if count > len(c.channel) || (len(c.quality) > 0 && len(c.quality) != count) || len(c.step) > 0 && len(c.step) < count {
		return fmt.Errorf("%w: columns differ in length", ErrEncoding)
	}
	b.Samples = slices.Grow(b.Samples, count)[:count]
	channels, steps, at := c.channel, c.step, c.start
	for i := range b.Samples {
		s := &b.Samples[i]
		ch, n := protowire.ConsumeVarint(channels)
		if n < 0 || ch >= uint64(len(b.Set.channels)) {
			return fmt.Errorf("%w: sample %d has channel %d of %d", ErrEncoding, i, ch, len(b.Set.channels))
		}
		channels = channels[n:]
		if len(c.step) > 0 {
			d, n := protowire.ConsumeVarint(steps)
			if n < 0 {
				return fmt.Errorf("%w: time of sample %d", ErrEncoding, i)
			}
			steps = steps[n:]
			at += protowire.DecodeZigZag(d)
		}
		*s = Sample{Time: at, Channel: uint32(ch)}
	}
	if len(channels) > 0 || len(steps) > 0 {
		return fmt.Errorf("%w: columns differ in length", ErrEncoding)
	}
	return c.fill(b.Samples)
}

func (c *columns) fill(samples []Sample) error {
	for i := range samples {
		if len(c.value32) > 0 {
			samples[i].Value = float64(math.Float32frombits(binary.LittleEndian.Uint32(c.value32[4*i:])))
		} else {
			samples[i].Value = math.Float64frombits(binary.LittleEndian.Uint64(c.value[8*i:]))
		}
		if len(c.quality) > 0 {
			q := Quality(c.quality[i])
			if q > Bad {
				return fmt.Errorf("%w: quality %d", ErrEncoding, q)
			}
			samples[i].Quality = q
		}
	}
	return nil
}

// Encode gives the set's content; the same content gives the same bytes.
func (s *ChannelSet) Encode() []byte {
	out := appendString(nil, 1, s.source)
	var one []byte
	for i := range s.channels {
		c := &s.channels[i]
		one = appendString(one[:0], 1, c.Key)
		one = appendString(one, 2, c.Provider)
		one = appendVarint(one, 3, uint64(c.HostID))
		one = appendVarint(one, 4, uint64(c.ID))
		one = appendString(one, 5, c.Label)
		one = appendString(one, 6, string(c.NativeUnit))
		one = appendString(one, 7, c.Name)
		one = appendString(one, 8, string(c.Unit))
		one = appendVarint(one, 9, uint64(c.Corrected))
		out = appendBytes(out, 2, one)
	}
	return out
}

// DecodeChannelSet reads what Encode wrote. Errors wrap ErrEncoding.
func DecodeChannelSet(data []byte) (*ChannelSet, error) {
	var source string
	var channels []Channel
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, fmt.Errorf("%w: channel set: %w", ErrEncoding, protowire.ParseError(n))
		}
		data = data[n:]
		if typ != protowire.BytesType || num > 2 {
			var err error
			if data, err = skip(data, num, typ); err != nil {
				return nil, err
			}
			continue
		}
		v, n := protowire.ConsumeBytes(data)
		if n < 0 {
			return nil, fmt.Errorf("%w: channel set: %w", ErrEncoding, protowire.ParseError(n))
		}
		data = data[n:]
		if num == 1 {
			if !utf8.Valid(v) {
				return nil, fmt.Errorf("%w: channel set's source is not UTF-8", ErrEncoding)
			}
			source = string(v)
			continue
		}
		c, err := decodeChannel(v)
		if err != nil {
			return nil, fmt.Errorf("channel %d: %w", len(channels), err)
		}
		channels = append(channels, c)
	}
	return NewChannelSet(source, channels), nil
}

func decodeChannel(data []byte) (Channel, error) {
	var c Channel
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return c, fmt.Errorf("%w: %w", ErrEncoding, protowire.ParseError(n))
		}
		data = data[n:]
		switch typ {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(data)
			if n < 0 || v > math.MaxUint32 {
				return c, fmt.Errorf("%w: field %d", ErrEncoding, num)
			}
			data = data[n:]
			if err := c.setNumber(num, uint32(v)); err != nil {
				return c, err
			}
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return c, fmt.Errorf("%w: field %d: %w", ErrEncoding, num, protowire.ParseError(n))
			}
			if !utf8.Valid(v) {
				return c, fmt.Errorf("%w: field %d is not UTF-8", ErrEncoding, num)
			}
			data = data[n:]
			c.setText(num, string(v))
		default:
			var err error
			if data, err = skip(data, num, typ); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

func (c *Channel) setNumber(num protowire.Number, v uint32) error {
	switch num {
	case 3:
		if v > math.MaxUint16 {
			return fmt.Errorf("%w: host id %d", ErrEncoding, v)
		}
		c.HostID = uint16(v)
	case 4:
		c.ID = v
	case 9:
		if v >= uint32(len(correctionNames)) {
			return fmt.Errorf("%w: correction %d", ErrEncoding, v)
		}
		c.Corrected = Correction(v)
	}
	return nil
}

func (c *Channel) setText(num protowire.Number, v string) {
	switch num {
	case 1:
		c.Key = v
	case 2:
		c.Provider = v
	case 5:
		c.Label = v
	case 6:
		c.NativeUnit = Unit(v)
	case 7:
		c.Name = v
	case 8:
		c.Unit = Unit(v)
	}
}

func skip(data []byte, num protowire.Number, typ protowire.Type) ([]byte, error) {
	n := protowire.ConsumeFieldValue(num, typ, data)
	if n < 0 {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, protowire.ParseError(n))
	}
	return data[n:], nil
}

func appendVarint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func appendString(dst []byte, num protowire.Number, v string) []byte {
	if v == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), validText(v))
}

func appendBytes(dst []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

func appendLength(dst []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.BytesType), uint64(n))
}
