package klhdv

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestShortValuesAreErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		key    Key
		least  int
		decode func([]byte) error
	}{
		{KeyChannelInfo, 50, func(b []byte) error { _, _, err := DecodeChannelInfo(b); return err }},
		{KeyPing, 5, func(b []byte) error { _, err := DecodePing(b); return err }},
		{KeyPong, 9, func(b []byte) error { _, err := DecodePong(b); return err }},
		{KeyRequestLogging, 1, func(b []byte) error { _, err := DecodeLoggingRequest(b); return err }},
		{KeyLoggingResponse, 5, func(b []byte) error { _, err := DecodeLoggingResponse(b); return err }},
		{KeyLoadControlResponse, 6, func(b []byte) error { _, err := DecodeLoadControl(b); return err }},
		{KeyBrakeResponse, 1, func(b []byte) error { _, err := DecodeBrake(b); return err }},
	} {
		t.Run(tc.key.String(), func(t *testing.T) {
			for n := range tc.least {
				if err := tc.decode(make([]byte, n)); !errors.Is(err, ErrValue) {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
			for _, n := range []int{tc.least, tc.least + 1, tc.least + 40} {
				if err := tc.decode(make([]byte, n)); err != nil {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
		})
	}
}

func TestLoggingResponseIsReadInBothLengths(t *testing.T) {
	t.Parallel()
	want := LoggingResponse{LoggingStarted, 0x04030201}
	for name, text := range map[string]string{
		"seven bytes": "01 0000 01020304",
		"eight bytes": "01 0000 01020304 FF",
		"five bytes":  "01 01020304",
		"six bytes":   "01 01020304 FF",
		"not padding": "01 EEEE 01020304",
	} {
		if got, err := DecodeLoggingResponse(unhex(t, text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestPongEchoesThePing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ping := Ping{rapid.Uint8().Draw(t, "version"), rapid.Uint32().Draw(t, "host"), rapid.SliceOf(rapid.Byte()).Draw(t, "echo")}
		remote := rapid.Uint32().Draw(t, "remote")
		pong, err := DecodePong(EncodePong(nil, ping, remote))
		if err != nil || pong.Version != Version || pong.HostTS != ping.HostTS || pong.RemoteTS != remote || !bytes.Equal(pong.Echo, ping.Echo) {
			t.Fatalf("%+v, %v", pong, err)
		}
	})
}

func TestControlMessagesSurviveTheWire(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stamp, b := rapid.Uint32().Draw(t, "stamp"), rapid.Uint8().Draw(t, "byte")
		if got, err := DecodePing(EncodePing(nil, stamp)); err != nil || got.HostTS != stamp || got.Version != Version || len(got.Echo) != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		log := LoggingResponse{b, stamp}
		if got, err := DecodeLoggingResponse(EncodeLoggingResponse(nil, log)); err != nil || got != log {
			t.Fatalf("%+v, %v", got, err)
		}
		load := LoadControl{b, LoadType(b), rapid.Float32().Draw(t, "target")}
		got, err := DecodeLoadControl(EncodeLoadControl(nil, load))
		if err != nil || math.Float32bits(got.Target) != math.Float32bits(load.Target) || got.Enable != b || got.Type != load.Type {
			t.Fatalf("%+v, %v", got, err)
		}
		request := LoggingRequest{LoggingCommand(b)}
		if got, err := DecodeLoggingRequest(EncodeLoggingRequest(nil, request)); err != nil || got != request {
			t.Fatalf("%+v, %v", got, err)
		}
		if got, err := DecodeBrake(EncodeBrake(nil, Brake{b})); err != nil || got != (Brake{b}) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// Promise 5 of DESIGN: load control and brake are never requested.
func TestRequestsThatMoveADynoAreForbidden(t *testing.T) {
	t.Parallel()
	for name, m := range golden(t) {
		var forbidden *ForbiddenError
		want := m.header.Key == KeyRequestLoadControl || m.header.Key == KeyRequestBrake
		for _, err := range []error{SafeToSend(m.header.Key), CheckOutgoing(m.bytes)} {
			switch {
			case want && (!errors.As(err, &forbidden) || forbidden.Key != m.header.Key):
				t.Errorf("%s: %v", name, err)
			case !want && err != nil:
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestWhatStopsAVendorNodeIsNotSent(t *testing.T) {
	t.Parallel()
	frame := func(key Key, dest uint16, value []byte) []byte {
		b, err := AppendFrame(nil, Header{Key: key, Host: 7, Dest: dest}, value)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	full := append(pad("p", providerLen), record(1, "Idle Air Control Motor Positio", 0)...)
	for name, datagram := range map[string][]byte{
		"no header":              {2, 0, 0},
		"shorter than it says":   frame(KeyChannelValues, AllHosts, make([]byte, 10))[:12],
		"longer than it says":    append(frame(KeyClearChannelInfo, AllHosts, nil), 0),
		"longer than a datagram": make([]byte, MaxDatagram+1),
		"from ALL_HOSTS":         unhex(t, "03 0000 FFFF 00 FFFF"),
		"info under 50 bytes":    frame(KeyChannelInfo, AllHosts, make([]byte, 49)),
		"a full channel name":    frame(KeyChannelInfo, AllHosts, full),
		"a full provider name":   frame(KeyChannelInfo, AllHosts, bytes.Repeat([]byte("a"), providerLen)),
		"ping under 5 bytes":     frame(KeyPing, AllHosts, []byte{1, 0, 0, 0}),
		"ping with echo":         frame(KeyPing, AllHosts, []byte{1, 0, 0, 0, 0, 9}),
		"ping of version 2":      frame(KeyPing, AllHosts, []byte{2, 0, 0, 0, 0}),
		"pong under 9 bytes":     frame(KeyPong, 9, []byte{1, 0, 0, 0, 0, 0, 0, 0}),
		"pong of version 10":     frame(KeyPong, 9, []byte{10, 0, 0, 0, 0, 0, 0, 0, 0}),
		"pong to everybody":      frame(KeyPong, AllHosts, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0}),
	} {
		if err := CheckOutgoing(datagram); !errors.Is(err, ErrUnsendable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
