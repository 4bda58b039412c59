package jetdrive

import "math"

// rateMeter measures how often a provider's fastest channel comes.
type rateMeter struct {
	began, last int64 // of the running second, µs; 0: nothing yet
	counts      []uint64
	hz          float64
}

const (
	rateWindow = 1_000_000 // µs
	rateStale  = 2_500_000 // µs without values after which the rate is 0
)

// observe is called before a packet's values are counted.
func (m *rateMeter) observe(now int64, counts []uint64) {
	if m.began == 0 || now-m.last > rateStale {
		m.began, m.hz = now, math.NaN()
		m.counts = append(m.counts[:0], counts...)
	} else if took := now - m.began; took >= rateWindow {
		m.hz = float64(m.most(counts)) / float64(took) * 1e6
		m.began = now
		m.counts = append(m.counts[:0], counts...)
	}
	m.last = now
}

func (m *rateMeter) most(counts []uint64) (most uint64) {
	for i, n := range counts {
		if i < len(m.counts) {
			n -= m.counts[i]
		}
		most = max(most, n)
	}
	return most
}

// rate is the frequency in Hz over the last full second, or over what there
// is of the first.
func (m *rateMeter) rate(now int64, counts []uint64) float64 {
	switch most := m.most(counts); {
	case m.began == 0 || now-m.last > rateStale:
		return 0
	case !math.IsNaN(m.hz):
		return m.hz
	case most < 2 || m.last == m.began:
		return 0
	default:
		return float64(most-1) / float64(m.last-m.began) * 1e6
	}
}
