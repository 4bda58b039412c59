package run

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/sim"
)

// reading is one sample on its way to a detector.
type reading struct {
	in  Input
	t   int64
	v   float64
	bad bool
}

const second = int64(time.Second / time.Microsecond)

// epoch is where the tests' time begins: 2026-11-23 12:00 UTC.
var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixMicro()

// instrument is one channel of a scene.
type instrument struct {
	in    Input
	hz    float64
	value func(s float64) float64 // canonical unit, at s seconds
}

// play samples the instruments for a number of seconds, in order of time.
func play(seconds float64, instruments ...instrument) []reading {
	var out []reading
	for n, i := range instruments {
		phase := float64(n) * 0.0031
		for k := 0; ; k++ {
			s := float64(k)/i.hz + phase
			if s >= seconds {
				break
			}
			out = append(out, reading{in: i.in, t: epoch + int64(s*1e6), v: i.value(s)})
		}
	}
	slices.SortStableFunc(out, func(a, b reading) int { return cmp.Compare(a.t, b.t) })
	return out
}

func feed(d *Detector, readings []reading) {
	for _, r := range readings {
		q := sample.Good
		if r.bad {
			q = sample.Bad
		}
		d.Feed(r.in, r.t, r.v, q)
	}
}

func detect(readings []reading) []Pull {
	d := NewDetector(PullSettings{})
	feed(d, readings)
	d.Flush()
	return d.Take()
}

// simulated is what the two simulated providers send, as far as the detector
// wants it.
func simulated(tb testing.TB, seed uint64, hz, seconds float64) (readings []reading, pulls []sim.Pull) {
	tb.Helper()
	cell, err := sim.New(sim.Settings{Seed: seed})
	if err != nil {
		tb.Fatal(err)
	}
	canonical := map[string]string{
		"Engine RPM": channel.RPM, "Engine Speed": channel.RPM, "Power": channel.Horsepower, "Torque": channel.Torque,
		"Speed": channel.Speed, "Vehicle Speed": channel.Speed, "Force": channel.Force, "Digital RPM 1": channel.DrumRPM,
	}
	units := map[string]sample.Unit{
		channel.RPM: sample.RPM, channel.Horsepower: sample.Horsepower, channel.Torque: sample.FootPound,
		channel.Speed: sample.MilePerHour, channel.Force: sample.PoundForce, channel.DrumRPM: sample.RPM,
	}
	var instruments []instrument
	for _, p := range sim.Providers() {
		for _, ch := range p.Channels {
			name, ok := canonical[ch.Name]
			if !ok || !Wants(name) {
				continue
			}
			conv, ok := ch.Unit.To(units[name])
			if !ok {
				tb.Fatalf("%s in %s", ch.Name, ch.Unit)
			}
			instruments = append(instruments, instrument{
				in: Input{Device: p.Name, Name: name, ID: uint32(ch.ID)}, hz: hz,
				value: func(s float64) float64 { return conv.Apply(ch.Value(cell.At(time.Duration(s * 1e9)))) },
			})
		}
	}
	return play(seconds, instruments...), cell.Pulls(time.Duration(seconds * 1e9))
}

// matches checks that found are the simulated pulls, each within tolerance.
func matches(t *testing.T, found []Pull, want []sim.Pull, tolerance time.Duration) {
	t.Helper()
	if len(found) != len(want) {
		t.Fatalf("%d pulls found, %d made: %v", len(found), len(want), listed(found))
	}
	for i, p := range found {
		start, end := time.Duration(p.Start-epoch)*time.Microsecond, time.Duration(p.End-epoch)*time.Microsecond
		if d := (start - want[i].Start).Abs(); d > tolerance {
			t.Errorf("pull %d starts at %v, was made at %v", i, start, want[i].Start)
		}
		if d := (end - want[i].End).Abs(); d > tolerance {
			t.Errorf("pull %d ends at %v, was made until %v", i, end, want[i].End)
		}
		if p.Device != sim.Dyno || p.Cut {
			t.Errorf("pull %d is of device %q, cut %v", i, p.Device, p.Cut)
		}
	}
}

func listed(pulls []Pull) (list []string) {
	for _, p := range pulls {
		list = append(list, fmt.Sprintf("%.2f-%.2f s %.0f-%.0f rpm", float64(p.Start-epoch)/1e6, float64(p.End-epoch)/1e6, p.FromRPM, p.ToRPM))
	}
	return list
}

func TestPullsOfTheSimulatedCell(t *testing.T) {
	t.Parallel()
	for _, hz := range []float64{5, 20, 50} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%g Hz seed %d", hz, seed), func(t *testing.T) {
				t.Parallel()
				readings, want := simulated(t, seed, hz, 125)
				matches(t, detect(readings), want, 350*time.Millisecond)
			})
		}
	}
}

// shuffle delays every reading by up to within µs.
func shuffle(r *rand.Rand, in []reading, within int64) []reading {
	keys := make(map[int]int64, len(in))
	index := make([]int, len(in))
	for i := range in {
		index[i], keys[i] = i, in[i].t+r.Int64N(within)
	}
	slices.SortStableFunc(index, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
	out := make([]reading, len(in))
	for i, k := range index {
		out[i] = in[k]
	}
	return out
}

func TestPullsSurviveTheNetwork(t *testing.T) {
	t.Parallel()
	cases := map[string]func(r *rand.Rand, in []reading) []reading{
		"shuffled within 200 ms": func(r *rand.Rand, in []reading) []reading { return shuffle(r, in, 200_000) },
		"duplicates": func(r *rand.Rand, in []reading) (out []reading) {
			for _, x := range in {
				out = append(out, x)
				if r.IntN(4) == 0 {
					out = append(out, x)
				}
			}
			return shuffle(r, out, 200_000)
		},
		"20 % lost": func(r *rand.Rand, in []reading) []reading {
			return slices.DeleteFunc(in, func(reading) bool { return r.IntN(5) == 0 })
		},
		"gaps of 0.6 s": func(_ *rand.Rand, in []reading) []reading {
			return slices.DeleteFunc(in, func(x reading) bool { return (x.t-epoch+second)%(4*second) < 600_000 })
		},
		"ignition counted twice": func(r *rand.Rand, in []reading) []reading {
			next := int64(0)
			for i, x := range in {
				if x.in.Name == channel.RPM && x.t >= next {
					in[i].v *= 2
					next = x.t + second + r.Int64N(second)
				}
			}
			return in
		},
		"bad samples": func(r *rand.Rand, in []reading) []reading {
			for i := range in {
				if r.IntN(10) == 0 {
					in[i].v, in[i].bad = -7000, true
				}
			}
			return in
		},
		"a clock gone wild": func(r *rand.Rand, in []reading) []reading {
			for i := range in {
				if r.IntN(200) == 0 {
					in[i].t += (r.Int64N(7200) - 3600) * second
				}
			}
			return in
		},
		"a batch that comes late": func(_ *rand.Rand, in []reading) []reading {
			late := func(x reading) bool { return x.t-epoch > 6*second && x.t-epoch < 6*second+800_000 }
			var held []reading
			for _, x := range in {
				if late(x) {
					held = append(held, x)
				}
			}
			in = slices.DeleteFunc(in, late)
			at := slices.IndexFunc(in, func(x reading) bool { return x.t > epoch+9*second })
			return slices.Insert(in, at, held...)
		},
	}
	for name, distort := range cases {
		for _, hz := range []float64{20, 50} {
			t.Run(fmt.Sprintf("%s/%g Hz", name, hz), func(t *testing.T) {
				t.Parallel()
				readings, want := simulated(t, 1, hz, 65)
				matches(t, detect(distort(rand.New(rand.NewPCG(1, 2)), readings)), want, 450*time.Millisecond)
			})
		}
	}
}

func TestOrderWithinHalfASecondChangesNothing(t *testing.T) {
	t.Parallel()
	readings, _ := simulated(t, 3, 20, 65)
	want := detect(readings)
	for seed := range uint64(4) {
		d := NewDetector(PullSettings{})
		d.Advance(epoch - second)
		feed(d, shuffle(rand.New(rand.NewPCG(seed, 1)), readings, 400_000))
		d.Flush()
		if found := d.Take(); !slices.Equal(found, want) || d.Late != 0 {
			t.Errorf("seed %d: %v, %d late; want %v", seed, listed(found), d.Late, listed(want))
		}
	}
}

func TestPullsDoNotOverlapWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	readings, _ := simulated(t, 1, 20, 50)
	d := NewDetector(PullSettings{})
	feed(d, readings)
	back := slices.Clone(readings) // the same hour once more, six seconds off
	for i := range back {
		back[i].t -= 6 * second
	}
	feed(d, back)
	d.Flush()
	found := d.Take()
	if len(found) < 2 {
		t.Fatalf("%d pulls", len(found))
	}
	for i := 1; i < len(found); i++ {
		if found[i].Start <= found[i-1].End {
			t.Errorf("pulls overlap: %v", listed(found))
		}
	}
}

func TestPullIsFoundWithinTwoSecondsOfItsEnd(t *testing.T) {
	t.Parallel()
	for _, hz := range []float64{5, 20, 50} {
		for name, power := range map[string]bool{"with power": true, "rpm alone": false} {
			t.Run(fmt.Sprintf("%s %g Hz", name, hz), func(t *testing.T) {
				t.Parallel()
				readings, _ := simulated(t, 1, hz, 65)
				if !power {
					readings = slices.DeleteFunc(readings, func(r reading) bool { return r.in.Name != channel.RPM })
				}
				d, found := NewDetector(PullSettings{}), 0
				for _, r := range readings {
					d.Feed(r.in, r.t, r.v, sample.Good)
					for _, p := range d.Take() {
						found++
						if late := r.t - p.End; late > 2*second {
							t.Errorf("pull found %d µs after its end", late)
						}
					}
				}
				if found != 3 {
					t.Errorf("%d pulls found", found)
				}
			})
		}
	}
}

func TestPullEndsWithTheStreamOfRPM(t *testing.T) {
	t.Parallel()
	readings, _ := simulated(t, 1, 20, 20)
	cut := epoch + 9*second
	d := NewDetector(PullSettings{})
	for _, r := range readings {
		if r.in.Name == channel.RPM && r.t > cut {
			continue
		}
		d.Feed(r.in, r.t, r.v, sample.Good)
		if found := d.Take(); len(found) > 0 {
			if off := cut - found[0].End; off < 0 || off > 300_000 {
				t.Errorf("pull ends %d µs before its rpm", off)
			}
			if late := r.t - found[0].End; late > 2*second {
				t.Errorf("pull found %d µs after its end", late)
			}
			if !found[0].Cut {
				t.Error("pull is not marked as cut")
			}
			return
		}
	}
	t.Error("no pull found")
}

func TestDetectorGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	readings, _ := simulated(t, 2, 20, 65)
	want := detect(slices.Clone(readings))
	for _, every := range []int{1, 7, 100, 1500} {
		d, found := NewDetector(PullSettings{}), []Pull(nil)
		for i := 0; i < len(readings); i += every {
			feed(d, readings[i:min(i+every, len(readings))])
			found = append(found, d.Take()...)
			saved, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			d = new(Detector)
			if err := json.Unmarshal(saved, d); err != nil {
				t.Fatal(err)
			}
		}
		d.Flush()
		if found = append(found, d.Take()...); !slices.Equal(found, want) {
			t.Errorf("restarted every %d samples: %v, want %v", every, listed(found), listed(want))
		}
	}
}

func TestDetectorFollowsAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	readings, _ := simulated(t, 1, 20, 65)
	d := NewDetector(PullSettings{})
	for _, r := range readings[:len(readings)/60] { // a second, an hour ahead
		d.Feed(r.in, r.t+3600*second, r.v, sample.Good)
	}
	feed(d, readings)
	d.Flush()
	if found := d.Take(); len(found) < 2 {
		t.Errorf("%d pulls found", len(found))
	}
	if d.Late == 0 {
		t.Error("no late samples counted")
	}
}

func TestMemoryOfTheDetectorIsBounded(t *testing.T) {
	t.Parallel()
	d := NewDetector(PullSettings{MinRise: 1e9})
	for i := range 400_000 {
		in := Input{Device: fmt.Sprint(i % 500), Name: channel.RPM}
		if i%2 == 0 {
			in.Device = "steady"
		}
		d.Feed(in, int64(i)*10_000, float64(i), sample.Good)
		if len(d.Tracks) > maxInputs || d.Climb != nil && (len(d.Climb.Points) > maxPoints || len(d.Climb.Tops) > 2*stallCells) {
			t.Fatalf("after %d samples: %d tracks, climb %v", i, len(d.Tracks), d.Climb != nil)
		}
	}
	if saved, err := json.Marshal(d); err != nil || len(saved) > 300_000 {
		t.Errorf("%d bytes of state, %v", len(saved), err)
	}
}

func FuzzDetector(f *testing.F) {
	f.Add([]byte{0, 10, 0x10, 0x27, 1, 10, 100, 0, 0, 10, 0x20, 0x4e}, int64(1_700_000_000_000_000))
	f.Add([]byte{0, 255, 255, 255, 3, 0, 0, 0}, int64(math.MinInt64))
	rise := []byte{}
	for i := range 120 {
		rpm := uint16(2000 + 40*i)
		rise = append(rise, 0, 50, byte(rpm), byte(rpm>>8), 1, 0, 90, 0)
	}
	f.Add(rise, int64(-1))
	names := []string{channel.RPM, channel.Horsepower, channel.Speed, channel.Force, channel.RPM, channel.Horsepower}
	f.Fuzz(func(t *testing.T, data []byte, start int64) {
		d := NewDetector(PullSettings{})
		now, last := start, int64(math.MinInt64)
		var found []Pull
		for ; len(data) >= 4; data = data[4:] {
			kind := data[0]
			step := int64(int8(data[1])) * 1000
			if kind&0x80 != 0 {
				step *= 100_000
			}
			now += step
			v := float64(int16(uint16(data[2]) | uint16(data[3])<<8))
			if v == math.MinInt16 {
				v = math.NaN()
			}
			in := Input{Device: string('a' + rune(kind>>3&3)), Name: names[int(kind&7)%len(names)]}
			d.Feed(in, now, v, sample.Quality(kind>>5&3))
			found = append(found, d.Take()...)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		d.Flush()
		for _, p := range append(found, d.Take()...) {
			if p.Start >= p.End || p.Start <= last {
				t.Fatalf("pull %+v after one that ended at %d", p, last)
			}
			last = p.End
		}
	})
}
