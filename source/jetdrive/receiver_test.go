package jetdrive

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dynotap/source/jetdrive/klhdv"
)

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

// Whoever pings under a thousand ids keeps no provider out.
func TestPingsLockNoProviderOut(t *testing.T) {
	t.Parallel()
	e := newEar(t, nil, nil)
	before := e.speaker(40_000)
	before.values(1)
	for id := range uint16(2 * maxHosts) {
		e.hear(e.speaker(id+1).frame(klhdv.KeyPing, klhdv.AllHosts, klhdv.EncodePing(nil, 1)))
		e.pass(1)
	}
	late := e.speaker(50_000)
	late.values(1)
	before.values(1)
	if e.total.Values != 3 || e.total.Ignored.TooManyHosts != 0 || len(e.registry.hosts) > maxHosts {
		t.Errorf("%d values of 3, %d hosts refused, %d kept", e.total.Values, e.total.Ignored.TooManyHosts, len(e.registry.hosts))
	}
	if e.registry.hosts[40_000] == nil || e.registry.hosts[40_000].counters().Values != 2 {
		t.Error("the provider that was there before is forgotten")
	}
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
