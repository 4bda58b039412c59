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
	defer func() { im.opts.Ledger.Abandon(f.Name, s.inQueue, reasonBroken) }()
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
	assumed map[string]bool // keys of channels whose unit nobody gave

	from, to int64           // of what was kept
	samples  int             // of this run
	kept     []sample.Sample // the first of them, up to inMemorySamples
	inQueue  int             // of them, booked as queued
	unsealed int
	rejected map[string]int64
}

type prepared struct {
	set    *sample.ChannelSet
	plan   *validate.Plan
	stored bool
}

func (im *Importer) newSink(ctx context.Context, o *original, name string) (*sink, error) {
	settings := queue.Defaults()
	settings.MaxSize, settings.BatchSize, settings.DropOnFull = 2*waiting, waiting, false
	s := &sink{
		ctx: ctx, im: im, file: o, process: pipeline.Deliver(im.opts.Store),
		report: Report{File: o.name, Format: name, Runs: []run.Run{}, Errors: []format.Problem{}, Warnings: []string{}},
	}
	q, err := queue.New(memory.New(), settings, queue.Options{
		Logger: im.opts.Logger, Observer: s.book,
		Apply: func(ctx context.Context, effects []db.Effect) []error {
			return pipeline.ApplyEach(ctx, im.opts.DB, effects)
		},
	})
	if err != nil {
		return nil, err
	}
	s.queue = q
	return s, nil
}

// reasonBroken is why samples are dropped of a file whose import ended early.
// While the program lives it is read again; then they are received again.
const reasonBroken = "import_broken_off"

// book passes on what becomes of samples in the queue. It goes with the import,
// and its dead letters with it.
func (s *sink) book(e queue.Event) {
	if e.To == queue.Dead {
		e.To, e.Reason = queue.Dropped, reasonBroken
	}
	if e.From == queue.Queued && e.To != queue.Queued {
		s.inQueue -= e.Samples
	}
	s.im.opts.Ledger.Observe(e)
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
	s.sets, s.order, s.rejected, s.assumed = map[*sample.ChannelSet]*prepared{}, nil, map[string]int64{}, map[string]bool{}
	s.from, s.to, s.samples, s.unsealed, s.kept = math.MaxInt64, math.MinInt64, 0, 0, s.kept[:0]
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
	received := len(b.Samples)
	keep := p.plan.Check(b.Samples, &found)
	var failed map[string]int64
	for reason, n := range found.Rejected {
		if n > 0 {
			name := validate.Reason(reason).String()
			if failed == nil {
				failed = map[string]int64{}
			}
			failed[name] = int64(n)
			s.rejected[name] += int64(n)
		}
	}
	s.im.opts.Ledger.Receive(s.report.Format, received, failed)
	s.inQueue += len(keep)
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
	if s.samples <= inMemorySamples {
		s.kept = append(s.kept, keep...)
	} else {
		s.kept = nil
	}
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
	for _, c := range set.Channels() {
		if s.im.opts.Resolver.AssumesUnit(c) {
			s.assumed[c.Key] = true
		}
	}
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
