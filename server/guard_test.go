package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const token = "correct-horse-battery"

func TestPromise6AddressesOfOtherMachinesNeedAToken(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		listen, token string
		ok            bool
	}{
		"loopback":                {"127.0.0.1:8686", "", true},
		"another loopback":        {"127.3.2.1:8686", "", true},
		"loopback, version 6":     {"[::1]:8686", "", true},
		"localhost":               {"localhost:8686", "", true},
		"all":                     {"0.0.0.0:8686", "", false},
		"all, host left out":      {":8686", "", false},
		"all, version 6":          {"[::]:8686", "", false},
		"an address":              {"192.168.1.20:8686", "", false},
		"a name":                  {"dyno-pc:8686", "", false},
		"all, with a token":       {"0.0.0.0:8686", token, true},
		"an address with a token": {"192.168.1.20:8686", token, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newCell().options()
			o.Listen, o.Token = tt.listen, tt.token
			_, err := New(o)
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, ErrToken) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPromise6HostHeader(t *testing.T) {
	t.Parallel()
	const local, all = "127.0.0.1:8686", "0.0.0.0:8686"
	tests := []struct {
		listen, host string
		ok           bool
	}{
		{local, "127.0.0.1:8686", true},
		{local, "127.0.0.1", true},
		{local, "localhost:8686", true},
		{local, "LocalHost.", true},
		{local, "[::1]:8686", true},
		{local, "127.0.0.1:9999", true}, // a forwarded port
		{local, "dyno.example", true},   // configured
		{local, "DYNO.example:80", true},
		{local, "", false},
		{local, "evil.example", false},
		{local, "evil.example:8686", false},
		{local, "127.0.0.1.evil.example", false},
		{local, "localhost.evil.example", false},
		{local, "0.0.0.0:8686", false},
		{local, "192.168.1.20:8686", false},
		{all, "192.168.1.20:8686", true}, // the address that the request came to
		{all, "192.168.1.21:8686", false},
		{all, "0.0.0.0:8686", false},
		{all, "[::ffff:192.168.1.20]:8686", true},
		{all, "evil.example", false},
		{"192.168.1.20:8686", "192.168.1.20", true},
		{"dyno-pc:8686", "dyno-pc:8686", true},
	}
	for _, tt := range tests {
		t.Run(tt.listen+" asked as "+tt.host, func(t *testing.T) {
			t.Parallel()
			s := newCell().server(t, func(o *Options) { o.Listen, o.Token, o.Hosts = tt.listen, token, []string{"dyno.example"} })
			r := httptest.NewRequest(http.MethodGet, "/api/v1/health", http.NoBody)
			r.Host = tt.host
			r.Header.Set("Authorization", "Bearer "+token) // does not help against a wrong name
			local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8686}
			if tt.listen == all {
				local.IP = net.IPv4(192, 168, 1, 20)
			}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			want := http.StatusMisdirectedRequest
			if tt.ok {
				want = http.StatusOK
			}
			if w.Code != want {
				t.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
			}
		})
	}
}

func TestPromise6Token(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method, target, authorization string
		status                        int
	}{
		"none":                          {"GET", "/api/v1/stats", "", 401},
		"right":                         {"GET", "/api/v1/stats", "Bearer " + token, 200},
		"scheme in another case":        {"GET", "/api/v1/stats", "bearer " + token, 200},
		"wrong":                         {"GET", "/api/v1/stats", "Bearer wrong", 401},
		"empty":                         {"GET", "/api/v1/stats", "Bearer ", 401},
		"the beginning of it":           {"GET", "/api/v1/stats", "Bearer " + token[:8], 401},
		"another scheme":                {"GET", "/api/v1/stats", "Basic " + token, 401},
		"in the query":                  {"GET", "/api/v1/stats?token=" + token, "", 200},
		"in the query, wrong":           {"GET", "/api/v1/stats?token=x", "", 401},
		"in the query of a change":      {"POST", "/api/v1/sources/jetdrive/stop?token=" + token, "", 401},
		"a change":                      {"POST", "/api/v1/sources/jetdrive/stop", "Bearer " + token, 200},
		"a change without":              {"POST", "/api/v1/sources/jetdrive/stop", "", 401},
		"the page":                      {"GET", "/", "", 401},
		"the metrics":                   {"GET", "/metrics", "", 401},
		"the description":               {"GET", "/openapi.json", "", 401},
		"the stream":                    {"GET", "/api/v1/live", "", 401},
		"whether it is alive":           {"GET", "/healthz", "", 200},
		"whether it is ready":           {"GET", "/readyz", "", 401},
		"what does not exist":           {"GET", "/api/v1/none", "", 401},
		"a path that ends like healthz": {"GET", "/x/healthz", "", 401},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCell().server(t, func(o *Options) { o.Listen, o.Token = "0.0.0.0:8686", token })
			r := httptest.NewRequest(tt.method, "http://localhost:8686"+tt.target, http.NoBody)
			if tt.authorization != "" {
				r.Header.Set("Authorization", tt.authorization)
			}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
		})
	}
}

func TestPromise6TokenOnLoopback(t *testing.T) {
	t.Parallel()
	open := newCell().server(t, func(o *Options) { o.Token = token })
	if w := ask(t, open.Handler(), http.MethodGet, "/api/v1/stats", ""); w.Code != http.StatusOK {
		t.Errorf("loopback asks for a token that nobody demanded: %d", w.Code)
	}
	shut := newCell().server(t, func(o *Options) { o.Token, o.RequireToken = token, true })
	if w := ask(t, shut.Handler(), http.MethodGet, "/api/v1/stats", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("RequireToken has no effect: %d", w.Code)
	}
	none := newCell().server(t, nil)
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8686/api/v1/sources/jetdrive/stop", http.NoBody)
	r.Header.Set("Authorization", "Bearer ") // without a token the empty one opens nothing
	r.Header.Set("Origin", "http://evil.example")
	w := httptest.NewRecorder()
	none.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
}

func TestPromise6BrowserGetsACookieForTheToken(t *testing.T) {
	t.Parallel()
	s := newCell().server(t, func(o *Options) { o.Listen, o.Token = "0.0.0.0:8686", token })
	first := ask(t, s.Handler(), http.MethodGet, "/?token="+token+"&x=1", "")
	if first.Code != http.StatusSeeOther || first.Header().Get("Location") != "/?x=1" {
		t.Fatalf("status %d to %q: the token must leave the address bar", first.Code, first.Header().Get("Location"))
	}
	cookies := first.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || strings.Contains(cookies[0].Value, token) {
		t.Fatalf("cookies %v", cookies)
	}
	visit := func(method, target string, header map[string]string, value string) int {
		r := httptest.NewRequest(method, "http://127.0.0.1:8686"+target, http.NoBody)
		r.AddCookie(&http.Cookie{Name: cookies[0].Name, Value: value})
		for k, v := range header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Code
	}
	const stop = "/api/v1/sources/jetdrive/stop"
	right := cookies[0].Value
	if got := visit("GET", "/", nil, right); got != http.StatusOK {
		t.Errorf("with the cookie: %d", got)
	}
	if got := visit("GET", "/", nil, "forged"); got != http.StatusUnauthorized {
		t.Errorf("with a forged cookie: %d", got)
	}
	if got := visit("POST", stop, map[string]string{"Sec-Fetch-Site": "same-origin"}, right); got != http.StatusOK {
		t.Errorf("a change from the page: %d", got)
	}
	if got := visit("POST", stop, map[string]string{"Sec-Fetch-Site": "cross-site"}, right); got != http.StatusForbidden {
		t.Errorf("a change from another site with the cookie: %d", got)
	}
}

func TestPromise6ChangesNeedTheSameOriginOrTheToken(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header map[string]string
		ok     bool
	}{
		"a program":               {nil, true},
		"the page itself":         {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8686"}, true},
		"typed by the user":       {map[string]string{"Sec-Fetch-Site": "none"}, true},
		"an older browser":        {map[string]string{"Origin": "http://127.0.0.1:8686"}, true},
		"another site":            {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, false},
		"another port":            {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, false},
		"older, another site":     {map[string]string{"Origin": "https://evil.example"}, false},
		"older, another port":     {map[string]string{"Origin": "http://127.0.0.1:3000"}, false},
		"a sandboxed frame":       {map[string]string{"Origin": "null"}, false},
		"another site with token": {map[string]string{"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer " + token}, true},
		"with a wrong token":      {map[string]string{"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer wrong"}, false},
	}
	for name, tt := range tests {
		for _, change := range []struct{ method, target string }{
			{"POST", "/api/v1/sources/jetdrive/stop"}, {"POST", "/api/v1/recordings/start"}, {"DELETE", "/api/v1/dead-letters"},
			{"DELETE", "/api/v1/runs/0190-abc"},
		} {
			t.Run(name+" "+change.method+change.target, func(t *testing.T) {
				t.Parallel()
				c := newCell()
				s := c.server(t, func(o *Options) { o.Token = token })
				r := httptest.NewRequest(change.method, "http://127.0.0.1:8686"+change.target, http.NoBody)
				for k, v := range tt.header {
					r.Header.Set(k, v)
				}
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, r)
				if ok := w.Code < 300; ok != tt.ok || !ok && w.Code != http.StatusForbidden {
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
				if !tt.ok && (c.called() != "" || c.recording != nil) {
					t.Errorf("it was done all the same: %s", c.called())
				}
			})
		}
	}
}

func TestPromise6BodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := newCell().server(t, nil)
	huge := `{"name":"` + strings.Repeat("x", maxBody) + `"}`
	if w := ask(t, s.Handler(), http.MethodPatch, "/api/v1/runs/0190-abc", huge); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %.200s", w.Code, w.Body)
	}
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	t.Parallel()
	s := newCell().server(t, nil)
	for _, target := range []string{"/", "/static/status.js", "/api/v1/stats", "/nothing", "/openapi.json"} {
		h := ask(t, s.Handler(), http.MethodGet, target, "").Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if !strings.Contains(h.Get(name), want) {
				t.Errorf("%s: %s is %q", target, name, h.Get(name))
			}
		}
	}
}
