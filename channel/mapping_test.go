package channel_test

import (
	"errors"
	"strings"
	"testing"

	"dynotap/channel"
	"dynotap/sample"
)

func TestUserMapping(t *testing.T) {
	t.Parallel()
	r := resolver(t, channel.Mapping{
		"User Analog 1":               "boost",
		"DWRT CPU:User  analog 1":     "oil_pressure",
		"0x43FD:6:Humidity":           "ambient_temp",
		"DWRT CPU/9/0":                "map_kpa",
		"Digital RPM 1":               "rpm",
		"LC1 Lambda":                  "afr",
		"Power (uncorrected), custom": "horsepower",
	})
	for name, c := range map[string]sample.Channel{
		"boost":        {Label: "user analog 1"},
		"oil_pressure": {Provider: "DWRT CPU", Label: "User Analog 1"},
		"ambient_temp": {Provider: "DWRT CPU", HostID: 0x43FD, ID: 6, Label: "Humidity"},
		"map":          {Key: "DWRT CPU/9/0", Label: "User Analog 2", NativeUnit: sample.PSI},
		"rpm":          {Provider: "DWRT CPU", Label: "Digital RPM 1", NativeUnit: sample.RPM},
		"afr":          {Label: "LC1 Lambda", NativeUnit: sample.Lambda},
	} {
		got := r.Resolve(c)
		if got.Name != name {
			t.Errorf("%s is %q, want %q", c.Address(), got.Name, name)
		}
		if _, ok := got.NativeUnit.To(got.Unit); !ok {
			t.Errorf("%s: %q does not convert to %q", c.Address(), got.NativeUnit, got.Unit)
		}
	}
	set := sample.NewChannelSet("jetdrive", []sample.Channel{
		{Provider: "X", Label: "User Analog 1", NativeUnit: sample.Volt}, {Label: "LC1 Lambda", NativeUnit: sample.Lambda}, {Label: "other"},
	})
	misfits := r.Misfits(set)
	if len(misfits) != 1 || !strings.Contains(misfits[0].Error(), "unit V does not convert to psi") {
		t.Errorf("misfits %v", misfits)
	}
	if c := r.ResolveSet(set).Channels()[0]; c.Name != "" || c.Unit != sample.Volt {
		t.Errorf("a misfit became %q in %q", c.Name, c.Unit)
	}
}

func TestUserMappingErrors(t *testing.T) {
	t.Parallel()
	_, err := channel.NewResolver(channel.Mapping{"User Analog 1": "horsepwr"})
	var unknown *channel.UnknownNameError
	if !errors.As(err, &unknown) || unknown.Nearest != "horsepower" || !strings.Contains(err.Error(), `did you mean "horsepower"?`) {
		t.Errorf("got %v", err)
	}
	for name, m := range map[string]channel.Mapping{
		"an empty label":     {" ": "rpm"},
		"two names":          {"a  b": "rpm", "A B": "torque"},
		"a name in °C":       {"a": "iat_c"},
		"an empty name":      {"a": ""},
		"a name with spaces": {"a": "fuel factor"},
	} {
		if _, err := channel.NewResolver(m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
