package app

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"dynotap/internal/clock"
	"dynotap/sample"
	"dynotap/source"
)

const (
	// countingProgram is dynotap with one more source, as another main would
	// build it; see TestMain.
	countingProgram = "dynotap-counting"
	// countFrom is where its source begins to count; unset: it says nothing.
	countFrom = "COUNT_FROM"
)

// numbering is a source whose samples are consecutive numbers, of all
// priorities. What it hands over it tells of, before and after.
type numbering struct {
	out     io.Writer
	session *clock.Session
	set     *sample.ChannelSet
	next    int64
	silent  bool
}

func buildCounter(in SourceInput) (LiveSource, error) {
	c := &numbering{out: os.Stdout, session: in.Session}
	c.set = sample.NewChannelSet("counting", []sample.Channel{{Key: sample.ChannelKey("counter", 1, 0), Provider: "counter", ID: 1, Label: "count"}})
	_, err := fmt.Sscan(os.Getenv(countFrom), &c.next)
	c.silent = err != nil
	return LiveSource{Source: c}, nil
}

func (c *numbering) Open(context.Context) (source.Reader, error) { return c, nil }
func (c *numbering) Close() error                                { return nil }

func (c *numbering) Read(ctx context.Context, emit func(*sample.Batch) error) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-tick.C:
	}
	if c.silent {
		return nil
	}
	b := &sample.Batch{
		Source: "counting", Set: c.set, Clock: sample.ClockArrival, Received: c.session.Micros(),
		Priority: sample.Priority(rand.IntN(sample.Priorities)),
	}
	first := c.next
	for range 1 + rand.IntN(30) {
		b.Samples = append(b.Samples, sample.Sample{Time: b.Received, Value: float64(c.next)})
		c.next++
	}
	fmt.Fprintln(c.out, "trying", first, c.next)
	if err := emit(b); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, "accepted", first, c.next)
	return err
}
