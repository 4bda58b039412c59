package sourcetest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/goleak"

	"dynotap/sample"
	"dynotap/source"
)

var errGlitch = errors.New("a glitch")

// supervised is a source under a supervisor, with faults between the two and a
// device behind.
type supervised struct {
	far
	*source.Supervisor
	fake    *Fake
	arrived chan struct{} // holds a token when samples have arrived
}

// policies are short, so that a suite in real time takes seconds.
func policies() source.Settings {
	s := source.DefaultSettings()
	s.Retry.InitialDelay, s.Retry.MaxDelay, s.ReconnectDelay = 5*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	s.Breaker.Timeout = 20 * time.Millisecond
	s.ConnectTimeout, s.ReadTimeout = 500*time.Millisecond, 100*time.Millisecond
	s.StaleAfter = 300 * time.Millisecond
	return s
}

// supervise starts a supervisor, which is stopped when the test ends. The
// device's source is made before what the test looks for in the end.
func (d far) supervise(script ...Step) *supervised {
	d.Helper()
	s := &supervised{far: d, fake: Through(d.Source(), script...), arrived: make(chan struct{}, 1)}
	var err error
	s.Supervisor, err = source.NewSupervisor(s.fake, source.Options{
		Name: "tested", Settings: policies(), Logger: slog.New(slog.DiscardHandler),
		Accept: func(_ context.Context, b *sample.Batch) error {
			if len(b.Samples) > 0 {
				select {
				case s.arrived <- struct{}{}:
				default:
				}
			}
			return nil
		},
	})
	if err != nil {
		d.Fatal(err)
	}
	return s
}

func (s *supervised) start() {
	s.Helper()
	if err := s.Start(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// stop stops, and checks that nothing is left open.
func (s *supervised) stop() {
	s.Helper()
	if err := s.Stop(s.Context()); err != nil {
		s.Error(err)
	}
	if state := s.State(); state != source.Disconnected {
		s.Errorf("state after Stop: %s", state)
	}
	if r := s.fake.Record(); s.fake.Live() != 0 || r.MaxOpen > 1 {
		s.Errorf("%d readers left open, %d at once", s.fake.Live(), r.MaxOpen)
	}
}

// flows waits until the device's samples arrive. They come over a connection,
// and the state says so.
func (s *supervised) flows() {
	s.Helper()
	s.drain()
	s.until("samples arrive", func() bool {
		select {
		case <-s.arrived:
			return true
		default:
			return false
		}
	}, true)
	s.until("the state is connected while data flows", func() bool { return s.State() == source.Connected }, true)
}

// drain forgets what has arrived.
func (s *supervised) drain() {
	for len(s.arrived) > 0 {
		<-s.arrived
	}
}

// until waits for a condition; the device sends meanwhile, if it is to.
func (s *supervised) until(what string, ok func() bool, send bool) {
	s.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		if send {
			s.Send(s.T)
		}
		select {
		case <-again.C:
		case <-deadline.C:
			s.Fatalf("waited in vain until %s; %+v, %+v", what, s.Health(), s.fake.Record())
		}
	}
}

// survives runs the source under a supervisor: data, none, data, and again
// after a stop.
func (d far) survives() {
	s := d.supervise()
	before := goleak.IgnoreCurrent()
	s.start()
	s.flows()
	d.Vanish(d.T)
	d.Return(d.T)
	s.flows()
	s.stop()
	s.start()
	if err := s.Start(d.Context()); err == nil {
		d.Error("started twice")
	}
	s.flows()
	s.stop()
	goleak.VerifyNone(d.T, before)
}

func (d far) staysAway() {
	s := d.supervise()
	s.start()
	s.until("it is healthy", func() bool { return s.Health().Healthy }, true)
	d.Vanish(d.T)
	s.until("it is seen that nothing comes", func() bool {
		h := s.Health()
		return !h.Healthy && h.ChannelCounts.Stale == h.ChannelCounts.Total
	}, false)
	d.Return(d.T)
	s.until("it is healthy again", func() bool { return s.Health().Healthy }, true)
	s.stop()
}

func (d far) refuses() {
	s := d.supervise(Refuse(7, ErrRefused))
	s.start()
	s.flows()
	if n := len(s.fake.Record().Opens); n != 8 {
		d.Errorf("opened %d times", n)
	}
	s.stop()
}

func (d far) failsWhileReading() {
	s := d.supervise(Connect(Pass(1), Glitch(3, errGlitch)), Connect(Pass(1), Vanish()))
	s.start()
	s.until("it has been connected three times", func() bool { return len(s.fake.Record().Opens) == 3 }, true)
	s.flows()
	if n := len(s.fake.Record().Opens); n != 3 {
		d.Errorf("opened %d times", n)
	}
	s.stop()
}

func (d far) glitches() {
	s := d.supervise(Connect(GlitchEvery(100, errGlitch)))
	s.start()
	s.until("350 reads are done", func() bool { return s.fake.Record().Reads >= 350 }, true)
	s.flows()
	if n := len(s.fake.Record().Opens); n != 1 {
		d.Errorf("opened %d times", n)
	}
	if stats := s.Stats(); stats.LastError != errGlitch.Error() || stats.ConsecutiveErrors != 0 {
		d.Errorf("%+v", stats)
	}
	s.stop()
}

func (d far) panics() {
	s := d.supervise(PanicOpen("in Open"), Connect(PanicRead("in Read"), Pass(1), PanicRead("in Read"), Pass(1)))
	s.start()
	s.flows()
	s.until("four reads are done", func() bool { return s.fake.Record().Reads > 4 }, true)
	if n := len(s.fake.Record().Opens); n != 2 {
		d.Errorf("opened %d times", n)
	}
	s.stop()
}

func (d far) flood() {
	f, ok := d.Device.(Flooder)
	if !ok {
		d.Log("this device cannot flood")
		return
	}
	s := d.supervise()
	s.start()
	s.flows()
	for range 10 {
		f.Flood(d.T, 1000)
	}
	s.flows()
	if r := s.fake.Record(); len(r.Opens) != 1 || s.Stats().ConsecutiveErrors != 0 {
		d.Errorf("opened %d times, %+v", len(r.Opens), s.Stats())
	}
	s.stop()
}

func (d far) garbage() {
	g, ok := d.Device.(Garbler)
	if !ok {
		d.Log("this device cannot send garbage")
		return
	}
	s := d.supervise()
	s.start()
	s.flows()
	random := rand.New(rand.NewPCG(4, 2))
	for i := range 2000 {
		noise := make([]byte, 1+random.IntN(300))
		for k := range noise {
			noise[k] = byte(random.IntN(256)) >> (i % 3)
		}
		g.Garble(d.T, noise)
		if i%100 == 0 {
			s.flows()
		}
	}
	s.flows()
	if r := s.fake.Record(); len(r.Opens) != 1 || s.Stats().ConsecutiveErrors != 0 {
		d.Errorf("opened %d times, %+v", len(r.Opens), s.Stats())
	}
	s.stop()
}

func (d far) hangsInOpen() {
	s := d.supervise(HangOpen(), StickOpen(1800*time.Millisecond))
	s.start()
	s.flows()
	s.stop()
}

func (d far) hangsInRead() {
	s := d.supervise(Connect(Pass(1), StickRead()))
	s.start()
	s.until("it is connected again", func() bool { return len(s.fake.Record().Opens) == 2 }, true)
	s.flows()
	s.stop()
}

// stopsAtEveryMoment stops before and after each Open, Read, emit and Close of
// a life with faults, and starts again.
func (d far) stopsAtEveryMoment() {
	src := d.Source()
	before := goleak.IgnoreCurrent()
	ended := false
	for n := 1; !ended; n++ {
		s := d.supervise(Refuse(1, ErrRefused), Connect(Pass(2), Glitch(1, errGlitch), PanicRead("boom"), Pass(1), Vanish()), Connect(Pass(1)))
		s.fake.inner = src
		reached := make(chan struct{})
		var passed atomic.Int64
		s.fake.moment = func() {
			if passed.Add(1) == int64(n) {
				close(reached)
			}
		}
		s.start()
		var stopping sync.WaitGroup
		over := make(chan struct{})
		stopping.Go(func() {
			defer close(over)
			select {
			case <-reached:
			case <-time.After(patience):
				s.Errorf("moment %d does not come", n)
			}
			s.stop()
		})
		s.until("it has stopped", func() bool {
			select {
			case <-over:
				return true
			default:
				return false
			}
		}, true)
		stopping.Wait()
		ended = d.Failed() || len(s.fake.Record().Opens) > 2 && s.fake.Record().Reads > 8
	}
	goleak.VerifyNone(d.T, before)
}
