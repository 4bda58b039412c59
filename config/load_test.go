package config

import (
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/validate"
)

// text loads a configuration from its text.
func text(t *testing.T, json string, opts LoadOptions) *Loaded {
	t.Helper()
	l, err := load("test.json", json, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func problems(t *testing.T, json string, opts LoadOptions) []string {
	t.Helper()
	_, err := load("test.json", json, opts)
	var broken *InvalidError
	if !errors.As(err, &broken) {
		t.Fatalf("got error %v, want an InvalidError", err)
	}
	out := make([]string, len(broken.Problems))
	for i, p := range broken.Problems {
		out[i] = p.String()
	}
	return out
}

func TestK1GuideFileTakesEffect(t *testing.T) {
	t.Parallel()
	l, err := Load(LoadOptions{Path: filepath.Join(samples(t), "config", "ingestion-guide.json")})
	if err != nil {
		t.Fatal(err)
	}
	// Everything in the guide's short file is the default.
	want, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("got  %+v\nwant %+v", l.Config, want)
	}
	if got := l.Origin("queue.max_size"); !strings.HasSuffix(got, "ingestion-guide.json:5") {
		t.Errorf("queue.max_size comes from %q", got)
	}
	if l.Config.Queue.PersistToDisk {
		t.Error("the file says memory and is not obeyed")
	}
}

func TestK1FullFileTakesEffect(t *testing.T) {
	t.Parallel()
	l, err := Load(LoadOptions{Path: filepath.Join(samples(t), "config", "ingestion-full.json")})
	if err != nil {
		t.Fatal(err)
	}
	cfg := l.Config
	if cfg.Queue.PersistPath != "data/ingestion_queue" || cfg.Jetdrive.MulticastGroup != "239.255.60.60" || cfg.Innovate.Port != "" {
		t.Errorf("got queue %+v jetdrive %+v innovate %+v", cfg.Queue, cfg.Jetdrive, cfg.Innovate)
	}
	jet := cfg.Source("jetdrive")
	if jet.ReadTimeout != 500*time.Millisecond || jet.BufferSize != 4096 || jet.Retry.MaxDelaySec != 2 ||
		jet.Breaker.TimeoutSec != 30 || jet.Custom.MaxFrameDropRatePercent != 5 || jet.ReconnectDelay != 5*time.Second {
		t.Errorf("jetdrive: %+v", jet)
	}
	inn := cfg.Source("innovate")
	if inn.BufferSize != 1024 || inn.ReconnectDelay != 3*time.Second || inn.Retry.MaxAttempts != 5 || inn.Breaker.SuccessThreshold != 1 ||
		inn.Custom.WarmupTimeoutSec != 30 || inn.Custom.FreeAirAFRThreshold != 28 {
		t.Errorf("innovate: %+v", inn)
	}
	csv := cfg.Source("csv")
	if csv.ReadTimeout != time.Minute || csv.Retry.MaxAttempts != 1 || *csv.Custom.MaxFileSizeMB != 100 ||
		!slices.Equal(csv.Custom.SupportedEncodings, []string{"utf-8", "latin-1", "cp1252"}) {
		t.Errorf("csv: %+v", csv)
	}
	rpm, hp := cfg.SensorRanges["rpm"], cfg.SensorRanges["horsepower"]
	if *rpm.Max != 20000 || *rpm.WarnMin != 500 || hp.WarnMin != nil || *hp.WarnMax != 1000 || len(cfg.SensorRanges) != 3 {
		t.Errorf("ranges: %+v", cfg.SensorRanges)
	}
	ranges, err := cfg.Ranges()
	if err != nil || *ranges.For("afr_front").WarnMax != 20 || *ranges.For("torque").Max != 2000 {
		t.Errorf("ranges in effect: %v, %v", ranges, err)
	}
	got := l.NotBuilt([]string{"innovate", "data_sources.wp8"})
	want := []string{
		"innovate.port", "innovate.baudrate", "innovate.device_type", "innovate.channels", "innovate.auto_detect_port",
		"innovate.auto_reconnect", "innovate.reconnect_delay_sec", "innovate.read_interval_sec", "innovate.buffer_size",
		"data_sources.wp8.name", "data_sources.wp8.enabled", "data_sources.wp8.connection_timeout_sec",
		"data_sources.wp8.read_timeout_sec", "data_sources.wp8.retry.max_attempts", "data_sources.wp8.custom_settings.max_file_size_mb",
	}
	if !slices.Equal(got, want) {
		t.Errorf("not built:\n got %v\nwant %v", got, want)
	}
}

func TestNotBuiltListsWhatTheUserGaveOnce(t *testing.T) {
	t.Parallel()
	l := text(t, `{"preset": "low_latency", "innovate": {"baudrate": 9600}}`, LoadOptions{
		Environ:   []string{"DYNOTAP_INNOVATE__BAUDRATE=19200", "DYNOTAP_INNOVATE__PORT=COM5"},
		Overrides: map[string]string{"queue.workers": "2"},
	})
	got := l.NotBuilt([]string{"innovate", "innov", "queue.workers", "queue.batch_size"})
	if want := []string{"innovate.baudrate", "innovate.port", "queue.workers"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestK1Defaults(t *testing.T) {
	t.Parallel()
	cfg := text(t, "{}", LoadOptions{}).Config
	checks := []struct {
		name      string
		got, want any
	}{
		{"global", []bool{cfg.GlobalEnabled, cfg.MetricsEnabled}, []bool{true, true}},
		{"log level", cfg.Level(), slog.LevelInfo},
		{"metrics", cfg.MetricsIntervalSec.Duration(), time.Minute},
		{"queue", cfg.Queue, Queue{
			MaxSize: 10000, BatchSize: 100, FlushIntervalSec: 5, PriorityEnabled: true,
			DropOnFull: true, DropOldest: true, MaxRetries: 3, Workers: 1, Fsync: true,
		}},
		{"retry", cfg.DefaultRetry, Retry{3, 0.1, 30, 2, true, true, true}},
		{"breaker", cfg.DefaultCircuitBreaker, CircuitBreaker{5, 2, 60, 3, true}},
		{"validation", cfg.DefaultValidation, Validation{true, false, 100, true, true, true, false, true}},
		{"jetdrive", cfg.Jetdrive, Jetdrive{
			MulticastGroup: "224.0.2.10", Port: 22344, Interface: "0.0.0.0", DiscoveryTimeoutSec: 3,
			SubscribeTimeoutSec: 0.5, Transmit: true, AutoReconnect: true, ReconnectDelaySec: 5,
		}},
		{"innovate", cfg.Innovate, Innovate{"", 19200, "AUTO", []int{1, 2}, true, true, 3, 0.08, 1024, nil}},
		{"validation in use", validate.Settings(cfg.Source("jetdrive").Validation), validate.DefaultSettings()},
		{"display", cfg.Display.Units, "us"},
		{"server", cfg.Server, Server{Listen: "127.0.0.1:8686"}},
		{"stale", cfg.Source("jetdrive").Custom.StaleDataThresholdSec, Seconds(5)},
	}
	for _, c := range checks {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, c.got, c.want)
		}
	}
	if zone, err := cfg.Location(); err != nil || zone != time.Local {
		t.Errorf("time zone: %v, %v", zone, err)
	}
}

func TestK1LogLevels(t *testing.T) {
	t.Parallel()
	want := map[string]slog.Level{"DEBUG": -4, "info": 0, "Warning": 4, "ERROR": 8, "CRITICAL": 12}
	for name, level := range want {
		cfg := text(t, `{"log_level": "`+name+`"}`, LoadOptions{}).Config
		if cfg.Level() != level {
			t.Errorf("%s: got %v, want %v", name, cfg.Level(), level)
		}
	}
}

func TestV10SensorRangesOverride(t *testing.T) {
	t.Parallel()
	cfg := text(t, `{"sensor_ranges": {"rpm": {"max": 9000}, "map_kpa": {"warn_max": 120}}}`, LoadOptions{}).Config
	ranges, err := cfg.Ranges()
	if err != nil {
		t.Fatal(err)
	}
	if rpm := ranges.For("rpm"); *rpm.Max != 9000 || *rpm.Min != 0 || *rpm.WarnMin != 500 {
		t.Errorf("rpm %+v", rpm)
	}
	if *ranges.For("map").WarnMax != 120 || *ranges.For("map").Max != 300 {
		t.Errorf("map %+v", ranges.For("map"))
	}
}

// lossless is a queue on disk that is flushed and makes its sources wait.
func lossless(q *Queue) {
	q.PersistToDisk, q.Fsync, q.DropOnFull, q.DropOldest = true, true, false, false
}

func TestK5Presets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		queue func(*Queue) // what differs from the guide's
	}{
		{PresetHighReliability, lossless},
		{PresetLiveCapture, lossless},
		{PresetLowLatency, func(q *Queue) { q.Fsync, q.MaxSize, q.BatchSize, q.FlushIntervalSec = false, 1000, 1, 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := Preset(c.name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Default()
			if err != nil {
				t.Fatal(err)
			}
			c.queue(&want.Queue)
			want.Preset = c.name
			if !reflect.DeepEqual(cfg, want) {
				t.Errorf("got %+v\nwant %+v", cfg, want)
			}
		})
	}
	if _, err := Preset("low_latence"); err == nil || !strings.Contains(err.Error(), `did you mean "low_latency"`) {
		t.Errorf("got %v", err)
	}
}

func TestK5PresetIsTheBase(t *testing.T) {
	t.Parallel()
	noFile, err := Load(LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	live, err := Preset(PresetLiveCapture)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(noFile.Config, live) {
		t.Errorf("without a file: %+v", noFile.Config)
	}
	if got := noFile.Origin("queue.persist_to_disk"); got != "preset live_capture" {
		t.Errorf("origin %q", got)
	}
	if got := noFile.Origin("preset"); got != "default" {
		t.Errorf("origin of the preset %q", got)
	}
	if got := noFile.NotBuilt([]string{"preset", "queue"}); got != nil {
		t.Errorf("without a file the user gave %v", got)
	}
	// A file is obeyed where it speaks, whoever names the preset.
	l := text(t, `{"queue": {"batch_size": 7}}`, LoadOptions{Environ: []string{"DYNOTAP_PRESET=low_latency"}})
	if q := l.Config.Queue; q.BatchSize != 7 || q.FlushIntervalSec != 0 {
		t.Errorf("got %+v", q)
	}
	if got := l.Origin("preset"); got != "env DYNOTAP_PRESET" {
		t.Errorf("origin of the preset %q", got)
	}
}

func TestK6SettingsCoverSecretsAndPointers(t *testing.T) {
	t.Parallel()
	l := text(t, `{"server": {"token": "geheim"}, "sensor_ranges": {"rpm": {"max": 9000}}, "channels": {"W.B. 1": "afr"},
		"data_sources": {"mine": {"custom_settings": {"extra": null}}}}`, LoadOptions{Sources: []string{"mine"}})
	byPath := map[string]Setting{}
	for _, s := range l.Settings([]string{"jetdrive"}) {
		if s.Doc == "" && s.Path != "channels.W.B. 1" && !strings.HasSuffix(s.Path, ".extra") {
			t.Errorf("%s has no doc", s.Path)
		}
		byPath[s.Path] = s
	}
	for path, want := range map[string]any{
		"server.token": "***", "sensor_ranges.rpm.max": 9000.0, "channels.W.B. 1": "afr", "innovate.port": nil,
		"data_sources.jetdrive.enabled": true, "data_sources.mine.custom_settings.extra": nil,
	} {
		s, ok := byPath[path]
		if !ok || !reflect.DeepEqual(s.Value, want) {
			t.Errorf("%s: got %+v, want %v", path, s, want)
		}
	}
	for _, path := range []string{"data_sources.csv.enabled", "sensor_ranges.rpm.min"} {
		if _, ok := byPath[path]; ok {
			t.Errorf("%s is listed", path)
		}
	}
	for path, want := range map[string]string{
		"channels.W.B. 1": "test.json:1", "data_sources.mine.custom_settings.extra": "test.json:2",
		"data_sources.mine.retry.jitter": "default", "queue.nothing": "", "sensor_ranges.afr.max": "",
	} {
		if got := l.Origin(path); got != want {
			t.Errorf("origin of %s: %q, want %q", path, got, want)
		}
	}
}

// One mistake gives one problem: what follows from a wrong value is not judged.
func TestK3NoProblemFollowsFromAnother(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ json, want string }{
		{
			`{"default_retry": {"initial_delay_sec": 50, "max_delay_sec": -1}}`,
			"test.json:1:62: default_retry.max_delay_sec must be a number from 0 to 86400, not -1",
		},
		{
			`{"default_retry": {"max_delay_sec": -1}, "data_sources": {"jetdrive": {"retry": {"initial_delay_sec": 50}}}}`,
			"test.json:1:37: default_retry.max_delay_sec must be a number from 0 to 86400, not -1",
		},
		{
			`{"server": {"listen": "0.0.0.0:1", "token": 5}}`,
			"test.json:1:45: server.token must be text in double quotes, not 5",
		},
	} {
		if got := problems(t, c.json, LoadOptions{}); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s:\n got %q\nwant %q", c.json, got, c.want)
		}
	}
}
