package sim

import (
	"fmt"
	"math"
	"time"
)

// The dyno: a drum of 18 inches whose inertia, with that of the wheel and the
// drive train, equals a mass of 380 kg at its rim, and an absorber that slows
// it down between pulls. The gear in use turns the engine three times as fast
// as the drum.
const (
	drumRadius   = 0.2286 // m
	inertiaMass  = 380.0  // kg
	ratio        = 3.0    // engine rpm per drum rpm
	absorber     = 1800.0 // N, while slowing down
	dragConstant = 25.0   // N, bearings
	dragAir      = 0.03   // N per (m/s)²
	msPerRPM     = 2 * math.Pi * drumRadius / (60 * ratio)
)

// How a pull goes: cruising, throttle open, up to the last rpm, throttle
// closed, slowed down to cruising.
const (
	cruiseRPM = 2000.0
	lastRPM   = 6000.0
	openTime  = 0.25 // s
	closeTime = 0.12 // s
	step      = 0.001
	lead      = 4.0 // s of cruising before the throttle opens
	settle    = 1.5 // s of cruising after which nothing of the pull is left
)

// DefaultPullEvery is the time from one pull to the next.
const DefaultPullEvery = 20 * time.Second

// Settings of a cell.
type Settings struct {
	// Seed chooses the noise. The pulls are the same with every seed.
	Seed uint64
	// PullEvery is the time from one pull to the next; 0 is
	// DefaultPullEvery. New refuses what is too short for a pull.
	PullEvery time.Duration
}

// moment is what the integration remembers of one step.
type moment struct {
	speed    float64 // m/s at the rim
	throttle float64 // 0 to 1
	brake    float64 // N
	distance float64 // m since the throttle opened
	charge   float64 // throttle as the manifold pressure follows it
	mixture  float64 // throttle as the mixture follows it
	flow     float64 // throttle as temperatures follow it
}

// Cell is a dyno cell in which one pull follows another. It is immutable, and
// safe for concurrent use.
type Cell struct {
	seed    uint64
	every   float64 // s
	cruise  moment
	moments []moment // from the opening of the throttle, one a step
	closed  float64  // s after the opening: the throttle begins to close
}

// New integrates one pull, which all pulls of the cell repeat.
func New(s Settings) (*Cell, error) {
	if s.PullEvery == 0 {
		s.PullEvery = DefaultPullEvery
	}
	c := &Cell{seed: s.Seed, every: s.PullEvery.Seconds()}
	speed := cruiseRPM * msPerRPM
	hold := throttleFor(cruiseRPM, drag(speed)*drumRadius/ratio)
	c.cruise = moment{speed: speed, throttle: hold, charge: hold, mixture: hold, flow: hold}
	c.integrate()
	if need := lead + float64(len(c.moments))*step; c.every < need {
		return nil, fmt.Errorf("pull every %v: a pull with its run-down takes %v",
			s.PullEvery, time.Duration(math.Ceil(need))*time.Second)
	}
	return c, nil
}

// drag is what slows the drum down by itself, in N; the dyno knows it and adds
// it to what it measures.
func drag(speed float64) float64 { return dragConstant + dragAir*speed*speed }

// driveForce is the engine's force at the rim in N.
func driveForce(speed, throttle float64) float64 {
	return engineTorque(speed/msPerRPM, throttle) * ratio / drumRadius
}

func acceleration(speed, throttle, brake float64) float64 {
	return (driveForce(speed, throttle) - drag(speed) - brake) / inertiaMass
}

// integrate follows one pull from the opening of the throttle until nothing of
// it is left.
func (c *Cell) integrate() {
	m := c.cruise
	c.closed = math.Inf(1)
	slowed := math.Inf(1)
	for i := 0; ; i++ {
		t := float64(i) * step
		switch {
		case math.IsInf(c.closed, 1) && m.speed/msPerRPM >= lastRPM:
			c.closed = t
		case math.IsInf(slowed, 1) && t > c.closed && m.speed <= c.cruise.speed:
			slowed = t
		case t > slowed+settle:
			return
		}
		m.throttle, m.brake = c.controls(t, slowed)
		c.moments = append(c.moments, m)
		if t >= slowed {
			m.speed = c.cruise.speed
		} else {
			m.speed += step * c.slope(t+step/2, m, slowed)
		}
		m.distance += step * m.speed
		follow(&m.charge, m.throttle, 0.08)
		follow(&m.mixture, m.throttle, 0.20)
		follow(&m.flow, m.throttle, 0.50)
	}
}

// slope is the acceleration in the middle of the step that begins with m
// (midpoint method).
func (c *Cell) slope(middle float64, m moment, slowed float64) float64 {
	half := m.speed + step/2*acceleration(m.speed, m.throttle, m.brake)
	throttle, brake := c.controls(middle, slowed)
	return acceleration(half, throttle, brake)
}

// controls gives throttle and absorber at t seconds after the opening.
func (c *Cell) controls(t, slowed float64) (throttle, brake float64) {
	switch {
	case t >= slowed:
		return c.cruise.throttle, 0
	case t >= c.closed:
		return max(0, 1-(t-c.closed)/closeTime), absorber * min(1, (t-c.closed)/closeTime)
	default:
		return min(1, c.cruise.throttle+(1-c.cruise.throttle)*t/openTime), 0
	}
}

// follow lets v approach target with the time constant tau in seconds.
func follow(v *float64, target, tau float64) { *v += (target - *v) * step / tau }

// Pull is one pull of a cell, in time since the start: from the opening of the
// throttle to its closing.
type Pull struct {
	Start, End time.Duration
}

// Pulls lists the pulls that end before until.
func (c *Cell) Pulls(until time.Duration) []Pull {
	var pulls []Pull
	for p := c.pull(0); p.End < until; p = c.pull(len(pulls)) {
		pulls = append(pulls, p)
	}
	return pulls
}

func (c *Cell) pull(i int) Pull {
	start := float64(i)*c.every + lead
	return Pull{Start: seconds(start), End: seconds(start + c.closed)}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// at gives the moment t seconds after the start, and the distance until then.
func (c *Cell) at(t float64) moment {
	cycle, phase := math.Floor(t/c.every), math.Mod(t, c.every)-lead
	last := c.moments[len(c.moments)-1]
	perCycle := last.distance + c.cruise.speed*(c.every-float64(len(c.moments)-1)*step)
	m := c.cruise
	switch i := int(math.Floor(phase / step)); {
	case phase < 0:
		m.distance = phase * c.cruise.speed
	case i+1 < len(c.moments):
		m = between(c.moments[i], c.moments[i+1], phase/step-float64(i))
	default:
		m.distance = last.distance + c.cruise.speed*(phase-float64(len(c.moments)-1)*step)
	}
	m.distance += lead*c.cruise.speed + cycle*perCycle
	return m
}

func between(a, b moment, part float64) moment {
	mid := func(x, y float64) float64 { return x + (y-x)*part }
	return moment{
		speed:    mid(a.speed, b.speed),
		throttle: mid(a.throttle, b.throttle),
		brake:    mid(a.brake, b.brake),
		distance: mid(a.distance, b.distance),
		charge:   mid(a.charge, b.charge),
		mixture:  mid(a.mixture, b.mixture),
		flow:     mid(a.flow, b.flow),
	}
}
