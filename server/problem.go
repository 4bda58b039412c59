package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/queue"
	"dynotap/run"
	"dynotap/store"
)

// maxBody bounds a request's body; nothing that is sent to the API is longer.
const maxBody = 1 << 20

// problem turns an error of the rooms below into what a client can act on.
func (s *Server) problem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNoRun):
		return huma.Error404NotFound("no run has this id: dynotap runs list, or GET /api/v1/runs, lists them")
	case errors.Is(err, store.ErrNoCapture), errors.Is(err, store.ErrNoChannel):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, ErrNoSource):
		return huma.Error404NotFound("no source has this name: GET /api/v1/sources lists the sources")
	case errors.Is(err, queue.ErrNotFound):
		return huma.Error404NotFound("no dead letter has this id: dynotap dead-letters list, or GET /api/v1/dead-letters, lists them")
	case errors.Is(err, queue.ErrFull):
		return huma.Error409Conflict("the queue is full: try again when it has room; dynotap queue stats, or GET /api/v1/queue, shows it")
	case errors.Is(err, store.ErrOpen):
		return huma.Error409Conflict(err.Error() + ": stop the source or the recording first, or wait for the import; what a crash cut off is completed by the next dynotap run")
	case errors.Is(err, ErrConflict), errors.Is(err, run.ErrNoCurves):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrBadRequest), errors.Is(err, store.ErrBadID):
		return huma.Error400BadRequest(err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return huma.Error503ServiceUnavailable("it took too long or the server is stopping: try again")
	}
	s.opts.Logger.Error("a request failed", "error", err)
	return huma.Error500InternalServerError(err.Error())
}

// fail writes an error from within a stream that has not begun.
func (s *Server) fail(ctx huma.Context, err error) {
	status := http.StatusInternalServerError
	var known huma.StatusError
	if errors.As(s.problem(err), &known) {
		status = known.GetStatus()
		err = known
	}
	_ = huma.WriteErr(s.api, ctx, status, err.Error())
}

// get, post, patch and remove describe an operation; errors beyond 422 and 500
// are the ones it can answer with.
func get(path, id, summary, tag string, errs ...int) huma.Operation {
	return operation(http.MethodGet, path, id, summary, tag, errs)
}

func post(path, id, summary, tag string, errs ...int) huma.Operation {
	return operation(http.MethodPost, path, id, summary, tag, errs)
}

func remove(path, id, summary, tag string, errs ...int) huma.Operation {
	return operation(http.MethodDelete, path, id, summary, tag, errs)
}

func operation(method, path, id, summary, tag string, errs []int) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, Tags: []string{tag},
		Errors: append([]int{http.StatusUnauthorized}, errs...), MaxBodyBytes: maxBody,
	}
}

// body is an answer of JSON.
type body[T any] struct {
	Body T
}

func answer[T any](v T) *body[T] { return &body[T]{Body: v} }
