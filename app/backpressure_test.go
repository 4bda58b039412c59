package app

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/pipeline"
	"dynotap/queue"
)

// scene is a pressure over facts that a test makes up, in synthetic time.
type scene struct {
	*pressure
	t        *testing.T
	queue    queue.Stats
	hindered []pipeline.Hindrance
	unread   map[string]Overruns
	said     []string
	log      bytes.Buffer
}

func newScene(t *testing.T, whenFull string) *scene {
	t.Helper()
	s := &scene{t: t, queue: queue.Stats{WhenFull: whenFull, MaxSize: 8}, unread: map[string]Overruns{}}
	s.pressure = &pressure{
		stats: func() queue.Stats { return s.queue }, hindered: func() []pipeline.Hindrance { return s.hindered },
		overruns: func() map[string]Overruns { return map[string]Overruns{"cell": s.unread["cell"]} },
		announce: func(text string) { s.said = append(s.said, text) },
		logger:   slog.New(slog.NewTextHandler(&s.log, nil)), now: time.Now,
	}
	return s
}

// after lets time pass, looking as often as the program does.
func (s *scene) after(d time.Duration) {
	for range d / pressureLook {
		time.Sleep(pressureLook) // synthetic
		s.view()
	}
}

func (s *scene) waiting(d time.Duration) {
	s.hindered = nil
	if d > 0 {
		s.hindered = []pipeline.Hindrance{{Source: "cell", Waiting: d}}
	}
}

// wantSaid holds what was said to the user, and that the log says the same.
func (s *scene) wantSaid(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.said, want) {
		s.t.Errorf("said %q\nwant %q", s.said, want)
	}
	if n := strings.Count(s.log.String(), "level=WARN"); n != len(want) {
		s.t.Errorf("%d warnings in the log for %d events:\n%s", n, len(want), s.log.String())
	}
}

func (s *scene) wantReady(reasons, notes []string) {
	s.t.Helper()
	r, n := s.readiness()
	if !slices.Equal(r, reasons) || !slices.Equal(n, notes) {
		s.t.Errorf("reasons %q, notes %q", r, n)
	}
}

func TestFullQueueThatMakesSourcesWaitIsToldOfTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, "wait")
		s.after(time.Second)
		s.wantSaid()
		s.wantReady(nil, nil)
		s.queue.Waiting, s.queue.TotalWaits, s.queue.CurrentSize = 1, 1, 8
		s.waiting(200 * time.Millisecond)
		const begun = "queue FULL (8 batches) since 0.2 s, 1 source waits: cell since 0.2 s"
		s.wantReady(nil, []string{begun})
		s.after(4800 * time.Millisecond) // looks every 250 ms: 4.75 s
		s.waiting(4950 * time.Millisecond)
		s.wantReady(nil, []string{"queue FULL (8 batches) since 5.0 s, 1 source waits: cell since 5.0 s"})
		s.waiting(5 * time.Second)
		s.wantReady([]string{"queue FULL (8 batches) since 5.0 s, 1 source waits: cell since 5.0 s"}, nil)
		s.wantSaid(begun)
		s.unread["cell"] = Overruns{Datagrams: 4, Samples: 240}
		s.wantReady([]string{"queue FULL (8 batches) since 5.0 s, 1 source waits: cell since 5.0 s: 4 datagrams of cell with about 240 samples lost unread"}, nil)

		s.queue.Waiting, s.queue.WaitSeconds = 0, 5.25
		s.waiting(0)
		s.after(pressureQuiet + pressureLook)
		ended := "queue no longer full after 5.0 s, sources waited once for 5.2 s together: 4 datagrams of cell with about 240 samples lost unread"
		s.wantSaid(begun, ended)
		s.wantReady(nil, nil)
		v := s.view()
		if v.Present != nil || v.Last == nil || v.Last.Text != ended || v.Spells != 1 || v.Last.Waits != 1 {
			t.Errorf("%+v, last %+v", v, v.Last)
		}
		if lines := historyLines(&v, &s.queue, s.unread); len(lines) != 2 ||
			!strings.HasPrefix(lines[0], ended+" at ") || !strings.HasSuffix(lines[0], " (once since the start)") ||
			lines[1] != "lost since the start: 4 datagrams of cell with about 240 samples lost unread" {
			t.Errorf("%q", lines)
		}
	})
}

func TestFullQueueThatDropsIsToldOfTwice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ whenFull, reason, says string }{
		{"drop_oldest", queue.ReasonEvicted, "queue FULL (8 batches) since 0.0 s, dropping the oldest: 60 samples of cell lost (evicted)"},
		{"drop_newest", queue.ReasonFull, "queue FULL (8 batches) since 0.0 s, dropping the newest: 60 samples of cell lost (queue_full)"},
	} {
		t.Run(c.whenFull, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.whenFull)
				// What an earlier spell or a dead letter cost is not of this one.
				s.queue.Dropped = []queue.Drop{
					{Source: "cell", Reason: c.reason, Items: 5, Samples: 5},
					{Source: "cell", Reason: queue.ReasonDeadFull, Items: 1, Samples: 7},
				}
				s.seen.drops = fullDrops(s.queue.Dropped)
				s.queue.Dropped = slices.Clone(s.queue.Dropped)
				s.queue.Dropped[1].Items = 2
				s.after(time.Second)
				s.wantSaid()
				for range 20 {
					s.queue.Dropped = slices.Clone(s.queue.Dropped)
					s.queue.Dropped[0].Items++
					s.queue.Dropped[0].Samples += 60
					s.view()
					s.after(time.Second)
				}
				s.wantSaid(c.says)
				s.after(pressureQuiet)
				s.wantSaid(c.says, "queue no longer full after 19.0 s: "+thousands(1200)+" samples of cell lost ("+c.reason+")")
				s.wantReady(nil, nil)
			})
		})
	}
}

func TestQueueThatRefusesEverythingIsNotAccepting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, "drop_newest")
		s.queue.Dropped = []queue.Drop{{Source: "cell", Reason: queue.ReasonFull, Items: 1, Samples: 60}}
		s.hindered = []pipeline.Hindrance{{Source: "cell", Refused: 4 * time.Second}}
		const says = "queue FULL (8 batches) since 0.0 s, dropping the newest: 60 samples of cell lost (queue_full)"
		s.wantReady(nil, []string{says})
		s.hindered[0].Refused = notAcceptingAfter
		s.wantReady([]string{says}, nil)
	})
}

func TestSlowDiskAndUnreadNetworkAreToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, "wait")
		s.waiting(900 * time.Millisecond)
		s.after(time.Second)
		s.wantSaid()
		s.waiting(1500 * time.Millisecond)
		s.view()
		const slow = "disk SLOW since 1.5 s, 1 source waits: cell since 1.5 s"
		s.wantSaid(slow)
		// It becomes a full queue: that is news, once.
		s.queue.Waiting, s.queue.TotalWaits = 1, 1
		s.view()
		s.queue.Waiting = 0
		s.view()
		full := "queue FULL (8 batches) since 1.5 s, 1 source waits: cell since 1.5 s"
		s.wantSaid(slow, full)
		s.waiting(0)
		s.after(pressureQuiet)
		ended := "queue no longer full after 1.5 s, sources waited once for 0.0 s together: nothing was lost"
		s.wantSaid(slow, full, ended)

		s.said, s.log = nil, bytes.Buffer{}
		s.unread["cell"] = Overruns{Datagrams: 3, Samples: 12}
		s.view()
		const unread = "network NOT READ in time since 0.0 s: 3 datagrams of cell with about 12 samples lost unread"
		s.wantSaid(unread)
		s.after(pressureQuiet)
		s.wantSaid(unread, "network read in time again after 0.0 s: 3 datagrams of cell with about 12 samples lost unread")
		// A new connection counts from 0.
		s.unread["cell"] = Overruns{}
		s.after(time.Second)
		if v := s.view(); v.Present != nil || v.Spells != 2 {
			t.Errorf("%+v", v)
		}
	})
}

func TestPressureThatIsOnWhenTheProgramStopsIsToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, "drop_oldest")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.watch(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		s.mu.Lock() // which a look holds
		s.queue.Dropped = []queue.Drop{{Source: "cell", Reason: queue.ReasonEvicted, Items: 1, Samples: 60}}
		s.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		<-ended
		if len(s.said) != 2 || !strings.HasPrefix(s.said[1], "queue no longer full after") {
			t.Errorf("said %q", s.said)
		}
	})
}
