package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/queue"
	"dynotap/sample"
)

// letter is a dead letter in JSON.
type letter struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	Priority   string            `json:"priority"`
	Samples    int               `json:"samples"`
	Bytes      int               `json:"bytes" doc:"Length of the payload."`
	Attempts   int               `json:"attempts"`
	Reason     string            `json:"reason"`
	FirstError string            `json:"first_error"`
	LastError  string            `json:"last_error"`
	EnqueuedAt time.Time         `json:"enqueued_at"`
	DiedAt     time.Time         `json:"died_at"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Payload    []byte            `json:"payload,omitempty" doc:"The encoded batch; only of one dead letter."`
}

type lettersBody struct {
	DeadLetters []letter `json:"dead_letters"`
}

type countBody struct {
	Count int `json:"count" doc:"How many dead letters it was."`
}

// LetterFilter chooses dead letters. It is exported only because the API is
// described from it.
type LetterFilter struct {
	Source   string `query:"source" doc:"Only those of this source."`
	Priority string `query:"priority" enum:"critical,high,normal,low,batch" doc:"Only those of this priority."`
	Reason   string `query:"reason" doc:"Only those that died for this reason."`
}

func (f *LetterFilter) filter() queue.Filter {
	out := queue.Filter{Source: f.Source, Reason: f.Reason}
	if p, err := sample.ParsePriority(f.Priority); err == nil {
		out.Priority = &p
	}
	return out
}

type letterID struct {
	ID string `path:"id" maxLength:"40" doc:"The dead letter's id."`
}

func (s *Server) registerQueue() {
	const tag = "queue"
	q := s.opts.Queue
	huma.Register(s.api, get("/api/v1/queue", "queue", "The queue at this moment", tag),
		func(context.Context, *struct{}) (*body[queue.Stats], error) { return answer(q.Stats()), nil })
	huma.Register(s.api, get("/api/v1/dead-letters", "list-dead-letters", "What was given up, in the order of death", tag), s.listLetters)
	huma.Register(s.api, remove("/api/v1/dead-letters", "clear-dead-letters", "Delete all that match", tag),
		func(ctx context.Context, in *LetterFilter) (*body[countBody], error) {
			n, err := q.ForgetAll(ctx, in.filter())
			return counted(n), s.problem(err)
		})
	huma.Register(s.api, post("/api/v1/dead-letters/retry", "retry-dead-letters", "Give all that match back to the queue", tag, http.StatusConflict),
		func(ctx context.Context, in *LetterFilter) (*body[countBody], error) {
			n, err := q.ReviveAll(ctx, in.filter())
			return counted(n), s.problem(err)
		})
	huma.Register(s.api, get("/api/v1/dead-letters/{id}", "get-dead-letter", "One dead letter with its payload", tag, http.StatusNotFound),
		func(ctx context.Context, in *letterID) (*body[letter], error) {
			var out letter
			err := s.withLetter(in, func(id queue.ID) error {
				d, err := q.DeadLetter(ctx, id)
				out = letterOf(&d)
				out.Payload = d.Payload
				return err
			})
			return answer(out), err
		})
	huma.Register(s.api, remove("/api/v1/dead-letters/{id}", "delete-dead-letter", "Delete one for good", tag, http.StatusNotFound),
		func(ctx context.Context, in *letterID) (*struct{}, error) {
			return nil, s.withLetter(in, func(id queue.ID) error { return q.Forget(ctx, id) })
		})
	huma.Register(s.api, post("/api/v1/dead-letters/{id}/retry", "retry-dead-letter", "Give one back to the queue", tag, http.StatusNotFound, http.StatusConflict),
		func(ctx context.Context, in *letterID) (*struct{}, error) {
			return nil, s.withLetter(in, func(id queue.ID) error { return q.Revive(ctx, id) })
		})
}

func (s *Server) listLetters(ctx context.Context, in *struct {
	LetterFilter
	Limit  int `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	Offset int `query:"offset" default:"0" minimum:"0"`
}) (*body[lettersBody], error) {
	dead, err := s.opts.Queue.DeadLetters(ctx, in.filter(), in.Offset, in.Limit)
	if err != nil {
		return nil, s.problem(err)
	}
	out := lettersBody{DeadLetters: make([]letter, 0, len(dead))}
	for i := range dead {
		out.DeadLetters = append(out.DeadLetters, letterOf(&dead[i]))
	}
	return answer(out), nil
}

// withLetter reads the id and does something with it.
func (s *Server) withLetter(in *letterID, do func(queue.ID) error) error {
	id, err := queue.ParseID(in.ID)
	if err != nil {
		return s.problem(err)
	}
	return s.problem(do(id))
}

func counted(n int) *body[countBody] { return answer(countBody{n}) }

func letterOf(d *queue.DeadLetter) letter {
	return letter{
		ID: d.ID.String(), Source: d.Source, Priority: d.Priority.String(), Samples: d.Samples, Bytes: len(d.Payload),
		Attempts: d.Attempts, Reason: d.Reason, FirstError: d.FirstError, LastError: d.LastError,
		EnqueuedAt: d.Enqueued.UTC(), DiedAt: d.Died.UTC(), Metadata: d.Metadata,
	}
}
