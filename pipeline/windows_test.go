package pipeline

import (
	"math"
	"testing"
	"time"

	"dynotap/run/window"
	"dynotap/sample"
	"dynotap/store"
)

// byKey gives all native points of a capture by provider and label.
func byKey(r *rig, capture string) map[string][]store.Point {
	r.t.Helper()
	found := map[string][]store.Point{}
	err := r.Store.Read(r.t.Context(), store.Query{Capture: capture, Native: true}, func(c *store.Channel, points []store.Point) error {
		key := c.Device + "/" + c.Label
		found[key] = append(found[key], points...)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// A feed has a sample each 5 ms, so ten a window.
func TestA5OneValueAWindowIsStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := openRig(t, dir, setup{windows: Windows{
		Width: 50 * time.Millisecond, Statistics: map[string]window.Statistic{"horsepower": window.Mean, "Engine RPM": window.Max},
	}})
	r.start()
	accept, quiet := r.lane("cell"), r.lane("quiet")
	f, other := newFeed("cell", clockTime), newFeed("quiet", clockTime)
	if err := quiet(t.Context(), other.next(13, sample.High)); err != nil {
		t.Fatal(err)
	}
	const batches, each = 100, 4
	for range batches {
		if err := accept(t.Context(), f.next(each, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	left := r.stop()
	if left.Items != 0 {
		t.Fatalf("%d items are left", left.Items)
	}
	reader := openRig(t, dir, setup{})
	found := byKey(reader, reader.captures()[0].ID)
	for label, value := range map[string]func(last int64) float64{
		"Horsepower":   func(last int64) float64 { return (float64(last) - 4.5) / 10 },
		"Engine RPM":   func(last int64) float64 { return 1000 + float64(last) },
		"Test Counter": func(last int64) float64 { return float64(last) },
	} {
		points := found["Cell cell/"+label]
		if len(points) != batches*each/10 {
			t.Errorf("%s: %d windows, want %d", label, len(points), batches*each/10)
			continue
		}
		for i, p := range points {
			last := int64(10*i + 9)
			if p.Time != clockTime+last*step.Microseconds() || math.Abs(p.Value-value(last)) > 1e-9 || p.Quality != sample.Good {
				t.Fatalf("%s, window %d: %+v, want %g", label, i, p, value(last))
			}
		}
		if quiet := found["Cell quiet/"+label]; len(quiet) != 2 { // ten samples and three
			t.Errorf("%s of the quiet source: %d windows", label, len(quiet))
		}
	}
	a := r.account("cell")
	if a.Received != 3*batches*each || a.Processed != 3*batches*each/10 || a.Discarded != a.Received-a.Processed || a.Balance() != 0 {
		t.Errorf("booked %+v", a)
	}
}

// What fits into no window is stored by itself: nothing is lost.
func TestA5WhatFitsIntoNoWindowIsStoredByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := openRig(t, dir, setup{windows: Windows{Width: 50 * time.Millisecond}, critical: []string{"rpm"}})
	r.start()
	accept := r.lane("cell")
	f := newFeed("cell", clockTime)
	for range 100 {
		if err := accept(t.Context(), f.next(1, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	b := f.next(1, sample.High)
	late, bad := b.Samples[counter], b.Samples[power]
	late.Time, late.Value = clockTime+1, 0.5
	bad.Value = 1e6 // out of range
	b.Samples = append(b.Samples[:0], late, bad)
	if err := accept(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r.stop()
	reader := openRig(t, dir, setup{})
	found := byKey(reader, reader.captures()[0].ID)
	if n := len(found["Cell cell/Engine RPM"]); n != 100 {
		t.Errorf("%d samples of the critical channel, want all 100", n)
	}
	counters, powers := found["Cell cell/Test Counter"], found["Cell cell/Horsepower"]
	if len(counters) != 11 || counters[0].Time != late.Time || counters[0].Value != late.Value {
		t.Errorf("%d counters, the first %+v", len(counters), counters[0])
	}
	if len(powers) != 11 || powers[10].Quality != sample.Bad || powers[10].Value != bad.Value {
		t.Errorf("%d powers, the last %+v", len(powers), powers[len(powers)-1])
	}
	if a := r.account("cell"); a.Balance() != 0 || a.Queued != 0 || a.Dropped != 0 || a.Received != 302 {
		t.Errorf("booked %+v", a)
	}
}

// A provider that falls silent has its last windows stored while others of its
// source speak.
func TestA5WindowsOfASilentProviderAreStored(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), setup{windows: Windows{Width: 50 * time.Millisecond}})
	accept := r.lane("cell")
	silent, speaking := newFeed("one", clockTime), newFeed("two", clockTime)
	if err := accept(t.Context(), silent.next(1, sample.High)); err != nil {
		t.Fatal(err)
	}
	for range 300 { // 1.5 s
		if err := accept(t.Context(), speaking.next(1, sample.High)); err != nil {
			t.Fatal(err)
		}
	}
	found := false
	all, err := r.Queue.Peek(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range all {
		var b sample.Batch
		err := sample.DecodeBatch(item.Payload, func(id sample.SetID) (*sample.ChannelSet, error) { return r.Store.Set(t.Context(), id) }, &b)
		if err != nil {
			t.Fatal(err)
		}
		found = found || b.Set.Channels()[0].Provider == "Cell one"
	}
	if !found {
		t.Error("the silent provider's windows are still open")
	}
}
