package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestK2SourcesInheritFieldByField(t *testing.T) {
	t.Parallel()
	l := text(t, `{
		"data_sources": {
			"jetdrive": {"retry": {"max_attempts": 9}, "validation": {"strict_mode": true}},
			"csv": {"circuit_breaker": {"enabled": false}}
		},
		"default_retry": {"max_attempts": 4, "initial_delay_sec": 2},
		"default_circuit_breaker": {"failure_threshold": 8},
		"default_validation": {"reject_nan": false}
	}`, LoadOptions{Environ: []string{"DYNOTAP_DEFAULT_RETRY__EXPONENTIAL_BASE=3"}})
	jet, csv := l.Config.Source("jetdrive"), l.Config.Source("csv")
	if want := (Retry{9, 2, 30, 3, true, true, true}); jet.Retry != want {
		t.Errorf("jetdrive retry %+v, want %+v", jet.Retry, want)
	}
	if want := (Retry{4, 2, 30, 3, true, true, true}); csv.Retry != want {
		t.Errorf("csv retry %+v, want %+v", csv.Retry, want)
	}
	if jet.Breaker != (CircuitBreaker{8, 2, 60, 3, true}) || csv.Breaker != (CircuitBreaker{8, 2, 60, 3, false}) {
		t.Errorf("breakers %+v %+v", jet.Breaker, csv.Breaker)
	}
	if jet.Validation.RejectNaN || !jet.Validation.StrictMode || csv.Validation.RejectNaN || csv.Validation.StrictMode {
		t.Errorf("validation %+v %+v", jet.Validation, csv.Validation)
	}
	for path, want := range map[string]string{
		"data_sources.jetdrive.retry.max_attempts":     "test.json:3",
		"data_sources.csv.retry.max_attempts":          "test.json:6 (default_retry.max_attempts)",
		"data_sources.jetdrive.retry.exponential_base": "env DYNOTAP_DEFAULT_RETRY__EXPONENTIAL_BASE (default_retry.exponential_base)",
	} {
		if got := l.Origin(path); got != want {
			t.Errorf("origin of %s: %q, want %q", path, got, want)
		}
	}
}

// A setting with two places: data_sources < section < environment < flags.
func TestK2SectionOverDataSources(t *testing.T) {
	t.Parallel()
	const both = `{"data_sources": {"innovate": {"buffer_size": 11}}, "innovate": {"buffer_size": 12}}`
	const onlySource = `{"data_sources": {"innovate": {"buffer_size": 11}}}`
	ofSource := []string{"DYNOTAP_DATA_SOURCES__INNOVATE__BUFFER_SIZE=13"}
	ofSection := []string{"DYNOTAP_INNOVATE__BUFFER_SIZE=14"}
	flag := map[string]string{"data_sources.innovate.buffer_size": "15"}
	for _, c := range []struct {
		name, json string
		opts       LoadOptions
		want       int
	}{
		{"default", "{}", LoadOptions{}, 1024},
		{"data_sources alone", onlySource, LoadOptions{}, 11},
		{"section wins", both, LoadOptions{}, 12},
		{"environment over the file's section", both, LoadOptions{Environ: ofSource}, 13},
		{"section in the environment", both, LoadOptions{Environ: append(ofSection, ofSource...)}, 14},
		{"flag", both, LoadOptions{Environ: ofSection, Overrides: flag}, 15},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := text(t, c.json, c.opts).Config
			if got := cfg.Source("innovate").BufferSize; got != c.want {
				t.Errorf("Source: got %d, want %d", got, c.want)
			}
			if cfg.Innovate.BufferSize != c.want {
				t.Errorf("section: got %d, want %d", cfg.Innovate.BufferSize, c.want)
			}
		})
	}
}

func TestK2OriginOfASettingWithTwoPlaces(t *testing.T) {
	t.Parallel()
	l := text(t, `{"data_sources": {"jetdrive": {"reconnect_delay_sec": 1}}}`, LoadOptions{})
	if got := l.Config.Source("jetdrive").ReconnectDelay; got != time.Second {
		t.Errorf("got %v", got)
	}
	if got, want := l.Origin("jetdrive.reconnect_delay_sec"), "test.json:1 (data_sources.jetdrive.reconnect_delay_sec)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestK2SourcesShareNoMemory(t *testing.T) {
	t.Parallel()
	const json = `{"data_sources": {
		"csv": {"custom_settings": {"max_file_size_mb": 1, "supported_encodings": ["utf-8"]}},
		"mine": {"custom_settings": {"a": {"b": [1, {"c": 2}]}}}}}`
	l := text(t, json, LoadOptions{Sources: []string{"mine"}})
	before := text(t, json, LoadOptions{Sources: []string{"mine"}}).Config
	csv, mine := l.Config.Source("csv"), l.Config.Source("mine")
	csv.Custom.SupportedEncodings[0] = "changed"
	*csv.Custom.MaxFileSizeMB = 2
	list := mine.Custom.Extra["a"].(map[string]any)["b"].([]any)
	list[0] = "changed"
	list[1].(map[string]any)["c"] = "changed"
	mine.Custom.Extra["new"] = true
	if !reflect.DeepEqual(l.Config, before) {
		t.Errorf("the configuration changed: %+v", l.Config.DataSources)
	}
}

func TestK2Enabled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, json, source string
		want               bool
	}{
		{"by default", "{}", "jetdrive", true},
		{"switched off", `{"data_sources": {"jetdrive": {"enabled": false}}}`, "jetdrive", false},
		{"others go on", `{"data_sources": {"jetdrive": {"enabled": false}}}`, "innovate", true},
		{"globally off", `{"global_enabled": false}`, "jetdrive", false},
		{"never heard of", "{}", "foreign", false},
	} {
		if cfg := text(t, c.json, LoadOptions{}).Config; cfg.Source(c.source).Enabled != c.want {
			t.Errorf("%s: got %v", c.name, !c.want)
		}
	}
}

func TestK2ASourceOfSomebodyElse(t *testing.T) {
	t.Parallel()
	const json = `{"data_sources": {"mine": {"custom_settings": {"gain": 2, "stale_data_threshold_sec": 9}, "retry": {"jitter": false}}}}`
	if got := problems(t, json, LoadOptions{}); !strings.Contains(got[0], `unknown name "mine" in data_sources`) {
		t.Errorf("got %v", got)
	}
	s := text(t, json, LoadOptions{Sources: []string{"mine"}}).Config.Source("mine")
	if s.Custom.Extra["gain"] != 2.0 || s.Custom.StaleDataThresholdSec != 9 || s.Retry.Jitter || !s.Enabled {
		t.Errorf("got %+v", s)
	}
}
