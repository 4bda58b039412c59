package device

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Faults are what goes wrong between the device and the program.
type Faults struct {
	// Lose, Insert and Flip are shares of the bytes, 0 to 1: not sent, followed
	// by one that was not sent, sent with a wrong bit.
	Lose, Insert, Flip float64
	// FlowControl takes every 0x11 and 0x13 out.
	FlowControl bool
	// Latency is an adapter's latency timer: bytes arrive at its next tick.
	Latency time.Duration
	// Every SilentEvery the device sends nothing for SilentFor; every
	// UnplugEvery its adapter is unplugged for UnplugFor. 0: never.
	SilentEvery, SilentFor time.Duration
	UnplugEvery, UnplugFor time.Duration
	Seed                   uint64
}

// ParseFaults reads what the command line says of faults, separated by commas:
// lose=0.01, insert=0.01, flip=0.01, xonxoff, latency=16ms, silence=30s/5s,
// unplug=60s/3s (every so often, for so long), seed=7.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		switch name {
		case "":
		case "lose":
			f.Lose, err = strconv.ParseFloat(value, 64)
		case "insert":
			f.Insert, err = strconv.ParseFloat(value, 64)
		case "flip":
			f.Flip, err = strconv.ParseFloat(value, 64)
		case "xonxoff":
			f.FlowControl = true
		case "latency":
			f.Latency, err = time.ParseDuration(value)
		case "silence":
			f.SilentEvery, f.SilentFor, err = parseTurns(value)
		case "unplug":
			f.UnplugEvery, f.UnplugFor, err = parseTurns(value)
		case "seed":
			f.Seed, err = strconv.ParseUint(value, 10, 64)
		default:
			err = errors.New("use lose, insert, flip, xonxoff, latency, silence, unplug or seed")
		}
		if err != nil {
			return Faults{}, fmt.Errorf("fault %q: %w", part, err)
		}
	}
	return f, f.check()
}

func parseTurns(text string) (every, lasting time.Duration, err error) {
	first, second, both := strings.Cut(text, "/")
	if !both {
		return 0, 0, errors.New("say how often and for how long, such as 60s/3s")
	}
	if every, err = time.ParseDuration(first); err != nil {
		return 0, 0, err
	}
	lasting, err = time.ParseDuration(second)
	return every, lasting, err
}

func (f *Faults) check() error {
	for _, share := range [...]float64{f.Lose, f.Insert, f.Flip} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%g is no share between 0 and 1", share)
		}
	}
	for _, t := range [...][2]time.Duration{{f.SilentEvery, f.SilentFor}, {f.UnplugEvery, f.UnplugFor}} {
		if t[0] < 0 || t[1] < 0 || t[0] > 0 && t[1] >= t[0] {
			return fmt.Errorf("every %v for %v leaves nothing", t[0], t[1])
		}
	}
	if f.Latency < 0 || f.Latency >= Period {
		return fmt.Errorf("latency %v is not between 0 and %v", f.Latency, Period)
	}
	return nil
}

// turn reports whether something that comes every so often for so long is on
// at t. It begins with the off part.
func turn(t, every, lasting time.Duration) bool {
	return every > 0 && t%every >= every-lasting
}

// spoil appends what becomes of a packet's bytes on their way.
func (f *Faults) spoil(to, raw []byte, r *rand.Rand) []byte {
	for _, b := range raw {
		switch x := r.Float64(); {
		case f.FlowControl && (b == 0x11 || b == 0x13):
		case x < f.Lose:
		case x < f.Lose+f.Flip:
			to = append(to, b^1<<r.IntN(8))
		case x < f.Lose+f.Flip+f.Insert:
			to = append(to, b, byte(r.UintN(256)))
		default:
			to = append(to, b)
		}
	}
	return to
}
