package series_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"dynotap/run/series"
	"dynotap/sim"
)

func of(pairs ...float64) (s series.Series) {
	for i := 0; i < len(pairs); i += 2 {
		s.Times, s.Values = append(s.Times, int64(pairs[i])), append(s.Values, pairs[i+1])
	}
	return s
}

func TestAValueBetweenNeighbours(t *testing.T) {
	t.Parallel()
	s := of(0, 1, 10, 2, 100, 5)
	for _, c := range []struct {
		at, gap int64
		want    float64
		ok      bool
	}{
		{0, 0, 1, true}, {5, 10, 1.5, true}, {5, 9, 0, false}, {10, 0, 2, true}, {100, 0, 5, true}, {55, 90, 3.5, true},
		{-1, 1000, 0, false}, {101, 1000, 0, false},
	} {
		if v, ok := s.At(c.at, c.gap); v != c.want || ok != c.ok {
			t.Errorf("at %d, gap %d: %g, %t", c.at, c.gap, v, ok)
		}
	}
	if _, ok := (series.Series{}).At(0, 10); ok {
		t.Error("an empty series has a value")
	}
}

func TestPartsAndPeaks(t *testing.T) {
	t.Parallel()
	s := of(0, 1, 10, 7, 20, 7, 30, -1)
	for _, c := range []struct {
		from, to int64
		want     series.Series
	}{{5, 20, of(10, 7, 20, 7)}, {10, 10, of(10, 7)}, {31, 40, of()}, {20, 10, of()}, {-5, 99, s}} {
		if got := s.Between(c.from, c.to); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%d to %d: %v", c.from, c.to, got)
		}
	}
	if s.Peak() != 1 || of().Peak() != -1 || of(0, -3, 1, -2).Peak() != 1 {
		t.Error("peak")
	}
}

// Exactness: what is computed from the simulated drum and shaft is what the
// model computes them from, and its peaks are the engine's within 0.1 %.
func TestDerivedPowerAndTorqueAreTheModels(t *testing.T) {
	t.Parallel()
	cell, err := sim.New(sim.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	var force, speed, rpm, torque series.Series
	pull := cell.Pulls(time.Minute)[0]
	for at := pull.Start; at < pull.End; at += 10 * time.Millisecond {
		s := cell.At(at)
		add := func(to *series.Series, v float64) {
			to.Times, to.Values = append(to.Times, at.Microseconds()), append(to.Values, v)
		}
		add(&force, s.Force/4.4482216152605)
		add(&speed, s.Speed/1.609344)
		add(&rpm, s.RPM)
		add(&torque, s.Torque/1.3558179483314)
	}
	drum := series.DrumPower(force, speed, 0)
	shaft := series.ShaftPower(torque, rpm, 0)
	back := series.ShaftTorque(drum, rpm, 0)
	for i, at := range force.Times {
		want := cell.At(time.Duration(at)*time.Microsecond).Power / 0.74569987158227
		if math.Abs(drum.Values[i]-want) > 1e-6*want || math.Abs(shaft.Values[i]-want) > 1e-6*want {
			t.Fatalf("at %d µs: %g by the drum, %g by the shaft, want %g hp", at, drum.Values[i], shaft.Values[i], want)
		}
		if math.Abs(back.Values[i]-torque.Values[i]) > 1e-6*torque.Values[i] {
			t.Fatalf("at %d µs: torque %g, want %g", at, back.Values[i], torque.Values[i])
		}
	}
	peak := sim.Peak()
	for name, c := range map[string]struct{ got, want float64 }{
		"power": {drum.Values[drum.Peak()], peak.HP}, "torque": {back.Values[back.Peak()], peak.Torque},
		"power rpm": {rpm.Values[drum.Peak()], peak.HPRPM}, "torque rpm": {rpm.Values[back.Peak()], peak.TorqueRPM},
	} {
		if math.Abs(c.got/c.want-1) > 0.001 {
			t.Errorf("peak %s %g, want %g", name, c.got, c.want)
		}
	}
}

func TestNothingIsDerivedWhereSomethingIsMissing(t *testing.T) {
	t.Parallel()
	for name, got := range map[string]series.Series{
		"speed in a gap":   series.DrumPower(of(50, 100), of(0, 10, 100, 20), 50),
		"speed too late":   series.DrumPower(of(50, 100), of(51, 10), 50),
		"no rpm at all":    series.ShaftPower(of(50, 100), of(), 50),
		"standing engine":  series.ShaftTorque(of(50, 100), of(50, 0), 50),
		"infinite product": series.ShaftPower(of(50, 1e300), of(50, 1e300), 50),
	} {
		if got.Len() != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestInputsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	a, b := of(0, 1, 10, 2), of(0, 3, 10, 4)
	before := fmt.Sprint(a, b)
	series.DrumPower(a, b, 1)
	scaled := a.Scaled(3)
	scaled.Values[0], scaled.Times[0] = 99, 99
	if part := a.Between(0, 0); cap(part.Values) != 1 {
		t.Error("appending to a part would change the whole")
	}
	if fmt.Sprint(a, b) != before {
		t.Error("an input was changed")
	}
}
