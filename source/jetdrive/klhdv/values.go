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
	for i := range out {
		// One check of the bounds for both loads.
		record := (*[ValueLen]byte)(value)
		head := binary.LittleEndian.Uint64(record[:8])
		out[i] = Value{
			Channel: uint16(head),
			Stamp:   uint32(head >> 16),
			Value:   math.Float32frombits(binary.LittleEndian.Uint32(record[6:])),
		}
		value = value[ValueLen:]
	}
	return dst[:len(dst)+n], rest
}

// EncodeValues appends the value of a ChannelValues message to dst. At most
// MaxValues of the network's MTU belong in one message.
func EncodeValues(dst []byte, values []Value) []byte {
	dst = slices.Grow(dst, len(values)*ValueLen)
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint16(dst, v.Channel)
		dst = binary.LittleEndian.AppendUint32(dst, v.Stamp)
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v.Value))
	}
	return dst
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
