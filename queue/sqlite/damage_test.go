package sqlite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

const (
	walName  = db.FileName + "-wal"
	shmName  = db.FileName + "-shm"
	pageSize = 4096
)

// wreck is a queue before it is damaged: its files and what is in them.
type wreck struct {
	files map[string][]byte
	all   map[queue.ID]string // payload of every id ever given out
	live  map[queue.ID]string // what waits
	dead  map[queue.ID]string
	root  int // page of the queue's root, from 1
}

// newWreck makes a queue of about so many items and a fortieth as many dead
// letters. What came last is in the WAL, as after kill -9, or merged.
func newWreck(tb testing.TB, items int, crashed bool) wreck {
	tb.Helper()
	w := wreck{all: map[queue.ID]string{}, live: map[queue.ID]string{}, dead: map[queue.ID]string{}}
	m := newMedium(tb, db.Options{Fsync: true})
	w.fill(tb, m, items)
	m.Close(tb)
	q := newDamagedQueue(tb, m.Driver(tb))
	for n := range 40 {
		if crashed {
			w.enqueue(tb, q, 2*items+n*5, 5)
			w.take(tb, q, 2, queue.Done)
		}
	}
	err := m.db.Read(tb.Context(), func(c *db.Conn) error {
		return c.Query(`SELECT rootpage FROM sqlite_schema WHERE name = 'queue'`, func(s *sqlite3.Stmt) error {
			w.root = s.ColumnInt(0)
			return nil
		})
	})
	if err != nil {
		tb.Fatal(err)
	}
	if !crashed {
		m.Close(tb)
	}
	w.files = map[string][]byte{}
	for _, name := range []string{db.FileName, walName, shmName, db.LockName} {
		if content, err := os.ReadFile(filepath.Join(m.dir, name)); err == nil {
			w.files[name] = content
		}
	}
	return w
}

func newDamagedQueue(tb testing.TB, driver queue.Driver) *queue.Queue {
	tb.Helper()
	s := queue.Defaults()
	s.MaxSize, s.MaxRetries = 1<<20, 0
	q, err := queue.New(driver, s, queue.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

func (w *wreck) fill(tb testing.TB, m *medium, items int) {
	tb.Helper()
	q := newDamagedQueue(tb, m.Driver(tb))
	w.enqueue(tb, q, 0, items+items/10)
	w.take(tb, q, items/40, queue.Rejected)
	w.take(tb, q, items/10-items/40, queue.Done) // leaves free pages
}

func (w *wreck) enqueue(tb testing.TB, q *queue.Queue, first, count int) {
	tb.Helper()
	items := make([]queue.Item, count)
	for i := range items {
		n := first + i
		payload := fmt.Sprintf("<%d> %s", n, strings.Repeat(strconv.Itoa(n), 20+n%60))
		if n%100 == 0 {
			payload += strings.Repeat("long ", 3000)
		}
		items[i] = queue.Item{
			Source: []string{"jetdrive", "innovate"}[n%2], Priority: sample.Priority(n % sample.Priorities), Samples: 1 + n%9,
			Payload: []byte(payload), Metadata: map[string]string{"n": strconv.Itoa(n)},
		}
	}
	ids, err := q.EnqueueAll(tb.Context(), items)
	if err != nil {
		tb.Fatal(err)
	}
	for i, id := range ids {
		w.all[id], w.live[id] = string(items[i].Payload), string(items[i].Payload)
	}
}

func (w *wreck) take(tb testing.TB, q *queue.Queue, count int, kind queue.Kind) {
	tb.Helper()
	items, err := q.Dequeue(tb.Context(), count)
	if err != nil {
		tb.Fatal(err)
	}
	results := make([]queue.Result, len(items))
	for i := range items {
		results[i] = queue.Result{Kind: kind, Reason: "no"}
		if kind == queue.Rejected {
			w.dead[items[i].ID] = w.live[items[i].ID]
		}
		delete(w.live, items[i].ID)
	}
	if err := q.Settle(tb.Context(), items, results); err != nil {
		tb.Fatal(err)
	}
}

// save gives a data directory. Where nobody else has written the database its
// file has the time that dynotap has noted.
func (w *wreck) save(tb testing.TB, foreign bool) (dir string) {
	tb.Helper()
	dir = tb.TempDir()
	defer func() {
		var noted struct{ Database struct{ Time int64 } }
		path := filepath.Join(dir, db.FileName)
		if err := json.Unmarshal(bytes.TrimSpace(w.files[db.LockName]), &noted); err == nil && !foreign && noted.Database.Time != 0 {
			if err := os.Chtimes(path, time.Time{}, time.Unix(0, noted.Database.Time)); err != nil && !errors.Is(err, os.ErrNotExist) {
				tb.Fatal(err)
			}
		}
	}()
	for name, content := range w.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func (w *wreck) copy() *wreck {
	c := *w
	c.files = map[string][]byte{}
	for name, content := range w.files {
		c.files[name] = bytes.Clone(content)
	}
	return &c
}

// pageWith is the page, from 1, that holds an item of the middle.
func (w *wreck) pageWith(tb testing.TB, n int) int {
	tb.Helper()
	at := bytes.LastIndex(w.files[db.FileName], fmt.Appendf(nil, "<%d> ", n))
	if at < 0 {
		tb.Fatalf("item %d is not in the file", n)
	}
	return at/pageSize + 1
}

func (w *wreck) flip(name string, at int) { w.files[name][at] ^= 0x40 }

// garble damages more than can be mended.
func (w *wreck) garble(name string, at int) {
	for i := range 16 {
		w.files[name][at+i] ^= byte(16 + i)
	}
}

func (w *wreck) zero(first, last int) {
	clear(w.files[db.FileName][(first-1)*pageSize : last*pageSize])
}

// damageCase is a row of the table.
type damageCase struct {
	crashed bool
	damage  func(tb testing.TB, w *wreck)
	whole   bool // nothing may be lost
	sound   bool // nothing is to be told
	earlier bool // what was settled last may be there again
}

func damageCases() map[string]damageCase {
	const frame = pageSize + 24
	type edit = func(tb testing.TB, w *wreck)
	wal := func(at int) edit { return func(_ testing.TB, w *wreck) { w.garble(walName, 32+30*frame+at) } }
	leaf := func(tb testing.TB, w *wreck) {
		tb.Helper()
		w.garble(db.FileName, w.pageWith(tb, 1001)*pageSize-500)
	}
	return map[string]damageCase{
		"nothing":              {damage: func(testing.TB, *wreck) {}, whole: true, sound: true},
		"killed":               {crashed: true, damage: func(testing.TB, *wreck) {}, whole: true, sound: true},
		"flipped leaf":         {damage: func(tb testing.TB, w *wreck) { tb.Helper(); w.flip(db.FileName, w.pageWith(tb, 1001)*pageSize-500) }, whole: true},
		"garbled leaf":         {damage: leaf},
		"garbled leaf, killed": {crashed: true, damage: leaf},
		"garbled root":         {damage: func(_ testing.TB, w *wreck) { w.garble(db.FileName, (w.root-1)*pageSize+30) }, whole: true},
		"garbled first page":   {damage: func(_ testing.TB, w *wreck) { w.garble(db.FileName, 3000) }, whole: true},
		"zeroed first page":    {damage: func(_ testing.TB, w *wreck) { w.zero(1, 1) }, whole: true},
		"zeroed leaf":          {damage: func(tb testing.TB, w *wreck) { tb.Helper(); w.zero(w.pageWith(tb, 1001), w.pageWith(tb, 1001)) }},
		"zeroed range":         {damage: func(_ testing.TB, w *wreck) { w.zero(40, 80) }},
		"zeroed all":           {damage: func(_ testing.TB, w *wreck) { w.zero(1, len(w.files[db.FileName])/pageSize) }},
		"truncated": {damage: func(_ testing.TB, w *wreck) {
			w.files[db.FileName] = w.files[db.FileName][:len(w.files[db.FileName])*2/3+1000]
		}},
		"truncated to nothing":   {damage: func(_ testing.TB, w *wreck) { w.files[db.FileName] = nil }},
		"removed":                {damage: func(_ testing.TB, w *wreck) { delete(w.files, db.FileName) }},
		"WAL garbled":            {crashed: true, damage: wal(2000)},
		"WAL flipped":            {crashed: true, damage: func(_ testing.TB, w *wreck) { w.flip(walName, 32+30*frame+2000) }, whole: true},
		"WAL flipped number":     {crashed: true, damage: func(_ testing.TB, w *wreck) { w.flip(walName, 32+30*frame+3) }},
		"WAL garbled frame":      {crashed: true, damage: wal(0), earlier: true},
		"WAL missing":            {crashed: true, damage: func(_ testing.TB, w *wreck) { delete(w.files, walName) }, earlier: true},
		"WAL truncated":          {crashed: true, damage: func(_ testing.TB, w *wreck) { w.files[walName] = w.files[walName][:len(w.files[walName])/2] }, earlier: true},
		"WAL emptied":            {crashed: true, damage: func(_ testing.TB, w *wreck) { w.files[walName] = nil }, earlier: true},
		"WAL garbled and a leaf": {crashed: true, damage: func(tb testing.TB, w *wreck) { tb.Helper(); wal(2000)(tb, w); leaf(tb, w) }},
	}
}

// TestQ13DamagedQueue: what survives is served once, in order and as it was;
// what does not is counted.
func TestQ13DamagedQueue(t *testing.T) {
	t.Parallel()
	merged, killed := newWreck(t, 2000, false), newWreck(t, 2000, true)
	for name, c := range damageCases() {
		for _, foreign := range []bool{false, true} {
			if c.crashed && foreign {
				continue
			}
			if foreign {
				name += ", written by another program"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := merged.copy()
				if c.crashed {
					w = killed.copy()
				}
				c.damage(t, w)
				m := &medium{dir: w.save(t, foreign), opts: db.Options{Fsync: true}}
				t.Cleanup(func() { m.Close(t) })
				q := newDamagedQueue(t, m.Driver(t))
				saved, dead := w.served(t, q, c.earlier)
				if lost := len(w.live) + len(w.dead) - saved - dead; c.whole && lost != 0 {
					t.Errorf("%d items are lost", lost)
				}
				if found := m.db.Quarantined(); c.sound != (len(found) == 0) {
					t.Errorf("quarantines %v", found)
				} else if !c.sound {
					w.accounted(t, &found[0], saved, dead, c.earlier)
				}
				again, err := q.Enqueue(t.Context(), queue.Item{Source: "new"})
				if _, used := w.all[again]; err != nil || used {
					t.Errorf("id %s was given out before, or %v", again, err)
				}
				m.Close(t)
				newDamagedQueue(t, m.Driver(t))
				if left, err := sqlite.New(m.db).Load(t.Context()); err != nil || len(left.Totals) == 0 {
					t.Errorf("after all: %+v, %v", left, err)
				}
			})
		}
	}
}

// served takes everything out, and checks it.
func (w *wreck) served(tb testing.TB, q *queue.Queue, earlier bool) (saved, dead int) {
	tb.Helper()
	ctx := context.Background()
	stats := q.Stats()
	letters, err := q.DeadLetters(ctx, queue.Filter{}, 0, 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range letters {
		if was, ok := w.dead[letters[i].ID]; !ok || was != string(letters[i].Payload) {
			tb.Errorf("dead letter %s is not what it was", letters[i].ID)
		}
	}
	var last queue.ID
	for {
		short, cancel := context.WithCancel(ctx)
		if q.Len() == 0 {
			cancel()
		}
		items, err := q.Dequeue(short, 100)
		cancel()
		if err != nil || len(items) == 0 {
			break
		}
		for i := range items {
			it := &items[i]
			was, ok := w.live[it.ID]
			if earlier && !ok {
				was, ok = w.all[it.ID]
			}
			n, _, _ := strings.Cut(strings.TrimPrefix(string(it.Payload), "<"), ">")
			if !ok || was != string(it.Payload) || it.Metadata["n"] != n {
				tb.Errorf("item %s is not what it was: %.60q", it.ID, it.Payload)
			}
			if it.ID <= last {
				tb.Errorf("item %s comes after %s", it.ID, last)
			}
			last = it.ID
		}
		saved += len(items)
		if err := q.Settle(ctx, items, make([]queue.Result, len(items))); err != nil {
			tb.Fatal(err)
		}
	}
	// A page in the place of another has a right sum; the item has its own.
	odd, err := q.DeadLetters(ctx, queue.Filter{Reason: queue.ReasonDamaged}, 0, 1<<20)
	if err != nil || len(odd) > 0 && !earlier {
		tb.Errorf("%d items are not what they were, %v", len(odd), err)
	}
	if stats.CurrentSize != saved+len(odd) || stats.DeadLetters != len(letters) {
		tb.Errorf("%d items and %d dead letters are served, the statistics say %d and %d", saved, len(letters), stats.CurrentSize, stats.DeadLetters)
	}
	return saved, len(letters)
}

// accounted holds the report against what was served.
func (w *wreck) accounted(t *testing.T, found *db.Quarantine, saved, dead int, earlier bool) {
	t.Helper()
	var told [2]struct{ saved, lost int64 }
	for _, s := range found.Sources {
		side := &told[0]
		if s.Dead {
			side = &told[1]
		}
		side.saved += s.Saved
		side.lost += s.Lost
	}
	if found.Sources == nil {
		t.Logf("%d and %d saved, of the rest nothing is known: %d rows", saved, dead, found.Lost("queue"))
		return
	}
	t.Logf("%d of %d saved, %d of %d", saved, len(w.live), dead, len(w.dead))
	if told[0].saved != int64(saved) || told[1].saved != int64(dead) {
		t.Errorf("%d and %d items were served, the report says %+v", saved, dead, told)
	}
	if earlier {
		return
	}
	if n := told[0].saved + told[0].lost; n != int64(len(w.live)) {
		t.Errorf("saved and lost are %d, there were %d", n, len(w.live))
	}
	if n := told[1].saved + told[1].lost; n != int64(len(w.dead)) {
		t.Errorf("saved and lost dead letters are %d, there were %d", n, len(w.dead))
	}
}

// anyDamage opens a queue whose files were changed anyhow. It may lose items
// and bring back settled ones, but none that is not what it was.
func anyDamage(tb testing.TB, w *wreck, foreign bool) {
	tb.Helper()
	d, err := db.Open(context.Background(), w.save(tb, foreign), db.Options{Fsync: true})
	if err != nil {
		if !errors.Is(err, db.ErrCorrupt) && !errors.Is(err, db.ErrNewer) {
			tb.Errorf("open: %v", err)
		}
		return
	}
	defer d.Close()
	err = d.Read(context.Background(), func(c *db.Conn) error {
		return c.Query(`PRAGMA integrity_check`, func(s *sqlite3.Stmt) error {
			if text := s.ColumnText(0); text != "ok" {
				tb.Error(text)
			}
			return nil
		})
	})
	if err != nil {
		tb.Error(err)
	}
	w.dead = w.all
	w.served(tb, newDamagedQueue(tb, sqlite.New(d)), true)
}

// TestQ13AnyDamage changes random places.
func TestQ13AnyDamage(t *testing.T) {
	t.Parallel()
	rounds := 60
	if text := os.Getenv("DYNOTAP_DAMAGE_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	merged, killed := newWreck(t, 200, false), newWreck(t, 200, true)
	for round := range rounds {
		rnd := rand.New(rand.NewPCG(uint64(round), 13))
		w, names := killed.copy(), []string{db.FileName, walName, walName, shmName, db.LockName}
		if round%4 > 1 {
			w, names = merged.copy(), []string{db.FileName}
		}
		var did []string
		for range 1 + rnd.IntN(4) {
			name := names[rnd.IntN(len(names))]
			content := w.files[name]
			at := rnd.IntN(len(content) + 1)
			length := min(1<<rnd.IntN(14), len(content)-at)
			how := rnd.IntN(5)
			did = append(did, fmt.Sprintf("%d %s %d+%d", how, name, at, length))
			switch how {
			case 0:
				w.files[name] = content[:at]
			case 1:
				clear(content[at : at+length])
			case 2:
				copy(content[at:at+length], content[rnd.IntN(len(content)-length+1):])
			default:
				for i := range min(length, 1+rnd.IntN(8)) {
					content[at+i] ^= byte(1 + rnd.IntN(255))
				}
			}
			if len(w.files[name]) == 0 {
				break
			}
		}
		anyDamage(t, w, round%2 == 0)
		if t.Failed() {
			t.Fatalf("round %d: %s", round, slices.Concat(did))
		}
	}
}

// FuzzDamage changes bytes at places of the fuzzer's choice: three of place,
// one of value.
func FuzzDamage(f *testing.F) {
	seed := newWreck(f, 60, true)
	f.Add(false, []byte{0, 0, 20, 8})
	f.Add(true, []byte{0, 0, 17, 1, 0, 20, 0, 255})
	f.Fuzz(func(t *testing.T, inWAL bool, edits []byte) {
		w := seed.copy()
		content := w.files[db.FileName]
		if inWAL {
			content = w.files[walName]
		}
		for ; len(edits) >= 4; edits = edits[4:] {
			at := int(edits[0])<<16 | int(edits[1])<<8 | int(edits[2])
			content[at%len(content)] ^= edits[3]
		}
		anyDamage(t, w, !inWAL)
	})
}
