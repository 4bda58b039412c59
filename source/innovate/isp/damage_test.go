package isp

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawSensor(t *rapid.T, lm1 bool) Sensor {
	s := Sensor{LM1: lm1, Multiplier: rapid.Byte().Draw(t, "multiplier"), Value: rapid.Uint16Range(0, maxValue).Draw(t, "value")}
	s.Function = Function(rapid.IntRange(0, 7).Draw(t, "function"))
	if lm1 {
		s.Recording = rapid.Bool().Draw(t, "recording")
		if s.HasBattery = rapid.Bool().Draw(t, "battery"); s.HasBattery {
			s.BatteryMultiplier, s.BatteryValue = uint8(rapid.IntRange(1, 7).Draw(t, "times")), rapid.Uint16Range(0, maxAux).Draw(t, "volts")
		}
	}
	return s
}

// drawISP2 draws a packet of up to eight sensors and inputs in any order.
func drawISP2(t *rapid.T) Packet {
	p := Packet{
		Protocol: ISP2, Recording: rapid.Bool().Draw(t, "recording"), CanLog: rapid.Bool().Draw(t, "can log"),
		Spare: rapid.IntRange(0, 9).Draw(t, "spare") == 0,
	}
	if rapid.IntRange(0, 9).Draw(t, "answer") == 0 {
		p.Answer = true
		p.Reply = rapid.SliceOfN(rapid.ByteRange(0, 127), 0, 10).Draw(t, "reply")
		p.Reply = p.Reply[:len(p.Reply)/2*2]
		return p
	}
	lm1 := false
	for range rapid.IntRange(1, 8).Draw(t, "parts") {
		switch rapid.IntRange(0, 5).Draw(t, "part") {
		case 0, 1, 2:
			p.Sensors = append(p.Sensors, drawSensor(t, false))
		case 3:
			p.Sensors = append(p.Sensors, drawSensor(t, !lm1))
			lm1 = true
		default:
			p.Aux = append(p.Aux, Aux{Value: rapid.Uint16Range(0, maxAux).Draw(t, "aux"), After: uint8(len(p.Sensors))})
		}
	}
	return p
}

func drawISP1(t *rapid.T) Packet {
	p := Packet{Protocol: ISP1, Sensors: []Sensor{drawSensor(t, true)}}
	s := &p.Sensors[0]
	p.Recording = s.Recording
	s.HasBattery = true
	for range isp1Words - 3 {
		p.Aux = append(p.Aux, Aux{Value: rapid.Uint16Range(0, maxAux).Draw(t, "aux"), After: 1})
	}
	return p
}

// spoil loses, inserts and changes bytes, and says how many places of the
// stream were touched.
func spoil(t *rapid.T, raw []byte) (spoilt []byte, touched int) {
	raw = slices.Clone(raw)
	for range rapid.IntRange(1, 3).Draw(t, "damages") {
		at := rapid.IntRange(0, len(raw)).Draw(t, "at")
		switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
		case kind == 0:
			more := rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "more")
			raw = slices.Insert(raw, at, more...)
			touched += len(more) - 1
		case at == len(raw):
		case kind == 1:
			raw = slices.Delete(raw, at, min(len(raw), at+rapid.IntRange(1, 4).Draw(t, "fewer")))
		case kind == 2:
			raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		default:
			raw[at] = rapid.Byte().Draw(t, "byte")
		}
		touched++
		if len(raw) == 0 {
			break
		}
	}
	return raw, touched
}

// Every packet that was not touched comes out, whatever happened to those
// around it. Of what was never sent at most one comes for each byte that was
// touched and one for each damaged packet.
func TestUntouchedPacketsSurviveDamage(t *testing.T) {
	t.Parallel()
	for name, draw := range map[string]func(*rapid.T) Packet{"ISP2": drawISP2, "ISP1": drawISP1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { survive(t, draw) })
		})
	}
}

func survive(t *rapid.T, draw func(*rapid.T) Packet) {
	var stream []byte
	type place struct{ at, size int }
	var untouched []place
	damaged, touched := 0, 0
	n := rapid.IntRange(8, 25).Draw(t, "packets")
	for i := range n {
		p := draw(t)
		raw, err := Append(nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		// ISP1 has to become known first.
		if i >= believeAfter && rapid.IntRange(0, 2).Draw(t, "spoil") == 0 {
			if changed, places := spoil(t, raw); !bytes.Equal(changed, raw) {
				stream = append(stream, changed...)
				damaged++
				touched += places
				continue
			}
		}
		untouched = append(untouched, place{len(stream), len(raw)})
		stream = append(stream, raw...)
	}
	packets, d := decode(stream, 7)
	extra := 0
	for _, g := range packets {
		if len(untouched) > 0 && int(g.Offset) == untouched[0].at && g.Size == untouched[0].size {
			untouched = untouched[1:]
		} else {
			extra++
		}
	}
	if len(untouched) > 0 {
		t.Fatalf("the packet at %d of % X is lost", untouched[0].at, stream)
	}
	if extra > damaged+touched {
		t.Fatalf("%d packets that were never sent, of %d damaged ones in % X", extra, damaged, stream)
	}
	if c := d.Counters(); damaged == 0 && (c.BytesSkipped > 0 || c.Malformed.Total() > 0 || c.Resyncs > 0) {
		t.Fatalf("undamaged: %+v", c)
	}
}
