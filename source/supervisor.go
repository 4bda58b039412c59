package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"dynotap/internal/startstop"
	"dynotap/sample"
)

const (
	// grace is how long a Read or Open may go on after its context has ended
	// before it is dealt with as stuck, and how long what a reader still holds
	// is accepted after a stop.
	grace = time.Second
	// stopLimit bounds Stop where its context has no deadline.
	stopLimit = 10 * time.Second
	// maxReadErrors in a row end a connection; as many make a source unhealthy
	// (CONFORMANCE C4, C6).
	maxReadErrors = 3
	// provenAfter is how long after Open a Read has to succeed for the
	// connection to count as made. One that is lost before is a failed
	// attempt, so that a device that comes and goes meets back-off and breaker
	// instead of being opened without pause.
	provenAfter = time.Second
)

// errReset is the cause with which Reset ends a round.
var errReset = errors.New("reset")

// Options say what a Supervisor works with. Name, Settings and Accept are
// needed.
type Options struct {
	Name     string
	Settings Settings
	// Accept takes a batch over, and may change it: what it leaves in Samples,
	// with its quality, is what validation kept, and the channels' health
	// follows from it. It may block while the queue is full and then returns
	// when its context ends. Any other error is shown as the source's last
	// error and is no fault of the connection (CONFORMANCE C5).
	Accept func(context.Context, *sample.Batch) error
	// Tally says what became of the samples; nil: it is not known.
	Tally func() Tally
	// OnTransition hears every change of state, in order. It must not block
	// and must not start, stop or reset the supervisor.
	OnTransition func(Transition)
	// Sporadic tells channels that come only while the device is in a certain
	// state: they are not stale when they do not come. Nil: there are none.
	Sporadic func(*sample.Channel) bool
	// Logger hears of panics in the source; nil: the default logger.
	Logger *slog.Logger
}

// Supervisor keeps one live source connected and read between Start and Stop
// (CONFORMANCE C1 to C8). It is safe for concurrent use.
type Supervisor struct {
	source   Source
	opts     Options
	settings Settings
	service  startstop.Service
	breaker  *breaker
	retry    failsafe.Executor[any]
	stats    *statistics
	channels *channelWatch

	order sync.Mutex // held while a transition is told
	mu    sync.Mutex
	state State
	since time.Time
	began time.Time               // of the newest Start
	round context.CancelCauseFunc // ends the waits of the present round

	panicked string // the last panic that was logged

	// Of the goroutine that runs.
	again bool        // a connection was made, or a round failed, since Start
	stuck chan opened // the answer of an Open that has not returned in time
}

// NewSupervisor checks the settings and makes a supervisor that is not
// started.
func NewSupervisor(src Source, opts Options) (*Supervisor, error) {
	if err := opts.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("source %s: %w", opts.Name, err)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s := &Supervisor{
		source: src, opts: opts, settings: opts.Settings,
		breaker: newBreaker(opts.Settings.Breaker),
		stats:   newStatistics(), channels: newChannelWatch(opts.Settings.StaleAfter, opts.Sporadic),
		state: Disconnected, since: time.Now(), began: time.Now(),
	}
	s.retry = failsafe.With[any](retrypolicy.NewBuilder[any]().
		WithMaxAttempts(s.settings.Retry.MaxAttempts).
		WithDelayFunc(func(e failsafe.ExecutionAttempt[any]) time.Duration {
			return s.settings.Retry.delay(e.Attempts())
		}).
		AbortIf(func(_ any, err error) bool { return !s.retryable(err) }).
		ReturnLastFailure().
		Build())
	return s, nil
}

// retryable says whether another attempt of the same round may follow err.
func (s *Supervisor) retryable(err error) bool {
	var lost *lostError
	switch {
	case errors.Is(err, ErrPermanent):
		return false
	case errors.As(err, &lost):
		return !lost.proven
	case isTimeout(err):
		return s.settings.Retry.OnTimeout
	default:
		return s.settings.Retry.OnConnectionError
	}
}

// Name is the source's name.
func (s *Supervisor) Name() string { return s.opts.Name }

// State is the present state.
func (s *Supervisor) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Start begins to connect and read, and goes on until Stop; ctx gives values
// only. It returns startstop.ErrRunning when the source is started already.
func (s *Supervisor) Start(ctx context.Context) error { return s.service.Start(ctx, s.run) }

// Stop closes the connection and waits for everything that Start began, until
// ctx ends or at most 10 s. What a reader still holds is accepted for a second.
func (s *Supervisor) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if err := s.service.Stop(ctx); err != nil {
		return fmt.Errorf("stop source %s: %w", s.opts.Name, err)
	}
	s.leave(Error) // it had given up by itself
	return nil
}

// Reset closes the circuit breaker, forgets the row of errors, and ends
// whatever wait for the next attempt is under way. A connection that stands
// is left alone.
func (s *Supervisor) Reset() {
	s.breaker.reset()
	s.stats.forgive()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.round != nil {
		s.round(errReset)
	}
}

// run makes connection after connection until ctx ends or the source gives up.
func (s *Supervisor) run(ctx context.Context) error {
	s.again = false
	s.mu.Lock()
	s.began = time.Now()
	s.mu.Unlock()
	defer s.settle(ctx)
	s.enter(Connecting, "started")
	for ctx.Err() == nil {
		round, cancel := context.WithCancelCause(ctx)
		s.mu.Lock()
		s.round = cancel
		s.mu.Unlock()
		goOn := s.connectOnce(ctx, round)
		cancel(nil)
		if !goOn {
			return nil
		}
	}
	return ctx.Err()
}

// settle is the end of run: nothing of it is left when it returns.
func (s *Supervisor) settle(ctx context.Context) {
	if s.stuck != nil {
		s.discard(<-s.stuck)
		s.stuck = nil
	}
	if ctx.Err() != nil {
		s.enter(Disconnected, "stopped")
	}
}

// connectOnce is one round: attempts by the retry policy, the life of the
// connection they lead to, and the wait before the next round. It reports
// whether there is to be one.
func (s *Supervisor) connectOnce(ctx, round context.Context) bool {
	err := s.retry.WithContext(round).Run(func() error { return s.attempt(ctx, round) })
	if ctx.Err() != nil {
		return false
	}
	if round.Err() != nil { // Reset
		return true
	}
	reconnect := s.settings.AutoReconnect && !errors.Is(err, ErrPermanent)
	var lost *lostError
	if errors.As(err, &lost) && lost.proven {
		if !reconnect {
			s.enter(Error, err.Error())
		}
		return reconnect
	}
	s.again = true
	if !reconnect || s.breaker.state() != Open { // where nothing follows, no circuit will let it
		s.enter(Error, err.Error())
	}
	if !reconnect {
		return false
	}
	wait(round, s.settings.ReconnectDelay)
	return ctx.Err() == nil
}

// leave enters Disconnected from the given state, and from no other: somebody
// may have started the source again.
func (s *Supervisor) leave(from State) {
	s.order.Lock()
	defer s.order.Unlock()
	if s.State() == from && !s.service.Running() {
		s.change(Disconnected, "stopped")
	}
}

// enter changes the state and tells it.
func (s *Supervisor) enter(to State, reason string) {
	s.order.Lock()
	defer s.order.Unlock()
	s.change(to, reason)
}

// change is enter with order held.
func (s *Supervisor) change(to State, reason string) {
	s.mu.Lock()
	t := Transition{Source: s.opts.Name, From: s.state, To: to, At: time.Now(), Reason: reason}
	if t.From != t.To {
		s.state, s.since = to, t.At
	}
	s.mu.Unlock()
	if t.From != t.To && s.opts.OnTransition != nil {
		s.opts.OnTransition(t)
	}
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
