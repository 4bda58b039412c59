package app

import (
	"slices"
	"testing"

	"dynotap/config"
)

func TestK6AFormatMayBeSwitchedOff(t *testing.T) {
	t.Parallel()
	names := func(c *config.Config) (out []string) {
		list, err := formats(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			out = append(out, f.Name)
		}
		return out
	}
	all := names(&config.Config{})
	if !slices.Equal(all, formatNames()) {
		t.Errorf("%q are built, %q are named", all, formatNames())
	}
	some := names(&config.Config{DataSources: map[string]config.DataSource{"csv": {}, "wp8": {Enabled: true}}})
	if !slices.Contains(all, "csv") || slices.Contains(some, "csv") || len(some) != len(all)-1 {
		t.Errorf("%v without csv is %v", all, some)
	}
}
