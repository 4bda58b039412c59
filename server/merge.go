package server

import (
	"context"
	"io"
	"mime"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// MergeQuery says how the readings of another run come to a run's points
// (CONFORMANCE A6).
type MergeQuery struct {
	With     string   // the other run
	Channels []string // of the other, by the names of its table; none: all
	// By and Other name the channels that the clocks are compared by; empty: rpm,
	// or whatever both runs have.
	By, Other string
	// OffsetUS is how far the other's clock is ahead; nil: it is found out.
	OffsetUS *int64
	// ToleranceUS is how far from a point a reading may lie.
	ToleranceUS int64
}

// MergeReport says what a merge has done.
type MergeReport struct {
	Clock  ClockReport    `json:"clock"`
	Points int            `json:"points" doc:"Times of the run's own samples of engine speed, or of its most frequent channel."`
	Merged []MergedSensor `json:"merged"`
}

// ClockReport is the offset between the clocks of two runs.
type ClockReport struct {
	How         string  `json:"how" enum:"same,given,found,assumed" doc:"The runs have the same clock; the offset was given; found by correlation; taken to be none, because both have the time of day and no channel in common."`
	OffsetUS    int64   `json:"offset_us" doc:"How far the other's clock is ahead."`
	By          string  `json:"by,omitempty"`
	Correlation float64 `json:"correlation,omitempty"`
	Confidence  float64 `json:"confidence,omitempty" doc:"0 to 1; below 0.3 an offset is not used."`
}

// MergedSensor is one channel of the other run.
type MergedSensor struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Used   int    `json:"used" doc:"Readings that belong to a point."`
	Unused int    `json:"unused"`
}

// Merge is a merge that can be written.
type Merge struct {
	Report MergeReport
	// Write writes the run's points with all channels as csv or mlg.
	Write func(ctx context.Context, format string, w io.Writer) error
}

func (s *Server) registerMerge() {
	merge := get("/api/v1/runs/{id}/merge", "merge-runs", "Bring the readings of another run to the points of this one", "runs", http.StatusNotFound)
	huma.Register(s.api, merge, func(ctx context.Context, in *MergeInput) (*body[MergeReport], error) {
		m, err := s.opts.Samples.Merge(ctx, in.ID, in.query())
		return answer(m.Report), s.problem(err)
	})
	table := get("/api/v1/runs/{id}/merge/table", "merge-runs-table", "The points with the channels of both runs, as a file", "runs", http.StatusNotFound)
	table.Responses = map[string]*huma.Response{"200": {Description: "The file.", Content: map[string]*huma.MediaType{}}}
	huma.Register(s.api, table, s.mergeTable)
}

// MergeInput is the parameters of a merge. It is exported only because the API is
// described from it.
type MergeInput struct {
	RunPath
	With      string       `query:"with" required:"true" doc:"The id of the other run."`
	Channels  []string     `query:"channel,explode" maxItems:"500" doc:"Channels of the other run; may be repeated. None: all."`
	By        string       `query:"by" doc:"The channel of this run that the clocks are compared by; empty: engine speed."`
	Other     string       `query:"other" doc:"The channel of the other run to compare it with; empty: the same."`
	Offset    microseconds `query:"offset_us" doc:"How far the other's clock is ahead; left out: found by correlation."`
	Tolerance int64        `query:"tolerance_us" default:"100000" minimum:"0" maximum:"60000000" doc:"How far from a point a reading may lie."`
}

func (in *MergeInput) query() MergeQuery {
	return MergeQuery{
		With: in.With, Channels: in.Channels, By: in.By, Other: in.Other, OffsetUS: in.Offset.orNil(), ToleranceUS: in.Tolerance,
	}
}

func (s *Server) mergeTable(ctx context.Context, in *struct {
	MergeInput
	Format string `query:"format" default:"csv" enum:"csv,mlg"`
}) (*huma.StreamResponse, error) {
	run, err := s.opts.Runs.Run(ctx, in.ID)
	if err != nil {
		return nil, s.problem(err)
	}
	m, err := s.opts.Samples.Merge(ctx, in.ID, in.query())
	if err != nil {
		return nil, s.problem(err)
	}
	return s.file(fileFor{run: in.ID, kind: exportNames[in.Format], name: fileName(&run, in.Format)}, func(w io.Writer) error {
		return m.Write(ctx, in.Format, w)
	}), nil
}

// fileFor is a file that is sent.
type fileFor struct{ run, kind, name string }

// file sends what write writes. An error before the first byte is answered as
// one; a later one breaks the connection off.
func (s *Server) file(f fileFor, write func(w io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		out := &fileWriter{w: w, control: http.NewResponseController(w), header: func() {
			w.Header().Set("Content-Type", f.kind)
			w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.name}))
		}}
		err := write(out)
		switch {
		case err == nil && !out.begun:
			out.begin()
		case err != nil && !out.begun:
			s.fail(hc, err)
		case err != nil:
			s.opts.Logger.Error("an export was broken off", "run", f.run, "error", err)
			panic(http.ErrAbortHandler) // so that the client sees that the file is not whole
		}
	}}
}
