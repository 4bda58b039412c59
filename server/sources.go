package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

type sourcesBody struct {
	Sources []SourceStatus `json:"sources"`
}

type sourceName struct {
	Name string `path:"name" maxLength:"100" doc:"The source's name, as GET /api/v1/sources lists it."`
}

func (s *Server) registerSources() {
	const tag = "sources"
	huma.Register(s.api, get("/api/v1/sources", "list-sources", "All sources with state, health and figures", tag),
		func(context.Context, *struct{}) (*body[sourcesBody], error) {
			list := s.opts.Sources.Sources()
			if list == nil {
				list = []SourceStatus{}
			}
			return answer(sourcesBody{list}), nil
		})
	huma.Register(s.api, get("/api/v1/sources/{name}", "get-source", "One source", tag, http.StatusNotFound),
		func(_ context.Context, in *sourceName) (*body[SourceStatus], error) { return s.source(in.Name) })
	for _, act := range []struct {
		verb, summary string
		do            func(context.Context, string) error
	}{
		{"start", "Connect a source and read it", s.opts.Sources.StartSource},
		{"stop", "Disconnect a source", s.opts.Sources.StopSource},
		{"reset", "Close a source's circuit breaker and try again at once", s.opts.Sources.ResetSource},
	} {
		huma.Register(s.api, post("/api/v1/sources/{name}/"+act.verb, act.verb+"-source", act.summary, tag, http.StatusNotFound, http.StatusConflict),
			func(ctx context.Context, in *sourceName) (*body[SourceStatus], error) {
				if err := act.do(ctx, in.Name); err != nil {
					return nil, s.problem(err)
				}
				return s.source(in.Name)
			})
	}
}

func (s *Server) source(name string) (*body[SourceStatus], error) {
	for _, src := range s.opts.Sources.Sources() {
		if src.Name == name {
			return answer(src), nil
		}
	}
	return nil, s.problem(ErrNoSource)
}
