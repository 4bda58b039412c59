package sourcetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
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

// A suite that nothing fails proves nothing. Each wrong source is tested in a
// process of its own, since it may hang or leave goroutines behind.
func TestSuiteFindsWrongSourcesOut(t *testing.T) {
	t.Parallel()
	for wrong, check := range map[string]string{
		"busy": "C4 a reader without data waits", "late": "C4 a reader without data waits",
		"an error where nothing comes": "C4 a reader without data waits",
		"another set each time":        "batches make sense",
		"leaks":                        "C8 closing leaves nothing behind",
		"deaf to Close":                "C8 Close ends a Read",
		"opens whatever ctx says":      "C8 an ended context ends Open",
		"opens once":                   "C4 fails while reading",
		"does not see that it is gone": "C1 survives a device that vanishes and comes back",
		"lost in a flood":              "C4 a flood",
		"lost by garbage":              "C4 garbage",
	} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			run := "^TestWrongSource$/^" + strings.ReplaceAll(check, " ", "_") + "$"
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", run)
			cmd.Env = append(os.Environ(), "WRONG_SOURCE="+wrong)
			if out, err := cmd.CombinedOutput(); err == nil || ctx.Err() != nil {
				t.Errorf("%s: not found out (%v)\n%s", check, ctx.Err(), out)
			}
		})
	}
}

// TestWrongSource is the process that TestSuiteFindsWrongSourcesOut starts.
func TestWrongSource(t *testing.T) {
	wrong := os.Getenv("WRONG_SOURCE")
	if wrong == "" {
		return
	}
	sourcetest.RunInBubble(t, func(t *testing.T) sourcetest.Device {
		t.Helper()
		d := newWire(t).(*wire)
		d.wrong = wrong
		return d
	})
}

// wire is a device whose samples go through a channel.
type wire struct {
	wrong   string // what it does that it should not; "": nothing
	broken  atomic.Bool
	opens   atomic.Int64
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

func (w *wire) Flood(tb testing.TB, messages int) {
	tb.Helper()
	w.broken.Store(w.wrong == "lost in a flood")
	for range messages {
		w.Send(tb)
	}
}

func (w *wire) Garble(testing.TB, []byte) { w.broken.Store(w.wrong == "lost by garbage") }

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
	switch again := w.opens.Add(1) > 1; {
	case w.wrong == "opens whatever ctx says":
		<-time.After(2 * time.Second)
	case w.wrong == "opens once" && again:
		return nil, errors.New("busy")
	case w.wrong == "leaks":
		go func() { <-time.After(time.Hour) }()
	}
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
	w := r.wire
	switch {
	case w.wrong == "busy":
		return nil
	case w.wrong == "late":
		<-ctx.Done()
		<-time.After(2 * time.Second)
		return ctx.Err()
	case w.wrong == "an error where nothing comes":
		<-time.After(10 * time.Millisecond)
		return errors.New("nothing there")
	case w.broken.Load():
		return source.ErrLost
	case w.wrong == "deaf to Close":
		r.closed = nil
	case w.wrong == "does not see that it is gone":
		select {
		case <-r.gone:
			<-ctx.Done()
			return ctx.Err()
		default:
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.closed:
		return source.ErrLost
	case <-r.gone:
		if w.wrong == "does not see that it is gone" {
			<-ctx.Done()
			return ctx.Err()
		}
		return source.ErrLost
	case v := <-w.data:
		now := sample.Micros(time.Now())
		set := w.set
		if w.wrong == "another set each time" {
			set = sample.NewChannelSet("wire", set.Channels())
		}
		return emit(&sample.Batch{
			Source: "wire", Set: set, Priority: sample.High, Received: now,
			Samples: []sample.Sample{{Time: now, Value: v}},
		})
	}
}

func (r *wireReader) Close() error {
	if r.closed != nil {
		close(r.closed)
	}
	return nil
}
