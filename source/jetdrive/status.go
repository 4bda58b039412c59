package jetdrive

import (
	"net/netip"
	"time"

	"dynotap/sample"
)

// ProviderStatus is one provider as it is at present.
type ProviderStatus struct {
	HostID   HostID          `json:"host_id"`
	Name     string          `json:"name"` // 0x43FD while the name is not known
	Key      string          `json:"key"`  // first part of its channels' keys
	Address  netip.AddrPort  `json:"address"`
	Channels []ChannelStatus `json:"channels"`
	// RateHz is how often the fastest channel came in the last second.
	RateHz float64 `json:"rate_hz"`
	// LossPercent is the share of its messages that were lost in ten seconds.
	LossPercent float64     `json:"loss_percent"`
	Clock       ClockStatus `json:"clock"`
	LastSeen    time.Time   `json:"last_seen"`
	// Filtered says that provider_filter leaves it out.
	Filtered bool `json:"filtered,omitempty"`
	// Incompatible says that it speaks a newer protocol and is ignored.
	Incompatible bool           `json:"incompatible,omitempty"`
	Logging      *LoggingStatus `json:"logging"` // nil: it has said nothing
	Counters
}

// ChannelStatus is one channel of a provider, listed by it or known by its
// values only.
type ChannelStatus struct {
	ID     uint16      `json:"id"`
	Name   string      `json:"name"` // chan_<id> while not listed
	Unit   sample.Unit `json:"unit"`
	Listed bool        `json:"listed"`
}

// ClockStatus is a provider's clock.
type ClockStatus struct {
	// OffsetMS leads from the provider's timestamps, in ms without wrap, to Unix
	// time in ms: it is when that clock stood at 0. Nil: no timestamp yet.
	OffsetMS *float64 `json:"offset_ms"`
	// LatencyMS is half the quickest round trip of the last minute. Nil: no
	// ping answered.
	LatencyMS *float64 `json:"latency_ms"`
	Synced    bool     `json:"synced"`
	// Source is arrival, passive or synchronised.
	Source string `json:"source"`
	// Restarts counts when the provider's clock began anew.
	Restarts int `json:"restarts"`
}

// LoggingStatus is what a provider said of its own log.
type LoggingStatus struct {
	Started bool      `json:"started"`
	Since   time.Time `json:"since"`
}

// Status is the whole source.
type Status struct {
	HostID       HostID           `json:"host_id"` // our own, 0x0000: none
	Transmitting bool             `json:"transmitting"`
	Collisions   uint64           `json:"collisions"`
	Total        Counters         `json:"total"`
	Socket       ConnCounters     `json:"socket"`
	Buffer       int              `json:"receive_buffer"` // bytes, as granted
	Warning      string           `json:"warning,omitempty"`
	Incompatible []HostID         `json:"incompatible"` // hosts that are ignored
	Providers    []ProviderStatus `json:"providers"`
}

// providers gives every provider in the order of appearance. Called with mu
// held.
func (r *receiver) providers(now int64) []ProviderStatus {
	out := []ProviderStatus{}
	for _, p := range r.registry.providers {
		if p.host.provider == p {
			out = append(out, p.status(now))
		}
	}
	return out
}

func (p *provider) status(now int64) ProviderStatus {
	s := ProviderStatus{
		HostID: HostID(p.host.id), Name: p.title(), Key: p.key, Address: p.host.address,
		Channels: []ChannelStatus{}, RateHz: p.rate.rate(now, p.channels.counts), LossPercent: p.host.loss.share(now),
		Clock: p.host.clock.status(now), LastSeen: sample.Time(p.host.seen),
		Filtered: p.excluded, Incompatible: p.host.barred, Counters: p.former,
	}
	s.add(p.host.counters())
	for _, e := range p.channels.inUse() {
		s.Channels = append(s.Channels, ChannelStatus{ID: e.id, Name: e.label, Unit: e.unit, Listed: e.state == listed})
	}
	if l := p.host.logging; l.known {
		s.Logging = &LoggingStatus{Started: l.started, Since: sample.Time(l.since)}
	}
	return s
}

func (c *hostClock) status(now int64) ClockStatus {
	s := ClockStatus{Source: c.quality(now).String(), Restarts: max(0, c.epochs-1)}
	if t, ok := c.trips.best(now); ok {
		latency := float64(t.roundTrip()) / 2000
		s.LatencyMS, s.Synced = &latency, true
		if c.epochs == 0 {
			offset := float64(c.tripOffset(t)) / 1000
			s.OffsetMS, s.Source = &offset, sample.ClockSynced.String()
		}
	}
	if c.epochs > 0 {
		offset := float64(c.offset) / 1000
		s.OffsetMS = &offset
	}
	return s
}

// incompatible is the hosts that are ignored. Called with mu held.
func (r *receiver) incompatible() []HostID {
	out := []HostID{}
	for _, h := range r.registry.hosts {
		if h.barred {
			out = append(out, HostID(h.id))
		}
	}
	return out
}
