package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dynotap/internal/db"
	"dynotap/internal/db/dbtest"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

// lines passes on what is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

func open(t *testing.T, dir, vfs string, s queue.Settings) (*db.DB, *queue.Queue) {
	t.Helper()
	return openLogged(t, dir, vfs, s, io.Discard)
}

func openLogged(t *testing.T, dir, vfs string, s queue.Settings, log io.Writer) (*db.DB, *queue.Queue) {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{Fsync: true, VFS: vfs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	q, err := queue.New(sqlite.New(d), s, queue.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return d, q
}

func TestQ13FullDiskFailsEnqueueAndHoldsSettle(t *testing.T) {
	t.Parallel()
	faults := dbtest.NewFaults(t)
	settings := queue.Defaults()
	settings.MaxRetries = 0
	log := make(lines, 10)
	_, q := openLogged(t, t.TempDir(), faults.Name, settings, log)
	put := func(name string) error {
		_, err := q.Enqueue(t.Context(), queue.Item{Source: "s", Priority: sample.High, Payload: []byte(name)})
		return err
	}
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	faults.Full(true)
	if err := put("lost"); !errors.Is(err, db.ErrDiskFull) {
		t.Errorf("enqueue on a full disk: %v", err)
	}
	calls := make(chan string, 10)
	err := q.Start(t.Context(), func(_ context.Context, items []queue.Item) []queue.Result {
		for i := range items {
			calls <- string(items[i].Payload)
		}
		return make([]queue.Result, len(items))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-calls; got != "before" {
		t.Errorf("processed %q", got)
	}
	if line := <-log; !strings.Contains(line, "settle") || !strings.Contains(line, "disk is full") {
		t.Errorf("logged %q", line)
	}
	if st := q.Stats(); st.CurrentSize != 1 || st.TotalProcessed != 0 || st.DeadLetters != 0 {
		t.Errorf("stats %+v", st)
	}
	faults.Full(false)
	if err := put("after"); err != nil {
		t.Fatal(err)
	}
	if got := <-calls; got != "after" { // before was not processed a second time
		t.Errorf("processed %q", got)
	}
	if err := q.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := q.Stats(); st.CurrentSize != 0 || st.TotalProcessed != 2 || st.TotalDropped != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestQ13ProducersShareCommits: 64 producers of single items need a tenth of
// an fsync per item.
func TestQ13ProducersShareCommits(t *testing.T) {
	t.Parallel()
	faults := dbtest.NewFaults(t)
	_, q := open(t, t.TempDir(), faults.Name, queue.Defaults())
	before := faults.Syncs()
	const producers, each = 64, 20
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for range each {
				if _, err := q.Enqueue(context.Background(), queue.Item{Source: "s", Priority: sample.High, Payload: []byte("x")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if syncs := faults.Syncs() - before; syncs == 0 || syncs > producers*each/10 {
		t.Errorf("%d fsyncs for %d items of %d producers", syncs, producers*each, producers)
	} else {
		t.Logf("%d fsyncs for %d items", syncs, producers*each)
	}
}

func TestQ13DamagedRowIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, q := open(t, dir, "", queue.Defaults())
	for _, name := range []string{"a", "b", "c"} {
		if _, err := q.Enqueue(t.Context(), queue.Item{Source: "s", Priority: sample.High, Payload: []byte(name)}); err != nil {
			t.Fatal(err)
		}
	}
	err := d.Write(t.Context(), func(tx *db.Tx) error {
		return tx.Exec(`UPDATE queue SET payload = x'ff' WHERE payload = ?`, []byte("b"))
	})
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	_, q = open(t, dir, "", queue.Defaults())
	items, err := q.Dequeue(t.Context(), 10)
	if err != nil || len(items) != 2 || string(items[0].Payload) != "a" || string(items[1].Payload) != "c" {
		t.Errorf("dequeued %v, %v", items, err)
	}
	letters, err := q.DeadLetters(t.Context(), queue.Filter{Reason: queue.ReasonDamaged}, 0, 10)
	if err != nil || len(letters) != 1 || !slices.Equal(letters[0].Payload, []byte{0xff}) || !strings.Contains(letters[0].LastError, letters[0].ID.String()) {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	if err := q.Revive(t.Context(), letters[0].ID); err != nil { // it does not come back sound
		t.Fatal(err)
	}
	if report, err := q.Drain(t.Context(), func(_ context.Context, items []queue.Item) []queue.Result {
		t.Errorf("processed %q", items[0].Payload)
		return make([]queue.Result, len(items))
	}, -1); err != nil || report.Done != 0 {
		t.Errorf("drained %+v, %v", report, err)
	}
	if _, err := q.DeadLetter(t.Context(), letters[0].ID); err != nil {
		t.Error(err)
	}
}

func TestQ12SecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	open(t, dir, "", queue.Defaults())
	if _, err := db.Open(t.Context(), dir, db.Options{}); !errors.Is(err, db.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second owner: %v", err)
	}
}
