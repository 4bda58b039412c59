package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"dynotap/web"
)

func withDashboard(o *Options) {
	o.Dashboard = web.Dashboard{Index: "index.html", Files: fstest.MapFS{
		"index.html": {Data: []byte("<!doctype html><title>dashboard</title>")}, "assets/app-1a2b.js": {Data: []byte("1")},
	}}
}

func TestDashboardTakesTheRootAndLeavesTheStatusPage(t *testing.T) {
	t.Parallel()
	h := newCell().server(t, withDashboard).Handler()
	root := ask(t, h, http.MethodGet, "/", "")
	if root.Code != http.StatusOK || !strings.Contains(root.Body.String(), "<title>dashboard") || root.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v %s", root.Code, root.Header(), root.Body)
	}
	if file := ask(t, h, http.MethodGet, "/assets/app-1a2b.js", ""); file.Code != http.StatusOK || !strings.Contains(file.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d %v", file.Code, file.Header())
	}
	if gone := ask(t, h, http.MethodGet, "/assets/app-old.js", ""); gone.Code != http.StatusNotFound || strings.Contains(gone.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d %v", gone.Code, gone.Header())
	}
	if status := ask(t, h, http.MethodGet, "/status", ""); status.Code != http.StatusOK || !strings.Contains(status.Body.String(), "DWRT") && !strings.Contains(status.Body.String(), "No channel") {
		t.Errorf("%d %s", status.Code, status.Body)
	}
	none := newCell().server(t, func(o *Options) { withDashboard(o); o.NoPages = true }).Handler()
	if w := ask(t, none, http.MethodGet, "/", ""); w.Code != http.StatusNotFound {
		t.Errorf("without pages: %d", w.Code)
	}
}

func TestPromise6DashboardAsksForTheTokenItself(t *testing.T) {
	t.Parallel()
	s := newCell().server(t, func(o *Options) { withDashboard(o); o.Listen, o.Token = "0.0.0.0:8686", token })
	visit := func(method, target, bearer string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://127.0.0.1:8686"+target, http.NoBody)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	for target, want := range map[string]int{
		"/": 200, "/assets/app-1a2b.js": 200, // nothing of the cell is in them
		"/status": 401, "/api/v1/health": 401, "/static/status.js": 401, "/assets/../api/v1/health": 401, "/metrics": 401,
		"/?token=" + token: 303, "/?token=wrong": 401,
	} {
		if w := visit(http.MethodGet, target, ""); w.Code != want {
			t.Errorf("GET %s without a token: %d, want %d", target, w.Code, want)
		}
	}
	for bearer, want := range map[string]int{"": 401, "wrong": 401} {
		if w := visit(http.MethodPost, sessionPath, bearer); w.Code != want || len(w.Result().Cookies()) != 0 {
			t.Errorf("session for %q: %d %v", bearer, w.Code, w.Result().Cookies())
		}
	}
	w := visit(http.MethodPost, sessionPath, token)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusNoContent || len(cookies) != 1 || !cookies[0].HttpOnly || strings.Contains(cookies[0].Value, token) {
		t.Fatalf("%d %v", w.Code, cookies)
	}
	if w := visit(http.MethodGet, "/api/v1/health", "", cookies...); w.Code != http.StatusOK {
		t.Errorf("with the cookie: %d", w.Code)
	}
}
