package run

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ErrNoRecording is the answer for an id that no open recording has.
var ErrNoRecording = errors.New("no such recording under way")

// recording is a stretch that somebody asked for.
type recording struct {
	ID       string
	Name     string
	Provider string // whose logging state it follows, empty for a user's
	Start    int64
	End      int64 // when Closed
	Closed   bool
	Entered  bool // in the catalog
}

// settleMicros is how long after its end a recording waits for the samples
// that are still on their way.
const settleMicros = 1_000_000

// StartRecording starts a recording for the user at a time in µs and gives the
// id of its run, which the next Step enters.
func (t *Tracker) StartRecording(name string, at int64) (id string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open(name, "", at)
}

// StopRecording ends a recording; a Step enters its summary when the samples
// until then have come.
func (t *Tracker) StopRecording(id string, at int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.recordings {
		if r.ID == id && !r.Closed {
			r.End, r.Closed = max(at, r.Start), true
			return nil
		}
	}
	return fmt.Errorf("%w: %q", ErrNoRecording, id)
}

// Logging follows the logging state that a provider announces: a recording is
// open while it logs. Saying the same again changes nothing.
func (t *Tracker) Logging(provider string, started bool, at int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.recordings {
		if r.Provider != provider || provider == "" || r.Closed {
			continue
		}
		if !started {
			r.End, r.Closed = max(at, r.Start), true
		}
		return nil
	}
	if !started {
		return nil
	}
	_, err := t.open("", provider, at)
	return err
}

// Recordings lists the ids of the recordings under way.
func (t *Tracker) Recordings() (ids []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.recordings {
		if !r.Closed {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func (t *Tracker) open(name, provider string, at int64) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make the id of a recording: %w", err)
	}
	t.recorded++
	if name == "" {
		name = fmt.Sprintf("Recording %d", t.recorded)
		if provider != "" {
			name += " (" + provider + ")"
		}
	}
	t.recordings = append(t.recordings, &recording{ID: id.String(), Name: name, Provider: provider, Start: at})
	return id.String(), nil
}

// close ends every open recording: the capture is over.
func (t *Tracker) closeRecordings(at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.recordings {
		if !r.Closed {
			r.End, r.Closed = max(at, r.Start), true
		}
	}
}

// snapshot copies the recordings and how many there were.
func (t *Tracker) snapshot() (list []recording, recorded int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.recordings {
		list = append(list, *r)
	}
	return list, t.recorded
}

// entered notes what has become durable: a recording that was closed when it
// was saved is done.
func (t *Tracker) entered(saved []recording) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.recordings[:0]
	for _, r := range t.recordings {
		done := false
		for _, s := range saved {
			if s.ID == r.ID {
				r.Entered, done = true, s.Closed
			}
		}
		if !done {
			kept = append(kept, r)
		}
	}
	clear(t.recordings[len(kept):])
	t.recordings = kept
}
