// Package sourcetest checks that a source behaves as package source asks, and
// has a scriptable one that refuses, fails, hangs, panics, vanishes and comes
// back as told.
package sourcetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"dynotap/sample"
	"dynotap/source"
)

// ErrRefused is what a refused Open returns unless the script says otherwise.
var ErrRefused = errors.New("connection refused")

// Fake is a source that follows a script: each Open takes the next step. After
// the last one every Open succeeds and its Reader waits. One that is made by
// Through goes on to a source of flesh and blood instead of waiting.
type Fake struct {
	inner  source.Source // nil: none
	moment func()        // called before and after each Open, Read, emit and Close; nil: none

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

// Through makes a source that does the script's faults between the supervisor
// and a source that works: where the script says nothing, that one answers.
func Through(inner source.Source, script ...Step) *Fake {
	f := NewFake(script...)
	f.inner = inner
	return f
}

// passes tells whoever counts the moments.
func (f *Fake) passes() {
	if f.moment != nil {
		f.moment()
	}
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
	f.passes()
	defer f.passes()
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

func (f *Fake) connect(ctx context.Context, reads []Step) (source.Reader, error) {
	var inner source.Reader
	if f.inner != nil {
		var err error
		if inner, err = f.inner.Open(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live++
	f.seen.MaxOpen = max(f.seen.MaxOpen, f.live)
	return &reader{fake: f, inner: inner, script: reads, closed: make(chan struct{})}, nil
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
	inner  source.Reader // nil: none
	script []Step
	done   int
	once   sync.Once
	closed chan struct{}

	samples int64 // emitted; guarded by fake.mu
}

// Read does the next step.
func (r *reader) Read(ctx context.Context, emit func(*sample.Batch) error) error {
	r.fake.passes()
	defer r.fake.passes()
	r.fake.mu.Lock()
	r.fake.seen.Reads++
	r.fake.mu.Unlock()
	watched := func(b *sample.Batch) error {
		r.fake.passes()
		defer r.fake.passes()
		return emit(b)
	}
	if len(r.script) == 0 {
		return r.pass(ctx, watched)
	}
	step := r.script[0]
	if r.done++; r.done == step.times {
		r.script, r.done = r.script[1:], 0
	}
	return step.read(ctx, r, watched)
}

// pass is a Read of the source within, or one that waits where there is none.
func (r *reader) pass(ctx context.Context, emit func(*sample.Batch) error) error {
	if r.inner == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return r.inner.Read(ctx, emit)
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

// BytesReceived counts eight bytes a sample that this reader has emitted, or
// what the one within counts.
func (r *reader) BytesReceived() int64 {
	if c, ok := r.inner.(source.ByteCounter); ok {
		return c.BytesReceived()
	}
	r.fake.mu.Lock()
	defer r.fake.mu.Unlock()
	return 8 * r.samples
}

// Close ends the connection.
func (r *reader) Close() error {
	r.fake.passes()
	defer r.fake.passes()
	err := errors.New("closed twice")
	r.once.Do(func() {
		close(r.closed)
		err = nil
		if r.inner != nil {
			err = r.inner.Close()
		}
		r.fake.mu.Lock()
		defer r.fake.mu.Unlock()
		r.fake.live--
		r.fake.seen.Closes++
	})
	return err
}
