package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/server"
	"dynotap/store"
)

// serve starts the real program on a directory, without any source.
func serve(t *testing.T, dir string) *instance {
	t.Helper()
	config := filepath.Join(t.TempDir(), "quiet.json")
	if err := os.WriteFile(config, []byte(`{"preset": "live_capture", "data_sources": {"jetdrive": {"enabled": false}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return launch(t, dir, "--no-ui", "--config", config)
}

func (in *instance) queue() (v queueView) {
	in.t.Helper()
	if _, err := in.client.get(in.t.Context(), "api/v1/queue", nil, &v); err != nil {
		in.t.Fatal(err)
	}
	return v
}

// says fails unless a command prints all of that.
func (in *instance) says(args []string, want ...string) {
	in.t.Helper()
	text := string(in.dynotap(args...))
	for _, w := range want {
		if !strings.Contains(text, w) {
			in.t.Errorf("dynotap %v does not say %q:\n%s", args, w, text)
		}
	}
}

// without leaves three batches and something that is none in the queue of a
// stopped directory, and takes their channel set away.
func without(t *testing.T, dir string) {
	t.Helper()
	ctx := t.Context()
	s, err := openStopped(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		s.put(ctx, "jetdrive", sample.High, 9), s.put(ctx, "jetdrive", sample.High, 10), s.put(ctx, "jetdrive", sample.Low, 1),
		s.putRaw(ctx, "jetdrive", sample.High, 7, []byte("no batch at all")),
		s.exec(ctx, `DELETE FROM channel_sets`), s.db.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// mend puts the channel set back.
func mend(t *testing.T, dir string) {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{Fsync: true})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), d, dir, store.Options{})
	if err == nil {
		err = st.PutSet(t.Context(), stoppedSet())
	}
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestQ10WhatFailedIsMendedAndProcessed goes the operator's way with the real
// program: batches fail until they are dead letters; the commands say what
// failed and why; the cause is mended; a retry brings them into the store,
// each sample once.
func TestQ10WhatFailedIsMendedAndProcessed(t *testing.T) {
	t.Parallel()
	for name, retried := range map[string]func(*testing.T, *instance) *instance{
		"running": func(t *testing.T, in *instance) *instance {
			t.Helper()
			in = serve(t, in.dir)
			in.says([]string{"dead-letters", "retry", "--all", "--reason", queue.ReasonExhausted}, "3 dead letters back in the queue, to be delivered now")
			return in
		},
		"stopped": func(t *testing.T, in *instance) *instance {
			t.Helper()
			in.says([]string{"dead-letters", "retry", "--all", "--reason", queue.ReasonExhausted},
				"3 dead letters back in the queue; dynotap is not running: the next start delivers: dynotap run --data "+in.dir)
			in.says([]string{"queue", "stats"}, "is not running on", "3 of 10 000 batches", "high 2, normal 0, low 1", "1 undecodable (jetdrive)")
			return serve(t, in.dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			without(t, dir)
			in := serve(t, dir)
			await(t, "everything has failed", func() bool { return in.queue().DeadLetters == 4 })
			sayWhatFailed(t, in)
			in.balanced()
			in.stop()

			mend(t, dir)
			in.says([]string{"dead-letters", "show", in.letter(queue.ReasonExhausted)}, "Engine RPM", "5600.000", "74.570 kW")
			in = retried(t, in)
			await(t, "what was retried is stored", func() bool {
				v := in.queue()
				return v.CurrentSize == 0 && v.DeadLetters == 1
			})
			if a := in.balanced()["jetdrive"]; a.Processed != 60 || a.Dead != 7 {
				t.Errorf("processed %d, dead %d", a.Processed, a.Dead)
			}
			in.says([]string{"dead-letters", "retry", "--all", "--reason", queue.ReasonExhausted}, "no dead letter matches")
			in.says([]string{"dead-letters", "clear", "--yes"}, "deleted 1 dead letter\n")
			in.says([]string{"queue", "stats"}, "dead letters none")
			if a := in.balanced()["jetdrive"]; a.Discarded != 7 {
				t.Errorf("discarded %d", a.Discarded)
			}
			in.stop()
			if rows := in.export(); len(rows) != 60 {
				t.Errorf("%d samples are stored, not 60", len(rows))
			}
		})
	}
}

// letter gives the id of the first dead letter with a reason.
func (in *instance) letter(reason string) string {
	in.t.Helper()
	var list listed
	strict(in.t, in.dynotap("dead-letters", "list", "--json", "--reason", reason), &list)
	if len(list.DeadLetters) == 0 {
		in.t.Fatalf("no dead letter is %s", reason)
	}
	return list.DeadLetters[0].ID
}

// sayWhatFailed holds what an operator reads against what happened.
func sayWhatFailed(t *testing.T, in *instance) {
	t.Helper()
	in.says([]string{"queue", "stats"},
		"dynotap      runs at http://127.0.0.1:", "0 batches taken in, 0 stored, 4 given up", "9 attempts failed and were followed by another",
		"4 dead letters with 67 samples", "3 retries_exhausted (jetdrive): storing it failed at every attempt", "1 undecodable (jetdrive)",
		"look at them: dynotap dead-letters list --data "+in.dir)
	in.says([]string{"dead-letters", "list"}, "no such channel set", "not a valid encoding", "mend what the last error says, then retry",
		"dynotap dead-letters retry --all --data "+in.dir)
	var stats queueView
	strict(t, in.dynotap("queue", "stats", "--json"), &stats)
	if !stats.Running || stats.Durability != server.SurvivesPowerLoss || stats.TotalFailed != 4 || stats.TotalRetried != 9 || stats.WhenFull != "wait" {
		t.Errorf("%+v", stats)
	}
	var list listed
	strict(t, in.dynotap("dead-letters", "list", "--json"), &list)
	byReason := map[string]int{}
	for _, l := range list.DeadLetters {
		byReason[l.Reason]++
		if l.Reason == queue.ReasonExhausted && (l.Attempts != 4 || !strings.Contains(l.FirstError, store.ErrNoSet.Error()) || l.DiedAt.Before(l.EnqueuedAt)) {
			t.Errorf("%+v", l)
		}
	}
	if byReason[queue.ReasonExhausted] != 3 || byReason[pipeline.ReasonUndecodable] != 1 || list.Total != 4 {
		t.Errorf("%v of %d", byReason, list.Total)
	}
	in.says([]string{"dead-letters", "show", in.letter(queue.ReasonExhausted)},
		"after 4 attempts", "cannot be shown: for the same reason", "channel set "+stoppedSet().ID().String()+": no such channel set", "session      "+stoppedCapture)
	in.says([]string{"dead-letters", "show", in.letter(pipeline.ReasonUndecodable)}, "7 samples in 15 bytes", "begins with  6e6f20626174636820617420616c6c")
	in.says([]string{"dead-letters", "retry", in.letter(pipeline.ReasonUndecodable)}, "1 dead letter back in the queue, to be delivered now")
	await(t, "it has failed again", func() bool { return in.queue().DeadLetters == 4 })
}
