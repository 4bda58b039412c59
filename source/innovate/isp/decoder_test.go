package isp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// got is a packet as a test keeps it.
type got struct {
	Packet
}

func (g got) String() string { return fmt.Sprintf("%+v", g.Packet) }

func clonePacket(p *Packet) got {
	c := *p
	c.Sensors, c.Aux, c.Reply = slices.Clone(p.Sensors), slices.Clone(p.Aux), slices.Clone(p.Reply)
	return got{c}
}

// decode feeds the stream in pieces of the given sizes, round and round.
func decode(stream []byte, sizes ...int) ([]got, *Decoder) {
	d := new(Decoder)
	var out []got
	keep := func(p *Packet) { out = append(out, clonePacket(p)) }
	if len(sizes) == 0 {
		sizes = []int{max(len(stream), 1)}
	}
	for i := 0; len(stream) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(stream))
		d.Feed(stream[:n], keep)
		stream = stream[n:]
	}
	d.End(keep)
	return out, d
}

func sampleFile(tb testing.TB, name string) []byte {
	tb.Helper()
	for _, root := range []string{"../../../../shared", "/work/shared"} {
		if b, err := os.ReadFile(filepath.Join(root, "samples", "innovate", name)); err == nil {
			return b
		}
	}
	if os.Getenv("REQUIRE_ALL") != "" {
		tb.Fatalf("no sample %s", name)
	}
	tb.Skipf("no sample %s beside the project", name)
	return nil
}

func TestRealWarmUpThenLambda(t *testing.T) {
	t.Parallel()
	stream := sampleFile(t, "lc2-warmup-then-lambda.bin")
	whole, d := decode(stream)
	count := map[Function]int{}
	low, high, warmest := 99.0, 0.0, 0.0
	for _, g := range whole {
		if len(g.Sensors) != 1 || len(g.Aux) != 0 || g.Protocol != ISP2 || g.Size != 6 || g.Answer {
			t.Fatalf("packet %v", g)
		}
		s := g.Sensors[0]
		count[s.Function]++
		if v, ok := s.Lambda(); ok {
			low, high = min(low, v), max(high, v)
		}
		if v, ok := s.Percent(); ok {
			warmest = max(warmest, v)
		}
		if s.Stoichiometric() != 14.7 {
			t.Errorf("stoichiometric %v", s.Stoichiometric())
		}
	}
	if len(count) != 2 || count[WarmingUp] != 302 || count[Lambda] != 151 {
		t.Errorf("%v, not 302 warming up and 151 lambda", count)
	}
	if low != 1.083 || high != 1.434 || warmest != 19.4 {
		t.Errorf("lambda %v to %v, warm-up to %v %%", low, high, warmest)
	}
	c := d.Counters()
	if c.Bytes != uint64(len(stream)) || c.BytesSkipped != uint64(len(stream)-453*6) || c.Packets != 453 {
		t.Errorf("%+v", c)
	}
	if d.Protocol() != ISP2 || c.Resyncs == 0 || c.Malformed.Short == 0 {
		t.Errorf("%v, %+v", d.Protocol(), c)
	}
}

func TestPiecesDoNotMatter(t *testing.T) {
	t.Parallel()
	streams := map[string][]byte{
		"sample":   sampleFile(t, "lc2-warmup-then-lambda.bin"),
		"stripped": sampleFile(t, "lc2-xoff-stripped.bin"),
		"chain":    bytes.Repeat(unhex("B284471301514713015100B285802305124213060500 7F"), 9),
		"lm1":      bytes.Repeat(unhex("8013032A280C0001020304050607001202 40"), 9),
	}
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, one := decode(stream)
			random := make([]int, 300)
			for i := range random {
				random[i] = 1 + rand.IntN(30)
			}
			for _, sizes := range [][]int{{1}, {2}, {3}, {7}, random} {
				have, two := decode(stream, sizes...)
				if fmt.Sprint(have) != fmt.Sprint(want) || one.Counters() != two.Counters() {
					t.Errorf("in pieces of %v: %d packets %+v, whole: %d packets %+v",
						sizes[:1], len(have), two.Counters(), len(want), one.Counters())
				}
			}
		})
	}
}

func unhex(text string) []byte {
	var out []byte
	for i := 0; i < len(text); {
		if text[i] == ' ' {
			i++
			continue
		}
		var b byte
		if _, err := fmt.Sscanf(text[i:i+2], "%02X", &b); err != nil {
			panic(err)
		}
		out = append(out, b)
		i += 2
	}
	return out
}

func TestTwoSensorsInFreeAir(t *testing.T) {
	t.Parallel()
	packets, _ := decode(unhex("B2 84 47 13 01 51 47 13 01 51"))
	if len(packets) != 1 || len(packets[0].Sensors) != 2 {
		t.Fatalf("%v", packets)
	}
	for _, s := range packets[0].Sensors {
		if v, ok := s.Percent(); !ok || v != 20.9 || s.Function != O2 {
			t.Errorf("%+v: %v %%", s, v)
		}
		if _, ok := s.AFR(); ok {
			t.Error("an AFR in free air")
		}
		if _, ok := s.Lambda(); ok {
			t.Error("a lambda in free air")
		}
		if s.Stoichiometric() != 14.7 {
			t.Errorf("stoichiometric %v", s.Stoichiometric())
		}
	}
}

func TestPackets(t *testing.T) {
	t.Parallel()
	lc := Sensor{Function: Lambda, Multiplier: 147, Value: 500}
	lm := Sensor{LM1: true, Function: WarmingUp, Multiplier: 147, Value: 194}
	withBattery := Sensor{LM1: true, Multiplier: 147, Value: 500, Recording: true, HasBattery: true, BatteryMultiplier: 5, BatteryValue: 500}
	noAux, noSensors := []Aux{}, []Sensor{}
	for name, c := range map[string]struct {
		stream string
		want   Packet
	}{
		"LC recording, can log": {"FA 82 43 13 03 74", Packet{Recording: true, CanLog: true, Size: 6, Sensors: []Sensor{lc}, Aux: noAux}},
		"aux only":              {"B2 82 07 7F 00 00", Packet{Size: 6, Sensors: noSensors, Aux: []Aux{{Value: 1023}, {}}}},
		"LC between aux words": {"B2 84 02 01 43 13 03 74 00 05",
			Packet{Size: 10, Sensors: []Sensor{lc}, Aux: []Aux{{Value: 257}, {Value: 5, After: 1}}}},
		"LM-1 in a chain, warming up, before an LC": {"B2 84 91 13 01 42 43 13 03 74",
			Packet{Size: 10, Sensors: []Sensor{lm, lc}, Aux: noAux}},
		"LM-1 with battery and aux after an LC": {"B2 86 43 13 03 74 C1 13 03 74 2B 74 00 07",
			Packet{Size: 14, Sensors: []Sensor{lc, withBattery}, Aux: []Aux{{Value: 7, After: 2}}}},
		"answer":       {"A2 82 41 42 43 44", Packet{Size: 6, Answer: true, Reply: []byte("ABCD"), Sensors: noSensors, Aux: noAux}},
		"empty answer": {"A2 80", Packet{Size: 2, Answer: true, Reply: []byte{}, Sensors: noSensors, Aux: noAux}},
		"spare bit":    {"B6 82 43 13 03 74", Packet{Size: 6, Spare: true, Sensors: []Sensor{lc}, Aux: noAux}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.Protocol = ISP2
			stream := unhex(c.stream)
			packets, d := decode(stream, 1)
			if len(packets) != 1 || fmt.Sprintf("%+v", packets[0].Packet) != fmt.Sprintf("%+v", c.want) {
				t.Fatalf("got %+v\nwant %+v", packets, c.want)
			}
			if c := d.Counters(); c.BytesSkipped != 0 || c.Resyncs != 0 || c.Malformed.Total() != 0 {
				t.Errorf("%+v", c)
			}
			again, err := Append(nil, &c.want)
			if err != nil || !bytes.Equal(again, stream) {
				t.Errorf("encoded % X, %v", again, err)
			}
		})
	}
}

func TestLM1Battery(t *testing.T) {
	t.Parallel()
	s := Sensor{LM1: true, HasBattery: true, BatteryMultiplier: 5, BatteryValue: 500}
	if v, ok := s.Battery(); !ok || v < 12.21 || v > 12.22 { // 500 x 5 x 5 / 1023
		t.Errorf("%v V", v)
	}
	if v := (Aux{Value: 1023}).Volts(); v != 5 {
		t.Errorf("%v V", v)
	}
}

// Each damage loses its own packet only, is counted by its reason, and the
// byte that showed it may begin the next packet.
func TestDamage(t *testing.T) {
	t.Parallel()
	const good = "B2 82 43 13 03 74"
	for name, c := range map[string]struct {
		damaged string
		want    Malformed
		resyncs uint64
		skipped uint64
	}{
		"byte lost in a word":         {"B2 82 43 13 03", Malformed{Short: 1}, 1, 5},
		"byte lost before a word":     {"B2 82 43 13", Malformed{Short: 1}, 1, 4},
		"half a header":               {"B2", Malformed{}, 0, 1}, // the next header's first byte is its second
		"header without second byte":  {"B2 13 03 74", Malformed{Header: 1}, 1, 4},
		"header lost":                 {"43 13 03 74", Malformed{}, 1, 4},
		"header's first byte lost":    {"82 43 13 03 74", Malformed{}, 1, 5},
		"unknown word":                {"B2 82 73 13 03 74", Malformed{Word: 1}, 1, 6},
		"bit 6 in the lambda word":    {"B2 82 43 13 43 74", Malformed{Word: 1}, 1, 6},
		"length ends in a sub-packet": {"B2 81 43 13", Malformed{Cut: 1}, 1, 4},
		"no words":                    {"B2 80", Malformed{Empty: 1}, 1, 2},
		"battery of an LC":            {"B2 83 43 13 03 74 2B 74", Malformed{Word: 1}, 1, 8},
		"bit 7 in an answer":          {"A2 82 41 42 43", Malformed{Short: 1}, 1, 5},
		"extra byte":                  {"00", Malformed{}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packets, d := decode(unhex(good + c.damaged + good + good))
			counters := d.Counters()
			if name == "half a header" {
				// Both readings fail: as a header with a length of 50 words, and then rightly.
				c.want, c.resyncs = counters.Malformed, counters.Resyncs
			}
			if len(packets) != 3 || counters.Malformed != c.want || counters.Resyncs != c.resyncs || counters.BytesSkipped != c.skipped {
				t.Errorf("%d packets, %+v", len(packets), counters)
			}
		})
	}
}

// The first byte reads as a header whose length hides the packet after it
// until that is disproved, or the stream has ended.
func TestEndFindsWhatAFalseHeaderHid(t *testing.T) {
	t.Parallel()
	stream := unhex("B2 B6 84 00 01 00 02 00 03 00 04")
	var d Decoder
	packets := 0
	count := func(*Packet) { packets++ }
	d.Feed(stream, count)
	d.Flush(count)
	if c := d.Counters(); packets != 0 || c.BytesSkipped != 0 {
		t.Errorf("%d packets, %+v", packets, c)
	}
	d.End(count)
	if c := d.Counters(); packets != 1 || c.BytesSkipped != 1 {
		t.Errorf("%d packets, %+v", packets, c)
	}
}

func TestCountersAddUpWhilePacketsAreUnderWay(t *testing.T) {
	t.Parallel()
	stream := slices.Concat(sampleFile(t, "lc2-warmup-then-lambda.bin"), bytes.Repeat(unhex("8013032A"), 20))
	d := new(Decoder)
	var taken uint64
	for i := range stream {
		d.Feed(stream[i:i+1], func(p *Packet) { taken += uint64(p.Size) })
		c := d.Counters()
		if c.Bytes != uint64(i+1) || taken+c.BytesSkipped > c.Bytes || c.Bytes-taken-c.BytesSkipped > maxBytes {
			t.Fatalf("after %d bytes: %d in packets, %+v", i+1, taken, c)
		}
	}
}
