package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/source"
)

// alive is the body of /healthz.
type alive struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// readyBody is the body of /readyz.
type readyBody struct {
	Ready bool `json:"ready"`
	Readiness
}

// healthBody is the body of /api/v1/health.
type healthBody struct {
	Healthy bool                     `json:"healthy" doc:"Whether every enabled source is whose device has ever been there."`
	Sources map[string]source.Health `json:"sources"`
}

func (s *Server) registerHealth() {
	huma.Register(s.api, get("/healthz", "healthz", "Whether the program is alive", "state"),
		func(context.Context, *struct{}) (*body[alive], error) {
			return answer(alive{Status: "ok", Version: s.opts.Version}), nil
		})
	ready := get("/readyz", "readyz", "Whether samples are accepted, and why not", "state")
	ready.Responses = map[string]*huma.Response{"503": {Description: "Not accepting; the body is the same."}}
	huma.Register(s.api, ready, func(ctx context.Context, _ *struct{}) (*readyAnswer, error) {
		r := s.readiness(ctx)
		out := &readyAnswer{Status: http.StatusOK, Body: r}
		if !r.Ready {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
	huma.Register(s.api, get("/api/v1/health", "health", "The health of each source and of its channels", "state"),
		func(context.Context, *struct{}) (*body[healthBody], error) { return answer(s.health()), nil })
	huma.Register(s.api, get("/api/v1/stats", "stats", "Where every sample is, per source and in total", "state"),
		func(context.Context, *struct{}) (*body[any], error) { return answer(s.opts.Stats()), nil })
	huma.Register(s.api, get("/api/v1/config", "config", "The configuration in effect", "state"),
		func(context.Context, *struct{}) (*body[any], error) { return answer(s.opts.Config()), nil })
}

type readyAnswer struct {
	Status int
	Body   readyBody
}

func (s *Server) readiness(ctx context.Context) readyBody {
	r := s.opts.Readiness(ctx)
	if r.Reasons == nil {
		r.Reasons = []string{}
	}
	if r.Notes == nil {
		r.Notes = []string{}
	}
	return readyBody{Ready: len(r.Reasons) == 0, Readiness: r}
}

func (s *Server) health() healthBody {
	out := healthBody{Healthy: true, Sources: map[string]source.Health{}}
	for _, src := range s.opts.Sources.Sources() {
		out.Sources[src.Name] = src.Health
		out.Healthy = out.Healthy && (src.Health.Healthy || !src.Enabled || src.Absent)
	}
	return out
}
