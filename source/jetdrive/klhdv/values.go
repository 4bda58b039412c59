package klhdv

import (
	"encoding/binary"
	"math"
	"slices"
)

// ValueLen is one record of ChannelValues in bytes.
const ValueLen = 10

// overhead is what IP and UDP add to a datagram (PROTOCOLS 1.3).
const overhead = 28

// Value is one record of ChannelValues.
type Value struct {
	Channel uint16  // unique within the provider only
	Stamp   uint32  // ms of the provider's clock, wraps after 49.7 days
	Value   float32 // in the channel's unit; may be NaN or infinite
}

// AppendValues appends the records of a ChannelValues value to dst and returns
// the longer slice and the number of bytes of a trailing partial record. It
// does not allocate where dst has room.
func AppendValues(dst []Value, value []byte) (values []Value, rest int) {
	n := len(value) / ValueLen
	rest = len(value) - n*ValueLen
	dst = slices.Grow(dst, n)
	out := dst[len(dst) : len(dst)+n]
	// Four records a turn: one check of the bounds for all of them.
	for len(out) >= 4 {
		records := (*[4 * ValueLen]byte)(value)
		four := (*[4]Value)(out)
		four[0] = decodeValue((*[ValueLen]byte)(records[0*ValueLen:]))
		four[1] = decodeValue((*[ValueLen]byte)(records[1*ValueLen:]))
		four[2] = decodeValue((*[ValueLen]byte)(records[2*ValueLen:]))
		four[3] = decodeValue((*[ValueLen]byte)(records[3*ValueLen:]))
		value, out = value[4*ValueLen:], out[4:]
	}
	for i := range out {
		out[i] = decodeValue((*[ValueLen]byte)(value))
		value = value[ValueLen:]
	}
	return dst[:len(dst)+n], rest
}

func decodeValue(record *[ValueLen]byte) Value {
	return Value{
		Channel: binary.LittleEndian.Uint16(record[:]),
		Stamp:   binary.LittleEndian.Uint32(record[2:]),
		Value:   math.Float32frombits(binary.LittleEndian.Uint32(record[6:])),
	}
}

// EncodeValues appends the value of a ChannelValues message to dst. At most
// MaxValues of the network's MTU belong in one message.
func EncodeValues(dst []byte, values []Value) []byte {
	dst = slices.Grow(dst, len(values)*ValueLen)
	out := dst[len(dst) : len(dst)+len(values)*ValueLen]
	for _, v := range values {
		record := (*[ValueLen]byte)(out)
		binary.LittleEndian.PutUint16(record[:], v.Channel)
		binary.LittleEndian.PutUint32(record[2:], v.Stamp)
		binary.LittleEndian.PutUint32(record[6:], math.Float32bits(v.Value))
		out = out[ValueLen:]
	}
	return dst[:len(dst)+len(values)*ValueLen]
}

// MaxValues is how many values fit one message at the given MTU in bytes (IP
// and UDP headers included), at least 1.
func MaxValues(mtu int) int { return fit(mtu, 0, ValueLen) }

// MaxChannels is how many channels fit one ChannelInfo at the given MTU in
// bytes (IP and UDP headers included), at least 1.
func MaxChannels(mtu int) int { return fit(mtu, providerLen, channelLen) }

func fit(mtu, fixed, record int) int {
	room := min(mtu-overhead, MaxDatagram) - HeaderLen - fixed
	return max(1, room/record)
}
