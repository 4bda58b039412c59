package run

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"dynotap/internal/db"
	"dynotap/sample"
	"dynotap/sim"
	"dynotap/store"
)

func TestPullsOfTheDemoHaveThePeakOfTheEngine(t *testing.T) {
	t.Parallel()
	for _, hz := range []float64{5, 20, 50} {
		t.Run(fmt.Sprintf("%g Hz", hz), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			batches, made := demo(t, hz, 56)
			tr := r.tracker(r.archive())
			for part := range slices.Chunk(batches, 97) {
				r.put(part...)
				drain(t, tr)
			}
			finish(t, tr)
			pulls, want := r.of(KindPull), sim.Peak()
			if len(pulls) != len(made) {
				t.Fatalf("%d pulls, %d made", len(pulls), len(made))
			}
			worst := 0.0
			for i, p := range pulls {
				if p.Name != fmt.Sprintf("Pull %d", i+1) || p.Source != sourceName || *p.To != *p.From+1000*p.DurationMS && math.Abs(float64(*p.To-*p.From-1000*p.DurationMS)) > 1000 {
					t.Errorf("pull %d: %q of %q from %d to %d, %d ms", i, p.Name, p.Source, *p.From, *p.To, p.DurationMS)
				}
				for name, pair := range map[string][2]float64{"hp": {*p.PeakHP, want.HP}, "torque": {*p.PeakTorque, want.Torque}} {
					off := math.Abs(pair[0]/pair[1] - 1)
					worst = max(worst, off)
					if off > 0.005 {
						t.Errorf("pull %d: peak %s %g, want %g", i, name, pair[0], pair[1])
					}
				}
				if math.Abs(*p.HPPeakRPM-want.HPRPM) > 400 || math.Abs(*p.TorquePeakRPM-want.TorqueRPM) > 400 {
					t.Errorf("pull %d: peaks at %g and %g rpm", i, *p.HPPeakRPM, *p.TorquePeakRPM)
				}
			}
			t.Logf("worst peak is off by %.3f %%", 100*worst)
			session := r.of(KindSession)
			if len(session) != 1 || session[0].SampleCount != int64(len(batches)*30) || session[0].DataPointCount != int64(len(batches)) || len(session[0].Channels) != 60 {
				t.Errorf("session %+v", session)
			}
		})
	}
}

// reference is what an undisturbed tracker makes of the batches.
func reference(t *testing.T, batches []*sample.Batch) []Run {
	t.Helper()
	r := newRig(t)
	r.put(batches...)
	tr := r.tracker(r.archive())
	finish(t, tr)
	return all(r)
}

func all(r *rig) []Run { return append(r.of(KindSession), r.of(KindPull)...) }

func TestRunsAreTheSameAfterAnyCrash(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 40)
	want := reference(t, batches)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			r := newRig(t)
			failures := 0
			a := &fragile{Archive: r.archive(), fail: func(call string) bool {
				often := map[string]int{"chunks": 100, "read": 5, "save": 4, "load": 4}[call]
				if failures == 40 || random.IntN(often) > 0 {
					return false
				}
				failures++
				return true
			}}
			tr := r.tracker(a)
			left := batches
			for len(left) > 0 {
				n := min(1+random.IntN(40), len(left))
				r.put(left[:n]...)
				left = left[n:]
				if _, err := tr.Step(t.Context()); err != nil && !errors.Is(err, errInjected) {
					t.Fatal(err)
				}
				if random.IntN(10) == 0 {
					tr = r.tracker(a) // the process was killed
				}
			}
			for err := errInjected; err != nil; {
				if err = tr.Finish(t.Context()); err != nil {
					if !errors.Is(err, errInjected) {
						t.Fatal(err)
					}
					tr = r.tracker(a)
				}
			}
			sameRuns(t, all(r), want)
			if failures < 5 {
				t.Errorf("only %d calls failed", failures)
			}
		})
	}
}

func TestV9SummaryIsTheSameHoweverOftenItIsComputed(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 40)
	want := reference(t, batches)
	r := newRig(t)
	r.put(batches...)
	finish(t, r.tracker(r.archive()))
	finish(t, r.tracker(r.archive()))
	sameRuns(t, all(r), want)
	if err := r.Seal(t.Context(), r.capture.ID, 0); err != nil {
		t.Fatal(err)
	}
	finish(t, r.tracker(r.archive()))
	sameRuns(t, all(r), want)
	for _, w := range want {
		s, err := Summarise(t.Context(), r.Store, r.capture.ID, *w.From, *w.To)
		if err != nil {
			t.Fatal(err)
		}
		w2 := w
		w2.Summary = s
		if brief(w2) != brief(w) {
			t.Errorf("summarised again:\n%s\nwant\n%s", brief(w2), brief(w))
		}
	}
}

func TestSealingFollowsTheCursor(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 40)
	want := reference(t, batches)
	r := newRig(t)
	tr := r.tracker(r.archive())
	for part := range slices.Chunk(batches, 50) {
		r.put(part...)
		drain(t, tr)
		if c := tr.Cursor(); c > 0 {
			if err := r.Seal(t.Context(), r.capture.ID, c); err != nil {
				t.Fatal(err)
			}
		}
		if len(part) == 50 {
			tr = r.tracker(r.archive())
		}
	}
	finish(t, tr)
	sameRuns(t, all(r), want)
}

func TestLateBatchesCountInEverySummary(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 40)
	want := reference(t, batches)
	held := func(b *sample.Batch) bool {
		s := (b.Samples[0].Time - epoch) / 100_000
		return s == 85 || s == 200 // 8.5 s, in the first pull; 20 s, in none
	}
	var late []*sample.Batch
	for _, b := range batches {
		if held(b) {
			late = append(late, b)
		}
	}
	intime := slices.DeleteFunc(slices.Clone(batches), held)
	for _, when := range []string{"during the session", "after the session", "after sealing"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tr := r.tracker(r.archive())
			clone := func(list []*sample.Batch) (out []*sample.Batch) {
				for _, b := range list {
					out = append(out, new(*b))
				}
				return out
			}
			for part := range slices.Chunk(clone(intime), 64) {
				r.put(part...)
				drain(t, tr)
			}
			if when != "during the session" {
				finish(t, tr)
				if got := all(r); brief(got[0]) == brief(want[0]) || brief(got[1]) == brief(want[1]) {
					t.Error("the late batches are not missed before they come")
				}
				tr = r.tracker(r.archive())
			}
			if when == "after sealing" {
				if err := r.Seal(t.Context(), r.capture.ID, 0); err != nil {
					t.Fatal(err)
				}
			}
			r.put(clone(late)...)
			finish(t, tr)
			sameRuns(t, all(r), want)
		})
	}
}

func TestLateBatchesMakeNoPullOfTheirOwn(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 40)
	held := func(b *sample.Batch) bool {
		s := (b.Samples[0].Time - epoch) / second
		return s >= 6 && s < 9 // of the first pull
	}
	r := newRig(t)
	r.put(slices.DeleteFunc(slices.Clone(batches), held)...)
	finish(t, r.tracker(r.archive()))
	before := r.of(KindPull)
	r.put(slices.DeleteFunc(slices.Clone(batches), func(b *sample.Batch) bool { return !held(b) })...)
	finish(t, r.tracker(r.archive()))
	after := r.of(KindPull)
	if len(after) != len(before) {
		t.Fatalf("%d pulls, %d before the late batches", len(after), len(before))
	}
	for i := range after {
		if after[i].ID != before[i].ID {
			t.Errorf("pull %d is %s, was %s", i, after[i].ID, before[i].ID)
		}
	}
	if n := r.of(KindSession)[0].SampleCount; n != int64(len(batches)*30) {
		t.Errorf("%d samples in the session", n)
	}
}

func TestRelativeCaptureHasNoDates(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 15)
	r := newRig(t)
	r.capture = store.Capture{ID: "file", Kind: store.Import, Source: sourceName, TimeBase: store.Relative}
	if err := r.PutCapture(t.Context(), r.capture); err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		for i := range b.Samples {
			b.Samples[i].Time -= epoch
		}
	}
	r.put(batches...)
	finish(t, r.tracker(r.archive()))
	pulls, imports := r.of(KindPull), r.of(KindImport)
	if len(pulls) != 1 || len(imports) != 1 || len(r.of(KindSession)) != 0 {
		t.Fatalf("%d pulls, %d imports, %d sessions", len(pulls), len(imports), len(r.of(KindSession)))
	}
	for _, one := range append(pulls, imports...) {
		if one.StartedAt != nil || *one.From < 0 || *one.To > 15*second {
			t.Errorf("run %s", brief(one))
		}
	}
}

func TestPullThatTheSessionsEndCutsShort(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 20, 9)
	r := newRig(t)
	r.put(batches...)
	tr := r.tracker(r.archive())
	drain(t, tr)
	if len(r.of(KindPull)) != 0 {
		t.Error("the pull was entered before its end")
	}
	finish(t, tr)
	pulls := r.of(KindPull)
	if len(pulls) != 1 || pulls[0].Name != "Pull 1 (cut short)" || *pulls[0].PeakHP > 98 {
		t.Errorf("%d pulls, first %s", len(pulls), brief(pulls[0]))
	}
}

func TestEditsSurviveANewSummary(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 20)
	r := newRig(t)
	tr := r.tracker(r.archive())
	r.put(batches[:250]...)
	drain(t, tr)
	session := r.of(KindSession)[0]
	if _, err := r.EditRun(t.Context(), session.ID, store.Edit{Name: new("Bike of Anna"), Tags: &[]string{"stock"}}); err != nil {
		t.Fatal(err)
	}
	if session.To != nil {
		t.Error("the session has ended already")
	}
	r.put(batches[250:]...)
	finish(t, tr)
	now := r.of(KindSession)[0]
	if now.ID != session.ID || now.Name != "Bike of Anna" || !slices.Equal(now.Tags, []string{"stock"}) || now.To == nil || now.SampleCount <= session.SampleCount {
		t.Errorf("session is %+v", now)
	}
}

func TestStateOfAnotherVersionIsNotNeeded(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 20)
	want := reference(t, batches)
	for name, state := range map[string]string{"newer": `{"Version":999}`, "broken": "{", "gone": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tr := r.tracker(r.archive())
			id, err := tr.StartRecording("Mine", epoch+second)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batches {
				r.put(new(*b))
			}
			drain(t, tr)
			err = r.db.Write(t.Context(), func(tx *db.Tx) error {
				return tx.Exec(`UPDATE meta SET value = ? WHERE key = ?`, []byte(state), store.CursorName(follower, r.capture.ID))
			})
			if err != nil {
				t.Fatal(err)
			}
			finish(t, r.tracker(r.archive()))
			sameRuns(t, all(r), want)
			last := batches[len(batches)-1].Samples[0].Time
			if list := r.of(KindRecording); len(list) != 1 || list[0].ID != id || list[0].To == nil || last-*list[0].To > 1000 || list[0].SampleCount < 19*600 {
				t.Errorf("recordings %+v", list)
			}
		})
	}
}

func TestV9EmptySessionIsValidWithAWarning(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tr := r.tracker(r.archive())
	tr.SetRejected(7)
	finish(t, tr)
	list := r.of(KindSession)
	if len(list) != 1 {
		t.Fatalf("%d sessions", len(list))
	}
	s := list[0]
	finish(t, r.tracker(r.archive())) // who comes later does not know what was rejected
	if again := r.of(KindSession); len(again) != 1 || again[0].Rejected != 7 {
		t.Errorf("sessions %+v", again)
	}
	if s.PeakHP != nil || s.HPPeakRPM != nil || s.PeakTorque != nil || s.DataPointCount != 0 || s.Rejected != 7 || len(s.Warnings) != 1 || s.To == nil || s.StartedAt == nil {
		t.Errorf("session %+v", s)
	}
}

func TestSessionIDsAreUUIDv7OfTheirStart(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, start := range []int64{epoch, epoch + 1, 0, -5, math.MaxInt64} {
		for _, kind := range []Kind{KindSession, KindPull} {
			id, err := uuid.Parse(idOf("c1", kind, start))
			if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
				t.Errorf("id of %d: %v %v", start, id, err)
			}
			if seen[id.String()] || id.String() != idOf("c1", kind, start) || id.String() == idOf("c2", kind, start) {
				t.Errorf("id of %d: %v", start, id)
			}
			seen[id.String()] = true
		}
	}
	first, second := idOf("c1", KindPull, epoch), idOf("c1", KindPull, epoch+1_000_000)
	if strings.Compare(first, second) >= 0 {
		t.Error("ids do not follow time")
	}
}

func TestDamagedChunkIsToldAndPassedOver(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 10, 20)
	r := newRig(t)
	r.put(batches...)
	damage := func() error {
		return r.db.Write(t.Context(), func(tx *db.Tx) error {
			return tx.Exec(`UPDATE chunks SET body = x'ff' WHERE seq = 10`)
		})
	}
	if err := damage(); err != nil {
		t.Fatal(err)
	}
	tr := r.tracker(r.archive())
	if err := tr.Finish(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("error is %v", err)
	}
	s := r.of(KindSession)[0]
	if s.SampleCount != int64(len(batches)-1)*30 || len(r.of(KindPull)) != 1 {
		t.Errorf("%d samples, %d pulls", s.SampleCount, len(r.of(KindPull)))
	}
}
