package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dynotap/queue"
	"dynotap/sample"
)

// What an accepted batch survives.
const (
	SurvivesPowerLoss = "power_loss"
	SurvivesCrash     = "crash"
	SurvivesNothing   = "none"
)

// QueueState is what the queue does not know of itself.
type QueueState struct {
	// Running says that something is delivered; otherwise the data directory
	// was only opened to look at.
	Running bool `json:"running" doc:"Whether dynotap runs. When it does not, what counts since a start is left out."`
	// Durability is one of the Survives constants.
	Durability string `json:"durability" enum:"power_loss,crash,none" doc:"What an accepted batch survives."`
}

type queueBody struct {
	QueueState
	queue.Stats
}

// atRest is what can be said of a queue that nobody runs.
func atRest(field string) bool {
	return slices.Contains([]string{
		"running", "durability", "when_full", "max_size", "current_size", "by_priority", "dead_letters", "oldest_age_seconds",
	}, field)
}

// MarshalJSON leaves out what counts since a start that has not been: a zero
// there would pass for a fact.
func (b queueBody) MarshalJSON() ([]byte, error) {
	type plain queueBody
	text, err := json.Marshal(plain(b))
	if err != nil || b.Running {
		return text, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	maps.DeleteFunc(fields, func(field string, _ json.RawMessage) bool { return !atRest(field) })
	return json.Marshal(fields)
}

// TransformSchema says which fields can be missing.
func (queueBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Required = slices.DeleteFunc(s.Required, func(field string) bool { return !atRest(field) })
	return s
}

type lettersBody struct {
	DeadLetters []letter      `json:"dead_letters"`
	Total       int           `json:"total" doc:"How many match."`
	Counts      []letterCount `json:"counts" doc:"All that match, by reason, source and priority."`
	Complete    bool          `json:"complete" doc:"Whether all were counted; false where there are too many."`
}

// letterCount is how many dead letters are alike.
type letterCount struct {
	Reason   string `json:"reason"`
	Source   string `json:"source"`
	Priority string `json:"priority"`
	Items    int    `json:"items"`
	Samples  int64  `json:"samples"`
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
	// DiedBy keeps what dies after a user was asked out of what he agreed to.
	DiedBy time.Time `query:"died_by" doc:"Only those that died at this time or before."`
}

func (f *LetterFilter) filter() queue.Filter {
	out := queue.Filter{Source: f.Source, Reason: f.Reason, DiedBy: f.DiedBy}
	if p, err := sample.ParsePriority(f.Priority); err == nil {
		out.Priority = &p
	}
	return out
}

// LetterID names a dead letter. It is exported only because the API is described
// from it.
type LetterID struct {
	ID string `path:"id" maxLength:"40" doc:"The dead letter's id."`
}

func (s *Server) registerQueue() {
	const tag = "queue"
	q := s.opts.Queue
	huma.Register(s.api, get("/api/v1/queue", "queue", "The queue at this moment", tag),
		func(context.Context, *struct{}) (*body[queueBody], error) {
			return answer(queueBody{QueueState: s.opts.QueueState(), Stats: q.Stats()}), nil
		})
	huma.Register(s.api, get("/api/v1/dead-letters", "list-dead-letters", "What was given up, in the order of death", tag), s.listLetters)
	huma.Register(s.api, remove("/api/v1/dead-letters", "clear-dead-letters", "Delete all that match", tag),
		func(ctx context.Context, in *LetterFilter) (*body[countBody], error) {
			n, err := q.ForgetAll(ctx, in.filter())
			return s.counted(n, "deleted", err)
		})
	huma.Register(s.api, post("/api/v1/dead-letters/retry", "retry-dead-letters", "Give all that match back to the queue", tag, http.StatusConflict),
		func(ctx context.Context, in *LetterFilter) (*body[countBody], error) {
			n, err := q.ReviveAll(ctx, in.filter())
			return s.counted(n, "given back", err)
		})
	huma.Register(s.api, get("/api/v1/dead-letters/{id}", "get-dead-letter", "One dead letter with its samples", tag, http.StatusNotFound), s.getLetter)
	huma.Register(s.api, remove("/api/v1/dead-letters/{id}", "delete-dead-letter", "Delete one for good", tag, http.StatusNotFound),
		func(ctx context.Context, in *LetterID) (*struct{}, error) {
			return nil, s.withLetter(in, func(id queue.ID) error { return q.Forget(ctx, id) })
		})
	huma.Register(s.api, post("/api/v1/dead-letters/{id}/retry", "retry-dead-letter", "Give one back to the queue", tag, http.StatusNotFound, http.StatusConflict),
		func(ctx context.Context, in *LetterID) (*struct{}, error) {
			return nil, s.withLetter(in, func(id queue.ID) error { return q.Revive(ctx, id) })
		})
}

func (s *Server) listLetters(ctx context.Context, in *struct {
	LetterFilter
	Limit  int `query:"limit" default:"100" minimum:"0" maximum:"1000" doc:"0 counts only."`
	Offset int `query:"offset" default:"0" minimum:"0"`
}) (*body[lettersBody], error) {
	out, err := s.countLetters(ctx, in.filter())
	if err != nil {
		return nil, s.problem(err)
	}
	out.DeadLetters = make([]letter, 0, in.Limit)
	if in.Limit > 0 && in.Offset < out.Total {
		dead, err := s.opts.Queue.DeadLetters(ctx, in.filter(), in.Offset, in.Limit)
		if err != nil {
			return nil, s.problem(err)
		}
		for i := range dead {
			out.DeadLetters = append(out.DeadLetters, letterOf(&dead[i]))
		}
	}
	return answer(out), nil
}

// One look counts at most maxCounted dead letters, twice what a queue keeps
// unless told otherwise, countPage at a time.
const (
	maxCounted = 20_000
	countPage  = 500
)

// countLetters counts what matches by reason, source and priority. What comes
// or goes meanwhile may be missed.
func (s *Server) countLetters(ctx context.Context, filter queue.Filter) (out lettersBody, err error) {
	counts := map[letterCount]*letterCount{}
	for out.Complete = false; !out.Complete && out.Total < maxCounted; {
		page, err := s.opts.Queue.DeadLetters(ctx, filter, out.Total, countPage)
		if err != nil {
			return out, err
		}
		for i := range page {
			key := letterCount{Reason: page[i].Reason, Source: page[i].Source, Priority: page[i].Priority.String()}
			c := counts[key]
			if c == nil {
				c = &letterCount{Reason: key.Reason, Source: key.Source, Priority: key.Priority}
				counts[key] = c
			}
			c.Items++
			c.Samples += int64(page[i].Samples)
		}
		out.Total += len(page)
		out.Complete = len(page) < countPage
	}
	out.Counts = make([]letterCount, 0, len(counts))
	for _, c := range counts {
		out.Counts = append(out.Counts, *c)
	}
	slices.SortFunc(out.Counts, func(a, b letterCount) int {
		return strings.Compare(a.Reason+"\x00"+a.Source+"\x00"+a.Priority, b.Reason+"\x00"+b.Source+"\x00"+b.Priority)
	})
	return out, nil
}

// withLetter reads the id and does something with it.
func (s *Server) withLetter(in *LetterID, do func(queue.ID) error) error {
	id, err := queue.ParseID(in.ID)
	if err != nil {
		return s.problem(err)
	}
	return s.problem(do(id))
}

// counted answers how many it was, also where not all could be done.
func (s *Server) counted(n int, done string, err error) (*body[countBody], error) {
	if err == nil {
		return answer(countBody{n}), nil
	}
	problem := s.problem(err)
	var known huma.StatusError
	if n > 0 && errors.As(problem, &known) {
		return nil, huma.NewError(known.GetStatus(), fmt.Sprintf("%d %s, then: %s", n, done, known.Error()))
	}
	return nil, problem
}
