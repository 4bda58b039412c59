package app

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/config"
	"dynotap/doctor"
	"dynotap/source"
	"dynotap/source/innovate"
	"dynotap/source/innovate/isp"
	"dynotap/source/innovate/serial"
)

// A source that fails for the same reason again and again is told of once.
func TestOneLineForADeviceThatIsMissing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	say := newSpeaker(&out)
	tell := func(to source.State, reason string) {
		say.transition(source.Transition{Source: "innovate", To: to, Reason: reason})
	}
	tell(source.Connecting, "started")
	for range 3 {
		tell(source.Error, "no port")
		tell(source.Reconnecting, "connecting again")
		tell(source.CircuitOpen, "no port")
	}
	tell(source.Error, "COM5 is busy")
	tell(source.Reconnecting, "connecting again")
	tell(source.Connected, "open")
	tell(source.Reconnecting, "connection lost: unplugged")
	tell(source.Error, "no port")
	tell(source.Disconnected, "stopped")
	var got []string
	for line := range strings.Lines(out.String()) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "source innovate: ")
		got = append(got, text)
	}
	want := []string{
		"connecting (started)", "error (no port)", "error (COM5 is busy)", "connected (open)",
		"reconnecting (connection lost: unplugged)", "error (no port)", "disconnected (stopped)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("said %q\nwant %q", got, want)
	}
}

// A sensor that leaves lambda for oxygen and comes back with the throttle is no
// news; one that flaps is told of now and then.
func TestSensorNews(t *testing.T) {
	t.Parallel()
	var said []string
	now := time.Unix(0, 0)
	n := &sensorNews{
		announce: func(text string) { said = append(said, text) }, logger: slog.New(slog.DiscardHandler),
		now: func() time.Time { return now }, told: map[sensorState]time.Time{},
	}
	change := func(from, to isp.Function, value uint16) {
		n.changed(innovate.StatusChange{Sensor: 2, From: from, To: to, Value: value})
		now = now.Add(time.Second)
	}
	n.changed(innovate.StatusChange{Sensor: 2, First: true, To: isp.WarmingUp})
	change(isp.WarmingUp, isp.Lambda, 500)
	for range 20 {
		change(isp.Lambda, isp.O2, 209)
		change(isp.O2, isp.Lambda, 500)
	}
	for range 6 {
		change(isp.Lambda, isp.ErrorCode, 8)
		change(isp.ErrorCode, isp.Lambda, 500)
	}
	want := []string{
		"wideband 2: warms up, no AFR until it is warm", "wideband 2: measures lambda",
		"wideband 2: reports error 8, no AFR: see docs/innovate.md", "wideband 2: measures lambda",
		"wideband 2: reports error 8, no AFR: see docs/innovate.md", "wideband 2: measures lambda",
	}
	if !slices.Equal(said, want) {
		t.Errorf("said %q\nwant %q", said, want)
	}
}

func TestWidebandsAreMappedUnderTheUsersMapping(t *testing.T) {
	t.Parallel()
	front, multiplier := "front", 1.02
	c, err := config.Preset(config.PresetLiveCapture)
	if err != nil {
		t.Fatal(err)
	}
	c.Innovate.Sensors = map[string]config.Sensor{"2": {Place: &front, Multiplier: &multiplier}}
	c.Channels = map[string]string{"Wideband_2_AFR": "afr", "Boost": "map"}
	got, err := mapping(&c)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got["Wideband_2_AFR"] != "afr" || got["Boost"] != "map" || got["wideband_2_lambda"] != "lambda_front" {
		t.Errorf("%v", got)
	}
	s, err := innovateSettings(&c)
	if err != nil || s.Sensors[2] != (innovate.Sensor{Place: innovate.Front, Multiplier: 1.02}) || !slices.Equal(s.Read, []int{1, 2}) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestDoctorHearsOfSerialPorts(t *testing.T) {
	t.Parallel()
	port := innovate.PortInfo{Name: "COM5", Serial: "A1"}
	speaks := innovate.Observation{Device: "LC-1/LC-2", Packets: 9, Speaks: true}
	damaged := innovate.Observation{Device: "unknown", Speaks: true, Hints: []innovate.Hint{{Code: innovate.HintFlowControl, Text: "flow"}}}
	reads := &widebandDetails{Status: innovate.Status{Port: &port, Device: "DLG-1"}}
	reads.Counters.Packets = 1
	spoilt := &widebandDetails{Status: innovate.Status{Port: &port, Device: "unknown", Hints: damaged.Hints}}
	listens := &widebandDetails{Ports: []serial.Found{{PortInfo: port}}}
	for _, tt := range []struct {
		name    string
		found   serial.Found
		running *widebandDetails
		err     error
		speaks  string
		hint    string
	}{
		{"a device", serial.Found{PortInfo: port, Observation: speaks}, nil, nil, "LC-1/LC-2", ""},
		{"damaged", serial.Found{PortInfo: port, Observation: damaged}, nil, nil, "an Innovate device", "flow"},
		{"silent", serial.Found{PortInfo: port}, nil, nil, "", ""},
		{"busy", serial.Found{PortInfo: port, Busy: true, Error: "busy"}, &widebandDetails{}, doctor.ErrPortBusy, "", ""},
		{"denied", serial.Found{PortInfo: port, Denied: true, Error: "denied"}, nil, fs.ErrPermission, "", ""},
		{"our own", serial.Found{PortInfo: port, Busy: true, Error: "busy"}, reads, nil, "DLG-1", ""},
		{"our own, damaged", serial.Found{PortInfo: port, Busy: true, Error: "busy"}, spoilt, nil, "an Innovate device", "flow"},
		{"our own search", serial.Found{PortInfo: port, Busy: true, Error: "busy"}, listens, nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := tt.found
			if found.Busy && tt.running != nil {
				found = tt.running.heard(&found)
			}
			p := examined(&found)
			if !errors.Is(p.Err, tt.err) || p.Speaks != tt.speaks || p.Hint != tt.hint || p.Name != "COM5" || p.SerialNumber != "A1" {
				t.Errorf("%+v", p)
			}
		})
	}
}
