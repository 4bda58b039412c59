package innovate

import (
	"fmt"

	"dynotap/sample"
	"dynotap/source/innovate/isp"
)

// auxIDs is where the ids of aux channels begin; sensor n has 16n to 16n+15.
const auxIDs = 4096

// confirmAfter is how many packets in a row have to show another chain before
// it is believed: one with a damaged length shows one, too.
const confirmAfter = 3

// shape is what a chain consists of.
type shape struct {
	sensors int
	lm1     [MaxSensors]bool
	aux     int
}

func shapeOf(p *isp.Packet) shape {
	s := shape{sensors: len(p.Sensors), aux: len(p.Aux)}
	for i := range p.Sensors {
		s.lm1[i] = p.Sensors[i].LM1
	}
	return s
}

// fits reports whether p can come from a chain of this shape. An LM-1 that
// gives no lambda may leave its inputs out.
func (s *shape) fits(p *isp.Packet) bool {
	if len(p.Sensors) != s.sensors {
		return false
	}
	silent := false
	for i := range p.Sensors {
		if p.Sensors[i].LM1 != s.lm1[i] {
			return false
		}
		silent = silent || isSilent(&p.Sensors[i])
	}
	return len(p.Aux) == s.aux || silent
}

func isSilent(s *isp.Sensor) bool { return s.LM1 && !s.HasBattery }

// mapper turns packets into samples.
type mapper struct {
	settings  *Settings
	shape     shape
	set       *sample.ChannelSet // nil: no packet yet
	index     map[uint32]uint32  // channel id to index in set
	rival     shape
	rivals    int    // packets in a row of that shape
	unsettled uint64 // packets that were dropped because they were too few to change the chain
}

// adopt reports whether p belongs to the chain, and takes it for the chain
// where there is none yet or enough speaks for another. Where the chain
// changes, so does set.
func (m *mapper) adopt(p *isp.Packet) bool {
	if m.set != nil && m.shape.fits(p) {
		m.unsettle()
		return true
	}
	s := shapeOf(p)
	if m.set != nil {
		if m.rivals == 0 || s != m.rival {
			m.unsettle()
			m.rival = s
		}
		if m.rivals++; m.rivals < confirmAfter {
			return false
		}
		m.unsettled += uint64(m.rivals - 1)
	}
	m.shape, m.rivals = s, 0
	m.rebuild()
	return true
}

// unsettle drops what spoke for another chain.
func (m *mapper) unsettle() {
	m.unsettled += uint64(m.rivals)
	m.rivals = 0
}

// rebuild makes the channel set of the present chain.
func (m *mapper) rebuild() {
	var channels []sample.Channel
	m.index = map[uint32]uint32{}
	add := func(id uint32, label string, unit sample.Unit) {
		m.index[id] = uint32(len(channels))
		channels = append(channels, sample.Channel{
			Key: sample.ChannelKey(provider, id, 0), Provider: provider, ID: id, Label: label, NativeUnit: unit,
		})
	}
	for n := 1; n <= m.shape.sensors; n++ {
		if !m.settings.reads(n) {
			continue
		}
		for kind := afrChannel; kind <= batteryChannel; kind++ {
			if kind != batteryChannel || m.shape.lm1[n-1] {
				add(sensorID(n, kind), sensorLabel(n, kind), kind.unit())
			}
		}
	}
	for n := 1; n <= m.shape.aux; n++ {
		add(auxIDs+uint32(n), fmt.Sprintf("aux_%d", n), sample.Volt)
	}
	m.set = sample.NewChannelSet(m.settings.Name, channels)
}

// provider is the name under which a chain's channels are known. It does not
// say which device it is: that is found out later, and keys are for good.
const provider = "Innovate"

func sensorID(n int, kind channelKind) uint32 { return 16*uint32(n) + uint32(kind) }

// samples appends what an adopted packet says, without times.
func (m *mapper) samples(to []sample.Sample, p *isp.Packet) []sample.Sample {
	put := func(id uint32, value float64) {
		to = append(to, sample.Sample{Channel: m.index[id], Value: value})
	}
	for i := range p.Sensors {
		n, s := i+1, &p.Sensors[i]
		if !m.settings.reads(n) {
			continue
		}
		put(sensorID(n, statusChannel), float64(s.Function))
		switch s.Function {
		case isp.Lambda:
			afr, lambda := m.settings.Sensors[n].reading(s)
			put(sensorID(n, lambdaChannel), lambda)
			if afr != 0 {
				put(sensorID(n, afrChannel), afr)
			}
		case isp.O2:
			put(sensorID(n, o2Channel), float64(s.Value)/10)
		case isp.WarmingUp:
			put(sensorID(n, warmupChannel), float64(s.Value)/10)
		case isp.HeaterCalibration:
			put(sensorID(n, countdownChannel), float64(s.Value))
		case isp.ErrorCode:
			put(sensorID(n, errorChannel), float64(s.Value))
		}
		if volts, ok := s.Battery(); ok {
			put(sensorID(n, batteryChannel), volts)
		}
	}
	if len(p.Aux) == m.shape.aux {
		for i := range p.Aux {
			put(auxIDs+uint32(i+1), p.Aux[i].Volts())
		}
	}
	return to
}
