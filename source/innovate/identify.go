package innovate

import (
	"fmt"

	"dynotap/source/innovate/isp"
)

// identify says what a chain is made of (PROTOCOLS 2.3). Some devices send the
// same: an LC-1 and an LC-2, a DLG-1 and two of them.
func identify(protocol isp.Protocol, s *shape) string {
	lm1 := 0
	for _, is := range s.lm1[:s.sensors] {
		if is {
			lm1++
		}
	}
	switch {
	case protocol == isp.ISP1:
		return string(LM1)
	case s.sensors == 0 && s.aux == 0:
		return "unknown"
	case s.sensors == 0:
		return "SSI-4/TC-4"
	case lm1 > 0:
		return fmt.Sprintf("chain of %d sensors with LM-1", s.sensors)
	case s.aux > 0:
		return "LM-2 or chain with SSI-4/TC-4"
	case s.sensors == 1:
		return "LC-1/LC-2"
	case s.sensors == 2:
		return string(DLG1)
	}
	return fmt.Sprintf("chain of %d sensors", s.sensors)
}

// couldBe reports whether a chain may be the device that the user named.
func (d Device) couldBe(protocol isp.Protocol, s *shape) bool {
	switch d {
	case DLG1:
		return protocol == isp.ISP2 && s.sensors == 2
	case LC1, LC2:
		return protocol == isp.ISP2 && s.sensors == 1 && !s.lm1[0]
	case LM1:
		return protocol == isp.ISP1 || s.lm1[0]
	case LM2:
		return protocol == isp.ISP2 && s.sensors > 0 && !s.lm1[0]
	}
	return true
}
