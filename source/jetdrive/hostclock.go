package jetdrive

import (
	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

const (
	// clockWindow is how long a reading counts (DESIGN decision 8: 60 s), in µs.
	clockWindow = 60_000_000
	// slewStart is the error that a clock may have for good; a larger one is
	// corrected until it is under slewStop. µs.
	slewStart = 15_000
	slewStop  = 1_000
	// slewRate is the correction for each ms of the provider's clock, in µs:
	// 0.5 %; fastSlew, 5 %, is for errors above fastError µs.
	slewRate  = 5
	fastSlew  = 50
	fastError = 100_000
	// implausible is what no network delays, in µs and ms.
	implausible   = 1_000_000
	implausibleMS = 1_000
	// lagLimit is how long packets may come implausibly late before that is
	// taken for a clock that stood still, in µs.
	lagLimit = 5_000_000
	// passiveAfter is how long packets are watched before the smallest delay
	// counts as known, in µs.
	passiveAfter = 1_000_000
)

// hostClock leads from one host's timestamps (ms, wrapping) to session time
// (µs since the epoch). All times it gives are the timestamp plus one offset,
// so that the differences of sample times are exactly the differences of the
// timestamps, from the first sample on:
//
//   - The first packet of an epoch sets the offset from its arrival, or from a
//     ping that was answered before.
//   - The best offset is known better with time: that of the quickest answered
//     ping of the last 60 s, and never more than the smallest (arrival -
//     timestamp) of the last 60 s, since nothing arrives before it is sent.
//   - The offset in use stays as it is while it is within 15 ms, plus half the
//     round trip, of the best one. Beyond that it slews, by 0.5 % of the
//     provider's time (5 % when off by more than 100 ms), until it is within
//     1 ms. Times therefore never step back and stored times stay true.
//   - A new epoch begins when the timestamps jump back by more than 1 s or
//     ahead of what the arrival allows (a restart), when they are off by more
//     than 1 s after a ClearChannelInfo, or when all packets of 5 s come more
//     than 1 s later than they should. Only then does the offset step, to the
//     arrival, and never below the last time given.
//
// Timestamps are taken modulo 2^32 throughout. The zero value is ready.
type hostClock struct {
	epochs  int
	began   int64  // arrival of the epoch's first packet
	newest  uint32 // timestamp of the newest packet
	elapsed int64  // newest, unwrapped within the epoch, ms
	offset  int64  // session time = 1000*unwrapped + offset
	slewing bool
	doubted bool  // a ClearChannelInfo came: the provider may be another
	lagging int64 // arrival of the first of the late packets, 0: not lagging
	delay   slidingMin
	trips   tripLog
}

// mapping is a hostClock at one packet.
type mapping struct {
	ref  uint32
	base int64 // session time of ref, µs
}

// at is the session time of a timestamp within 2^31 ms of the packet's.
func (m mapping) at(stamp uint32) int64 { return m.base + int64(int32(stamp-m.ref))*1000 }

func (c *hostClock) now() mapping { return mapping{ref: c.newest, base: c.elapsed*1000 + c.offset} }

// observe takes in a packet of at least one value. A packet that fills a gap
// is timed but teaches nothing.
func (c *hostClock) observe(values []klhdv.Value, arrival int64, o order) mapping {
	if c.epochs == 0 {
		c.begin(newestOf(values), arrival)
		return c.now()
	}
	if o != inOrder {
		return c.now()
	}
	// The newest timestamp that can be true; other channels may lag, or carry
	// nonsense, without dragging the clock along.
	limit := clampMS((arrival + implausible - c.now().base) / 1000)
	step, found := int32(-implausibleMS-1), false
	for i := range values {
		if d := int32(values[i].Stamp - c.newest); d > step && d <= limit {
			step, found = d, true
		}
	}
	if !found || c.lags(arrival-c.now().base-int64(step)*1000, arrival) {
		c.begin(newestOf(values), arrival)
		return c.now()
	}
	c.doubted = false
	if step > 0 {
		c.newest += uint32(step)
		c.elapsed += int64(step)
	}
	stamp := c.elapsed
	if step < 0 {
		stamp += int64(step)
	}
	c.delay.add(arrival, arrival-stamp*1000)
	if step > 0 {
		c.slew(int64(step), arrival)
	}
	return c.now()
}

// lags reports whether packets that come late by the given µs mean that the
// provider's clock is another one, or stood still.
func (c *hostClock) lags(lateness, arrival int64) bool {
	if lateness <= implausible {
		c.lagging = 0
		return false
	}
	if c.lagging == 0 {
		c.lagging = arrival
	}
	return c.doubted || arrival-c.lagging >= lagLimit
}

// begin starts an epoch with a packet of the given newest timestamp.
func (c *hostClock) begin(stamp uint32, arrival int64) {
	last := c.now().base
	c.newest, c.elapsed = stamp, int64(stamp)
	c.delay.reset()
	c.delay.add(arrival, arrival-c.elapsed*1000)
	c.trips.keep(func(t trip) bool { return c.agrees(t) })
	c.offset, _ = c.best(arrival)
	if c.epochs > 0 && c.now().base <= last {
		c.offset += last + 1 - c.now().base
	}
	c.began, c.slewing, c.doubted, c.lagging = arrival, false, false, 0
	c.epochs++
}

// doubt says that the provider cleared its channels: what follows may come
// from one that began anew.
func (c *hostClock) doubt() { c.doubted = true }

// answered takes in an answered ping. One whose clock is not that of the
// values, as after a restart that no value has shown yet, is left out.
func (c *hostClock) answered(t trip) {
	if c.epochs == 0 {
		c.newest, c.elapsed = t.remote, int64(t.remote)
		c.trips.add(t)
	} else if c.agrees(t) {
		c.trips.add(t)
	}
}

func (c *hostClock) agrees(t trip) bool {
	expected, ok := c.delay.min(t.back)
	if !ok {
		expected = c.offset
	}
	off := c.tripOffset(t) - expected
	return max(off, -off) <= implausible+t.roundTrip()/2
}

// tripOffset is the offset by Cristian's algorithm: the answer was given half
// way between sending and return.
func (c *hostClock) tripOffset(t trip) int64 {
	unwrapped := c.elapsed + int64(int32(t.remote-c.newest))
	return t.sent + t.roundTrip()/2 - unwrapped*1000
}

// best is the best known offset and how far it may be off, in µs. Where the
// window holds nothing it is the offset in use.
func (c *hostClock) best(now int64) (offset, doubt int64) {
	offset, watched := c.delay.min(now)
	t, synced := c.trips.best(now)
	switch {
	case synced && watched:
		return min(offset, c.tripOffset(t)), t.roundTrip() / 2
	case synced:
		return c.tripOffset(t), t.roundTrip() / 2
	case watched:
		return offset, 0
	}
	return c.offset, 0
}

// slew corrects the offset by what the given step of the provider's clock, in
// ms, allows.
func (c *hostClock) slew(step, now int64) {
	best, doubt := c.best(now)
	wrong := c.offset - best
	size := max(wrong, -wrong)
	if size <= slewStop || !c.slewing && size <= slewStart+doubt {
		c.slewing = false
		return
	}
	c.slewing = true
	rate := int64(slewRate)
	if size > fastError {
		rate = fastSlew
	}
	correction := min(size, step*rate)
	if wrong > 0 {
		correction = -correction
	}
	c.offset += correction
}

// quality says what the times stand on at the given session time.
func (c *hostClock) quality(now int64) sample.Clock {
	if c.epochs > 0 {
		if _, ok := c.trips.best(now); ok {
			return sample.ClockSynced
		}
		if now-c.began >= passiveAfter {
			return sample.ClockPassive
		}
	}
	return sample.ClockArrival
}

// newestOf is the newest timestamp of a packet whose clock is not known yet:
// the newest of the largest group within a second, so that a channel that was
// never updated does not count. Of a long packet it asks 64 values.
func newestOf(values []klhdv.Value) uint32 {
	every := 1 + len(values)/64
	newest, most := values[0].Stamp, 0
	for i := 0; i < len(values); i += every {
		top, company := values[i].Stamp, 0
		for j := 0; j < len(values); j += every {
			if d := int32(values[j].Stamp - values[i].Stamp); d >= -implausibleMS && d <= implausibleMS {
				company++
				if int32(values[j].Stamp-top) > 0 {
					top = values[j].Stamp
				}
			}
		}
		if company > most {
			newest, most = top, company
		}
	}
	return newest
}

// clampMS fits a duration in ms into what int32 timestamp differences express.
func clampMS(ms int64) int32 {
	const limit = 1<<31 - 1
	return int32(max(-limit, min(limit, ms)))
}
