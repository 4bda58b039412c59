package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

type recordingsBody struct {
	Recording *Recording `json:"recording" doc:"The one that runs, or null."`
}

func (s *Server) registerRecordings() {
	const tag = "recordings"
	r := s.opts.Recordings
	huma.Register(s.api, get("/api/v1/recordings", "get-recording", "The recording that runs", tag),
		func(context.Context, *struct{}) (*body[recordingsBody], error) {
			return answer(recordingsBody{r.Recording()}), nil
		})
	huma.Register(s.api, post("/api/v1/recordings/start", "start-recording", "Begin a recording: a run of its own within the session", tag, http.StatusConflict),
		func(ctx context.Context, in *struct {
			Body *struct {
				Name string `json:"name,omitempty" maxLength:"200"`
			}
		}) (*body[Recording], error) {
			name := ""
			if in.Body != nil {
				name = in.Body.Name
			}
			rec, err := r.StartRecording(ctx, name)
			return answer(rec), s.problem(err)
		})
	huma.Register(s.api, post("/api/v1/recordings/stop", "stop-recording", "End the recording", tag, http.StatusConflict),
		func(ctx context.Context, _ *struct{}) (*body[Recording], error) {
			rec, err := r.StopRecording(ctx)
			return answer(rec), s.problem(err)
		})
}
