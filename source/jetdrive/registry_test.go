package jetdrive

import (
	"strings"
	"testing"

	"dynotap/source/jetdrive/klhdv"
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
