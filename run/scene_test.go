package run

import (
	"math"
	"math/rand/v2"
	"testing"

	"dynotap/channel"
	"dynotap/sample"
)

// Scenes: an engine that does what its curve says.

func at(device, name string) Input { return Input{Device: device, Name: name} }

// line gives straight lines between the points (seconds, value).
func line(points ...[2]float64) func(float64) float64 {
	return func(s float64) float64 {
		for i := 1; i < len(points); i++ {
			a, b := points[i-1], points[i]
			if s < b[0] {
				return a[1] + (b[1]-a[1])*max(0, s-a[0])/(b[0]-a[0])
			}
		}
		return points[len(points)-1][1]
	}
}

func noisy(sigma float64, f func(float64) float64) func(float64) float64 {
	r := rand.New(rand.NewPCG(7, 8))
	return func(s float64) float64 { return f(s) + sigma*r.NormFloat64() }
}

func TestWhatIsAPullAndWhatIsNot(t *testing.T) {
	t.Parallel()
	full := line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{9, 6000}, [2]float64{10, 3000}, [2]float64{20, 1000})
	load := line([2]float64{0, 1}, [2]float64{3, 1}, [2]float64{3.2, 40}, [2]float64{9, 90}, [2]float64{9.2, -10}, [2]float64{20, 0})
	idle := noisy(25, line([2]float64{0, 950}))
	drum := at("dyno", channel.Force)
	cases := []struct {
		name        string
		seconds     float64
		instruments []instrument
		want        []float64 // starts, s
	}{
		{"rpm and power", 20, []instrument{{at("dyno", channel.RPM), 20, full}, {at("dyno", channel.Horsepower), 20, load}}, []float64{3}},
		{"rpm of the control unit, power of the dyno", 20,
			[]instrument{{at("ecu", channel.RPM), 10, full}, {at("dyno", channel.Horsepower), 20, load}}, []float64{3}},
		{"rpm alone", 20, []instrument{{at("ecu", channel.RPM), 20, full}}, []float64{3}},
		{"rpm and road speed", 20, []instrument{{at("ecu", channel.RPM), 20, full},
			{at("ecu", channel.Speed), 10, func(s float64) float64 { return full(s) / 60 }}}, []float64{3}},
		{"idling", 60, []instrument{{at("dyno", channel.RPM), 20, idle}, {at("dyno", channel.Horsepower), 20, noisy(1, line([2]float64{0, 0}))}}, nil},
		{"idling without power", 60, []instrument{{at("dyno", channel.RPM), 20, idle}}, nil},
		{"free revving with power", 20, []instrument{{at("dyno", channel.RPM), 20, full},
			{at("dyno", channel.Horsepower), 20, noisy(1, line([2]float64{0, 0}))}}, nil},
		{"free revving with road speed seen before", 60, []instrument{{at("ecu", channel.RPM), 20, line([2]float64{0, 3000}, [2]float64{10, 3000},
			[2]float64{12, 900}, [2]float64{30, 900}, [2]float64{34, 6000}, [2]float64{35, 900})},
			{at("ecu", channel.Speed), 10, line([2]float64{0, 40}, [2]float64{10, 40}, [2]float64{12, 0})}}, nil},
		{"a blip without power", 20, []instrument{{at("ecu", channel.RPM), 20,
			line([2]float64{0, 900}, [2]float64{5, 900}, [2]float64{5.8, 5000}, [2]float64{7, 900})}}, nil},
		{"aborted before it was one", 20, []instrument{
			{at("dyno", channel.RPM), 20, line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{4.2, 3100}, [2]float64{6, 2500})},
			{at("dyno", channel.Horsepower), 20, line([2]float64{0, 0}, [2]float64{3, 0}, [2]float64{3.2, 40}, [2]float64{4.2, 50}, [2]float64{4.4, -5})}}, nil},
		{"aborted half way", 20, []instrument{
			{at("dyno", channel.RPM), 20, line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{6, 4300}, [2]float64{8, 2500})},
			{at("dyno", channel.Horsepower), 20, line([2]float64{0, 0}, [2]float64{3, 0}, [2]float64{3.2, 40}, [2]float64{6, 60}, [2]float64{6.2, -5})}}, []float64{3}},
		{"steady load is none", 60, []instrument{{at("dyno", channel.RPM), 20, noisy(20, line([2]float64{0, 3500}))},
			{at("dyno", channel.Horsepower), 20, noisy(1, line([2]float64{0, 30}))}}, nil},
		{"a sweep out of steady load", 40, []instrument{
			{at("dyno", channel.RPM), 20, noisy(15, line([2]float64{0, 2500}, [2]float64{10, 2500}, [2]float64{25, 6000}, [2]float64{26, 2500}))},
			{at("dyno", channel.Horsepower), 20, noisy(1, line([2]float64{0, 30}, [2]float64{10, 30}, [2]float64{25, 95}, [2]float64{26, 30}))}}, []float64{10}},
		{"held at the limiter", 40, []instrument{
			{at("dyno", channel.RPM), 20, line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{9, 6000}, [2]float64{20, 6000}, [2]float64{22, 2500})},
			{at("dyno", channel.Horsepower), 20, line([2]float64{0, 0}, [2]float64{3, 0}, [2]float64{3.2, 40}, [2]float64{9, 90}, [2]float64{20, 60}, [2]float64{20.2, 0})}}, []float64{3}},
		{"back to back", 40, []instrument{
			{at("dyno", channel.RPM), 20, line([2]float64{0, 2500}, [2]float64{2, 2500}, [2]float64{8, 6000}, [2]float64{9, 2500}, [2]float64{9.2, 2500}, [2]float64{15, 6000}, [2]float64{16, 2500})},
			{at("dyno", channel.Horsepower), 20, line([2]float64{0, 0}, [2]float64{2, 0}, [2]float64{2.2, 40}, [2]float64{8, 90}, [2]float64{8.2, -9}, [2]float64{9, -9}, [2]float64{9.3, 40}, [2]float64{15, 90}, [2]float64{15.2, 0})}}, []float64{2, 9.2}},
		{"the dyno counts, not the device with more samples", 20, []instrument{
			{at("dyno", channel.RPM), 20, full}, {at("dyno", channel.Horsepower), 20, load}, {drum, 20, load},
			{at("guess", channel.Horsepower), 50, line([2]float64{0, 0})}, {at("guess", channel.RPM), 50, idle}}, []float64{3}},
		{"power falls out for a quarter of a second", 20, []instrument{{at("dyno", channel.RPM), 20, full},
			{at("dyno", channel.Horsepower), 20, func(s float64) float64 {
				if s > 5 && s < 5.25 {
					return 0
				}
				return load(s)
			}}}, []float64{3}},
		{"hardly faster", 20, []instrument{{at("dyno", channel.RPM), 20, line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{6, 3200}, [2]float64{9, 2500})},
			{at("dyno", channel.Horsepower), 20, load}}, nil},
		{"negative power only", 20, []instrument{{at("dyno", channel.RPM), 20, full},
			{at("dyno", channel.Horsepower), 20, line([2]float64{0, -20})}}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := detect(play(c.seconds, c.instruments...))
			if len(found) != len(c.want) {
				t.Fatalf("%d pulls, want %d: %v", len(found), len(c.want), listed(found))
			}
			for i, p := range found {
				if off := math.Abs(float64(p.Start-epoch)/1e6 - c.want[i]); off > 0.6 {
					t.Errorf("pull %d: %v, want start %g s", i, listed(found)[i], c.want[i])
				}
			}
		})
	}
}

func TestWhereAPullEnds(t *testing.T) {
	t.Parallel()
	cases := map[string][2]func(float64) float64{
		"at the limiter, throttle open": {
			line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{9, 6000}, [2]float64{20, 6000}, [2]float64{22, 2500}),
			line([2]float64{0, 0}, [2]float64{3, 0}, [2]float64{3.2, 40}, [2]float64{9, 90}, [2]float64{20, 60}, [2]float64{20.2, 0})},
		"throttle nearly closed, rpm still creeping up": {
			line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{9, 6000}, [2]float64{15, 6500}, [2]float64{22, 2500}),
			line([2]float64{0, 0}, [2]float64{3, 0}, [2]float64{3.2, 40}, [2]float64{9, 90}, [2]float64{9.1, 9}, [2]float64{20, 9})},
		"rpm falls under load": {
			line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{9, 6000}, [2]float64{20, 2500}),
			line([2]float64{0, 0}, [2]float64{3, 0}, [2]float64{3.2, 40}, [2]float64{9, 90}, [2]float64{20, 60})},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := NewDetector(PullSettings{})
			var found []Pull
			for _, r := range play(22, instrument{at("dyno", channel.RPM), 20, c[0]}, instrument{at("dyno", channel.Horsepower), 20, c[1]}) {
				d.Feed(r.in, r.t, r.v, sample.Good)
				for _, p := range d.Take() {
					if found = append(found, p); r.t-p.End > 2*second {
						t.Errorf("found %d µs after its end", r.t-p.End)
					}
				}
			}
			if len(found) != 1 || math.Abs(float64(found[0].End-epoch)/1e6-9) > 0.2 || found[0].Cut {
				t.Errorf("pulls %v, want one until 9 s", listed(found))
			}
		})
	}
}

func TestRPMIsThatOfTheDeviceWithThePower(t *testing.T) {
	t.Parallel()
	rise := line([2]float64{0, 2500}, [2]float64{3, 2500}, [2]float64{9, 6000}, [2]float64{10, 3000})
	load := line([2]float64{0, 0}, [2]float64{3, 0}, [2]float64{3.2, 40}, [2]float64{9, 90}, [2]float64{9.2, 0})
	found := detect(play(15, instrument{at("ecu", channel.RPM), 50, rise}, instrument{at("weak", channel.RPM), 5, rise},
		instrument{at("weak", channel.Horsepower), 5, load}))
	if len(found) != 1 || found[0].Device != "weak" {
		t.Errorf("pulls %+v", found)
	}
}
