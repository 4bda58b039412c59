package format

import "dynotap/sample"

// Batches gathers the samples of one run into batches for a sink. It is for one
// goroutine.
type Batches struct {
	sink  RunSink
	batch sample.Batch
}

// NewBatches gathers samples of set, which must belong to the run that was
// begun last.
func NewBatches(sink RunSink, set *sample.ChannelSet) *Batches {
	return &Batches{sink: sink, batch: sample.Batch{Set: set, Clock: sample.ClockFile}}
}

// Add takes a sample; its error is the sink's.
func (b *Batches) Add(s sample.Sample) error {
	if len(b.batch.Samples) == MaxSamples {
		if err := b.Flush(); err != nil {
			return err
		}
	}
	b.batch.Samples = append(b.batch.Samples, s)
	return nil
}

// Flush hands over what was gathered.
func (b *Batches) Flush() error {
	if len(b.batch.Samples) == 0 {
		return nil
	}
	full := b.batch.Samples
	err := b.sink.Batch(&b.batch)
	b.batch.Samples = full[:0]
	return err
}
