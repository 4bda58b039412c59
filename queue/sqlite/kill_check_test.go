package sqlite_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
)

// row is an item as a restart finds it in the tables.
type row struct {
	id       queue.ID
	place    place
	attempts int
}

// check holds a directory, as a restart finds it, to what was said.
func (k *killer) check(dir string) {
	t := k.t
	d, err := db.Open(t.Context(), dir, db.Options{Fsync: true})
	if err != nil {
		t.Fatalf("killed in %v: %v", k.open, err)
	}
	defer d.Close()
	if err := sound(t.Context(), d); err != nil {
		t.Error(err)
	}
	_, effects := keptAndDone(t, d)
	rows := k.rows(d)
	k.settleOpen(rows, effects)
	for name, r := range rows {
		if s := k.story(name); s.place != r.place || s.attempts != r.attempts || s.id != r.id {
			t.Errorf("%s is %+v, it should be %+v", name, r, *s)
		}
	}
	for name, s := range k.items {
		if _, there := rows[name]; !there && s.place != gone && s.place != nowhere {
			t.Errorf("%s is lost, it should be %+v", name, *s)
		}
		if s.effects != effects[name] {
			t.Errorf("%s took effect %d times, it is %s", name, effects[name], s.place)
		}
	}
	k.inOrder(rows)
	k.served(d, rows)
	if t.Failed() {
		t.Fatalf("killed in %v, after %v", slices.Sorted(maps.Keys(k.open)), k.died)
	}
}

func (k *killer) rows(d *db.DB) map[string]row {
	rows := map[string]row{}
	err := d.Read(k.t.Context(), func(c *db.Conn) error {
		for where, table := range map[place]string{waits: "queue", dead: "dead_letters"} {
			err := c.Query(`SELECT id, attempts, source FROM `+table, func(s *sqlite3.Stmt) error {
				rows[s.ColumnText(2)] = row{queue.ID(s.ColumnInt64(0)), where, s.ColumnInt(1)}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return rows
}

// settleOpen finds out about the transactions that were under way: each was
// made in whole or not at all.
func (k *killer) settleOpen(rows map[string]row, effects map[string]int) {
	for number, steps := range k.writing {
		made, not := 0, 0
		for _, s := range steps {
			r, there := rows[s.name]
			var stands bool
			switch to := moves[s.op].to; {
			case s.op == "leave":
				continue
			case to == gone:
				stands = !there && effects[s.name] == moves[s.op].effects
			default:
				stands = there && r.place == to && r.attempts == s.attempts
			}
			if stands {
				made++
			} else {
				not++
			}
		}
		switch {
		case made > 0 && not > 0:
			k.t.Errorf("%d of %d changes of a transaction were made: %+v", made, made+not, steps)
		case made > 0:
			for _, s := range steps {
				k.carryOut(s)
			}
		}
		delete(k.writing, number)
	}
}

// inOrder checks that in each class a producer's items are in its order.
func (k *killer) inOrder(rows map[string]row) {
	last := map[string]int{}
	for _, name := range slices.SortedFunc(maps.Keys(rows), func(a, b string) int { return cmp.Compare(rows[a].id, rows[b].id) }) {
		cut := strings.LastIndexByte(name, '-')
		number := k.number(name[cut+1:])
		if number <= last[name[:cut]] {
			k.t.Errorf("%s comes after number %d", name, last[name[:cut]])
		}
		last[name[:cut]] = number
	}
}

// openQueue opens it as the next start would, but processes nothing.
func (k *killer) openQueue(d *db.DB) *queue.Queue {
	settings := queue.Defaults()
	settings.MaxSize = victimQueue
	q, err := queue.New(sqlite.New(d), settings, queue.Options{})
	if err != nil {
		k.t.Fatal(err)
	}
	return q
}

// served looks through the queue at what is in the tables.
func (k *killer) served(d *db.DB, rows map[string]row) {
	t := k.t
	q := k.openQueue(d)
	waiting, err := q.Peek(t.Context(), len(rows)+1)
	if err != nil {
		t.Error(err)
	}
	letters, err := q.DeadLetters(t.Context(), queue.Filter{}, 0, len(rows)+1)
	if err != nil {
		t.Error(err)
	}
	for i := range waiting {
		k.whole(&waiting[i], rows, waits)
	}
	for i := range letters {
		k.whole(&letters[i].Item, rows, dead)
	}
	if !slices.IsSortedFunc(waiting, func(a, b queue.Item) int { return cmp.Compare(a.ID, b.ID) }) {
		t.Error("the queue is out of order")
	}
	st := q.Stats()
	if len(waiting)+len(letters) != len(rows) || st.CurrentSize != len(waiting) || st.DeadLetters != len(letters) {
		t.Errorf("%d rows; the queue has %d waiting and %d dead, its statistics say %d and %d",
			len(rows), len(waiting), len(letters), st.CurrentSize, st.DeadLetters)
	}
}

// whole checks an item's content.
func (k *killer) whole(it *queue.Item, rows map[string]row, where place) {
	name := nameOf(it.Payload)
	r, ok := rows[name]
	if !ok || (row{it.ID, where, it.Attempts}) != r || it.Source != name || it.Priority != it.ID.Class() || it.Samples != 1 ||
		string(it.Payload) != string(payloadOf(name)) || len(it.Metadata) != 1 || it.Metadata["name"] != name {
		k.t.Errorf("the queue gives %s as %+v, the table has %+v", name, *it, r)
	}
}

// drain takes items out, as many as limit (negative: all), which come in the
// order of their ids.
func (k *killer) drain(limit int) {
	t := k.t
	d, err := db.Open(t.Context(), k.dir, db.Options{Fsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rows := k.rows(d)
	var order []queue.ID
	report, err := k.openQueue(d).Drain(t.Context(), func(_ context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		for i := range items {
			k.whole(&items[i], rows, waits)
			name := nameOf(items[i].Payload)
			k.carryOut(step{"finish", name, items[i].Attempts, items[i].ID})
			results[i].Effect = effect(name)
			order = append(order, items[i].ID)
		}
		return results
	}, limit)
	if err != nil || report.Done != len(order) || limit < 0 && report.Left > 0 {
		t.Errorf("drained %+v of %d items, %v", report, len(order), err)
	}
	if !slices.IsSorted(order) {
		t.Errorf("drained out of order: %s", fmt.Sprint(order))
	}
}
