package run

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"dynotap/sim"
)

func TestRecordings(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 20)
	r := newRig(t)
	a := r.archive()
	tr := r.tracker(a)
	step := func(from, to int) {
		t.Helper()
		r.put(batches[from*20 : to*20]...)
		drain(t, tr)
	}
	step(0, 2)
	mine, err := tr.StartRecording("Warm-up", epoch+2*second)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tr.Logging(sim.Dyno, true, epoch+3*second); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Logging(sim.Atmosphere, false, epoch+3*second); err != nil {
		t.Fatal(err)
	}
	step(2, 4)
	if open := r.of(KindRecording); len(open) != 2 || open[0].To != nil || open[0].ID != mine {
		t.Fatalf("recordings under way: %+v", open)
	}
	tr = r.tracker(a) // restarted
	drain(t, tr)
	if ids := tr.Recordings(); len(ids) != 2 || ids[0] != mine {
		t.Fatalf("recordings under way after a restart: %v", ids)
	}
	if err := tr.StopRecording(mine, epoch+5*second+50_000); err != nil {
		t.Fatal(err)
	}
	if err := tr.StopRecording(mine, epoch+5*second); !errors.Is(err, ErrNoRecording) {
		t.Errorf("stopped twice: %v", err)
	}
	if err := tr.Logging(sim.Dyno, false, epoch+8*second); err != nil {
		t.Fatal(err)
	}
	step(4, 6)
	if done := r.of(KindRecording); len(done) != 2 || done[0].To != nil {
		t.Errorf("a recording was entered before its samples had come: %+v", done[0])
	}
	step(6, 12)
	if err := tr.Logging(sim.Dyno, true, epoch+12*second); err != nil {
		t.Fatal(err)
	}
	step(12, 20)
	finish(t, tr)
	list := r.of(KindRecording)
	if len(list) != 3 {
		t.Fatalf("%d recordings", len(list))
	}
	for i, want := range []struct {
		name           string
		from, to, made int64
	}{
		{"Warm-up", 2 * second, 5*second + 50_000, 31 * 60},
		{"Recording 2 (" + sim.Dyno + ")", 3 * second, 8 * second, 51*60 - 30},
		{"Recording 3 (" + sim.Dyno + ")", 12 * second, 19*second + 903_000, 80 * 60},
	} {
		got := list[i]
		if got.Name != want.name || *got.From != epoch+want.from || got.To == nil || *got.To != epoch+want.to || got.SampleCount != want.made {
			t.Errorf("recording %d: %q %d to %s, %d samples; want %+v", i, got.Name, *got.From-epoch, figure(got.To), got.SampleCount, want)
		}
		if got.StartedAt == nil || got.StartedAt.UnixMicro() != *got.From {
			t.Errorf("recording %d started at %v", i, got.StartedAt)
		}
		if id, err := uuid.Parse(got.ID); err != nil || id.Version() != 7 {
			t.Errorf("id %q", got.ID)
		}
	}
	if len(tr.Recordings()) != 0 {
		t.Error("recordings are left under way")
	}
}

func TestRecordingWithoutSamplesIsEnteredAllTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now := epoch
	tr := NewTracker(r.archive(), r.capture, Settings{Now: func() int64 { return now }})
	id, err := tr.StartRecording("", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.StopRecording(id, now+second); err != nil {
		t.Fatal(err)
	}
	drain(t, tr)
	if len(r.of(KindRecording)) != 0 {
		t.Error("entered at once")
	}
	now += 5 * second
	drain(t, tr)
	if list := r.of(KindRecording); len(list) != 1 || list[0].To == nil || !slices.Contains(list[0].Warnings, warnEmpty) || list[0].Name != "Recording 1" {
		t.Errorf("recordings %+v", list)
	}
}
