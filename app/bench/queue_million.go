package bench

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	startTarget = 2    // s
	memoryMost  = 150  // MiB
	depthTarget = 0.8  // of the rate at few items
	reuseMost   = 1.02 // of the full file
)

// million measures what a long queue on the disk costs: the start, the memory,
// the rate, and what becomes of the file.
func (b *queueBench) million() (_ []Result, err error) {
	many, err := b.openOurs(contest{payload: smallPayload, group: targetGroup, least: b.round})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, many.close()) }()
	if err := many.fill(b.extent.many); err != nil {
		return nil, err
	}
	results, err := b.starts(many)
	if err != nil {
		return nil, err
	}
	rates, err := b.depth(many)
	if err != nil {
		return nil, err
	}
	results = append(results, rates...)
	if rss, ok := residentMiB(); ok {
		r := result("memory after taking from them", "MiB resident", []float64{rss}).atMost(memoryMost)
		r.Note = "of this whole process, the bare loops included"
		results = append(results, r)
	}
	files, err := b.reused(many)
	return append(results, files...), err
}

// starts opens the same directory again and again.
func (b *queueBench) starts(many *ours) ([]Result, error) {
	var took, heap, resident []float64
	for range b.rounds {
		if err := many.stop(); err != nil {
			return nil, err
		}
		debug.FreeOSMemory()
		start := time.Now()
		if err := many.start(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start).Seconds())
		if err := expect("are there after a start", many.queue.Len(), b.extent.many); err != nil {
			return nil, err
		}
		heap = append(heap, heapMiB())
		if rss, ok := residentMiB(); ok {
			resident = append(resident, rss)
		}
	}
	at := fmt.Sprintf(" on %d waiting items", b.extent.many)
	results := []Result{
		result("start"+at, "s", took).atMost(startTarget),
		result("memory after a start"+at, "MiB of heap", heap).atMost(memoryMost),
	}
	if len(resident) > 0 {
		results = append(results, result("memory after a start"+at, "MiB resident", resident).atMost(memoryMost))
	}
	return results, nil
}

// depth compares the rate of taking from many items with that from few, and
// both with a bare loop over as many.
func (b *queueBench) depth(many *ours) (_ []Result, err error) {
	keepers := []keeper{many}
	defer func() {
		for _, k := range keepers[1:] { // many is the caller's
			err = errors.Join(err, k.close())
		}
	}()
	add := func(open func(contest) (keeper, error), items int) error {
		k, err := open(many.contest)
		if err != nil {
			return err
		}
		keepers = append(keepers, k)
		_, err = timed((items+many.group-1)/many.group, k.put)
		return err
	}
	if err := errors.Join(add(b.openQueue, b.few), add(b.openBare, b.extent.many), add(b.openBare, b.few)); err != nil {
		return nil, err
	}
	var rates [4][]float64
	for i := range b.rounds + 1 {
		for at, k := range keepers {
			rate, err := many.refilled(k)
			if err != nil {
				return nil, err
			}
			if i > 0 { // the first one warms
				rates[at] = append(rates[at], rate)
			}
		}
	}
	deep, shallow, bareDeep, bareShallow := rates[0], rates[1], rates[2], rates[3]
	toFew, bareToFew := ratios(deep, shallow), ratios(bareDeep, bareShallow)
	results := []Result{
		beside(result(fmt.Sprintf("dequeue of %d waiting items", b.few), "items/s", shallow), shallow, bareShallow),
		beside(result(fmt.Sprintf("dequeue of %d waiting items", b.extent.many), "items/s", deep), deep, bareDeep),
		beside(result(fmt.Sprintf("dequeue of %d to that of %d items", b.extent.many, b.few), "times", toFew), toFew, bareToFew).wanted(depthTarget),
	}
	for i := range results {
		results[i].Group, results[i].PayloadBytes = many.group, many.payload
	}
	return results, nil
}

// refilled takes groups, each replaced by another at the end, and gives the
// items/s of the taking alone.
func (c contest) refilled(k keeper) (float64, error) {
	runtime.GC()
	var took time.Duration
	n := 0
	for start := time.Now(); took < c.least && (n == 0 || time.Since(start) < patience*c.least); {
		one, err := timed(1, func() error { return k.take(dequeue) })
		if err != nil {
			return 0, err
		}
		took += one
		n += c.group
		if err := k.put(); err != nil {
			return 0, err
		}
	}
	return float64(n) / took.Seconds(), nil
}

// reused tells what the file does after everything was taken.
func (b *queueBench) reused(many *ours) ([]Result, error) {
	full, err := many.fileMiB()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := many.drain(); err != nil {
		return nil, err
	}
	rate := float64(b.extent.many) / time.Since(start).Seconds()
	drained, err := many.fileMiB()
	if err != nil {
		return nil, err
	}
	if err := many.fill(b.reuse); err != nil {
		return nil, err
	}
	again, err := many.fileMiB()
	if err != nil {
		return nil, err
	}
	one := func(name, unit string, v float64) Result { return result(name, unit, []float64{v}) }
	return []Result{
		one("all of them taken in groups of 1024", "items/s", rate),
		one(fmt.Sprintf("file with %d items", b.extent.many), "MiB", full),
		one("file after taking all", "MiB", drained),
		one(fmt.Sprintf("file after %d more, to the full one", b.reuse), "times", again/full).atMost(reuseMost),
	}, nil
}

func heapMiB() float64 {
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	return float64(mem.HeapAlloc) / (1 << 20)
}

// many measures what a long queue in memory costs.
func (b *queueBench) many() (_ []Result, err error) {
	before := heapMiB()
	o, err := b.openOurs(contest{payload: smallPayload, group: targetGroup, least: b.round})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := o.fill(b.extent.many); err != nil {
		return nil, err
	}
	bytes := (heapMiB() - before) * (1 << 20) / float64(b.extent.many)
	results, err := b.depth(o)
	r := result(fmt.Sprintf("memory an item of %d waiting", b.extent.many), "bytes", []float64{bytes})
	r.PayloadBytes, r.Note = o.payload, "payload included"
	return append(results, r), err
}
