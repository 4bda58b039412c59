// Package queuetest is the conformance suite of CONFORMANCE Q1 to Q16: every
// queue.Driver runs all of it. Each payload is unique and its content is
// compared, so that a mixed-up item is as visible as a lost one.
package queuetest

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
)

// Medium is what a driver under test keeps its items on. Where the driver is no
// queue.EffectSettler, the suite has a store of its own for effects.
type Medium interface {
	// Driver opens the medium. It is called again after Close, as after a
	// restart of the program.
	Driver(tb testing.TB) queue.Driver
	// Close ends the use of what Driver gave.
	Close(tb testing.TB)
	// Durable says whether items survive a Close.
	Durable() bool
}

// Run runs the suite; medium makes an empty one for each test.
func Run(t *testing.T, medium func(tb testing.TB) Medium) {
	t.Helper()
	for _, part := range []struct {
		name string
		test func(*bench)
	}{
		{"Q1_PriorityThenOrder", testPriorityThenOrder},
		{"Q1_OrderWhateverTheClockDoes", testOrderWhateverTheClock},
		{"Q1_OneClassWithoutPriorities", testOneClass},
		{"Q1_OrderBeyondTheWindow", testBeyondWindow},
		{"Q2_InvalidPriorityIsRefused", testInvalidPriority},
		{"Q2_PayloadIsCopied", testCopied},
		{"Q2_ItemKeepsEverything", testKeepsEverything},
		{"Q2_WhatTheMediumRefusesIsNotAccepted", testNotAccepted},
		{"Q3_EvictsLeastUrgentOldest", testEvicts},
		{"Q3_DropsLeastUrgentNewcomer", testDropsNewcomer},
		{"Q3_RefusesUnlessLessUrgent", testRefuses},
		{"Q3_BlocksUntilRoom", testBlocks},
		{"Q3_BlockedProducersKeepTheirOrder", testBlockedOrder},
		{"Q3_EvictsWhatIsOnTheMediumOnly", testEvictsBeyondWindow},
		{"Q4_DropsAreCounted", testDropsCounted},
		{"Q4_MissingItemsAreNoticed", testMissing},
		{"Q5_LeaseEndsAndItemReturns", testLeaseEnds},
		{"Q5_LeaseEndsAfterAFailedSettlement", testLeaseEndsAfterFailedSettle},
		{"Q5_SettledIsGone", testSettledIsGone},
		{"Q5_SettledAgainAfterAFailure", testSettleAgain},
		{"Q5_FetchedAgainAfterAFailure", testFetchAgain},
		{"Q6_DeadlinePeekClear", testDeadlinePeekClear},
		{"Q6_PeekReadsOnWhereMemoryEnds", testPeek},
		{"Q7_UrgentGoesAtOnce", testUrgent},
		{"Q7_FullBatchOrFlushInterval", testFlush},
		{"Q7_NoPauseWhileMoreThanABatchWaits", testNoPause},
		{"Q7_AFullQueueDoesNotWaitForABatch", testFullGoes},
		{"Q8_Outcomes", testOutcomes},
		{"Q8_BackoffAndPlace", testBackoff},
		{"Q8_PanicIsOneItemsError", testPanic},
		{"Q8_EffectsFailAlone", testEffects},
		{"Q8_TheDisksFaultIsNoItemsFault", testEffectDisk},
		{"Q8_AProcessorsDiskIsNoItemsFault", testProcessorDisk},
		{"Q9_RetryNeverDiesOfAFullQueue", testRetryFull},
		{"Q10_ListAndGet", testDeadList},
		{"Q10_ReviveAndForget", testRevive},
		{"Q10_ReviveIntoAFullQueue", testReviveFull},
		{"Q10_FailedReviveChangesNothing", testFailedRevive},
		{"Q10_OrderOfDeath", testDeadOrder},
		{"Q10_DeadLettersAreBounded", testDeadBounded},
		{"Q11_Stats", testStats},
		{"Q11_LatencyAndRate", testLatency},
		{"Q12_Restart", testRestart},
		{"Q12_SequenceIsNeverReused", testSequence},
		{"Q14_IdsAreOpaqueText", testIDs},
		{"Q15_Drain", testDrain},
		{"Q15_StopFinishesTheBatchInHand", testStop},
		{"Q16_ManyProducersAndConsumers", testMany},
		{"D7_SumAlwaysHolds", testSum},
		{"Model", testModel},
		{"Driver_PutMany", testPutMany},
		{"Driver_Fetch", testFetch},
		{"Driver_FetchMeanwhile", testFetchMeanwhile},
		{"Driver_ChangesThatComeTwice", testApplyTwice},
		{"Driver_AllOrNone", testAllOrNone},
		{"Driver_KeepsNoItem", testKeepsNoItem},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.test(&bench{t: t, medium: medium(t)})
		})
	}
}

// bench is a queue on a medium, with its books.
type bench struct {
	t      *testing.T
	medium Medium
	queue  *queue.Queue
	books  books
	now    func() time.Time
	logger *slog.Logger
	wrap   func(queue.Driver) queue.Driver // around the medium's
	store  *db.DB                          // for effects, when there were some
}

// settings make no waiting and no dropping unless a test asks for it.
func settings() queue.Settings {
	s := queue.Defaults()
	s.FlushInterval = 0
	s.DropOnFull = false
	s.RetryInitial, s.RetryMax = 0, 0
	return s
}

func (b *bench) open(tb testing.TB, s queue.Settings) *queue.Queue {
	tb.Helper()
	return b.start(tb, b.medium.Driver(tb), s)
}

func (b *bench) start(tb testing.TB, d queue.Driver, s queue.Settings) *queue.Queue {
	tb.Helper()
	b.books.mu.Lock()
	b.books.accounts = map[string]*account{}
	b.books.mu.Unlock()
	opts := queue.Options{Observer: b.books.observe, Now: b.now, Logger: b.logger}
	if _, ok := d.(queue.EffectSettler); !ok {
		opts.Apply = b.apply
	}
	if b.wrap != nil {
		d = b.wrap(d)
	}
	q, err := queue.New(d, s, opts)
	if err != nil {
		tb.Fatal(err)
	}
	b.queue = q
	return q
}

// apply commits effects as a store would.
func (b *bench) apply(ctx context.Context, effects []db.Effect) []error {
	errs := make([]error, len(effects))
	if b.store == nil {
		store, err := db.Open(ctx, filepath.Join(b.t.TempDir(), "store"), db.Options{})
		if err != nil {
			return slices.Repeat([]error{err}, len(effects))
		}
		b.store = store
		b.t.Cleanup(func() {
			if err := store.Close(); err != nil {
				b.t.Error(err)
			}
		})
	}
	for i, effect := range effects {
		errs[i] = b.store.Write(ctx, effect)
	}
	return errs
}

// reopenEmpty is a restart where the medium outlives it, with nothing on it.
func (b *bench) reopenEmpty(tb testing.TB, s queue.Settings) *queue.Queue {
	tb.Helper()
	q := b.reopen(tb, s)
	if n := q.Len() + q.Stats().DeadLetters; n != 0 {
		tb.Errorf("%d items are left", n)
	}
	return q
}

// reopen is a restart of the program.
func (b *bench) reopen(tb testing.TB, s queue.Settings) *queue.Queue {
	tb.Helper()
	b.medium.Close(tb)
	return b.open(tb, s)
}

// account is one source's books (DESIGN decision 7), in samples.
type account struct {
	offered, recovered int
	at                 [6]int // by queue.Place
}

type books struct {
	mu       sync.Mutex
	accounts map[string]*account
	events   []queue.Event
}

func (b *books) of(source string) *account {
	a := b.accounts[source]
	if a == nil {
		a = new(account)
		b.accounts[source] = a
	}
	return a
}

func (b *books) observe(e queue.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.of(e.Source)
	if e.From == queue.Nowhere {
		a.recovered += e.Samples
	} else {
		a.at[e.From] -= e.Samples
	}
	a.at[e.To] += e.Samples
	b.events = append(b.events, e)
}

// offer books samples that are about to be enqueued, or back if they were not.
func (b *books) offer(source string, samples int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(source).offered += samples
	b.of(source).at[queue.Queued] += samples
}

// place tells how many samples of the items made by item are there.
func (b *books) place(p queue.Place) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(testSource).at[p]
}

func ctxOf(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

const testSource = "src"

func item(p sample.Priority, text string) queue.Item {
	return queue.Item{Source: testSource, Priority: p, Samples: 1, Payload: []byte(text)}
}

func put(tb testing.TB, q *queue.Queue, p sample.Priority, texts ...string) []queue.ID {
	tb.Helper()
	ids := make([]queue.ID, 0, len(texts))
	for _, text := range texts {
		id, err := q.Enqueue(ctxOf(tb), item(p, text))
		if err != nil || id == 0 {
			tb.Fatalf("enqueue %q: %v, %v", text, id, err)
		}
		ids = append(ids, id)
	}
	return ids
}

func texts(items []queue.Item) []string {
	out := make([]string, 0, len(items))
	for i := range items {
		out = append(out, string(items[i].Payload))
	}
	return out
}

// lease takes exactly n items, each lease as large as it may be.
func lease(tb testing.TB, q *queue.Queue, n int) []queue.Item {
	tb.Helper()
	var items []queue.Item
	for len(items) < n {
		more, err := q.Dequeue(ctxOf(tb), n-len(items))
		if err != nil || len(more) == 0 {
			tb.Fatalf("dequeue after %d of %d: %d items, %v", len(items), n, len(more), err)
		}
		items = append(items, more...)
	}
	return items
}

func settle(tb testing.TB, q *queue.Queue, items []queue.Item, result queue.Result) {
	tb.Helper()
	if err := q.Settle(ctxOf(tb), items, slices.Repeat([]queue.Result{result}, len(items))); err != nil {
		tb.Fatalf("settle: %v", err)
	}
}

// expect leases and settles the given payloads, in order, and nothing more.
func expect(tb testing.TB, q *queue.Queue, want ...string) {
	tb.Helper()
	items := lease(tb, q, len(want))
	if got := texts(items); !slices.Equal(got, want) {
		tb.Fatalf("dequeued %q, want %q", got, want)
	}
	settle(tb, q, items, queue.Result{})
	expectEmpty(tb, q)
}

func expectEmpty(tb testing.TB, q *queue.Queue) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	items, err := q.Dequeue(ctx, 10)
	if err != nil || len(items) > 0 {
		tb.Fatalf("more came: %q, %v", texts(items), err)
	}
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%05d", prefix, i)
	}
	return out
}

func itemsNamed(p sample.Priority, names []string) []queue.Item {
	items := make([]queue.Item, len(names))
	for i, n := range names {
		items[i] = item(p, n)
	}
	return items
}
