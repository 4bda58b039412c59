package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"dynotap/internal/clock"
	"dynotap/internal/db"
	"dynotap/run"
	"dynotap/store"
)

// pace is how often a Recorder looks.
type pace struct {
	// detect is how often runs are looked for. A look costs a query, so it is
	// not made for every batch; a pull is known two seconds after its end at
	// the latest.
	detect time.Duration
	// seal is how often it looks whether a segment is due.
	seal time.Duration
	// failure is the pause after a look that failed.
	failure time.Duration
}

// usualPace is that of a program; tests are in a hurry.
func usualPace() pace {
	return pace{detect: 250 * time.Millisecond, seal: 5 * time.Second, failure: time.Second}
}

// ErrNoSession says that no sample has come yet, so there is nothing to record.
var ErrNoSession = errors.New("no samples have come yet")

// Recorder finds runs in what has been stored and seals it: a tracker for the
// session of this start, and for a moment one for an earlier capture that
// still got samples. It is safe for concurrent use.
type Recorder struct {
	store   *store.Store
	archive run.Archive
	clock   *clock.Session
	logger  *slog.Logger
	pace    pace
	// rejected counts the samples that validation dropped in this session.
	rejected func() int64

	mu      sync.Mutex
	capture string // of the session, "" before the first sample
	session *run.Tracker
	early   []logging // announced before the first sample
}

// logging is a provider's announcement that its log begins or ends.
type logging struct {
	provider string
	started  bool
	at       int64
}

func newRecorder(s *store.Store, d *db.DB, c *clock.Session, logger *slog.Logger, rejected func() int64, hear func(run.Run)) *Recorder {
	archive := run.NewArchive(s, d, c.Micros)
	if hear != nil {
		archive = telling{archive, hear}
	}
	return &Recorder{store: s, archive: archive, clock: c, logger: logger, pace: usualPace(), rejected: rejected}
}

// telling is an archive that tells of each run it has saved.
type telling struct {
	run.Archive
	hear func(run.Run)
}

func (t telling) Save(ctx context.Context, capture string, cursor int64, state []byte, runs []run.Run, also ...db.Effect) error {
	if err := t.Archive.Save(ctx, capture, cursor, state, runs, also...); err != nil {
		return err
	}
	for _, r := range runs {
		t.hear(r)
	}
	return nil
}

func (r *Recorder) tracker(c store.Capture) *run.Tracker {
	return run.NewTracker(r.archive, c, run.Settings{Now: r.clock.Micros})
}

// follow makes a capture the session that is tracked.
func (r *Recorder) follow(c store.Capture) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.capture, r.session = c.ID, r.tracker(c)
	for _, l := range r.early {
		r.log(l)
	}
	r.early = nil
}

func (r *Recorder) current() *run.Tracker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session
}

// Logging follows a provider that says it begins or ends a log of its own:
// what lies between becomes a recording.
func (r *Recorder) Logging(provider string, started bool, at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := logging{provider, started, at}
	if r.session == nil {
		r.early = append(r.early, l)
		return
	}
	r.log(l)
}

func (r *Recorder) log(l logging) {
	if err := r.session.Logging(l.provider, l.started, l.at); err != nil {
		r.logger.Error("follow a provider's log", "provider", l.provider, "error", err)
	}
}

// StartRecording begins a recording at this moment and gives the id of its
// run. It is ErrNoSession before the first sample.
func (r *Recorder) StartRecording(name string) (id string, at int64, err error) {
	session := r.current()
	if session == nil {
		return "", 0, ErrNoSession
	}
	at = r.clock.Micros()
	id, err = session.StartRecording(name, at)
	return id, at, err
}

// StopRecording ends a recording at this moment. It gives run.ErrNoRecording.
func (r *Recorder) StopRecording(id string) (at int64, err error) {
	session := r.current()
	if session == nil {
		return 0, run.ErrNoRecording
	}
	at = r.clock.Micros()
	return at, session.StopRecording(id, at)
}

// detect looks for runs in what is committed, until ctx ends.
func (r *Recorder) detect(ctx context.Context) error {
	tick := time.NewTicker(r.pace.detect)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := r.step(ctx); err != nil && ctx.Err() == nil {
			r.logger.Error("look for runs", "error", err)
			if !pauseFor(ctx, r.pace.failure) {
				return ctx.Err()
			}
		}
	}
}

func (r *Recorder) step(ctx context.Context) error {
	session := r.current()
	if session == nil {
		return nil
	}
	session.SetRejected(r.rejected())
	for more := true; more; {
		var err error
		if more, err = session.Step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// seal seals what is due, until ctx ends.
func (r *Recorder) seal(ctx context.Context) error {
	for pauseFor(ctx, r.pace.seal) {
		if err := r.sealDue(ctx); err != nil && ctx.Err() == nil {
			r.logger.Error("seal recorded samples", "error", err)
		}
	}
	return ctx.Err()
}

// sealDue seals what is due at present. A capture other than the session's is
// completed before: it got samples late.
func (r *Recorder) sealDue(ctx context.Context) error {
	return r.store.SealDue(ctx, func(capture string) int64 { return r.sealable(ctx, capture) })
}

// sealable is the last chunk of a capture in which runs have been looked for.
func (r *Recorder) sealable(ctx context.Context, capture string) int64 {
	r.mu.Lock()
	session := r.session
	if capture != r.capture {
		session = nil
	}
	r.mu.Unlock()
	if session != nil {
		return session.Cursor()
	}
	c, err := r.store.Capture(ctx, capture)
	var upTo int64
	if err == nil && c.Kind == store.Import {
		return sealableImport(c)
	}
	if err == nil {
		late := r.tracker(c)
		if err = r.finish(ctx, c, late); err == nil {
			upTo = late.Cursor()
		}
	}
	if err != nil {
		r.logger.Error("look for runs in samples that came late", "capture", capture, "error", err)
	}
	return upTo
}

// sealableImport: whoever imports a file finds its runs before it ends the
// capture, and seals only large ones.
func sealableImport(c store.Capture) int64 {
	if c.EndedUS == nil {
		return 0
	}
	return math.MaxInt64
}

// finish finds the last runs of a capture. Damaged samples are passed over.
func (r *Recorder) finish(ctx context.Context, c store.Capture, t *run.Tracker) error {
	err := t.Finish(ctx)
	if errors.Is(err, store.ErrDamaged) {
		r.logger.Error("some stored samples are damaged", "capture", c.ID, "error", err)
		return t.Finish(ctx) // the damage is behind it now: this tells whether the rest was saved
	}
	return err
}

// completeEarlier completes the captures that a crash left open.
func (r *Recorder) completeEarlier(ctx context.Context) error {
	captures, err := r.store.OpenCaptures(ctx)
	if err != nil {
		return fmt.Errorf("list unfinished captures: %w", err)
	}
	for _, c := range captures {
		if c.Kind == store.Import {
			continue // its file is read again
		}
		r.logger.Info("completing a session that was cut off", "capture", c.ID)
		if err := r.complete(ctx, c, r.tracker(c)); err != nil {
			return fmt.Errorf("complete capture %s: %w", c.ID, err)
		}
	}
	return nil
}

// completeSession completes the session of this start.
func (r *Recorder) completeSession(ctx context.Context) error {
	r.mu.Lock()
	id, session := r.capture, r.session
	r.mu.Unlock()
	if session == nil {
		return nil
	}
	session.SetRejected(r.rejected())
	c, err := r.store.Capture(ctx, id)
	if err != nil {
		return err
	}
	return r.complete(ctx, c, session)
}

// complete finds the last runs of a capture, ends it with its last sample, and
// seals it.
func (r *Recorder) complete(ctx context.Context, c store.Capture, t *run.Tracker) error {
	if err := r.finish(ctx, c, t); err != nil {
		return err
	}
	ended := c.StartedUS
	sessions, _, err := r.store.Runs(ctx, store.RunFilter{Capture: c.ID, Kind: string(run.KindSession), Limit: 1})
	if err != nil {
		return err
	}
	if len(sessions) == 1 && sessions[0].EndedUS != nil {
		ended = sessions[0].EndedUS
	}
	if ended == nil {
		ended = new(int64)
	}
	if err := r.store.EndCapture(ctx, c.ID, *ended); err != nil {
		return err
	}
	return r.store.Seal(ctx, c.ID, t.Cursor())
}

// pauseFor waits and reports whether ctx still goes on.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
