package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/internal/db"
	"dynotap/sample"
	"dynotap/sim"
	"dynotap/store"
)

const sourceName = "jetdrive"

// rig is a data directory with one capture.
type rig struct {
	*store.Store
	tb      testing.TB
	db      *db.DB
	capture store.Capture
	ids     *sample.BatchIDs
	seq     int64
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	d, err := db.Open(tb.Context(), tb.TempDir(), db.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { d.Close() })
	s, err := store.Open(tb.Context(), d, tb.TempDir(), store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	c := store.Capture{ID: "c1", Kind: store.Live, Source: sourceName, StartedUS: new(epoch), TimeBase: store.Absolute}
	if err := s.PutCapture(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
	return &rig{Store: s, tb: tb, db: d, capture: c, ids: sample.NewBatchIDs()}
}

func (r *rig) archive() Archive { return NewArchive(r.Store, r.db, func() int64 { return epoch }) }

func (r *rig) tracker(a Archive) *Tracker {
	return NewTracker(a, r.capture, Settings{Now: func() int64 { return math.MinInt64 }})
}

// put stores batches as the pipeline does.
func (r *rig) put(batches ...*sample.Batch) {
	r.tb.Helper()
	var effects []db.Effect
	for _, batch := range batches {
		stored := *batch // other tests store the same one
		b := &stored
		if err := r.PutSet(r.tb.Context(), b.Set); err != nil {
			r.tb.Fatal(err)
		}
		b.ID, b.Source, b.Capture, b.Priority = r.ids.Next(), b.Set.Source(), r.capture.ID, sample.High
		effects = append(effects, store.ChunkEffect(store.NewChunk(b, sample.AppendBatch(nil, b))))
		r.seq++
	}
	if err := r.Write(r.tb.Context(), effects...); err != nil {
		r.tb.Fatal(err)
	}
}

// of gives the capture's runs of a kind, in order of time.
func (r *rig) of(kind Kind) []Run {
	r.tb.Helper()
	list, _, err := r.Runs(r.tb.Context(), store.RunFilter{Capture: r.capture.ID, Kind: string(kind)})
	if err != nil {
		r.tb.Fatal(err)
	}
	slices.Reverse(list)
	var runs []Run
	for _, l := range list {
		one, err := FromStore(l, r.capture.TimeBase)
		if err != nil {
			r.tb.Fatal(err)
		}
		runs = append(runs, one)
	}
	return runs
}

// drain steps until nothing is left.
func drain(tb testing.TB, t *Tracker) {
	tb.Helper()
	for more := true; more; {
		var err error
		if more, err = t.Step(tb.Context()); err != nil {
			tb.Fatal(err)
		}
	}
}

func finish(tb testing.TB, t *Tracker) {
	tb.Helper()
	if err := t.Finish(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// resolved makes a channel set as it comes out of the pipeline.
func resolved(tb testing.TB, source string, channels ...sample.Channel) *sample.ChannelSet {
	tb.Helper()
	r, err := channel.NewResolver(nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range channels {
		channels[i].Key = sample.ChannelKey(channels[i].Provider, channels[i].ID, 0)
	}
	return r.ResolveSet(sample.NewChannelSet(source, channels))
}

// demo is what the simulated cell sends in a number of seconds: every provider
// a batch of all its channels hz times a second.
func demo(tb testing.TB, hz, seconds float64) (batches []*sample.Batch, pulls []sim.Pull) {
	tb.Helper()
	cell, err := sim.New(sim.Settings{Seed: 5})
	if err != nil {
		tb.Fatal(err)
	}
	providers := sim.Providers()
	sets := make([]*sample.ChannelSet, len(providers))
	for i, p := range providers {
		var list []sample.Channel
		for _, ch := range p.Channels {
			list = append(list, sample.Channel{Provider: p.Name, HostID: uint16(0x43fd + i), ID: uint32(ch.ID), Label: ch.Name, NativeUnit: ch.Unit})
		}
		sets[i] = resolved(tb, sourceName, list...)
	}
	for k := range int(seconds * hz) {
		at := time.Duration(float64(k) / hz * 1e9)
		for i, p := range providers {
			at := at + time.Duration(i)*3*time.Millisecond
			state := cell.At(at)
			b := &sample.Batch{Set: sets[i], Received: epoch + at.Microseconds() + 400}
			for n, ch := range p.Channels {
				b.Samples = append(b.Samples, sample.Sample{
					Time: epoch + at.Microseconds(), Channel: uint32(n), Value: float64(float32(ch.Value(state))),
				})
			}
			batches = append(batches, b)
		}
	}
	return batches, cell.Pulls(time.Duration(seconds * 1e9))
}

var errInjected = errors.New("injected")

// fragile is an archive that fails, or loses its caller, as told.
type fragile struct {
	Archive
	fail func(call string) bool
}

func (f *fragile) Chunks(ctx context.Context, capture string, after int64, limit int, fn func(int64, *sample.Batch) error) (int64, error) {
	return f.Archive.Chunks(ctx, capture, after, limit, func(seq int64, b *sample.Batch) error {
		if f.fail("chunks") {
			return errInjected
		}
		return fn(seq, b)
	})
}

func (f *fragile) Read(ctx context.Context, q store.Query, fn func(*store.Channel, []store.Point) error) error {
	if f.fail("read") {
		return errInjected
	}
	return f.Archive.Read(ctx, q, fn)
}

func (f *fragile) Save(ctx context.Context, capture string, cursor int64, state []byte, runs []Run, also ...db.Effect) error {
	if f.fail("save") {
		return errInjected
	}
	return f.Archive.Save(ctx, capture, cursor, state, runs, also...)
}

func (f *fragile) Load(ctx context.Context, capture string) (Saved, error) {
	if f.fail("load") {
		return Saved{}, errInjected
	}
	return f.Archive.Load(ctx, capture)
}

// sameRuns compares runs by what a summary says.
func sameRuns(t *testing.T, got, want []Run) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d runs, want %d", len(got), len(want))
	}
	for i := range got {
		if g, w := brief(got[i]), brief(want[i]); g != w {
			t.Errorf("run %d is\n%s\nwant\n%s", i, g, w)
		}
	}
}

func brief(r Run) string {
	text := fmt.Sprintf("%s %s %q %d-%s", r.ID, r.Kind, r.Name, *r.From-epoch, figure(r.To))
	text += fmt.Sprintf(" hp %s@%s torque %s@%s %d ms, %d points, %d samples, %d suspect, %d bad, %d rejected %v", figure(r.PeakHP), figure(r.HPPeakRPM),
		figure(r.PeakTorque), figure(r.TorquePeakRPM), r.DurationMS, r.DataPointCount, r.SampleCount, r.Suspect, r.Bad, r.Rejected, r.Warnings)
	for _, c := range r.Channels {
		text += fmt.Sprintf("\n  %s %s %q %s %s %s %d/%d/%d/%d %s %s", c.Key, c.Device, c.Label, c.Name, c.Unit, c.NativeUnit,
			c.Samples, c.Good, c.Suspect, c.Bad, figure(c.Min), figure(c.Max))
	}
	return text
}

func figure[T int64 | float64](v *T) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}
