package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dynotap/source"
)

// troubled is the health of a source with three stale, one slow, and many
// invalid channels.
func troubled(invalid int) source.Health {
	h := source.Health{State: source.Connected, Healthy: true}
	add := func(state source.ChannelState, slow bool) {
		n := len(h.Channels)
		h.Channels = append(h.Channels, source.ChannelHealth{
			Key: fmt.Sprintf("P/%d/0", n), Channel: fmt.Sprintf("0x43FD:%d:\xff", n), State: state,
			Slow: slow, RateHz: 4, ExpectedHz: 20,
		})
	}
	for range 56 {
		add(source.ChannelHealthy, false)
	}
	for range 3 {
		add(source.ChannelStale, false)
	}
	add(source.ChannelHealthy, true)
	for range invalid {
		add(source.ChannelInvalid, false)
	}
	h.ChannelCounts = source.ChannelCounts{Total: len(h.Channels), Healthy: 57, Stale: 3, Invalid: invalid, Slow: 1}
	return h
}

// channelCollector collects the channels of one source.
type channelCollector struct{ health source.Health }

func (channelCollector) Describe(chan<- *prometheus.Desc) {}
func (c channelCollector) Collect(out chan<- prometheus.Metric) {
	collectChannels(out, "jetdrive", &c.health)
}

func TestC6MetricsNameChannelsInTroubleOnly(t *testing.T) {
	t.Parallel()
	for invalid, series := range map[int]int{0: 4, 5: 9, 5000: maxTroubled} {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(channelCollector{troubled(invalid)})
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found, got := map[string]int{}, map[string]float64{}
		for _, f := range families {
			found[f.GetName()] = len(f.GetMetric())
			for _, m := range f.GetMetric() {
				if f.GetName() == "dynotap_channels" {
					got[m.GetLabel()[1].GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
		if found["dynotap_channel_state"] != series || found["dynotap_channel_rate_hz"] != series {
			t.Errorf("%v, want %d channels named", found, series)
		}
		if got["healthy"] != 57 || got["stale"] != 3 || got["invalid"] != float64(invalid) || got["slow"] != 1 || len(got) != 4 {
			t.Errorf("counts %v", got)
		}
	}
}

func TestC6StatusNamesChannelsInTrouble(t *testing.T) {
	t.Parallel()
	health := troubled(0)
	for i := range health.Channels {
		health.Channels[i].Channel = strings.ToValidUTF8(health.Channels[i].Channel, "x")
	}
	sick := source.Health{State: source.Reconnecting, Conditions: []source.Condition{
		{Code: "not_connected", Text: "not connected: reconnecting", Since: time.Now().Truncate(24 * time.Hour)},
	}}
	text, err := json.Marshal(map[string]any{"sources": []any{
		map[string]any{"name": "jetdrive", "enabled": true, "health": health},
		map[string]any{"name": "innovate", "enabled": true, "health": sick},
		map[string]any{"name": "other", "enabled": false, "health": source.Health{State: source.Disconnected, Channels: health.Channels}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var v statusView
	if err := json.Unmarshal(text, &v.sources); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := v.print(&out, "here"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"jetdrive: 3 of 60 channels stale: 0x43FD:56:x, 0x43FD:57:x, 0x43FD:58:x\n",
		"jetdrive: 1 of 60 channels slow: 0x43FD:59:x (4 Hz instead of 20 Hz)\n",
		"not connected: reconnecting since " + time.Now().Truncate(24*time.Hour).Local().Format("15:04:05"),
		"not enabled",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status does not say %q:\n%s", want, out.String())
		}
	}
	if slices.Contains(strings.Fields(out.String()), "other:") {
		t.Errorf("channels of a source that does not run are in trouble:\n%s", out.String())
	}
}
