package queuetest_test

import (
	"cmp"
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/queue/queuetest"
	"dynotap/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kept is a driver that outlives a restart, in memory.
type kept struct {
	*memory.Driver
	mu       sync.Mutex
	sequence uint64
}

func (k *kept) Load(ctx context.Context) (queue.State, error) {
	totals := map[queue.Total]queue.Total{}
	add := func(dead bool, it *queue.Item) {
		key := queue.Total{Dead: dead, Class: it.ID.Class(), Source: it.Source}
		t := cmp.Or(totals[key], key)
		t.Items, t.Samples = t.Items+1, t.Samples+it.Samples
		totals[key] = t
	}
	for class := range sample.Priority(sample.Priorities) {
		found, err := k.Fetch(ctx, queue.MakeID(class, 0), queue.MakeID(class+1, 0)-1, 1<<30, 1<<60)
		if err != nil {
			return queue.State{}, err
		}
		for i := range found {
			add(false, &found[i].Item)
		}
	}
	letters, err := k.DeadLetters(ctx, queue.Filter{}, 0, 1<<30)
	for i := range letters {
		add(true, &letters[i].Item)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return queue.State{Sequence: k.sequence, Totals: slices.Collect(maps.Values(totals))}, err
}

func (k *kept) Apply(ctx context.Context, changes []queue.Change) error {
	k.mu.Lock()
	for i := range changes {
		k.sequence = max(k.sequence, changes[i].Item.ID.Sequence())
	}
	k.mu.Unlock()
	return k.Driver.Apply(ctx, changes)
}

// shelf is the medium of a kept driver, or of what was made of it.
type shelf struct{ driver queue.Driver }

func (s shelf) Driver(testing.TB) queue.Driver { return s.driver }
func (shelf) Close(testing.TB)                 {}
func (shelf) Durable() bool                    { return true }

// wrong is a driver with one fault: what is nil is as it should be.
type wrong struct {
	queue.Driver
	load  func(queue.State) queue.State
	reach func(*reach)
	fetch func([]queue.Stored) []queue.Stored
	apply func(context.Context, queue.Driver, []queue.Change) error
	ask   func(filter *queue.Filter, offset, limit *int)
	list  func([]queue.DeadLetter)
}

// reach is what a Fetch is asked for.
type reach struct {
	after, upTo  queue.ID
	limit, bytes int
}

func (w *wrong) Load(ctx context.Context) (queue.State, error) {
	state, err := w.Driver.Load(ctx)
	if w.load != nil {
		state = w.load(state)
	}
	return state, err
}

func (w *wrong) Fetch(ctx context.Context, after, upTo queue.ID, limit, maxBytes int) ([]queue.Stored, error) {
	r := reach{after, upTo, limit, maxBytes}
	if w.reach != nil {
		w.reach(&r)
	}
	found, err := w.Driver.Fetch(ctx, r.after, r.upTo, r.limit, r.bytes)
	if w.fetch != nil {
		found = w.fetch(found)
	}
	return found, err
}

func (w *wrong) Apply(ctx context.Context, changes []queue.Change) error {
	if w.apply != nil {
		return w.apply(ctx, w.Driver, changes)
	}
	return w.Driver.Apply(ctx, changes)
}

func (w *wrong) DeadLetters(ctx context.Context, filter queue.Filter, offset, limit int) ([]queue.DeadLetter, error) {
	if w.ask != nil {
		w.ask(&filter, &offset, &limit)
	}
	letters, err := w.Driver.DeadLetters(ctx, filter, offset, limit)
	if w.list != nil {
		w.list(letters)
	}
	return letters, err
}

// without leaves changes out.
func without(op queue.Op) wrong {
	return wrong{apply: func(ctx context.Context, d queue.Driver, changes []queue.Change) error {
		return d.Apply(ctx, slices.DeleteFunc(slices.Clone(changes), func(c queue.Change) bool { return c.Op == op }))
	}}
}

func reaching(alter func(*reach)) wrong { return wrong{reach: alter} }

func listing(alter func(filter *queue.Filter, offset, limit *int)) wrong { return wrong{ask: alter} }

// altered changes items on their way in.
func altered(alter func(*queue.Change)) wrong {
	return wrong{apply: func(ctx context.Context, d queue.Driver, changes []queue.Change) error {
		changes = slices.Clone(changes)
		for i := range changes {
			it := *changes[i].Item
			changes[i].Item = &it
			alter(&changes[i])
		}
		return d.Apply(ctx, changes)
	}}
}

// faults are drivers that are wrong, each with a test that must find it out.
var faults = map[string]struct {
	found  string
	driver wrong
}{
	"drops the last change": {"Driver_FetchMeanwhile", wrong{apply: func(ctx context.Context, d queue.Driver, changes []queue.Change) error {
		return d.Apply(ctx, changes[:max(1, len(changes)-1)])
	}}},
	"makes the changes one by one": {"Driver_AllOrNone", wrong{apply: func(ctx context.Context, d queue.Driver, changes []queue.Change) error {
		for i := range changes {
			if err := d.Apply(ctx, changes[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}}},
	"does not update":           {"Q12_Restart", without(queue.Update)},
	"does not remove":           {"Q5_SettledIsGone", without(queue.Remove)},
	"does not bury":             {"Q8_Outcomes", without(queue.Bury)},
	"does not revive":           {"Driver_ChangesThatComeTwice", without(queue.Revive)},
	"does not forget":           {"Driver_ChangesThatComeTwice", without(queue.Forget)},
	"loses the metadata":        {"Q2_ItemKeepsEverything", altered(func(c *queue.Change) { c.Item.Metadata = nil })},
	"loses the priority":        {"Driver_KeepsNoItem", altered(func(c *queue.Change) { c.Item.Priority = c.Item.ID.Class() })},
	"loses the samples":         {"Q2_ItemKeepsEverything", altered(func(c *queue.Change) { c.Item.Samples = 0 })},
	"loses the date":            {"Q2_ItemKeepsEverything", altered(func(c *queue.Change) { c.Item.Enqueued = c.Died })},
	"loses the attempts":        {"Q12_Restart", altered(func(c *queue.Change) { c.Item.Attempts = 0 })},
	"loses the first error":     {"Driver_ChangesThatComeTwice", altered(func(c *queue.Change) { c.Item.FirstError = c.Item.LastError })},
	"loses the reason":          {"Q10_ListAndGet", altered(func(c *queue.Change) { c.Reason = "" })},
	"revives with old attempts": {"Q10_ReviveAndForget", altered(func(c *queue.Change) { c.Item.Attempts += int(c.Op/queue.Revive) % 2 })},
	"uses the sequence again":   {"Q12_SequenceIsNeverReused", wrong{load: func(s queue.State) queue.State { s.Sequence = uint64(len(s.Totals)); return s }}},
	"loses the totals":          {"Driver_ChangesThatComeTwice", wrong{load: func(s queue.State) queue.State { s.Totals = nil; return s }}},
	"fetches out of order":      {"Q1_OrderBeyondTheWindow", wrong{fetch: func(f []queue.Stored) []queue.Stored { slices.Reverse(f); return f }}},
	"fetches one too few":       {"Driver_Fetch", wrong{fetch: func(f []queue.Stored) []queue.Stored { return f[:max(0, len(f)-1)] }}},
	"fetches the first again":   {"Q1_OrderBeyondTheWindow", reaching(func(r *reach) { r.after-- })},
	"fetches beyond the end":    {"Driver_Fetch", reaching(func(r *reach) { r.upTo = queue.MakeID(r.upTo.Class()+1, 0) - 1 })},
	"fetches more than asked":   {"Driver_Fetch", reaching(func(r *reach) { r.limit++ })},
	"fetches too many bytes":    {"Driver_Fetch", reaching(func(r *reach) { r.bytes = 1 << 40 })},
	"fetches too few bytes":     {"Driver_Fetch", reaching(func(r *reach) { r.bytes-- })},
	"lists without an offset":   {"Q10_ListAndGet", listing(func(_ *queue.Filter, offset, _ *int) { *offset = 0 })},
	"lists without a limit":     {"Q10_ListAndGet", listing(func(_ *queue.Filter, _, limit *int) { *limit = 100 })},
	"lists every source":        {"Q10_ListAndGet", listing(func(f *queue.Filter, _, _ *int) { f.Source = "" })},
	"lists every priority":      {"Q10_ListAndGet", listing(func(f *queue.Filter, _, _ *int) { f.Priority = nil })},
	"lists every reason":        {"Q10_ListAndGet", listing(func(f *queue.Filter, _, _ *int) { f.Reason = "" })},
	"lists every day":           {"Q10_ListAndGet", listing(func(f *queue.Filter, _, _ *int) { f.DiedBy = time.Time{} })},
	"lists by id": {"Q10_OrderOfDeath", wrong{list: func(l []queue.DeadLetter) {
		slices.SortFunc(l, func(a, b queue.DeadLetter) int { return cmp.Compare(a.ID, b.ID) })
	}}},
	"is late by one call": {"Driver_KeepsNoItem", late()},
}

// late carries each Apply out with the next one, from memory that is not its
// own any more.
func late() wrong {
	var mu sync.Mutex
	var before []queue.Change
	return wrong{apply: func(ctx context.Context, d queue.Driver, changes []queue.Change) error {
		mu.Lock()
		defer mu.Unlock()
		changes, before = before, changes
		return d.Apply(ctx, changes)
	}}
}

// TestFaultsAreFound runs the test that must fail, or wait in vain, in a
// process of its own.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestSuite$/^"+fault.found+"$", "-test.timeout", "8s", "-test.v")
			cmd.Env = append(os.Environ(), "QUEUETEST_FAULT="+name)
			out, err := cmd.CombinedOutput()
			failed := strings.Contains(string(out), "--- FAIL: TestSuite/"+fault.found) || strings.Contains(string(out), "panic: test timed out")
			if err == nil || !failed {
				t.Errorf("%s passes, or was not run: %v\n%s", fault.found, err, out)
			}
		})
	}
}

// TestSuite runs the suite on a driver that is right, or on one that is wrong.
func TestSuite(t *testing.T) {
	t.Parallel()
	fault := os.Getenv("QUEUETEST_FAULT")
	queuetest.Run(t, func(testing.TB) queuetest.Medium {
		k := &kept{Driver: memory.New()}
		if fault == "" {
			return shelf{k}
		}
		w := faults[fault].driver
		w.Driver = k
		return shelf{&w}
	})
}
