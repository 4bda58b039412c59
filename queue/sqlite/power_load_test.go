package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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

// TestQ13PowerLossUnderLoad cuts the power while producers, consumers and one
// who revives work at the same time.
func TestQ13PowerLossUnderLoad(t *testing.T) {
	t.Parallel()
	for seed, cuts := uint64(1), 0; cuts < powerCuts(t) && !t.Failed(); seed++ {
		l := &load{t: t, known: newLedger(), chance: rand.New(rand.NewPCG(seed, 3))}
		l.run()
		cuts += len(l.cuts)
		for _, c := range l.cuts {
			l.verify(c)
		}
		t.Logf("seed %d: %d accepted, %d settled, %d cuts", seed, len(l.known.accepted), len(l.known.settled), len(l.cuts))
	}
}

// ledger is what the callers know.
type ledger struct {
	tried    map[string]bool
	accepted map[string]queue.ID
	settled  map[string]bool
}

func newLedger() ledger {
	return ledger{tried: map[string]bool{}, accepted: map[string]queue.ID{}, settled: map[string]bool{}}
}

type load struct {
	t     *testing.T
	db    *db.DB
	queue *queue.Queue

	mu     sync.Mutex
	known  ledger
	chance *rand.Rand
	cuts   []loadCut
}

type loadCut struct {
	step  dbtest.Step
	dir   string
	known ledger
}

func (l *load) watch(step dbtest.Step, cut *dbtest.Cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	chance := 0.06
	if step.Kind == dbtest.Write {
		chance = 0.004
	}
	if l.chance.Float64() >= chance {
		return
	}
	c := loadCut{step: step, dir: l.t.TempDir(), known: ledger{
		tried: maps.Clone(l.known.tried), accepted: maps.Clone(l.known.accepted), settled: maps.Clone(l.known.settled),
	}}
	if err := cut.Survivors(c.dir, l.chance); err != nil {
		l.t.Error(err)
	}
	l.cuts = append(l.cuts, c)
}

func (l *load) run() {
	t := l.t
	l.db = openPower(t, t.TempDir(), db.Options{Fsync: true, VFS: dbtest.NewPower(t, l.watch).Name})
	s := queue.Defaults()
	s.MaxRetries, s.RetryInitial, s.DropOnFull, s.MaxSize = 1, 0, false, 100
	var err error
	if l.queue, err = queue.New(sqlite.New(l.db), s, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := l.db.Write(t.Context(), func(tx *db.Tx) error { return tx.Exec(`PRAGMA wal_autocheckpoint=40`) }); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var producers, others sync.WaitGroup
	for p := range 4 {
		producers.Go(func() { l.produce(p, 1+p*5) })
	}
	for c := range 2 {
		others.Go(func() { l.consume(ctx, rand.New(rand.NewPCG(uint64(c), 4))) })
	}
	others.Go(func() { l.reviveOften(ctx) })
	producers.Wait()
	stop()
	others.Wait()
	if err := l.db.Close(); err != nil {
		t.Error(err)
	}
}

// produce enqueues groups; what it puts into a class must get rising ids.
func (l *load) produce(producer, group int) {
	last := map[sample.Priority]queue.ID{}
	for i := range 25 {
		items := make([]queue.Item, group)
		l.mu.Lock()
		for j := range items {
			name := fmt.Sprintf("%d-%d-%d", producer, i, j)
			l.known.tried[name] = true
			items[j] = queue.Item{
				Source: fmt.Sprint(producer), Priority: sample.Priority((i + j) % sample.Priorities), Samples: j,
				Payload: []byte(name + " " + strings.Repeat("x", i*i%300)),
			}
		}
		l.mu.Unlock()
		var ids []queue.ID
		var err error
		if group == 1 {
			var id queue.ID
			id, err = l.queue.Enqueue(context.Background(), items[0])
			ids = []queue.ID{id}
		} else {
			ids, err = l.queue.EnqueueAll(context.Background(), items)
		}
		if err != nil {
			l.t.Error(err)
			return
		}
		l.mu.Lock()
		for j, id := range ids {
			l.known.accepted[nameOf(items[j].Payload)] = id
			if p := items[j].Priority; id <= last[p] {
				l.t.Errorf("id %s after %s", id, last[p])
			} else {
				last[p] = id
			}
		}
		l.mu.Unlock()
	}
}

func nameOf(payload []byte) string {
	name, _, _ := strings.Cut(string(payload), " ")
	return name
}

func (l *load) consume(ctx context.Context, rnd *rand.Rand) {
	for ctx.Err() == nil {
		items, err := l.queue.Dequeue(ctx, 1+rnd.IntN(12))
		if err != nil {
			l.t.Error(err)
			return
		}
		results := make([]queue.Result, len(items))
		var done []string
		for i := range items {
			name := nameOf(items[i].Payload)
			switch rnd.IntN(8) {
			case 0:
				results[i] = queue.Result{Kind: queue.Retry, Err: errors.New("again")}
			case 1:
				results[i] = queue.Result{Kind: queue.Rejected, Reason: "no"}
			case 2:
				results[i].Effect = func(tx *db.Tx) error { return errors.Join(effect(name)(tx), errors.New("failed")) }
			default:
				results[i].Effect = effect(name)
				done = append(done, name)
			}
		}
		if err := l.queue.Settle(context.Background(), items, results); err != nil {
			l.t.Error(err)
			return
		}
		l.mu.Lock()
		for _, name := range done {
			l.known.settled[name] = true
		}
		l.mu.Unlock()
	}
}

func (l *load) reviveOften(ctx context.Context) {
	for ctx.Err() == nil {
		letters, err := l.queue.DeadLetters(context.Background(), queue.Filter{}, 0, 5)
		if err == nil && len(letters) == 5 {
			_, err = l.queue.ReviveAll(context.Background(), queue.Filter{})
		}
		if err != nil && !errors.Is(err, queue.ErrFull) {
			l.t.Error(err)
			return
		}
	}
}

func (l *load) verify(c loadCut) {
	t := l.t
	place := fmt.Sprintf("%s of %s (step %d)", c.step.Kind, c.step.File, c.step.Number)
	d, err := db.Open(t.Context(), c.dir, db.Options{VFS: quick(t)})
	if err != nil {
		t.Errorf("%s: %v", place, err)
		return
	}
	defer d.Close()
	if err := sound(t.Context(), d); err != nil {
		t.Errorf("%s: %v", place, err)
	}
	stored, effects := keptAndDone(t, d)
	for name, id := range c.known.accepted {
		kept, n := stored[name], effects[name]
		switch {
		case kept != 0 && kept != id:
			t.Errorf("%s: %s came back as %s, it was %s", place, name, kept, id)
		case (kept != 0) == (n > 0):
			t.Errorf("%s: accepted %s: kept %v, took effect %d times", place, name, kept != 0, n)
		case c.known.settled[name] && kept != 0:
			t.Errorf("%s: %s was settled and is there again", place, name)
		}
	}
	for name := range stored {
		if !c.known.tried[name] {
			t.Errorf("%s: nobody has enqueued %s yet", place, name)
		}
	}
	for name, n := range effects {
		if !c.known.tried[name] || n > 1 {
			t.Errorf("%s: %s took effect %d times", place, name, n)
		}
	}
}

// keptAndDone gives the items in the queue and among the dead letters, and how
// often each item took effect.
func keptAndDone(t *testing.T, d *db.DB) (kept map[string]queue.ID, effects map[string]int) {
	t.Helper()
	kept, effects = map[string]queue.ID{}, map[string]int{}
	err := d.Read(t.Context(), func(c *db.Conn) error {
		err := c.Query(`SELECT payload, id FROM queue UNION ALL SELECT payload, id FROM dead_letters`, func(s *sqlite3.Stmt) error {
			name := nameOf(s.ColumnRawBlob(0))
			if kept[name] != 0 {
				t.Errorf("%s is there twice", name)
			}
			kept[name] = queue.ID(s.ColumnInt64(1))
			return nil
		})
		if err != nil {
			return err
		}
		return c.Query(`SELECT key, value FROM meta WHERE key LIKE 'item %'`, func(s *sqlite3.Stmt) error {
			effects[strings.TrimPrefix(s.ColumnText(0), "item ")] = s.ColumnInt(1)
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
	return kept, effects
}

// TestQ13WindowWithoutFsync: without fsync a commit still waits at most for
// the next checkpoint, which comes after 1,000 pages.
func TestQ13WindowWithoutFsync(t *testing.T) {
	t.Parallel()
	const frame = 4096 + 24 // a page in the WAL (https://sqlite.org/fileformat2.html, 4.1)
	for name, size := range map[string]int{"small": 100, "large": 60000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var unsynced, syncs, first int64
			commits := int64(0) // counted by the only producer, read by the writer it waits for
			power := dbtest.NewPower(t, func(step dbtest.Step, cut *dbtest.Cut) {
				unsynced = max(unsynced, cut.Unsynced())
				if step.Kind == dbtest.Sync && step.File == db.FileName && commits > 0 {
					if syncs++; syncs == 1 {
						first = commits
					}
				}
			})
			d := openPower(t, t.TempDir(), db.Options{VFS: power.Name})
			q, err := queue.New(sqlite.New(d), queue.Defaults(), queue.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for syncs < 5 && commits < 10000 {
				if _, err := q.Enqueue(t.Context(), queue.Item{Source: "s", Payload: make([]byte, size)}); err != nil {
					t.Fatal(err)
				}
				commits++
			}
			if commit := int64(size/4096+6) * frame; syncs < 5 || unsynced > 1000*frame+commit {
				t.Errorf("%d checkpoints, as much as %d bytes not synced", syncs, unsynced)
			}
			t.Logf("as much as %d bytes not synced, the first checkpoint after %d commits", unsynced, first)
		})
	}
}
