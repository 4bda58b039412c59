package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

// Storage is the disk under the data directory and what takes room on it, in
// bytes.
type Storage struct {
	Directory  string    `json:"directory"`
	Free       *int64    `json:"free_bytes" doc:"What may still be written; null where the system does not say."`
	Total      *int64    `json:"total_bytes"`
	Runs       int64     `json:"runs_bytes" doc:"Sealed samples."`
	Originals  int64     `json:"originals_bytes" doc:"Imported files."`
	Queue      int64     `json:"queue_bytes" doc:"Waiting batches and dead letters."`
	Live       int64     `json:"live_bytes" doc:"Samples that are not sealed yet."`
	Database   int64     `json:"database_bytes" doc:"The whole database: catalog, queue and live samples, and free pages."`
	Quarantine int64     `json:"quarantine_bytes" doc:"Damaged files that were set aside."`
	PerMinute  float64   `json:"per_minute_bytes" doc:"What a minute of recording takes at the present rate, once sealed; 0 while nothing is recorded."`
	HoursLeft  *float64  `json:"hours_left" doc:"Until the disk is full at that rate; null while nothing is recorded."`
	Warning    string    `json:"warning" doc:"What is to be done about the disk; empty while there is room."`
	Retention  Retention `json:"retention"`
}

// Retention says what is deleted by itself: nothing, unless the user set it.
type Retention struct {
	Runs           bool     `json:"runs" doc:"Whether sessions and imported files are deleted by themselves."`
	RunDays        *float64 `json:"run_days" doc:"After so many days, unless one of their runs has a tag, or notes that did not come with the file; null: never."`
	Due            int      `json:"due" doc:"Sessions and files that will be deleted next."`
	Deleted        int64    `json:"deleted" doc:"Sessions and files that were deleted since the start."`
	DeadLetters    int      `json:"dead_letters" doc:"So many dead letters are kept, the newest; 0: all."`
	DeadLetterDays *float64 `json:"dead_letter_days" doc:"For so many days; null: for ever."`
}

func (s *Server) registerStorage() {
	huma.Register(s.api, get("/api/v1/storage", "get-storage", "Free space, what takes room, and how long it lasts", "storage"),
		func(ctx context.Context, _ *struct{}) (*body[Storage], error) {
			state, err := s.opts.Storage(ctx)
			return answer(state), s.problem(err)
		})
}
