package isp

import (
	"fmt"
	"testing"
)

// Every lambda word with every function and every AFR multiplier: 16.8 million
// sub-packets of an LC, in both positions of a chain, come out as they went in.
func TestSweepRoundTrips(t *testing.T) {
	t.Parallel()
	var stream []byte
	d := new(Decoder)
	p := Packet{Protocol: ISP2, Sensors: make([]Sensor, 126)}
	next, bad := 0, 0
	at := func(i int) Sensor {
		return Sensor{Function: Function(i & 7), Value: uint16(i >> 3 & maxValue), Multiplier: uint8(i >> 16)}
	}
	check := func(g *Packet) {
		for _, s := range g.Sensors {
			want := at(next)
			lambda, ok := s.Lambda()
			if s != want || ok != (want.Function == Lambda) || lambda != float64(want.Value+500)/1000 {
				bad++
			}
			next++
		}
	}
	const all = 8 * (maxValue + 1) * 256
	for i := 0; i < all; {
		p.Sensors = p.Sensors[:0]
		for ; len(p.Sensors) < 126 && i < all; i++ {
			p.Sensors = append(p.Sensors, at(i))
		}
		var err error
		if stream, err = Append(stream[:0], &p); err != nil {
			t.Fatal(err)
		}
		d.Feed(stream, check)
	}
	if next != all || bad != 0 || d.Counters().BytesSkipped != 0 {
		t.Errorf("%d of %d came, %d of them changed", next, all, bad)
	}
}

func TestSweepOfLM1(t *testing.T) {
	t.Parallel()
	for _, protocol := range []Protocol{ISP1, ISP2} {
		var stream []byte
		var want []Sensor
		for i := range 1 << 13 {
			s := Sensor{
				LM1: true, Function: Function(i % 16), Multiplier: uint8(i * 7), Value: uint16(i), Recording: i%3 == 0,
				HasBattery: i%5 != 0,
			}
			if s.HasBattery {
				s.BatteryValue, s.BatteryMultiplier = uint16(i%1024), uint8(1+i%7)
			}
			p := Packet{Protocol: protocol, Recording: s.Recording, Sensors: []Sensor{s}}
			if s.HasBattery {
				for a := range i % 6 {
					p.Aux = append(p.Aux, Aux{Value: uint16((i * (a + 1)) % 1024), After: 1})
				}
			}
			var err error
			if stream, err = Append(stream, &p); err != nil {
				t.Fatal(err)
			}
			want = append(want, s)
		}
		packets, _ := decode(stream)
		if len(packets) != len(want) {
			t.Fatalf("%v: %d packets of %d", protocol, len(packets), len(want))
		}
		for i, g := range packets {
			if g.Sensors[0] != want[i] || g.Protocol != protocol {
				t.Fatalf("%v: %+v, not %+v", protocol, g.Sensors[0], want[i])
			}
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	lc, lm := Sensor{}, Sensor{LM1: true}
	for name, p := range map[string]Packet{
		"no protocol":              {Sensors: []Sensor{lc}},
		"nothing":                  {Protocol: ISP2},
		"value":                    {Protocol: ISP2, Sensors: []Sensor{{Value: 8192}}},
		"function of an LC":        {Protocol: ISP2, Sensors: []Sensor{{Function: 8}}},
		"function of an LM-1":      {Protocol: ISP2, Sensors: []Sensor{{LM1: true, Function: 16}}},
		"battery of an LC":         {Protocol: ISP2, Sensors: []Sensor{{HasBattery: true, BatteryMultiplier: 1}}},
		"battery no multiplier":    {Protocol: ISP2, Sensors: []Sensor{{LM1: true, HasBattery: true}}},
		"battery too large":        {Protocol: ISP2, Sensors: []Sensor{{LM1: true, HasBattery: true, BatteryMultiplier: 8}}},
		"aux":                      {Protocol: ISP2, Aux: []Aux{{Value: 1024}}},
		"aux order":                {Protocol: ISP2, Sensors: []Sensor{lc}, Aux: []Aux{{After: 1}, {After: 0}}},
		"aux after what is not":    {Protocol: ISP2, Aux: []Aux{{After: 1}}},
		"too many words":           {Protocol: ISP2, Sensors: make([]Sensor, 128)},
		"ISP1 with an LC":          {Protocol: ISP1, Sensors: []Sensor{lc}},
		"ISP1 with two":            {Protocol: ISP1, Sensors: []Sensor{lm, lm}},
		"ISP1 aux without battery": {Protocol: ISP1, Sensors: []Sensor{lm}, Aux: []Aux{{After: 1}}},
		"ISP1 flags":               {Protocol: ISP1, Sensors: []Sensor{lm}, CanLog: true},
		"ISP1 recording":           {Protocol: ISP1, Sensors: []Sensor{lm}, Recording: true},
		"ISP1 aux before":          {Protocol: ISP1, Sensors: []Sensor{{LM1: true, HasBattery: true}}, Aux: []Aux{{}}},
		"ISP1 answer":              {Protocol: ISP1, Answer: true},
		"answer of odd length":     {Protocol: ISP2, Answer: true, Reply: []byte("A")},
		"answer with bit 7":        {Protocol: ISP2, Answer: true, Reply: []byte{0x80, 0}},
		"answer with sensors":      {Protocol: ISP2, Answer: true, Sensors: []Sensor{lc}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := Append([]byte("x"), &p); err == nil || string(out) != "x" {
				t.Errorf("encoded % X, %v", out, err)
			}
		})
	}
}

func ExampleDecoder() {
	var d Decoder
	d.Feed([]byte{0xB2, 0x82, 0x43, 0x13, 0x03, 0x74}, func(p *Packet) {
		for _, s := range p.Sensors {
			afr, _ := s.AFR()
			fmt.Println(s.Function, afr)
		}
	})
	// Output: lambda 14.7
}
