package sourcetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Not parallel: the suite looks for goroutines left behind.
func TestSuiteAcceptsASoundSource(t *testing.T) {
	t.Run("in real time", func(t *testing.T) { sourcetest.Run(t, newWire) })
	t.Run("in a bubble", func(t *testing.T) { sourcetest.RunInBubble(t, newWire) })
}

func newWire(*testing.T) sourcetest.Device {
	d := &wire{present: true, data: make(chan float64, 1)}
	d.set = sample.NewChannelSet("wire", []sample.Channel{{Key: "W/1/0", Label: "Engine RPM", NativeUnit: sample.RPM}})
	return d
}

// wire is a device whose samples go through a channel.
type wire struct {
	mu      sync.Mutex
	present bool
	gone    chan struct{}
	data    chan float64
	set     *sample.ChannelSet
}

func (w *wire) Source() source.Source { return w }

func (w *wire) Send(testing.TB) {
	select {
	case w.data <- 1000:
	default:
	}
}

func (w *wire) Flood(t testing.TB, messages int) {
	for range messages {
		w.Send(t)
	}
}

func (w *wire) Vanish(testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.present = false
	if w.gone != nil {
		close(w.gone)
		w.gone = nil
	}
}

func (w *wire) Return(testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.present = true
}

func (w *wire) Open(ctx context.Context) (source.Reader, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.present {
		return nil, errors.New("no such device")
	}
	w.gone = make(chan struct{})
	return &wireReader{wire: w, gone: w.gone, closed: make(chan struct{})}, ctx.Err()
}

type wireReader struct {
	wire         *wire
	gone, closed chan struct{}
}

func (r *wireReader) Read(ctx context.Context, emit func(*sample.Batch) error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.closed:
		return source.ErrLost
	case <-r.gone:
		return source.ErrLost
	case v := <-r.wire.data:
		now := sample.Micros(time.Now())
		return emit(&sample.Batch{
			Source: "wire", Set: r.wire.set, Priority: sample.High, Received: now,
			Samples: []sample.Sample{{Time: now, Value: v}},
		})
	}
}

func (r *wireReader) Close() error {
	close(r.closed)
	return nil
}
