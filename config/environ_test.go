package config

import (
	"slices"
	"testing"
)

func TestK4Environment(t *testing.T) {
	t.Parallel()
	cfg := text(t, `{"jetdrive": {"port": 5, "interface": "lo"}}`, LoadOptions{Environ: []string{
		"PATH=/bin", "DYNOTAP_SAMPLES=/x", "DYNOTAP_TEST_CHILD=1", "JETDRIVE_OTHER=1", "=C:=C:\\",
		"JETDRIVE_MCAST_GROUP=239.255.60.60", "JETDRIVE_PORT=1", "JETDRIVE_PORT=22355", "JETDRIVE_IFACE=127.0.0.1",
		"DYNOTAP_QUEUE__MAX_SIZE=500", "Dynotap_Queue__Persist_To_Disk=true", "DYNOTAP_QUEUE__FLUSH_INTERVAL_SEC=0.25",
		"DYNOTAP_JETDRIVE__CHANNEL_FILTER=Humidity, RPM", "DYNOTAP_JETDRIVE__PROVIDER_FILTER=[\"a, b\"]",
		"DYNOTAP_INNOVATE__CHANNELS=3", "DYNOTAP_INNOVATE__PORT=null", "DYNOTAP_CRITICAL_CHANNELS=",
		`DYNOTAP_CHANNELS={"W.B. 1": "afr_front"}`, "DYNOTAP_SENSOR_RANGES__RPM__MAX=9000",
		"DYNOTAP_DATA_SOURCES__JETDRIVE__RETRY__MAX_ATTEMPTS=8", "DYNOTAP_LOG_LEVEL=debug",
	}}).Config
	jet := cfg.Jetdrive
	if jet.MulticastGroup != "239.255.60.60" || jet.Port != 22355 || jet.Interface != "127.0.0.1" {
		t.Errorf("jetdrive %+v", jet)
	}
	if !slices.Equal(jet.ChannelFilter, []string{"Humidity", "RPM"}) || !slices.Equal(jet.ProviderFilter, []string{"a, b"}) {
		t.Errorf("filters %q %q", jet.ChannelFilter, jet.ProviderFilter)
	}
	if q := cfg.Queue; q.MaxSize != 500 || !q.PersistToDisk || q.FlushIntervalSec != 0.25 {
		t.Errorf("queue %+v", q)
	}
	if !slices.Equal(cfg.Innovate.Channels, []int{3}) || cfg.Innovate.Port != "" || len(cfg.CriticalChannels) != 0 {
		t.Errorf("innovate %+v", cfg.Innovate)
	}
	if cfg.Channels["W.B. 1"] != "afr_front" || *cfg.SensorRanges["rpm"].Max != 9000 || cfg.LogLevel != "DEBUG" {
		t.Errorf("channels %v ranges %v level %s", cfg.Channels, cfg.SensorRanges, cfg.LogLevel)
	}
	if got := cfg.Source("jetdrive").Retry.MaxAttempts; got != 8 {
		t.Errorf("max_attempts %d", got)
	}
}

func TestK4EnvironmentIsCheckedLikeTheFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ variable, want string }{
		{"JETDRIVE_PORT=0", "JETDRIVE_PORT: jetdrive.port must be a whole number from 1 to 65535, not 0"},
		{"JETDRIVE_PORT=", `JETDRIVE_PORT: jetdrive.port must be a whole number from 1 to 65535, not ""`},
		{"JETDRIVE_PORT=22344x", `JETDRIVE_PORT: jetdrive.port must be a whole number from 1 to 65535, not "22344x"`},
		{"JETDRIVE_MCAST_GROUP=10.0.0.1", `JETDRIVE_MCAST_GROUP: jetdrive.multicast_group must be an IPv4 multicast group (224.0.0.0 to 239.255.255.255), not "10.0.0.1"`},
		{"JETDRIVE_MCAST_GROUP=ff02::1", `JETDRIVE_MCAST_GROUP: jetdrive.multicast_group must be an IPv4 multicast group (224.0.0.0 to 239.255.255.255), not "ff02::1"`},
		{"JETDRIVE_IFACE=", `JETDRIVE_IFACE: jetdrive.interface must not be empty`},
		{"DYNOTAP_QUEUE__FSYNC=yes", `DYNOTAP_QUEUE__FSYNC: queue.fsync must be true or false, not "yes"`},
		{"DYNOTAP_QUEUE__MAXSIZE=1", `DYNOTAP_QUEUE__MAXSIZE: no such setting: did you mean "DYNOTAP_QUEUE__MAX_SIZE"?`},
		{"DYNOTAP_QUEUE_MAX_SIZE=1", `DYNOTAP_QUEUE_MAX_SIZE: no such setting: did you mean "DYNOTAP_QUEUE__MAX_SIZE"?`},
		{"DYNOTAP_LOGLEVEL=INFO", `DYNOTAP_LOGLEVEL: no such setting: did you mean "DYNOTAP_LOG_LEVEL"?`},
		{"DYNOTAP_SAMPLE=x", `DYNOTAP_SAMPLE: no such setting: the nearest known one is "DYNOTAP_PRESET"`},
		{"DYNOTAP_DATA_SOURCES__JETDRIV__ENABLED=true", `DYNOTAP_DATA_SOURCES__JETDRIV__ENABLED: no such setting: did you mean "DYNOTAP_DATA_SOURCES__JETDRIVE__ENABLED"?`},
		{"DYNOTAP_CHANNELS=afr", "DYNOTAP_CHANNELS: channels: afr is no value: text stands in double quotes"},
		{`DYNOTAP_CHANNELS={"x": "arf"}`, `DYNOTAP_CHANNELS: channels.x: no canonical channel "arf": did you mean "afr"?`},
		{"DYNOTAP_SERVER__LISTEN=0.0.0.0:1", `DYNOTAP_SERVER__LISTEN: server.listen "0.0.0.0:1" can be reached from other machines: set server.token, or listen on 127.0.0.1`},
		{"DYNOTAP_INNOVATE__CHANNELS=1,two", `DYNOTAP_INNOVATE__CHANNELS: innovate.channels holds a wrong value: number 2 must be a whole number from 1 to 32, not "two"`},
	} {
		got := problems(t, "{}", LoadOptions{Environ: []string{c.variable}})
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.variable, got, c.want)
		}
	}
	got := problems(t, "{}", LoadOptions{Environ: []string{"JETDRIVE_PORT=1", "DYNOTAP_JETDRIVE__PORT=1"}})
	if want := "JETDRIVE_PORT: jetdrive.port is set by DYNOTAP_JETDRIVE__PORT too: keep one of them"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestK4FlagsWin(t *testing.T) {
	t.Parallel()
	l := text(t, `{"server": {"listen": "127.0.0.1:1"}, "jetdrive": {"port": 1}}`, LoadOptions{
		Environ:   []string{"DYNOTAP_SERVER__LISTEN=127.0.0.1:2", "JETDRIVE_PORT=2"},
		Overrides: map[string]string{"server.listen": "127.0.0.1:3", "channels.W.B. 1": "afr"},
	})
	if l.Config.Server.Listen != "127.0.0.1:3" || l.Config.Jetdrive.Port != 2 || l.Config.Channels["W.B. 1"] != "afr" {
		t.Errorf("got %+v %+v", l.Config.Server, l.Config.Jetdrive)
	}
	for path, want := range map[string]string{
		"server.listen": "flag", "jetdrive.port": "env JETDRIVE_PORT", "jetdrive.transmit": "default", "channels.W.B. 1": "flag",
	} {
		if got := l.Origin(path); got != want {
			t.Errorf("origin of %s: %q, want %q", path, got, want)
		}
	}
	got := problems(t, `{"queue": {"max_size": 0}}`, LoadOptions{
		Environ:   []string{"JETDRIVE_PORT=0"},
		Overrides: map[string]string{"server.lisden": "x", "queue": "{}", "queue.workers": "0"},
	})
	want := []string{
		"test.json:1:24: queue.max_size must be a whole number from 1 to 100000000, not 0",
		"JETDRIVE_PORT: jetdrive.port must be a whole number from 1 to 65535, not 0",
		`flag: no setting "queue": the nearest known one is "preset"`,
		"flag: queue.workers must be a whole number from 1 to 64, not 0",
		`flag: no setting "server.lisden": did you mean "server.listen"?`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
