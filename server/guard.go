package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// answerTime bounds an ordinary answer, from the end of the request's head;
// streams move their own deadline on.
const answerTime = 30 * time.Second

// contentPolicy lets a page load what this server has, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard stands before every handler. It answers only to the server's own names
// (a page of a stranger's site cannot reach it by pointing its name at
// 127.0.0.1), asks for the token where there is one to ask for, and lets
// nothing be changed from pages of another origin.
type guard struct {
	next    http.Handler
	hosts   []string // besides loopback names and the address a request came to
	token   [sha256.Size]byte
	isToken bool // there is one
	require bool // it is asked for
	shell   bool // there is a dashboard, which asks for the token itself
	// session is what a browser's cookie holds once it has shown the token.
	session string
	cookie  string
	origins *http.CrossOriginProtection
}

func newGuard(next http.Handler, o *Options, require bool) *guard {
	g := &guard{
		next: next, token: sha256.Sum256([]byte(o.Token)), isToken: o.Token != "", require: require,
		shell:   !o.NoPages && o.Dashboard.Files != nil,
		session: rand.Text(), cookie: "dynotap", origins: http.NewCrossOriginProtection(),
	}
	for _, name := range o.Hosts {
		g.hosts = append(g.hosts, canonicalHost(name))
	}
	if host, port, err := net.SplitHostPort(o.Listen); err == nil {
		if host != "" {
			g.hosts = append(g.hosts, canonicalHost(host))
		}
		g.cookie += "-" + port // cookies do not know ports
	}
	return g
}

// ServeHTTP lets a request pass or says why not.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	// An error means a writer without deadlines, which only tests have.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))

	if !g.knows(r) {
		refuse(w, http.StatusMisdirectedRequest, fmt.Sprintf("this server does not answer to the name %q: "+
			"use its address, or add the name to server.hosts in the configuration (this protects it from pages that point their own name at it)", r.Host))
		return
	}
	bearer := g.bearer(r)
	if bearer && r.URL.Path == sessionPath && r.Method == http.MethodPost {
		g.admit(w, r)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if g.require && !bearer && r.URL.Path != "/healthz" && !g.public(r) {
		if done := g.browser(w, r); done {
			return
		}
	}
	if !bearer {
		if err := g.origins.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "a page of another origin may not change anything here: send the token as \"Authorization: Bearer ...\"")
			return
		}
	}
	g.next.ServeHTTP(w, r)
}

// knows reports whether the request was addressed to a name of this server.
func (g *guard) knows(r *http.Request) bool {
	host := canonicalHost(hostOf(r.Host))
	if host == "localhost" || slices.Contains(g.hosts, host) && !isWildcard(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if addr.IsLoopback() {
		return true
	}
	// A server that listens on all addresses is known by the one that the
	// request came to.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && canonicalHost(hostOf(local.String())) == addr.String()
}

// bearer reports whether the request carries the token in a way that no page
// of another site can make a browser do.
func (g *guard) bearer(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "bearer") && g.matches(strings.TrimSpace(token))
}

func (g *guard) matches(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return g.isToken && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// browser admits by cookie, or by ?token= on the first visit, which is
// exchanged for the cookie. It reports whether the request has been answered.
func (g *guard) browser(w http.ResponseWriter, r *http.Request) bool {
	if c, err := r.Cookie(g.cookie); err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(g.session)) == 1 {
		return false
	}
	query := r.URL.Query()
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !safe || !g.matches(query.Get("token")) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="dynotap"`)
		refuse(w, http.StatusUnauthorized, "a token is needed: send \"Authorization: Bearer ...\", or open the page once with ?token=... "+
			"(it is server.token of the configuration)")
		return true
	}
	g.admit(w, r)
	query.Del("token")
	clean := url.URL{Path: r.URL.Path, RawQuery: query.Encode()}
	if r.URL.Path == "/" {
		http.Redirect(w, r, clean.String(), http.StatusSeeOther)
		return true
	}
	r.URL.RawQuery = clean.RawQuery
	return false
}

// admit gives the browser the cookie.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure only over TLS: a dyno cell's network speaks plain HTTP
		Name: g.cookie, Value: g.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

// refuse answers with a problem (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

// hostOf takes the port off, if there is one.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// canonicalHost makes names and addresses comparable.
func canonicalHost(host string) string {
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(host), "["), "]"), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return host
}

func isWildcard(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsUnspecified()
}

// isLoopback reports whether a host can be reached from this machine only.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(canonicalHost(host))
	return err == nil && addr.IsLoopback() || canonicalHost(host) == "localhost"
}
