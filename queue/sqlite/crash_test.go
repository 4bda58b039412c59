package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/internal/db/dbtest"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

const childDir = "DYNOTAP_QUEUE_CHILD_DIR"

// kills is how often the child is killed.
const kills = 12

// TestQ12Q13Kill kills a child at random moments. What it wrote to its pipe
// before is what it may be held to.
func TestQ12Q13Kill(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	accepted, settled := map[string]bool{}, map[string]bool{}
	for range kills {
		cmd := exec.Command(exe, "-test.run=^TestQ12Q13Kill$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(20+rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		lines, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		note(t, lines, accepted, settled)
		check(t, dir, accepted, settled)
	}
	if len(accepted) < kills || len(settled) == 0 {
		t.Errorf("only %d accepted, %d settled", len(accepted), len(settled))
	}
	t.Logf("%d accepted, %d settled", len(accepted), len(settled))
}

func note(t *testing.T, lines []byte, accepted, settled map[string]bool) {
	t.Helper()
	for line := range strings.Lines(string(lines[:bytes.LastIndexByte(lines, '\n')+1])) {
		verb, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "accepted":
			accepted[name] = true
		case "settled":
			settled[name] = true
		case "again":
			if settled[name] {
				t.Errorf("%s came again after it was settled", name)
			}
		}
	}
}

// check looks at the queue as a restart finds it. An item whose settling was
// under way may be there or not; nothing else may.
func check(t *testing.T, dir string, accepted, settled map[string]bool) {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{Fsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	stored, effects := map[string]bool{}, map[string]int{}
	var order []int64
	err = d.Read(t.Context(), func(c *db.Conn) error {
		for _, table := range []string{"queue", "dead_letters"} {
			err := c.Query(`SELECT id, payload FROM `+table+` ORDER BY id`, func(s *sqlite3.Stmt) error {
				stored[s.ColumnText(1)] = true
				order = append(order, s.ColumnInt64(0))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return c.Query(`SELECT key, value FROM meta WHERE key LIKE 'item %'`, func(s *sqlite3.Stmt) error {
			effects[s.ColumnText(0)] = s.ColumnInt(1)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range accepted {
		n := effects["item "+name]
		switch {
		case stored[name] == (n > 0):
			t.Errorf("%s: in the queue %v, took effect %d times", name, stored[name], n)
		case n > 1:
			t.Errorf("%s took effect %d times", name, n)
		case settled[name] && stored[name]:
			t.Errorf("%s was settled and is there again", name)
		case settled[name] && n == 0:
			t.Errorf("%s was settled without its effect", name)
		}
	}
	var found queue.State
	if found, err = sqlite.New(d).Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	items := 0
	for _, total := range found.Totals {
		items += total.Items
	}
	if items != len(order) {
		t.Errorf("totals say %d items, there are %d", items, len(order))
	}
}

// child enqueues and settles until it is killed, and says so after the fact.
func child(dir string) {
	out := bufio.NewWriter(os.Stdout)
	say := func(verb, name string) {
		fmt.Fprintln(out, verb, name)
		if err := out.Flush(); err != nil {
			os.Exit(3)
		}
	}
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	ctx := context.Background()
	d, err := db.Open(ctx, dir, db.Options{Fsync: true})
	fail(err)
	settings := queue.Defaults()
	settings.DropOnFull, settings.MaxRetries, settings.BatchSize = false, 1, 5
	settings.RetryInitial = time.Millisecond
	q, err := queue.New(sqlite.New(d), settings, queue.Options{})
	fail(err)
	said := make(chan [2]string, 100)
	go func() {
		for {
			items, err := q.Dequeue(ctx, 5)
			fail(err)
			results := make([]queue.Result, len(items))
			for i := range items {
				said <- [2]string{"again", string(items[i].Payload)}
				results[i] = outcome(string(items[i].Payload))
			}
			fail(q.Settle(ctx, items, results))
			for i := range items {
				if results[i].Kind == queue.Done {
					said <- [2]string{"settled", string(items[i].Payload)}
				}
			}
		}
	}()
	go func() {
		for i := 0; ; i++ {
			name := fmt.Sprintf("%d-%d", os.Getpid(), i)
			_, err := q.Enqueue(ctx, queue.Item{Source: "child", Priority: sample.Priority(i % 3), Samples: 1, Payload: []byte(name)})
			fail(err)
			said <- [2]string{"accepted", name}
			if i%50 == 49 {
				_, err := q.ReviveAll(ctx, queue.Filter{})
				fail(err)
			}
		}
	}()
	for s := range said {
		say(s[0], s[1])
	}
}

// outcome lets most items take effect, some after a failure.
func outcome(name string) queue.Result {
	switch rand.IntN(6) {
	case 0:
		return queue.Result{Kind: queue.Retry, Err: errors.New("again")}
	case 1:
		return queue.Result{Kind: queue.Rejected, Reason: "no"}
	}
	return queue.Result{Effect: func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO meta (key, value) VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1`, "item "+name)
	}}
}

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
}

func TestQ12SecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	open(t, dir, "", queue.Defaults())
	if _, err := db.Open(t.Context(), dir, db.Options{}); !errors.Is(err, db.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second owner: %v", err)
	}
}
