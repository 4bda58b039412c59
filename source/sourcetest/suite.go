package sourcetest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dynotap/sample"
	"dynotap/source"
)

// patience bounds every wait of the suite. It is long because nothing waits
// for it unless the source is wrong.
const patience = 20 * time.Second

// Device is the far end of a source under test, under the test's control.
type Device interface {
	// Source gives a source that speaks to this device.
	Source() source.Source
	// Send makes the device send at least one sample to whoever listens.
	Send(t testing.TB)
	// Vanish takes the device away, Return brings it back.
	Vanish(t testing.TB)
	Return(t testing.TB)
}

// Run checks a source against everything package source asks of it. newDevice
// makes a device of its own for each test and cleans it up with t.
func Run(t *testing.T, newDevice func(t *testing.T) Device) {
	t.Helper()
	for name, check := range map[string]func(far){
		"C4 a reader without data waits":                    far.readerWaits,
		"batches make sense":                                far.batchesMakeSense,
		"C8 closing leaves nothing behind":                  far.closesCleanly,
		"C8 Close ends a Read":                              far.closeEndsRead,
		"C8 an ended context ends Open":                     far.openEnds,
		"C1 survives a device that vanishes and comes back": far.survives,
	} {
		t.Run(name, func(t *testing.T) { check(far{T: t, Device: newDevice(t)}) })
	}
}

// far is the far end of one test.
type far struct {
	*testing.T
	Device
}

func open(t *testing.T, src source.Source) source.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := src.Open(ctx)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return r
}

func discard(*sample.Batch) error { return nil }

func (d far) readerWaits() {
	r := open(d.T, d.Source())
	defer func() { _ = r.Close() }()
	const span = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(d.Context(), span)
	defer cancel()
	began, reads := time.Now(), 0
	for ctx.Err() == nil {
		reads++
		if err := r.Read(ctx, discard); err != nil && ctx.Err() == nil {
			d.Fatalf("read without data: %v", err)
		}
	}
	if took := time.Since(began); took > span+time.Second {
		d.Errorf("Read returned %v after its context had ended", took-span)
	}
	if reads > 200 {
		d.Errorf("%d reads in %v without data: Read does not wait", reads, span)
	}
}

func (d far) batchesMakeSense() {
	r := open(d.T, d.Source())
	defer func() { _ = r.Close() }()
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	var last *sample.ChannelSet
	batches := 0
	for batches < 5 {
		d.Send(d.T)
		one, done := context.WithTimeout(ctx, 200*time.Millisecond)
		err := r.Read(one, func(b *sample.Batch) error {
			checkBatch(d.T, b)
			if last != nil && last != b.Set && last.ID() == b.Set.ID() {
				d.Error("an unchanged channel list came as another *ChannelSet")
			}
			last = b.Set
			batches++
			return nil
		})
		done()
		if err != nil && one.Err() == nil {
			d.Fatalf("read: %v", err)
		}
		if ctx.Err() != nil {
			d.Fatalf("%d batches within %v", batches, patience)
		}
	}
}

func checkBatch(t *testing.T, b *sample.Batch) {
	t.Helper()
	switch {
	case b.Set == nil:
		t.Fatal("a batch without channel set")
	case b.Source == "" || b.Source != b.Set.Source():
		t.Errorf("batch of source %q with channel set of %q", b.Source, b.Set.Source())
	case !b.Priority.Valid():
		t.Errorf("priority %v", b.Priority)
	case b.Received <= 0:
		t.Errorf("received at %d", b.Received)
	}
	keys := map[string]bool{}
	for _, c := range b.Set.Channels() {
		if c.Key == "" || c.Label == "" || keys[c.Key] {
			t.Errorf("channel %q with key %q: empty or twice", c.Label, c.Key)
		}
		if c.Name != "" || c.Unit != sample.NoUnit {
			t.Errorf("channel %q: a source leaves the canonical name and unit to the resolver", c.Label)
		}
		keys[c.Key] = true
	}
	for _, s := range b.Samples {
		if int64(s.Channel) >= int64(b.Set.Len()) || s.Time <= 0 {
			t.Errorf("sample %+v in a set of %d channels", s, b.Set.Len())
		}
	}
}

func (d far) closesCleanly() {
	src := d.Source()
	before := goleak.IgnoreCurrent()
	for range 3 {
		r := open(d.T, src)
		ctx, cancel := context.WithTimeout(d.Context(), 20*time.Millisecond)
		if err := r.Read(ctx, discard); err != nil && ctx.Err() == nil {
			d.Errorf("read: %v", err)
		}
		cancel()
		if err := r.Close(); err != nil {
			d.Errorf("close: %v", err)
		}
	}
	goleak.VerifyNone(d.T, before)
}

func (d far) closeEndsRead() {
	r := open(d.T, d.Source())
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for r.Read(d.Context(), discard) == nil {
		}
	}()
	if err := r.Close(); err != nil {
		d.Errorf("close: %v", err)
	}
	select {
	case <-returned:
	case <-time.After(patience):
		d.Fatal("Read goes on after Close")
	}
}

func (d far) openEnds() {
	ctx, cancel := context.WithCancel(d.Context())
	cancel()
	began := time.Now()
	if r, err := d.Source().Open(ctx); err == nil {
		_ = r.Close()
	}
	if took := time.Since(began); took > time.Second {
		d.Errorf("Open took %v with an ended context", took)
	}
}

// survives runs the source under a supervisor: data, none, data.
func (d far) survives() {
	src := d.Source()
	before := goleak.IgnoreCurrent()
	arrived := make(chan struct{}, 1)
	settings := source.DefaultSettings()
	settings.Retry.MaxDelay, settings.ReconnectDelay = 50*time.Millisecond, 50*time.Millisecond
	settings.Breaker.Timeout = 50 * time.Millisecond
	sup, err := source.NewSupervisor(src, source.Options{
		Name: "tested", Settings: settings,
		Accept: func(_ context.Context, b *sample.Batch) error {
			if len(b.Samples) > 0 {
				select {
				case arrived <- struct{}{}:
				default:
				}
			}
			return nil
		},
	})
	if err != nil {
		d.Fatal(err)
	}
	if err := sup.Start(d.Context()); err != nil {
		d.Fatal(err)
	}
	d.sendUntil(arrived)
	if s := sup.State(); s != source.Connected {
		d.Errorf("data flows and the state is %s", s)
	}
	d.Vanish(d.T)
	d.Return(d.T)
	for len(arrived) > 0 { // what was still under way
		<-arrived
	}
	d.sendUntil(arrived)
	if err := sup.Stop(d.Context()); err != nil {
		d.Error(err)
	}
	if err := sup.Start(d.Context()); err != nil {
		d.Error(err)
	}
	if err := sup.Start(d.Context()); err == nil {
		d.Error("started twice")
	}
	d.sendUntil(arrived)
	if err := sup.Stop(d.Context()); err != nil {
		d.Error(err)
	}
	goleak.VerifyNone(d.T, before)
}

// sendUntil makes the device send until something has arrived.
func (d far) sendUntil(arrived <-chan struct{}) {
	d.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		d.Send(d.T)
		select {
		case <-arrived:
			return
		case <-deadline:
			d.Fatalf("nothing arrived within %v", patience)
		case <-again.C:
		}
	}
}
