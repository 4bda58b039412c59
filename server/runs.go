package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/sample"
	"dynotap/store"
)

// runBody is a run in JSON.
type runBody struct {
	ID        string     `json:"id"`
	Capture   string     `json:"capture" doc:"The capture that owns the samples."`
	Kind      string     `json:"kind" doc:"session, recording, pull or import"`
	Source    string     `json:"source"`
	Name      string     `json:"name"`
	Notes     string     `json:"notes"`
	Tags      []string   `json:"tags"`
	StartedAt *time.Time `json:"started_at" doc:"Null where the file it came from has no date."`
	EndedAt   *time.Time `json:"ended_at" doc:"Null while it runs."`
	CreatedAt time.Time  `json:"created_at"`
	Summary   any        `json:"summary" doc:"Peaks, duration, counts and channels; null until computed."`
}

type runsBody struct {
	Runs  []runBody `json:"runs"`
	Total int       `json:"total" doc:"How many match in all."`
}

// RunPath names a run in a path of the API. The id is opaque and never used as
// a path of a file. It is exported only because the API is described from it.
type RunPath struct {
	ID string `path:"id" maxLength:"128" pattern:"^[0-9A-Za-z:_-]+$" doc:"The run's id."`
}

type runEdit struct {
	Name  *string   `json:"name,omitempty" maxLength:"200"`
	Notes *string   `json:"notes,omitempty" maxLength:"20000"`
	Tags  *[]string `json:"tags,omitempty" maxItems:"50"`
}

func (s *Server) registerRuns() {
	const tag = "runs"
	huma.Register(s.api, get("/api/v1/runs", "list-runs", "Runs, the newest first", tag), s.listRuns)
	huma.Register(s.api, get("/api/v1/runs/{id}", "get-run", "One run with its summary", tag, http.StatusNotFound),
		func(ctx context.Context, in *RunPath) (*body[runBody], error) {
			r, err := s.opts.Runs.Run(ctx, in.ID)
			return answer(runOf(&r)), s.problem(err)
		})
	edit := operation(http.MethodPatch, "/api/v1/runs/{id}", "edit-run", "Change name, notes or tags", tag, []int{http.StatusNotFound})
	huma.Register(s.api, edit, func(ctx context.Context, in *struct {
		RunPath
		Body runEdit
	}) (*body[runBody], error) {
		r, err := s.opts.Runs.EditRun(ctx, in.ID, store.Edit{Name: in.Body.Name, Notes: in.Body.Notes, Tags: in.Body.Tags})
		return answer(runOf(&r)), s.problem(err)
	})
	huma.Register(s.api, remove("/api/v1/runs/{id}", "delete-run", "Delete a run; its samples go with the last run that shows them", tag,
		http.StatusNotFound, http.StatusConflict),
		func(ctx context.Context, in *struct {
			RunPath
			All bool `query:"all" doc:"With every other run of its session or file, and so with its samples."`
		}) (*struct{}, error) {
			return nil, s.problem(s.opts.Runs.DeleteRun(ctx, in.ID, in.All))
		})
}

func (s *Server) listRuns(ctx context.Context, in *struct {
	Text    string `query:"text" maxLength:"200" doc:"Occurs in the id, name, notes, source or a tag; case is ignored."`
	Kind    string `query:"kind" enum:"session,recording,pull,import"`
	Capture string `query:"capture" maxLength:"128"`
	Limit   int    `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	Offset  int    `query:"offset" default:"0" minimum:"0"`
	// Channels of a hundred are ten kilobytes a run.
	Channels bool `query:"channels" doc:"With the channels of each summary; a single run always has them."`
}) (*body[runsBody], error) {
	list, total, err := s.opts.Runs.Runs(ctx, store.RunFilter{
		Text: in.Text, Kind: in.Kind, Capture: in.Capture, Limit: in.Limit, Offset: in.Offset,
	})
	if err != nil {
		return nil, s.problem(err)
	}
	out := runsBody{Runs: make([]runBody, 0, len(list)), Total: total}
	for i := range list {
		r := list[i]
		if !in.Channels {
			r.Summary = withoutChannels(r.Summary)
		}
		out.Runs = append(out.Runs, runOf(&r))
	}
	return answer(out), nil
}

// withoutChannels is a summary without its list of channels; one that is none
// stays as it is.
func withoutChannels(summary json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(summary, &fields) != nil || fields["channels"] == nil {
		return summary
	}
	delete(fields, "channels")
	if slim, err := json.Marshal(fields); err == nil {
		return slim
	}
	return summary
}

func runOf(r *store.Run) runBody {
	out := runBody{
		ID: r.ID, Capture: r.Capture, Kind: r.Kind, Source: r.Source, Name: r.Name, Notes: r.Notes, Tags: r.Tags,
		StartedAt: timeOf(r.StartedUS), EndedAt: timeOf(r.EndedUS), CreatedAt: sample.Time(r.CreatedUS),
	}
	if r.Relative {
		out.StartedAt, out.EndedAt = nil, nil
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	if len(r.Summary) > 0 {
		out.Summary = r.Summary
	}
	return out
}

func timeOf(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := sample.Time(*us)
	return &t
}
