package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func (c *cell) BackupState(context.Context) (BackupState, error) {
	return BackupState{Bytes: 1234}, c.note("backup state")
}

func (c *cell) Backup(ctx context.Context, w io.Writer) error {
	if err := c.note("backup"); err != nil {
		return err
	}
	return c.export(ctx, w)
}

// TestBackupIsAFileOrAnError: what goes wrong before the first byte is told, and
// what goes wrong later breaks the connection off.
func TestBackupIsAFileOrAnError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		backup func(context.Context, io.Writer) error
		status int
		want   string
		broken bool
	}{
		"whole":      {backup: func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "PK"); return err }, status: 200, want: "PK"},
		"busy":       {backup: func(context.Context, io.Writer) error { return fmt.Errorf("%w: one is being made", ErrConflict) }, status: 409, want: "one is being made"},
		"disk":       {backup: func(context.Context, io.Writer) error { return errors.New("the disk is full") }, status: 500, want: "the disk is full"},
		"broken off": {backup: func(_ context.Context, w io.Writer) error { _, _ = io.WriteString(w, "PK"); return errors.New("gone") }, status: 200, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell()
			c.export = test.backup
			ts := httptest.NewServer(c.server(t, nil).Handler())
			defer ts.Close()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.URL+"/api/v1/backup", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := ts.Client().Do(request)
			if err != nil {
				if test.broken {
					return
				}
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if (err != nil) != test.broken {
				t.Errorf("read to the end: %v", err)
			}
			if response.StatusCode != test.status || !strings.Contains(string(text), test.want) {
				t.Errorf("answered %d %q", response.StatusCode, text)
			}
			if test.status == 200 && !strings.Contains(response.Header.Get("Content-Disposition"), "dynotap-") {
				t.Errorf("head %v", response.Header)
			}
		})
	}
}

func (c *cell) storage(context.Context) (Storage, error) {
	return Storage{Directory: "/data", Runs: 12}, c.note("storage")
}

func TestStorageIsTold(t *testing.T) {
	t.Parallel()
	c := newCell()
	w := ask(t, c.server(t, nil).Handler(), http.MethodGet, "/api/v1/storage", "")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"runs_bytes":12`) || !strings.Contains(w.Body.String(), `"hours_left":null`) {
		t.Error(w.Code, w.Body)
	}
}
