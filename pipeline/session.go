package pipeline

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"dynotap/internal/clock"
	"dynotap/store"
)

// session is the capture of this start of the program. It begins with the
// first batch, so that a start that hears nothing leaves nothing.
type session struct {
	store  *store.Store
	clock  *clock.Session
	source string
	begun  func(store.Capture)

	mu sync.Mutex
	id string
}

// begin gives the capture's id once the capture is durable. It blocks on a
// commit the first time.
func (s *session) begin(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" {
		return s.id, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	started := s.clock.Micros()
	capture := store.Capture{
		ID: id.String(), Kind: store.Live, Source: s.source, StartedUS: &started, TimeBase: store.Absolute,
	}
	if err := s.store.PutCapture(ctx, capture); err != nil {
		return "", err
	}
	s.id = capture.ID
	s.begun(capture)
	return s.id, nil
}
