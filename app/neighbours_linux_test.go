package app

import (
	"testing"
)

// TestNeighbours has two instances and the independent client on one machine
// hear one provider, and answer each other.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	one, two := startInstance(t, n), startInstance(t, n)
	client := startPeer(t, n, "client", 8)
	awaitListeners(t, n, 3)
	provider := startPeer(t, n, "provider", 5, "--rate", "20", "--channels", "6")
	sent := provider.wait()
	heard := client.wait()

	want := only(t, heard, sent.Host)
	for name, in := range map[string]*instance{"one": one, "two": two} {
		if got := in.provider(peerName); int64(got.Values) != want.Values || !got.Clock.Synced {
			t.Errorf("instance %s heard %d values, the client %d; clock %s", name, got.Values, want.Values, got.Clock.Source)
		}
		own := in.source().Details
		if own.HostID == 0 || own.Collisions != 0 {
			t.Errorf("instance %s: host id %s, %d collisions", name, own.HostID, own.Collisions)
		}
		if _, known := heard.Remotes[own.HostID.String()]; !known {
			t.Errorf("the client never heard instance %s (%s)", name, own.HostID)
		}
		in.balanced()
		in.stop()
	}
	if one.source().Details.HostID != 0 {
		t.Error("a stopped instance still answers")
	}
	// Two instances ping every second, and the client has no answer to lack.
	if heard.Count["rx_Pong"] == 0 || heard.Count["id_conflicts"] != 0 {
		t.Errorf("the client counted %v", heard.Count)
	}
}
