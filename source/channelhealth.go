package source

import (
	"fmt"
	"strings"
	"time"
)

// ChannelState is the health of one channel (CONFORMANCE C6).
type ChannelState string

// The three states of a channel.
const (
	ChannelHealthy ChannelState = "healthy"
	// ChannelStale: no sample within the stale threshold.
	ChannelStale ChannelState = "stale"
	// ChannelInvalid: the newest sample is bad, or was rejected.
	ChannelInvalid ChannelState = "invalid"
)

// ChannelHealth is one channel's part of Health.
type ChannelHealth struct {
	Key      string       `json:"key"`
	Channel  string       `json:"channel"` // as people see it, 0x43FD:6:Humidity
	State    ChannelState `json:"state"`
	Since    time.Time    `json:"since"`            // when the state was entered
	Reason   string       `json:"reason,omitempty"` // of what is not as it should be
	LastSeen time.Time    `json:"last_seen"`
	RateHz   float64      `json:"rate_hz"` // over the last five seconds
	// ExpectedHz is the highest rate that the channel has kept up for five
	// seconds since it came, or came back after it was stale; left out while
	// it has kept up none, as one that comes less than once a second.
	ExpectedHz float64 `json:"expected_hz,omitempty"`
	// Slow says that the rate has been below half of the expected one for
	// longer than the stale threshold; it can be so in any state but stale.
	Slow      bool       `json:"slow"`
	SlowSince *time.Time `json:"slow_since,omitempty"`
}

// Troubled reports whether anything is wrong with the channel.
func (c *ChannelHealth) Troubled() bool { return c.State != ChannelHealthy || c.Slow }

// ChannelCounts is how many channels are in each state. The states add up to
// Total; slow ones are counted beside.
type ChannelCounts struct {
	Total   int `json:"total"`
	Healthy int `json:"healthy"`
	Stale   int `json:"stale"`
	Invalid int `json:"invalid"`
	Slow    int `json:"slow"`
}

func countChannels(list []ChannelHealth) ChannelCounts {
	n := ChannelCounts{Total: len(list)}
	for i := range list {
		switch list[i].State {
		case ChannelHealthy:
			n.Healthy++
		case ChannelStale:
			n.Stale++
		case ChannelInvalid:
			n.Invalid++
		}
		if list[i].Slow {
			n.Slow++
		}
	}
	return n
}

// named is how many channels a remark names.
const named = 5

// ChannelRemarks says in words what is wrong with the channels, a line for
// each kind of trouble.
func (h *Health) ChannelRemarks() []string {
	var out []string
	for _, kind := range []struct {
		what   string
		is     func(*ChannelHealth) bool
		figure bool
	}{
		{"stale", func(c *ChannelHealth) bool { return c.State == ChannelStale }, false},
		{"invalid", func(c *ChannelHealth) bool { return c.State == ChannelInvalid }, false},
		{"slow", func(c *ChannelHealth) bool { return c.Slow }, true},
	} {
		var names []string
		n := 0
		for i := range h.Channels {
			c := &h.Channels[i]
			if !kind.is(c) {
				continue
			}
			if n++; n > named {
				continue
			}
			name := c.Channel
			if kind.figure {
				name += fmt.Sprintf(" (%.3g Hz instead of %.3g Hz)", c.RateHz, c.ExpectedHz)
			}
			names = append(names, name)
		}
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%d of %d channels %s: %s", n, len(h.Channels), kind.what, strings.Join(names, ", "))
		if n > named {
			text += fmt.Sprintf(" and %d more", n-named)
		}
		out = append(out, text)
	}
	return out
}
