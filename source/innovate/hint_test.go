package innovate_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/source"
	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
	"dynotap/source/innovate/isp"
)

// Each thing that is wrong is told, in the status and once in the log; nothing
// is told of a healthy device.
func TestHints(t *testing.T) {
	raw := func(text string) func(*rig) {
		return func(r *rig) { r.send(repeat(30, []byte(text))...) }
	}
	runs := func(s device.Settings) func(*rig) {
		return func(r *rig) { r.run(s, 20*time.Second) }
	}
	sends := func(s isp.Sensor) func(*rig) {
		return func(r *rig) { r.send(repeat(3, encode(r, isp.Packet{Sensors: []isp.Sensor{s}}))...) }
	}
	for name, c := range map[string]struct {
		settings innovate.Settings
		happens  func(*rig)
		want     string
		text     string
	}{
		"healthy DLG-1":        {innovate.Settings{Device: innovate.DLG1}, runs(device.Settings{Model: "dlg-1"}), "", ""},
		"healthy LC-2":         {innovate.Settings{Device: innovate.LC2}, runs(device.Settings{Model: "lc-2"}), "", ""},
		"healthy LM-1":         {innovate.Settings{Device: innovate.LM1}, runs(device.Settings{Model: "lm-1"}), "", ""},
		"healthy LM-2":         {innovate.Settings{Device: innovate.LM2}, runs(device.Settings{Model: "lm-2"}), "", ""},
		"healthy, any device":  {innovate.Settings{}, runs(device.Settings{Model: "lc-2", Sensors: 5}), "", ""},
		"warms up":             {innovate.Settings{}, runs(device.Settings{Model: "dlg-1", Warmup: 15 * time.Second}), "", ""},
		"a byte lost at times": {innovate.Settings{}, runs(device.Settings{Model: "dlg-1", Faults: device.Faults{Lose: 0.001, Seed: 4}}), "", ""},
		"flow control": {innovate.Settings{}, runs(device.Settings{Model: "dlg-1", Faults: device.Faults{FlowControl: true}}),
			innovate.HintFlowControl, "XON/XOFF"},
		"many bytes lost": {innovate.Settings{}, runs(device.Settings{Model: "dlg-1", Faults: device.Faults{Lose: 0.05, Seed: 4}}),
			innovate.HintDamaged, "check cable"},
		"another device":   {innovate.Settings{}, raw("$GPRMC,123519*6A\r\n"), innovate.HintNoPackets, "baud rate"},
		"never a byte":     {innovate.Settings{}, func(r *rig) { r.readFor(6 * time.Second) }, innovate.HintSilent, "nothing comes from COM5"},
		"falls silent":     {innovate.Settings{}, func(r *rig) { r.run(device.Settings{Model: "lc-2"}, time.Second); r.readFor(7 * time.Second) }, innovate.HintSilent, "for 7s"},
		"DLG-1 is an LC-2": {innovate.Settings{Device: innovate.DLG1}, runs(device.Settings{Model: "lc-2"}), innovate.HintDevice, "device_type is DLG-1, and what speaks is LC-1/LC-2"},
		"LC-2 is a DLG-1":  {innovate.Settings{Device: innovate.LC2}, runs(device.Settings{Model: "dlg-1"}), innovate.HintDevice, "DLG-1"},
		"LM-1 is an LC-2":  {innovate.Settings{Device: innovate.LM1}, runs(device.Settings{Model: "lc-2"}), innovate.HintDevice, ""},
		"LM-2 is an LM-1":  {innovate.Settings{Device: innovate.LM2}, runs(device.Settings{Model: "lm-1"}), innovate.HintDevice, ""},
		"warms up for ever": {innovate.Settings{WarmupTimeout: 10 * time.Second}, runs(device.Settings{Model: "lc-2", Warmup: time.Hour}),
			"sensor_1", "has been warming up for"},
		"free air": {innovate.Settings{FreeAirAFR: 20}, runs(device.Settings{Model: "lc-2", Values: steady(21)}),
			"sensor_1", "free air"},
		"needs calibration": {innovate.Settings{}, sends(lc(isp.NeedsCalibration, 0)), "sensor_1", "free-air calibration"},
		"error":             {innovate.Settings{}, sends(lc(isp.ErrorCode, 8)), "sensor_1", "error 8"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, c.settings, func(r *rig) {
				c.happens(r)
				if got := r.hints(); got != c.want {
					r.Errorf("%q, not %q: %+v", got, c.want, r.source.Status().Hints)
				} else if c.want != "" && !strings.Contains(r.source.Status().Hints[0].Text, c.text) {
					r.Error(r.source.Status().Hints[0].Text)
				}
				r.readFor(3 * time.Second) // a hint is looked at once a second
				logged := 0
				for line := range strings.Lines(r.log.String()) {
					if strings.Contains(line, "level=WARN") {
						logged++
					}
				}
				if want := len(strings.Fields(c.want)); logged != want {
					r.Errorf("%d warnings:\n%s", logged, r.log)
				}
			})
		})
	}
}

func TestDetectedPortIsLookedForAgainAfterSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, pipe: device.NewPipe("COM5"), log: new(syncBuffer)}
		r.build(innovate.Settings{}, detected{r.pipe})
		r.open()
		defer func() { _ = r.reader.Close() }()
		r.run(device.Settings{Model: "lc-2"}, 15*time.Second)
		began := time.Now()
		if err := r.reader.Read(t.Context(), r.keep); !errors.Is(err, source.ErrLost) {
			t.Error(err)
		}
		if d := time.Since(began); d < 9*time.Second || d > 11*time.Second {
			t.Errorf("lost after %v", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, pipe: device.NewPipe("COM5"), log: new(syncBuffer)}
		r.build(innovate.Settings{}, r.pipe)
		r.open()
		defer func() { _ = r.reader.Close() }()
		r.readFor(time.Hour) // a configured port is not given up
	})
}
