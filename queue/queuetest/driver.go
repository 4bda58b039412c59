package queuetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

// Tests of what queue.Driver promises and a Queue seldom asks for.

// number is a payload that is different for each.
func number(n uint64) string { return strconv.FormatUint(n, 10) }

// waiting gives an item as a Queue puts it, whose priority is not its class.
func waiting(class sample.Priority, sequence uint64, text string) *queue.Item {
	return &queue.Item{
		Source: testSource, Priority: sample.Critical, Samples: len(text), Payload: []byte(text), Metadata: map[string]string{"of": text},
		ID: queue.MakeID(class, sequence), Enqueued: time.UnixMicro(1700000000000000 + int64(sequence)).UTC(),
	}
}

func change(op queue.Op, items ...*queue.Item) []queue.Change {
	changes := make([]queue.Change, 0, len(items))
	for _, it := range items {
		c := queue.Change{Op: op, Item: it}
		if op == queue.Bury {
			c.Reason, c.Died = "r", time.UnixMicro(1700000001000000).UTC()
		}
		changes = append(changes, c)
	}
	return changes
}

func (b *bench) driver(tb testing.TB) (queue.Driver, queue.State) {
	tb.Helper()
	d := b.medium.Driver(tb)
	state, err := d.Load(ctxOf(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return d, state
}

func apply(tb testing.TB, d queue.Driver, changes ...[]queue.Change) {
	tb.Helper()
	if err := d.Apply(ctxOf(tb), slices.Concat(changes...)); err != nil {
		tb.Fatal(err)
	}
}

func fetched(tb testing.TB, d queue.Driver, class sample.Priority) []queue.Item {
	tb.Helper()
	found, err := d.Fetch(ctxOf(tb), queue.MakeID(class, 0), queue.MakeID(class+1, 0)-1, 1000, 1<<30)
	if err != nil {
		tb.Fatal(err)
	}
	items := make([]queue.Item, 0, len(found))
	for _, f := range found {
		if f.Damage != nil {
			tb.Errorf("%v: %v", f.Item.ID, f.Damage)
		}
		items = append(items, f.Item)
	}
	return items
}

// same looks at everything that a driver keeps.
func same(a, b *queue.Item) bool {
	return a.ID == b.ID && a.Source == b.Source && a.Priority == b.Priority && a.Samples == b.Samples && string(a.Payload) == string(b.Payload) &&
		maps.Equal(a.Metadata, b.Metadata) && a.Attempts == b.Attempts && a.FirstError == b.FirstError && a.LastError == b.LastError &&
		a.Enqueued.Equal(b.Enqueued)
}

func testFetch(b *bench) {
	t := b.t
	d, _ := b.driver(t)
	items := make([]*queue.Item, 0, 9)
	for i := range uint64(9) {
		items = append(items, waiting(sample.Normal, 2*i+2, number(i)+strings.Repeat("x", 9)))
	}
	apply(t, d, change(queue.Put, items...), change(queue.Put, waiting(sample.Low, 30, "low"), waiting(sample.High, 31, "high")))
	apply(t, d, change(queue.Remove, items[5]))
	for _, c := range []struct {
		after, upTo     uint64
		limit, maxBytes int
		want            string
	}{
		{0, 100, 100, 1000, "01234678"},
		{4, 12, 100, 1000, "234"},
		{5, 11, 100, 1000, "234"},
		{3, 4, 1, 1000, "1"},
		{0, 100, 3, 1000, "012"},
		{0, 100, 100, 1, "0"},
		{0, 100, 100, 10, "0"},
		{0, 100, 100, 11, "01"},
		{18, 100, 100, 1000, ""},
		{11, 12, 100, 1000, ""}, // removed
	} {
		found, err := d.Fetch(ctxOf(t), queue.MakeID(sample.Normal, c.after), queue.MakeID(sample.Normal, c.upTo), c.limit, c.maxBytes)
		var got strings.Builder
		for _, f := range found {
			got.WriteByte(f.Item.Payload[0])
		}
		if err != nil || got.String() != c.want {
			t.Errorf("after %d up to %d, %d items, %d bytes: %q, %v, want %q", c.after, c.upTo, c.limit, c.maxBytes, got.String(), err, c.want)
		}
	}
}

// testApplyTwice makes the changes that come again when an answer was lost.
func testApplyTwice(b *bench) {
	t := b.t
	d, _ := b.driver(t)
	updated, removed, dead, forgotten := waiting(sample.Normal, 1, "updated"), waiting(sample.Normal, 2, "removed"),
		waiting(sample.Normal, 3, "dead"), waiting(sample.Normal, 4, "forgotten")
	left := waiting(sample.Normal, 5, "left")
	apply(t, d, change(queue.Put, updated, removed, dead, forgotten, left))
	updated.Attempts, updated.FirstError, updated.LastError = 2, "first", "last"
	dead.Attempts, dead.FirstError, dead.LastError = 3, "1", "3"
	for range 2 {
		apply(t, d, change(queue.Update, updated, removed), change(queue.Remove, removed), change(queue.Bury, dead))
	}
	apply(t, d, change(queue.Bury, forgotten))
	for range 2 {
		apply(t, d, change(queue.Forget, forgotten))
	}
	look := func() {
		t.Helper()
		if got := fetched(t, d, sample.Normal); len(got) != 2 || !same(&got[0], updated) || !same(&got[1], left) {
			t.Errorf("waiting %+v", got)
		}
		letters, err := d.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10)
		if err != nil || len(letters) != 1 || !same(&letters[0].Item, dead) || letters[0].Reason != "r" || letters[0].Died.UnixMicro() != 1700000001000000 {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
	}
	look()
	if b.medium.Durable() {
		b.medium.Close(t)
		var state queue.State
		d, state = b.driver(t)
		look()
		slices.SortFunc(state.Totals, func(x, y queue.Total) int { return x.Items - y.Items })
		want := []queue.Total{
			{Dead: true, Class: sample.Normal, Source: testSource, Items: 1, Samples: len("dead")},
			{Class: sample.Normal, Source: testSource, Items: 2, Samples: len("updated") + len("left")},
		}
		if !slices.Equal(state.Totals, want) || state.Sequence < 5 {
			t.Errorf("state %+v", state)
		}
	}
	dead.Attempts, dead.FirstError, dead.LastError = 0, "", ""
	apply(t, d, change(queue.Revive, dead))
	if got := fetched(t, d, sample.Normal); len(got) != 3 || !same(&got[1], dead) {
		t.Errorf("revived %+v", got)
	}
	gone := waiting(sample.Low, 6, "somebody took it away")
	apply(t, d, change(queue.Bury, gone))
	if letters, err := d.DeadLetters(ctxOf(t), queue.Filter{}, 0, 10); err != nil || len(letters) != 1 || !same(&letters[0].Item, gone) {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
}

// testAllOrNone ends changes early.
func testAllOrNone(b *bench) {
	t := b.t
	d, _ := b.driver(t)
	kept := waiting(sample.Normal, 1, "kept")
	apply(t, d, change(queue.Put, kept))
	err := d.Apply(ctxOf(t), slices.Concat(
		change(queue.Put, waiting(sample.Normal, 2, "x")), change(queue.Remove, kept), change(queue.Revive, waiting(sample.Normal, 3, "no such"))))
	if !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("revived what is not there: %v", err)
	}
	if got := fetched(t, d, sample.Normal); len(got) != 1 || !same(&got[0], kept) {
		t.Errorf("after a failure %+v", got)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	group := make([]*queue.Item, 0, 500)
	for i := range uint64(500) {
		group = append(group, waiting(sample.Low, 10+i, "y"))
	}
	err = d.Apply(over, change(queue.Put, group...))
	if n := len(fetched(t, d, sample.Low)); err == nil && n != len(group) || err != nil && n != 0 {
		t.Errorf("%d of %d put by one who gave up: %v", n, len(group), err)
	}
}

// testKeepsNoItem uses the memory of the changes again.
func testKeepsNoItem(b *bench) {
	t := b.t
	d, _ := b.driver(t)
	var it queue.Item
	changes := change(queue.Put, &it)
	for i := range uint64(3) {
		it = *waiting(sample.Normal, i+1, number(i))
		apply(t, d, changes)
	}
	clear(changes)
	for i, got := range fetched(t, d, sample.Normal) {
		if want := waiting(sample.Normal, uint64(i)+1, number(uint64(i))); !same(&got, want) {
			t.Errorf("item %d is %+v", i, got)
		}
	}
}

// testFetchMeanwhile fetches what was put while more is put and removed.
func testFetchMeanwhile(b *bench) {
	t := b.t
	d, _ := b.driver(t)
	const groups, each = 60, 20
	var wg sync.WaitGroup
	done := make(chan queue.ID, groups)
	wg.Go(func() {
		defer close(done)
		for g := range uint64(groups) {
			group := make([]*queue.Item, 0, each)
			for i := range uint64(each) {
				group = append(group, waiting(sample.Normal, g*each+i+1, number(g*each+i+1)))
			}
			apply(t, d, change(queue.Put, group...))
			done <- group[each-1].ID
		}
	})
	after := queue.MakeID(sample.Normal, 0)
	for upTo := range done {
		found, err := d.Fetch(ctxOf(t), after, upTo, 1000, 1<<20)
		if err != nil || len(found) != each {
			t.Errorf("%d items, %v", len(found), err)
			break
		}
		for i := range found {
			it := &found[i].Item
			if it.ID != after+queue.ID(i)+1 || string(it.Payload) != number(it.ID.Sequence()) {
				t.Errorf("%v after %v holds %q", it.ID, after, it.Payload)
			}
		}
		wg.Go(func() { apply(t, d, change(queue.Remove, &found[0].Item)) })
		after = upTo
	}
	wg.Wait()
	if n := len(fetched(t, d, sample.Normal)); n != 1000 { // as many as were asked for
		t.Errorf("%d items left", n)
	}
}

// testPutMany puts many items that are alike but for one.
func testPutMany(b *bench) {
	t := b.t
	d, _ := b.driver(t)
	const each, odd = 70, 21
	sequence := uint64(0)
	want := make([]*queue.Item, 0, 10*each)
	for _, differ := range []func(*queue.Item){
		func(*queue.Item) {},
		func(it *queue.Item) { it.Source = "other" },
		func(it *queue.Item) { it.Enqueued = it.Enqueued.Add(time.Hour) },
		func(it *queue.Item) { it.Metadata = map[string]string{"a": "b"} },
		func(it *queue.Item) { it.Attempts = 3 },
		func(it *queue.Item) { it.Attempts, it.FirstError = 1, "first" },
		func(it *queue.Item) { it.Attempts, it.LastError = 1, "last" },
		func(it *queue.Item) { it.Priority = sample.Bulk },
		func(it *queue.Item) { it.Samples = 77 },
		func(it *queue.Item) { it.Payload = slices.Repeat([]byte("long"), 5000) },
	} {
		group := make([]*queue.Item, 0, each)
		for i := range each {
			sequence++
			it := waiting(sample.Normal, sequence, number(sequence))
			it.Metadata, it.Enqueued = nil, time.UnixMicro(1700000000000000).UTC()
			if i == odd {
				differ(it)
			}
			group = append(group, it)
		}
		apply(t, d, change(queue.Put, group...))
		want = append(want, group...)
	}
	var state queue.State
	if b.medium.Durable() {
		b.medium.Close(t)
		if d, state = b.driver(t); state.Sequence < sequence {
			t.Errorf("sequence %d after %d", state.Sequence, sequence)
		}
		items := 0
		for _, total := range state.Totals {
			items += total.Items
		}
		if items != len(want) {
			t.Errorf("totals %+v", state.Totals)
		}
	}
	got := fetched(t, d, sample.Normal)
	if len(got) != len(want) {
		t.Fatalf("%d items, want %d", len(got), len(want))
	}
	for i := range got {
		if !same(&got[i], want[i]) {
			t.Errorf("item %d is %+v, want %+v", i, got[i], *want[i])
		}
	}
}
