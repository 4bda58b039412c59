package klhdv

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"dynotap/sample"

	"pgregory.net/rapid"
)

func record(id byte, name string, unit byte) []byte {
	out := []byte{id, 0, 5}
	out = append(out, pad(name, nameLen)...)
	return append(out, unit)
}

func TestDecodeChannelInfo(t *testing.T) {
	t.Parallel()
	provider := pad("Dyno", providerLen)
	two := slices.Concat(provider, record(1, "Engine RPM", 8), record(2, "Power", 4))
	channels := []Channel{{1, 5, "Engine RPM", 8}, {2, 5, "Power", 4}}
	for _, tc := range []struct {
		name  string
		value []byte
		want  ChannelInfo
		rest  int
		err   error
	}{
		{"nothing", nil, ChannelInfo{}, 0, ErrValue},
		{"49 bytes", provider[:49], ChannelInfo{}, 0, ErrValue},
		{"name alone", provider, ChannelInfo{Provider: "Dyno"}, 0, nil},
		{"two channels", two, ChannelInfo{"Dyno", channels}, 0, nil},
		{"a partial record", two[:len(two)-1], ChannelInfo{"Dyno", channels[:1]}, 33, nil},
		{"a partial record alone", append(slices.Clone(provider), 1), ChannelInfo{Provider: "Dyno"}, 1, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, rest, err := DecodeChannelInfo(tc.value)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if got.Provider != tc.want.Provider || !slices.Equal(got.Channels, tc.want.Channels) || rest != tc.rest {
				t.Errorf("%+v rest %d, want %+v rest %d", got, rest, tc.want, tc.rest)
			}
		})
	}
}

func TestNamesAreSanitised(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, field, want string }{
		{"plain", "Engine RPM", "Engine RPM"},
		{"fills its field", "Idle Air Control Motor Positio", "Idle Air Control Motor Positio"},
		{"rest after the NUL", "MAP\x00garbage", "MAP"},
		{"empty", "", ""},
		{"two bytes of a rune", "Temperature \xc2\xb0C", "Temperature °C"},
		{"cut in a rune of two", "Temperature \xc2", "Temperature"},
		{"cut in a rune of three", "Lambda \xe2\x82", "Lambda"},
		{"cut in a rune of four", "Bike \xf0\x9f\x8f", "Bike"},
		{"Latin-1 degree", "Temp \xb0C", "Temp ?C"},
		{"only invalid bytes", "\xff\xff\xff", "?"},
		{"surrogate half", "a\xed\xa0\x80b", "a?b"},
		{"control characters", "a\tb\x1b[31mc\x7f", "a b [31mc"},
		{"direction override", "a\u202eb", "a b"},
		{"line separator", "a\u2028b", "a b"},
		{"spaces around", "  rpm ", "rpm"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			info, _, err := DecodeChannelInfo(append(pad("p", providerLen), record(1, tc.field, 0)...))
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Channels[0].Name; got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestNamesAreCutOnARuneBoundary(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, give, want string }{
		{"29 bytes stay", strings.Repeat("a", 29), strings.Repeat("a", 29)},
		{"30 bytes lose one", strings.Repeat("a", 30), strings.Repeat("a", 29)},
		{"a rune at the cut", strings.Repeat("a", 28) + "°", strings.Repeat("a", 28)},
		{"a rune before the cut", strings.Repeat("a", 27) + "°C", strings.Repeat("a", 27) + "°"},
		{"a NUL inside", "a\x00b", "a b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value := EncodeChannelInfo(nil, ChannelInfo{Provider: strings.Repeat("é", 40), Channels: []Channel{{Name: tc.give}}})
			if len(value) != providerLen+channelLen {
				t.Fatalf("%d bytes", len(value))
			}
			info, _, err := DecodeChannelInfo(value)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Channels[0].Name; got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if info.Provider != strings.Repeat("é", 24) {
				t.Errorf("provider %q", info.Provider)
			}
		})
	}
}

func TestUnitsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	want := []string{"s", "m", "km/h", "N", "kW", "N·m", "°C", "kPa", "rpm", "rpm/(km/h)", "(km/h)/s", "AFR", "kg/h", "lambda", "V", "A", "%"}
	for code := range 256 {
		unit := Unit(uint8(code))
		if code >= len(want) {
			if unit != sample.NoUnit {
				t.Errorf("code %d is %q", code, unit)
			}
			continue
		}
		if string(unit) != want[code] {
			t.Errorf("code %d is %q, want %q", code, unit, want[code])
		}
		if back, ok := UnitCode(unit); !ok || int(back) != code {
			t.Errorf("%q has code %d", unit, back)
		}
	}
	if code, ok := UnitCode(sample.NoUnit); !ok || code != UnitNone {
		t.Errorf("no unit has code %d, %v", code, ok)
	}
	if code, ok := UnitCode(sample.Horsepower); ok || code != UnitNone {
		t.Errorf("hp has code %d: the units are metric", code)
	}
}

func TestChannelInfoSurvivesTheWire(t *testing.T) {
	t.Parallel()
	channel := rapid.Custom(func(t *rapid.T) Channel {
		return Channel{
			rapid.Uint16().Draw(t, "id"), rapid.Uint8().Draw(t, "vendor"),
			rapid.String().Draw(t, "name"), rapid.Uint8().Draw(t, "unit"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		give := ChannelInfo{rapid.String().Draw(t, "provider"), rapid.SliceOfN(channel, 0, 5).Draw(t, "channels")}
		first := EncodeChannelInfo(nil, give)
		datagram, err := AppendFrame(nil, Header{Key: KeyChannelInfo, Host: 1}, first)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckOutgoing(datagram); err != nil {
			t.Fatalf("cannot be sent: %v", err)
		}
		got, rest, err := DecodeChannelInfo(first)
		if err != nil || rest != 0 || len(got.Channels) != len(give.Channels) {
			t.Fatalf("%+v rest %d, %v", got, rest, err)
		}
		for i, c := range got.Channels {
			want := give.Channels[i]
			if c.ID != want.ID || c.Vendor != want.Vendor || c.Unit != want.Unit || !strings.HasPrefix(SanitiseName(want.Name), c.Name) {
				t.Fatalf("channel %+v, want %+v", c, want)
			}
		}
		if second := EncodeChannelInfo(nil, got); !bytes.Equal(first, second) {
			t.Fatalf("encoded again\n%x, first\n%x", second, first)
		}
	})
}

func checkName(tb testing.TB, name string, most int) {
	tb.Helper()
	if !utf8.ValidString(name) || len(name) > most {
		tb.Errorf("name %q of %d bytes", name, len(name))
	}
	for _, r := range name {
		if !unicode.IsGraphic(r) {
			tb.Errorf("name %q holds %U", name, r)
		}
	}
	if again := SanitiseName(name); again != name {
		tb.Errorf("%q becomes %q when sanitised again", name, again)
	}
}
