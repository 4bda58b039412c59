package app

import (
	"context"
	"log/slog"

	"dynotap/config"
	"dynotap/internal/clock"
	"dynotap/sample"
	"dynotap/source"
)

// SourceSpec is one line of the list of live sources: a name as in
// data_sources, and how to build the source from the configuration.
type SourceSpec struct {
	Name  string
	Build func(SourceInput) (LiveSource, error)
}

// LiveSource is a built source; all but Source may be nil.
type LiveSource struct {
	source.Source
	// Check says, before anything runs, whether the source can work as
	// configured on this machine.
	Check func(context.Context) error
	// Details gives what only this kind of source knows, for /api/v1/sources.
	Details func() any
	// Sporadic is source.Options'.
	Sporadic func(*sample.Channel) bool
	// Losses counts what came in and became no sample, by reason, for /metrics.
	Losses func() map[string]uint64
	// Overruns counts what was lost because the source was not read in time.
	Overruns func() Overruns
	// Warning says what is not as it should be although the source goes on, and
	// the mend; "" is nothing.
	Warning func() string
	// Absent says that the device is looked for and has never been there: most
	// cells have not every device that is looked for.
	Absent func() bool
	// Places lists by name where a device may have been plugged in. A new one
	// makes a source that waits try at once.
	Places func() []string
}

// Overruns is what a source lost before it could be read, since its present
// connection began.
type Overruns struct {
	Datagrams uint64 `json:"datagrams"`
	Samples   uint64 `json:"samples"` // in them, about
}

// SourceInput is what a source is built from.
type SourceInput struct {
	Config   *config.Config
	Settings config.SourceSettings
	// Session is session time, the same for all sources.
	Session *clock.Session
	// Logging is to be called when a device says that it starts or stops
	// recording; dynotap makes a recording of what lies between.
	Logging func(provider string, started bool, at int64)
	// Announce tells the user something in a line.
	Announce func(text string)
	Logger   *slog.Logger
}

// Sources is the list of this program. Another main appends its own.
func Sources() []SourceSpec {
	return []SourceSpec{
		{Name: "jetdrive", Build: buildJetdrive},
		{Name: "innovate", Build: buildInnovate},
	}
}

func (p *Program) sourceNames() []string {
	names := make([]string, 0, len(p.Sources))
	for _, s := range p.Sources {
		names = append(names, s.Name)
	}
	return names
}
