package innovate

import (
	"context"
	"time"

	"dynotap/source/innovate/isp"
)

// Observation is what was heard on a port.
type Observation struct {
	Protocol string `json:"protocol"`
	Device   string `json:"device"`
	Bytes    uint64 `json:"bytes"`
	Packets  uint64 `json:"packets"`
	Hints    []Hint `json:"hints"`
	// Speaks says that this is an Innovate device, if only a damaged one.
	Speaks bool `json:"speaks"`
}

const (
	// heardEnough packets end the listening early: the half second they take is
	// long enough for what is told by the first.
	heardEnough = 6
	// heardLeast is what makes a device of a port that was listened to in full:
	// an ISP1 device is not known with fewer either.
	heardLeast = 3
	// listenStep bounds one look at the port.
	listenStep = 50 * time.Millisecond
)

// Listen listens to a port for a device, for span at most, which should be a
// second or more. It returns what it has heard when the port fails or ctx
// ends, with that error.
func Listen(ctx context.Context, port Port, span time.Duration) (Observation, error) {
	var decoder isp.Decoder
	var flow isp.FlowControl
	var last shape
	see := func(p *isp.Packet) {
		if !p.Answer {
			last = shapeOf(p)
		}
	}
	var failure error
	buf := make([]byte, 512)
	for end := time.Now().Add(span); time.Now().Before(end) && decoder.Counters().Packets < heardEnough; {
		if failure = ctx.Err(); failure != nil {
			break
		}
		n, err := port.Read(buf, listenStep)
		decoder.Feed(buf[:n], see)
		if n == 0 {
			decoder.Flush(see)
		}
		flow.Look(buf[:n], decoder.Counters())
		if failure = err; err != nil {
			break
		}
	}
	c, damage := decoder.Counters(), flow.Damage()
	return Observation{
		Protocol: decoder.Protocol().String(), Device: identify(decoder.Protocol(), &last),
		Bytes: c.Bytes, Packets: c.Packets, Hints: streamHints(c, damage),
		Speaks: c.Packets >= heardLeast || damage.Suspicion != isp.Unsuspected,
	}, failure
}
