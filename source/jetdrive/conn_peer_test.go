package jetdrive

import (
	"context"
	"testing"
	"time"
)

// Garbage included, from empty datagrams on, the Conn hears what the
// independent node says it sent.
func TestConnHearsEveryDatagramOfAPeer(t *testing.T) {
	t.Parallel()
	s := testSettings(t)
	c := openConn(t, s)
	sent := uint64(startPeer(t, s, "provider", "--seconds", "3", "--rate", "100", "--channels", "200", "--mtu", "9000", "--garbage").
		wait(t).Count["packets_sent"])
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	taken := uint64(0)
	for taken < sent {
		if err := c.Receive(ctx, func(Packet) { taken++ }); err != nil {
			t.Fatalf("took %d of %d: %v", taken, sent, err)
		}
	}
	if n := c.Counters(); n.Datagrams != sent || n.KernelDrops+n.RingFull+n.Truncated+n.ReadErrors > 0 || sent < 30 {
		t.Errorf("the peer sent %d, counters %+v", sent, n)
	}
}
