package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/pipeline"
	"dynotap/sample"
	"dynotap/validate"
)

// window is one event as a client reads it.
type window struct {
	id string
	liveEvent
}

// watcher reads a live stream.
type watcher struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
}

// watch opens the stream at url, which must answer at once.
func watch(t *testing.T, url, lastID string) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/live", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return &watcher{t: t, answer: answer, lines: bufio.NewScanner(answer.Body)}
}

// next reads the next window; comments are passed over.
func (w *watcher) next() window {
	w.t.Helper()
	var out window
	for w.lines.Scan() {
		name, value, _ := strings.Cut(w.lines.Text(), ": ")
		switch name {
		case "id":
			out.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &out.liveEvent); err != nil {
				w.t.Fatal(err)
			}
			return out
		}
	}
	w.t.Fatalf("the stream ended: %v", w.lines.Err())
	return out
}

func powerSet() *sample.ChannelSet {
	return sample.NewChannelSet("jetdrive", []sample.Channel{
		{Key: "CPU/6/0", Provider: "DWRT CPU", HostID: 0x43FD, ID: 6, Label: "Power", NativeUnit: sample.Kilowatt, Name: "horsepower", Unit: sample.Horsepower},
		{Key: "CPU/7/0", Provider: "DWRT CPU", HostID: 0x43FD, ID: 7, Label: "Engine RPM", NativeUnit: sample.RPM, Name: "rpm", Unit: sample.RPM},
		{Key: "ATMO/6/0", Provider: "DWRT ATMO", HostID: 0x43FE, ID: 6, Label: "Humidity <b>", NativeUnit: sample.Percent, Name: "humidity", Unit: sample.Percent},
	})
}

// publish puts one value into the hub, dated now.
func publish(hub *pipeline.Hub, set *sample.ChannelSet, channel uint32, value float64) {
	hub.Publish(&sample.Batch{Source: "jetdrive", Set: set, Samples: []sample.Sample{
		{Time: sample.Micros(time.Now()), Channel: channel, Value: value},
	}})
}

// runHub lets the hub tick until the test ends.
func runHub(t *testing.T, hub *pipeline.Hub) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

func TestLiveAnswersAtOnceAndThenSendsWhatChanges(t *testing.T) {
	t.Parallel()
	c := newCell()
	set := powerSet()
	web := httptest.NewServer(c.server(t, nil).Handler())
	t.Cleanup(web.Close)
	w := watch(t, web.URL, "") // before there is anything
	if w.answer.StatusCode != http.StatusOK || w.answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", w.answer.StatusCode, w.answer.Header)
	}
	runHub(t, c.hub)
	publish(c.hub, set, 0, 63.4)
	first := w.next()
	if len(first.Channels) != 3 || len(first.Values) != 1 {
		t.Fatalf("%+v", first)
	}
	if ch := first.Channels[0]; ch.Address != "0x43FD:6:Power" || ch.Unit != "hp" || ch.NativeUnit != "kW" || ch.Name != "horsepower" || ch.Provider != "DWRT CPU" {
		t.Errorf("%+v", ch)
	}
	if v := first.Values[0]; fmt.Sprintf("%.2f", float64(v.Value)) != "85.02" || v.Quality != "good" || v.Samples != 1 {
		t.Errorf("%+v", v)
	}
	if age := first.Now - first.Values[0].Time; age < 0 || age > 20e6 {
		t.Errorf("the value is %d µs old by the server's clock", age)
	}
	publish(c.hub, set, 1, nan())
	second := w.next()
	if len(second.Channels) != 0 || len(second.Values) != 1 || second.Values[0].Ref != first.Channels[1].Ref || !math.IsNaN(float64(second.Values[0].Value)) {
		t.Errorf("only what changed, NaN as null: %+v", second)
	}
}

// TestV1LiveChannelsHaveTheirRanges: what validation holds a channel against
// comes with it, in its unit.
func TestV1LiveChannelsHaveTheirRanges(t *testing.T) {
	t.Parallel()
	c := newCell()
	web := httptest.NewServer(c.server(t, func(o *Options) {
		o.Ranges = validate.Ranges{"rpm": validate.DefaultRanges()["rpm"], "humidity": {}}
	}).Handler())
	t.Cleanup(web.Close)
	runHub(t, c.hub)
	publish(c.hub, powerSet(), 1, 3000)
	channels := watch(t, web.URL, "").next().Channels
	if len(channels) != 3 || channels[0].Range != nil || channels[2].Range != nil || channels[1].Range == nil {
		t.Fatalf("%+v", channels)
	}
	if r := channels[1].Range; *r.Min != 0 || *r.WarnMin != 500 || *r.WarnMax != 15000 || *r.Max != 20000 {
		t.Errorf("%+v", r)
	}
}

func TestLiveResumes(t *testing.T) {
	t.Parallel()
	c := newCell()
	set := powerSet()
	web := httptest.NewServer(c.server(t, nil).Handler())
	t.Cleanup(web.Close)
	runHub(t, c.hub)
	publish(c.hub, set, 0, 1)
	seen := watch(t, web.URL, "").next()
	publish(c.hub, set, 1, 3000)
	if w := watch(t, web.URL, seen.id).next(); len(w.Channels) != 0 || len(w.Values) != 1 || w.Values[0].Value != 3000 {
		t.Errorf("after %s: %+v", seen.id, w)
	}
	for _, id := range []string{"otherstart.1", "1", "x.y", seen.id + "0000"} {
		if w := watch(t, web.URL, id).next(); len(w.Channels) != 3 || len(w.Values) != 2 {
			t.Errorf("after %s, which is not of this start: %+v", id, w)
		}
	}
}

func TestLiveOutlastsTheReadTimeout(t *testing.T) {
	t.Parallel()
	c := newCell()
	set := powerSet()
	web := httptest.NewUnstartedServer(c.server(t, nil).Handler())
	web.Config.ReadTimeout = 100 * time.Millisecond
	web.Start()
	t.Cleanup(web.Close)
	runHub(t, c.hub)
	w := watch(t, web.URL, "")
	for i := range 8 { // a window takes 50 ms
		publish(c.hub, set, 1, float64(i))
		w.next()
	}
}

func TestLiveEndsWithTheServer(t *testing.T) {
	t.Parallel()
	c := newCell()
	s := c.server(t, func(o *Options) { o.Listen = "127.0.0.1:0" })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	runHub(t, c.hub)
	publish(c.hub, powerSet(), 0, 1)
	var all []*watcher
	for range 5 {
		w := watch(t, strings.TrimSuffix(s.URL(), "/"), "")
		w.next()
		all = append(all, w)
	}
	began := time.Now()
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Stop took %v", took)
	}
	for _, w := range all {
		for w.lines.Scan() {
			continue
		}
		if err := w.lines.Err(); err != nil {
			t.Errorf("the stream did not end in order: %v", err)
		}
	}
}

// tap is a client's connection that takes bytes only while it is open.
type tap struct {
	header http.Header
	open   chan struct{}
	writer *io.PipeWriter
}

func (t *tap) Header() http.Header              { return t.header }
func (t *tap) WriteHeader(int)                  {}
func (t *tap) FlushError() error                { return nil }
func (t *tap) SetWriteDeadline(time.Time) error { return nil }
func (t *tap) Write(b []byte) (int, error) {
	<-t.open
	return t.writer.Write(b)
}

// tapped streams a cell's hub into a tap and gives its far end.
func tapped(t *testing.T, c *cell) (*tap, *bufio.Scanner) {
	t.Helper()
	reader, writer := io.Pipe()
	far := &tap{header: http.Header{}, open: make(chan struct{}), writer: writer}
	s := c.server(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var streaming sync.WaitGroup
	streaming.Go(func() {
		s.stream(ctx, &eventWriter{w: far, control: http.NewResponseController(far)}, 0)
	})
	runHub(t, c.hub)
	t.Cleanup(func() {
		cancel()
		_ = reader.Close()
		streaming.Wait()
	})
	return far, bufio.NewScanner(reader)
}

func TestLiveASlowClientGetsTheLatestState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCell()
		far, lines := tapped(t, c)
		set := powerSet()
		for i := range 1000 { // nobody reads for 100 s
			publish(c.hub, set, 1, float64(i))
			time.Sleep(100 * time.Millisecond)
		}
		close(far.open)
		w := &watcher{t: t, lines: lines}
		if first := w.next(); len(first.Values) != 1 || first.Values[0].Value != 999 {
			t.Errorf("the first window is %+v", first)
		}
	})
}

func TestLiveAQuietStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far, lines := tapped(t, newCell())
		close(far.open)
		began := time.Now()
		for beats := 0; beats < 3; {
			if !lines.Scan() {
				t.Fatal(lines.Err())
			}
			if strings.HasPrefix(lines.Text(), ":") {
				beats++
			}
		}
		if took := time.Since(began); took != 3*heartbeat {
			t.Errorf("three heartbeats in %v", took)
		}
	})
}
