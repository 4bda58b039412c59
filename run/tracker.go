package run

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync"

	"dynotap/sample"
	"dynotap/store"
)

// Settings adjust a Tracker; zero fields take their defaults.
type Settings struct {
	Pulls PullSettings
	// Now gives the time in µs on the capture's time base, by which a
	// recording is entered that no samples follow; required.
	Now func() int64
}

const (
	// stepChunks bounds one Step.
	stepChunks = 512
	// saveMicros is how much time the samples may go on before the session is
	// saved, and how much of a crashed session is looked at again.
	saveMicros = 5_000_000
	// maxPeaks bounds how many values are remembered.
	maxPeaks = 64
	// stateVersion is that of the saved state; another one is not read.
	stateVersion = 1
)

// Tracker makes the runs of one capture while it grows: its session, the pulls
// in it, and recordings. It follows the committed chunks by a cursor and saves
// runs, cursor and its own state in one transaction: a Tracker made anew for
// the capture goes on where the last one had saved, and finds the same runs
// under the same ids, each once. Chunks after Cursor must not be sealed.
//
// Batches that come later than half a second are counted in every summary they
// belong to, but no pull is looked for in them again.
//
// Recordings may be started and stopped from any goroutine, also during Step;
// Step and Finish are for one goroutine at a time.
type Tracker struct {
	archive  Archive
	capture  store.Capture
	settings Settings

	loaded  bool
	rebuild bool // tally and times do not hold all samples: ask the store
	changed bool // chunks were taken since the last save
	cursor  int64
	saved   int64 // newest sample time when the session was saved last
	settled int64 // end of the last run that was summarised
	late    span  // samples that came after that
	newest  int64 // newest sample time
	pulls   int   // that were saved
	pending []Pull
	tally   tally
	times   times
	found   *Detector
	heard   map[sample.SetID][]input
	peaks   known // the rpm at the session's peaks so far

	mu         sync.Mutex
	recordings []*recording
	recorded   int
	rejected   int64
	durable    int64 // cursor as saved
}

// span is an interval of time, bounds included.
type span struct {
	Any      bool
	From, To int64
}

func (s *span) add(from, to int64) {
	if !s.Any {
		*s = span{Any: true, From: from, To: to}
	}
	s.From, s.To = min(s.From, from), max(s.To, to)
}

// state is what a Tracker saves of itself.
type state struct {
	Version    int
	Saved      int64
	Settled    int64
	Newest     int64
	Pulls      int
	Tally      tally
	Times      times
	Detector   *Detector
	Recordings []recording
	Recorded   int
	Rejected   int64
}

// NewTracker makes the tracker of a capture. Nothing is read before Step.
func NewTracker(a Archive, c store.Capture, s Settings) *Tracker {
	return &Tracker{
		archive: a, capture: c, settings: s,
		newest: math.MinInt64, settled: math.MinInt64, saved: math.MinInt64,
		found: NewDetector(s.Pulls), peaks: known{},
	}
}

// Cursor is the last chunk that has been dealt with durably: those up to it
// may be sealed. 0 before the first Step.
func (t *Tracker) Cursor() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.durable
}

// SetRejected says how many samples of the capture validation has dropped so
// far; the session's summary carries it.
func (t *Tracker) SetRejected(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rejected = n
}

// Step looks at a bounded number of new chunks and saves what follows. More
// says that there may be further ones at once. After an error the next Step
// tries again; one that wraps store.ErrDamaged tells of chunks that cannot be
// read, which are passed over.
func (t *Tracker) Step(ctx context.Context) (more bool, err error) {
	if err := t.load(ctx); err != nil {
		return false, err
	}
	more, err = t.follow(ctx)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return false, err
	}
	return more, errors.Join(err, t.save(ctx, false))
}

// Finish looks at all that is left and ends the capture's runs with its last
// sample. It may be called again, by a new Tracker too, when batches came
// late.
func (t *Tracker) Finish(ctx context.Context) error {
	if err := t.load(ctx); err != nil {
		return err
	}
	var damage error
	for more := true; more; {
		var err error
		if more, err = t.follow(ctx); err != nil && !errors.Is(err, store.ErrDamaged) {
			return err
		}
		damage = errors.Join(damage, err)
		if err := t.save(ctx, false); err != nil {
			return errors.Join(damage, err)
		}
	}
	t.found.Flush()
	t.closeRecordings(t.newest)
	return errors.Join(damage, t.save(ctx, true))
}

// load takes up what was saved.
func (t *Tracker) load(ctx context.Context) error {
	if t.loaded {
		return nil
	}
	saved, err := t.archive.Load(ctx, t.capture.ID)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loaded, t.cursor, t.durable = true, saved.Cursor, saved.Cursor
	var s state
	switch {
	case saved.Cursor == 0 && saved.State == nil && len(saved.Runs) == 0:
		return nil
	case json.Unmarshal(saved.State, &s) == nil && s.Version == stateVersion && s.Detector != nil:
		t.saved, t.settled, t.newest, t.pulls = s.Saved, s.Settled, s.Newest, s.Pulls
		s.Detector.Settings = t.found.Settings
		t.tally, t.times, t.found = s.Tally, s.Times, s.Detector
		t.rejected = max(t.rejected, s.Rejected)
		t.recorded += s.Recorded
		for _, r := range s.Recordings {
			t.recordings = append(t.recordings, &r)
		}
		return nil
	}
	// Finished before, or by another version: the samples themselves tell.
	t.rebuild = true
	for i := range saved.Runs {
		if err := t.recall(&saved.Runs[i]); err != nil {
			return err
		}
	}
	return nil
}

// recall learns what a run tells that was saved without a state.
func (t *Tracker) recall(record *store.Run) error {
	r, err := FromStore(*record, t.capture.TimeBase)
	if err != nil {
		return err
	}
	end := int64(math.MinInt64)
	if r.To != nil {
		end = *r.To
	}
	switch r.Kind {
	case t.sessionKind():
		t.rejected = max(t.rejected, r.Rejected)
		if r.From != nil {
			t.newest = *r.From + 1000*r.DurationMS
		}
		return nil
	case KindPull:
		t.pulls++
		t.found.Floor = max(t.found.Floor, end)
	case KindRecording:
		t.recorded++
		if r.To == nil && r.From != nil {
			t.recordings = append(t.recordings, &recording{ID: r.ID, Name: r.Name, Start: *r.From, Entered: true})
		}
	}
	t.settled = max(t.settled, end)
	return nil
}

// follow looks at new chunks.
func (t *Tracker) follow(ctx context.Context) (more bool, err error) {
	n := 0
	last, err := t.archive.Chunks(ctx, t.capture.ID, t.cursor, stepChunks, func(seq int64, b *sample.Batch) error {
		t.take(b)
		t.cursor = seq
		n++
		return nil
	})
	if last > t.cursor {
		t.cursor = last
		n++
	}
	t.changed = t.changed || n > 0
	return n >= stepChunks, err
}

// take looks at one batch.
func (t *Tracker) take(b *sample.Batch) {
	if len(b.Samples) == 0 {
		return
	}
	inputs := t.inputs(b.Set)
	first, last := b.Samples[0].Time, b.Samples[0].Time
	for i := range b.Samples {
		s := &b.Samples[i]
		first, last = min(first, s.Time), max(last, s.Time)
		if !t.rebuild {
			t.times.add(s.Time)
		}
		if in := &inputs[s.Channel]; in.wanted {
			t.found.Feed(in.Input, s.Time, in.conv.Apply(s.Value), s.Quality)
		}
	}
	if !t.rebuild {
		t.tally.addBatch(t.capture.Source, b)
	}
	t.found.Advance(last)
	if first < t.newest-aroundPeak || len(t.peaks) > maxPeaks {
		clear(t.peaks)
	}
	t.newest = max(t.newest, last)
	if first <= t.settled {
		t.late.add(first, min(last, t.settled))
	}
}

// input is what the detector hears of a channel.
type input struct {
	Input
	wanted bool
	conv   sample.Conversion
}

// inputs gives the inputs of a set's channels, remembering them: a source
// changes its set seldom.
func (t *Tracker) inputs(set *sample.ChannelSet) []input {
	if list, ok := t.heard[set.ID()]; ok {
		return list
	}
	if t.heard == nil || len(t.heard) == maxSets {
		t.heard = map[sample.SetID][]input{}
	}
	list := make([]input, set.Len())
	for i := range list {
		ch := &set.Channels()[i]
		list[i] = input{
			Input:  Input{Device: set.Source() + "/" + ch.Provider, Name: ch.Name, ID: ch.ID},
			wanted: Wants(ch.Name), conv: ch.Conversion(),
		}
	}
	t.heard[set.ID()] = list
	return list
}
