package sample

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Correction says whether a channel's power or torque already carries a
// weather correction (DESIGN decision 12).
type Correction uint8

// A correction factor may be applied to CorrectionNone only.
const (
	CorrectionUnknown Correction = iota
	CorrectionNone
	CorrectionSAE
	CorrectionSTD
)

var correctionNames = [...]string{"unknown", "none", "sae", "std"}

// String gives the correction's name.
func (c Correction) String() string {
	if int(c) < len(correctionNames) {
		return correctionNames[c]
	}
	return fmt.Sprintf("correction(%d)", uint8(c))
}

// Channel describes one channel of a source. The first group of fields is
// what the source said; the second is what the resolver made of it.
type Channel struct {
	// Key identifies the channel within its source for good: it does not
	// change when a name arrives late (DESIGN decision 9). See ChannelKey.
	Key string
	// Provider is the name of the device that sends the channel, HostID its
	// JETDRIVE host id (0: none), which is random per power-up.
	Provider string
	HostID   uint16
	// ID is the channel's number within the provider.
	ID uint32
	// Label is the channel's name as the source gives it, or a provisional
	// one (chan_6).
	Label string
	// NativeUnit is the unit of Sample.Value.
	NativeUnit Unit

	// Name is the canonical name (rpm, horsepower, ...), empty where the
	// resolver does not know the channel.
	Name string
	// Unit is the canonical unit, or for an unknown channel the US unit of
	// the same quantity; it always converts from NativeUnit.
	Unit Unit
	// Corrected says whether a weather correction is contained.
	Corrected Correction
}

// ChannelKey builds the key of DESIGN decision 9 from its parts; the source is
// the batch's. Generation counts how often the provider gave the id a new
// meaning.
func ChannelKey(provider string, id, generation uint32) string {
	return fmt.Sprintf("%s/%d/%d", provider, id, generation)
}

// CompareChannelKeys orders keys as people expect to see channels: by provider,
// then by their numbers, so that the second comes before the tenth.
func CompareChannelKeys(a, b string) int {
	providerA, numberA := splitKey(a)
	providerB, numberB := splitKey(b)
	return cmp.Or(cmp.Compare(providerA, providerB), slices.Compare(numberA[:], numberB[:]), cmp.Compare(a, b))
}

// splitKey takes id and generation off a key; zeros where there are none.
func splitKey(key string) (provider string, numbers [2]uint64) {
	provider = key
	for i := len(numbers) - 1; i >= 0; i-- {
		at := strings.LastIndexByte(provider, '/')
		n, err := strconv.ParseUint(provider[at+1:], 10, 32)
		if at < 0 || err != nil {
			return key, [2]uint64{}
		}
		provider, numbers[i] = provider[:at], n
	}
	return provider, numbers
}

// Address is the channel as people see it: 0x43FD:6:Humidity, or
// provider:label where there is no host id.
func (c *Channel) Address() string {
	if c.HostID != 0 {
		return fmt.Sprintf("0x%04X:%d:%s", c.HostID, c.ID, c.Label)
	}
	if c.Provider != "" {
		return c.Provider + ":" + c.Label
	}
	return c.Label
}

// DisplayName is the canonical name, or the label where there is none.
func (c *Channel) DisplayName() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Label
}

// Conversion leads from the native to the canonical unit. It is the identity
// where the two cannot be converted.
func (c *Channel) Conversion() Conversion {
	if conv, ok := c.NativeUnit.To(c.Unit); ok {
		return conv
	}
	return identity
}

// SetID is the SHA-256 of a channel set's content.
type SetID [sha256.Size]byte

// String gives the id in hexadecimal.
func (id SetID) String() string { return hex.EncodeToString(id[:]) }

// ChannelSet is the list of channels of a source at one time, addressed by the
// hash of its content. It is immutable: a changed list is a new set.
type ChannelSet struct {
	id       SetID
	source   string
	channels []Channel
}

// NewChannelSet makes a set of the given channels, which it takes over: the
// caller no longer changes them. Text that is not UTF-8 (a name cut inside a
// character) gets a replacement character there.
func NewChannelSet(source string, channels []Channel) *ChannelSet {
	s := &ChannelSet{source: validText(source), channels: channels}
	for i := range channels {
		channels[i].makeTextValid()
	}
	s.id = sha256.Sum256(s.Encode())
	return s
}

func (c *Channel) makeTextValid() {
	c.Key = validText(c.Key)
	c.Provider = validText(c.Provider)
	c.Label = validText(c.Label)
	c.NativeUnit = Unit(validText(string(c.NativeUnit)))
	c.Name = validText(c.Name)
	c.Unit = Unit(validText(string(c.Unit)))
}

// validText replaces what is not UTF-8: Protocol Buffers allow nothing else in
// a string, and other readers would refuse the whole message.
func validText(v string) string { return strings.ToValidUTF8(v, "�") }

// ID is the hash of the content.
func (s *ChannelSet) ID() SetID { return s.id }

// Source is the name of the source.
func (s *ChannelSet) Source() string { return s.source }

// Channels gives the list, in the order of Sample.Channel. It is shared: do
// not change it.
func (s *ChannelSet) Channels() []Channel { return s.channels }

// Len is the number of channels.
func (s *ChannelSet) Len() int { return len(s.channels) }
