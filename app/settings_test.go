package app

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
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

// TestK6ServerHosts: the names given, and this machine's own, are answered to;
// others are not.
func TestK6ServerHosts(t *testing.T) {
	t.Parallel()
	a, _ := record(t, t.TempDir(), newDump(0), map[string]string{"server.hosts": "dyno.shop.lan"})
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"dyno.shop.lan": 200, own: 200, own + ".local:8686": 200, "evil.example": 421,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.server.URL()+"healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = name
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want || want == 421 && !strings.Contains(string(text), "server.hosts") {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
	a.end(t)
	if got := serverNames([]string{"a"}, func() (string, error) { return "", errors.New("no name") }); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q", got)
	}
}

// TestOtherDevicesAreToldWhereTheServerIs: where it listens for them.
func TestOtherDevicesAreToldWhereTheServerIs(t *testing.T) {
	t.Parallel()
	addresses := func() (list []net.Addr, err error) {
		for _, text := range []string{"127.0.0.1/8", "192.168.1.20/24", "fe80::1/64", "169.254.3.4/16", "10.0.0.7/8"} {
			ip, network, err := net.ParseCIDR(text)
			if err != nil {
				return nil, err
			}
			list = append(list, &net.IPNet{IP: ip, Mask: network.Mask})
		}
		return list, nil
	}
	none := func() ([]net.Addr, error) { return nil, errors.New("no list") }
	both := []string{"http://192.168.1.20:8686/", "http://10.0.0.7:8686/"}
	for name, test := range map[string]struct {
		listen    string
		addresses func() ([]net.Addr, error)
		want      []string
	}{
		"all":                {"0.0.0.0:8686", addresses, both},
		"all, host left out": {":8686", addresses, both},
		"all, version 6":     {"[::]:8686", addresses, both},
		"loopback":           {"127.0.0.1:8686", addresses, nil},
		"one":                {"192.168.1.20:8686", addresses, nil},
		"a name":             {"dyno-pc:8686", addresses, nil},
		"not known":          {"0.0.0.0:8686", none, nil},
	} {
		if got := fromElsewhere(test.listen, "http://127.0.0.1:8686/", test.addresses); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
