package sim_test

import (
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/sim"
	"dynotap/validate"
)

// A reading of the simulated cell is never suspect: what the demo warns of
// would be a fault of dynotap.
func TestReadingsAreGoodAndTheDynoIsUnderstood(t *testing.T) {
	t.Parallel()
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := cell(t, sim.Settings{Seed: 2})
	found := map[string]string{}
	for _, p := range sim.Providers() {
		var list []sample.Channel
		for _, ch := range p.Channels {
			list = append(list, sample.Channel{
				Key: sample.ChannelKey(p.Name, uint32(ch.ID), 0), Provider: p.Name, ID: uint32(ch.ID), Label: ch.Name, NativeUnit: ch.Unit,
			})
		}
		set := resolver.ResolveSet(sample.NewChannelSet("jetdrive", list))
		for _, ch := range set.Channels() {
			if ch.Name != "" {
				found[ch.Provider+" "+ch.Name] = ch.Label
			}
		}
		plan := validate.Compile(set, validate.DefaultSettings(), validate.DefaultRanges())
		for at := time.Duration(0); at < 45*time.Second; at += 50 * time.Millisecond {
			var samples []sample.Sample
			for i, ch := range p.Channels {
				v := ch.Value(c.At(at))
				samples = append(samples, sample.Sample{Time: 1_700_000_000_000_000 + at.Microseconds(), Channel: uint32(i), Value: v})
			}
			var n validate.Counts
			kept := plan.Check(samples, &n)
			if len(kept) != len(p.Channels) {
				t.Fatalf("%s at %v: %d of %d readings kept", p.Name, at, len(kept), len(p.Channels))
			}
			for _, s := range kept {
				if s.Quality != sample.Good {
					t.Fatalf("%s %s at %v: %g is %v", p.Name, p.Channels[s.Channel].Name, at, s.Value, s.Quality)
				}
			}
		}
	}
	for name, label := range map[string]string{
		"DWRT CPU rpm": "Engine RPM", "DWRT CPU rpm_drum": "Digital RPM 1", "DWRT CPU horsepower": "Power", "DWRT CPU torque": "Torque",
		"DWRT CPU speed": "Speed", "DWRT CPU force": "Force", "DWRT CPU acceleration": "Acceleration", "DWRT CPU humidity": "Humidity",
		"DWRT ATMO humidity": "Humidity", "DWRT ATMO barometric": "Pressure", "DWRT ATMO rpm": "Engine Speed",
		"DWRT ATMO iat": "Intake Air Temperature", "DWRT ATMO map": "Manifold Absolute Pressure", "DWRT ATMO voltage": "Battery Voltage",
	} {
		if found[name] != label {
			t.Errorf("%s is %q, want %q", name, found[name], label)
		}
	}
}
