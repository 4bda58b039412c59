package sim_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dynotap/sample"
	"dynotap/sim"
)

func cell(tb testing.TB, s sim.Settings) *sim.Cell {
	tb.Helper()
	c, err := sim.New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func near(got, want, relative float64) bool {
	return math.Abs(got-want) <= relative*math.Abs(want)
}

func TestPeaksAreThoseOfTheDocumentedCurve(t *testing.T) {
	t.Parallel()
	p := sim.Peak()
	if math.Abs(p.HP-99.5155) > 1e-4 || math.Abs(p.HPRPM-5600) > 1e-9 || p.Torque != 110 || p.TorqueRPM != 3600 {
		t.Fatalf("peaks are %+v", p)
	}
}

func TestPullReachesThePeaksExactly(t *testing.T) {
	t.Parallel()
	c := cell(t, sim.Settings{})
	pull := c.Pulls(20 * time.Second)[0]
	var hp, torque sim.State
	for at := pull.Start; at <= pull.End; at += time.Millisecond {
		s := c.At(at)
		if s.Power > hp.Power {
			hp = s
		}
		if s.Torque > torque.Torque {
			torque = s
		}
	}
	want := sim.Peak()
	if got := in(t, hp.Power, sample.Kilowatt, sample.Horsepower); !near(got, want.HP, 1e-6) || math.Abs(hp.RPM-want.HPRPM) > 1 {
		t.Errorf("peak %.4f hp at %.1f rpm, want %.4f at %.1f", got, hp.RPM, want.HP, want.HPRPM)
	}
	if got := in(t, torque.Torque, sample.NewtonMetre, sample.FootPound); !near(got, want.Torque, 1e-6) || math.Abs(torque.RPM-want.TorqueRPM) > 1 {
		t.Errorf("peak %.4f ft·lb at %.1f rpm, want %.4f at %.1f", got, torque.RPM, want.Torque, want.TorqueRPM)
	}
}

func in(tb testing.TB, v float64, from, to sample.Unit) float64 {
	tb.Helper()
	conv, ok := from.To(to)
	if !ok {
		tb.Fatalf("%s does not convert to %s", from, to)
	}
	return conv.Apply(v)
}

func TestPhysicsHoldsAtEveryMoment(t *testing.T) {
	t.Parallel()
	c := cell(t, sim.Settings{Seed: 7})
	rapid.Check(t, func(t *rapid.T) {
		at := time.Duration(rapid.Int64Range(0, int64(12*time.Hour)).Draw(t, "at"))
		s := c.At(at)
		if !near(s.Power*1000, s.Force*s.Speed/3.6, 1e-12) {
			t.Errorf("power %g W is not force %g × speed %g", s.Power*1000, s.Force, s.Speed/3.6)
		}
		conv, _ := sample.NewtonMetre.To(sample.FootPound)
		hp, _ := sample.Kilowatt.To(sample.Horsepower)
		if got := conv.Apply(s.Torque) * s.RPM / 5252.113; !near(got, hp.Apply(s.Power), 1e-6) {
			t.Errorf("torque and rpm make %g hp, power is %g", got, hp.Apply(s.Power))
		}
		if !near(s.RPM, 3*s.DrumRPM, 1e-12) {
			t.Errorf("rpm %g is not three times the drum's %g", s.RPM, s.DrumRPM)
		}
		if !near(s.Speed/3.6, s.DrumRPM/60*2*math.Pi*0.2286, 1e-12) {
			t.Errorf("speed %g does not fit a drum of 18 inches at %g rpm", s.Speed, s.DrumRPM)
		}
		if s.RPM < 1990 || s.RPM > 6100 {
			t.Errorf("rpm is %g", s.RPM)
		}
		if s.Throttle < 0 || s.Throttle > 1 {
			t.Errorf("throttle is %g", s.Throttle)
		}
	})
}

func TestAccelerationAndDistanceBelongToTheSpeed(t *testing.T) {
	t.Parallel()
	c := cell(t, sim.Settings{})
	pull := c.Pulls(20 * time.Second)[0]
	const h = 2 * time.Millisecond
	for at := time.Duration(0); at < 40*time.Second; at += 37 * time.Millisecond {
		a, s, b := c.At(at-h), c.At(at), c.At(at+h)
		if at < h {
			continue
		}
		if rate := (b.Distance - a.Distance) / (2 * h.Seconds()); math.Abs(rate-s.Speed/3.6) > 0.02 {
			t.Errorf("%v: distance grows by %g m/s at %g", at, rate, s.Speed/3.6)
		}
		if at < pull.Start || at > pull.End {
			continue // the run-down ends with a corner
		}
		if rate := (b.Speed - a.Speed) / (2 * h.Seconds()); math.Abs(rate-s.Acceleration) > 0.1 {
			t.Errorf("%v: speed grows by %g (km/h)/s, acceleration is %g", at, rate, s.Acceleration)
		}
	}
}

func TestPullsRepeatAndRiseSteadily(t *testing.T) {
	t.Parallel()
	c := cell(t, sim.Settings{PullEvery: 30 * time.Second})
	pulls := c.Pulls(5 * time.Minute)
	if len(pulls) != 10 {
		t.Fatalf("%d pulls in five minutes", len(pulls))
	}
	for i, p := range pulls {
		if p.Start != time.Duration(i)*30*time.Second+4*time.Second {
			t.Errorf("pull %d starts at %v", i, p.Start)
		}
		if length := p.End - p.Start; length < 6*time.Second || length > 9*time.Second {
			t.Errorf("pull %d takes %v", i, length)
		}
		last := 0.0
		for at := p.Start; at <= p.End; at += 10 * time.Millisecond {
			rpm := c.At(at).RPM
			if rpm < last-1e-6 {
				t.Fatalf("pull %d: rpm falls to %g after %g at %v", i, rpm, last, at)
			}
			last = rpm
		}
		if at := c.At(p.End + 15*time.Second); math.Abs(at.RPM-2000) > 1e-6 || math.Abs(at.Acceleration) > 1e-6 {
			t.Errorf("pull %d: 15 s after its end rpm is %g, acceleration %g", i, at.RPM, at.Acceleration)
		}
	}
}

func TestPullThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{-time.Second, time.Millisecond, 10 * time.Second} {
		if _, err := sim.New(sim.Settings{PullEvery: every}); err == nil {
			t.Errorf("a pull every %v was accepted", every)
		}
	}
}

func TestMixtureIsEnrichedAndCoolantWarmsUp(t *testing.T) {
	t.Parallel()
	c := cell(t, sim.Settings{})
	cruise, pull := c.At(time.Second), c.At(8*time.Second)
	if pull.AFRFront > 13.2 || cruise.AFRFront < 14 || pull.AFRFront >= pull.AFRRear {
		t.Errorf("AFR front %g cruising, %g front and %g rear in the pull", cruise.AFRFront, pull.AFRFront, pull.AFRRear)
	}
	if pull.MAP < 95 || cruise.MAP > 60 {
		t.Errorf("MAP %g cruising, %g in the pull", cruise.MAP, pull.MAP)
	}
	if a, b := c.At(0).Coolant, c.At(10*time.Minute).Coolant; a > 62 || b < 92 {
		t.Errorf("coolant %g °C at start, %g after ten minutes", a, b)
	}
}

func TestSameSeedSameReadings(t *testing.T) {
	t.Parallel()
	a, b, other := cell(t, sim.Settings{Seed: 3}), cell(t, sim.Settings{Seed: 3}), cell(t, sim.Settings{Seed: 4})
	differ := 0
	for _, p := range sim.Providers() {
		for _, ch := range p.Channels {
			at := 7*time.Second + 123*time.Millisecond
			if x, y := ch.Value(a.At(at)), ch.Value(b.At(at)); x != y {
				t.Errorf("%s %s: %g and %g with one seed", p.Name, ch.Name, x, y)
			}
			if ch.Value(a.At(at)) != ch.Value(other.At(at)) {
				differ++
			}
		}
	}
	if differ < 40 {
		t.Errorf("only %d channels differ with another seed", differ)
	}
}

func TestProvidersCollide(t *testing.T) {
	t.Parallel()
	providers := sim.Providers()
	if len(providers) != 2 {
		t.Fatalf("%d providers", len(providers))
	}
	names, ids, total := map[string]int{}, map[uint16]int{}, 0
	for _, p := range providers {
		own := map[uint16]bool{}
		for _, ch := range p.Channels {
			total++
			if len(ch.Name) > 29 || ch.Name == "" {
				t.Errorf("%s: name %q has %d bytes", p.Name, ch.Name, len(ch.Name))
			}
			if own[ch.ID] {
				t.Errorf("%s: id %d twice", p.Name, ch.ID)
			}
			own[ch.ID] = true
			ids[ch.ID]++
			names[ch.Name]++
		}
	}
	if total != 60 {
		t.Errorf("%d channels", total)
	}
	if ids[6] != 2 || names["Humidity"] != 2 {
		t.Errorf("id 6 appears %d times, Humidity %d times", ids[6], names["Humidity"])
	}
}

func TestReadingsStayWithinTheNoise(t *testing.T) {
	t.Parallel()
	c := cell(t, sim.Settings{Seed: 11})
	want := sim.Peak()
	for _, p := range sim.Providers() {
		for _, ch := range p.Channels {
			top := math.Inf(-1)
			for at := time.Duration(0); at < 2*time.Minute; at += 50 * time.Millisecond {
				v := ch.Value(c.At(at))
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%s %s is %g at %v", p.Name, ch.Name, v, at)
				}
				if ch.Unit == sample.Percent && v < 0 {
					t.Fatalf("%s %s is %g at %v", p.Name, ch.Name, v, at)
				}
				top = max(top, v)
			}
			switch {
			case p.Name != sim.Dyno:
			case ch.Name == "Power":
				if hp := in(t, top, ch.Unit, sample.Horsepower); !near(hp, want.HP, 0.0025) {
					t.Errorf("highest power %g hp, want %g", hp, want.HP)
				}
			case ch.Name == "Torque":
				if tq := in(t, top, ch.Unit, sample.FootPound); !near(tq, want.Torque, 0.0025) {
					t.Errorf("highest torque %g ft·lb, want %g", tq, want.Torque)
				}
			}
		}
	}
}

func BenchmarkState(b *testing.B) {
	c := cell(b, sim.Settings{})
	var s sim.State
	for i := 0; b.Loop(); i++ {
		s = c.At(time.Duration(i) * time.Millisecond)
	}
	_ = s
}
