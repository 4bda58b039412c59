package server

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"time"

	"dynotap/store"
)

//go:embed static
var staticFS embed.FS

// latestRuns is how many runs the status page lists.
const latestRuns = 12

// page is the status page: rendered here, so that it works without scripts;
// its script only renders it again.
type page struct {
	opts      *Options
	template  *template.Template
	readiness func(context.Context) readyBody
}

// registerPage adds the page and its files to mux.
func registerPage(mux *http.ServeMux, opts *Options, readiness func(context.Context) readyBody) error {
	t, err := template.ParseFS(staticFS, "static/status.html")
	if err != nil {
		return fmt.Errorf("status page: %w", err)
	}
	files, err := fs.Sub(staticFS, "static")
	if err != nil {
		return fmt.Errorf("status page: %w", err)
	}
	p := &page{opts: opts, template: t, readiness: readiness}
	for _, name := range []string{"status.css", "status.js"} {
		mux.HandleFunc("GET /static/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, files, name)
		})
	}
	mux.HandleFunc("GET /status", p.serve)
	if opts.Dashboard.Files == nil {
		mux.HandleFunc("GET /{$}", p.serve)
		return nil
	}
	registerDashboard(mux, opts.Dashboard)
	return nil
}

func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	v := view{Version: p.opts.Version, Now: now.Format("15:04:05"), Formats: []string{"csv", "parquet", "jsonl"}}
	ready := p.readiness(r.Context())
	v.Ready, v.Reasons, v.Notes = ready.Ready, ready.Reasons, ready.Notes
	if rec := p.opts.Recordings.Recording(); rec != nil {
		v.Recording = &recordingView{Name: rec.Name, Since: rec.StartedAt.Local().Format("15:04:05")}
	}
	v.Sources = sourceViews(p.opts.Sources.Sources())
	v.live(p.opts.Live.Now(), p.opts.Units, now)
	v.queue(p.opts.Queue.Stats())
	runs, total, err := p.opts.Runs.Runs(r.Context(), store.RunFilter{Limit: latestRuns})
	if err != nil {
		v.RunsError = "The runs cannot be listed: " + err.Error()
	}
	v.runs(runs, total, p.opts.Units)

	var out bytes.Buffer
	if err := p.template.Execute(&out, &v); err != nil {
		p.opts.Logger.Error("the status page cannot be made", "error", err)
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The client is gone if this fails.
	_, _ = w.Write(out.Bytes())
}
