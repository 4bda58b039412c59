package store

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"dynotap/internal/db"
	"dynotap/sample"
)

func TestChannelSetsAreDurableAndShared(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	set := testSet("jetdrive", 3)
	if _, err := r.Set(t.Context(), set.ID()); !errors.Is(err, ErrNoSet) {
		t.Errorf("unknown set: %v", err)
	}
	if err := r.PutSet(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if err := r.PutSet(t.Context(), testSet("jetdrive", 3)); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Set(t.Context(), set.ID()); err != nil || got != set {
		t.Errorf("the same set is another pointer: %v", err)
	}
	r.reopen()
	got, err := r.Set(t.Context(), set.ID())
	if err != nil || !reflect.DeepEqual(got.Channels(), set.Channels()) || got.Source() != "jetdrive" {
		t.Errorf("after a restart: %v, %v", got, err)
	}
	if again, err := r.Set(t.Context(), set.ID()); err != nil || again != got {
		t.Errorf("asked twice, two pointers: %v", err)
	}
}

func TestSetCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c setCache
	for i := range 3 * maxCachedSets {
		c.put(sample.NewChannelSet("s", []sample.Channel{{ID: uint32(i)}}))
	}
	if len(c.sets) > maxCachedSets {
		t.Errorf("%d sets", len(c.sets))
	}
}

func TestCapturesOpenAndEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	first := Capture{ID: "a", Kind: Live, Source: "jetdrive", StartedUS: new(int64(5)), TimeBase: Absolute, Attributes: map[string]string{"x": "1"}}
	second := Capture{ID: "b", Kind: Import, Source: "csv", TimeBase: Relative}
	for _, c := range []Capture{first, second} {
		if err := r.PutCapture(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	open, err := r.OpenCaptures(t.Context())
	if err != nil || len(open) != 2 {
		t.Fatalf("open: %v, %v", open, err)
	}
	if err := r.EndCapture(t.Context(), "a", 9); err != nil {
		t.Fatal(err)
	}
	if err := r.EndCapture(t.Context(), "z", 9); !errors.Is(err, ErrNoCapture) {
		t.Errorf("end of an unknown capture: %v", err)
	}
	first.Attributes = map[string]string{"x": "2"}
	again := first
	again.StartedUS = new(int64(77))
	if err := r.PutCapture(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	r.reopen()
	open, err = r.OpenCaptures(t.Context())
	if err != nil || len(open) != 1 || open[0].ID != "b" || open[0].StartedUS != nil || open[0].EndedUS != nil {
		t.Errorf("open after a restart: %+v, %v", open, err)
	}
	first.EndedUS = new(int64(9))
	if got, err := r.Capture(t.Context(), "a"); err != nil || !reflect.DeepEqual(got, first) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, id := range []string{"", "..", ".x", "a/b", `a\b`, "a b", string(make([]byte, 200))} {
		if err := r.PutCapture(t.Context(), Capture{ID: id}); !errors.Is(err, ErrBadID) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	put := func(run Run) {
		t.Helper()
		if err := r.PutRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	put(Run{ID: "1", Capture: "c", Kind: "session", Source: "jetdrive", Name: "Baseline", StartedUS: new(int64(100)), CreatedUS: 1})
	put(Run{ID: "2", Capture: "c", Kind: "pull", Source: "jetdrive", Name: "Pull 1", Tags: []string{"stage_2"}, StartedUS: new(int64(200)), EndedUS: new(int64(300)), CreatedUS: 2, Summary: json.RawMessage(`{"peak_hp":101}`)})
	put(Run{ID: "3", Capture: "d", Kind: "import", Source: "csv", Name: "old.csv", Notes: "50% throttle", CreatedUS: 150})

	ids := func(f RunFilter) (out []string, total int) {
		t.Helper()
		list, total, err := r.Runs(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range list {
			out = append(out, run.ID)
		}
		return out, total
	}
	for _, c := range []struct {
		name  string
		f     RunFilter
		want  []string
		total int
	}{
		{"all, newest first", RunFilter{}, []string{"2", "3", "1"}, 3},
		{"page", RunFilter{Limit: 1, Offset: 1}, []string{"3"}, 3},
		{"kind", RunFilter{Kind: "pull"}, []string{"2"}, 1},
		{"capture", RunFilter{Capture: "c"}, []string{"2", "1"}, 2},
		{"name, case ignored", RunFilter{Text: "BASE"}, []string{"1"}, 1},
		{"tag", RunFilter{Text: "stage_2"}, []string{"2"}, 1},
		{"underscore is no wildcard", RunFilter{Text: "stage-2"}, nil, 0},
		{"percent is no wildcard", RunFilter{Text: "5%"}, nil, 0},
		{"percent", RunFilter{Text: "50%"}, []string{"3"}, 1},
		{"text and kind", RunFilter{Text: "jetdrive", Kind: "session"}, []string{"1"}, 1},
	} {
		if got, total := ids(c.f); !slices.Equal(got, c.want) || total != c.total {
			t.Errorf("%s: %v of %d, want %v of %d", c.name, got, total, c.want, c.total)
		}
	}
	edited, err := r.EditRun(t.Context(), "2", Edit{Name: new("Best"), Tags: &[]string{"a", "b"}})
	if err != nil || edited.Name != "Best" || edited.Notes != "" || !slices.Equal(edited.Tags, []string{"a", "b"}) {
		t.Errorf("edited %+v, %v", edited, err)
	}
	put(Run{ID: "2", Capture: "c", Kind: "pull", Source: "jetdrive", Name: "Pull 1", StartedUS: new(int64(201)), CreatedUS: 99, Summary: json.RawMessage(`{"peak_hp":102}`)})
	got, err := r.Run(t.Context(), "2")
	if err != nil || got.Name != "Best" || got.CreatedUS != 2 || *got.StartedUS != 201 || got.EndedUS != nil || string(got.Summary) != `{"peak_hp":102}` {
		t.Errorf("recomputed %+v, %v", got, err)
	}
	if err := r.DeleteRun(t.Context(), "2"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"delete": r.DeleteRun(t.Context(), "2"),
		"edit":   func() error { _, err := r.EditRun(t.Context(), "2", Edit{}); return err }(),
		"get":    func() error { _, err := r.Run(t.Context(), "2"); return err }(),
	} {
		if !errors.Is(err, ErrNoRun) {
			t.Errorf("%s a run that is gone: %v", name, err)
		}
	}
}

func TestRunAndCursorMoveTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	name := CursorName("pulls", "c")
	run, err := RunEffect(Run{ID: "1", Capture: "c"})
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no")
	if err := r.Write(t.Context(), run, CursorEffect(name, 5), func(*db.Tx) error { return failed }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if at, err := r.Cursor(t.Context(), name); err != nil || at != 0 {
		t.Errorf("cursor %d, %v", at, err)
	}
	if _, err := r.Run(t.Context(), "1"); !errors.Is(err, ErrNoRun) {
		t.Errorf("run: %v", err)
	}
	for _, at := range []int64{5, 8} {
		if err := r.Write(t.Context(), run, CursorEffect(name, at)); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Cursor(t.Context(), name); err != nil || got != at {
			t.Errorf("cursor %d, %v", got, err)
		}
	}
}
