package app

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/config"
	"dynotap/pipeline/imports"
	"dynotap/store"
)

// kept is a retention over a directory with the sessions that ended so long
// before now.
func kept(t *testing.T, now time.Time, sessions map[string]time.Duration) *retention {
	t.Helper()
	dir := t.TempDir()
	d, st := emptyStore(t, dir)
	for id, ago := range sessions {
		ended := now.Add(-ago).UnixMicro()
		if err := st.PutCapture(t.Context(), store.Capture{ID: id, Kind: store.Live, Source: "x", TimeBase: store.Absolute, StartedUS: new(ended - 1)}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(
			st.EndCapture(t.Context(), id, ended),
			st.PutRun(t.Context(), store.Run{ID: id, Capture: id, Kind: "session", EndedUS: &ended, CreatedUS: ended - 1}),
		); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := config.Load(config.LoadOptions{Overrides: map[string]string{"retention.days": "30"}})
	if err != nil {
		t.Fatal(err)
	}
	return &retention{
		days: loaded.Config.Retention.Days, catalog: catalog{st, imports.New(imports.Options{DB: d, Store: st, Dir: dir})},
		now: now.UnixMicro, logger: slog.New(slog.DiscardHandler),
	}
}

func (r *retention) left(t *testing.T) string {
	t.Helper()
	list, _, err := r.catalog.Runs(t.Context(), store.RunFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range list {
		ids = append(ids, list[i].ID)
	}
	return strings.Join(ids, " ")
}

const day = 24 * time.Hour

// TestK6RetentionDays: what is older is announced, and deleted by the look
// after, unless somebody tagged it meanwhile.
func TestK6RetentionDays(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 6, 1, 10, 0, 0, 0, time.UTC)
	r := kept(t, now, map[string]time.Duration{"today": 0, "month": 29 * day, "older": 31 * day, "oldest": 400 * day})
	look := func(want string, due int, note string) {
		t.Helper()
		if err := r.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		view := r.view()
		if got := r.left(t); got != want || view.Due != due || !view.Runs || *view.RunDays != 30 {
			t.Errorf("left %q, want %q; %+v", got, want, view)
		}
		if got := r.note(); (got == "") != (note == "") || !strings.Contains(got, note) {
			t.Errorf("note %q", got)
		}
	}
	look("today month older oldest", 2, "2 sessions and files older than retention.days will be deleted within ten minutes: give a run a tag")
	if _, err := r.catalog.EditRun(t.Context(), "older", store.Edit{Tags: &[]string{"keep"}}); err != nil {
		t.Fatal(err)
	}
	look("today month older", 0, "")
	if n := r.view().Deleted; n != 1 {
		t.Errorf("%d deleted", n)
	}
	r.now = now.Add(2 * day).UnixMicro
	look("today month older", 1, "1 session or file older")
	look("today older", 0, "")
}

// TestRetentionDoesNotTrustAClockThatLeaps: nothing goes before the program was
// started again.
func TestRetentionDoesNotTrustAClockThatLeaps(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 6, 1, 10, 0, 0, 0, time.UTC)
	first := kept(t, now, map[string]time.Duration{"today": 0})
	start := func(at time.Time) *retention {
		r := &retention{days: first.days, catalog: first.catalog, now: at.UnixMicro, logger: first.logger}
		for range 3 {
			if err := r.look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	start(now)
	if r := start(now.Add(900 * day)); r.left(t) != "today" || !strings.Contains(r.note(), "the clock has moved on by 900 days") {
		t.Errorf("left %q, note %q", r.left(t), r.note())
	}
	if r := start(now.Add(901 * day)); r.left(t) != "" || r.note() != "" {
		t.Errorf("left %q, note %q", r.left(t), r.note())
	}
}

// TestRetentionRunsWithTheProgram: where it is set, the user is told of what is
// due by the first look already; where it is not, there is none.
func TestRetentionRunsWithTheProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, _ := record(t, dir, newDump(20), map[string]string{"retention.days": "0"})
	await(t, "all is recorded", func() bool { return a.cell.stats().Total.Processed == 20*each })
	if view := a.retention.view(); view.Runs || view.RunDays != nil || view.Due != 0 {
		t.Errorf("%+v", view)
	}
	a.end(t)
	a, _ = record(t, dir, newDump(0), map[string]string{"retention.days": "0.000000001"})
	await(t, "the first session is due", func() bool { return a.retention.view().Due == 1 })
	if notes := a.readiness(t.Context()).Notes; !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "1 session or file older than retention.days") }) {
		t.Errorf("%q", notes)
	}
	if s, err := a.storage.Storage(t.Context()); err != nil || s.Retention.Due != 1 || s.Retention.DeadLetters != 10000 {
		t.Errorf("%+v, %v", s.Retention, err)
	}
	a.end(t)
}
