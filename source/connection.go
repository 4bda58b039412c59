package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"dynotap/sample"
)

const (
	// emptyReads in a row without data make the supervisor pause between
	// reads, so that a reader that does not wait costs no whole core.
	emptyReads = 64
	emptyPause = 10 * time.Millisecond
)

// lostError is the end of a connection that had been made.
type lostError struct {
	cause  error
	proven bool // it had lived long enough to count as made
}

func (e *lostError) Error() string { return fmt.Sprintf("connection lost: %v", e.cause) }
func (e *lostError) Unwrap() error { return e.cause }

// errHung is why a connection is closed whose Read does not return.
var errHung = fmt.Errorf("read hangs, the connection is closed: %w", context.DeadlineExceeded)

// opened is what an Open answered.
type opened struct {
	reader Reader
	err    error
}

// attempt makes one connection and reads it to its end. Its waits end with
// round, its work with ctx.
func (s *Supervisor) attempt(ctx, round context.Context) error {
	p, err := s.admit(round)
	if err != nil {
		return err
	}
	if s.again {
		s.enter(Reconnecting, "connecting again")
	} else {
		s.enter(Connecting, "connecting")
	}
	reader, err := s.open(ctx)
	switch {
	case ctx.Err() != nil:
		if err == nil {
			s.close(reader)
		}
		p.cancel()
		return ctx.Err()
	case err != nil:
		p.fail()
		s.stats.failed(err)
		s.showOpenCircuit(err)
		return err
	}
	return s.live(ctx, reader, p)
}

// admit waits until the breaker lets an attempt through.
func (s *Supervisor) admit(round context.Context) (permit, error) {
	for {
		p, left, ok := s.breaker.acquire()
		if ok {
			return p, nil
		}
		s.enter(CircuitOpen, fmt.Sprintf("no attempt for another %v", left.Round(time.Millisecond)))
		wait(round, max(left, time.Millisecond))
		if round.Err() != nil {
			return permit{}, round.Err()
		}
	}
}

// showOpenCircuit enters CircuitOpen if err was the failure that opened it.
func (s *Supervisor) showOpenCircuit(err error) {
	if s.breaker.state() == Open {
		s.enter(CircuitOpen, err.Error())
	}
}

// open calls Open within the connect timeout. An Open that does not return
// with its context is left to itself; no other begins before it has returned.
func (s *Supervisor) open(ctx context.Context) (Reader, error) {
	limit := time.NewTimer(s.settings.ConnectTimeout + grace)
	defer limit.Stop()
	ctx, cancel := context.WithTimeout(ctx, s.settings.ConnectTimeout)
	if s.stuck != nil {
		select {
		case late := <-s.stuck:
			s.discard(late)
			s.stuck = nil
		case <-limit.C:
			cancel()
			return nil, fmt.Errorf("an earlier attempt to open still hangs: %w", context.DeadlineExceeded)
		}
	}
	answer := make(chan opened, 1)
	go func() {
		defer cancel()
		var o opened
		o.err = s.guard("Open", func() (err error) {
			o.reader, err = s.source.Open(ctx)
			return err
		})
		if o.err == nil && o.reader == nil {
			o.err = errors.New("open gave no reader")
		}
		answer <- o
	}()
	select {
	case o := <-answer:
		if errors.Is(o.err, context.DeadlineExceeded) {
			o.err = fmt.Errorf("no connection within %v: %w", s.settings.ConnectTimeout, o.err)
		}
		return o.reader, o.err
	case <-limit.C:
		s.stuck = answer
		return nil, fmt.Errorf("open hangs: %w", context.DeadlineExceeded)
	}
}

func (s *Supervisor) discard(o opened) {
	if o.err == nil {
		s.close(o.reader)
	}
}

func (s *Supervisor) close(r Reader) {
	if err := s.guard("Close", r.Close); err != nil {
		s.stats.note(fmt.Errorf("close: %w", err))
	}
}

// live reads a connection until it is lost or ctx ends, and closes it.
func (s *Supervisor) live(ctx context.Context, r Reader, p permit) error {
	c := &connection{supervisor: s, reader: r, permit: p, opened: time.Now()}
	s.stats.connected(r)
	s.again = true
	s.enter(Connected, "open")

	var cancel context.CancelFunc
	c.accepting, cancel = context.WithCancel(context.WithoutCancel(ctx))
	closeOnce := sync.OnceFunc(func() { s.close(r) })
	c.alarm = time.NewTimer(math.MaxInt64)
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		if !c.overdue(ctx, over) {
			return
		}
		cancel()
		closeOnce()
	})
	cause := c.read(ctx)
	close(over)
	watch.Wait()
	cancel()
	c.alarm.Stop()
	return s.end(ctx, c, cause, closeOnce)
}

// end closes a connection that is over, and says and counts what that means.
// It says so first: a device may take its time to be closed.
func (s *Supervisor) end(ctx context.Context, c *connection, cause error, closeReader func()) error {
	lost := &lostError{cause: cause, proven: c.settled}
	if ctx.Err() == nil && (!lost.proven || s.settings.AutoReconnect) {
		s.enter(Reconnecting, lost.Error())
	}
	closeReader()
	s.stats.disconnected()
	if ctx.Err() != nil {
		if !c.proven {
			c.permit.cancel()
		}
		return ctx.Err()
	}
	if !c.settled {
		c.refute()
	}
	s.showOpenCircuit(lost)
	return lost
}

// connection is the life of one Reader.
type connection struct {
	supervisor *Supervisor
	reader     Reader
	accepting  context.Context // what is emitted is accepted until it ends
	opened     time.Time
	emitted    bool         // by the present Read
	handed     sample.Batch // what Accept was given

	// permit is the breaker's until the connection is proven; settled means
	// that it is and that the breaker has closed.
	permit          permit
	proven, settled bool

	// alarm goes off when the Read under way has not returned within grace of
	// deadline, the end of its context; zero: it has none.
	alarm    *time.Timer
	deadline time.Time
	hung     atomic.Bool // it went off
}

// overdue waits until a Read is overdue, its timeout or the end of ctx having
// passed a grace ago, and reports that; false: the connection is over before.
func (c *connection) overdue(ctx context.Context, over <-chan struct{}) bool {
	select {
	case <-over:
		return false
	case <-c.alarm.C:
		c.hung.Store(true)
		c.supervisor.stats.failed(errHung)
		c.supervisor.enter(Reconnecting, errHung.Error())
		return true
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-over:
		return false
	case <-timer.C:
		return true
	}
}

// read calls Read until the connection is lost, and says why, or until ctx
// ended and nothing more comes.
func (c *connection) read(ctx context.Context) error {
	errorsInRow, empty := 0, 0
	for {
		err := c.readOnce(ctx)
		if ctx.Err() != nil {
			if err != nil || !c.emitted || c.accepting.Err() != nil {
				return ctx.Err()
			}
			continue // it still holds something
		}
		if c.hung.Load() {
			return errHung
		}
		switch {
		case err == nil:
			errorsInRow = 0
			c.supervisor.stats.forgive()
			c.prove()
		case isTimeout(err):
			c.prove()
		default:
			errorsInRow++
			c.supervisor.stats.failed(err)
			if errorsInRow >= maxReadErrors || isLost(err) {
				return err
			}
		}
		if empty++; c.emitted {
			empty = 0
		} else if empty >= emptyReads {
			wait(ctx, emptyPause)
		}
	}
}

func (c *connection) readOnce(ctx context.Context) error {
	if t := c.supervisor.settings.ReadTimeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t)
		defer cancel()
		c.deadline = time.Now().Add(t)
		c.alarm.Reset(t + grace)
		defer c.alarm.Stop()
	}
	c.emitted = false
	return c.supervisor.guard("Read", func() error { return c.reader.Read(ctx, c.emit) })
}

// emit hands a batch on and keeps the account of it. What it waits for the
// queue is no delay of the device's.
func (c *connection) emit(b *sample.Batch) error {
	if !c.deadline.IsZero() {
		c.alarm.Stop()
		defer func() { c.alarm.Reset(max(time.Until(c.deadline), 0) + grace) }()
	}
	s := c.supervisor
	watched, err := s.channels.arrived(b)
	if err != nil {
		return err
	}
	s.stats.received(len(b.Samples))
	c.emitted = c.emitted || len(b.Samples) > 0
	c.handed = *b // so that the source finds its own batch as it was
	if err := s.opts.Accept(c.accepting, &c.handed); err != nil {
		if c.accepting.Err() != nil {
			return err
		}
		s.stats.note(fmt.Errorf("hand on a batch: %w", err))
	}
	s.channels.judged(watched, c.handed.Samples)
	return nil
}

// prove counts a Read that worked. Late enough after Open it makes the
// connection a success; where that was a trial of a half-open breaker the
// following ones count as well, until it closes.
func (c *connection) prove() {
	switch {
	case c.settled || !c.proven && time.Since(c.opened) < provenAfter:
		return
	case c.proven:
		if p, _, ok := c.supervisor.breaker.acquire(); ok {
			p.succeed()
		}
	default:
		c.proven = true
		c.permit.succeed()
	}
	c.settled = c.supervisor.breaker.state() == Closed
}

// refute counts the loss of a connection that was not settled.
func (c *connection) refute() {
	if !c.proven {
		c.permit.fail()
	} else if p, _, ok := c.supervisor.breaker.acquire(); ok {
		p.fail()
	}
}

// guard turns a panic of the source into an error. Its stack is logged once,
// however often the same one comes.
func (s *Supervisor) guard(in string, call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{in: in, value: v}
			if s.news(err.Error()) {
				s.opts.Logger.Error("a source panicked", "source", s.opts.Name, "error", err, "stack", string(debug.Stack()))
			}
		}
	}()
	return call()
}

// news reports whether a panic is another one than the last.
func (s *Supervisor) news(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panicked == text {
		return false
	}
	s.panicked = text
	return true
}
