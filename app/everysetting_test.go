package app

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"dynotap/config"
)

// everySetting names, for each setting there is, the test that shows what it
// does. * stands for one part of a name.
var everySetting = map[string]string{
	"preset":                    "TestK5Presets",
	"global_enabled":            "TestK2Enabled",
	"log_level":                 "TestK1LogLevels",
	"metrics_enabled":           "TestK6MetricsEnabled",
	"metrics_interval_sec":      "TestK6MetricsIntervalSec",
	"queue.persist_to_disk":     "TestK6DurabilityIsSaid",
	"queue.persist_path":        "TestDataDir",
	"queue.fsync":               "TestK6DurabilityIsSaid",
	"queue.*":                   "TestK6EverySettingOfTheQueueIsRead",
	"retention.days":            "TestK6RetentionDays",
	"retention.*":               "TestK6RetentionOfDeadLetters",
	"aggregation.*":             "TestK6Aggregation",
	"default_retry.*":           "TestK6DefaultsReachTheSources",
	"default_circuit_breaker.*": "TestK6DefaultsReachTheSources",
	"default_validation.*":      "TestK6DefaultsReachTheSources",

	"jetdrive.discovery_timeout_sec": "TestK6DiscoveryTimeoutSec",
	"jetdrive.*":                     "TestK6EverySettingOfTheSourcesIsRead",
	"innovate.auto_detect_port":      "TestK3BadFilesSayWhere",
	"innovate.sensors.*.*":           "TestK6EverySettingOfTheSourcesIsRead",
	"innovate.*":                     "TestK6EverySettingOfTheSourcesIsRead",

	"data_sources.*.name":         "TestK3BadFilesSayWhere",
	"data_sources.*.enabled":      "TestK2Enabled",
	"data_sources.*.validation.*": "TestV5Settings",
	"data_sources.jetdrive.custom_settings.stale_data_threshold_sec":    "TestK6EverySettingOfTheSourcesIsRead",
	"data_sources.jetdrive.custom_settings.max_frame_drop_rate_percent": "TestK6MaxFrameDropRatePercent",
	"data_sources.innovate.custom_settings.*":                           "TestK6EverySettingOfTheSourcesIsRead",
	"data_sources.*.custom_settings.max_file_size_mb":                   "TestK6LimitsOfFilesAreRead",
	"data_sources.*.custom_settings.supported_encodings":                "TestK6LimitsOfFilesAreRead",
	"data_sources.jetdrive.*":                                           "TestK6EverySettingOfTheSourcesIsRead",
	"data_sources.jetdrive.*.*":                                         "TestK6EverySettingOfTheSourcesIsRead",
	"data_sources.innovate.*":                                           "TestK6EverySettingOfTheSourcesIsRead",
	"data_sources.innovate.*.*":                                         "TestK6EverySettingOfTheSourcesIsRead",
	"data_sources.*.*":                                                  "TestK6WhatFilesCannotUseIsTold",
	"data_sources.*.*.*":                                                "TestK6WhatFilesCannotUseIsTold",

	"sensor_ranges.*.*": "TestV10SensorRangesOverride",
	"channels.*":        "TestUserMapping",
	"critical_channels": "TestDecision3CriticalChannelsTravelAlone",
	"display.units":     "TestPageInMetricUnits",
	"time_zone":         "TestA5RepeatsAreNoSamplesAndTimesAreOfTheZone",
	"server.listen":     "TestPromise6AddressesOfOtherMachinesNeedAToken",
	"server.hosts":      "TestK6ServerHosts",
	"server.token":      "TestPromise6Token",
}

// full gives every table an entry, so that its settings are listed too.
const full = `{
	"innovate": {"sensors": {"1": {"place": "front", "multiplier": 1.1, "offset": 0.5, "stoichiometric": 9}}},
	"sensor_ranges": {"rpm": {"min": 1, "max": 9000, "warn_min": 2, "warn_max": 8000}},
	"channels": {"My Sensor": "rpm"},
	"data_sources": {"csv": {"custom_settings": {"max_file_size_mb": 1, "supported_encodings": ["utf-8"]}}}
}`

// TestK6EverySettingHasItsTest walks all settings there are: each has a test in
// the table, which exists; and the table has nothing else.
func TestK6EverySettingHasItsTest(t *testing.T) {
	t.Parallel()
	names := append([]string{"jetdrive", "innovate"}, formatNames()...)
	loaded, err := config.Load(config.LoadOptions{Path: configured(t, full)[1], Sources: names})
	if err != nil {
		t.Fatal(err)
	}
	tests, used := testFunctions(t), map[string]bool{}
	settings := loaded.Settings(names)
	for _, s := range settings {
		pattern := closest(s.Path)
		if pattern == "" {
			t.Errorf("no test shows what %s does: add a line to everySetting", s.Path)
			continue
		}
		used[pattern] = true
		if test := everySetting[pattern]; !tests[test] {
			t.Errorf("%s: there is no %s", s.Path, test)
		}
	}
	for pattern := range everySetting {
		if !used[pattern] {
			t.Errorf("no setting is %s", pattern)
		}
	}
	if len(settings) < 250 {
		t.Errorf("only %d settings", len(settings))
	}
}

// closest is the line for a setting: the one with the fewest *.
func closest(path string) (best string) {
	for pattern := range everySetting {
		if fitsPattern(pattern, path) && (best == "" || strings.Count(pattern, "*") < strings.Count(best, "*")) {
			best = pattern
		}
	}
	return best
}

func fitsPattern(pattern, path string) bool {
	want, got := strings.Split(pattern, "."), strings.Split(path, ".")
	return slices.EqualFunc(want, got, func(w, g string) bool { return w == "*" || w == g })
}

// testFunctions finds every test of the module.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "node_modules" || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") && e.Name() != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				found[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// with loads the configuration with settings changed.
func with(t *testing.T, overrides map[string]string) *config.Config {
	t.Helper()
	loaded, err := config.Load(config.LoadOptions{
		Path: configured(t, "{}")[1], Overrides: overrides, Sources: append([]string{"jetdrive", "innovate"}, formatNames()...),
	})
	if err != nil {
		t.Fatalf("%v: %v", overrides, err)
	}
	return &loaded.Config
}

// differences names the fields in which two values of one type differ.
func differences(was, is reflect.Value, name string) (out []string) {
	if was.Kind() == reflect.Struct && was.Type().PkgPath() != "net/netip" {
		for i := range was.NumField() {
			out = append(out, differences(was.Field(i), is.Field(i), strings.TrimPrefix(name+"."+was.Type().Field(i).Name, "."))...)
		}
		return out
	}
	if !reflect.DeepEqual(was.Interface(), is.Interface()) {
		return []string{name}
	}
	return nil
}

// Of a source, what is made of its section and of its entry in data_sources.
func ofJetdrive(t *testing.T, c *config.Config) any {
	t.Helper()
	s, err := jetdriveSettings(&c.Jetdrive)
	if err != nil {
		t.Fatal(err)
	}
	s.Conn.BufferDatagrams = c.Source("jetdrive").BufferSize
	return s
}

func ofInnovate(t *testing.T, c *config.Config) any {
	t.Helper()
	s, err := innovateSettings(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ofPort(_ *testing.T, c *config.Config) any { return portSettings(&c.Innovate) }

// TestK6EverySettingOfTheSourcesIsRead changes one setting of the live sources
// at a time, and that changes one field of what the source is made with. What
// each field does, the tests of package source and its folders show.
func TestK6EverySettingOfTheSourcesIsRead(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]struct {
		value, field string
		made         func(*testing.T, *config.Config) any
	}{
		"jetdrive.multicast_group":                                     {"239.1.2.3", "Conn.Group", ofJetdrive},
		"jetdrive.port":                                                {"23456", "Conn.Port", ofJetdrive},
		"jetdrive.interface":                                           {"127.0.0.1", "Conn.Interface", ofJetdrive},
		"jetdrive.subscribe_timeout_sec":                               {"2", "AskAgain", ofJetdrive},
		"jetdrive.channel_filter":                                      {"rpm", "ChannelFilter", ofJetdrive},
		"jetdrive.provider_filter":                                     {"CPU", "ProviderFilter", ofJetdrive},
		"jetdrive.transmit":                                            {"false", "ListenOnly", ofJetdrive},
		"data_sources.jetdrive.buffer_size":                            {"77", "Conn.BufferDatagrams", ofJetdrive},
		"innovate.port":                                                {"COM7", "Port", ofPort},
		"innovate.baudrate":                                            {"9600", "Baud", ofPort},
		"innovate.device_type":                                         {"LM-1", "Device", ofInnovate},
		"innovate.channels":                                            {"2", "Read", ofInnovate},
		"innovate.read_interval_sec":                                   {"0.5", "Interval", ofInnovate},
		"innovate.buffer_size":                                         {"99", "Buffer", ofInnovate},
		"innovate.sensors.1.place":                                     {"front", "Sensors", ofInnovate},
		"innovate.sensors.1.multiplier":                                {"1.5", "Sensors", ofInnovate},
		"innovate.sensors.1.offset":                                    {"0.5", "Sensors", ofInnovate},
		"innovate.sensors.1.stoichiometric":                            {"9", "Sensors", ofInnovate},
		"data_sources.innovate.custom_settings.warmup_timeout_sec":     {"3", "WarmupTimeout", ofInnovate},
		"data_sources.innovate.custom_settings.free_air_afr_threshold": {"20", "FreeAirAFR", ofInnovate},
	} {
		was, is := want.made(t, with(t, nil)), want.made(t, with(t, map[string]string{key: want.value}))
		if got := differences(reflect.ValueOf(was), reflect.ValueOf(is), ""); !slices.Equal(got, []string{want.field}) {
			t.Errorf("%s = %s changes %v, want %s", key, want.value, got, want.field)
		}
	}
	for _, source := range []string{"jetdrive", "innovate"} {
		for key, want := range supervised {
			setting := "data_sources." + source + "." + key
			checkSupervised(t, source, setting, want)
		}
		for _, key := range []string{"auto_reconnect", "reconnect_delay_sec"} {
			checkSupervised(t, source, source+"."+key, supervised[key])
		}
	}
}

type change struct{ value, field string }

// supervised is what the supervisor of a live source is told.
var supervised = map[string]change{
	"connection_timeout_sec":                   {"0.75", "ConnectTimeout"},
	"read_timeout_sec":                         {"0.75", "ReadTimeout"},
	"auto_reconnect":                           {"false", "AutoReconnect"},
	"reconnect_delay_sec":                      {"0.75", "ReconnectDelay"},
	"retry.max_attempts":                       {"77", "Retry.MaxAttempts"},
	"retry.initial_delay_sec":                  {"0.75", "Retry.InitialDelay"},
	"retry.max_delay_sec":                      {"77", "Retry.MaxDelay"},
	"retry.exponential_base":                   {"3", "Retry.Base"},
	"retry.jitter":                             {"false", "Retry.Jitter"},
	"retry.retry_on_timeout":                   {"false", "Retry.OnTimeout"},
	"retry.retry_on_connection_error":          {"false", "Retry.OnConnectionError"},
	"circuit_breaker.failure_threshold":        {"77", "Breaker.FailureThreshold"},
	"circuit_breaker.success_threshold":        {"77", "Breaker.SuccessThreshold"},
	"circuit_breaker.timeout_sec":              {"77", "Breaker.Timeout"},
	"circuit_breaker.half_open_max_calls":      {"77", "Breaker.HalfOpenMaxCalls"},
	"circuit_breaker.enabled":                  {"false", "Breaker.Enabled"},
	"custom_settings.stale_data_threshold_sec": {"77", "StaleAfter"},
}

func checkSupervised(t *testing.T, source, setting string, want change) {
	t.Helper()
	was := supervision(with(t, nil).Source(source))
	is := supervision(with(t, map[string]string{setting: want.value}).Source(source))
	if got := differences(reflect.ValueOf(was), reflect.ValueOf(is), ""); !slices.Equal(got, []string{want.field}) {
		t.Errorf("%s = %s changes %v, want %s", setting, want.value, got, want.field)
	}
}

// TestK6DefaultsReachTheSources: every key of the default_ sections changes the
// same key of every source.
func TestK6DefaultsReachTheSources(t *testing.T) {
	t.Parallel()
	usual := with(t, nil)
	for section, of := range map[string]func(s config.SourceSettings) any{
		"default_retry":           func(s config.SourceSettings) any { return s.Retry },
		"default_circuit_breaker": func(s config.SourceSettings) any { return s.Breaker },
		"default_validation":      func(s config.SourceSettings) any { return s.Validation },
	} {
		shape := reflect.TypeOf(of(config.SourceSettings{}))
		for i := range shape.NumField() {
			key, value := shape.Field(i).Tag.Get("json"), "7"
			if shape.Field(i).Type.Kind() == reflect.Bool {
				value = fmt.Sprint(!reflect.ValueOf(of(usual.Source("jetdrive"))).Field(i).Bool())
			}
			changed := with(t, map[string]string{section + "." + key: value})
			for _, source := range append([]string{"jetdrive", "innovate"}, formatNames()...) {
				was, is := reflect.ValueOf(of(usual.Source(source))), reflect.ValueOf(of(changed.Source(source)))
				if got := differences(was, is, ""); !slices.Equal(got, []string{shape.Field(i).Name}) {
					t.Errorf("%s.%s = %s changes %v of %s", section, key, value, got, source)
				}
			}
		}
	}
}

// TestK6WhatFilesCannotUseIsTold: a file is there or not, nothing connects. The
// guide's file gives such settings, so they are no mistake; config check says
// that they have no effect.
func TestK6WhatFilesCannotUseIsTold(t *testing.T) {
	t.Parallel()
	for _, source := range formatNames() {
		for key, c := range supervised {
			if strings.HasPrefix(key, "custom_settings.") {
				continue
			}
			setting := "data_sources." + source + "." + key
			loaded, err := config.Load(config.LoadOptions{Overrides: map[string]string{setting: c.value}, Sources: formatNames()})
			if err != nil {
				t.Fatal(err)
			}
			if told := loaded.NotBuilt(notBuilt()); !slices.Contains(told, setting) {
				t.Errorf("%s has no effect, and config check says %v", setting, told)
			}
		}
	}
}

// TestK6LimitsOfFilesAreRead: what the two do, pipeline/imports shows.
func TestK6LimitsOfFilesAreRead(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"csv", "winpep", "powervision", "jetdrivelog"} {
		custom := "data_sources." + source + ".custom_settings."
		got := with(t, map[string]string{custom + "max_file_size_mb": "2.5", custom + "supported_encodings": "utf-8"}).Source(source).Custom
		if got.MaxFileSizeMB == nil || *got.MaxFileSizeMB != 2.5 || !slices.Equal(got.SupportedEncodings, []string{"utf-8"}) {
			t.Errorf("%s: %+v", source, got)
		}
	}
}

// TestK6DiscoveryTimeoutSec: without --timeout, discover listens for so long.
func TestK6DiscoveryTimeoutSec(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	file := configured(t, `{"jetdrive": {"discovery_timeout_sec": 0.321}}`)
	cmd := exec.Command("dynotap", append(file, "--group", n.group, "--port", fmt.Sprint(n.port), "--interface", loopback)...)
	cmd.Args = slices.Insert(cmd.Args, 1, "discover")
	out, _ := cmd.CombinedOutput() // nobody is there
	if !strings.Contains(string(out), "321ms") {
		t.Errorf("discover says:\n%s", out)
	}
}

// lockedBuffer is a log that two goroutines may touch.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestK6MetricsIntervalSec: so often a line of statistics is logged, and none
// while metrics are switched off.
func TestK6MetricsIntervalSec(t *testing.T) {
	t.Parallel()
	for enabled, want := range map[string]bool{"true": true, "false": false} {
		t.Run(enabled, func(t *testing.T) {
			t.Parallel()
			var log lockedBuffer
			a, _ := recordLogging(t, t.TempDir(), newDump(3), map[string]string{"metrics_interval_sec": "0.1", "metrics_enabled": enabled},
				slog.New(slog.NewTextHandler(&log, nil)))
			defer a.end(t)
			if !want {
				if a.counting.Running() {
					t.Error("statistics are kept")
				}
				return
			}
			await(t, "two lines of statistics are logged", func() bool {
				return strings.Count(log.String(), "msg=statistics") >= 2 && strings.Contains(log.String(), "processed=15")
			})
		})
	}
}
