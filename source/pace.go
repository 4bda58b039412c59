package source

import (
	"slices"
	"time"
)

const (
	// paceSpan is over how many seconds a channel's rate is taken, and how many
	// have to be alike for it to become the expected one.
	paceSpan  = 5
	paceSlots = paceSpan + 1 // and the present second
)

// pace is how often one channel comes, in seconds counted from the beginning
// of the watch. What is expected is what the channel itself has shown: the
// highest median of five full seconds none of which had less than half of the
// best one's samples. So a burst does not raise it, and a channel that comes
// less than once a second has none.
type pace struct {
	counts    [paceSlots]uint32 // samples by second
	first     int64             // the second of the first sample, not a full one
	expected  float64           // Hz; 0: not known
	slowSince time.Duration     // below half of it since; 0: not
}

// close ends the second before the given one, which begins.
func (p *pace) close(slot int64) {
	var full [paceSpan]uint32
	for i := range full {
		full[i] = p.counts[(slot-1-int64(i)+paceSlots)%paceSlots]
	}
	p.counts[slot%paceSlots] = 0
	if slot-paceSpan <= p.first {
		return
	}
	slices.Sort(full[:])
	if full[0] > 0 && 2*full[0] >= full[paceSpan-1] {
		p.expected = max(p.expected, float64(full[paceSpan/2]))
	}
	var sum uint32
	for _, n := range full {
		sum += n
	}
	switch slow := 2*float64(sum) < paceSpan*p.expected; {
	case !slow:
		p.slowSince = 0
	case p.slowSince == 0:
		p.slowSince = time.Duration(slot) * time.Second
	}
}

// rate is the frequency in Hz over the last five full seconds and the present
// one, or over what there was of them.
func (p *pace) rate(slot int64, now time.Duration) float64 {
	var sum uint32
	for _, n := range p.counts {
		sum += n
	}
	begin := time.Duration(max(slot-paceSpan, p.first)) * time.Second
	return float64(sum) / max(now-begin, time.Second).Seconds()
}
