package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/internal/db/dbtest"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

// powerCuts is how many cuts each of the tests of power loss looks at, at
// least; the environment asks for more.
func powerCuts(t *testing.T) int {
	t.Helper()
	text := os.Getenv("DYNOTAP_POWER_CUTS")
	if text == "" {
		return 150
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("DYNOTAP_POWER_CUTS: %v", err)
	}
	return n
}

// TestQ13PowerLossLeavesTheLastState cuts the power at any moment of a queue's
// life. With fsync it must be found as the last call that returned has left
// it, or as the call under way would have; without, as one of the calls since
// the last sync of the WAL has left it.
func TestQ13PowerLossLeavesTheLastState(t *testing.T) {
	t.Parallel()
	for name, fsync := range map[string]bool{"fsync": true, "no fsync": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed, cuts := uint64(1), 0; cuts < powerCuts(t) && !t.Failed(); seed++ {
				l := &life{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), fsync: fsync}
				l.run()
				cuts += len(l.cuts)
				kinds := map[dbtest.StepKind]int{}
				for _, c := range l.cuts {
					kinds[c.step.Kind]++
					l.verify(c)
				}
				t.Logf("seed %d: %d calls, cut %d times: %v", seed, len(l.states), len(l.cuts), kinds)
			}
		})
	}
}

// TestQ13PowerLossWhileItIsCreated cuts at each step of a first start and of
// its end.
func TestQ13PowerLossWhileItIsCreated(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 7))
	l := &life{t: t, chance: rnd, states: []string{emptyState(t)}}
	power := dbtest.NewPower(t, func(step dbtest.Step, cut *dbtest.Cut) {
		for range 3 {
			c := powerCut{step: step, dir: t.TempDir()}
			if err := cut.Survivors(c.dir, rnd); err != nil {
				t.Error(err)
			}
			l.cuts = append(l.cuts, c)
		}
	})
	if err := openPower(t, t.TempDir(), db.Options{Fsync: true, VFS: power.Name}).Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range l.cuts {
		l.verify(c)
	}
	t.Logf("%d steps", len(l.cuts)/3)
}

// life is a queue from its creation on, whose state is noted after each call.
type life struct {
	t     *testing.T
	seed  uint64
	rnd   *rand.Rand
	fsync bool

	dir   string
	power *dbtest.Power
	db    *db.DB
	queue *queue.Queue
	names int

	mu     sync.Mutex
	states []string // what the database held after each call
	synced int      // the state that was there when a sync of the WAL began that has ended
	began  int      // the one that was there when the last sync of the WAL began
	top    uint64   // the highest sequence number given out
	chance *rand.Rand
	cuts   []powerCut
}

// powerCut is what survived one, and what it is held to.
type powerCut struct {
	step  dbtest.Step
	dir   string
	last  int // state that the last call had left
	floor int // the oldest state allowed
	top   uint64
}

func (l *life) run() {
	l.dir = l.t.TempDir()
	l.chance = rand.New(rand.NewPCG(l.seed, 1))
	l.power = dbtest.NewPower(l.t, l.watch)
	l.states = []string{emptyState(l.t)}
	for range 3 {
		l.open()
		for range 12 + l.rnd.IntN(20) {
			l.call()
			l.note()
		}
		if err := l.db.Close(); err != nil {
			l.t.Fatal(err)
		}
	}
}

// watch cuts where much is at stake more often than in mid-write.
func (l *life) watch(step dbtest.Step, cut *dbtest.Cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wal := strings.HasSuffix(step.File, "-wal")
	if l.began > l.synced && step.Kind != dbtest.SyncDir {
		l.synced = l.began // that sync has ended
	}
	chance := 0.05
	switch {
	case step.Kind == dbtest.Write && wal:
		chance = 0.004
	case step.Kind == dbtest.Write:
		chance = 0.02
	}
	if l.chance.Float64() < chance {
		c := powerCut{step: step, dir: l.t.TempDir(), last: len(l.states) - 1, floor: len(l.states) - 1, top: l.top}
		if !l.fsync {
			c.floor = l.synced
		}
		if err := cut.Survivors(c.dir, l.chance); err != nil {
			l.t.Error(err)
		}
		l.cuts = append(l.cuts, c)
	}
	if wal && step.Kind == dbtest.Sync {
		l.began = len(l.states) - 1
	}
}

func (l *life) open() {
	l.db = openPower(l.t, l.dir, db.Options{Fsync: l.fsync, VFS: l.power.Name})
	s := queue.Defaults()
	s.MaxRetries, s.RetryInitial, s.BatchSize = 2, 0, 20
	var err error
	if l.queue, err = queue.New(sqlite.New(l.db), s, queue.Options{}); err != nil {
		l.t.Fatal(err)
	}
	// Checkpoints come often, and the WAL is cut short after them.
	for _, pragma := range []string{`PRAGMA wal_autocheckpoint=25`, `PRAGMA journal_size_limit=40000`} {
		if err := l.db.Write(l.t.Context(), func(tx *db.Tx) error { return tx.Exec(pragma) }); err != nil {
			l.t.Fatal(err)
		}
	}
	l.note()
}

func (l *life) note() {
	state := dump(l.t, l.db)
	l.mu.Lock()
	l.states = append(l.states, state)
	l.mu.Unlock()
}

// call does one of the things that a queue is asked for. Each is one commit.
func (l *life) call() {
	t, ctx := l.t, l.t.Context()
	var err error
	switch n := l.rnd.IntN(20); {
	case n < 6:
		var id queue.ID
		id, err = l.queue.Enqueue(ctx, l.item())
		l.highest(id)
	case n < 10:
		items := make([]queue.Item, 1+l.rnd.IntN(30))
		for i := range items {
			items[i] = l.item()
		}
		var ids []queue.ID
		ids, err = l.queue.EnqueueAll(ctx, items)
		l.highest(ids...)
	case n < 16 && l.queue.Len() > 0:
		err = l.process()
	case n == 16:
		_, err = l.queue.ReviveAll(ctx, queue.Filter{})
	case n == 17:
		_, err = l.queue.ForgetAll(ctx, queue.Filter{Source: "odd"})
	case n == 18:
		var letters []queue.DeadLetter
		if letters, err = l.queue.DeadLetters(ctx, queue.Filter{}, 0, 1); err == nil && len(letters) > 0 {
			err = l.queue.Revive(ctx, letters[0].ID)
		}
	case n == 19:
		_, err = l.queue.Clear(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (l *life) item() queue.Item {
	l.names++
	size := 1 + l.rnd.IntN(300)
	if l.rnd.IntN(10) == 0 {
		size = l.rnd.IntN(20000)
	}
	payload := fmt.Appendf(nil, "%d %s", l.names, strings.Repeat("x", size))
	return queue.Item{
		Source: [2]string{"even", "odd"}[l.names%2], Priority: sample.Priority(l.rnd.IntN(sample.Priorities)), Samples: l.rnd.IntN(100),
		Payload: payload, Metadata: map[string]string{"n": strconv.Itoa(l.names)},
	}
}

func (l *life) highest(ids ...queue.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.top = max(l.top, id.Sequence())
	}
}

func (l *life) process() error {
	items, err := l.queue.Dequeue(l.t.Context(), 1+l.rnd.IntN(20))
	if err != nil {
		return err
	}
	results := make([]queue.Result, len(items))
	for i := range items {
		switch l.rnd.IntN(6) {
		case 0:
			results[i] = queue.Result{Kind: queue.Retry, Err: errors.New("again")}
		case 1:
			results[i] = queue.Result{Kind: queue.Rejected, Reason: "no"}
		default:
			results[i].Effect = effect(items[i].Metadata["n"])
		}
	}
	return l.queue.Settle(l.t.Context(), items, results)
}

// effect counts how often an item took effect.
func effect(name string) db.Effect {
	return func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO meta (key, value) VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1`, "item "+name)
	}
}

// verify opens what survived as a user would.
func (l *life) verify(c powerCut) {
	t := l.t
	place := fmt.Sprintf("seed %d, %s of %s (step %d)", l.seed, c.step.Kind, c.step.File, c.step.Number)
	log := new(strings.Builder)
	var again []string // what a second cut left
	opts := db.Options{Fsync: l.fsync, Logger: slog.New(slog.NewTextHandler(log, nil))}
	if l.chance.IntN(8) > 0 {
		opts.VFS = dbtest.NewPower(t, func(_ dbtest.Step, cut *dbtest.Cut) {
			if l.chance.IntN(20) == 0 {
				again = append(again, t.TempDir())
				if err := cut.Survivors(again[len(again)-1], l.chance); err != nil {
					t.Error(err)
				}
			}
		}).Name
	}
	found, err := l.look(c, opts)
	if err != nil {
		t.Errorf("%s: %v", place, err)
		return
	}
	if log.Len() > 0 {
		t.Errorf("%s: %s", place, log)
	}
	if !slices.Contains(l.states[c.floor:min(c.last+2, len(l.states))], found) {
		t.Errorf("%s: found state %d of %d to %d: %s", place,
			slices.Index(l.states, found), c.floor, c.last+1, difference(found, l.states[c.last]))
	}
	for _, dir := range again {
		second, err := l.look(powerCut{dir: dir}, db.Options{VFS: quick(t)})
		if err != nil || second != found {
			t.Errorf("%s: a cut while it was opened: %v, %s", place, err, difference(second, found))
		}
	}
}

// look gives the state that a directory is found in, after it has checked what
// can be without knowing what should be there.
func (l *life) look(c powerCut, opts db.Options) (state string, err error) {
	d, err := db.Open(l.t.Context(), c.dir, opts)
	if err != nil {
		return "", err
	}
	state = dump(l.t, d)
	err = errors.Join(sound(l.t.Context(), d), err)
	if l.fsync && c.top > 0 && opts.VFS == "" {
		q, wrong := queue.New(sqlite.New(d), queue.Defaults(), queue.Options{})
		if wrong != nil {
			return state, errors.Join(err, wrong, d.Close())
		}
		id, wrong := q.Enqueue(l.t.Context(), queue.Item{Source: "new"})
		if wrong == nil && id.Sequence() <= c.top {
			wrong = fmt.Errorf("sequence %d was given out before, as far as %d", id.Sequence(), c.top)
		}
		_, undo := q.Clear(l.t.Context())
		err = errors.Join(err, wrong, undo)
	}
	return state, errors.Join(err, d.Close())
}

// quick names a file system on which no fsync takes time.
func quick(t *testing.T) string {
	t.Helper()
	return dbtest.NewPower(t, func(dbtest.Step, *dbtest.Cut) {}).Name
}

// difference shows the first lines that are not alike.
func difference(found, want string) string {
	a, b := strings.Split(found, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("found %q instead of %q", a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(a), len(b))
}

// openPower opens a database of this test.
func openPower(t *testing.T, dir string, opts db.Options) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // where the test failed before
	return d
}

func emptyState(t *testing.T) string {
	t.Helper()
	d := openPower(t, filepath.Join(t.TempDir(), "empty"), db.Options{})
	defer d.Close()
	return dump(t, d)
}

// dump tells all that the queue keeps.
func dump(t *testing.T, d *db.DB) string {
	t.Helper()
	var out strings.Builder
	err := d.Read(context.Background(), func(c *db.Conn) error {
		for _, sql := range []string{
			`SELECT 'meta', key, value FROM meta ORDER BY key`,
			`SELECT 'queue', printf('%016x', id), source, priority, samples, attempts, enqueued_us, crc, length(payload), metadata, first_error, last_error FROM queue ORDER BY id`,
			`SELECT 'dead', printf('%016x', id), source, priority, samples, attempts, enqueued_us, crc, length(payload), metadata, first_error, last_error, reason, died_us FROM dead_letters ORDER BY died_us, id`,
			`SELECT 'total', dead, class, source, items, samples FROM queue_totals ORDER BY dead, class, source`,
		} {
			err := c.Query(sql, func(s *sqlite3.Stmt) error {
				for i := range s.ColumnCount() {
					fmt.Fprintf(&out, "%s ", s.ColumnText(i))
				}
				_, err := io.WriteString(&out, "\n")
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return out.String()
}

// sound checks the file, that the totals tell what lies in the tables, and
// that no payload differs from what was put.
func sound(ctx context.Context, d *db.DB) error {
	var wrong []error
	complain := func(s *sqlite3.Stmt) error {
		if text := s.ColumnText(0); text != "ok" {
			wrong = append(wrong, errors.New(text))
		}
		return nil
	}
	err := d.Read(ctx, func(c *db.Conn) error {
		var errs []error
		for _, sql := range []string{
			`PRAGMA integrity_check`,
			`SELECT 'totals say ' || sum(items) || ' items, ' || sum(samples) || ' samples of class ' || class || ', dead: ' || dead
				FROM (SELECT dead, class, source, items, samples FROM queue_totals
					UNION ALL SELECT 0, id >> 56, source, -1, -samples FROM queue
					UNION ALL SELECT 1, id >> 56, source, -1, -samples FROM dead_letters)
				GROUP BY dead, class, source HAVING sum(items) <> 0 OR sum(samples) <> 0`,
			`SELECT 'queued and dead: ' || id FROM queue WHERE id IN (SELECT id FROM dead_letters)`,
		} {
			errs = append(errs, c.Query(sql, complain))
		}
		return errors.Join(errs...)
	})
	items, fetch := sqlite.New(d).Fetch(ctx, 0, 1<<62, 1<<30, 1<<40)
	for i := range items {
		wrong = append(wrong, items[i].Damage)
	}
	return errors.Join(err, fetch, errors.Join(wrong...))
}
