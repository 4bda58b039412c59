// Package sourcetest checks that a source behaves as package source asks, and
// has a scriptable one that refuses, fails, hangs, panics, vanishes and comes
// back as told.
package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dynotap/sample"
	"dynotap/source"
)

// ErrRefused is what a refused Open returns unless the script says otherwise.
var ErrRefused = errors.New("connection refused")

// Step is one thing a Fake does, in Open or in Read.
type Step struct {
	times int // 0: for ever
	open  func(context.Context, *Fake) (source.Reader, error)
	read  func(context.Context, *reader, func(*sample.Batch) error) error
}

// Refuse fails the next n Opens with err.
func Refuse(n int, err error) Step {
	return Step{times: n, open: func(context.Context, *Fake) (source.Reader, error) { return nil, err }}
}

// RefuseAlways fails every Open from here on with err.
func RefuseAlways(err error) Step { return Refuse(0, err) }

// HangOpen blocks one Open until its context ends.
func HangOpen() Step {
	return Step{times: 1, open: func(ctx context.Context, _ *Fake) (source.Reader, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

// StickOpen blocks one Open for d whatever its context says, and then succeeds.
func StickOpen(d time.Duration) Step {
	return Step{times: 1, open: func(_ context.Context, f *Fake) (source.Reader, error) {
		<-time.After(d)
		return f.connect(nil), nil
	}}
}

// PanicOpen panics in one Open.
func PanicOpen(value any) Step {
	return Step{times: 1, open: func(context.Context, *Fake) (source.Reader, error) { panic(value) }}
}

// Connect lets one Open succeed. Its Reader does the given steps and then
// waits.
func Connect(reads ...Step) Step {
	return Step{times: 1, open: func(_ context.Context, f *Fake) (source.Reader, error) { return f.connect(reads), nil }}
}

// Data emits n samples, one batch a Read, times over.
func Data(times, n int) Step {
	return Step{times: times, read: func(_ context.Context, r *reader, emit func(*sample.Batch) error) error {
		return emit(r.batch(n))
	}}
}

// Stream emits n samples every d from here on.
func Stream(d time.Duration, n int) Step {
	return Step{read: func(ctx context.Context, r *reader, emit func(*sample.Batch) error) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return emit(r.batch(n))
		}
	}}
}

// Emit emits the given batch once.
func Emit(b *sample.Batch) Step {
	return Step{times: 1, read: func(_ context.Context, _ *reader, emit func(*sample.Batch) error) error { return emit(b) }}
}

// Glitch fails n Reads with err.
func Glitch(n int, err error) Step {
	return Step{times: n, read: func(context.Context, *reader, func(*sample.Batch) error) error { return err }}
}

// Vanish ends the connection: every Read from here on says that it is lost.
func Vanish() Step {
	return Glitch(0, fmt.Errorf("%w: the device vanished", source.ErrLost))
}

// PanicRead panics in one Read.
func PanicRead(value any) Step {
	return Step{times: 1, read: func(context.Context, *reader, func(*sample.Batch) error) error { panic(value) }}
}

// Quiet waits for d without data.
func Quiet(d time.Duration) Step {
	return Step{times: 1, read: func(ctx context.Context, r *reader, _ func(*sample.Batch) error) error {
		return r.wait(ctx, d)
	}}
}

// Restless returns from every Read at once and without data.
func Restless() Step {
	return Step{read: func(context.Context, *reader, func(*sample.Batch) error) error { return nil }}
}

// HoldBack waits for the context to end and then emits n samples, times over,
// before it says so.
func HoldBack(times, n int) Step {
	return Step{times: times, read: func(ctx context.Context, r *reader, emit func(*sample.Batch) error) error {
		<-ctx.Done()
		return emit(r.batch(n))
	}}
}

// StickRead blocks one Read until Close, whatever its context says.
func StickRead() Step {
	return Step{times: 1, read: func(_ context.Context, r *reader, _ func(*sample.Batch) error) error {
		<-r.closed
		return fmt.Errorf("%w: closed", source.ErrLost)
	}}
}

// DeafRead blocks one Read for d, whatever its context says and even if it is
// closed.
func DeafRead(d time.Duration) Step {
	return Step{times: 1, read: func(context.Context, *reader, func(*sample.Batch) error) error {
		<-time.After(d)
		return nil
	}}
}

// Fake is a source that follows a script: each Open takes the next step. After
// the last one every Open succeeds and its Reader waits.
type Fake struct {
	mu     sync.Mutex
	script []Step
	done   int // how often the first step of script has been done
	seen   Record
	live   int
	set    *sample.ChannelSet
	next   int64
}

// Record is what a Fake saw.
type Record struct {
	Opens   []time.Time // beginning of each Open
	Closes  int
	Reads   int
	Emitted int64 // samples
	MaxOpen int   // readers open at once, at most
}

// NewFake makes a source with the given script.
func NewFake(script ...Step) *Fake {
	return &Fake{script: script, set: sample.NewChannelSet("fake", []sample.Channel{
		{Key: "FAKE/1/0", Provider: "FAKE", ID: 1, Label: "Engine RPM", NativeUnit: sample.RPM},
		{Key: "FAKE/2/0", Provider: "FAKE", ID: 2, Label: "Power", NativeUnit: sample.Kilowatt},
	})}
}

// Record gives what has been seen so far.
func (f *Fake) Record() Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.seen
	r.Opens = append([]time.Time(nil), r.Opens...)
	return r
}

// Live is the number of readers that are open.
func (f *Fake) Live() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

// Open does the script's next step.
func (f *Fake) Open(ctx context.Context) (source.Reader, error) {
	f.mu.Lock()
	f.seen.Opens = append(f.seen.Opens, time.Now())
	step := Connect()
	if len(f.script) > 0 {
		step = f.script[0]
		if f.done++; f.done == step.times {
			f.script, f.done = f.script[1:], 0
		}
	}
	f.mu.Unlock()
	return step.open(ctx, f)
}

func (f *Fake) connect(reads []Step) *reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live++
	f.seen.MaxOpen = max(f.seen.MaxOpen, f.live)
	return &reader{fake: f, script: reads, closed: make(chan struct{})}
}

// batch makes n samples that alternate between the two channels.
func (r *reader) batch(n int) *sample.Batch {
	f := r.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	r.samples += int64(n)
	b := &sample.Batch{Source: "fake", Set: f.set, Priority: sample.High, Received: sample.Micros(time.Now())}
	for i := range n {
		f.next++
		b.Samples = append(b.Samples, sample.Sample{Time: b.Received, Value: float64(f.next), Channel: uint32(i % 2)})
	}
	f.seen.Emitted += int64(n)
	return b
}

// reader follows its part of the script.
type reader struct {
	fake   *Fake
	script []Step
	done   int
	once   sync.Once
	closed chan struct{}

	samples int64 // emitted; guarded by fake.mu
}

// Read does the next step.
func (r *reader) Read(ctx context.Context, emit func(*sample.Batch) error) error {
	r.fake.mu.Lock()
	r.fake.seen.Reads++
	r.fake.mu.Unlock()
	if len(r.script) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	step := r.script[0]
	if r.done++; r.done == step.times {
		r.script, r.done = r.script[1:], 0
	}
	return step.read(ctx, r, emit)
}

// wait lets d pass over as many Reads as it takes.
func (r *reader) wait(ctx context.Context, d time.Duration) error {
	began := time.Now()
	select {
	case <-ctx.Done():
		if left := d - time.Since(began); left > 0 {
			r.script = append([]Step{Quiet(left)}, r.script...)
		}
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// BytesReceived counts eight bytes a sample that this reader has emitted.
func (r *reader) BytesReceived() int64 {
	r.fake.mu.Lock()
	defer r.fake.mu.Unlock()
	return 8 * r.samples
}

// Close ends the connection.
func (r *reader) Close() error {
	err := errors.New("closed twice")
	r.once.Do(func() {
		close(r.closed)
		r.fake.mu.Lock()
		r.fake.live--
		r.fake.seen.Closes++
		r.fake.mu.Unlock()
		err = nil
	})
	return err
}
