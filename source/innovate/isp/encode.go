package isp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Append appends the bytes of p to dst. Offset and Size do not matter. The
// error says what cannot be put into a packet; dst is then returned as it was.
func Append(dst []byte, p *Packet) ([]byte, error) {
	if err := check(p); err != nil {
		return dst, fmt.Errorf("encode %v packet: %w", p.Protocol, err)
	}
	start := len(dst)
	if p.Protocol == ISP2 {
		dst = append(dst, 0, 0)
	}
	if p.Answer {
		dst = append(dst, p.Reply...)
	}
	aux := p.Aux
	for i := 0; i <= len(p.Sensors); i++ {
		for len(aux) > 0 && int(aux[0].After) == i {
			dst = binary.BigEndian.AppendUint16(dst, spread(aux[0].Value))
			aux = aux[1:]
		}
		if i < len(p.Sensors) {
			s := &p.Sensors[i]
			dst = binary.BigEndian.AppendUint16(dst, s.head())
			dst = binary.BigEndian.AppendUint16(dst, spread(s.Value))
			if s.HasBattery {
				dst = binary.BigEndian.AppendUint16(dst, s.battery())
			}
		}
	}
	if p.Protocol == ISP2 {
		words := (len(dst) - start - 2) / 2
		if words > maxWords {
			return dst[:start], fmt.Errorf("encode ISP2 packet: %d words are more than %d", words, maxWords)
		}
		binary.BigEndian.PutUint16(dst[start:], header(p, words))
	}
	return dst, nil
}

func header(p *Packet, words int) uint16 {
	h := 0xA280 | uint16(words&0x80)<<1 | uint16(words&0x7F)
	for _, flag := range [...]struct {
		on  bool
		bit uint16
	}{{p.Recording, 0x4000}, {!p.Answer, 0x1000}, {p.CanLog, 0x0800}, {p.Spare, 0x0400}} {
		if flag.on {
			h |= flag.bit
		}
	}
	return h
}

func check(p *Packet) error {
	switch {
	case p.Protocol != ISP1 && p.Protocol != ISP2:
		return errors.New("no such protocol")
	case p.Answer:
		return checkAnswer(p)
	case p.Protocol == ISP1:
		return checkISP1(p)
	case len(p.Sensors)+len(p.Aux) == 0:
		return errors.New("neither sensors nor inputs")
	}
	for i := range p.Sensors {
		if err := checkSensor(&p.Sensors[i]); err != nil {
			return fmt.Errorf("sensor %d: %w", i+1, err)
		}
		if s := &p.Sensors[i]; s.HasBattery && s.BatteryMultiplier == 0 {
			return fmt.Errorf("sensor %d: a battery without multiplier reads as an aux word", i+1)
		}
	}
	return checkAux(p)
}

func checkAux(p *Packet) error {
	after := 0
	for i, a := range p.Aux {
		if a.Value > maxAux || int(a.After) < after || int(a.After) > len(p.Sensors) {
			return fmt.Errorf("aux word %d: value %d after sensor %d is out of range or order", i+1, a.Value, a.After)
		}
		after = int(a.After)
	}
	return nil
}

func checkSensor(s *Sensor) error {
	switch {
	case s.Value > maxValue:
		return fmt.Errorf("value %d is more than %d", s.Value, maxValue)
	case s.Function > 15 || s.Function > 7 && !s.LM1:
		return fmt.Errorf("no function %d", s.Function)
	case !s.LM1 && (s.HasBattery || s.Recording):
		return errors.New("battery and recording are an LM-1's")
	case s.BatteryValue > maxAux || s.BatteryMultiplier > 7:
		return fmt.Errorf("battery %d times %d is out of range", s.BatteryValue, s.BatteryMultiplier)
	}
	return nil
}

func checkISP1(p *Packet) error {
	switch {
	case len(p.Sensors) != 1 || !p.Sensors[0].LM1:
		return errors.New("exactly one LM-1 is needed")
	case p.Recording != p.Sensors[0].Recording:
		return errors.New("the packet records when its LM-1 does")
	case p.CanLog || p.Spare:
		return errors.New("there is no header for flags")
	case len(p.Aux) > isp1Words-3 || len(p.Aux) > 0 && !p.Sensors[0].HasBattery:
		return fmt.Errorf("%d aux words do not fit", len(p.Aux))
	}
	for _, a := range p.Aux {
		if a.After != 1 {
			return errors.New("an aux word before the sensor")
		}
	}
	if err := checkSensor(&p.Sensors[0]); err != nil {
		return err
	}
	return checkAux(p)
}

func checkAnswer(p *Packet) error {
	switch {
	case p.Protocol != ISP2:
		return errors.New("no answers to commands")
	case len(p.Sensors)+len(p.Aux) > 0:
		return errors.New("an answer has no sensors and inputs")
	case len(p.Reply)%2 != 0 || len(p.Reply) > 2*maxWords:
		return fmt.Errorf("%d bytes are no whole words up to %d", len(p.Reply), maxWords)
	}
	for _, b := range p.Reply {
		if b&0x80 != 0 {
			return fmt.Errorf("byte 0x%02X has bit 7 set", b)
		}
	}
	return nil
}
