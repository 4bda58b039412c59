package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// missing answers what no route takes: 405 with the methods that there are at
// that path, or 404.
func missing(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		allowed := methodsAt(mux, r)
		if len(allowed) == 0 {
			refuse(w, http.StatusNotFound, fmt.Sprintf("there is no %s %s: /openapi.json lists what there is", r.Method, r.URL.Path))
			return
		}
		list := strings.Join(allowed, ", ")
		w.Header().Set("Allow", list)
		refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s, not %s", r.URL.Path, list, r.Method))
	}
}

func methodsAt(mux *http.ServeMux, r *http.Request) []string {
	probe := r.Clone(r.Context())
	return slices.DeleteFunc([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	}, func(method string) bool {
		probe.Method = method
		_, pattern := mux.Handler(probe)
		return pattern == "/"
	})
}
