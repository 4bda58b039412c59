package server

import (
	"context"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Backups makes copies of the whole data directory.
type Backups interface {
	BackupState(ctx context.Context) (BackupState, error)
	// Backup writes the archive to w as it goes. It gives ErrConflict while
	// another one is being made, and where there is no room for it.
	Backup(ctx context.Context, w io.Writer) error
}

// BackupState is what a backup would take, or how far one is.
type BackupState struct {
	Bytes    int64       `json:"bytes" doc:"What a backup holds now, before compression."`
	Database int64       `json:"database_bytes" doc:"The part of it that needs as much room on the data directory's disk while the backup is made."`
	Hindered string      `json:"hindered" doc:"Why no backup can be made now; empty when it can."`
	Running  bool        `json:"running"`
	Phase    string      `json:"phase,omitempty" doc:"What is being done: database or files."`
	Done     int64       `json:"done_bytes"`
	Total    int64       `json:"total_bytes"`
	Last     *LastBackup `json:"last" doc:"The newest one since dynotap started, or null."`
}

// LastBackup is a backup that has ended.
type LastBackup struct {
	EndedAt time.Time `json:"ended_at"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes" doc:"Of its files, before compression."`
	// Problems are files of the catalog that were missing or damaged.
	Problems []string `json:"problems"`
	Error    string   `json:"error" doc:"Why it was broken off; empty when it is whole."`
}

const backupType = "application/zip"

// BackupName is what a backup of a moment is called.
func BackupName(at time.Time) string {
	return "dynotap-" + at.UTC().Format("2006-01-02T150405Z") + ".zip"
}

func (s *Server) registerBackups() {
	const tag, path = "backup", "/api/v1/backup"
	b := s.opts.Backups
	huma.Register(s.api, get(path, "get-backup", "What a backup would hold, and how far one is", tag),
		func(ctx context.Context, _ *struct{}) (*body[BackupState], error) {
			state, err := b.BackupState(ctx)
			return answer(state), s.problem(err)
		})
	download := post(path, "make-backup", "The whole data directory as one archive, while recording goes on", tag, http.StatusConflict)
	download.Responses = map[string]*huma.Response{"200": {
		Description: "A zip with a manifest; it is whole if its end is there.",
		Content:     map[string]*huma.MediaType{backupType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(s.api, download, func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) { s.backup(ctx, hc) }}, nil
	})
}

func (s *Server) backup(ctx context.Context, hc huma.Context) {
	_, w := humago.Unwrap(hc)
	out := &fileWriter{w: w, control: http.NewResponseController(w), header: func() {
		w.Header().Set("Content-Type", backupType)
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": BackupName(time.Now())}))
	}}
	err := s.opts.Backups.Backup(ctx, out)
	switch {
	case err != nil && !out.begun:
		// Copying the database may have outlasted an ordinary answer.
		_ = out.control.SetWriteDeadline(time.Now().Add(streamTime))
		s.fail(hc, err)
	case err != nil:
		s.opts.Logger.Error("a backup was broken off", "error", err)
		panic(http.ErrAbortHandler) // so that the client sees that the file is not whole
	}
}
