package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

const (
	// producerCount producers at the same time must reach producerTarget times
	// the items of one flush for each.
	producerCount  = 64
	producerTarget = 10
	// offeredRate items/s are enqueued within latencyTarget ms by 99 of 100.
	offeredRate   = 10_000
	latencyTarget = 15
)

// producers measures how single durable items of many producers share their
// flushes, beside one producer, a bare loop and a plain file with one flush an
// item.
func (b *queueBench) producers() (_ []Result, err error) {
	c := contest{payload: smallPayload, group: 1, least: b.round}
	keepers, err := b.open(c)
	defer func() {
		for _, k := range keepers {
			err = errors.Join(err, k.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	shared, err := b.openOurs(c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, shared.close()) }()
	var many []float64
	var alone [3][]float64
	for range b.rounds {
		rate, err := shared.together(b.round)
		if err != nil {
			return nil, err
		}
		many = append(many, rate)
		for i, k := range keepers {
			if rate, err = onePutter(k, c.least); err != nil {
				return nil, err
			}
			alone[i] = append(alone[i], rate)
		}
	}
	toOne, toFile := ratios(many, alone[0]), ratios(many, alone[2])
	name := fmt.Sprintf("enqueue by %d producers, single items", producerCount)
	r := beside(result(name, "items/s", many), many, alone[1])
	r.Group, r.PayloadBytes = 1, c.payload
	r.FileMedian, r.RatioToFile = medianOf(alone[2]), medianOf(toFile)
	r.Note = "beside loops with a flush for each item"
	return []Result{
		r,
		result(fmt.Sprintf("%d producers to one", producerCount), "times", toOne).wanted(producerTarget),
		result(fmt.Sprintf("%d producers to a plain file, a flush for each item", producerCount), "times", toFile).wanted(producerTarget),
	}, nil
}

// together enqueues single items from many producers at once and gives
// items/s.
func (o *ours) together(least time.Duration) (float64, error) {
	ctx := context.Background()
	var done atomic.Int64
	errs := make([]error, producerCount)
	var producers sync.WaitGroup
	start := time.Now()
	for i := range producerCount {
		producers.Go(func() {
			for time.Since(start) < least && errs[i] == nil {
				_, errs[i] = o.queue.Enqueue(ctx, o.items[0])
				done.Add(1)
			}
		})
	}
	producers.Wait()
	rate := float64(done.Load()) / time.Since(start).Seconds()
	return rate, errors.Join(errors.Join(errs...), o.drain())
}

// onePutter puts one item after the other, each flushed, and gives items/s.
func onePutter(k keeper, least time.Duration) (float64, error) {
	n := 0
	start := time.Now()
	for time.Since(start) < least {
		if err := k.put(); err != nil {
			return 0, err
		}
		n++
	}
	rate := float64(n) / time.Since(start).Seconds()
	for range n {
		if err := k.take(dequeue); err != nil {
			return 0, err
		}
	}
	return rate, k.tidy()
}

// latency measures how long an enqueue takes while items come by a schedule
// that waits for nobody, and a processor takes them away.
func (b *queueBench) latency() (_ []Result, err error) {
	o, err := b.openOurs(contest{payload: smallPayload, group: 1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ctx := context.Background()
	results := make([]queue.Result, roomy().BatchSize)
	err = o.queue.Start(ctx, func(_ context.Context, items []queue.Item) []queue.Result { return results[:len(items)] })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.queue.Stop(ctx)) }()
	var p50, p99, most, rate []float64
	for i := range b.rounds + 1 {
		ms, took, err := o.offered(b.offer)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			continue // warm
		}
		slices.Sort(ms)
		p50, p99, most = append(p50, median(ms)), append(p99, ms[len(ms)*99/100]), append(most, ms[len(ms)-1])
		rate = append(rate, float64(len(ms))/took.Seconds())
	}
	at := " of an enqueue at 10,000 items/s offered"
	all := []Result{
		result("p50"+at, "ms", p50),
		result("p99"+at, "ms", p99).atMost(latencyTarget),
		result("longest"+at, "ms", most),
		result("accepted of 10,000 items/s offered", "items/s", rate),
	}
	for i := range all {
		all[i].Group, all[i].PayloadBytes = 1, o.payload
		all[i].Note = "from when it was due to when it was durable; a processor takes them away"
	}
	return all, nil
}

// offered enqueues HIGH items by a fixed schedule, each on its own, and gives
// the ms from when each was due until it was durable.
func (o *ours) offered(during time.Duration) (ms []float64, took time.Duration, err error) {
	ctx := context.Background()
	item := o.items[0]
	item.Priority = sample.High
	ms = make([]float64, int(during.Seconds()*offeredRate))
	var wrong atomic.Pointer[error]
	var under sync.WaitGroup
	start := time.Now()
	for i := range ms {
		due := start.Add(time.Duration(i) * time.Second / offeredRate)
		if early := time.Until(due); early > 0 {
			time.Sleep(early)
		}
		under.Go(func() {
			if _, err := o.queue.Enqueue(ctx, item); err != nil {
				wrong.Store(&err)
			}
			ms[i] = float64(time.Since(due).Nanoseconds()) / 1e6
		})
	}
	under.Wait()
	took = time.Since(start)
	if err := wrong.Load(); err != nil {
		return nil, 0, *err
	}
	return ms, took, nil
}
