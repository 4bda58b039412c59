package klhdv

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"dynotap/sample"
)

const (
	providerLen = 50 // the provider's name
	channelLen  = 34 // one channel record
	nameLen     = 30 // a channel's name within its record
)

// ChannelInfo is one message of a provider's channel list. A list that exceeds
// the MTU comes in several messages, which add up (PROTOCOLS 1.1).
type ChannelInfo struct {
	Provider string
	Channels []Channel
}

// Channel is one record of ChannelInfo. Names from the network are sanitised:
// valid UTF-8, graphic characters and spaces only.
type Channel struct {
	ID     uint16 // unique within the provider only
	Vendor uint8
	Name   string
	Unit   uint8 // see Unit
}

// DecodeChannelInfo reads the value of a ChannelInfo message. rest is the
// number of bytes of a trailing partial record. The error wraps ErrValue.
func DecodeChannelInfo(value []byte) (info ChannelInfo, rest int, err error) {
	if err := need(KeyChannelInfo, value, providerLen); err != nil {
		return ChannelInfo{}, 0, err
	}
	info.Provider = decodeName(value[:providerLen])
	value = value[providerLen:]
	if n := len(value) / channelLen; n > 0 {
		info.Channels = make([]Channel, 0, n)
	}
	for ; len(value) >= channelLen; value = value[channelLen:] {
		info.Channels = append(info.Channels, Channel{
			ID:     binary.LittleEndian.Uint16(value),
			Vendor: value[2],
			Name:   decodeName(value[3 : 3+nameLen]),
			Unit:   value[3+nameLen],
		})
	}
	return info, len(value), nil
}

// EncodeChannelInfo appends the value of a ChannelInfo message to dst. Names
// are cut at 49 and 29 bytes on a rune boundary, so that a NUL always ends
// them. At most MaxChannels of the network's MTU belong in one message; a
// provider without channels sends its name alone.
func EncodeChannelInfo(dst []byte, info ChannelInfo) []byte {
	dst = appendName(dst, info.Provider, providerLen)
	for _, c := range info.Channels {
		dst = binary.LittleEndian.AppendUint16(dst, c.ID)
		dst = append(dst, c.Vendor)
		dst = appendName(dst, c.Name, nameLen)
		dst = append(dst, c.Unit)
	}
	return dst
}

// decodeName reads a NUL-padded field.
func decodeName(field []byte) string {
	if end := bytes.IndexByte(field, 0); end >= 0 {
		field = field[:end]
	}
	return SanitiseName(string(field))
}

// SanitiseName makes a name fit to be shown: a rune that was cut at the end is
// removed, other invalid UTF-8 becomes '?', what is not graphic a space, and
// spaces around the name go. The result is never longer.
func SanitiseName(name string) string {
	name = withoutCutRune(name)
	name = strings.ToValidUTF8(name, "?")
	name = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, name)
	return strings.TrimSpace(name)
}

// withoutCutRune removes the beginning of a rune at the end of s (PROTOCOLS
// 1.2: names are cut in the middle of a rune).
func withoutCutRune(s string) string {
	for i := len(s) - 1; i >= 0 && i >= len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) {
				return s[:i]
			}
			break
		}
	}
	return s
}

// appendName writes a NUL-padded, NUL-terminated field of the given length.
func appendName(dst []byte, name string, length int) []byte {
	name = SanitiseName(name)
	if len(name) > length-1 {
		name = strings.TrimSpace(withoutCutRune(name[:length-1]))
	}
	dst = append(dst, name...)
	for range length - len(name) {
		dst = append(dst, 0)
	}
	return dst
}

// Codes of units that mean no unit (PROTOCOLS 1.1).
const (
	UnitExtended uint8 = 254 // reserved
	UnitNone     uint8 = 255
)

// unitNames is the table of PROTOCOLS 1.1, by code. The units are metric.
var unitNames = [...]sample.Unit{
	sample.Second, sample.Metre, sample.KilometrePerHour, sample.Newton, sample.Kilowatt, sample.NewtonMetre,
	sample.Celsius, sample.Kilopascal, sample.RPM, sample.RPMPerKilometreHour, sample.KilometreHourSecond,
	sample.AFR, sample.KilogramPerHour, sample.Lambda, sample.Volt, sample.Ampere, sample.Percent,
}

// Unit is the unit of a code: sample.NoUnit for UnitNone, UnitExtended and
// codes that the specification does not know.
func Unit(code uint8) sample.Unit {
	if int(code) < len(unitNames) {
		return unitNames[code]
	}
	return sample.NoUnit
}

// UnitCode is the code of a unit, UnitNone for sample.NoUnit. ok is false, and
// the code UnitNone, where JETDRIVE has no such unit.
func UnitCode(u sample.Unit) (code uint8, ok bool) {
	for i, known := range unitNames {
		if u == known {
			return uint8(i), true
		}
	}
	return UnitNone, u == sample.NoUnit
}
