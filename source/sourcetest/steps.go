package sourcetest

import (
	"context"
	"fmt"
	"time"

	"dynotap/sample"
	"dynotap/source"
)

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
	return Step{times: 1, open: func(ctx context.Context, f *Fake) (source.Reader, error) {
		<-time.After(d)
		return f.connect(context.WithoutCancel(ctx), nil)
	}}
}

// PanicOpen panics in one Open.
func PanicOpen(value any) Step {
	return Step{times: 1, open: func(context.Context, *Fake) (source.Reader, error) { panic(value) }}
}

// Connect lets one Open succeed. Its Reader does the given steps and then
// waits.
func Connect(reads ...Step) Step {
	return Step{times: 1, open: func(ctx context.Context, f *Fake) (source.Reader, error) { return f.connect(ctx, reads) }}
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

// Pass lets n Reads through to the source within.
func Pass(n int) Step {
	return Step{times: n, read: func(ctx context.Context, r *reader, emit func(*sample.Batch) error) error {
		return r.pass(ctx, emit)
	}}
}

// GlitchEvery fails every nth Read with err from here on; the others go
// through to the source within, or emit one sample where there is none.
func GlitchEvery(n int, err error) Step {
	return Step{read: func(ctx context.Context, r *reader, emit func(*sample.Batch) error) error {
		switch {
		case r.done%n == 0:
			return err
		case r.inner == nil:
			return emit(r.batch(1))
		default:
			return r.pass(ctx, emit)
		}
	}}
}
