package run

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/sim"
	"dynotap/store"
)

// seal brings all that is stored into files.
func (r *rig) seal() {
	r.tb.Helper()
	if err := r.Seal(r.tb.Context(), r.capture.ID, 0); err != nil {
		r.tb.Fatal(err)
	}
}

// What is found in a finished capture is what the tracker found while it grew,
// whatever order the samples were stored in, sealed or not.
func TestPullsOfAFinishedCaptureAreThoseOfTheLiveOne(t *testing.T) {
	t.Parallel()
	batches, pulls := demo(t, 20, 60)
	for name, c := range map[string]struct{ shuffled, sealed bool }{
		"as they came": {}, "shuffled": {shuffled: true}, "sealed": {sealed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := newRig(t)
			live.put(batches...)
			finish(t, live.tracker(live.archive()))

			r := newRig(t)
			list := append([]*sample.Batch(nil), batches...)
			if c.shuffled {
				rand.New(rand.NewPCG(4, 4)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
			r.put(list...)
			if c.sealed {
				r.seal()
			}
			for range 2 { // finding them again changes nothing
				saved, err := savePulls(t, r.archive(), r.capture)
				if err != nil || len(saved) != len(pulls) {
					t.Fatalf("%d pulls saved, want %d: %v", len(saved), len(pulls), err)
				}
			}
			sameRuns(t, r.of(KindPull), live.of(KindPull))
		})
	}
}

// savePulls enters the pulls of a capture; its cursor and state stay.
func savePulls(t *testing.T, a Archive, c store.Capture) ([]Run, error) {
	t.Helper()
	runs, err := PullRuns(t.Context(), a, c, PullSettings{})
	if err != nil {
		return nil, err
	}
	saved, err := a.Load(t.Context(), c.ID)
	if err != nil {
		return nil, err
	}
	return runs, a.Save(t.Context(), c.ID, saved.Cursor, saved.State, runs)
}

// The tracker's cursor and state stay, and so does what somebody wrote.
func TestSavingPullsLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 20, 20)
	r := newRig(t)
	r.put(batches...)
	a := r.archive()
	if err := a.Save(t.Context(), r.capture.ID, 7, []byte("state"), nil); err != nil {
		t.Fatal(err)
	}
	first, err := savePulls(t, a, r.capture)
	if err != nil || len(first) != 1 {
		t.Fatal(len(first), err)
	}
	if _, err := r.EditRun(t.Context(), first[0].ID, store.Edit{Name: new("after the cam swap")}); err != nil {
		t.Fatal(err)
	}
	if _, err := savePulls(t, a, r.capture); err != nil {
		t.Fatal(err)
	}
	saved, err := a.Load(t.Context(), r.capture.ID)
	if err != nil || saved.Cursor != 7 || string(saved.State) != "state" {
		t.Errorf("cursor %d, state %q, %v", saved.Cursor, saved.State, err)
	}
	if list := r.of(KindPull); len(list) != 1 || list[0].Name != "after the cam swap" {
		t.Errorf("%d pulls, %q", len(list), list[0].Name)
	}
}

func TestAPullThatIsThereUnderAnotherIDIsNotEnteredAgain(t *testing.T) {
	t.Parallel()
	batches, pulls := demo(t, 20, 40)
	r := newRig(t)
	r.put(batches...)
	start := epoch + pulls[0].Start.Microseconds()
	if err := r.PutRun(t.Context(), store.Run{
		ID: "mine", Capture: r.capture.ID, Kind: string(KindPull), Source: sourceName, StartedUS: new(start), EndedUS: new(start + 2*second),
	}); err != nil {
		t.Fatal(err)
	}
	saved, err := savePulls(t, r.archive(), r.capture)
	if err != nil || len(saved) != len(pulls)-1 || len(r.of(KindPull)) != len(pulls) {
		t.Errorf("%d saved, %d in all, %v", len(saved), len(r.of(KindPull)), err)
	}
}

func TestACaptureWithoutPullsHasNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if list, err := FindPulls(t.Context(), r, r.capture.ID, PullSettings{}); err != nil || list != nil {
		t.Errorf("%v, %v", list, err)
	}
	r.put(exact(t, 3, sample.CorrectionNone, weatherNames...)...)
	if list, err := FindPulls(t.Context(), r, r.capture.ID, PullSettings{}); err != nil || list != nil {
		t.Errorf("%v, %v", list, err)
	}
}

// A clock that shows another year for one sample makes neither a pull nor a
// search through all of the years.
func TestPullsOfALogWithAWildTime(t *testing.T) {
	t.Parallel()
	batches, pulls := demo(t, 20, 20)
	wild := *batches[100]
	wild.Samples = append([]sample.Sample(nil), wild.Samples...)
	for i := range wild.Samples {
		wild.Samples[i].Time += 40 * 365 * 86400 * second
	}
	r := newRig(t)
	r.put(batches...)
	r.put(&wild)
	list, err := FindPulls(t.Context(), r, r.capture.ID, PullSettings{})
	if err != nil || len(list) != len(pulls) {
		t.Errorf("%d pulls, want %d: %v", len(list), len(pulls), err)
	}
}

// Power that nobody recorded is computed, and the summary says so.
func TestA7PowerIsDerivedWhereItIsAbsent(t *testing.T) {
	t.Parallel()
	peak := sim.Peak()
	for _, c := range []struct {
		name     string
		channels []string
		memory   int
		want     float64 // hp; 0: none
		derived  string
	}{
		{"recorded", []string{channel.RPM, channel.Horsepower, channel.Force, channel.Speed}, 0, peak.HP, ""},
		{"from the drum", []string{channel.RPM, channel.Force, channel.Speed}, 0, peak.HP, fromDrum},
		{"a part at a time", []string{channel.RPM, channel.Force, channel.Speed}, 500, peak.HP, fromDrum},
		{"from the shaft", []string{channel.RPM, channel.Torque}, 0, peak.HP, fromTorque},
		{"the drum before the shaft", []string{channel.RPM, channel.Torque, channel.Force, channel.Speed}, 0, peak.HP, fromDrum},
		{"force alone", []string{channel.RPM, channel.Force}, 0, 0, ""},
		{"speed alone", []string{channel.RPM, channel.Speed}, 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put(exact(t, 150, sample.CorrectionNone, c.channels...)...)
			s, err := Summarise(t.Context(), r, r.capture.ID, math.MinInt64, math.MaxInt64)
			if c.memory > 0 {
				g := gathering{reader: r, capture: r.capture.ID, memory: c.memory}
				if _, err = g.gather(t.Context(), math.MinInt64, math.MaxInt64); err == nil {
					s = Summary{}
					err = g.derivePeaks(t.Context(), &s, math.MinInt64, math.MaxInt64)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Derived["peak_hp"] != c.derived || (s.PeakHP != nil) != (c.want > 0) {
				t.Fatalf("derived %v, peak %v", s.Derived, s.PeakHP)
			}
			if c.want == 0 {
				return
			}
			if math.Abs(*s.PeakHP/c.want-1) > 0.001 || math.Abs(*s.HPPeakRPM/peak.HPRPM-1) > 0.01 {
				t.Errorf("%g hp @ %g, want %g @ %g", *s.PeakHP, *s.HPPeakRPM, c.want, peak.HPRPM)
			}
			session := r.finished(t)
			if got := fmt.Sprint(session.Derived["peak_hp"]); got != c.derived || math.Abs(*session.PeakHP-*s.PeakHP) > 1e-9 {
				t.Errorf("the session says %g hp, derived %q", *session.PeakHP, got)
			}
		})
	}
}

// finished is the session's run after its end.
func (r *rig) finished(t *testing.T) Run {
	t.Helper()
	finish(t, r.tracker(r.archive()))
	list := r.of(KindSession)
	if len(list) != 1 {
		t.Fatalf("%d sessions", len(list))
	}
	return list[0]
}

// Peaks of a generated run equal the model's within 0.1 %.
func TestA7PeaksAreTheModels(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(exact(t, 60, sample.CorrectionNone, channel.RPM, channel.Horsepower, channel.Torque, channel.Force, channel.Speed)...)
	runs, err := savePulls(t, r.archive(), r.capture)
	if err != nil || len(runs) != 3 {
		t.Fatal(len(runs), err)
	}
	peak := sim.Peak()
	for _, p := range runs {
		if math.Abs(*p.PeakHP/peak.HP-1) > 0.001 || math.Abs(*p.PeakTorque/peak.Torque-1) > 0.001 {
			t.Errorf("%s: %g hp, %g ft·lb; want %g and %g", p.Name, *p.PeakHP, *p.PeakTorque, peak.HP, peak.Torque)
		}
	}
}

// The highest of all parts counts, not that of the last one.
func TestADerivedPeakIsThatOfTheWholeRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	set := resolved(t, sourceName,
		sample.Channel{Provider: "DWRT CPU", ID: 1, Label: "Force", NativeUnit: sample.PoundForce},
		sample.Channel{Provider: "DWRT CPU", ID: 2, Label: "Speed", NativeUnit: sample.MilePerHour})
	b := &sample.Batch{Set: set}
	for i := range int64(300) {
		force := 75.0
		if i == 100 {
			force = 150
		}
		at := epoch + i*second
		b.Samples = append(b.Samples, sample.Sample{Time: at, Value: force}, sample.Sample{Time: at, Channel: 1, Value: 100})
	}
	r.put(b)
	g := gathering{reader: r, capture: r.capture.ID, memory: 50}
	if _, err := g.gather(t.Context(), math.MinInt64, math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	var s Summary
	if err := g.derivePeaks(t.Context(), &s, math.MinInt64, math.MaxInt64); err != nil || s.PeakHP == nil || *s.PeakHP != 40 {
		t.Errorf("%v, %v", s.PeakHP, err)
	}
}

// Of a live capture the store knows only the channels that speak at the times
// asked for: a part of the log in which one of them is silent counts all the
// same.
func TestPullsBeforeAChannelSpeaksAreFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rpm := resolved(t, sourceName, sample.Channel{Provider: "ECU", ID: 1, Label: "Engine RPM", NativeUnit: sample.RPM})
	power := resolved(t, sourceName, sample.Channel{Provider: "DWRT CPU", ID: 1, Label: "Power", NativeUnit: sample.Horsepower})
	cell, err := sim.New(sim.Settings{PullEvery: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for s := range 180 {
		engine, drum := &sample.Batch{Set: rpm}, &sample.Batch{Set: power}
		for i := range 20 {
			at := time.Duration(s)*time.Second + time.Duration(i)*50*time.Millisecond
			state := cell.At(at)
			engine.Samples = append(engine.Samples, sample.Sample{Time: epoch + at.Microseconds(), Value: state.RPM})
			drum.Samples = append(drum.Samples, sample.Sample{Time: epoch + at.Microseconds(), Value: state.Power / 0.7457})
		}
		if r.put(engine); s >= 120 {
			r.put(drum)
		}
	}
	g := gathering{reader: r, capture: r.capture.ID, memory: 500}
	pulls, err := g.pulls(t.Context(), math.MinInt64, math.MaxInt64, PullSettings{})
	if err != nil || len(pulls) != 3 {
		t.Errorf("%d pulls, want 3: %v", len(pulls), err)
	}
}
