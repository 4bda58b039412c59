package pipeline

import (
	"context"
	"errors"
	"testing"

	"dynotap/sample"
)

func liveSet(label string) *sample.ChannelSet {
	return sample.NewChannelSet("jetdrive", []sample.Channel{
		{Key: "CPU/1/0", Label: label, NativeUnit: sample.Kilowatt, Unit: sample.Horsepower, Name: "horsepower"},
		{Key: "CPU/2/0", Label: "Engine RPM", NativeUnit: sample.RPM, Unit: sample.RPM, Name: "rpm"},
	})
}

func TestHubGivesTheNewestValueInCanonicalUnits(t *testing.T) {
	h := NewHub()
	set := liveSet("chan_1")
	h.Publish(&sample.Batch{Source: "jetdrive", Set: set, Samples: []sample.Sample{
		{Time: 10, Value: 1, Channel: 0}, {Time: 20, Value: 100, Channel: 0}, {Time: 15, Value: 7, Channel: 0},
		{Time: 20, Value: 3000, Channel: 1, Quality: sample.Suspect},
	}})
	h.advance()
	u, err := h.Since(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Channels) != 2 || len(u.Values) != 2 {
		t.Fatalf("got %d channels, %d values", len(u.Channels), len(u.Values))
	}
	if v := u.Values[0]; v.Time != 20 || v.Value < 134.1 || v.Value > 134.11 || v.Samples != 3 {
		t.Errorf("power: %+v", v)
	}
	if v := u.Values[1]; v.Quality != sample.Suspect || v.Value != 3000 {
		t.Errorf("rpm: %+v", v)
	}

	h.Publish(&sample.Batch{Source: "jetdrive", Set: set, Samples: []sample.Sample{{Time: 30, Value: 3100, Channel: 1}}})
	h.advance()
	if u, _ = h.Since(t.Context(), u.Version); len(u.Channels) != 0 || len(u.Values) != 1 || u.Values[0].Value != 3100 {
		t.Errorf("only what changed: %+v", u)
	}
}

func TestHubKeepsAChannelThroughALateName(t *testing.T) {
	h := NewHub()
	h.Publish(&sample.Batch{Source: "jetdrive", Set: liveSet("chan_1"), Samples: []sample.Sample{{Time: 1, Value: 1}}})
	h.advance()
	first, _ := h.Since(t.Context(), 0)
	h.Publish(&sample.Batch{Source: "jetdrive", Set: liveSet("Power"), Samples: []sample.Sample{{Time: 2, Value: 2}}})
	h.advance()
	u, _ := h.Since(t.Context(), first.Version)
	if len(u.Channels) != 1 || u.Channels[0].Label != "Power" || u.Channels[0].Ref != first.Channels[0].Ref {
		t.Fatalf("a late name changes the label of the same channel: %+v", u.Channels)
	}
}

func TestHubWaitsAndGivesUpWithItsContext(t *testing.T) {
	h := NewHub()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Since(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if u := h.Now(); len(u.Values) != 0 {
		t.Fatalf("nothing was published: %+v", u)
	}
}
