package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"dynotap/pipeline"
	"dynotap/run"
	"dynotap/sample"
	"dynotap/server"
)

// recordings is the recording that a user starts and stops, one at a time. It
// is what the server calls Recordings.
type recordings struct {
	recorder *pipeline.Recorder

	mu  sync.Mutex
	now *server.Recording
}

// Recording gives the one that runs, or nil.
func (r *recordings) Recording() *server.Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil {
		return nil
	}
	copied := *r.now
	return &copied
}

// StartRecording begins one at this moment.
func (r *recordings) StartRecording(_ context.Context, name string) (server.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil {
		return server.Recording{}, fmt.Errorf("%w: a recording is under way: stop it first", server.ErrConflict)
	}
	id, at, err := r.recorder.StartRecording(name)
	if errors.Is(err, pipeline.ErrNoSession) {
		return server.Recording{}, fmt.Errorf("%w: %w: start a source first", server.ErrConflict, err)
	}
	if err != nil {
		return server.Recording{}, err
	}
	r.now = &server.Recording{Run: id, Name: name, StartedAt: sample.Time(at)}
	return *r.now, nil
}

// StopRecording ends it at this moment.
func (r *recordings) StopRecording(context.Context) (server.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil {
		return server.Recording{}, fmt.Errorf("%w: no recording is under way", server.ErrConflict)
	}
	at, err := r.recorder.StopRecording(r.now.Run)
	if err != nil && !errors.Is(err, run.ErrNoRecording) {
		return server.Recording{}, err
	}
	ended := *r.now
	end := sample.Time(at)
	ended.EndedAt = &end
	r.now = nil
	return ended, nil
}
