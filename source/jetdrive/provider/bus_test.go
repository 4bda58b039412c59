package provider

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
)

// bus is a network in memory: everybody hears everything, himself too.
type bus struct {
	mu      sync.Mutex
	members []*member
	heard   []message
}

// message is one that crossed the bus, and when.
type message struct {
	klhdv.Frame
	at time.Duration // since the bus was made
}

type member struct {
	bus    *bus
	in     chan []byte
	closed chan struct{}
	start  time.Time
}

func (b *bus) join(context.Context) (network, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := &member{bus: b, in: make(chan []byte, 1<<16), closed: make(chan struct{}), start: time.Now()}
	b.members = append(b.members, m)
	return m, nil
}

func (b *bus) put(datagram []byte, at time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := klhdv.Parse(bytes.Clone(datagram))
	if err != nil {
		panic(err)
	}
	b.heard = append(b.heard, message{f, at})
	for _, m := range b.members {
		select {
		case <-m.closed:
		case m.in <- bytes.Clone(datagram):
		}
	}
}

func (m *member) Send(datagram []byte) error {
	if err := klhdv.CheckOutgoing(datagram); err != nil {
		return err
	}
	m.bus.put(datagram, time.Since(m.start))
	return nil
}

func (m *member) Receive(ctx context.Context, each func(jetdrive.Packet)) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.closed:
		return net.ErrClosed
	case datagram := <-m.in:
		each(jetdrive.Packet{Data: datagram})
		return nil
	}
}

func (m *member) Close() error {
	close(m.closed)
	return nil
}

// say puts a message of host 9 on the bus and waits for what follows from it.
func (b *bus) say(key klhdv.Key, dest uint16, value []byte) { b.sayAs(9, key, dest, value) }

func (b *bus) sayAs(host uint16, key klhdv.Key, dest uint16, value []byte) {
	datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: host, Dest: dest}, value)
	if err != nil {
		panic(err)
	}
	b.put(datagram, 0)
	synctest.Wait()
}

// take gives what was heard since the last call.
func (b *bus) take() []message {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.heard
	b.heard = nil
	return out
}

// of filters messages by their key.
func of(messages []message, keys ...klhdv.Key) []message {
	var out []message
	for _, m := range messages {
		for _, k := range keys {
			if m.Key == k {
				out = append(out, m)
			}
		}
	}
	return out
}

// scene is a running provider on a bus, in synthetic time.
type scene struct {
	*testing.T
	p *Provider
	b *bus
}

// simulate runs a provider with the given settings, and test once it has
// claimed its id.
func simulate(t *testing.T, s Settings, test func(scene)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		b := new(bus)
		p.open = b.join
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(1100 * time.Millisecond) // synthetic time: the claim
		test(scene{t, p, b})
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
		if p.HostID() != 0 {
			t.Error("has an id although it is switched off")
		}
	})
}

// channels makes n of them with ids from 1.
func channels(n int) []ChannelSpec {
	out := make([]ChannelSpec, n)
	for i := range out {
		out[i] = ChannelSpec{ID: uint16(i + 1), Name: "Channel", Unit: sample.RPM}
	}
	return out
}

// seconds has every channel carry its time in seconds plus its place.
func seconds(t time.Duration, dst []float32) {
	for i := range dst {
		dst[i] = float32(t.Seconds()) + float32(i)
	}
}

func values(messages []message) []klhdv.Value {
	var out []klhdv.Value
	for _, m := range of(messages, klhdv.KeyChannelValues) {
		out, _ = klhdv.AppendValues(out, m.Value)
	}
	return out
}
