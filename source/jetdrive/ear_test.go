package jetdrive

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

// ear is a receiver with a clock of its own and a record of what it emitted.
type ear struct {
	*receiver
	t       *testing.T
	now     int64
	log     *bytes.Buffer
	batches []sample.Batch
}

func newEar(t *testing.T, providers, channels []string) *ear {
	t.Helper()
	log := new(bytes.Buffer)
	r := newReceiver(newRegistry("jetdrive", providers, channels), slog.New(slog.NewTextHandler(log, nil)))
	return &ear{receiver: r, t: t, now: session, log: log}
}

// speaker is a host on the test's network.
type speaker struct {
	*ear
	id   uint16
	seq  uint8
	boot int64 // session time at which its clock was 0
}

func (e *ear) speaker(id uint16) *speaker { return &speaker{ear: e, id: id, boot: e.now} }

// frame builds the speaker's next message.
func (s *speaker) frame(key klhdv.Key, dest uint16, value []byte) []byte {
	s.t.Helper()
	datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: s.id, Seq: s.seq, Dest: dest}, value)
	if err != nil {
		s.t.Fatal(err)
	}
	s.seq++
	return datagram
}

// hear gives the receiver a datagram and keeps what it emits.
func (e *ear) hear(datagram []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handle(datagram, netip.MustParseAddrPort("192.0.2.1:22344"), e.now)
	for b := e.take(); b != nil; b = e.take() {
		e.batches = append(e.batches, *b) // never recycled: its samples stay
	}
}

// pass lets session time go on by the given ms.
func (e *ear) pass(ms int64) { e.now += ms * 1000 }

func (s *speaker) stamp() uint32 { return uint32((s.now - s.boot) / 1000) }

func (s *speaker) valuesFrame(ids ...uint16) []byte {
	values := make([]klhdv.Value, len(ids))
	for i, id := range ids {
		values[i] = klhdv.Value{Channel: id, Stamp: s.stamp(), Value: float32(id)}
	}
	return s.frame(klhdv.KeyChannelValues, klhdv.AllHosts, klhdv.EncodeValues(nil, values))
}

func (s *speaker) infoFrame(name string, channels ...klhdv.Channel) []byte {
	return s.frame(klhdv.KeyChannelInfo, klhdv.AllHosts, klhdv.EncodeChannelInfo(nil, klhdv.ChannelInfo{Provider: name, Channels: channels}))
}

func (s *speaker) clearFrame() []byte { return s.frame(klhdv.KeyClearChannelInfo, klhdv.AllHosts, nil) }

// values, info and clear send such a message; values 50 ms after the last.
func (s *speaker) values(ids ...uint16) {
	s.pass(50)
	s.hear(s.valuesFrame(ids...))
}
func (s *speaker) info(name string, channels ...klhdv.Channel) {
	s.hear(s.infoFrame(name, channels...))
}
func (s *speaker) clear() { s.hear(s.clearFrame()) }

func channel(id uint16, name string, unit uint8) klhdv.Channel {
	return klhdv.Channel{ID: id, Name: name, Unit: unit}
}

// keys is key=label(unit) of every sample of the newest batch.
func (e *ear) keys() string {
	e.t.Helper()
	if len(e.batches) == 0 {
		return ""
	}
	b := e.batches[len(e.batches)-1]
	out := make([]string, len(b.Samples))
	for i, s := range b.Samples {
		c := b.Set.Channels()[s.Channel]
		out[i] = c.Key + "=" + c.Label + "(" + string(c.NativeUnit) + ")"
		if s.Value != float64(c.ID) {
			e.t.Errorf("sample of %s has the value of channel %v", c.Key, s.Value)
		}
	}
	return strings.Join(out, " ")
}

func (e *ear) want(keys string) {
	e.t.Helper()
	if got := e.keys(); got != keys {
		e.t.Errorf("newest batch %q, want %q", got, keys)
	}
}

const (
	kW  = 4
	rpm = 8
)
