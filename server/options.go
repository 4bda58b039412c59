package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/source"
	"dynotap/store"
	"dynotap/validate"
	"dynotap/web"
)

var (
	// ErrNoSource is what Sources answers for a name that no source has.
	ErrNoSource = errors.New("no such source")
	// ErrConflict is wrapped by an error that says why something cannot be
	// done in the present state, for the client to read.
	ErrConflict = errors.New("not possible now")
	// ErrBadRequest is wrapped by an error that says what is wrong with a
	// request, for the client to read.
	ErrBadRequest = errors.New("not a valid request")
)

// Options say what a Server shows and to whom. All interfaces and functions
// are needed.
type Options struct {
	// Listen is the address, host:port; port 0 takes a free one.
	Listen string
	// Token opens every door. It is needed, and asked for, where Listen can be
	// reached from other machines; on loopback it is asked for only with
	// RequireToken, and lets pages of another origin change things.
	Token        string
	RequireToken bool
	// Hosts are names besides the listen address under which clients may
	// address the server.
	Hosts []string
	// NoPages leaves the API and takes the pages away.
	NoPages bool
	// Dashboard is served at /, and the plain status page at /status; without
	// one the status page is at both.
	Dashboard web.Dashboard
	Version   string
	// Units is the system in which the status page shows values.
	Units  sample.System
	Logger *slog.Logger // nil: the default logger

	// NoMetrics switches /metrics off; Gatherer is then not used.
	NoMetrics  bool
	Gatherer   prometheus.Gatherer
	Readiness  func(context.Context) Readiness
	Stats      func() any // the body of /api/v1/stats
	Config     func() any // the body of /api/v1/config, without secrets
	Sources    Sources
	Queue      Queue
	QueueState func() QueueState
	Decoder    Decoder // of the queue's payloads
	Runs       Runs
	Samples    Samples
	Sheets     Sheets
	Imports    Imports
	Recordings Recordings
	Backups    Backups
	Storage    func(context.Context) (Storage, error)
	Live       Live
	Ranges     validate.Ranges // what the live channels are held against; none: no channel has one
	Doctor     Doctor
}

// Readiness says whether samples are accepted.
type Readiness struct {
	// Reasons is why not; empty: ready.
	Reasons []string `json:"reasons" doc:"Why samples are not accepted; empty when they are."`
	// Notes is what a user should know all the same: not durable, disk 90 % full.
	Notes []string `json:"notes" doc:"What a user should know all the same."`
}

// Sources is the live sources by name.
type Sources interface {
	// Sources lists all, in the order of the configuration.
	Sources() []SourceStatus
	// The three give ErrNoSource for an unknown name; stopping is bounded by
	// ctx. What runs already, or does not, is ErrConflict.
	StartSource(ctx context.Context, name string) error
	StopSource(ctx context.Context, name string) error
	ResetSource(ctx context.Context, name string) error
}

// SourceStatus is one source at one moment.
type SourceStatus struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	// Absent says that the source looks for a device that has never been there;
	// it is then no part of the health of the whole.
	Absent bool          `json:"absent,omitempty"`
	Health source.Health `json:"health"`
	Stats  source.Stats  `json:"stats"`
	// Losses counts what came in and became no sample, by reason.
	Losses map[string]uint64 `json:"losses,omitempty"`
	// Details is what only this kind of source knows: providers, clocks, kernel
	// drops.
	Details any `json:"details,omitempty"`
}

// Queue is the queue with its dead letters; *queue.Queue is one.
type Queue interface {
	Stats() queue.Stats
	DeadLetters
	DeadLetterSets
}

// Decoder reads what a queue item carries; *pipeline.Pipeline is one.
type Decoder interface {
	// Decode reads a payload into b. After an error b holds what came before
	// it.
	Decode(ctx context.Context, payload []byte, b *sample.Batch) error
}

// DeadLetters is the dead letters one by one.
type DeadLetters interface {
	DeadLetters(ctx context.Context, filter queue.Filter, offset, limit int) ([]queue.DeadLetter, error)
	DeadLetter(ctx context.Context, id queue.ID) (queue.DeadLetter, error)
	Revive(ctx context.Context, id queue.ID) error
	Forget(ctx context.Context, id queue.ID) error
}

// DeadLetterSets is the dead letters by filter.
type DeadLetterSets interface {
	ReviveAll(ctx context.Context, filter queue.Filter) (int, error)
	ForgetAll(ctx context.Context, filter queue.Filter) (int, error)
}

// Runs is the catalog.
type Runs interface {
	Runs(ctx context.Context, f store.RunFilter) (list []store.Run, total int, err error)
	Run(ctx context.Context, id string) (store.Run, error)
	EditRun(ctx context.Context, id string, e store.Edit) (store.Run, error)
	// DeleteRun removes a run, or with all every run of its capture; the samples
	// go with the last. store.ErrOpen while it is recorded or imported.
	DeleteRun(ctx context.Context, id string, all bool) error
}

// Samples reads runs. All give store.ErrNoRun, store.ErrNoChannel and
// ErrBadRequest.
type Samples interface {
	Samples(ctx context.Context, run string, q SampleQuery) (SampleSet, error)
	// Export writes the run to w as it goes. An error before the first byte
	// reaches the client as one, a later one breaks the connection off.
	Export(ctx context.Context, run string, f ExportFormat, w io.Writer) error
	// Merge brings the readings of another run to the points of a run.
	Merge(ctx context.Context, run string, q MergeQuery) (Merge, error)
}

// SampleQuery chooses samples of a run.
type SampleQuery struct {
	Channels []string // names, labels, addresses or keys; none: all
	// FromUS and ToUS bound the time, in µs on the run's time base; nil: open.
	FromUS, ToUS *int64
	// Points is how many points a channel is thinned to at most, each with the
	// extremes of what it stands for.
	Points int
}

// SampleSet is the answer to a SampleQuery.
type SampleSet struct {
	TimeBase string   `json:"time_base" enum:"absolute,relative"`
	Series   []Series `json:"series"`
}

// Series is one channel's samples as parallel lists in order of time.
type Series struct {
	Channel Channel  `json:"channel"`
	Time    []int64  `json:"time_us" doc:"Microseconds since the epoch, or since the start where the time base is relative."`
	Value   []Number `json:"value" doc:"In the channel's unit; null where it is not finite."`
	Quality []string `json:"quality" doc:"good, suspect or bad; of a thinned point the worst."`
	// Min and Max are of all samples that a point stands for; absent where
	// nothing was thinned.
	Min []Number `json:"min,omitempty"`
	Max []Number `json:"max,omitempty"`
}

// Channel describes one channel of a run.
type Channel struct {
	Key        string `json:"key"`
	Device     string `json:"device"`
	Label      string `json:"label"`
	Name       string `json:"name"`
	Unit       string `json:"unit"`
	NativeUnit string `json:"native_unit"`
}

// ExportFormat chooses a form of export.
type ExportFormat struct {
	Format string  // csv, parquet or jsonl
	Wide   bool    // one column a channel instead of one row a sample
	RateHz float64 // rows a second of a wide export; 0: a row for each time there is
}

// Recordings is the recording that a user starts and stops.
type Recordings interface {
	// Recording gives the one that runs, or nil.
	Recording() *Recording
	// StartRecording gives ErrConflict while one runs, StopRecording while
	// none does.
	StartRecording(ctx context.Context, name string) (Recording, error)
	StopRecording(ctx context.Context) (Recording, error)
}

// Recording is a span of the session that becomes a run of its own.
type Recording struct {
	Run       string     `json:"run"`
	Name      string     `json:"name"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

// Live is the newest value of every channel; *pipeline.Hub is one.
type Live interface {
	// Since waits until something is newer than version and gives it.
	Since(ctx context.Context, version uint64) (pipeline.LiveUpdate, error)
	Now() pipeline.LiveUpdate
}

// check names what is missing.
func (o *Options) check() error {
	var errs []error
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Gatherer", o.Gatherer == nil && !o.NoMetrics}, {"Readiness", o.Readiness == nil}, {"Stats", o.Stats == nil},
		{"Config", o.Config == nil}, {"Sources", o.Sources == nil}, {"Queue", o.Queue == nil},
		{"QueueState", o.QueueState == nil}, {"Decoder", o.Decoder == nil}, {"Runs", o.Runs == nil},
		{"Samples", o.Samples == nil}, {"Sheets", o.Sheets == nil}, {"Recordings", o.Recordings == nil}, {"Backups", o.Backups == nil}, {"Storage", o.Storage == nil}, {"Live", o.Live == nil}, {"Doctor", o.Doctor == nil},
	} {
		if part.missing {
			errs = append(errs, fmt.Errorf("server: option %s is missing", part.name))
		}
	}
	return errors.Join(errs...)
}
