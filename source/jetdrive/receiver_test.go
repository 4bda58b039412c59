package jetdrive

import (
	"bytes"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
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

func TestLateNameChangesTheLabelNotTheKey(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(0x43FD)
	s.values(6)
	e.want("0x43FD/6/0=chan_6()")
	if got := e.batches[0].Set.Channels()[0].Address(); got != "0x43FD:6:chan_6" {
		t.Errorf("address %s", got)
	}
	s.info("DWRT CPU", channel(6, "Humidity", 16))
	s.values(6, 7)
	e.want("0x43FD/6/0=Humidity(%) 0x43FD/7/0=chan_7()")
	if c := e.batches[1].Set.Channels()[0]; c.Provider != "DWRT CPU" || c.HostID != 0x43FD || c.Address() != "0x43FD:6:Humidity" {
		t.Errorf("channel %+v", c)
	}
	if c := e.batches[0].Set.Channels()[0]; c.Provider != "0x43FD" {
		t.Errorf("provisional provider %+v", c)
	}
}

func TestChannelListsAddUpAndOnlyClearRemoves(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	s.info("Dyno", channel(1, "Power", kW))
	s.info("Dyno", channel(2, "Engine RPM", rpm))
	s.values(1, 2)
	e.want("Dyno/1/0=Power(kW) Dyno/2/0=Engine RPM(rpm)")
	first := e.batches[0].Set
	s.info("Dyno", channel(2, "Engine RPM", rpm))
	s.hear(s.frame(klhdv.KeyClearChannelInfo, 0x1234, nil)) // meant for another host
	s.values(1, 2)
	if e.batches[1].Set != first {
		t.Error("an unchanged list came as another channel set")
	}
	if n := len(e.providers(e.now)[0].Channels); n != 2 {
		t.Errorf("%d channels listed, want 2", n)
	}
	s.clear()
	if n := len(e.providers(e.now)[0].Channels); n != 0 {
		t.Errorf("%d channels listed after the clear, want 0", n)
	}
}

func TestClearGenerations(t *testing.T) {
	t.Parallel()
	power, torque := channel(1, "Power", kW), channel(1, "Torque", 5)
	tests := []struct {
		name  string
		after func(s *speaker)
		want  string
	}{
		{"same meaning", func(s *speaker) {
			s.clear()
			s.info("Dyno", power)
			s.values(1)
		}, "Dyno/1/0=Power(kW)"},
		{"another meaning", func(s *speaker) {
			s.clear()
			s.info("Dyno", torque)
			s.values(1)
		}, "Dyno/1/1=Torque(N·m)"},
		{"another meaning and back", func(s *speaker) {
			s.clear()
			s.info("Dyno", torque)
			s.clear()
			s.info("Dyno", power)
			s.values(1)
		}, "Dyno/1/2=Power(kW)"},
		{"another unit without a clear that was lost", func(s *speaker) {
			s.info("Dyno", channel(1, "Power", 16))
			s.values(1)
		}, "Dyno/1/1=Power(%)"},
		{"values before any info", func(s *speaker) {
			s.clear()
			s.values(1)
		}, "Dyno/1/1=chan_1()"},
		{"values, then another meaning", func(s *speaker) {
			s.clear()
			s.values(1)
			s.info("Dyno", torque)
			s.values(1)
		}, "Dyno/1/1=Torque(N·m)"},
		{"values, then the same meaning", func(s *speaker) {
			s.clear()
			s.values(1)
			s.info("Dyno", power)
			s.values(1)
		}, "Dyno/1/0=Power(kW)"},
		{"twice cleared with values between, then the same meaning", func(s *speaker) {
			s.clear()
			s.values(1)
			s.clear()
			s.values(1)
			s.info("Dyno", power)
			s.values(1)
		}, "Dyno/1/0=Power(kW)"},
		{"sent before the clear, arrived after it", func(s *speaker) {
			held := s.valuesFrame(1)
			s.clear()
			s.hear(held)
		}, "Dyno/1/0=Power(kW)"},
		{"the clear arrives after the new list", func(s *speaker) {
			held := s.clearFrame()
			s.info("Dyno", torque)
			s.hear(held)
			s.values(1)
		}, "Dyno/1/1=Torque(N·m)"},
		{"an old list arrives after the clear", func(s *speaker) {
			held := s.infoFrame("Dyno", power)
			s.clear()
			s.hear(held)
			s.values(1)
		}, "Dyno/1/1=chan_1()"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEar(t, nil, nil)
			s := e.speaker(7)
			s.info("Dyno", power)
			s.values(1)
			e.want("Dyno/1/0=Power(kW)")
			test.after(s)
			e.want(test.want)
			labels := map[string]string{}
			for _, c := range e.batches[len(e.batches)-1].Set.Channels() {
				labels[c.Key] = c.Label
			}
			if strings.Contains(test.name, "then the same meaning") && labels["Dyno/1/1"] != "Power" {
				t.Errorf("what came in between is called %q", labels["Dyno/1/1"])
			}
		})
	}
}

func TestTwoProvidersShareNoChannel(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	cpu, atmo := e.speaker(0x43FD), e.speaker(0x43FE)
	cpu.info("DWRT CPU", channel(6, "Humidity", 16))
	atmo.info("DWRT ATMO", channel(6, "Humidity", 16))
	cpu.values(6)
	e.want("DWRT CPU/6/0=Humidity(%)")
	atmo.values(6)
	e.want("DWRT ATMO/6/0=Humidity(%)")
	if e.batches[0].Set == e.batches[1].Set {
		t.Error("a batch of two providers")
	}
}

func TestProviderComesBackUnderAnotherHostID(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	old := e.speaker(0x1111)
	old.info("Dyno", channel(1, "Power", kW), channel(2, "Torque", 5))
	old.values(1, 2)
	old.seq += 3
	old.values(1, 2)
	e.pass(1_500)
	again := e.speaker(0x2222)
	again.clear()
	again.info("Dyno", channel(1, "Power", kW), channel(2, "Force", 3))
	again.values(1, 2)
	e.want("Dyno/1/0=Power(kW) Dyno/2/1=Force(N)")
	found := e.providers(e.now)
	if len(found) != 1 || found[0].HostID != 0x2222 || found[0].Values != 6 || found[0].Lost != 3 {
		t.Errorf("providers %+v", found)
	}
	if c := e.batches[len(e.batches)-1].Set.Channels()[0]; c.HostID != 0x2222 {
		t.Errorf("channel %+v", c)
	}
	e.pass(50)
	old.values(1) // the old host id belongs to somebody else by now
	e.want("0x1111/1/0=chan_1()")
}

func TestLiveHostsOfOneNameAreKeptApart(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	a, b := e.speaker(1), e.speaker(2)
	a.info("Dyno", channel(1, "Power", kW))
	a.values(1)
	b.info("Dyno", channel(1, "Power", kW))
	b.values(1)
	e.want("Dyno#2/1/0=Power(kW)")
	a.values(1)
	e.want("Dyno/1/0=Power(kW)")
	if n := len(e.providers(e.now)); n != 2 {
		t.Errorf("%d providers, want 2", n)
	}
}

func TestOtherDeviceOfTheSameNameIsKeptApart(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	a, b := e.speaker(1), e.speaker(2)
	a.info("Dyno", channel(1, "Power", kW))
	a.values(1)
	e.pass(90_000)
	b.info("Dyno", channel(5, "Humidity", 16))
	b.values(5)
	e.want("Dyno#2/5/0=Humidity(%)")
}

// A host that begins anew under its old id starts to count anywhere, so half
// the time its messages look like repetitions.
func TestHostBeginsAnewUnderItsID(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(9)
	s.seq = 200
	for range 50 {
		s.values(1, 2)
	}
	repeated := s.valuesFrame(1, 2)
	e.hear(repeated)
	e.pass(3_000)
	e.hear(repeated) // by another way; this is no restart
	if got := e.providers(e.now)[0]; got.Duplicate != 1 || got.Values != 102 {
		t.Errorf("after a repetition: %d duplicate, %d values", got.Duplicate, got.Values)
	}
	e.pass(1_100)
	s.seq, s.boot = s.seq-40, e.now
	for range 10 {
		s.values(1, 2)
	}
	got := e.providers(e.now)[0]
	if got.Duplicate != 1 || got.Values != 122 || got.Lost != 0 || got.Clock.Restarts != 1 {
		t.Errorf("duplicate %d, values %d, lost %d, restarts %d, want 1, 122, 0, 1", got.Duplicate, got.Values, got.Lost, got.Clock.Restarts)
	}
	last := e.batches[len(e.batches)-1]
	if d := last.Samples[0].Time - last.Received; d != 0 {
		t.Errorf("sample %d µs from its arrival after the restart", d)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                string
		providers, channels []string
		want                string // after everything is named
		wantUnnamed         uint64 // values taken before that
	}{
		{"none", nil, nil, "0x0007/1/0=Power(kW) 0x0007/2/0=Torque(N·m)", 2},
		{"channel by name", nil, []string{" power "}, "0x0007/1/0=Power(kW)", 2},
		{"channel by id", nil, []string{"2"}, "0x0007/2/0=Torque(N·m)", 1},
		{"provider by name", []string{"DYNO"}, nil, "0x0007/1/0=Power(kW) 0x0007/2/0=Torque(N·m)", 2},
		{"provider by host id", []string{"0x7"}, nil, "0x0007/1/0=Power(kW) 0x0007/2/0=Torque(N·m)", 2},
		{"another provider", []string{"DWRT CPU"}, nil, "", 2},
		{"another host id", []string{"0x43FD"}, nil, "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEar(t, test.providers, test.channels)
			s := e.speaker(7)
			s.values(1, 2)
			if e.total.Values != test.wantUnnamed || e.total.Values+e.total.Filtered != 2 {
				t.Errorf("%d values and %d filtered before the names are known, want %d of 2", e.total.Values, e.total.Filtered, test.wantUnnamed)
			}
			s.info("Dyno", channel(1, "Power", kW), channel(2, "Torque", 5))
			e.batches = nil
			s.values(1, 2)
			e.want(test.want)
		})
	}
}

func TestWhatIsNotForUsIsCountedByReason(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	s.values(1)
	odd := func(host uint16, key klhdv.Key, dest uint16, value []byte) {
		datagram, _ := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: host, Seq: s.seq, Dest: dest}, value)
		if host == s.id {
			s.seq++
		}
		e.hear(datagram)
	}
	values := klhdv.EncodeValues(nil, []klhdv.Value{{Channel: 1, Stamp: s.stamp()}})
	e.hear(nil)
	e.hear([]byte{2, 0, 0})
	e.hear(s.frame(klhdv.KeyChannelValues, klhdv.AllHosts, values)[:12])
	s.seq-- // it did not count
	odd(7, klhdv.KeyChannelInfo, klhdv.AllHosts, []byte("short"))
	odd(7, klhdv.KeyPing, klhdv.AllHosts, []byte{1})
	odd(7, klhdv.KeyChannelValues, klhdv.AllHosts, append(values, 1, 2, 3))
	odd(7, klhdv.KeyChannelValues, 0x1234, values)
	odd(7, klhdv.KeyPong, 0x1234, make([]byte, 9))
	odd(7, 0x7F, klhdv.AllHosts, nil)
	odd(klhdv.AllHosts, klhdv.KeyChannelValues, klhdv.AllHosts, values)
	odd(klhdv.Unclaimed, klhdv.KeyChannelValues, klhdv.AllHosts, values)
	odd(klhdv.Unclaimed, klhdv.KeyPing, klhdv.AllHosts, klhdv.EncodePing(nil, 1))
	want := Counters{
		Datagrams: 13, Values: 2, UnknownKeys: 1,
		Malformed: Malformed{Header: 2, Truncated: 1, Value: 2, Partial: 1},
		Ignored:   Ignored{IllegalHost: 1, Unclaimed: 1, Others: 2},
	}
	if e.total != want {
		t.Errorf("counted %+v\nwant    %+v", e.total, want)
	}
	if own := e.providers(e.now)[0].Counters; own.Datagrams != 7 || own.Values != 2 || own.Malformed.Value != 2 || own.Lost != 0 {
		t.Errorf("the provider's own: %+v", own)
	}
}

func TestNewerProtocolCutsOffThatHostAlone(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	old, newer := e.speaker(1), e.speaker(2)
	newer.values(1)
	for range 3 {
		newer.hear(newer.frame(klhdv.KeyPing, klhdv.AllHosts, []byte{10, 0, 0, 0, 0}))
		newer.values(1)
		old.values(1)
	}
	if e.total.Values != 4 || e.total.Ignored.Incompatible != 5 {
		t.Errorf("%d values, %d ignored, want 4 and 5", e.total.Values, e.total.Ignored.Incompatible)
	}
	if n := strings.Count(e.log.String(), "newer protocol"); n != 1 {
		t.Errorf("said %d times, want once: %s", n, e.log)
	}
	if got := e.incompatible(); len(got) != 1 || got[0] != 2 {
		t.Errorf("incompatible hosts %v", got)
	}
}

func TestC4PanicIsAnErrorOfThatPacket(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	s.values(1)
	whole := e.registry
	e.registry = nil
	s.values(1)
	e.registry = whole
	s.values(1)
	if e.total.Malformed.Panic != 1 || e.total.Values != 2 {
		t.Errorf("%d panics, %d values, want 1 and 2", e.total.Malformed.Panic, e.total.Values)
	}
}

func TestHostsAndChannelsAreBounded(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	for id := range uint16(maxHosts + 10) {
		e.speaker(id + 1).values(1)
		e.pass(-50)
	}
	if e.total.Ignored.TooManyHosts != 10 || len(e.registry.hosts) != maxHosts {
		t.Errorf("%d hosts, %d refused", len(e.registry.hosts), e.total.Ignored.TooManyHosts)
	}
	e.pass(forgetAfter / 1000)
	late := e.speaker(60_000)
	ids := make([]uint16, 5000)
	for i := range ids {
		ids[i] = uint16(i)
	}
	late.values(ids...)
	for i := range ids {
		ids[i] += 5000
	}
	late.values(ids...)
	if got := late.registry.hosts[60_000].counters(); got.Values != maxChannels || got.Refused != 10_000-maxChannels {
		t.Errorf("values %d, refused %d", got.Values, got.Refused)
	}
	late.values(ids[0])
	e.want("0xEA60/5000/0=chan_5000()")
}

func TestProviderRate(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	for i := range 30 {
		if i%2 == 0 {
			s.values(1, 2, 3)
		} else {
			s.values(1)
		}
		if rate := e.providers(e.now)[0].RateHz; i > 0 && rate != 20 {
			t.Errorf("rate after %d messages %g Hz, want 20", i+1, rate)
		}
	}
	e.pass(3_000)
	if rate := e.providers(e.now)[0].RateHz; rate != 0 {
		t.Errorf("rate of a silent provider %g", rate)
	}
}

func TestLoggingIsFollowed(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	s.info("Dyno", channel(1, "Power", kW))
	s.values(1)
	say := func(dest uint16, state uint8, start uint32) {
		s.hear(s.frame(klhdv.KeyLoggingResponse, dest, klhdv.EncodeLoggingResponse(nil, klhdv.LoggingResponse{State: state, Start: start})))
	}
	say(klhdv.AllHosts, 0, 0) // its first word is no change
	e.pass(1_000)
	began := s.stamp()
	e.pass(30)
	say(klhdv.AllHosts, 1, began)
	say(0x1234, 1, began) // an answer to another host
	e.pass(2_000)
	say(klhdv.AllHosts, 0, s.stamp())
	want := []LoggingChange{
		{Provider: "Dyno", Host: 7, Started: true, At: e.now - 2_030_000},
		{Provider: "Dyno", Host: 7, Started: false, At: e.now},
	}
	if !reflect.DeepEqual(e.changes, want) {
		t.Errorf("changes %+v, want %+v", e.changes, want)
	}
	if l := e.providers(e.now)[0].Logging; l == nil || l.Started {
		t.Errorf("status %+v", l)
	}
}

// A batch never spans two channel sets, however the messages come together.
func TestABatchEndsWhereTheChannelSetChanges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		second func(s *speaker) []byte
		want   []string
	}{
		{"unchanged", func(s *speaker) []byte { return s.valuesFrame(1) }, []string{"Power Power"}},
		{"a new channel", func(s *speaker) []byte { return s.valuesFrame(1, 9) }, []string{"Power", "Power chan_9"}},
		{"a new name", func(s *speaker) []byte {
			s.handle(s.infoFrame("Dyno", channel(1, "Torque", 5)), netip.AddrPort{}, s.now)
			return s.valuesFrame(1)
		}, []string{"Power", "Torque"}},
		{"a better clock", func(s *speaker) []byte {
			s.pass(2_000)
			return s.valuesFrame(1)
		}, []string{"Power", "Power"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEar(t, nil, nil)
			s := e.speaker(7)
			s.info("Dyno", channel(1, "Power", kW))
			e.handle(s.valuesFrame(1), netip.AddrPort{}, e.now)
			e.handle(test.second(s), netip.AddrPort{}, e.now)
			var got []string
			for b := e.take(); b != nil; b = e.take() {
				labels := make([]string, len(b.Samples))
				for i, sample := range b.Samples {
					labels[i] = b.Set.Channels()[sample.Channel].Label
				}
				got = append(got, strings.Join(labels, " "))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("batches %q, want %q", got, test.want)
			}
		})
	}
}

func TestAnEqualChannelSetIsTheSame(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	s.values(1)
	e.registry.providers[0].channels.changed = true
	s.values(1)
	if e.batches[0].Set != e.batches[1].Set {
		t.Error("an equal list came as another channel set")
	}
}

func TestBatchesAreReused(t *testing.T) {
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	frames := make([][]byte, 256)
	for i := range frames {
		frames[i] = s.valuesFrame(1, 2, 3)
	}
	n := 0
	allocated := testing.AllocsPerRun(500, func() {
		e.handle(frames[n%256], netip.AddrPort{}, e.now)
		n++
		for b := e.take(); b != nil; b = e.take() {
			e.recycle(b)
		}
	})
	if allocated > 0 {
		t.Errorf("%g allocations a datagram", allocated)
	}
}

func TestABatchHoldsAtMostItsBound(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	s := e.speaker(7)
	ids := make([]uint16, 6500)
	for i := range ids {
		ids[i] = uint16(i)
	}
	total := 0
	for range 30 {
		e.handle(s.valuesFrame(ids...), netip.AddrPort{}, e.now)
	}
	for b := e.take(); b != nil; b = e.take() {
		if len(b.Samples) > maxBatch {
			t.Errorf("a batch of %d samples", len(b.Samples))
		}
		total += len(b.Samples)
	}
	if total != 30*6500 {
		t.Errorf("%d samples, want %d", total, 30*6500)
	}
}
