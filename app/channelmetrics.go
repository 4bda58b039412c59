package app

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"dynotap/source"
)

// maxTroubled bounds the channels of a source that are series of their own.
const maxTroubled = 100

// collectChannels gives how many channels are in each state, for alarms, and
// names those that are in trouble, for as long as they are: a provider can have
// thousands, and whoever is on the network chooses their names.
func collectChannels(out chan<- prometheus.Metric, name string, h *source.Health) {
	counts := describe("channels", "Channels by state; slow ones are healthy or invalid as well.", "source", "state")
	n := &h.ChannelCounts
	for state, count := range map[string]int{
		string(source.ChannelHealthy): n.Healthy, string(source.ChannelStale): n.Stale, string(source.ChannelInvalid): n.Invalid,
		"slow": n.Slow,
	} {
		gauge(out, counts, float64(count), name, state)
	}
	labels := []string{"source", "key", "address"}
	state := describe("channel_state", "State of a channel in trouble, of at most 100 a source: 0 healthy (but slow), 1 stale, 2 invalid.", labels...)
	rate := describe("channel_rate_hz", "How often it comes, over the last five seconds.", labels...)
	expected := describe("channel_expected_rate_hz", "How often it came before, where that is known.", labels...)
	troubled := 0
	for i := range h.Channels {
		c := &h.Channels[i]
		if !c.Troubled() {
			continue
		}
		if troubled++; troubled > maxTroubled {
			return
		}
		values := []string{name, printable(c.Key), printable(c.Channel)}
		gauge(out, state, channelNumber(c.State), values...)
		gauge(out, rate, c.RateHz, values...)
		if c.ExpectedHz > 0 {
			gauge(out, expected, c.ExpectedHz, values...)
		}
	}
}

func channelNumber(s source.ChannelState) float64 {
	switch s {
	case source.ChannelStale:
		return 1
	case source.ChannelInvalid:
		return 2
	default:
		return 0
	}
}

// printable makes a label of what a provider calls a channel.
func printable(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
