package innovate

import "math"

const (
	// packetPeriod is the time between two packets in µs (PROTOCOLS 2).
	packetPeriod = 81_920.0
	// clockError bounds how far a device's clock is believed to be off: its
	// resonator may be a ceramic one.
	clockError = 0.01
	// window is how many packets the clock is taken from: 21 seconds.
	window = 256
	// slopeSpan is how many packets apart the ends of the window have to be
	// before the device's own period is taken from it; with fewer the latency
	// would make more of it than the device.
	slopeSpan = 32
	// settleAfter packets the smallest delay has most likely been met: with a
	// latency timer of 16 ms it comes round every ninth packet.
	settleAfter = 12
	// A gap of so many periods makes the device's next packet a new beginning:
	// it may have been switched off.
	longestGap = 8
	// A device that started anew without a gap sends later, or sooner, than it
	// would have. Where one packet comes so much (µs) sooner, or this many in a
	// row come so much later, it has.
	restartAfter = 16
	restartShift = 20_000.0
	// gain is how much of what the line has moved the times follow with each
	// packet, once they have settled.
	gain = 0.05
	// early is how much sooner than calculated a packet may come, in periods,
	// and still be the one that is due: the first packets may all have met the
	// longest delay of a latency timer.
	early = 0.25
)

// phase finds out when packets were sent. A device sends one every 81.92 ms by
// its own clock; they arrive later by the time the cable, a USB adapter's
// latency timer (up to 16 ms) and the system take, never earlier. The line
// through the earliest arrivals, number of packet against time, is therefore
// the device's clock plus the smallest delay, and says when each packet would
// have come without jitter.
//
// Times are in µs of any one clock. What it gives rises strictly and is never
// later than the arrival.
type phase struct {
	points [window]point // a ring, oldest at next
	count  int
	next   int
	number int64 // of the newest packet
	given  int64 // the newest time that was given out
	begun  bool  // given counts
}

// point is an arrival that was not held up behind another packet.
type point struct {
	number int64
	at     int64
}

// stamp gives the times of packets that arrived together, oldest first, in
// into, which is used again. There is at least one.
func (p *phase) stamp(into []int64, arrived int64, packets int) []int64 {
	steps := p.steps(arrived, packets)
	before := p.number
	p.number += steps
	if p.count > 0 && float64(p.line().at(p.number)-arrived) > restartShift {
		p.forgetAllBut(0)
	}
	p.add(point{p.number, arrived})
	l := p.line()
	slew := p.settled()
	if p.restarted(l) {
		p.forgetAllBut(restartAfter)
		l, slew = p.line(), false
	}
	into = into[:0]
	for i := range packets {
		behind := int64(packets - 1 - i)
		number := p.number - behind
		t := l.at(number)
		if slew {
			went := p.given + int64(float64(number-before)*l.period)
			t = went + int64(gain*float64(t-went))
		}
		t = min(t, arrived-behind)
		if p.begun {
			t = max(t, p.given+1)
		}
		p.given, p.begun = t, true
		before = number
		into = append(into, t)
	}
	return into
}

// steps is how many packets the device has sent since the last call.
func (p *phase) steps(arrived int64, packets int) int64 {
	if p.count == 0 {
		return int64(packets)
	}
	periods := float64(arrived-p.given) / packetPeriod
	if periods-float64(packets) > longestGap {
		p.forgetAllBut(0)
	}
	return max(int64(packets), int64(math.Floor(periods+early)))
}

// settled reports whether jitter is out of the times.
func (p *phase) settled() bool { return p.count >= settleAfter }

func (p *phase) add(q point) {
	p.points[p.next] = q
	p.next = (p.next + 1) % window
	p.count = min(p.count+1, window)
}

// point gives the i-th point, 0 the oldest.
func (p *phase) point(i int) point {
	return p.points[(p.next-p.count+i+window)%window]
}

func (p *phase) forgetAllBut(n int) { p.count = min(p.count, n) }

// line is a line below all arrivals, in relation to the newest point.
type line struct {
	origin point
	period float64
	offset float64 // µs, at the origin; not above 0
}

func (l line) at(number int64) int64 {
	return l.origin.at + int64(math.Floor(l.offset+float64(number-l.origin.number)*l.period))
}

// line finds, among the lines that lie below all points, the one closest to
// them. Its slope stays within clockError of the nominal period.
func (p *phase) line() line {
	newest, oldest := p.point(p.count-1), p.point(0)
	l := line{origin: newest, period: packetPeriod}
	if newest.number-oldest.number >= slopeSpan {
		l.period = min(max(p.slope(), packetPeriod*(1-clockError)), packetPeriod*(1+clockError))
	}
	for i := range p.count {
		q := p.point(i)
		l.offset = min(l.offset, float64(q.at-newest.at)-float64(q.number-newest.number)*l.period)
	}
	return l
}

// slope is that of the edge of the lower convex hull that lies under the mean
// of the points, which is the closest line below them.
func (p *phase) slope() float64 {
	var hull [window]point
	n, mean := 0, int64(0)
	for i := range p.count {
		q := p.point(i)
		mean += q.number
		for n >= 2 && !turnsUp(hull[n-2], hull[n-1], q) {
			n--
		}
		hull[n] = q
		n++
	}
	mean /= int64(p.count)
	i := 1
	for i < n-1 && hull[i].number < mean {
		i++
	}
	return float64(hull[i].at-hull[i-1].at) / float64(hull[i].number-hull[i-1].number)
}

func turnsUp(a, b, c point) bool {
	return (b.number-a.number)*(c.at-a.at) > (b.at-a.at)*(c.number-a.number)
}

// restarted reports whether the newest packets all come late.
func (p *phase) restarted(l line) bool {
	if p.count <= restartAfter {
		return false
	}
	for i := p.count - restartAfter; i < p.count; i++ {
		if q := p.point(i); float64(q.at-l.at(q.number)) < restartShift {
			return false
		}
	}
	return true
}
