package isp

// The words of PROTOCOLS 2.1 and 2.2. In all of them bit 7 of the second byte
// is 0.

// spread puts the low 7 bits of v into the second byte of a word and the rest
// into the first.
func spread(v uint16) uint16 { return v<<1&0x7F00 | v&0x7F }

// bits13 is the value of a lambda word, 00LLLLLL 0LLLLLLL.
func bits13(w uint16) uint16 { return w>>1&0x1F80 | w&0x7F }

// bits10 is the value of an aux word, 00000AAA 0AAAAAAA.
func bits10(w uint16) uint16 { return w>>1&0x0380 | w&0x7F }

// multiplier is the 8 bits of the stoichiometric ratio at the end of a head.
func multiplier(w uint16) uint8 { return uint8(w>>1&0x80 | w&0x7F) }

// lcSensor reads a head 010FFF1A 0AAAAAAA.
func lcSensor(w uint16) Sensor {
	return Sensor{Function: Function(w >> 10 & 7), Multiplier: multiplier(w)}
}

// lm1Sensor reads a head 1RFFFF0A 0AAAAAAA.
func lm1Sensor(w uint16) Sensor {
	return Sensor{LM1: true, Recording: w&0x4000 != 0, Function: Function(w >> 10 & 15), Multiplier: multiplier(w)}
}

// setBattery reads a battery word 00MMMBBB 0BBBBBBB.
func (s *Sensor) setBattery(w uint16) {
	s.HasBattery, s.BatteryMultiplier, s.BatteryValue = true, uint8(w>>11&7), bits10(w)
}

// head is the first word of a sub-packet.
func (s *Sensor) head() uint16 {
	w := spread(uint16(s.Multiplier)) | uint16(s.Function)<<10
	if !s.LM1 {
		return w | 0x4200
	}
	w |= 0x8000
	if s.Recording {
		w |= 0x4000
	}
	return w
}

func (s *Sensor) battery() uint16 { return uint16(s.BatteryMultiplier)<<11 | spread(s.BatteryValue) }
