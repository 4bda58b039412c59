package klhdv

import (
	"bytes"
	"testing"
)

func seed(f *testing.F) {
	f.Helper()
	for _, m := range golden(f) {
		f.Add(m.bytes)
		f.Add(m.value)
		f.Add(m.bytes[:len(m.bytes)-1])
	}
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, datagram []byte) {
		_ = CheckOutgoing(datagram)
		frame, err := Parse(datagram)
		if err != nil {
			return
		}
		again, err := AppendFrame(nil, frame.Header, frame.Value)
		if err != nil {
			if len(datagram) <= MaxDatagram {
				t.Fatal(err)
			}
			return
		}
		if !bytes.HasPrefix(datagram, again) {
			t.Errorf("%x was read as %x", datagram, again)
		}
	})
}

func FuzzValues(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, value []byte) {
		values, rest := AppendValues(nil, value)
		whole := value[:len(value)-rest]
		if rest >= ValueLen || len(values)*ValueLen != len(whole) {
			t.Fatalf("%d values and %d bytes of %d", len(values), rest, len(value))
		}
		if again := EncodeValues(nil, values); !bytes.Equal(again, whole) {
			t.Errorf("%x was read as %x", whole, again)
		}
	})
}

func FuzzChannelInfo(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, value []byte) {
		info, rest, err := DecodeChannelInfo(value)
		if err != nil {
			if len(value) >= providerLen {
				t.Fatal(err)
			}
			return
		}
		if rest >= channelLen || providerLen+len(info.Channels)*channelLen+rest != len(value) {
			t.Errorf("%d channels and %d bytes of %d", len(info.Channels), rest, len(value))
		}
		checkName(t, info.Provider, providerLen)
		for _, c := range info.Channels {
			checkName(t, c.Name, nameLen)
		}
	})
}

func FuzzControl(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, value []byte) {
		if ping, err := DecodePing(value); err == nil {
			if pong, err := DecodePong(EncodePong(nil, ping, 7)); err != nil || !bytes.Equal(pong.Echo, value[pingLen:]) {
				t.Errorf("pong %+v, %v", pong, err)
			}
		}
		if pong, err := DecodePong(value); err == nil && len(pong.Echo) != len(value)-pongLen {
			t.Errorf("pong %+v", pong)
		}
		if log, err := DecodeLoggingResponse(value); err == nil && log.State != value[0] {
			t.Errorf("logging %+v", log)
		}
		if load, err := DecodeLoadControl(value); err == nil && !bytes.Equal(EncodeLoadControl(nil, load), value[:loadControlLen]) {
			t.Errorf("load control %+v", load)
		}
		if brake, err := DecodeBrake(value); err == nil && brake.State != value[0] {
			t.Errorf("brake %+v", brake)
		}
		if request, err := DecodeLoggingRequest(value); err == nil && byte(request.Command) != value[0] {
			t.Errorf("logging request %+v", request)
		}
	})
}
