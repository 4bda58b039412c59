package imports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"dynotap/format"
	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/run"
	"dynotap/sample"
	"dynotap/store"
	"dynotap/validate"
)

const (
	// waiting is how many batches are gathered for one commit.
	waiting = 16
	// sealEvery is after how many samples a long file is sealed so far, so that
	// the database stays small.
	sealEvery = 8_000_000
	// maxWarnings bounds what a report lists; the rest is counted.
	maxWarnings = 100
	// inMemorySamples is up to how many samples of a run are analysed in memory,
	// 24 bytes each.
	inMemorySamples = 400_000
)

// failure is an error of ours, not of the file.
type failure struct{ err error }

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

// read decodes an accepted file and stores its runs. *RefusedError: the file
// holds no sample.
func (im *Importer) read(ctx context.Context, o *original, f format.Named, confidence format.Confidence, progress func(done, size int64)) (Report, error) {
	s, err := im.newSink(ctx, o, f.Name)
	if err != nil {
		return Report{}, err
	}
	s.report.Confidence = confidence
	in := &meter{in: o.file, size: o.size, tell: progress}
	err = f.Format.Read(ctx, in, o.size, s)
	var ours failure
	switch {
	case ctx.Err() != nil:
		return s.report, ctx.Err()
	case errors.As(err, &ours):
		return s.report, fmt.Errorf("store %s: %w", o.name, ours.err)
	}
	if ended := s.endRun(); ended != nil {
		return s.report, fmt.Errorf("store %s: %w", o.name, ended)
	}
	if len(s.report.Runs) == 0 {
		return s.report, &RefusedError{o.name, s.nothing(err)}
	}
	if err != nil { // the rest of the file is lost
		s.Problem(problemOf(err))
	}
	s.report.Errors, s.report.ErrorCount = s.problems.Kept, s.problems.Count
	if err := s.close(); err != nil {
		return s.report, fmt.Errorf("store %s: %w", o.name, err)
	}
	return s.report, nil
}

func problemOf(err error) format.Problem {
	var at *format.Error
	if errors.As(err, &at) {
		p := format.Problem{Line: at.Line, Message: at.Err.Error()}
		if at.Line == 0 {
			p.Message = at.Error()
		}
		return p
	}
	return format.Problem{Message: err.Error()}
}

// meter tells how far a file has been read.
type meter struct {
	in   io.ReaderAt
	size int64
	done int64
	tell func(done, size int64)
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.in.ReadAt(p, off)
	if end := off + int64(n); m.tell != nil && end > m.done {
		m.done = end
		m.tell(end, m.size)
	}
	return n, err
}

// sink stores the runs of one file.
type sink struct {
	ctx      context.Context
	im       *Importer
	file     *original
	report   Report
	problems format.Problems
	silent   int // warnings beyond the list

	queue   *queue.Queue
	process queue.Processor
	fill    int

	begun   *format.Run
	capture *store.Capture // nil before the run's first sample
	first   store.Capture  // of the first run, which keeps the report
	ended   *ended
	ids     *sample.BatchIDs
	sets    map[*sample.ChannelSet]*prepared
	order   []*prepared

	from, to int64 // of what was kept
	samples  int   // of this run
	unsealed int
	rejected map[string]int64
}

type prepared struct {
	set    *sample.ChannelSet
	plan   *validate.Plan
	stored bool
}

// ended is a run whose samples are all stored and that is to be entered.
type ended struct {
	capture string
	runs    []run.Run // the file's, then its pulls
	endedUS int64
}

func (im *Importer) newSink(ctx context.Context, o *original, name string) (*sink, error) {
	settings := queue.Defaults()
	settings.MaxSize, settings.BatchSize, settings.DropOnFull = 2*waiting, waiting, false
	q, err := queue.New(memory.New(), settings, queue.Options{
		Logger: im.opts.Logger,
		Apply: func(ctx context.Context, effects []db.Effect) []error {
			return pipeline.ApplyEach(ctx, im.opts.DB, effects)
		},
	})
	if err != nil {
		return nil, err
	}
	return &sink{
		ctx: ctx, im: im, file: o, queue: q, process: pipeline.Deliver(im.opts.Store),
		report: Report{File: o.name, Format: name, Runs: []run.Run{}, Errors: []format.Problem{}, Warnings: []string{}},
	}, nil
}

// nothing says why a file gave no sample.
func (s *sink) nothing(err error) error {
	if err != nil {
		return err
	}
	if len(s.problems.Kept) > 0 {
		p := s.problems.Kept[0]
		return fmt.Errorf("no sample could be read (%d errors), the first in line %d, column %d: %s", s.problems.Count, p.Line, p.Column, p.Message)
	}
	text := fmt.Sprintf("it reads as %s, but has no samples", s.report.Format)
	if len(s.report.Warnings) > 0 {
		text += ": " + strings.Join(s.report.Warnings, "; ")
	}
	return errors.New(text)
}

func (s *sink) Problem(p format.Problem) { s.problems.Add(p) }

func (s *sink) Warn(text string) {
	if slices.Contains(s.report.Warnings, text) {
		return
	}
	if len(s.report.Warnings) >= maxWarnings {
		s.silent++
		return
	}
	s.report.Warnings = append(s.report.Warnings, text)
}

func (s *sink) Begin(r format.Run) error {
	if err := s.endRun(); err != nil {
		return failure{err}
	}
	s.begun, s.capture = &r, nil
	s.sets, s.order, s.rejected = map[*sample.ChannelSet]*prepared{}, nil, map[string]int64{}
	s.from, s.to, s.samples, s.unsealed = math.MaxInt64, math.MinInt64, 0, 0
	return nil
}

func (s *sink) Batch(b *sample.Batch) error {
	if err := s.batch(b); err != nil {
		return failure{err}
	}
	return nil
}

func (s *sink) batch(b *sample.Batch) error {
	if s.begun == nil {
		return errors.New("samples came before their run")
	}
	if len(b.Samples) == 0 {
		return nil
	}
	p := s.prepare(b.Set)
	var found validate.Counts
	keep := p.plan.Check(b.Samples, &found)
	for reason, n := range found.Rejected {
		if n > 0 {
			s.rejected[validate.Reason(reason).String()] += int64(n)
		}
	}
	if len(keep) == 0 {
		return nil
	}
	for i := range keep {
		s.from, s.to = min(s.from, keep[i].Time), max(s.to, keep[i].Time)
	}
	if err := s.open(p); err != nil {
		return err
	}
	out := sample.Batch{
		ID: s.ids.Next(), Source: s.report.Format, Capture: s.capture.ID, Set: p.set, Priority: sample.Bulk,
		Received: s.im.opts.Now(), Clock: sample.ClockFile, Samples: keep,
	}
	item := queue.Item{Source: out.Source, Priority: out.Priority, Samples: len(keep), Payload: sample.AppendBatch(nil, &out)}
	if _, err := s.queue.Enqueue(s.ctx, item); err != nil {
		return err
	}
	s.samples += len(keep)
	s.unsealed += len(keep)
	if s.fill++; s.fill >= waiting {
		return s.drain()
	}
	return nil
}

func (s *sink) prepare(set *sample.ChannelSet) *prepared {
	if p, ok := s.sets[set]; ok {
		return p
	}
	// The set is the format's, whatever name that gave it, so that keys are those of the file.
	resolved := sample.NewChannelSet(s.report.Format, s.im.opts.Resolver.ResolveSet(set).Channels())
	p := &prepared{set: resolved, plan: validate.Compile(resolved, s.im.opts.Validation(s.report.Format), s.im.opts.Ranges)}
	s.sets[set] = p
	s.order = append(s.order, p)
	return p
}

// open enters the run's capture with its first sample, and each set before the
// first batch that points into it.
func (s *sink) open(p *prepared) error {
	if s.capture != nil {
		if p.stored {
			return nil
		}
		p.stored = true
		return s.im.opts.Store.PutSet(s.ctx, p.set)
	}
	index := len(s.report.Runs)
	prefix := sha256.Sum256(fmt.Appendf(nil, "%s %d", s.file.hash, index))
	c := store.Capture{
		ID: runID(s.file.hash, index), Kind: store.Import, Source: s.report.Format, TimeBase: store.Relative,
		Attributes: map[string]string{
			attributeFile: s.file.name, attributeFormat: s.report.Format, attributeHash: s.file.hash, attributeZone: s.im.opts.Zone,
			store.AttributeBatchPrefix: hex.EncodeToString(prefix[:8]),
		},
	}
	if s.begun.Dated {
		c.TimeBase, c.StartedUS = store.Absolute, new(s.from)
	}
	if err := s.im.opts.Store.PutCaptureAndSet(s.ctx, c, p.set); err != nil {
		return err
	}
	p.stored = true
	s.capture, s.ids = &c, sample.ContentBatchIDs(prefix)
	if index == 0 {
		s.first = c
	}
	return nil
}

// drain stores what waits.
func (s *sink) drain() error {
	s.fill = 0
	done, err := s.queue.Drain(s.ctx, s.process, -1)
	if err != nil {
		return err
	}
	if done.Failed > 0 || done.Left > 0 {
		return s.lastError()
	}
	if s.unsealed >= sealEvery {
		s.unsealed = 0
		return s.im.opts.Store.Seal(s.ctx, s.capture.ID, 0)
	}
	return nil
}

// lastError is why a batch could not be stored.
func (s *sink) lastError() error {
	items, err := s.queue.Peek(s.ctx, 1)
	if err == nil && len(items) > 0 {
		return errors.New(items[0].LastError)
	}
	return errors.Join(errors.New("some batches could not be stored"), err)
}

// endRun completes the run that was begun: sealed, summarised, with its pulls.
func (s *sink) endRun() error {
	if s.begun == nil {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer func() { s.begun = nil }()
	for _, reason := range slices.Sorted(maps.Keys(s.rejected)) {
		s.Warn(fmt.Sprintf("%d samples were rejected: %s", s.rejected[reason], strings.ReplaceAll(reason, "_", " ")))
	}
	if s.capture == nil {
		if s.begun.Name != "" {
			s.Warn(fmt.Sprintf("run %q has no samples", s.begun.Name))
		}
		return nil
	}
	if err := s.drain(); err != nil {
		return err
	}
	runs, err := s.analyse()
	if err != nil {
		return err
	}
	s.report.Runs = append(s.report.Runs, runs[0])
	s.ended = &ended{s.capture.ID, runs, s.im.opts.Now()}
	if s.begun.Dated {
		s.ended.endedUS = s.to
	}
	return nil
}

// enter saves the run that has ended, with more in the same commit.
func (s *sink) enter(also ...db.Effect) error {
	e := s.ended
	s.ended = nil
	if e == nil {
		return nil
	}
	also = append(also, store.EndEffect(e.capture, e.endedUS))
	return s.im.archive.Save(s.ctx, e.capture, 0, nil, e.runs, also...)
}

// inMemory is an archive of which one capture is read from memory.
type inMemory struct {
	run.Archive
	snapshot *run.Snapshot
}

func (a inMemory) Read(ctx context.Context, q store.Query, fn func(*store.Channel, []store.Point) error) error {
	return a.snapshot.Read(ctx, q, fn)
}

// analyse makes the run of the file's samples, and those of the pulls in it.
// What is small is read once, and sealed whenever what was recorded is; the rest
// is sealed before, because it is read several times and files know where each
// channel lies.
func (s *sink) analyse() ([]run.Run, error) {
	archive := s.im.archive
	if s.samples <= inMemorySamples {
		snapshot, err := run.TakeSnapshot(s.ctx, archive, s.capture.ID)
		if err != nil {
			return nil, err
		}
		archive = inMemory{archive, snapshot}
	} else if err := s.im.opts.Store.Seal(s.ctx, s.capture.ID, 0); err != nil {
		return nil, err
	}
	r, err := s.summarise(archive)
	if err != nil {
		return nil, err
	}
	pulls, err := run.PullRuns(s.ctx, archive, *s.capture, run.PullSettings{})
	s.report.Pulls += len(pulls)
	if len(pulls) == 1 && isWhole(&pulls[0], &r) {
		pulls = nil
	}
	return append([]run.Run{r}, pulls...), err
}

// isWhole reports whether a file is one pull, which needs no second entry in
// the list: it takes nine tenths of the time.
func isWhole(pull, file *run.Run) bool { return 10*pull.DurationMS >= 9*file.DurationMS }

func (s *sink) summarise(archive run.Archive) (run.Run, error) {
	index := len(s.report.Runs)
	name := s.begun.Name
	if name == "" {
		name = strings.TrimSuffix(s.file.name, filepath.Ext(s.file.name))
		if index > 0 {
			name = fmt.Sprintf("%s (%d)", name, index+1)
		}
	}
	r := run.Run{
		ID: s.capture.ID, Capture: s.capture.ID, Kind: run.KindImport, Source: s.capture.Source, Name: name,
		Notes: s.notes(), Tags: []string{}, From: new(s.from), To: new(s.to),
	}
	if s.begun.Dated {
		r.StartedAt = new(sample.Time(s.from))
	}
	var err error
	r.Summary, err = run.Summarise(s.ctx, archive, s.capture.ID, s.from, s.to)
	for _, n := range s.rejected {
		r.Rejected += n
	}
	r.Channels = s.withEmpty(r.Channels)
	return r, err
}

// notes is what the file's head says.
func (s *sink) notes() string {
	lines := slices.Clone(s.begun.Notes)
	for _, key := range slices.Sorted(maps.Keys(s.begun.Facts)) {
		lines = append(lines, key+": "+s.begun.Facts[key])
	}
	return strings.Join(lines, "\n")
}

// withEmpty adds the channels that the file has and that never hold a value.
func (s *sink) withEmpty(list []run.ChannelSummary) []run.ChannelSummary {
	has := map[string]bool{}
	for i := range list {
		has[list[i].Key] = true
	}
	for _, p := range s.order {
		for _, c := range p.set.Channels() {
			if has[c.Key] {
				continue
			}
			has[c.Key] = true
			list = append(list, run.ChannelSummary{
				Key: c.Key, Device: c.Provider, Label: c.Label, Name: c.Name, Unit: c.Unit, NativeUnit: c.NativeUnit,
			})
		}
	}
	return list
}

// close keeps the report, so that the same file is known again with what was
// wrong with it.
func (s *sink) close() error {
	if s.silent > 0 {
		s.report.Warnings = append(s.report.Warnings, fmt.Sprintf("and %d more warnings", s.silent))
	}
	k := kept{Report: s.report, Runs: len(s.report.Runs)}
	k.Report.Runs = nil
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	s.first.Attributes[attributeReport] = string(text)
	effect, err := store.CaptureEffect(s.first)
	if err != nil {
		return err
	}
	return s.enter(effect)
}
