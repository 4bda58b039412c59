package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dynotap/config"
	"dynotap/internal/db"
)

// client speaks the HTTP API of whoever holds a data directory: the running
// program, or where none runs, this process, which then serves itself. So
// every command has one way to the data (DESIGN decision 11).
type client struct {
	base  string
	token string
	http  *http.Client
	// offline is this process's own instance, nil where another one runs.
	offline *recording
	// temporary is a directory that goes with the client; "" for none.
	temporary string
}

// errNotRunning is what commands say that need a running instance.
var errNotRunning = errors.New("dynotap is not running on this data directory: start it with dynotap run")

// clientPatience is how long an answer may keep a command waiting.
const clientPatience = 30 * time.Second

// connect finds the running instance of the data directory, or opens the
// directory itself, read and write but recording nothing.
func (o *options) connect(ctx context.Context) (*client, error) {
	c, err := o.connectRunning()
	if !errors.Is(err, errNotRunning) {
		return c, err
	}
	loaded, err := o.load()
	if err != nil {
		return nil, err
	}
	dir, err := loaded.DataDir(o.data)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, db.FileName)); err != nil && !o.create {
		return nil, fmt.Errorf("no recordings in %s: %w; record with dynotap run, or name another directory with --data", dir, err)
	}
	return o.serve(ctx, loaded, dir)
}

// serve opens a directory for this process alone.
func (o *options) serve(ctx context.Context, loaded *config.Loaded, dir string) (*client, error) {
	loaded.Config.Server.Listen = loopback + ":0"
	loaded.Config.Server.Token = rand.Text()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a := &recording{program: o.program, loaded: loaded, dir: dir, logger: logger, say: newSpeaker(io.Discard)}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	if err := a.server.Start(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return &client{base: a.server.URL(), token: loaded.Config.Server.Token, http: newHTTPClient(), offline: a}, nil
}

// connectRunning finds the running instance, or gives errNotRunning.
func (o *options) connectRunning() (*client, error) {
	dir, err := o.dir()
	if err != nil {
		return nil, err
	}
	holder, err := db.HolderOf(dir)
	switch {
	case errors.Is(err, db.ErrNotHeld):
		return nil, errNotRunning
	case err != nil:
		return nil, err
	case holder.Address == "":
		return nil, &db.LockedError{Dir: dir, Holder: holder}
	}
	return &client{base: "http://" + holder.Address + "/", token: holder.Token, http: newHTTPClient()}, nil
}

func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: clientPatience, DisableKeepAlives: true}}
}

// close ends this process's own instance, if there is one.
func (c *client) close(ctx context.Context) error {
	if c.offline == nil {
		return nil
	}
	err := errors.Join(c.offline.server.Stop(context.WithoutCancel(ctx)), c.offline.close())
	if c.temporary != "" {
		err = errors.Join(err, os.RemoveAll(c.temporary))
	}
	return err
}

// do sends one request and gives the body of a good answer, to be closed by
// the caller. A bad answer becomes an error in the server's words.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body any) (io.ReadCloser, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(text)
	}
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, payload)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the dynotap that holds this directory does not answer, it may have just ended: try again (%w)", err)
	}
	if answer.StatusCode/100 == 2 || answer.StatusCode == http.StatusServiceUnavailable && path == "readyz" {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	return nil, problemOf(answer)
}

// problemOf reads an RFC 9457 problem.
func problemOf(answer *http.Response) error {
	var problem struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err := json.Unmarshal(text, &problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("the running dynotap answered %s: %s", answer.Status, bytes.TrimSpace(text))
	}
	err := errors.New(problem.Detail)
	if len(problem.Errors) > 0 {
		where := strings.TrimPrefix(problem.Errors[0].Location, "query.")
		err = fmt.Errorf("--%s: %s", strings.TrimPrefix(where, "body."), problem.Errors[0].Message)
	}
	if answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusUnprocessableEntity {
		return usageError{err}
	}
	return err
}

// get asks for JSON and gives it as it came, and decoded into each of the
// given places.
func (c *client) get(ctx context.Context, path string, query url.Values, into ...any) (json.RawMessage, error) {
	return c.call(ctx, http.MethodGet, path, query, nil, into...)
}

func (c *client) call(ctx context.Context, method, path string, query url.Values, body any, into ...any) (json.RawMessage, error) {
	stream, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	for _, place := range into {
		if err := json.Unmarshal(text, place); err != nil {
			return nil, fmt.Errorf("read answer of /%s: %w", path, err)
		}
	}
	return text, nil
}
