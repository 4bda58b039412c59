package isp

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	lm1Whole = "81 13 03 74 2B 74 00 01 00 02 00 03 00 04 00 05"
	lm1Five  = "81 13 03 74 2B 74 00 01 00 02" // two inputs only
	lm1Warm  = "91 13 01 42"
)

func TestISP1(t *testing.T) {
	t.Parallel()
	packets, d := decode(unhex(strings.Repeat(lm1Warm, 4)+strings.Repeat(lm1Whole, 4)), 1)
	if len(packets) != 8 || d.Protocol() != ISP1 || d.Counters().BytesSkipped != 0 || d.Counters().Resyncs != 0 {
		t.Fatalf("%d packets, %v, %+v", len(packets), d.Protocol(), d.Counters())
	}
	if s := packets[3].Sensors[0]; s.Function != WarmingUp || s.Value != 194 || s.HasBattery || !s.LM1 {
		t.Errorf("%+v", s)
	}
	s := packets[7].Sensors[0]
	if afr, ok := s.AFR(); !ok || afr != 14.7 {
		t.Errorf("AFR %v", afr)
	}
	if v, ok := s.Battery(); !ok || v < 12.2 || v > 12.3 {
		t.Errorf("battery %v", v)
	}
	if len(packets[7].Aux) != 5 || packets[7].Aux[4].Value != 5 {
		t.Errorf("%+v", packets[7].Aux)
	}
	for i, g := range packets {
		if g.Offset != int64(min(i, 4)*4+max(i-4, 0)*16) {
			t.Errorf("packet %d at %d", i, g.Offset)
		}
	}
}

func TestISP1IsNotBelievedAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream string
		want   int
	}{
		"two":                           {lm1Whole + lm1Whole, 0},
		"three":                         {lm1Whole + lm1Whole + lm1Whole, 3},
		"three with a byte between":     {lm1Whole + lm1Whole + "00" + lm1Whole, 0},
		"three, short, the last ended":  {lm1Five + lm1Five + lm1Five, 3},
		"an ISP2 header starts over":    {lm1Whole + lm1Whole + "B2 80" + lm1Whole, 0},
		"after a beginning cut off":     {lm1Whole[3*5:] + strings.Repeat(lm1Whole, 3), 3},
		"three reserved functions too":  {strings.Repeat("BC 13 01 42", 3), 3},
		"recording":                     {strings.Repeat("C0 13 01 42", 3), 3},
		"three of nothing but headers":  {"80 13 80 13 80 13 80 13", 0},
		"aux too large for three words": {strings.Repeat("80 13 03 74 2B 74 08 01 00 02", 4), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packets, d := decode(unhex(c.stream), 1)
			if len(packets) != c.want {
				t.Errorf("%d packets, not %d; %+v", len(packets), c.want, d.Counters())
			}
		})
	}
}

// What is left of ISP2 packets that lost their header never becomes ISP1.
func TestISP1IsNotFoundInTheRubbleOfISP2(t *testing.T) {
	t.Parallel()
	whole := map[string]string{
		"two sensors":         "B2 84 47 13 01 51 47 13 01 51",
		"LM-1":                "B2 88" + lm1Whole,
		"LM-1 and LC":         "B2 8A" + lm1Whole + "43 13 03 74",
		"four sensors":        "B2 88 47 13 01 51 47 13 01 51 43 13 03 74 43 13 03 74",
		"LM-1 warming up, LC": "B2 84" + lm1Warm + "43 13 03 74",
	}
	for name, text := range whole {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packet := unhex(text)
			for lost := range 4 {
				rubble := packet[lost:]
				if lost == 3 { // the header's second byte
					rubble = slices.Concat(packet[:1], packet[2:])
				}
				for before := range 3 {
					var stream []byte
					want := 0
					for i := range 60 {
						// Every fourth packet at least keeps its header.
						if before > 0 && i%4 < before {
							stream = append(stream, packet...)
							want++
						} else {
							stream = append(stream, rubble...)
						}
					}
					if lost == 0 {
						want = 60
					}
					if before == 0 && lost == 2 {
						continue // no header in a whole minute is ISP1, rightly
					}
					packets, _ := decode(stream)
					isp1 := slices.ContainsFunc(packets, func(g got) bool { return g.Protocol == ISP1 })
					if isp1 || len(packets) < want {
						t.Errorf("%d bytes lost, %d of 4 whole: %d packets, ISP1 %v", lost, before, len(packets), isp1)
					}
				}
			}
		})
	}
}

func TestISP2WinsOverISP1AndBack(t *testing.T) {
	t.Parallel()
	const lc = "B2 82 43 13 03 74"
	var stream strings.Builder
	stream.WriteString(strings.Repeat(lm1Whole, 5))
	stream.WriteString(strings.Repeat(lc, 2) + "00") // two in a row are not enough
	stream.WriteString(strings.Repeat(lm1Whole, 5))
	stream.WriteString(strings.Repeat(lc, 9)) // the third of them switches
	stream.WriteString(strings.Repeat(lm1Whole, 7) + "00")
	stream.WriteString(strings.Repeat(lm1Whole, 8))
	packets, d := decode(unhex(stream.String()), 5)
	var order []string
	for _, g := range packets {
		if name := g.Protocol.String(); len(order) == 0 || !strings.HasPrefix(order[len(order)-1], name) {
			order = append(order, name)
		}
	}
	var count [3]int
	for _, g := range packets {
		count[g.Protocol]++
	}
	if fmt.Sprint(order) != "[ISP1 ISP2 ISP1]" || count[ISP1] != 18 || count[ISP2] != 6 || d.Protocol() != ISP1 {
		t.Errorf("%v, %d ISP1, %d ISP2", order, count[ISP1], count[ISP2])
	}
}

func TestISP1Damage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		good, damaged string
		want          int // more than the good ones
	}{
		"byte lost":                           {lm1Whole, lm1Whole[3:], 0},
		"byte lost at the end":                {lm1Whole, lm1Whole[:3*15], 0},
		"byte too many":                       {lm1Whole, lm1Whole + "05", 1},
		"word broken":                         {lm1Whole, "80 13 03 74 2B 74 40 01 00 02 00 03 00 04 00 05", 0},
		"header lost after a short packet":    {lm1Five, lm1Five[3:], 0},
		"first word lost after a short one":   {lm1Five, lm1Five[6:], 0},
		"an ISP2 header's first byte between": {lm1Whole, "B2", 0},
		"an ISP2 header between":              {lm1Whole, "B2 FF", 0},
		"an ISP2 packet between":              {lm1Whole, "B2 82 43 13 03 74", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := unhex(strings.Repeat(lm1Whole, 3) + strings.Repeat(c.good, 3) + c.damaged + strings.Repeat(c.good, 2))
			packets, d := decode(stream)
			if len(packets) != 8+c.want || d.Counters().Resyncs == 0 || d.Protocol() != ISP1 {
				t.Errorf("%d packets, %v, %+v", len(packets), d.Protocol(), d.Counters())
			}
			good := unhex(c.good)
			for _, g := range packets[3:] {
				if !bytes.Equal(stream[g.Offset:g.Offset+int64(g.Size)], good) {
					t.Errorf("packet at %d: % X", g.Offset, stream[g.Offset:g.Offset+int64(g.Size)])
				}
			}
		})
	}
}
