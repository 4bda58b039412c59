package pipeline

import (
	"context"
	"errors"

	"dynotap/queue"
	"dynotap/sample"
	"dynotap/store"
)

// ReasonUndecodable is why an item is a dead letter that is no batch; its last
// error says more.
const ReasonUndecodable = "undecodable"

// Sets gives stored channel sets.
type Sets interface {
	Set(ctx context.Context, id sample.SetID) (*sample.ChannelSet, error)
}

// Deliver is the queue's processor: each item becomes a live chunk in the
// transaction that removes it from the queue. What cannot be decoded is
// rejected for good; what misses its channel set is tried again.
func Deliver(from Sets) queue.Processor {
	return func(ctx context.Context, items []queue.Item) []queue.Result {
		results := make([]queue.Result, len(items))
		var b sample.Batch
		for i := range items {
			results[i] = deliverOne(ctx, from, &items[i], &b)
		}
		return results
	}
}

func deliverOne(ctx context.Context, from Sets, item *queue.Item, b *sample.Batch) queue.Result {
	err := decode(ctx, from, item.Payload, b)
	switch {
	case errors.Is(err, sample.ErrEncoding):
		return queue.Result{Kind: queue.Rejected, Reason: ReasonUndecodable, Err: err}
	case err != nil:
		return queue.Result{Kind: queue.Retry, Err: err}
	}
	return queue.Result{Kind: queue.Done, Effect: store.ChunkEffect(store.NewChunk(b, item.Payload))}
}

func decode(ctx context.Context, from Sets, payload []byte, b *sample.Batch) error {
	return sample.DecodeBatch(payload, func(id sample.SetID) (*sample.ChannelSet, error) { return from.Set(ctx, id) }, b)
}

// Decode reads the payload of a queue item into b as delivery does, reusing
// b.Samples. Errors wrap sample.ErrEncoding (no batch, for good) or
// store.ErrNoSet (its channel set is missing), or are the database's; what came
// before the error is in b.
func (p *Pipeline) Decode(ctx context.Context, payload []byte, b *sample.Batch) error {
	return decode(ctx, p.Store, payload, b)
}
