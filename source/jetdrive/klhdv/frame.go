// Package klhdv is the codec of JETDRIVE messages: key, length, host,
// sequence, destination, value, little-endian, one message per datagram
// (PROTOCOLS 1.1, after the JETDRIVE Network Specification rev 2.1.1).
//
// It is forgiving in what it reads and cannot express most of what stops a
// vendor's node; CheckOutgoing refuses the rest (PROTOCOLS 1.3).
package klhdv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Key is the type of a message.
type Key uint8

// The twelve messages (PROTOCOLS 1.1).
const (
	KeyChannelInfo         Key = 0x01
	KeyChannelValues       Key = 0x02
	KeyClearChannelInfo    Key = 0x03
	KeyPing                Key = 0x04
	KeyPong                Key = 0x05
	KeyRequestChannelInfo  Key = 0x06
	KeyRequestLogging      Key = 0x10
	KeyRequestLoadControl  Key = 0x11
	KeyRequestBrake        Key = 0x12
	KeyLoggingResponse     Key = 0x20
	KeyLoadControlResponse Key = 0x21
	KeyBrakeResponse       Key = 0x22
)

// String gives the message's name.
func (k Key) String() string {
	switch k {
	case KeyChannelInfo:
		return "ChannelInfo"
	case KeyChannelValues:
		return "ChannelValues"
	case KeyClearChannelInfo:
		return "ClearChannelInfo"
	case KeyPing:
		return "Ping"
	case KeyPong:
		return "Pong"
	case KeyRequestChannelInfo:
		return "RequestChannelInfo"
	case KeyRequestLogging:
		return "RequestLogging"
	case KeyRequestLoadControl:
		return "RequestLoadControl"
	case KeyRequestBrake:
		return "RequestBrake"
	case KeyLoggingResponse:
		return "RequestLoggingResponse"
	case KeyLoadControlResponse:
		return "RequestLoadControlResponse"
	case KeyBrakeResponse:
		return "RequestBrakeResponse"
	}
	return fmt.Sprintf("Key(0x%02X)", uint8(k))
}

const (
	// AllHosts as a destination is every host; as a source it is illegal.
	AllHosts uint16 = 0xFFFF
	// Unclaimed is the source of a host that has no id yet.
	Unclaimed uint16 = 0
	// HeaderLen is what stands before the value, in bytes.
	HeaderLen = 8
	// MaxDatagram is the most a UDP datagram carries over IPv4, in bytes.
	MaxDatagram = 65507
	// MaxValue is the longest value that fits a datagram, in bytes.
	MaxValue = MaxDatagram - HeaderLen
	// Version is the protocol version that dynotap speaks.
	Version = 1
	// BreakingVersion is the first version that ends the conversation with
	// the host that announced it (PROTOCOLS 1.2).
	BreakingVersion = 10
)

// Errors of frames and values; what is returned wraps them with the place.
var (
	// ErrShort: the datagram does not hold a header.
	ErrShort = errors.New("datagram shorter than a header")
	// ErrTruncated: the datagram ends before the value does.
	ErrTruncated = errors.New("datagram ends inside its value")
	// ErrValue: the value is shorter than its kind of message needs.
	ErrValue = errors.New("value too short")
	// ErrTooLong: the message does not fit a datagram.
	ErrTooLong = errors.New("message longer than a datagram")
)

// Header is a frame without length and value.
type Header struct {
	Key  Key
	Host uint16 // the sender's id, Unclaimed, or (illegal) AllHosts
	Seq  uint8  // per sender, +1 per message, wraps
	Dest uint16 // the receiver's id or AllHosts
}

// Frame is one message. Value is part of the datagram it was parsed from.
type Frame struct {
	Header
	Value []byte
}

// Parse reads one datagram. Bytes after the value are ignored. The error is
// ErrShort or ErrTruncated. The header is filled in with ErrTruncated too.
func Parse(datagram []byte) (Frame, error) {
	if len(datagram) < HeaderLen {
		return Frame{}, ErrShort
	}
	f := Frame{Header: Header{
		Key:  Key(datagram[0]),
		Host: binary.LittleEndian.Uint16(datagram[3:]),
		Seq:  datagram[5],
		Dest: binary.LittleEndian.Uint16(datagram[6:]),
	}}
	end := HeaderLen + int(binary.LittleEndian.Uint16(datagram[1:]))
	if len(datagram) < end {
		return f, ErrTruncated
	}
	f.Value = datagram[HeaderLen:end:end]
	return f, nil
}

// AppendFrame appends the message to dst and returns the longer slice. The
// error is ErrTooLong, and dst is then returned as it was.
func AppendFrame(dst []byte, h Header, value []byte) ([]byte, error) {
	if len(value) > MaxValue {
		return dst, fmt.Errorf("%s of %d bytes: %w", h.Key, len(value), ErrTooLong)
	}
	dst = append(dst, byte(h.Key))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(value)))
	dst = binary.LittleEndian.AppendUint16(dst, h.Host)
	dst = append(dst, h.Seq)
	dst = binary.LittleEndian.AppendUint16(dst, h.Dest)
	return append(dst, value...), nil
}

// need checks that a value holds the fixed part of its message.
func need(key Key, value []byte, length int) error {
	if len(value) < length {
		return fmt.Errorf("%s of %d bytes, at least %d: %w", key, len(value), length, ErrValue)
	}
	return nil
}
