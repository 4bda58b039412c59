package jetdrive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dynotap/sample"
)

// Discover listens for the given time, and asks unless the settings forbid it,
// and returns who is there. Asking begins after a second, which the host id
// takes. Of an error in the midst the providers heard until then are returned
// too.
func Discover(ctx context.Context, settings Settings, timeout time.Duration) ([]ProviderStatus, error) {
	s := New(settings, Options{})
	reader, err := s.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("discover: %w", err)
	}
	listening, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for err == nil {
		err = reader.Read(listening, func(*sample.Batch) error { return nil })
	}
	found := s.Providers()
	if listening.Err() != nil {
		err = ctx.Err() // nil: the time is over, as planned
	}
	if err = errors.Join(err, reader.Close()); err != nil {
		return found, fmt.Errorf("discover: %w", err)
	}
	return found, nil
}
