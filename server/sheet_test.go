package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"dynotap/run"
	"dynotap/store"
)

// Sheet writes down what was asked for.
func (c *cell) Sheet(_ context.Context, runs []string, o SheetOptions, w io.Writer) error {
	switch {
	case slices.Contains(runs, "none"):
		return store.ErrNoRun
	case slices.Contains(runs, "empty"):
		return fmt.Errorf("run empty %w: it has no samples", run.ErrNoCurves)
	}
	_, err := fmt.Fprintf(w, "%v %+v", runs, o)
	return err
}

func TestASheetIsDrawnAsAskedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target string
		status int
		kind   string
		want   string
	}{
		{"a/plot.svg", 200, "image/svg+xml", "[a] {Format:svg Correction: Smoothing:0 OverTime:false Units: Title: Portrait:false}"},
		{"a/plot.png?with=b&with=c&smoothing=5&correction=std&over=time&units=metric&title=x&portrait=true", 200, "image/png",
			"[a b c] {Format:png Correction:std Smoothing:5 OverTime:true Units:metric Title:x Portrait:true}"},
		{"none/plot.svg", 404, "application/problem+json", "no run has this id"},
		{"a/plot.svg?with=none", 404, "application/problem+json", "no run has this id"},
		{"empty/plot.svg", 409, "application/problem+json", "run empty cannot be drawn: it has no samples"},
		{"a/plot.svg?smoothing=6", 422, "application/problem+json", "smoothing"},
		{"a/plot.svg?correction=din", 422, "application/problem+json", "sae"},
		{"a/plot.svg?with=b&with=c&with=d&with=e&with=f&with=g", 422, "application/problem+json", "with"},
		{"a/plot.pdf", 404, "application/problem+json", "/openapi.json"},
	} {
		t.Run(c.target, func(t *testing.T) {
			t.Parallel()
			s := newCell().server(t, nil)
			answer := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodGet, "/api/v1/runs/"+c.target, nil)
			request.Host = "127.0.0.1"
			s.Handler().ServeHTTP(answer, request)
			if answer.Code != c.status || answer.Header().Get("Content-Type") != c.kind || !strings.Contains(answer.Body.String(), c.want) {
				t.Errorf("%d %s %s", answer.Code, answer.Header().Get("Content-Type"), answer.Body)
			}
		})
	}
}
