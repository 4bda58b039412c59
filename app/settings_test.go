package app

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"dynotap/config"
	"dynotap/run/window"
	"dynotap/source/jetdrive"
)

func TestK6MetricsEnabled(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]int{"true": http.StatusOK, "false": http.StatusNotFound} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			a, _ := record(t, t.TempDir(), newDump(1), map[string]string{"metrics_enabled": given})
			defer a.end(t)
			ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.server.URL()+"metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			client := newHTTPClient()
			defer client.CloseIdleConnections()
			answer, err := client.Do(ask)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("/metrics answers %s", answer.Status)
			}
		})
	}
}

func TestK6MaxFrameDropRatePercent(t *testing.T) {
	t.Parallel()
	lossy := jetdrive.Status{Providers: []jetdrive.ProviderStatus{{Name: "DWRT CPU", LossPercent: 12.34}, {Name: "DWRT ATMO"}}}
	for _, test := range []struct {
		warning string
		limit   float64
		want    string
	}{
		{"", 5, "12.3 % of the messages of DWRT CPU are lost on the way (max_frame_drop_rate_percent 5): check cable and switch; Wi-Fi loses multicast"},
		{"", 15, ""},
		{"interface down", 15, "interface down"},
	} {
		lossy.Warning = test.warning
		if got := networkRemarks(lossy, test.limit); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

// What is stored with these settings, pipeline/windows_test.go shows.
func TestK6Aggregation(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.LoadOptions{Path: configured(t, `{"aggregation": {"window_ms": 500, "mean": ["torque"], "min": ["afr"], "max": ["horsepower"]}}`)[1]})
	if err != nil {
		t.Fatal(err)
	}
	got := windowing(&cfg.Config.Aggregation)
	want := map[string]window.Statistic{"torque": window.Mean, "afr": window.Min, "horsepower": window.Max}
	if got.Width != 500*time.Millisecond || !maps.Equal(got.Statistics, want) {
		t.Errorf("%+v", got)
	}
	_, err = config.Load(config.LoadOptions{Path: configured(t, `{"aggregation": {"mean": ["afr"], "max": ["afr"]}}`)[1]})
	if err == nil || !strings.Contains(err.Error(), `aggregation.max: "afr" is in aggregation.mean too`) {
		t.Errorf("a channel with two statistics: %v", err)
	}
}
