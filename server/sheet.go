package server

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Sheets draws runs. It gives store.ErrNoRun, run.ErrNoCurves for a run that
// cannot be drawn as wished, and ErrBadRequest.
type Sheets interface {
	Sheet(ctx context.Context, runs []string, o SheetOptions, w io.Writer) error
}

// SheetOptions say how runs are drawn.
type SheetOptions struct {
	Format     string // svg or png
	Correction string // sae, std or none; empty: sae where it can be
	Smoothing  int    // 0 to 5
	OverTime   bool
	Units      string // us or metric; empty: those of the configuration
	Title      string // empty: the run's name
	Portrait   bool   // on a small upright page
}

var sheetNames = map[string]string{"svg": "image/svg+xml", "png": "image/png"}

type sheetInput struct {
	RunPath
	With       []string `query:"with,explode" maxItems:"5" doc:"Ids of further runs to lay over this one; may be repeated."`
	Over       string   `query:"over" default:"rpm" enum:"rpm,time" doc:"The horizontal axis: engine speed, of a session that of its strongest pull; or the time since the start."`
	Correction string   `query:"correction" enum:"sae,std,none" doc:"The standard that power and torque are brought to; none asks for uncorrected ones. Without it: as recorded where they carry one, else SAE where weather allows it."`
	Smoothing  int      `query:"smoothing" default:"0" minimum:"0" maximum:"5" doc:"0 (none) to 5; stored values stay as they are."`
	Units      string   `query:"units" enum:"us,metric" doc:"Without it those of the configuration."`
	Title      string   `query:"title" maxLength:"200"`
	Portrait   bool     `query:"portrait" doc:"On a small upright page, for a phone."`
}

// sheetBody is a picture.
type sheetBody struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) registerSheets() {
	for format, kind := range sheetNames {
		op := get("/api/v1/runs/{id}/plot."+format, "plot-run-"+format, "The dyno sheet of a run, or of several laid over each other", "runs",
			http.StatusNotFound, http.StatusConflict)
		op.Responses = map[string]*huma.Response{"200": {Description: "The picture.", Content: map[string]*huma.MediaType{
			kind: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}}}
		huma.Register(s.api, op, func(ctx context.Context, in *sheetInput) (*sheetBody, error) {
			var out bytes.Buffer
			err := s.opts.Sheets.Sheet(ctx, append([]string{in.ID}, in.With...), SheetOptions{
				Format: format, Correction: in.Correction, Smoothing: in.Smoothing, OverTime: in.Over == "time", Units: in.Units, Title: in.Title,
				Portrait: in.Portrait,
			}, &out)
			return &sheetBody{ContentType: kind, Body: out.Bytes()}, s.problem(err)
		})
	}
}
