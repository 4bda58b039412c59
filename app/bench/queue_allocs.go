package bench

import (
	"bytes"
	"errors"
	"runtime"
)

// allocationsMost an item, beyond the copy of its payload, is none: what a
// group shares is not an item's.
const allocationsMost = 0.05

// allocations counts what the memory backend allocates for an item on its way
// in and out, beyond the one copy of its payload.
func (b *queueBench) allocations() ([]Result, error) {
	var results []Result
	for _, group := range []int{1, targetGroup} {
		r, err := b.allocate(contest{payload: smallPayload, group: group, row: 4096})
		results = append(results, r...)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

func (b *queueBench) allocate(c contest) (_ []Result, err error) {
	o, err := b.openOurs(c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	body := o.body()
	copies := make([][]byte, c.group)
	duplicate := func() error {
		for i := range copies {
			copies[i] = bytes.Clone(body)
		}
		return nil
	}
	take := func() error { return o.take(dequeue) }
	var in, inBytes, out, outBytes []float64
	for i := range b.rounds + 1 {
		copied, copiedBytes, err := o.allocated(duplicate)
		if err != nil {
			return nil, err
		}
		put, putBytes, err := o.allocated(o.put)
		if err != nil {
			return nil, err
		}
		taken, takenBytes, err := o.allocated(take)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first one warms
			in, inBytes = append(in, put-copied), append(inBytes, putBytes-copiedBytes)
			out, outBytes = append(out, taken), append(outBytes, takenBytes)
		}
	}
	const enqueued, dequeued = "allocated by an enqueue, beyond the copy of the payload", "allocated by a dequeue"
	results := []Result{
		result(enqueued, "allocations/item", in).atMost(allocationsMost),
		result(enqueued, "bytes/item", inBytes),
		result(dequeued, "allocations/item", out),
		result(dequeued, "bytes/item", outBytes),
	}
	if c.group > 1 { // the answer to a call for one item is that item's
		results[2] = results[2].atMost(allocationsMost)
	}
	for i := range results {
		results[i].Group, results[i].PayloadBytes = c.group, c.payload
	}
	return results, nil
}

// allocated gives allocations and bytes an item of many calls for a group
// each.
func (c contest) allocated(do func() error) (count, size float64, err error) {
	calls := c.cycle()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		if err := do(); err != nil {
			return 0, 0, err
		}
	}
	runtime.ReadMemStats(&after)
	items := float64(calls * c.group)
	return float64(after.Mallocs-before.Mallocs) / items, float64(after.TotalAlloc-before.TotalAlloc) / items, nil
}
