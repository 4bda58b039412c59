package run

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/run/correct"
	"dynotap/run/series"
	"dynotap/sample"
	"dynotap/sim"
)

// exact is what perfect instruments of the simulated cell show in a number of
// seconds, 20 times a second; only the channels wanted.
func exact(tb testing.TB, seconds float64, corrected sample.Correction, want ...string) []*sample.Batch {
	tb.Helper()
	cell, err := sim.New(sim.Settings{})
	if err != nil {
		tb.Fatal(err)
	}
	kinds := []struct {
		name, provider, label string
		unit                  sample.Unit
		of                    func(sim.State) float64
	}{
		{channel.RPM, "DWRT CPU", "Engine RPM", sample.RPM, func(s sim.State) float64 { return s.RPM }},
		{channel.Horsepower, "DWRT CPU", "Power", sample.Kilowatt, func(s sim.State) float64 { return s.Power }},
		{channel.Torque, "DWRT CPU", "Torque", sample.NewtonMetre, func(s sim.State) float64 { return s.Torque }},
		{channel.Force, "DWRT CPU", "Force", sample.Newton, func(s sim.State) float64 { return s.Force }},
		{channel.Speed, "DWRT CPU", "Speed", sample.KilometrePerHour, func(s sim.State) float64 { return s.Speed }},
		{channel.AFRFront, "PV", "WBO2 AFR Front", sample.AFR, func(s sim.State) float64 { return s.AFRFront }},
		{channel.AmbientTemp, "DWRT ATMO", "Temperature 1", sample.Celsius, func(sim.State) float64 { return 35 }},
		{channel.Barometric, "DWRT ATMO", "Pressure", sample.Kilopascal, func(sim.State) float64 { return 98 }},
		{channel.Humidity, "DWRT ATMO", "Humidity", sample.Percent, func(sim.State) float64 { return 30 }},
	}
	var list []sample.Channel
	var of []func(sim.State) float64
	for i, k := range kinds {
		for _, name := range want {
			if name == k.name {
				ch := sample.Channel{Provider: k.provider, ID: uint32(i + 1), Label: k.label, NativeUnit: k.unit}
				if name == channel.Horsepower || name == channel.Torque {
					ch.Corrected = corrected
				}
				list, of = append(list, ch), append(of, k.of)
			}
		}
	}
	set := resolved(tb, sourceName, list...)
	var batches []*sample.Batch
	for k := range int(seconds * 20) {
		at := time.Duration(k) * 50 * time.Millisecond
		state := cell.At(at)
		b := &sample.Batch{Set: set, Received: epoch + at.Microseconds()}
		for i := range of {
			b.Samples = append(b.Samples, sample.Sample{Time: epoch + at.Microseconds(), Channel: uint32(i), Value: of[i](state)})
		}
		batches = append(batches, b)
	}
	return batches
}

var weatherNames = []string{channel.AmbientTemp, channel.Barometric, channel.Humidity}

// factorHere is the SAE factor of the weather in exact.
func factorHere(tb testing.TB, s correct.Standard) float64 {
	tb.Helper()
	f, err := correct.Compute(s, correct.Weather{Temperature: new(35.0), Pressure: new(98.0), Humidity: new(30.0)})
	if err != nil {
		tb.Fatal(err)
	}
	return f.Value
}

// session is the run of a whole capture.
func (r *rig) session() Run {
	return Run{ID: "s", Capture: r.capture.ID, Kind: KindSession, Source: sourceName, Name: "Session"}
}

func TestCurvesAreCorrectedOnceOrNotAtAll(t *testing.T) {
	t.Parallel()
	sae, std := factorHere(t, correct.SAE), factorHere(t, correct.STD)
	all := append([]string{channel.RPM, channel.Horsepower, channel.Torque, channel.Force, channel.Speed}, weatherNames...)
	dry := []string{channel.RPM, channel.Horsepower, channel.Torque, channel.Force, channel.Speed}
	own := append([]string{channel.RPM, channel.Horsepower, channel.Torque}, weatherNames...)
	torque := append([]string{channel.RPM, channel.Torque}, weatherNames...)
	for _, c := range []struct {
		name     string
		carried  sample.Correction
		channels []string
		wish     *correct.Standard
		scale    float64 // of power and torque; 0: an error
		says     string  // in the correction, a note, or the error
		derived  bool
	}{
		{"uncorrected is brought to SAE", sample.CorrectionNone, own, nil, sae, "SAE J1349", false},
		{"uncorrected is brought to SAE, as told", sample.CorrectionNone, own, new(correct.SAE), sae, "SAE J1349", false},
		{"uncorrected is brought to STD", sample.CorrectionNone, own, new(correct.STD), std, "STD (SAE J607)", false},
		{"uncorrected stays so as told", sample.CorrectionNone, own, new(correct.None), 1, "uncorrected", false},
		{"uncorrected without weather", sample.CorrectionNone, dry, nil, 1, "weather is missing: no air temperature", false},
		{"SAE without weather", sample.CorrectionNone, dry, new(correct.SAE), 0, "weather is missing", false},
		{"SAE stays SAE", sample.CorrectionSAE, own, new(correct.SAE), 1, "SAE J1349 (as recorded)", false},
		{"SAE is what there is", sample.CorrectionSAE, own, nil, 1, "SAE J1349 (as recorded)", false},
		{"STD is what there is", sample.CorrectionSTD, own, nil, 1, "STD (SAE J607) (as recorded)", false},
		{"STD is kept though the drum would give SAE", sample.CorrectionSTD, all, nil, 1, "STD (SAE J607) (as recorded)", false},
		{"SAE does not become STD", sample.CorrectionSAE, own, new(correct.STD), 0, "(correction of Power: sae)", false},
		{"SAE is not uncorrected", sample.CorrectionSAE, own, new(correct.None), 0, "(correction of Power: sae)", false},
		{"SAE becomes STD by way of the drum", sample.CorrectionSAE, all, new(correct.STD), std, "drum force × speed", true},
		{"unknown is not corrected", sample.CorrectionUnknown, own, new(correct.SAE), 0, "(correction of Power: unknown)", false},
		{"unknown stays as it is", sample.CorrectionUnknown, own, nil, 1, "as recorded, correction unknown", false},
		{"the drum is known where power is not", sample.CorrectionUnknown, all, nil, sae, "drum force × speed", true},
		{"torque alone", sample.CorrectionNone, torque, nil, sae, "torque × rpm", true},
		{"nothing", sample.CorrectionNone, append([]string{channel.RPM}, weatherNames...), nil, 0, "no channel has power", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put(exact(t, 15, c.carried, c.channels...)...)
			got, err := ReadCurves(t.Context(), r, r.session(), CurveOptions{Correction: c.wish})
			if c.scale == 0 {
				if !errors.Is(err, ErrNoCurves) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%v, want %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			peak := sim.Peak()
			for name, v := range map[string]struct {
				s    series.Series
				want float64
			}{"power": {got.Power.Series, peak.HP * c.scale}, "torque": {got.Torque.Series, peak.Torque * c.scale}} {
				i := v.s.Peak()
				if i < 0 || math.Abs(v.s.Values[i]/v.want-1) > 0.001 {
					t.Errorf("peak %s at %d of %d, want %g", name, i, v.s.Len(), v.want)
				}
			}
			if said := got.Correction + "; " + strings.Join(got.Notes, "; "); !strings.Contains(said, c.says) || (got.Power.Derived != "") != c.derived {
				t.Errorf("%s, derived %q", said, got.Power.Derived)
			}
			if (got.Factor != nil) != (c.scale != 1) {
				t.Errorf("factor %+v", got.Factor)
			}
		})
	}
}

// A file brings weather seldom: the humidity of nine minutes ago will do, that
// of an hour ago will not.
func TestWeatherNearARunIsUsed(t *testing.T) {
	t.Parallel()
	for ago, ok := range map[time.Duration]bool{9 * time.Minute: true, time.Hour: false} {
		r := newRig(t)
		r.put(exact(t, 15, sample.CorrectionNone, channel.RPM, channel.Horsepower, channel.Barometric, channel.AmbientTemp)...)
		set := resolved(t, sourceName, sample.Channel{Provider: "DWRT ATMO", ID: 77, Label: "Humidity", NativeUnit: sample.Percent})
		r.put(&sample.Batch{Set: set, Samples: []sample.Sample{{Time: epoch - ago.Microseconds(), Value: 30}}})
		run := r.session()
		run.Kind, run.From, run.To = KindPull, new(epoch), new(epoch+15*second)
		got, err := ReadCurves(t.Context(), r, run, CurveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if (got.Factor != nil) != ok {
			t.Errorf("%v ago: factor %+v, notes %v", ago, got.Factor, got.Notes)
		}
	}
}

// Of a session its strongest pull is drawn, unless all of it is asked for.
func TestASessionIsDrawnByItsPull(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(exact(t, 55, sample.CorrectionNone, channel.RPM, channel.Horsepower, channel.AFRFront)...)
	got, err := ReadCurves(t.Context(), r, r.session(), CurveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(got.Part, " of 3") || got.To-got.From > 10*second || got.Torque.Derived == "" || len(got.Mixture) != 1 || got.Mixture[0].Device != "PV" {
		t.Errorf("part %q, %d µs, torque %q, mixture %d", got.Part, got.To-got.From, got.Torque.Derived, len(got.Mixture))
	}
	whole, err := ReadCurves(t.Context(), r, r.session(), CurveOptions{Whole: true})
	if err != nil || whole.Part != "" || whole.To-whole.From < 54*second {
		t.Errorf("%q, %d µs, %v", whole.Part, whole.To-whole.From, err)
	}
}

// Smoothing is for the eye: what is stored stays, and so do summaries.
func TestSmoothingNeverTouchesWhatIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(exact(t, 15, sample.CorrectionNone, channel.RPM, channel.Horsepower)...)
	before, err := Summarise(t.Context(), r, r.capture.ID, math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	sharp, err := ReadCurves(t.Context(), r, r.session(), CurveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	soft, err := ReadCurves(t.Context(), r, r.session(), CurveOptions{Smoothing: 5})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(sharp.Power.Values) == fmt.Sprint(soft.Power.Values) || soft.Power.Len() != sharp.Power.Len() {
		t.Error("smoothing does nothing")
	}
	after, err := Summarise(t.Context(), r, r.capture.ID, math.MinInt64, math.MaxInt64)
	if err != nil || *after.PeakHP != *before.PeakHP {
		t.Errorf("%v, %v", after.PeakHP, err)
	}
	if _, err := ReadCurves(t.Context(), r, r.session(), CurveOptions{Smoothing: 6}); !errors.Is(err, ErrNoCurves) {
		t.Error(err)
	}
}

func TestLongRunsAreDrawnByMeans(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	set := resolved(t, sourceName, sample.Channel{Provider: "DWRT CPU", ID: 1, Label: "Power (uncorrected)", NativeUnit: sample.Horsepower})
	const n = 5*mostPoints + 4000
	for from := 0; from < n; from += 4000 {
		b := &sample.Batch{Set: set}
		for i := range 4000 {
			b.Samples = append(b.Samples, sample.Sample{Time: epoch + int64(from+i)*10_000, Value: float64((from + i) % 2)})
		}
		r.put(b)
	}
	got, err := ReadCurves(t.Context(), r, r.session(), CurveOptions{Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	if k := got.Power.Len(); k > mostPoints || k < mostPoints/2 || !strings.Contains(strings.Join(got.Notes, " "), "means over") {
		t.Errorf("%d points, %v", k, got.Notes)
	}
	for _, v := range got.Power.Values[:100] {
		if v < 0.3 || v > 0.7 {
			t.Fatalf("a mean of 0 and 1 is %g", v)
		}
	}
}
