package sourcetest

import (
	"context"
	"testing"
	"testing/synctest"
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

// Flooder is a Device that can send faster than anybody reads.
type Flooder interface {
	// Flood sends the given number of messages without a pause. What is too
	// much for the line may be lost.
	Flood(t testing.TB, messages int)
}

// Garbler is a Device whose line carries whatever bytes one likes.
type Garbler interface {
	// Garble puts the bytes on the line, as one message where there are such.
	Garble(t testing.TB, noise []byte)
}

// Run checks a source against everything package source asks of it, and under
// a supervisor against the faults of CONFORMANCE C. newDevice makes a device of
// its own for each test and cleans it up with t. Time is real: where the
// supervisor has to wait, its policies are short.
func Run(t *testing.T, newDevice func(t *testing.T) Device) {
	t.Helper()
	for name, check := range checks() {
		t.Run(name, func(t *testing.T) { check(far{T: t, Device: newDevice(t)}) })
	}
}

// RunInBubble is Run for a device that needs nothing from outside the program:
// each test has a time of its own, in which nothing is waited for.
func RunInBubble(t *testing.T, newDevice func(t *testing.T) Device) {
	t.Helper()
	for name, check := range checks() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { check(far{T: t, Device: newDevice(t)}) })
		})
	}
}

func checks() map[string]func(far) {
	return map[string]func(far){
		"C4 a reader without data waits":                    far.readerWaits,
		"batches make sense":                                far.batchesMakeSense,
		"C8 closing leaves nothing behind":                  far.closesCleanly,
		"C8 Close ends a Read":                              far.closeEndsRead,
		"C8 an ended context ends Open":                     far.openEnds,
		"C1 survives a device that vanishes and comes back": far.survives,
		"C6 a device that stays away is seen":               far.staysAway,
		"C2 refuses to connect n times":                     far.refuses,
		"C4 fails while reading":                            far.failsWhileReading,
		"C4 a glitch once in a hundred":                     far.glitches,
		"C4 panics":                                         far.panics,
		"C4 a flood":                                        far.flood,
		"C4 garbage":                                        far.garbage,
		"C8 hangs in Open":                                  far.hangsInOpen,
		"C8 hangs in Read":                                  far.hangsInRead,
		"C8 stop at every moment":                           far.stopsAtEveryMoment,
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
		if reads++; reads > 200 { // in a bubble no time passes as long as it is busy
			d.Fatalf("%d reads in %v without data: Read does not wait", reads, time.Since(began))
		}
		if err := r.Read(ctx, discard); err != nil && ctx.Err() == nil {
			d.Fatalf("read without data: %v", err)
		}
	}
	if took := time.Since(began); took > span+time.Second {
		d.Errorf("Read returned %v after its context had ended", took-span)
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
