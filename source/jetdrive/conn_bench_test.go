package jetdrive

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"dynotap/source/jetdrive/klhdv"

	"golang.org/x/net/ipv4"
)

// benchmarkSize is a ChannelValues message of 140 values.
const benchmarkSize = 1408

// BenchmarkReceive sends b.N datagrams of 1,408 bytes over loopback multicast,
// at 400,000 a second and as fast as the sender can, to a bare loop of reads
// and to a Conn whose packets are taken and parsed. Each reports what it
// received a second and what was lost.
func BenchmarkReceive(b *testing.B) {
	receivers := []struct {
		name  string
		start func(testing.TB, ConnSettings) (received func() uint64)
	}{{"bare", startBareLoop}, {"conn", startConn}}
	for _, pace := range []struct {
		name string
		rate float64
	}{{"400k", 400_000}, {"flood", 10e6}} {
		for _, r := range receivers {
			b.Run(pace.name+"/"+r.name, func(b *testing.B) {
				settings := testSettings(b)
				received := r.start(b, settings)
				sender := newFlood(b, settings)
				b.ResetTimer()
				sender.send(b, b.N, pace.rate)
				quiet(received)
				b.StopTimer()
				b.ReportMetric(float64(received())/b.Elapsed().Seconds(), "received/s")
				b.ReportMetric(100*(1-float64(received())/float64(b.N)), "%lost")
			})
		}
	}
}

// quiet waits until nothing more is received.
func quiet(received func() uint64) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for last := ^uint64(0); received() != last; <-tick.C {
		last = received()
	}
}

// flood is a fast sender: many datagrams a system call where there is one.
type flood struct {
	conn  *ipv4.PacketConn
	batch []ipv4.Message
}

func newFlood(tb testing.TB, s ConnSettings) *flood {
	tb.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	f := &flood{conn: ipv4.NewPacketConn(conn), batch: make([]ipv4.Message, 32)}
	if err := f.conn.SetMulticastInterface(loopbackInterface(tb)); err != nil {
		tb.Fatal(err)
	}
	if err := f.conn.SetMulticastTTL(0); err != nil {
		tb.Fatal(err)
	}
	value := make([]byte, benchmarkSize-klhdv.HeaderLen)
	datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: klhdv.KeyChannelValues, Host: 7, Dest: klhdv.AllHosts}, value)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range f.batch {
		f.batch[i] = ipv4.Message{Buffers: [][]byte{datagram}, Addr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.Group, s.Port))}
	}
	return f
}

// send sends count datagrams, at most rate a second.
func (f *flood) send(tb testing.TB, count int, rate float64) {
	tb.Helper()
	start := time.Now()
	for sent := 0; sent < count; {
		for float64(sent) > time.Since(start).Seconds()*rate {
			runtime.Gosched()
		}
		n, err := f.conn.WriteBatch(f.batch[:min(len(f.batch), count-sent)], 0)
		if err != nil {
			tb.Fatal(err)
		}
		sent += n
	}
}

func startConn(tb testing.TB, s ConnSettings) func() uint64 {
	tb.Helper()
	conn, err := OpenConn(context.Background(), s)
	if err != nil {
		tb.Fatal(err)
	}
	var received atomic.Uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		for err == nil {
			err = conn.Receive(context.Background(), func(p Packet) {
				if f, err := klhdv.Parse(p.Data); err == nil && f.Host == 7 {
					received.Add(1)
				}
			})
		}
		if !errors.Is(err, net.ErrClosed) {
			tb.Error(err)
		}
	}()
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Error(err)
		}
		<-done
	})
	return received.Load
}

// startBareLoop is what the machine does at best: reads and nothing else.
func startBareLoop(tb testing.TB, s ConnSettings) func() uint64 {
	tb.Helper()
	links, err := systemLinks()
	if err != nil {
		tb.Fatal(err)
	}
	via, err := chooseRoute(s.Interface, links)
	if err != nil {
		tb.Fatal(err)
	}
	bare := &Conn{}
	s.ReceiveBuffer = DefaultReceiveBuffer
	if err := bare.open(context.Background(), s, via); err != nil {
		tb.Fatal(err)
	}
	var received atomic.Uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, longestDatagram)
		for {
			_, _, err := bare.socket.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			received.Add(1)
		}
	}()
	tb.Cleanup(func() {
		bare.socket.Close()
		<-done
	})
	return received.Load
}
