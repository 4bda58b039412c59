package jetdrive

import (
	"context"
	"testing"
	"time"
)

// A receive buffer of a few datagrams must lose some of a flood; every one of
// them is counted.
func TestKernelDropsAndDatagramsAreTheWholeFlood(t *testing.T) {
	t.Parallel()
	s := testSettings(t)
	s.ReceiveBuffer = 4096
	c := openConn(t, s)
	if got := c.GrantedBuffer(); got != s.ReceiveBuffer {
		t.Errorf("granted %d bytes", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() {
		for c.Receive(ctx, func(Packet) {}) == nil {
		}
	}()
	sender, sent := newFlood(t, s), uint64(0)
	total := func() uint64 { n := c.Counters(); return n.Datagrams + n.KernelDrops }
	// The count of drops travels with the next datagram that gets through.
	for c.Counters().KernelDrops == 0 || total() != sent {
		if ctx.Err() != nil {
			t.Fatalf("sent %d, counted %+v", sent, c.Counters())
		}
		burst := 1
		if c.Counters().KernelDrops == 0 {
			burst = 1000
		}
		sender.send(t, burst, 1e7)
		sent += uint64(burst)
	}
	if n := c.Counters(); n.RingFull != 0 {
		t.Errorf("counters %+v", n)
	}
}
