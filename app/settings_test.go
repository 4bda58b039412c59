package app

import (
	"net/http"
	"testing"
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
