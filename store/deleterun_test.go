package store

import (
	"errors"
	"slices"
	"testing"
)

func putRun(t *testing.T, r *rig, run Run) {
	t.Helper()
	if err := r.PutRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
}

// TestTheLastRunTakesItsSamplesWithIt: those of an earlier run stay for the
// others.
func TestTheLastRunTakesItsSamplesWithIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	imported(t, r)()
	if err := r.EndCapture(t.Context(), "c", 10); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"whole", "pull"} {
		putRun(t, r, Run{ID: id, Capture: "c", Kind: "import", EndedUS: new(int64(10))})
	}
	for i, id := range []string{"whole", "pull"} {
		if err := r.DeleteRun(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		_, err := r.Capture(t.Context(), "c")
		if gone := errors.Is(err, ErrNoCapture); gone != (i == 1) || (files(t, r) == 0) != gone {
			t.Errorf("after %d deletions: %v, %d files", i+1, err, files(t, r))
		}
	}
}

// TestWhatGoesOnIsNotDeleted: an open session, its recording under way, an
// import under way; a pull of an open session may go.
func TestWhatGoesOnIsNotDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	imported(t, r)()
	putRun(t, r, Run{ID: "session", Capture: "c", Kind: "session"})
	putRun(t, r, Run{ID: "recording", Capture: "c", Kind: "recording"})
	putRun(t, r, Run{ID: "pull", Capture: "c", Kind: "pull", EndedUS: new(int64(5))})
	for _, test := range []struct {
		id   string
		want error
	}{
		{"session", ErrOpen}, {"recording", ErrOpen}, {"pull", nil}, {"pull", ErrNoRun},
	} {
		if err := r.DeleteRun(t.Context(), test.id); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.id, err)
		}
	}
	putRun(t, r, Run{ID: "orphan", Capture: "none", Kind: "pull"})
	if err := r.DeleteRun(t.Context(), "orphan"); err != nil {
		t.Errorf("a run without its capture: %v", err)
	}
}

func TestUntouchedCapturesAreOldAndWithoutNotes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	put := func(id string, kind Kind, ended *int64, run *Run) {
		t.Helper()
		if err := r.PutCapture(t.Context(), Capture{ID: id, Kind: kind, Source: "x", TimeBase: Absolute, StartedUS: new(int64(1))}); err != nil {
			t.Fatal(err)
		}
		if ended != nil {
			if err := r.EndCapture(t.Context(), id, *ended); err != nil {
				t.Fatal(err)
			}
		}
		if run != nil {
			run.ID, run.Capture, run.EndedUS = id, id, new(int64(9))
			putRun(t, r, *run)
		}
	}
	old := new(int64(50))
	put("running", Live, nil, &Run{CreatedUS: 50})
	put("recent", Live, new(int64(100)), &Run{CreatedUS: 50})
	put("old", Live, old, &Run{CreatedUS: 50})
	put("older", Live, new(int64(49)), &Run{CreatedUS: 49, Name: "Pull 1"})
	put("noted", Live, old, &Run{CreatedUS: 50, Notes: "best of the day"})
	put("tagged", Live, old, &Run{CreatedUS: 50, Tags: []string{"keep"}})
	put("imported-now", Import, old, &Run{CreatedUS: 100})
	put("imported-then", Import, new(int64(1000)), &Run{CreatedUS: 60})                           // ends as its file says
	put("imported-noted", Import, old, &Run{CreatedUS: 60, Kind: "import", Notes: "Logger 5000"}) // as the file says
	put("imported-tagged", Import, old, &Run{CreatedUS: 60, Kind: "import", Tags: []string{"keep"}})
	put("no-run", Live, old, nil)
	list, err := r.Untouched(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list {
		got = append(got, c.ID)
	}
	if want := []string{"older", "imported-noted", "no-run", "old", "imported-then"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
