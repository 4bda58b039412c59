package run

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"dynotap/store"
)

// save enters what has changed. The session is saved every saveMicros of data
// and with everything else.
func (t *Tracker) save(ctx context.Context, final bool) error {
	t.pending = append(t.pending, t.found.Take()...)
	recordings := t.ripe(final)
	due := final || len(t.pending) > 0 || len(recordings) > 0 ||
		t.changed && (t.saved == math.MinInt64 || t.newest-t.saved >= saveMicros)
	if !due {
		return nil
	}
	runs, err := t.runs(ctx, recordings, final)
	if err != nil {
		return err
	}
	settled := t.settled
	for i := range runs {
		if runs[i].Kind != t.sessionKind() && runs[i].To != nil {
			settled = max(settled, *runs[i].To)
		}
	}
	keep := t.state(recordings)
	keep.Settled = settled
	var state []byte
	if !final {
		if state, err = json.Marshal(keep); err != nil {
			return fmt.Errorf("keep the state of runs: %w", err)
		}
	}
	if err := t.archive.Save(ctx, t.capture.ID, t.cursor, state, runs); err != nil {
		return err
	}
	t.pulls += len(t.pending)
	t.pending, t.late, t.changed = nil, span{}, false
	t.saved, t.settled = t.newest, settled
	t.entered(recordings)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.durable = t.cursor
	return nil
}

// ripe gives the recordings that there is something to save of: begun, or
// ended and complete.
func (t *Tracker) ripe(final bool) (list []recording) {
	all, _ := t.snapshot()
	for _, r := range all {
		switch {
		case !r.Closed && !r.Entered:
		case r.Closed && (final || t.newest >= r.End+settleMicros || t.settings.Now() >= r.End+3*settleMicros):
		default:
			continue
		}
		list = append(list, r)
	}
	return list
}

// runs makes the runs to be saved, the session among them.
func (t *Tracker) runs(ctx context.Context, recordings []recording, final bool) ([]Run, error) {
	session, err := t.session(ctx, final)
	if err != nil {
		return nil, err
	}
	list := []Run{session}
	for i, p := range t.pending {
		r := t.run(idOf(t.capture.ID, KindPull, p.Start), KindPull, p.title(t.pulls+i+1), p.Start)
		if err := t.end(ctx, &r, p.End); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	for _, rec := range recordings {
		r := t.run(rec.ID, KindRecording, rec.Name, rec.Start)
		if rec.Closed {
			if err := t.end(ctx, &r, rec.End); err != nil {
				return nil, err
			}
		}
		list = append(list, r)
	}
	again, err := t.again(ctx)
	if err != nil {
		return nil, err
	}
	list = append(list, again...)
	for i := range list {
		list[i].StartedAt = startedAt(list[i].From, t.capture.TimeBase)
	}
	return list, nil
}

// run makes a run that goes on.
func (t *Tracker) run(id string, kind Kind, name string, from int64) Run {
	return Run{
		ID: id, Capture: t.capture.ID, Kind: kind, Source: t.capture.Source, Name: name, From: new(from),
		Summary: Summary{Channels: []ChannelSummary{}},
	}
}

// end ends a run and summarises it.
func (t *Tracker) end(ctx context.Context, r *Run, to int64) (err error) {
	r.To = new(to)
	r.Summary, err = Summarise(ctx, t.archive, t.capture.ID, *r.From, to)
	if err != nil {
		return fmt.Errorf("summarise %s: %w", r.Name, err)
	}
	return nil
}

// again summarises the runs anew that late samples belong to.
func (t *Tracker) again(ctx context.Context) (list []Run, err error) {
	if !t.late.Any {
		return nil, nil
	}
	saved, err := t.archive.Load(ctx, t.capture.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range saved.Runs {
		if Kind(s.Kind) == t.sessionKind() || s.StartedUS == nil || s.EndedUS == nil ||
			*s.StartedUS > t.late.To || *s.EndedUS < t.late.From {
			continue
		}
		r := t.run(s.ID, Kind(s.Kind), s.Name, *s.StartedUS)
		if err := t.end(ctx, &r, *s.EndedUS); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func (t *Tracker) sessionKind() Kind {
	if t.capture.Kind == store.Import {
		return KindImport
	}
	return KindSession
}

// session makes the run of the whole capture.
func (t *Tracker) session(ctx context.Context, final bool) (Run, error) {
	start := int64(0)
	if t.capture.StartedUS != nil {
		start = *t.capture.StartedUS
	}
	r := t.run(idOf(t.capture.ID, t.sessionKind(), start), t.sessionKind(), "Session", start)
	if r.Kind == KindImport {
		r.Name = "Import"
	}
	g := gathering{reader: t.archive, capture: t.capture.ID, memory: memorySamples, newest: t.newest}
	if !final && !t.rebuild {
		g.known = t.peaks
	}
	points, err := t.points(ctx, &g)
	if err == nil {
		r.Summary, err = g.summary(ctx, points)
	}
	if err == nil && final {
		err = g.derivePeaks(ctx, &r.Summary, math.MinInt64, math.MaxInt64)
	}
	if err != nil {
		return Run{}, fmt.Errorf("summarise the session: %w", err)
	}
	t.mu.Lock()
	r.Rejected = t.rejected
	t.mu.Unlock()
	if g.tally.Samples > 0 {
		r.From = new(g.tally.First)
	}
	if final {
		r.To = r.From
		if g.tally.Samples > 0 {
			r.To = new(g.tally.Last)
		}
	}
	return r, nil
}

// points puts the capture's samples into g and gives their distinct times.
func (t *Tracker) points(ctx context.Context, g *gathering) (int64, error) {
	if t.rebuild {
		return g.gather(ctx, math.MinInt64, math.MaxInt64)
	}
	g.tally = t.tally
	err := t.times.recount(func(from, to int64) (int64, error) { return g.countTimes(ctx, from, to) })
	return t.times.total(), err
}

// state is what is kept once saved is durable.
func (t *Tracker) state(saved []recording) *state {
	all, recorded := t.snapshot()
	s := &state{
		Version: stateVersion, Saved: t.newest, Settled: t.settled, Newest: t.newest,
		Pulls: t.pulls + len(t.pending), Tally: t.tally, Times: t.times.frozen(), Detector: t.found, Recorded: recorded,
	}
	for _, r := range all {
		done := false
		for _, d := range saved {
			if d.ID == r.ID {
				r.Entered, done = true, d.Closed
			}
		}
		if !done {
			s.Recordings = append(s.Recordings, r)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Rejected = t.rejected
	return s
}
