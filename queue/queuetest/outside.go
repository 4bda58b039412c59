package queuetest

import (
	"context"

	"dynotap/queue"
)

// courier carries a driver's calls out of a synctest bubble, so that a driver
// may wait for whatever it likes, a network for example, while the bubble's
// clock stands still.
type courier struct {
	driver queue.Driver
	calls  chan call
	idle   chan chan struct{} // made outside: nobody in the bubble may make them
}

type call struct {
	do   func(context.Context)
	done chan struct{}
}

// maxCalls at the same time.
const maxCalls = 32

// outside gives the driver as the inside of a bubble may use it. It is called
// outside; stop ends it, after the bubble.
func outside(d queue.Driver) (_ queue.Driver, stop func()) {
	c := &courier{driver: d, calls: make(chan call), idle: make(chan chan struct{}, maxCalls)}
	for range maxCalls {
		c.idle <- make(chan struct{})
	}
	go func() {
		for next := range c.calls {
			go func() {
				next.do(context.Background())
				next.done <- struct{}{}
			}()
		}
	}()
	stop = func() { close(c.calls) }
	if settler, ok := d.(queue.EffectSettler); ok {
		return settlingCourier{c, settler}, stop
	}
	return c, stop
}

func (c *courier) carry(do func(context.Context)) {
	done := <-c.idle
	c.calls <- call{do, done}
	<-done
	c.idle <- done
}

func (c *courier) Load(context.Context) (state queue.State, err error) {
	c.carry(func(ctx context.Context) { state, err = c.driver.Load(ctx) })
	return state, err
}

func (c *courier) Fetch(_ context.Context, after, upTo queue.ID, limit, maxBytes int) (found []queue.Stored, err error) {
	c.carry(func(ctx context.Context) { found, err = c.driver.Fetch(ctx, after, upTo, limit, maxBytes) })
	return found, err
}

func (c *courier) Apply(_ context.Context, changes []queue.Change) (err error) {
	c.carry(func(ctx context.Context) { err = c.driver.Apply(ctx, changes) })
	return err
}

func (c *courier) DeadLetters(_ context.Context, filter queue.Filter, offset, limit int) (found []queue.DeadLetter, err error) {
	c.carry(func(ctx context.Context) { found, err = c.driver.DeadLetters(ctx, filter, offset, limit) })
	return found, err
}

// settlingCourier is the courier of an EffectSettler.
type settlingCourier struct {
	*courier
	settler queue.EffectSettler
}

func (c settlingCourier) ApplyEffects(_ context.Context, changes []queue.Change) (err error) {
	c.carry(func(ctx context.Context) { err = c.settler.ApplyEffects(ctx, changes) })
	return err
}
