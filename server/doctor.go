package server

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/doctor"
)

// Doctor looks for what keeps a session from being recorded; *doctor.Doctor is
// one.
type Doctor interface {
	// Examine takes seconds. It ends with ctx, whose error it gives.
	Examine(ctx context.Context) (doctor.Report, error)
}

func (s *Server) registerDoctor() {
	op := get("/api/v1/doctor", "doctor", "Look for what keeps a session from being recorded: network, clocks, ports, disk", "state",
		http.StatusConflict, http.StatusServiceUnavailable)
	op.Description = "Listens to the network for some seconds before it answers. One examination at a time: a second request is refused meanwhile."
	var under sync.Mutex
	huma.Register(s.api, op, func(ctx context.Context, _ *struct{}) (*body[doctor.Report], error) {
		if !under.TryLock() {
			return nil, s.problem(fmt.Errorf("%w: an examination is under way, ask again in some seconds", ErrConflict))
		}
		defer under.Unlock()
		ctx, cancel := s.untilStopped(ctx)
		defer cancel()
		report, err := s.opts.Doctor.Examine(ctx)
		if err != nil {
			return nil, s.problem(err)
		}
		return answer(report), nil
	})
}

// untilStopped ends ctx when the server begins to stop.
func (s *Server) untilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stopped := s.stopped()
	go func() {
		defer cancel()
		select {
		case <-stopped:
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
