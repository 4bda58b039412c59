package jetdrive

import "dynotap/source/jetdrive/klhdv"

// LoggingChange says that a provider began or ended a log of its own, as the
// button on a dyno's console does; recordings follow it.
type LoggingChange struct {
	Provider string // name, or host id where the name is not known
	Host     HostID
	Started  bool
	At       int64 // session time, µs since the epoch
}

// loggingState is what a host said last of its log.
type loggingState struct {
	known, started bool
	start          uint32 // provider's clock, ms
	since          int64  // session time, µs
}

// onLogging follows RequestLoggingResponse, whoever asked for it. The first
// word of a host that it does not log is no change.
func (r *receiver) onLogging(h *host, value []byte, arrival int64, seen *Counters) {
	response, err := klhdv.DecodeLoggingResponse(value)
	if err != nil {
		seen.Malformed.Value++
		return
	}
	started := response.State == klhdv.LoggingStarted
	old := h.logging
	now := loggingState{known: true, started: started, start: response.Start, since: arrival}
	if started {
		now.since = h.clock.moment(response.Start, arrival)
	}
	if old.known && old.started == started && (!started || old.start == response.Start) {
		return
	}
	h.logging = now
	if started || old.started {
		change := LoggingChange{Provider: HostID(h.id).String(), Host: HostID(h.id), Started: started, At: now.since}
		if h.provider != nil {
			change.Provider = h.provider.title()
		}
		r.changes = append(r.changes, change)
	}
}

// moment is the session time of a timestamp of the past, or the arrival where
// the clock is not known or the timestamp lies ahead of it.
func (c *hostClock) moment(stamp uint32, arrival int64) int64 {
	if c.epochs == 0 {
		return arrival
	}
	if at := c.now().at(stamp); at <= arrival+implausible {
		return at
	}
	return arrival
}
