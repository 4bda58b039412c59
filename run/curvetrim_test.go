package run

import (
	"slices"
	"strings"
	"testing"

	"dynotap/run/series"
)

func TestTheEndsOfAPullAreTrimmed(t *testing.T) {
	t.Parallel()
	every50ms := func(values ...float64) series.Series {
		s := series.Series{Values: values}
		for i := range values {
			s.Times = append(s.Times, int64(i)*50_000)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		power series.Series
		want  []float64
	}{
		{"throttle opens and closes", every50ms(10, 30, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 40, 10),
			[]float64{40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55}},
		{"neither", every50ms(40, 41, 42, 43, 44), []float64{40, 41, 42, 43, 44}},
		{"an engine that falls off", every50ms(60, 60, 60, 60, 60, 60, 60, 60, 60, 59, 58, 57, 56, 55),
			[]float64{60, 60, 60, 60, 60, 60, 60, 60, 60, 59, 58, 57, 56, 55}},
		{"a loss within stays", every50ms(40, 41, 42, 43, 44, 45, 46, 47, 48, 5, 4, 49, 50, 51, 52, 53, 54, 55, 56, 57),
			[]float64{40, 41, 42, 43, 44, 45, 46, 47, 48, 5, 4, 49, 50, 51, 52, 53, 54, 55, 56, 57}},
		{"one point", every50ms(40), []float64{40}},
		{"no power at all", every50ms(0, 0, 0), []float64{0, 0, 0}},
		{"drag only", every50ms(-3, -4, -5), []float64{-3, -4, -5}},
	} {
		from, to := trimmed(c.power)
		if got := c.power.Values[from : to+1]; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Over engine speed a sheet shows the engine; over time all of the run.
func TestASheetOverEngineSpeedHasNoThrottleEnds(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 20, 20)
	r := newRig(t)
	r.put(batches...)
	pulls, err := savePulls(t, r.archive(), r.capture)
	if err != nil || len(pulls) != 1 {
		t.Fatal(len(pulls), err)
	}
	over, err := ReadCurves(t.Context(), r, pulls[0], CurveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := ReadCurves(t.Context(), r, pulls[0], CurveOptions{Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	p := over.Power
	if lowest := slices.Min(p.Values); lowest < 30 || p.Len() >= whole.Power.Len() || p.Values[p.Len()-1] < 0.85*p.Values[p.Peak()] {
		t.Errorf("%d of %d points, from %.1f to %.1f hp", p.Len(), whole.Power.Len(), p.Values[0], p.Values[p.Len()-1])
	}
	if p.Values[p.Peak()] != whole.Power.Values[whole.Power.Peak()] {
		t.Error("the peak has changed")
	}
	said := func(n string) bool {
		return strings.Contains(n, "s at the ends, where the throttle opens and closes, are not drawn")
	}
	if !slices.ContainsFunc(over.Notes, said) || slices.ContainsFunc(whole.Notes, said) {
		t.Errorf("notes %q, over time %q", over.Notes, whole.Notes)
	}
}
