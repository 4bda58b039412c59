package isp

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// look decodes a stream in pieces and gives the finding.
func look(stream []byte) FlowDamage {
	var d Decoder
	var f FlowControl
	for len(stream) > 0 {
		n := min(len(stream), 64)
		d.Feed(stream[:n], func(*Packet) {})
		f.Look(stream[:n], d.Counters())
		stream = stream[n:]
	}
	return f.Damage()
}

// ramp is a stream of lambda packets that go up and down.
func ramp(packets int, multiplier uint8) []byte {
	var out []byte
	for i := range packets {
		v := uint16(300 + 5*(i%120))
		if i/120%2 == 1 {
			v = 900 - 5*uint16(i%120)
		}
		out, _ = Append(out, &Packet{Protocol: ISP2, Sensors: []Sensor{{Multiplier: multiplier, Value: v + uint16(i%7)}}})
	}
	return out
}

func stripBytes(stream []byte) []byte {
	out := make([]byte, 0, len(stream))
	for _, b := range stream {
		if b != xon && b != xoff {
			out = append(out, b)
		}
	}
	return out
}

func TestRealFlowControlDamageIsSeen(t *testing.T) {
	t.Parallel()
	stream := sampleFile(t, "lc2-xoff-stripped.bin")
	packets, d := decode(stream)
	if len(packets) != 0 || d.Protocol() != Unknown {
		t.Errorf("%d packets of %v", len(packets), d.Protocol())
	}
	if got := look(stream); got.Suspicion != Sure || got.Short < 1000 || got.Intact != 0 {
		t.Errorf("%+v", got)
	}
	if got := look(stream[:200]); got.Suspicion != Likely {
		t.Errorf("after 200 bytes: %+v", got)
	}
	if got := look(sampleFile(t, "lc2-warmup-then-lambda.bin")); got.Suspicion != Unsuspected {
		t.Errorf("a stream that lost bytes at random: %+v", got)
	}
}

func TestFlowControlDamage(t *testing.T) {
	t.Parallel()
	lose := func(stream []byte, share float64) []byte {
		r := rand.New(rand.NewPCG(1, 2))
		var out []byte
		for _, b := range stream {
			if r.Float64() >= share {
				out = append(out, b)
			}
		}
		return out
	}
	steady, _ := Append(nil, &Packet{Protocol: ISP2, Sensors: []Sensor{{Multiplier: 146, Value: 528}}})
	for name, c := range map[string]struct {
		stream []byte
		want   Suspicion
	}{
		"healthy":                          {ramp(2000, 147), Unsuspected},
		"healthy, another fuel":            {ramp(2000, 146), Unsuspected},
		"stripped, petrol":                 {stripBytes(ramp(2000, 147)), Sure},
		"stripped, another fuel":           {stripBytes(ramp(2000, 146)), Sure},
		"stripped, seconds of it":          {stripBytes(ramp(20, 147)), Likely},
		"loses 1 %":                        {lose(ramp(2000, 147), 0.01), Unsuspected},
		"loses 10 %, another fuel":         {lose(ramp(2000, 146), 0.1), Unsuspected},
		"steady value without 0x11":        {bytes.Repeat(steady, 2000), Unsuspected},
		"steady value that loses 2 %":      {lose(bytes.Repeat(steady, 2000), 0.02), Unsuspected},
		"mended while it runs":             {append(stripBytes(ramp(2000, 147)), ramp(20, 147)...), Unsuspected},
		"begins while it runs":             {append(ramp(100, 147), stripBytes(ramp(2000, 147))...), Sure},
		"nothing":                          {nil, Unsuspected},
		"text":                             {bytes.Repeat([]byte("$GPRMC,123519,A,4807.038,N*6A\r\n"), 100), Unsuspected},
		"zeros":                            {make([]byte, 5000), Unsuspected},
		"two sensors in free air stripped": {stripBytes(bytes.Repeat(unhex("B284471301514713 0151"), 30)), Likely},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := look(c.stream); got.Suspicion != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Two bytes that are always there, as two steady values give, make no third
// one due.
func TestTwoSteadyBytesMakeNoneDue(t *testing.T) {
	t.Parallel()
	var f FlowControl
	f.Look(bytes.Repeat([]byte{0x10, 0x12}, 100), Counters{})
	if d := f.Damage(); d.Expected != 0 {
		t.Errorf("%+v", d)
	}
	f.Look(bytes.Repeat([]byte{0x0F, 0x14, 0x15}, 10), Counters{})
	if d := f.Damage(); d.Expected != 20 {
		t.Errorf("%+v", d)
	}
}
