package server

import (
	"net/http"
	"path"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/web"
)

// assets is where the dashboard's files lie; their names carry a hash of their
// content.
const assets = "/assets/"

// registerDashboard adds the dashboard to mux.
func registerDashboard(mux *http.ServeMux, d web.Dashboard) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, d.Files, d.Index)
	})
	mux.HandleFunc("GET "+assets+"{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=31536000, immutable")
		http.ServeFileFS(w, r, d.Files, path.Join("assets", r.PathValue("name"))) //nolint:gosec // a name without slash, and an FS refuses ".."
	})
}

// sessionPath is where a page shows the token once and gets the cookie that
// the stream and pictures, which carry no header, are admitted by.
const sessionPath = "/api/v1/session"

// public reports whether a request asks for the dashboard itself, which says
// nothing of the cell and has to be there to ask for the token.
func (g *guard) public(r *http.Request) bool {
	if !g.shell || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	inAssets := path.Dir(r.URL.Path)+"/" == assets
	return inAssets || r.URL.Path == "/" && !r.URL.Query().Has("token")
}

// describeSession puts the session, which the guard answers before any handler,
// into the API's description.
func (s *Server) describeSession() {
	o := post(sessionPath, "make-session", "Trade the token (Authorization: Bearer ...) for a cookie, which streams and pictures of a page need", "session")
	o.Security = []map[string][]string{{"bearer": {}}}
	o.Responses = map[string]*huma.Response{
		"204": {Description: "The cookie was set."}, "401": {Description: "It is not the token."},
	}
	openapi := s.api.OpenAPI()
	if openapi.Components.SecuritySchemes == nil {
		openapi.Components.SecuritySchemes = map[string]*huma.SecurityScheme{}
	}
	openapi.Components.SecuritySchemes["bearer"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer"}
	openapi.AddOperation(&o)
}
