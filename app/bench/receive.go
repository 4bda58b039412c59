package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
)

// receiveRate datagrams of 1,408 bytes a second are what the receiver must
// bear; a little more are offered, for about a second.
const (
	receiveRate  = 400_000
	receiveOffer = 430_000
	receiveCount = 430_000
)

// Receive measures how many datagrams a second arrive without loss.
func Receive(rounds int) (Report, error) {
	var ours, lost, bare, bareLost, ratios []float64
	granted, warning := 0, ""
	for range rounds {
		o, err := receiveOnce(func(s jetdrive.ConnSettings) (receiver, error) { return openOurs(s, &granted, &warning) })
		if err != nil {
			return Report{}, err
		}
		b, err := receiveOnce(openBare)
		if err != nil {
			return Report{}, err
		}
		ours, lost = append(ours, o.rate), append(lost, o.lost)
		bare, bareLost = append(bare, b.rate), append(bareLost, b.lost)
		ratios = append(ratios, o.rate/b.rate)
	}
	report := newReport("receive", rounds)
	first := result("datagrams of 1,408 bytes received, offered 430,000/s", "datagrams/s", ours).against(ratios).wanted(receiveRate)
	first.Note = fmt.Sprintf("receive buffer granted: %d bytes", granted)
	if warning != "" {
		first.Note += "; " + warning
	}
	report.Results = []Result{
		first,
		result("lost of them", "datagrams", lost),
		result("bare loop of reads, the same offered", "datagrams/s", bare),
		result("lost of them by the bare loop", "datagrams", bareLost),
	}
	return report, nil
}

// receiver counts datagrams until it is closed.
type receiver struct {
	count *atomic.Uint64
	close func() error
}

type received struct{ rate, lost float64 }

func receiveOnce(open func(jetdrive.ConnSettings) (receiver, error)) (got received, err error) {
	settings, err := loopbackNetwork()
	if err != nil {
		return got, err
	}
	r, err := open(settings)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	f, err := newFlood(settings)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	settle(r.count.Load)
	before := r.count.Load()
	took, err := f.repeat(receiveCount, receiveOffer)
	if err != nil {
		return got, err
	}
	settle(r.count.Load)
	n := float64(r.count.Load() - before)
	return received{rate: n / took, lost: receiveCount - n}, nil
}

// settle waits until a count stands still for a while.
func settle(count func() uint64) {
	for last, still := count(), 0; still < 5; {
		time.Sleep(2 * time.Millisecond)
		if now := count(); now == last {
			still++
		} else {
			last, still = now, 0
		}
	}
}

func openOurs(s jetdrive.ConnSettings, granted *int, warning *string) (receiver, error) {
	conn, err := jetdrive.OpenConn(context.Background(), s)
	if err != nil {
		return receiver{}, err
	}
	*granted, *warning = conn.GrantedBuffer(), conn.Warning()
	r := receiver{count: new(atomic.Uint64)}
	done := make(chan error, 1)
	go func() {
		for {
			err := conn.Receive(context.Background(), func(p jetdrive.Packet) {
				if f, err := klhdv.Parse(p.Data); err == nil && f.Key == klhdv.KeyChannelValues {
					r.count.Add(1)
				}
			})
			if err != nil {
				done <- err
				return
			}
		}
	}()
	r.close = func() error {
		err := conn.Close()
		if ended := <-done; !errors.Is(ended, net.ErrClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}
	return r, nil
}

// openBare is the least: a socket with the same buffer, read into one slice.
func openBare(s jetdrive.ConnSettings) (receiver, error) {
	loop, err := loopbackInterface()
	if err != nil {
		return receiver{}, err
	}
	socket, err := net.ListenMulticastUDP("udp4", loop, &net.UDPAddr{IP: s.Group.AsSlice(), Port: int(s.Port)})
	if err != nil {
		return receiver{}, err
	}
	if err := forceBuffer(socket, jetdrive.DefaultReceiveBuffer); err != nil {
		return receiver{}, errors.Join(err, socket.Close())
	}
	r := receiver{count: new(atomic.Uint64)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, klhdv.MaxDatagram)
		for {
			n, _, err := socket.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if n > klhdv.HeaderLen && klhdv.Key(buffer[0]) == klhdv.KeyChannelValues {
				r.count.Add(1)
			}
		}
	}()
	r.close = func() error {
		err := socket.Close()
		<-done
		return err
	}
	return r, nil
}
