package sample_test

import (
	"testing"
	"time"

	"dynotap/sample"
)

func TestPriorities(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"critical", "high", "normal", "low", "batch"} {
		p := sample.Priority(i)
		if p.String() != name || !p.Valid() {
			t.Errorf("priority %d is %s, valid %v", i, p, p.Valid())
		}
		if got, err := sample.ParsePriority(name); err != nil || got != p {
			t.Errorf("ParsePriority(%q) = %v, %v", name, got, err)
		}
	}
	if p := sample.Priority(5); p.Valid() || p.String() != "priority(5)" {
		t.Errorf("priority 5 is %s, valid %v", p, p.Valid())
	}
	if _, err := sample.ParsePriority("urgent"); err == nil {
		t.Error("ParsePriority reads urgent")
	}
}

func TestNamesOfWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		sample.Good.String(): "good", sample.Suspect.String(): "suspect", sample.Bad.String(): "bad",
		sample.Quality(3).String():   "quality(3)",
		sample.ClockArrival.String(): "arrival", sample.ClockPassive.String(): "passive",
		sample.ClockSynced.String(): "synchronised", sample.ClockFile.String(): "file", sample.Clock(9).String(): "clock(9)",
		sample.CorrectionUnknown.String(): "unknown", sample.CorrectionNone.String(): "none",
		sample.CorrectionSAE.String(): "sae", sample.CorrectionSTD.String(): "std", sample.Correction(9).String(): "correction(9)",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestChannelAddresses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]sample.Channel{
		"0x43FD:6:Humidity": {HostID: 0x43FD, ID: 6, Provider: "DWRT CPU", Label: "Humidity"},
		"PV:VSS":            {ID: 6, Provider: "PV", Label: "VSS"},
		"rpm":               {Label: "rpm"},
	} {
		if got := c.Address(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := sample.ChannelKey("DWRT CPU", 6, 2); got != "DWRT CPU/6/2" {
		t.Errorf("key %s", got)
	}
	c := sample.Channel{Label: "Engine Speed"}
	if c.DisplayName() != "Engine Speed" {
		t.Errorf("display name %s", c.DisplayName())
	}
	c.Name = "rpm"
	if c.DisplayName() != "rpm" {
		t.Errorf("display name %s", c.DisplayName())
	}
}

func TestChannelConversion(t *testing.T) {
	t.Parallel()
	c := sample.Channel{NativeUnit: sample.Celsius, Unit: sample.Fahrenheit}
	if got := c.Conversion().Apply(90); got != 194 {
		t.Errorf("90 °C = %v °F", got)
	}
	c.Unit = sample.Horsepower
	if !c.Conversion().IsIdentity() {
		t.Error("units that do not convert change the value")
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 12, 18, 22, 56, 53, 347_000_000, time.FixedZone("", 3600))
	if got := sample.Time(sample.Micros(at)); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("got %v, want %v in UTC", got, at)
	}
}
