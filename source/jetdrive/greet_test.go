package jetdrive

import (
	"context"
	"testing"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

// TestPingsAreAnsweredWhileTheSourceWaits: while emit blocks, as it does with a
// full queue, a ping gets its pong, and no second one when it is read at last.
func TestPingsAreAnsweredWhileTheSourceWaits(t *testing.T) {
	t.Parallel()
	d := newDevice(t, 0)
	d.settings.ListenOnly = false
	s := New(d.settings, Options{})
	reader, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	pongs := map[uint32]int{} // by the ping's stamp
	hear := func(enough func() bool) {
		t.Helper()
		for !enough() {
			err := d.conn.Receive(ctx, func(p Packet) {
				f, err := klhdv.Parse(p.Data)
				if err != nil || f.Key != klhdv.KeyPong || f.Dest != d.host {
					return
				}
				if pong, err := klhdv.DecodePong(f.Value); err == nil {
					pongs[pong.HostTS]++
				}
			})
			if err != nil {
				t.Fatalf("%v: heard %v", err, pongs)
			}
		}
	}
	hear(func() bool { return s.Status().HostID != 0 }) // our pings arrive, too

	blocked, release, ended := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			err := reader.Read(ctx, func(*sample.Batch) error {
				blocked <- struct{}{}
				<-release
				return nil
			})
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	d.send(t, 1)
	<-blocked
	ping := func(stamp uint32) { d.message(t, klhdv.KeyPing, klhdv.EncodePing(nil, stamp)) }
	ping(1001)
	hear(func() bool { return pongs[1001] > 0 })
	close(release)
	d.send(t, 1)
	<-blocked // the first ping has been read now
	ping(1002)
	hear(func() bool { return pongs[1002] > 0 })
	if pongs[1001] != 1 || pongs[1002] != 1 {
		t.Errorf("pongs by stamp: %v", pongs)
	}
	cancel()
	<-ended
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if n := s.Status().Total.Datagrams; n == 0 {
		t.Error("nothing was read")
	}
}
