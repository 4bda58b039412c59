package server

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/store"
)

// Number is a float64 that JSON can hold: what is not finite becomes null.
type Number float64

// MarshalJSON gives the number or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 64), nil
}

// UnmarshalJSON reads a number; null is NaN.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

// Schema tells the API description that a Number is a number or null.
func (Number) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Nullable: true}
}

// microseconds is a parameter that may be left out.
type microseconds struct {
	Value int64
	given bool
}

// Schema describes the parameter.
func (microseconds) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[int64]())
}

// Receiver is where the parser puts the value.
func (m *microseconds) Receiver() reflect.Value { return reflect.ValueOf(m).Elem().Field(0) }

// OnParamSet hears whether there was one.
func (m *microseconds) OnParamSet(given bool, _ any) { m.given = given }

func (m *microseconds) orNil() *int64 {
	if !m.given {
		return nil
	}
	return &m.Value
}

// streamTime is how long one write of a long answer may take.
const streamTime = 30 * time.Second

var exportNames = map[string]string{
	"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet", "jsonl": "application/jsonl",
	"mlg": "application/octet-stream",
}

func (s *Server) registerSamples() {
	const tag = "runs"
	huma.Register(s.api, get("/api/v1/runs/{id}/samples", "get-samples",
		"Samples of a run by channel and time, thinned for plots", tag, http.StatusNotFound), s.samples)
	export := get("/api/v1/runs/{id}/export", "export-run", "The whole run as a file", tag, http.StatusNotFound)
	export.Responses = map[string]*huma.Response{"200": {Description: "The file.", Content: map[string]*huma.MediaType{}}}
	for _, kind := range exportNames {
		export.Responses["200"].Content[kind] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	huma.Register(s.api, export, s.export)
	s.registerMerge()
}

func (s *Server) samples(ctx context.Context, in *struct {
	RunPath
	Channels []string     `query:"channel,explode" maxItems:"500" doc:"Name, label, address or key; may be repeated. None: all."`
	From     microseconds `query:"from_us" doc:"No earlier than this."`
	To       microseconds `query:"to_us" doc:"No later than this."`
	Points   int          `query:"points" default:"2000" minimum:"2" maximum:"100000" doc:"At most so many points a channel; thinned points carry the extremes of what they stand for."`
}) (*body[SampleSet], error) {
	q := SampleQuery{Channels: in.Channels, FromUS: in.From.orNil(), ToUS: in.To.orNil(), Points: in.Points}
	set, err := s.opts.Samples.Samples(ctx, in.ID, q)
	if set.Series == nil {
		set.Series = []Series{}
	}
	return answer(set), s.problem(err)
}

type exportInput struct {
	RunPath
	Format string  `query:"format" default:"csv" enum:"csv,parquet,jsonl,mlg"`
	Wide   bool    `query:"wide" doc:"One column a channel instead of one row a sample."`
	Rate   float64 `query:"rate" minimum:"0" maximum:"10000" doc:"Rows a second of a wide export; 0: a row for each time there is."`
}

func (s *Server) export(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	run, err := s.opts.Runs.Run(ctx, in.ID)
	if err != nil {
		return nil, s.problem(err)
	}
	format := ExportFormat{Format: in.Format, Wide: in.Wide, RateHz: in.Rate}
	return s.file(fileFor{run: in.ID, kind: exportNames[in.Format], name: fileName(&run, in.Format)}, func(w io.Writer) error {
		return s.opts.Samples.Export(ctx, in.ID, format, w)
	}), nil
}

// fileName is what a browser saves an export as.
func fileName(r *store.Run, format string) string {
	name := []rune(r.Kind)
	if r.StartedUS != nil {
		name = []rune(timeOf(r.StartedUS).Format("2006-01-02T150405Z-") + r.Kind)
	}
	if r.Name != "" {
		name = append(append(name, '-'), []rune(r.Name)...)
	}
	for i, c := range name {
		if c < ' ' || c > '~' || c == '/' || c == '\\' || c == '"' || c == ':' || c == '*' || c == '?' || c == '<' || c == '>' || c == '|' || c == '%' {
			name[i] = '_'
		}
	}
	return string(name[:min(len(name), 100)]) + "." + format
}

// fileWriter sends a file: its head with the first byte, and a new deadline
// with each write.
type fileWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	header  func()
	begun   bool
}

func (f *fileWriter) begin() {
	f.header()
	f.w.WriteHeader(http.StatusOK)
	f.begun = true
}

// Write sends bytes; it blocks while the client does not take them.
func (f *fileWriter) Write(b []byte) (int, error) {
	if !f.begun {
		f.begin()
	}
	// An error means a writer without deadlines, which only tests have.
	_ = f.control.SetWriteDeadline(time.Now().Add(streamTime))
	return f.w.Write(b)
}
