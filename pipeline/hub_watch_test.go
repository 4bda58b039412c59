package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
)

// publish shows the hub one value of a source's channel 0.
func publish(h *Hub, source string, set *sample.ChannelSet, at int64, value float64) {
	h.Publish(&sample.Batch{Source: source, Set: set, Samples: []sample.Sample{{Time: at, Value: value, Channel: 1}}})
}

// mirror is what a watcher has put together from its updates.
type mirror struct {
	version  uint64
	updates  int
	channels map[int]LiveChannel
	values   map[int]LiveValue
}

func newMirror() *mirror {
	return &mirror{channels: map[int]LiveChannel{}, values: map[int]LiveValue{}}
}

// take applies an update; it says what is wrong with it.
func (m *mirror) take(u LiveUpdate) error {
	if u.Version <= m.version {
		return fmt.Errorf("version %d after %d", u.Version, m.version)
	}
	m.version = u.Version
	m.updates++
	for _, c := range u.Channels {
		m.channels[c.Ref] = c
	}
	for _, v := range u.Values {
		if _, ok := m.channels[v.Ref]; !ok {
			return fmt.Errorf("a value of channel %d, which was not described", v.Ref)
		}
		// What came after a version began may be told with it and again with the next.
		if was := m.values[v.Ref]; v.Samples < was.Samples || v.Time < was.Time {
			return fmt.Errorf("%+v after %+v", v, was)
		}
		m.values[v.Ref] = v
	}
	return nil
}

func TestHubServesWatchersWhileSourcesPublish(t *testing.T) {
	t.Parallel()
	h := NewHub()
	const sources, rounds, watchers = 4, 3000, 4
	ctx, cancel := context.WithCancel(t.Context())
	var publishing, watching sync.WaitGroup
	for i := range sources {
		publishing.Go(func() {
			source := fmt.Sprintf("source %d", i)
			set := liveSet("Power")
			for n := range int64(rounds) {
				if n%500 == 0 {
					set = liveSet(fmt.Sprintf("Power %d", n)) // a new list
				}
				publish(h, source, set, n+1, float64(n))
				if n%10 == 0 {
					h.advance()
				}
				h.Now()
			}
		})
	}
	mirrors := make([]*mirror, watchers)
	for i := range mirrors {
		mirrors[i] = newMirror()
		watching.Go(func() {
			for {
				u, err := h.Since(ctx, mirrors[i].version)
				if err != nil {
					return
				}
				if err := mirrors[i].take(u); err != nil {
					t.Error(err)
					return
				}
				if mirrors[i].complete(sources, rounds) {
					return
				}
			}
		})
	}
	publishing.Wait()
	h.advance()
	stuck := time.AfterFunc(time.Minute, cancel)
	defer stuck.Stop()
	watching.Wait()
	cancel()
	for i, m := range mirrors {
		if !m.complete(sources, rounds) {
			t.Errorf("watcher %d ends with %+v", i, m)
		}
	}
}

// complete reports whether the last value of every source has arrived.
func (m *mirror) complete(sources int, rounds int64) bool {
	if len(m.values) != sources || len(m.channels) != 2*sources {
		return false
	}
	for ref, v := range m.values {
		if v.Value != float64(rounds-1) || v.Samples != uint64(rounds) || m.channels[ref].Key != "CPU/2/0" {
			return false
		}
	}
	return true
}

func TestHubGivesAWindowATimeAndASlowWatcherTheLatest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- h.Run(ctx) }()
		quick := newMirror()
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for {
				u, err := h.Since(ctx, quick.version)
				if err != nil {
					return
				}
				if err := quick.take(u); err != nil {
					t.Error(err)
				}
			}
		}()
		set := liveSet("Power")
		const seconds, rate = 2, 1000
		tick := time.NewTicker(time.Second / rate)
		for n := range int64(seconds * rate) {
			publish(h, "cell", set, n+1, float64(n))
			<-tick.C
		}
		tick.Stop()
		<-time.After(10 * LiveWindow) // in which nothing changes
		windows := int(seconds * time.Second / LiveWindow)
		if quick.updates < windows-1 || quick.updates > windows+1 {
			t.Errorf("%d updates in %d windows", quick.updates, windows)
		}
		slow := newMirror()
		u, err := h.Since(ctx, 0)
		if err != nil || len(u.Values) != 1 || len(u.Channels) != 2 {
			t.Fatalf("a slow watcher gets %+v, %v", u, err)
		}
		if err := slow.take(u); err != nil || slow.version != quick.version {
			t.Errorf("a slow watcher is at %d, a quick one at %d, %v", slow.version, quick.version, err)
		}
		if v := u.Values[0]; v.Value != seconds*rate-1 || v.Samples != seconds*rate {
			t.Errorf("a slow watcher gets %+v", v)
		}
		wait, giveUp := context.WithTimeout(ctx, time.Hour)
		if _, err := h.Since(wait, u.Version); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing is new, but %v", err)
		}
		giveUp()
		cancel()
		<-watched
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestHubStartsAnewForAWatcherOfAnEarlierStart: its version is of another
// count.
func TestHubStartsAnewForAWatcherOfAnEarlierStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		got := make(chan LiveUpdate, 1)
		go func() {
			u, err := h.Since(t.Context(), 1000) // before there is anything
			if err != nil {
				t.Error(err)
			}
			got <- u
		}()
		synctest.Wait()
		publish(h, "cell", liveSet("Power"), 1, 3000)
		h.advance()
		for i, u := range []LiveUpdate{<-got, since(t, h, 1000)} {
			if u.Version != 1 || len(u.Channels) != 2 || len(u.Values) != 1 || u.Values[0].Value != 3000 {
				t.Errorf("watcher %d gets %+v", i, u)
			}
		}
	})
}

func since(t *testing.T, h *Hub, version uint64) LiveUpdate {
	t.Helper()
	u, err := h.Since(t.Context(), version)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestA4HubKeepsTheSameKeyOfTwoSourcesApart(t *testing.T) {
	t.Parallel()
	h := NewHub()
	set := liveSet("Power")
	other := liveSet("Power")
	publish(h, "jetdrive", set, 1, 1)
	publish(h, "replay", other, 1, 2)
	if u := h.Now(); len(u.Values) != 2 || u.Values[0].Value != 1 || u.Values[1].Value != 2 {
		t.Errorf("got %+v", u.Values)
	}
}

// TestHubIsBoundedByChannelsNotByLists: a provider that changes its list all
// the time.
func TestHubIsBoundedByChannelsNotByLists(t *testing.T) {
	t.Parallel()
	h := NewHub()
	for n := range int64(1000) {
		publish(h, "cell", liveSet("Power"), n+1, float64(n))
		h.advance()
	}
	if u := h.Now(); len(u.Channels) != 2 || len(u.Values) != 1 || u.Values[0].Samples != 1000 {
		t.Errorf("got %+v", u)
	}
	if len(h.bySet) > 100 {
		t.Errorf("%d lists are remembered", len(h.bySet))
	}
	if u := since(t, h, 1); len(u.Channels) != 0 {
		t.Errorf("the same description again: %+v", u.Channels)
	}
}

// TestHubFollowsAClockThatWasSet: a packet that is late changes nothing, but
// one time from the future must not freeze a channel for good.
func TestHubFollowsAClockThatWasSet(t *testing.T) {
	t.Parallel()
	h := NewHub()
	set := liveSet("Power")
	second := time.Second.Microseconds()
	for _, c := range []struct {
		at, shown int64
	}{
		{1000 * second, 1000 * second},
		{999 * second, 1000 * second},
		{1001 * second, 1001 * second},
		{900_000 * second, 900_000 * second},
		{1002 * second, 1002 * second},
		{1001 * second, 1002 * second},
	} {
		publish(h, "cell", set, c.at, float64(c.at))
		if v := h.Now().Values[0]; v.Time != c.shown || v.Value != float64(c.shown) {
			t.Errorf("after a sample at %d: %+v, want %d", c.at, v, c.shown)
		}
	}
}
