package innovate_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
	"dynotap/source/innovate/isp"
)

func TestEveryStateHasItsChannelAndNoAFR(t *testing.T) {
	for f := isp.Lambda; f <= isp.Reserved; f++ {
		t.Run(f.String(), func(t *testing.T) {
			inBubble(t, innovate.Settings{}, func(r *rig) {
				r.send(encode(r, isp.Packet{Sensors: []isp.Sensor{lc(f, 321)}}))
				want := map[string]float64{"wideband_1_status": float64(f)}
				switch f {
				case isp.Lambda:
					want["wideband_1_lambda"], want["wideband_1_afr"] = 0.821, 12.0687
				case isp.O2:
					want["wideband_1_o2"] = 32.1
				case isp.WarmingUp:
					want["wideband_1_warmup"] = 32.1
				case isp.HeaterCalibration:
					want["wideband_1_heater_countdown"] = 321
				case isp.ErrorCode:
					want["wideband_1_error"] = 321
				}
				got := map[string]float64{}
				for _, b := range r.batches {
					for _, s := range b.Samples {
						got[b.Set.Channels()[s.Channel].Label] = s.Value
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					r.Errorf("got %v, want %v", got, want)
				}
				if len(r.changes) != 1 || !r.changes[0].First || r.changes[0].To != f || r.changes[0].Sensor != 1 || r.changes[0].Value != 321 {
					r.Errorf("%+v", r.changes)
				}
			})
		})
	}
}

func TestStatusChangesAreTold(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		r.run(device.Settings{Model: "dlg-1", Warmup: 3 * time.Second}, 6*time.Second)
		var got []string
		for _, c := range r.changes {
			got = append(got, fmt.Sprintf("%d %v>%v", c.Sensor, c.From, c.To))
		}
		if want := "[1 lambda>warming_up 2 lambda>warming_up 1 warming_up>lambda 2 warming_up>lambda]"; fmt.Sprint(got) != want {
			r.Errorf("%v", got)
		}
		if n := len(r.values("wideband_2_warmup")); n != 37 {
			r.Errorf("%d packets of warming up", n)
		}
		s := r.source.Status()
		if len(s.Sensors) != 2 || s.Sensors[1].State != "lambda" || s.Sensors[1].AFR == nil || s.Sensors[1].Warmup != nil ||
			math.Abs(*s.Sensors[1].AFR-12.8) > 0.01 || s.Device != "DLG-1" || s.Protocol != "ISP2" || s.Port.Name != "COM5" {
			r.Errorf("%+v", s)
		}
		since := s.Sensors[1].Since
		if d := time.Since(since); d < 2900*time.Millisecond || d > 3100*time.Millisecond {
			r.Errorf("lambda since %v", d)
		}
	})
}

func TestChannelsOfALM1(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		r.run(device.Settings{
			Model: "lm-1", Warmup: 3 * time.Second, Values: steady(13.5),
			Aux: func(_ time.Duration, volts []float64) { volts[4] = 2.5 },
		}, 10*time.Second)
		for label, want := range map[string]float64{
			"wideband_1_afr": 13.5, "wideband_1_battery": 13.8, "aux_1": 0, "aux_5": 2.5,
		} {
			got := r.values(label)
			// Two packets are dropped when the inputs appear.
			if len(got) < 83 || math.Abs(got[len(got)-1]-want) > 0.05 {
				r.Errorf("%s: %d values, %v", label, len(got), got[max(0, len(got)-1):])
			}
		}
		s := r.source.Status()
		if s.Device != "LM-1" || s.Sensors[0].Battery == nil || len(s.Aux) != 5 || s.Unsettled != 2 {
			r.Errorf("%+v", s)
		}
	})
}

// A sensor that fails stops the inputs of its LM-1, and nothing else of them.
func TestLM1ThatStopsItsInputs(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		good := isp.Sensor{LM1: true, Multiplier: 147, Value: 500, HasBattery: true, BatteryMultiplier: 5, BatteryValue: 500}
		bad := isp.Sensor{LM1: true, Function: isp.ErrorCode, Multiplier: 147, Value: 8}
		other := lc(isp.Lambda, 400)
		whole := encode(r, isp.Packet{Sensors: []isp.Sensor{good, other}, Aux: []isp.Aux{{Value: 1, After: 1}, {Value: 2, After: 1}, {Value: 1023, After: 2}}})
		// Of the three inputs one is left: which, nobody can tell.
		less := encode(r, isp.Packet{Sensors: []isp.Sensor{bad, other}, Aux: []isp.Aux{{Value: 1023, After: 2}}})
		r.send(whole, less, less, less, less, whole)
		s := r.source.Status()
		if s.Unsettled != 0 || len(r.values("wideband_2_afr")) != 6 || len(r.values("wideband_1_error")) != 4 {
			r.Errorf("%+v", s)
		}
		if got := r.values("aux_1"); len(got) != 2 || got[0] != 5.0/1023 {
			r.Errorf("aux_1 %v", got)
		}
		if got := r.values("aux_3"); len(got) != 2 || got[1] != 5 {
			r.Errorf("aux_3 %v", got)
		}
	})
}

// What waited while nobody read has the times at which it came.
func TestLM1HasItsOwnTimes(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		warm := encode(r, isp.Packet{Protocol: isp.ISP1, Sensors: []isp.Sensor{{LM1: true, Function: isp.WarmingUp, Multiplier: 147, Value: 10}}})
		r.send(repeat(3, warm)...)
		began := sample.Micros(time.Now())
		for range 5 {
			if _, err := r.pipe.Write(warm); err != nil {
				r.Fatal(err)
			}
			time.Sleep(device.Period)
		}
		r.readFor(time.Second)
		times := r.times("wideband_1_warmup")
		if len(times) != 8 {
			r.Fatalf("%d packets", len(times))
		}
		for i, at := range times[3:] {
			if d := at - began - int64(i)*81_920; d < -5 || d > 5 {
				r.Errorf("packet %d is put %d µs off", i, d)
			}
		}
	})
}

// An LM-1's packet has no end of its own: the pause after it counts, so that it
// need not wait for the next.
func TestLM1IsNotLate(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		warm := encode(r, isp.Packet{Protocol: isp.ISP1, Sensors: []isp.Sensor{{LM1: true, Function: isp.WarmingUp, Multiplier: 147, Value: 10}}})
		r.send(repeat(5, warm)...)
		if n := len(r.values("wideband_1_warmup")); n != 5 {
			r.Errorf("%d of 5 packets", n)
		}
		times := r.times("wideband_1_warmup")
		if d := times[4] - times[3]; d < 80_000 || d > 84_000 {
			r.Errorf("%d µs apart", d)
		}
	})
}

func TestCalibrationAndFuel(t *testing.T) {
	settings := innovate.Settings{Sensors: map[int]innovate.Sensor{
		1: {Multiplier: 1.02, Offset: -0.1}, 2: {Stoichiometric: 9.0}, 3: {Stoichiometric: 14.0, Offset: 0.5},
	}}
	inBubble(t, settings, func(r *rig) {
		s := lc(isp.Lambda, 400) // lambda 0.9
		r.send(encode(r, isp.Packet{Sensors: []isp.Sensor{s, s, s, s}}))
		for label, want := range map[string]float64{
			"wideband_1_afr": 0.9*14.7*1.02 - 0.1, "wideband_1_lambda": (0.9*14.7*1.02 - 0.1) / 14.7,
			"wideband_2_afr": 0.9 * 9, "wideband_2_lambda": 0.9,
			"wideband_3_afr": 0.9*14 + 0.5, "wideband_3_lambda": 0.9 + 0.5/14,
			"wideband_4_afr": 0.9 * 14.7, "wideband_4_lambda": 0.9,
		} {
			if got := r.values(label); len(got) != 1 || math.Abs(got[0]-want) > 1e-9 {
				r.Errorf("%s: %v, want %v", label, got, want)
			}
		}
		if st := r.source.Status().Sensors[1].Stoichiometric; st != 9 {
			r.Error(st)
		}
	})
}

func TestOnlyTheSensorsAskedFor(t *testing.T) {
	inBubble(t, innovate.Settings{Read: []int{2}}, func(r *rig) {
		r.run(device.Settings{Model: "dlg-1"}, time.Second)
		if len(r.values("wideband_1_afr")) != 0 || len(r.values("wideband_2_afr")) != 13 || len(r.changes) != 1 || len(r.source.Status().Sensors) != 1 {
			r.Errorf("%d, %d, %+v", len(r.values("wideband_1_afr")), len(r.values("wideband_2_afr")), r.changes)
		}
	})
}

// What a user maps to front and rear, and what the labels say alone.
func TestNamesOfSensors(t *testing.T) {
	settings := innovate.Settings{Sensors: map[int]innovate.Sensor{2: {Place: innovate.Front}, 1: {Place: innovate.Rear}}}
	inBubble(t, settings, func(r *rig) {
		s := lc(isp.Lambda, 400)
		r.send(encode(r, isp.Packet{Sensors: []isp.Sensor{s, s, s, {LM1: true, Multiplier: 147, HasBattery: true, BatteryMultiplier: 5}}, Aux: []isp.Aux{{After: 4}}}))
		for name, c := range map[string]struct {
			mapping channel.Mapping
			want    string
		}{
			"mapped": {settings.Mapping(), "afr_rear lambda_rear afr_front lambda_front afr_3 lambda_3 afr_4 lambda_4"},
			"alone":  {nil, "afr lambda afr_2 lambda_2 afr_3 lambda_3 afr_4 lambda_4"},
		} {
			resolver, err := channel.NewResolver(c.mapping)
			if err != nil {
				r.Fatal(err)
			}
			var got []string
			set := resolver.ResolveSet(r.batches[0].Set)
			for _, ch := range set.Channels() {
				if ch.Name != "" {
					got = append(got, ch.Name)
				}
			}
			if strings.Join(got, " ") != c.want || len(resolver.Misfits(r.batches[0].Set)) != 0 {
				r.Errorf("%s: %v", name, got)
			}
		}
	})
}

func TestChainThatChanges(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		one := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400)}})
		two := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400), lc(isp.Lambda, 500)}})
		r.send(repeat(4, two)...)
		r.send(one, one, two, one, two) // damaged headers show such chains
		if r.source.Status().Unsettled != 3 {
			r.Errorf("%d packets dropped", r.source.Status().Unsettled)
		}
		r.send(repeat(5, one)...)
		var sets []*sample.ChannelSet
		for _, b := range r.batches {
			if len(sets) == 0 || sets[len(sets)-1] != b.Set {
				sets = append(sets, b.Set)
			}
		}
		if len(sets) != 2 || sets[0].Len() != 14 || sets[1].Len() != 7 || len(r.values("wideband_1_afr")) != 6+3 {
			r.Errorf("%d sets, %d values", len(sets), len(r.values("wideband_1_afr")))
		}
		if s := r.source.Status(); s.Unsettled != 5 || s.Device != "LC-1/LC-2" || len(s.Sensors) != 1 {
			r.Errorf("%+v", s)
		}
		// The first sensor is the same channel as before.
		if sets[0].Channels()[0].Key != sets[1].Channels()[0].Key || sets[0].Channels()[0].Key != "Innovate/17/0" {
			r.Error(sets[0].Channels()[0].Key)
		}
	})
}

func TestBatchAcrossAChange(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		one := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400)}})
		two := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400), lc(isp.Lambda, 500)}})
		r.send(one)
		r.readFor(9 * device.Period)
		// All at once, as after a hold-up.
		r.send(slices.Concat(one, one, two, two, two, two))
		if len(r.batches) != 3 || len(r.batches[1].Samples) != 6 || len(r.batches[2].Samples) != 12 {
			r.Fatalf("%d batches", len(r.batches))
		}
		last := int64(0)
		for _, b := range r.batches {
			for _, s := range b.Samples {
				if s.Time < last || s.Time <= 0 {
					r.Errorf("%d after %d", s.Time, last)
				}
				last = s.Time
			}
		}
		// The two that were too few to change the chain were sent, too.
		times := r.times("wideband_1_status")
		for i, periods := range []int64{5, 4, 1, 0} {
			if d := last - times[i+1] - periods*81_920; d < -5 || d > 5 {
				r.Errorf("packet %d is put %d µs off", i, d)
			}
		}
	})
}

func TestTimesHaveNoJitter(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		began := sample.Micros(time.Now())
		r.run(device.Settings{Model: "lc-2", Faults: device.Faults{Latency: 16 * time.Millisecond, Lose: 0.01, Seed: 2}}, 2*time.Minute)
		times := r.times("wideband_1_status")
		if len(times) < 1300 {
			r.Fatalf("%d packets", len(times))
		}
		worst := 0.0
		for i, at := range times {
			periods := float64(at-began) / 81_920
			if i > 300 {
				worst = max(worst, math.Abs(periods-math.Round(periods)))
			}
			if i > 0 && at <= times[i-1] {
				r.Fatal("not in order")
			}
		}
		if worst > 0.02 {
			r.Errorf("off by up to %.1f ms", worst*81.92)
		}
		if first, last := r.batches[0], r.batches[len(r.batches)-1]; first.Clock != sample.ClockArrival || last.Clock != sample.ClockPassive {
			r.Errorf("clocks %v, %v", first.Clock, last.Clock)
		}
	})
}
