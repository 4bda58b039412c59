package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"go.uber.org/goleak"

	"dynotap/internal/db"
	"dynotap/internal/db/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(tb testing.TB, dir string, opts db.Options) *db.DB {
	tb.Helper()
	d, err := db.Open(tb.Context(), dir, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return d
}

func put(key string, value any) func(*db.Tx) error {
	return func(tx *db.Tx) error { return tx.Exec(`INSERT INTO meta VALUES (?, ?)`, key, value) }
}

func keys(tb testing.TB, d *db.DB) string {
	tb.Helper()
	var out []string
	err := d.Read(context.Background(), func(c *db.Conn) error {
		return c.Query(`SELECT key FROM meta ORDER BY key`, func(s *sqlite3.Stmt) error {
			out = append(out, s.ColumnText(0))
			return nil
		})
	})
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestWriteIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir, db.Options{Fsync: true})
	for key, value := range map[string]any{"nil": nil, "bool": true, "int": 1, "int64": int64(2), "float": 2.5, "text": "x", "blob": []byte{0, 1}} {
		if err := d.Write(t.Context(), put(key, value)); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	if err := d.Write(t.Context(), put("odd", struct{}{})); err == nil {
		t.Error("a struct was written")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, dir, db.Options{Fsync: true})
	if got, want := keys(t, d), "blob bool float int int64 nil text"; got != want {
		t.Errorf("keys %q, want %q", got, want)
	}
	var blob []byte
	err := d.Read(t.Context(), func(c *db.Conn) error {
		return c.Query(`SELECT value FROM meta WHERE key = ?`, func(s *sqlite3.Stmt) error {
			blob = s.ColumnBlob(0, nil)
			return nil
		}, "blob")
	})
	if err != nil || !bytes.Equal(blob, []byte{0, 1}) {
		t.Errorf("blob %v, %v", blob, err)
	}
}

func TestOneFailingJobUndoesOnlyItself(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), db.Options{})
	errOdd := errors.New("odd")
	var wg sync.WaitGroup
	outcome := make([]error, 60)
	for i := range outcome {
		wg.Go(func() {
			outcome[i] = d.Write(context.Background(), func(tx *db.Tx) error {
				if err := put(fmt.Sprintf("%02d", i), i)(tx); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return errOdd
				case 2:
					panic("boom")
				}
				return nil
			})
		})
	}
	wg.Wait()
	var want []string
	for i, err := range outcome {
		switch i % 3 {
		case 0:
			want = append(want, fmt.Sprintf("%02d", i))
			if err != nil {
				t.Errorf("job %d: %v", i, err)
			}
		case 1:
			if !errors.Is(err, errOdd) {
				t.Errorf("job %d: %v", i, err)
			}
		default:
			if err == nil || !strings.Contains(err.Error(), "panic: boom") {
				t.Errorf("job %d: %v", i, err)
			}
		}
	}
	if got := keys(t, d); got != strings.Join(want, " ") {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func TestQ13CommitsAreShared(t *testing.T) {
	t.Parallel()
	faults := dbtest.NewFaults(t)
	d := open(t, t.TempDir(), db.Options{Fsync: true, VFS: faults.Name})
	before := faults.Syncs()
	const producers, each = 32, 20
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if err := d.Write(context.Background(), put(fmt.Sprintf("%d-%d", p, i), i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if syncs := faults.Syncs() - before; syncs > producers*each/5 || syncs == 0 {
		t.Errorf("%d fsyncs for %d jobs of %d producers", syncs, producers*each, producers)
	}
}

func TestQ13FullDiskFailsAndRecovers(t *testing.T) {
	t.Parallel()
	faults := dbtest.NewFaults(t)
	d := open(t, t.TempDir(), db.Options{Fsync: true, VFS: faults.Name})
	for name, fault := range map[string]struct {
		set  func(bool)
		want error
	}{"full": {faults.Full, db.ErrDiskFull}, "sync": {faults.FailSync, db.ErrIO}} {
		if err := d.Write(t.Context(), put(name+" before", 1)); err != nil {
			t.Fatal(err)
		}
		fault.set(true)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := d.Write(context.Background(), put(fmt.Sprint(name, " during ", i), bytes.Repeat([]byte{1}, 10000)))
				if !errors.Is(err, fault.want) || !strings.Contains(err.Error(), d.Path()) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		fault.set(false)
		if err := d.Write(t.Context(), put(name+" after", 1)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := keys(t, d), "full after full before sync after sync before"; got != want {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func TestContextBoundsOnlyTheWaiting(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), db.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	started, release := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		first <- d.Write(ctx, func(tx *db.Tx) error {
			close(started)
			<-release
			return put("taken", 1)(tx)
		})
	}()
	<-started
	cancel()
	if err := d.Write(ctx, put("late", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting job: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("taken job: %v", err)
	}
	if got := keys(t, d); got != "taken" {
		t.Errorf("keys %q", got)
	}
}

// TestLostTransactionIsNoSuccess: a job that takes the whole transaction with
// it takes the successes before it, too, and spares those after it.
func TestLostTransactionIsNoSuccess(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), db.Options{})
	started, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = d.Write(context.Background(), func(*db.Tx) error {
			close(started)
			<-release
			return nil
		})
	})
	<-started
	outcome := make([]error, 20)
	for i := range outcome {
		wg.Go(func() {
			outcome[i] = d.Write(context.Background(), func(tx *db.Tx) error {
				if err := put(fmt.Sprintf("%02d", i), i)(tx); err != nil || i%7 != 3 {
					return err
				}
				return errors.Join(tx.Exec(`ROLLBACK`), errors.New("lost"))
			})
		})
	}
	close(release)
	wg.Wait()
	var want []string
	for i, err := range outcome {
		if err == nil {
			want = append(want, fmt.Sprintf("%02d", i))
		}
		if err == nil && i%7 == 3 {
			t.Errorf("job %d succeeded", i)
		}
	}
	if got := keys(t, d); got != strings.Join(want, " ") {
		t.Errorf("keys %q, told %q", got, want)
	}
	if err := d.Write(t.Context(), put("later", 1)); err != nil {
		t.Error(err)
	}
}

func TestReadSeesOneSnapshot(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), db.Options{})
	count := func(c *db.Conn) (n int) {
		err := c.Query(`SELECT count(*) FROM meta`, func(s *sqlite3.Stmt) error { n = s.ColumnInt(0); return nil })
		if err != nil {
			t.Error(err)
		}
		return n
	}
	err := d.Read(t.Context(), func(c *db.Conn) error {
		before := count(c)
		if err := d.Write(t.Context(), put("new", 1)); err != nil {
			return err
		}
		if after := count(c); after != before {
			t.Errorf("%d rows, then %d in the same read", before, after)
		}
		return c.Exec(`DELETE FROM meta`)
	})
	if !errors.Is(err, sqlite3.READONLY) {
		t.Errorf("a reader wrote: %v", err)
	}
	if got := keys(t, d); got != "new" {
		t.Errorf("keys %q", got)
	}
}

func TestSameStatementNested(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), db.Options{})
	for i := range 3 {
		if err := d.Write(t.Context(), put(fmt.Sprint(i), i)); err != nil {
			t.Fatal(err)
		}
	}
	const all = `SELECT key FROM meta ORDER BY key`
	rows := 0
	err := d.Read(t.Context(), func(c *db.Conn) error {
		return c.Query(all, func(*sqlite3.Stmt) error {
			return c.Query(all, func(*sqlite3.Stmt) error { rows++; return nil })
		})
	})
	if err != nil || rows != 9 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), db.Options{})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Write(t.Context(), put("x", 1)); !errors.Is(err, db.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if err := d.Read(t.Context(), func(*db.Conn) error { return nil }); !errors.Is(err, db.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if err := d.Announce("x", "y"); !errors.Is(err, db.ErrClosed) {
		t.Errorf("announce: %v", err)
	}
}

func TestQ12SecondOwnerIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := db.HolderOf(dir); !errors.Is(err, db.ErrNotHeld) {
		t.Errorf("nobody: %v", err)
	}
	d := open(t, dir, db.Options{})
	if err := d.Announce("127.0.0.1:8686", "secret"); err != nil {
		t.Fatal(err)
	}
	want := db.Holder{PID: os.Getpid(), Address: "127.0.0.1:8686", Token: "secret"}
	if got, err := db.HolderOf(dir); err != nil || got != want {
		t.Errorf("holder %+v, %v", got, err)
	}
	_, err := db.Open(t.Context(), dir, db.Options{})
	var locked *db.LockedError
	if !errors.Is(err, db.ErrLocked) || !errors.As(err, &locked) || locked.Holder != want ||
		!strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) || strings.Contains(err.Error(), "secret") {
		t.Errorf("second owner: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.HolderOf(dir); !errors.Is(err, db.ErrNotHeld) {
		t.Errorf("after close: %v", err)
	}
	content, err := os.ReadFile(filepath.Join(dir, db.LockName))
	if err != nil || strings.Contains(string(content), "secret") {
		t.Errorf("the token stayed behind: %q, %v", content, err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	dir := filepath.Join(t.TempDir(), "deep", "data")
	d := open(t, dir, db.Options{})
	if err := d.Write(t.Context(), put("x", 1)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 3 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}
