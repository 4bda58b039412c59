package app

import (
	"net/http"
	"strings"
	"testing"
)

// TestRecordings has one recording follow a provider's own log, begun and
// ended by an independent client, and another the user's request.
func TestRecordings(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	in := startInstance(t, n, "--no-ui")
	client := startPeer(t, n, "client", 9, "--control")
	awaitListeners(t, n, 2)
	provider := startPeer(t, n, "provider", 7, "--rate", "20", "--channels", "6")

	await(t, "samples come", func() bool { return in.balanced()["jetdrive"].Processed > 0 })
	if _, err := in.client.call(t.Context(), http.MethodPost, "api/v1/recordings/start", nil, map[string]string{"name": "warm-up"}); err != nil {
		t.Fatal(err)
	}
	if _, err := in.client.call(t.Context(), http.MethodPost, "api/v1/recordings/start", nil, nil); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("a second recording: %v", err)
	}
	before := in.balanced()["jetdrive"].Processed
	await(t, "more samples come", func() bool { return in.balanced()["jetdrive"].Processed > before+60 })
	if _, err := in.client.call(t.Context(), http.MethodPost, "api/v1/recordings/stop", nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := in.client.get(t.Context(), "", nil); err == nil {
		t.Error("--no-ui serves a page all the same")
	}
	provider.wait()
	client.wait()
	in.stop()

	recordings := in.runs("recording")
	var byUser, byProvider int
	for _, r := range recordings {
		switch {
		case r.Name == "warm-up":
			byUser++
		case strings.Contains(r.Name, peerName):
			byProvider++
		}
		if r.EndedAt == nil || r.Summary == nil || r.Summary.SampleCount == 0 {
			t.Errorf("recording without an end or samples: %+v", r)
		}
	}
	if byUser != 1 || byProvider == 0 {
		t.Errorf("%d recordings by the user and %d by the provider: %+v", byUser, byProvider, recordings)
	}
}
