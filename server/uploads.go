package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/pipeline/imports"
)

// Imports makes runs of files; *imports.Importer is one.
type Imports interface {
	Import(ctx context.Context, name string, in io.Reader, how imports.How) (imports.Report, error)
}

const (
	// uploadPause is how long an upload may stand still.
	uploadPause = 30 * time.Second
	// tellEvery is how often a client that asked for it hears how far an import
	// is.
	tellEvery = 100 * time.Millisecond
	lines     = "application/x-ndjson"
)

// ImportLine is one line of an answer in JSON lines: progress, and at last the
// report or what went wrong.
type ImportLine struct {
	Done   int64           `json:"done,omitempty"`
	Size   int64           `json:"size,omitempty"`
	Report *imports.Report `json:"report,omitempty"`
	Error  string          `json:"error,omitempty"`
	// Refused says that the file is to blame for Error.
	Refused bool `json:"refused,omitempty"`
}

// registerUploads takes files. The body is the file itself and may be of any
// size, so it is handled beside huma, which would read it into memory.
func (s *Server) registerUploads(mux *http.ServeMux) {
	op := post("/api/v1/runs", "import-file", "Import a file: the body is its content", "runs", http.StatusUnprocessableEntity, http.StatusInsufficientStorage)
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = []*huma.Param{
		{Name: "name", In: "query", Required: true, Schema: text, Description: "The file's name; its ending helps where the content does not tell the format."},
		{Name: "force", In: "query", Schema: &huma.Schema{Type: huma.TypeBoolean}, Description: "Read the file again although it was imported already."},
	}
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: binary}}}
	report := s.api.OpenAPI().Components.Schemas
	op.Responses = map[string]*huma.Response{"200": {
		Description: "What became of the file. With Accept: " + lines + ", lines of progress before it.",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: huma.SchemaFromType(report, reflect.TypeFor[imports.Report]())},
			lines:              {Schema: huma.SchemaFromType(report, reflect.TypeFor[ImportLine]())},
		},
	}}
	s.api.OpenAPI().AddOperation(&op)
	mux.HandleFunc("POST /api/v1/runs", s.upload)
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	name := path.Base(strings.ReplaceAll(query.Get("name"), `\`, "/"))
	if query.Get("name") == "" || name == "." || name == "/" {
		refuse(w, http.StatusUnprocessableEntity, "the file's name is missing: POST /api/v1/runs?name=run.csv with the content as the body")
		return
	}
	force, err := strconv.ParseBool(query.Get("force"))
	if err != nil && query.Get("force") != "" {
		refuse(w, http.StatusUnprocessableEntity, fmt.Sprintf("force is %q: give true or false", query.Get("force")))
		return
	}
	control := http.NewResponseController(w)
	a := &uploadAnswer{w: w, control: control, lines: strings.Contains(r.Header.Get("Accept"), lines)}
	report, err := s.opts.Imports.Import(r.Context(), name, patient{r.Body, control}, imports.How{Force: force, Progress: a.progress})
	a.end(&report, err)
}

// patient moves the deadlines on as long as something comes.
type patient struct {
	in      io.Reader
	control *http.ResponseController
}

func (p patient) Read(b []byte) (int, error) {
	until := time.Now().Add(uploadPause)
	_, _ = p.control.SetReadDeadline(until), p.control.SetWriteDeadline(until) // only writers of tests have none
	return p.in.Read(b)
}

// uploadAnswer writes the answer to one upload.
type uploadAnswer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	lines   bool
	begun   bool
	told    time.Time
}

// progress moves the deadline on, and tells clients that want to know.
func (a *uploadAnswer) progress(done, size int64) {
	now := time.Now()
	if now.Sub(a.told) < tellEvery && done < size {
		return
	}
	a.told = now
	_ = a.control.SetWriteDeadline(now.Add(uploadPause + sealTime))
	if a.lines {
		a.line(ImportLine{Done: done, Size: size})
	}
}

// sealTime is for what comes after the last byte was read: sealing and the
// summary of a long file.
const sealTime = 10 * time.Minute

func (a *uploadAnswer) line(l ImportLine) {
	if !a.begun {
		a.w.Header().Set("Content-Type", lines)
		a.begun = true
	}
	// A client that is gone is noticed by the request's context.
	_ = json.NewEncoder(a.w).Encode(l)
	_ = a.control.Flush()
}

func (a *uploadAnswer) end(report *imports.Report, err error) {
	_ = a.control.SetWriteDeadline(time.Now().Add(answerTime))
	var refused *imports.RefusedError
	switch {
	case a.lines && err != nil:
		a.line(ImportLine{Error: err.Error(), Refused: errors.As(err, &refused)})
	case a.lines:
		a.line(ImportLine{Report: report})
	case errors.As(err, &refused):
		refuse(a.w, http.StatusUnprocessableEntity, err.Error())
	case err != nil:
		refuse(a.w, http.StatusInsufficientStorage, err.Error())
	default:
		a.w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(a.w).Encode(report)
	}
}
