package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dynotap/queue"
	"dynotap/sample"
)

func nan() float64 { return math.NaN() }

func TestRoutes(t *testing.T) {
	t.Parallel()
	dead := queue.MakeID(sample.High, 7).String()
	tests := []struct {
		method, target, body string
		status               int
		want                 string // in the body, spaces taken out
	}{
		{"GET", "/healthz", "", 200, `"status":"ok"`},
		{"GET", "/readyz", "", 200, `{"ready":true,"reasons":[],"notes":["notdurable"]}`},
		{"GET", "/api/v1/health", "", 200, `{"healthy":true,"sources":{"jetdrive":{"healthy":true,"state":"connected"`},
		{"GET", "/api/v1/stats", "", 200, `"total":{"received":5}`},
		{"GET", "/api/v1/config", "", 200, `"max_size":10000`},
		{"GET", "/api/v1/doctor", "", 200, `"severity":"warning","findings":[{"check":"reception","severity":"warning","found":"nothingcame","mend":"switchiton","details":{"port":22344}}],"checked":["reception"]`},
		{"GET", "/api/v1/sources", "", 200, `{"sources":[{"name":"jetdrive","enabled":true,"health":{`},
		{"GET", "/api/v1/sources/jetdrive", "", 200, `"samples_received":1234567`},
		{"GET", "/api/v1/sources/nothing", "", 404, "GET/api/v1/sources"},
		{"POST", "/api/v1/sources/jetdrive/start", "", 200, `"name":"jetdrive"`},
		{"POST", "/api/v1/sources/nothing/start", "", 404, "nosource"},
		{"POST", "/api/v1/sources/jetdrive/explode", "", 404, "/openapi.json"},
		{"GET", "/api/v1/queue", "", 200, `"current_size":3`},
		{"GET", "/api/v1/dead-letters", "", 200, `"reason":"retries_exhausted"`},
		{"GET", "/api/v1/dead-letters?priority=sideways", "", 422, "critical"},
		{"GET", "/api/v1/dead-letters/" + dead, "", 200, `"payload":"YmF0Y2g="`},
		{"GET", "/api/v1/dead-letters/" + queue.MakeID(sample.High, 8).String(), "", 404, "nodeadletter"},
		{"GET", "/api/v1/dead-letters/..%2F..%2Fetc%2Fpasswd", "", 404, "nodeadletter"},
		{"POST", "/api/v1/dead-letters/" + dead + "/retry", "", 204, ""},
		{"DELETE", "/api/v1/dead-letters/" + dead, "", 204, ""},
		{"POST", "/api/v1/dead-letters/retry?source=jetdrive", "", 200, `"count":4`},
		{"DELETE", "/api/v1/dead-letters", "", 200, `"count":4`},
		{"GET", "/api/v1/runs", "", 200, `"tags":[],"started_at":"2023-11-14T22:13:20Z"`},
		{"GET", "/api/v1/runs?kind=nonsense", "", 422, "session"},
		{"GET", "/api/v1/runs?limit=0", "", 422, "limit"},
		{"GET", "/api/v1/runs?lmit=5", "", 422, "lmit"},
		{"GET", "/api/v1/runs/0190-abc", "", 200, `"summary":{"peak_hp":101.25`},
		{"GET", "/api/v1/runs/none", "", 404, "GET/api/v1/runs"},
		{"GET", "/api/v1/runs/..%2F..%2Fetc%2Fpasswd", "", 422, "pattern"},
		{"PATCH", "/api/v1/runs/0190-abc", `{"name":"new","tags":["a"]}`, 200, `"name":"new","notes":"","tags":["a"]`},
		{"PATCH", "/api/v1/runs/0190-abc", `{"nam":"new"}`, 422, "nam"},
		{"PATCH", "/api/v1/runs/0190-abc", `{"name":`, 400, "unexpected"},
		{"PATCH", "/api/v1/runs/none", `{"name":"new"}`, 404, "norun"},
		{"DELETE", "/api/v1/runs/0190-abc", "", 204, ""},
		{"DELETE", "/api/v1/runs/none", "", 404, "norun"},
		{"GET", "/api/v1/runs/0190-abc/samples?channel=rpm", "", 200, `"value":[3500,null]`},
		{"GET", "/api/v1/runs/0190-abc/samples?channel=nope", "", 404, "nosuchchannel"},
		{"GET", "/api/v1/runs/none/samples", "", 404, "norun"},
		{"GET", "/api/v1/runs/none/export", "", 404, "norun"},
		{"GET", "/api/v1/runs/0190-abc/export?format=exe", "", 422, "parquet"},
		{"GET", "/api/v1/runs/0190-abc/merge", "", 422, "with"},
		{"GET", "/api/v1/runs/0190-abc/merge?with=other", "", 400, "clocks"},
		{"GET", "/api/v1/runs/0190-abc/merge/table?with=other", "", 400, "clocks"},
		{"GET", "/api/v1/runs/none/merge/table?with=0190-abc", "", 404, "norun"},
		{"GET", "/api/v1/recordings", "", 200, `"recording":null`},
		{"POST", "/api/v1/recordings/stop", "", 409, "norecordingruns"},
		{"POST", "/api/v1/recordings/start", `{"name":"x"}`, 200, `"name":"x"`},
		{"POST", "/api/v1/recordings/start", "", 200, `"name":""`},
		{"PUT", "/healthz", "", 405, "takesGET,HEAD,notPUT"},
		{"POST", "/api/v1/queue", "", 405, "takesGET,HEAD,notPOST"},
		{"GET", "/api/v1/sources/jetdrive/start", "", 405, "takesPOST,notGET"},
		{"GET", "/nothing", "", 404, "/openapi.json"},
		{"GET", "/static/", "", 404, "/openapi.json"},
		{"GET", "/static/status.html", "", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			t.Parallel()
			w := ask(t, newCell().server(t, nil).Handler(), tt.method, tt.target, tt.body)
			body := strings.Join(strings.Fields(w.Body.String()), "")
			if w.Code != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if kind := w.Header().Get("Content-Type"); w.Code >= 400 && kind != "application/problem+json" {
				t.Errorf("an error as %q", kind)
			}
			if strings.Contains(body, `"$schema"`) {
				t.Error("a $schema link")
			}
		})
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	t.Parallel()
	c := newCell()
	c.reasons = []string{"disk full"}
	s := c.server(t, nil)
	if w := ask(t, s.Handler(), http.MethodGet, "/readyz", ""); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "disk full") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, s.Handler(), http.MethodGet, "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("alive but not ready: %d", w.Code)
	}
}

func TestHealthIgnoresSourcesThatAreSwitchedOffOrWithoutADevice(t *testing.T) {
	t.Parallel()
	c := newCell()
	c.sources = append(c.sources, SourceStatus{Name: "innovate"})
	if w := ask(t, c.server(t, nil).Handler(), http.MethodGet, "/api/v1/health", ""); !strings.Contains(w.Body.String(), `{"healthy":true,"sources":{"innovate":{"healthy":false`) {
		t.Error(w.Body)
	}
	c.sources[1].Enabled, c.sources[1].Absent = true, true
	if w := ask(t, c.server(t, nil).Handler(), http.MethodGet, "/api/v1/health", ""); !strings.HasPrefix(w.Body.String(), `{"healthy":true`) {
		t.Error(w.Body)
	}
	c.sources[1].Absent = false
	if w := ask(t, c.server(t, nil).Handler(), http.MethodGet, "/api/v1/health", ""); !strings.HasPrefix(w.Body.String(), `{"healthy":false`) {
		t.Error(w.Body)
	}
}

func TestErrorsOfTheRoomsBelow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err    error
		status int
	}{
		"conflict":  {fmt.Errorf("%w: runs already", ErrConflict), 409},
		"full":      {queue.ErrFull, 409},
		"malformed": {fmt.Errorf("%w: x", ErrBadRequest), 400},
		"too late":  {fmt.Errorf("read: %w", context.DeadlineExceeded), 503},
		"unknown":   {errors.New("disk on fire"), 500},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell()
			c.err = tt.err
			for _, target := range []string{"/api/v1/sources/jetdrive/stop", "/api/v1/dead-letters/retry"} {
				if w := ask(t, c.server(t, nil).Handler(), http.MethodPost, target, ""); w.Code != tt.status {
					t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
				}
			}
		})
	}
}

func TestFiltersReachTheRoomsBelow(t *testing.T) {
	t.Parallel()
	c := newCell()
	h := c.server(t, nil).Handler()
	ask(t, h, http.MethodGet, "/api/v1/dead-letters?source=jetdrive&priority=low&reason=x", "")
	if f := c.filter; f.Source != "jetdrive" || f.Priority == nil || *f.Priority != sample.Low || f.Reason != "x" {
		t.Errorf("%+v", f)
	}
	ask(t, h, http.MethodDelete, "/api/v1/dead-letters?reason=y", "")
	if f := c.filter; f.Source != "" || f.Priority != nil || f.Reason != "y" {
		t.Errorf("%+v", f)
	}
	ask(t, h, http.MethodGet, "/api/v1/runs?text=gear&kind=pull&capture=c1&limit=7&offset=3", "")
	if f := c.runFilter; f.Text != "gear" || f.Kind != "pull" || f.Capture != "c1" || f.Limit != 7 || f.Offset != 3 {
		t.Errorf("%+v", f)
	}
	ask(t, h, http.MethodGet, "/api/v1/runs/0190-abc/samples?channel=rpm&channel=0x43FD:6:Humidity&from_us=0&points=50", "")
	if q := c.query; !slices.Equal(q.Channels, []string{"rpm", "0x43FD:6:Humidity"}) || q.FromUS == nil || *q.FromUS != 0 || q.ToUS != nil || q.Points != 50 {
		t.Errorf("%+v", q)
	}
	ask(t, h, http.MethodGet, "/api/v1/runs/0190-abc/export?format=parquet&wide=true&rate=20", "")
	if f := c.format; f != (ExportFormat{Format: "parquet", Wide: true, RateHz: 20}) {
		t.Errorf("%+v", f)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	c := newCell()
	c.runs[0].Name = "über/\"3rd\" <gear>"
	h := c.server(t, nil).Handler()
	w := ask(t, h, http.MethodGet, "/api/v1/runs/0190-abc/export", "")
	if w.Code != http.StatusOK || w.Body.String() != "time,rpm\n" || w.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="2023-11-14T221320Z-pull-_ber__3rd_ _gear_.csv"` {
		t.Errorf("saved as %s", got)
	}
	c.export = func(context.Context, io.Writer) error { return nil }
	if w := ask(t, h, http.MethodGet, "/api/v1/runs/0190-abc/export", ""); w.Code != http.StatusOK || w.Header().Get("Content-Disposition") == "" {
		t.Errorf("an empty file: %d", w.Code)
	}
	c.export = func(context.Context, io.Writer) error { return fmt.Errorf("%w: rate without wide", ErrBadRequest) }
	if w := ask(t, h, http.MethodGet, "/api/v1/runs/0190-abc/export", ""); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "rate without wide") {
		t.Errorf("an error before the first byte: %d %s", w.Code, w.Body)
	}
}

func TestAnExportThatFailsHalfWayIsNoWholeFile(t *testing.T) {
	t.Parallel()
	c := newCell()
	c.export = func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, "time,rpm\n")
		return errors.Join(err, errors.New("damaged"))
	}
	web := httptest.NewUnstartedServer(c.server(t, nil).Handler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.Start()
	t.Cleanup(web.Close)
	answer, err := web.Client().Get(web.URL + "/api/v1/runs/0190-abc/export")
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
	}
	if err == nil {
		t.Error("the client takes half a file for a whole one")
	}
}

func TestMetricsOfTheInjectedRegistry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	received := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dynotap_samples_received_total", Help: "x"}, []string{"source"})
	registry.MustRegister(received)
	received.WithLabelValues("jetdrive").Add(141)
	s := newCell().server(t, func(o *Options) { o.Gatherer = registry })
	if w := ask(t, s.Handler(), http.MethodGet, "/metrics", ""); !strings.Contains(w.Body.String(), `dynotap_samples_received_total{source="jetdrive"} 141`) {
		t.Error(w.Body)
	}
}

func TestK6MetricsAreSwitchedOff(t *testing.T) {
	t.Parallel()
	s := newCell().server(t, func(o *Options) { o.Gatherer, o.NoMetrics = nil, true })
	if w := ask(t, s.Handler(), http.MethodGet, "/metrics", ""); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "metrics_enabled") {
		t.Error(w.Code, w.Body)
	}
}

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	w := ask(t, newCell().server(t, nil).Handler(), http.MethodGet, "/openapi.json", "")
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			Summary   string         `json:"summary"`
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("version %q", doc.OpenAPI)
	}
	want := map[string]string{
		"/healthz": "get", "/readyz": "get", "/api/v1/health": "get", "/api/v1/stats": "get", "/api/v1/config": "get",
		"/api/v1/sources": "get", "/api/v1/sources/{name}": "get", "/api/v1/sources/{name}/start": "post",
		"/api/v1/sources/{name}/stop": "post", "/api/v1/sources/{name}/reset": "post", "/api/v1/queue": "get",
		"/api/v1/dead-letters": "get delete", "/api/v1/dead-letters/retry": "post", "/api/v1/dead-letters/{id}": "get delete",
		"/api/v1/dead-letters/{id}/retry": "post", "/api/v1/runs": "get post", "/api/v1/runs/{id}": "get patch delete",
		"/api/v1/runs/{id}/samples": "get", "/api/v1/runs/{id}/plot.svg": "get", "/api/v1/runs/{id}/plot.png": "get",
		"/api/v1/runs/{id}/export": "get", "/api/v1/runs/{id}/merge": "get", "/api/v1/runs/{id}/merge/table": "get", "/api/v1/recordings": "get",
		"/api/v1/recordings/start": "post", "/api/v1/recordings/stop": "post", "/api/v1/live": "get", "/api/v1/doctor": "get",
		"/api/v1/backup": "get post", "/api/v1/storage": "get", "/api/v1/session": "post",
	}
	for path, methods := range want {
		for method := range strings.FieldsSeq(methods) {
			op, ok := doc.Paths[path][method]
			if !ok || op.Summary == "" || len(op.Responses) == 0 {
				t.Errorf("%s %s is not described", method, path)
			}
		}
		if got := len(doc.Paths[path]); got != len(strings.Fields(methods)) {
			t.Errorf("%s has %d methods", path, got)
		}
	}
	if len(doc.Paths) != len(want) {
		t.Errorf("%d paths are described, %d are known here", len(doc.Paths), len(want))
	}
}

func TestA6MergesAreAskedForByParameters(t *testing.T) {
	t.Parallel()
	c := newCell()
	h := c.server(t, nil).Handler()
	w := ask(t, h, http.MethodGet, "/api/v1/runs/0190-abc/merge?with=0190-def&channel=afr&channel=afr_rear&by=rpm&other=speed&offset_us=-5&tolerance_us=7", "")
	want := MergeQuery{
		With: "0190-def", Channels: []string{"afr", "afr_rear"}, By: "rpm", Other: "speed", OffsetUS: new(int64(-5)), ToleranceUS: 7,
	}
	if w.Code != http.StatusOK || !reflect.DeepEqual(c.merge, want) || !strings.Contains(w.Body.String(), `"how":"same"`) {
		t.Errorf("%d, %+v: %s", w.Code, c.merge, w.Body)
	}
	w = ask(t, h, http.MethodGet, "/api/v1/runs/0190-abc/merge/table?with=0190-def", "")
	if c.merge.OffsetUS != nil || c.merge.ToleranceUS != 100_000 || w.Body.String() != "time,rpm\n" ||
		!strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") || !strings.Contains(w.Header().Get("Content-Disposition"), ".csv") {
		t.Errorf("%+v, %v: %s", c.merge, w.Header(), w.Body)
	}
}

// TestListOfRunsIsSlim: the channels of a hundred are asked for only.
func TestListOfRunsIsSlim(t *testing.T) {
	t.Parallel()
	c := newCell()
	c.runs[0].Summary = json.RawMessage(`{"peak_hp":101.25,"channels":[{"key":"a"}]}`)
	h := c.server(t, nil).Handler()
	for path, want := range map[string]bool{"/api/v1/runs": false, "/api/v1/runs?channels=true": true, "/api/v1/runs/0190-abc": true} {
		text := ask(t, h, http.MethodGet, path, "").Body.String()
		if strings.Contains(text, `"channels"`) != want || !strings.Contains(text, "101.25") {
			t.Errorf("%s: %s", path, text)
		}
	}
}
