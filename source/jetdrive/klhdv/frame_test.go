package klhdv

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func pad(text string, length int) []byte {
	return append([]byte(text), make([]byte, length-len(text))...)
}

// golden is each of the twelve messages as bytes, written down from PROTOCOLS
// 1.1 by hand.
func golden(tb testing.TB) map[string]struct {
	header Header
	value  []byte
	bytes  []byte
} {
	tb.Helper()
	type message = struct {
		header Header
		value  []byte
		bytes  []byte
	}
	to := func(key Key, dest uint16) Header { return Header{Key: key, Host: 0x43FD, Seq: 0xFE, Dest: dest} }
	info := append(unhex(tb, "01 5400 FD43 FE FFFF"), pad("DWRT CPU", 50)...)
	info = append(info, unhex(tb, "0600 00")...)
	info = append(info, pad("Humidity", 30)...)
	info = append(info, 16)
	ping := Ping{Version: 1, HostTS: 0x04030201, Echo: []byte{0xAA}}
	return map[string]message{
		"ChannelInfo": {to(KeyChannelInfo, AllHosts), EncodeChannelInfo(nil, ChannelInfo{
			Provider: "DWRT CPU", Channels: []Channel{{ID: 6, Name: "Humidity", Unit: 16}},
		}), info},
		"ChannelValues": {to(KeyChannelValues, AllHosts), EncodeValues(nil, []Value{{0x0102, 0x03040506, 1.5}, {3, 4, -2}}),
			unhex(tb, "02 1400 FD43 FE FFFF  0201 06050403 0000C03F  0300 04000000 000000C0")},
		"ClearChannelInfo":   {to(KeyClearChannelInfo, AllHosts), nil, unhex(tb, "03 0000 FD43 FE FFFF")},
		"Ping":               {to(KeyPing, AllHosts), EncodePing(nil, 0x04030201), unhex(tb, "04 0500 FD43 FE FFFF 01 01020304")},
		"Pong":               {to(KeyPong, 0x1234), EncodePong(nil, ping, 0x08070605), unhex(tb, "05 0A00 FD43 FE 3412 01 01020304 05060708 AA")},
		"RequestChannelInfo": {to(KeyRequestChannelInfo, AllHosts), nil, unhex(tb, "06 0000 FD43 FE FFFF")},
		"RequestLogging": {to(KeyRequestLogging, 0x1234), EncodeLoggingRequest(nil, LoggingRequest{LoggingQuery}),
			unhex(tb, "10 0100 FD43 FE 3412 03")},
		"RequestLoggingResponse": {to(KeyLoggingResponse, AllHosts), EncodeLoggingResponse(nil, LoggingResponse{LoggingStarted, 0x04030201}),
			unhex(tb, "20 0700 FD43 FE FFFF 01 0000 01020304")},
		"RequestLoadControl": {to(KeyRequestLoadControl, 0x1234), EncodeLoadControl(nil, LoadControl{1, LoadTorque, 1.5}),
			unhex(tb, "11 0600 FD43 FE 3412 01 04 0000C03F")},
		"RequestLoadControlResponse": {to(KeyLoadControlResponse, 0x1234), EncodeLoadControl(nil, LoadControl{NotEquipped, LoadRPM, 0}),
			unhex(tb, "21 0600 FD43 FE 3412 02 00 00000000")},
		"RequestBrake":         {to(KeyRequestBrake, 0x1234), EncodeBrake(nil, Brake{1}), unhex(tb, "12 0100 FD43 FE 3412 01")},
		"RequestBrakeResponse": {to(KeyBrakeResponse, 0x1234), EncodeBrake(nil, Brake{NotEquipped}), unhex(tb, "22 0100 FD43 FE 3412 02")},
	}
}

func TestGoldenMessages(t *testing.T) {
	t.Parallel()
	for name, m := range golden(t) {
		t.Run(name, func(t *testing.T) {
			if got := m.header.Key.String(); got != name {
				t.Errorf("key is called %s", got)
			}
			got, err := AppendFrame([]byte("before"), m.header, m.value)
			if err != nil {
				t.Fatal(err)
			}
			if want := append([]byte("before"), m.bytes...); !bytes.Equal(got, want) {
				t.Errorf("encoded\n%x, want\n%x", got, want)
			}
			f, err := Parse(m.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if f.Header != m.header || !bytes.Equal(f.Value, m.value) {
				t.Errorf("parsed %+v %x, want %+v %x", f.Header, f.Value, m.header, m.value)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, datagram, value string
		err                   error
	}{
		{"empty", "", "", ErrShort},
		{"seven bytes", "02 0000 0100 00 FF", "", ErrShort},
		{"header alone", "02 0000 0100 00 FFFF", "", nil},
		{"value missing", "02 0100 0100 00 FFFF", "", ErrTruncated},
		{"value cut", "02 0A00 0100 00 FFFF 01", "", ErrTruncated},
		{"length beyond any datagram", "02 FFFF 0100 00 FFFF 01", "", ErrTruncated},
		{"trailing bytes", "02 0200 0100 00 FFFF 0102 0304", "0102", nil},
		{"unknown key", "7F 0100 0100 00 FFFF 09", "09", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse(unhex(t, tc.datagram))
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if !bytes.Equal(f.Value, unhex(t, tc.value)) {
				t.Errorf("value %x, want %s", f.Value, tc.value)
			}
			if cap(f.Value) != len(f.Value) {
				t.Error("appending to the value would write into the datagram")
			}
		})
	}
}

func TestTruncatedFrameStillNamesItsSender(t *testing.T) {
	t.Parallel()
	f, err := Parse(unhex(t, "02 0A00 FD43 07 FFFF 01"))
	if !errors.Is(err, ErrTruncated) || f.Host != 0x43FD || f.Seq != 7 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestAppendFrameRefusesWhatFitsNoDatagram(t *testing.T) {
	t.Parallel()
	longest, err := AppendFrame(nil, Header{}, make([]byte, MaxValue))
	if err != nil || len(longest) != MaxDatagram {
		t.Errorf("longest: %d bytes, %v", len(longest), err)
	}
	dst := []byte{1}
	got, err := AppendFrame(dst, Header{}, make([]byte, MaxValue+1))
	if !errors.Is(err, ErrTooLong) || !bytes.Equal(got, dst) {
		t.Errorf("one more: %x, %v", got, err)
	}
}

func TestUnknownKeyIsShownAsNumber(t *testing.T) {
	t.Parallel()
	if got := Key(0x7F).String(); got != "Key(0x7F)" {
		t.Error(got)
	}
}

func TestFramesSurviveTheWire(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := Header{
			Key:  Key(rapid.Uint8().Draw(t, "key")),
			Host: rapid.Uint16().Draw(t, "host"),
			Seq:  rapid.Uint8().Draw(t, "seq"),
			Dest: rapid.Uint16().Draw(t, "dest"),
		}
		value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
		trailing := rapid.SliceOf(rapid.Byte()).Draw(t, "trailing")
		datagram, err := AppendFrame(nil, h, value)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(append(datagram, trailing...))
		if err != nil || f.Header != h || !bytes.Equal(f.Value, value) {
			t.Fatalf("%+v, %v", f, err)
		}
		cut := rapid.IntRange(0, len(datagram)-1).Draw(t, "cut")
		if _, err := Parse(datagram[:cut]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", cut, len(datagram))
		}
	})
}
