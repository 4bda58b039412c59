package pipeline

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"dynotap/queue"
)

func TestDecision7EveryEventKeepsTheSum(t *testing.T) {
	t.Parallel()
	event := func(from, to queue.Place, n int, reason string) func(*Ledger) {
		return func(l *Ledger) {
			l.Observe(queue.Event{Source: "s", Items: 1, Samples: n, From: from, To: to, Reason: reason})
		}
	}
	receive := func(n int, failed map[string]int64) func(*Ledger) {
		return func(l *Ledger) { l.Receive("s", n, failed) }
	}
	abandon := func(n int) func(*Ledger) { return func(l *Ledger) { l.Abandon("s", n, "stopped") } }
	for name, c := range map[string]struct {
		events []func(*Ledger)
		want   Account
	}{
		"nothing":  {nil, Account{}},
		"received": {[]func(*Ledger){receive(5, nil)}, Account{Received: 5, Queued: 5}},
		"some rejected": {
			[]func(*Ledger){receive(5, map[string]int64{"nan": 2, "below": 1})},
			Account{Received: 5, Queued: 2, Failed: 3, FailedBy: map[string]int64{"nan": 2, "below": 1}},
		},
		"all rejected": {
			[]func(*Ledger){receive(2, map[string]int64{"nan": 2})},
			Account{Received: 2, Failed: 2, FailedBy: map[string]int64{"nan": 2}},
		},
		"abandoned":     {[]func(*Ledger){receive(5, nil), abandon(5)}, Account{Received: 5, Dropped: 5, DroppedBy: map[string]int64{"stopped": 5}}},
		"abandoned 0":   {[]func(*Ledger){abandon(0)}, Account{}},
		"stored":        {[]func(*Ledger){receive(5, nil), event(queue.Queued, queue.Processed, 5, "")}, Account{Received: 5, Processed: 5}},
		"found":         {[]func(*Ledger){event(queue.Nowhere, queue.Queued, 3, ""), event(queue.Nowhere, queue.Dead, 2, "")}, Account{Recovered: 5, Queued: 3, Dead: 2}},
		"found, stored": {[]func(*Ledger){event(queue.Nowhere, queue.Queued, 3, ""), event(queue.Queued, queue.Processed, 3, "")}, Account{Recovered: 3, Processed: 3}},
		"died, revived, stored": {
			[]func(*Ledger){
				receive(4, nil), event(queue.Queued, queue.Dead, 4, "retries_exhausted"),
				event(queue.Dead, queue.Queued, 4, ""), event(queue.Queued, queue.Processed, 4, ""),
			},
			Account{Received: 4, Processed: 4},
		},
		"died, forgotten": {
			[]func(*Ledger){receive(4, nil), event(queue.Queued, queue.Dead, 4, ""), event(queue.Dead, queue.Discarded, 4, "")},
			Account{Received: 4, Discarded: 4},
		},
		"dead letter evicted": {
			[]func(*Ledger){event(queue.Nowhere, queue.Dead, 4, ""), event(queue.Dead, queue.Dropped, 4, queue.ReasonDeadFull)},
			Account{Recovered: 4, Dropped: 4, DroppedBy: map[string]int64{queue.ReasonDeadFull: 4}},
		},
		"dropped twice": {
			[]func(*Ledger){
				receive(9, nil), event(queue.Queued, queue.Dropped, 4, queue.ReasonFull), event(queue.Queued, queue.Dropped, 5, queue.ReasonFull),
			},
			Account{Received: 9, Dropped: 9, DroppedBy: map[string]int64{queue.ReasonFull: 9}},
		},
		"cleared": {[]func(*Ledger){receive(9, nil), event(queue.Queued, queue.Discarded, 9, "")}, Account{Received: 9, Discarded: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := NewLedger()
			for _, e := range c.events {
				e(l)
				if _, total := l.Snapshot(); total.Balance() != 0 {
					t.Errorf("off by %d: %+v", total.Balance(), total)
				}
			}
			sources, total := l.Snapshot()
			for _, got := range []Account{sources["s"], total} {
				if !sameAccount(got, c.want) {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			}
		})
	}
}

func sameAccount(a, b Account) bool {
	numbers := func(a Account) [8]int64 {
		return [8]int64{a.Received, a.Recovered, a.Processed, a.Failed, a.Dropped, a.Queued, a.Dead, a.Discarded}
	}
	return numbers(a) == numbers(b) && maps.Equal(a.FailedBy, b.FailedBy) && maps.Equal(a.DroppedBy, b.DroppedBy)
}

// moves are all that the queue can tell of.
func moves() []queue.Event {
	return []queue.Event{
		{From: queue.Nowhere, To: queue.Queued}, {From: queue.Nowhere, To: queue.Dead},
		{From: queue.Queued, To: queue.Processed}, {From: queue.Queued, To: queue.Dead},
		{From: queue.Queued, To: queue.Dropped, Reason: queue.ReasonFull}, {From: queue.Queued, To: queue.Dropped, Reason: queue.ReasonEvicted},
		{From: queue.Queued, To: queue.Discarded}, {From: queue.Dead, To: queue.Queued},
		{From: queue.Dead, To: queue.Discarded}, {From: queue.Dead, To: queue.Dropped, Reason: queue.ReasonDeadFull},
	}
}

// TestDecision7AnySequenceKeepsTheSum compares the ledger with a model that
// knows each sample's place.
func TestDecision7AnySequenceKeepsTheSum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := NewLedger()
		places := map[string]map[queue.Place]int{}
		reasons := map[string]map[string]int64{}
		at := func(source string) map[queue.Place]int {
			if places[source] == nil {
				places[source], reasons[source] = map[queue.Place]int{}, map[string]int64{}
			}
			return places[source]
		}
		source := rapid.SampledFrom([]string{"jetdrive", "innovate", "csv"})
		const failed = queue.Place(200)
		t.Repeat(map[string]func(*rapid.T){
			"receive": func(t *rapid.T) {
				s, n := source.Draw(t, "source"), rapid.IntRange(0, 50).Draw(t, "n")
				bad, worse := 0, 0
				if n > 0 {
					bad = rapid.IntRange(0, n).Draw(t, "bad")
					worse = rapid.IntRange(0, n-bad).Draw(t, "worse")
				}
				l.Receive(s, n, map[string]int64{"nan": int64(bad), "below": int64(worse)})
				at(s)[queue.Queued] += n - bad - worse
				at(s)[failed] += bad + worse
			},
			"abandon": func(t *rapid.T) {
				s := source.Draw(t, "source")
				n := rapid.IntRange(0, at(s)[queue.Queued]).Draw(t, "n")
				l.Abandon(s, n, reasonStopped)
				at(s)[queue.Queued] -= n
				at(s)[queue.Dropped] += n
				reasons[s][reasonStopped] += int64(n)
			},
			"move": func(t *rapid.T) {
				e := rapid.SampledFrom(moves()).Draw(t, "move")
				e.Source, e.Items = source.Draw(t, "source"), 1
				e.Samples = 50
				if e.From != queue.Nowhere {
					e.Samples = at(e.Source)[e.From]
				}
				e.Samples = rapid.IntRange(0, e.Samples).Draw(t, "samples")
				l.Observe(e)
				at(e.Source)[e.From] -= e.Samples
				at(e.Source)[e.To] += e.Samples
				if e.To == queue.Dropped {
					reasons[e.Source][e.Reason] += int64(e.Samples)
				}
			},
			"": func(t *rapid.T) {
				sources, total := l.Snapshot()
				var sum Account
				for name, a := range sources {
					in := places[name]
					if a.Balance() != 0 || a.Queued != int64(in[queue.Queued]) || a.Processed != int64(in[queue.Processed]) ||
						a.Dead != int64(in[queue.Dead]) || a.Dropped != int64(in[queue.Dropped]) || a.Discarded != int64(in[queue.Discarded]) ||
						a.Failed != int64(in[failed]) || a.Recovered != int64(-in[queue.Nowhere]) {
						t.Fatalf("%s: %+v, balance %d, model %v", name, a, a.Balance(), in)
					}
					byReason := int64(0)
					for reason, n := range a.DroppedBy {
						byReason += n
						if n != reasons[name][reason] {
							t.Fatalf("%s dropped %v, model %v", name, a.DroppedBy, reasons[name])
						}
					}
					if byReason != a.Dropped {
						t.Fatalf("%s dropped %d, by reason %v", name, a.Dropped, a.DroppedBy)
					}
					sum.add(a)
				}
				if !sameAccount(sum, total) || total.Balance() != 0 {
					t.Fatalf("total %+v, the sources together %+v", total, sum)
				}
				if got := l.Sources(); !slices.Equal(got, slices.Sorted(maps.Keys(sources))) {
					t.Fatalf("sources %v", got)
				}
			},
		})
	})
}

func TestDecision7SumHoldsWhileEverybodyWrites(t *testing.T) {
	t.Parallel()
	l := NewLedger()
	const writers, rounds = 8, 2000
	var writing, looking sync.WaitGroup
	for w := range writers {
		source := []string{"jetdrive", "innovate"}[w%2]
		writing.Go(func() {
			for i := range rounds {
				l.Receive(source, 10, map[string]int64{"nan": 1})
				l.Observe(queue.Event{Source: source, Samples: 2, From: queue.Queued, To: queue.Dropped, Reason: queue.ReasonFull})
				l.Observe(queue.Event{Source: source, Samples: 3, From: queue.Queued, To: queue.Dead})
				l.Observe(queue.Event{Source: source, Samples: 3, From: queue.Dead, To: queue.Queued})
				if i%2 == 0 {
					l.Abandon(source, 7, reasonStopped)
				} else {
					l.Observe(queue.Event{Source: source, Samples: 7, From: queue.Queued, To: queue.Processed})
				}
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		looking.Go(func() {
			for {
				sources, total := l.Snapshot()
				var sum Account
				for name, a := range sources {
					sum.add(a)
					if a.Balance() != 0 || a.Queued < 0 || a.Dead < 0 {
						t.Errorf("%s: %+v", name, a)
						return
					}
				}
				if !sameAccount(sum, total) {
					t.Errorf("the sources add up to %+v, the total is %+v", sum, total)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(done)
	looking.Wait()
	const n = writers * rounds
	want := Account{
		Received: 10 * n, Failed: n, Dropped: 2*n + 7*n/2, Processed: 7 * n / 2,
		FailedBy: map[string]int64{"nan": n}, DroppedBy: map[string]int64{queue.ReasonFull: 2 * n, reasonStopped: 7 * n / 2},
	}
	if _, total := l.Snapshot(); !sameAccount(total, want) {
		t.Errorf("got %+v, want %+v", total, want)
	}
}

func TestLedgerSnapshotIsACopy(t *testing.T) {
	t.Parallel()
	l := NewLedger()
	l.Receive("s", 3, map[string]int64{"nan": 1})
	l.Abandon("s", 1, reasonStopped)
	sources, total := l.Snapshot()
	sources["s"].FailedBy["nan"], sources["s"].DroppedBy[reasonStopped], total.FailedBy["nan"] = 99, 99, 99
	l.Receive("s", 1, map[string]int64{"nan": 1})
	again, sum := l.Snapshot()
	if again["s"].FailedBy["nan"] != 2 || again["s"].DroppedBy[reasonStopped] != 1 || sum.FailedBy["nan"] != 2 {
		t.Errorf("somebody else's change shows: %+v", again["s"])
	}
}
