package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"dynotap/doctor"
	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/source"
	"dynotap/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cell is a whole program that consists of answers.
type cell struct {
	mu        sync.Mutex
	calls     []string
	reasons   []string
	sources   []SourceStatus
	runs      []store.Run
	dead      []queue.DeadLetter
	filter    queue.Filter
	runFilter store.RunFilter
	query     SampleQuery
	format    ExportFormat
	merge     MergeQuery
	export    func(context.Context, io.Writer) error
	recording *Recording
	hub       *pipeline.Hub
	// queueState is what the program says of its queue, decode what it makes of
	// a payload.
	queueState QueueState
	decode     func(payload []byte, b *sample.Batch) error
	err        error // what every change answers
	// examine is what the doctor does.
	examine func(context.Context) (doctor.Report, error)
}

func newCell() *cell {
	began := int64(1_700_000_000_000_000)
	ended := began + 12_400_000
	return &cell{
		sources: []SourceStatus{{
			Name: "jetdrive", Enabled: true,
			Health: source.Health{Healthy: true, State: source.Connected, Reasons: []string{}, CircuitState: source.Closed},
			Stats:  source.Stats{SamplesReceived: 1234567, SamplesPerSecond: 1200, CircuitState: source.Closed},
		}},
		runs: []store.Run{{
			ID: "0190-abc", Capture: "c1", Kind: "pull", Source: "jetdrive", Name: "third gear", StartedUS: &began, EndedUS: &ended, CreatedUS: ended,
			Summary: json.RawMessage(`{"peak_hp":101.25,"hp_peak_rpm":5600,"peak_torque":105.5,"torque_peak_rpm":3900,"duration_ms":12400}`),
		}},
		dead: []queue.DeadLetter{{
			Item:   queue.Item{ID: queue.MakeID(sample.High, 7), Source: "jetdrive", Priority: sample.High, Samples: 141, Payload: []byte("batch"), LastError: "disk full"},
			Reason: queue.ReasonExhausted,
		}},
		queueState: QueueState{Running: true, Durability: SurvivesPowerLoss},
		decode:     func([]byte, *sample.Batch) error { return sample.ErrEncoding },
		hub:        pipeline.NewHub(),
		examine: func(context.Context) (doctor.Report, error) {
			return doctor.Report{Severity: doctor.Warning, Findings: []doctor.Finding{{
				Check: "reception", Severity: doctor.Warning, Found: "nothing came", Mend: "switch it on", Details: map[string]any{"port": 22344},
			}}, Checked: []string{"reception"}}, nil
		},
		export: func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "time,rpm\n"); return err },
	}
}

// options are those of a server over the cell, for one to change.
func (c *cell) options() Options {
	return Options{
		Listen: "127.0.0.1:8686", Version: "v0.0.1-test", Logger: slog.New(slog.DiscardHandler),
		Gatherer:   prometheus.NewRegistry(),
		Readiness:  func(context.Context) Readiness { return Readiness{Reasons: c.reasons, Notes: []string{"not durable"}} },
		Stats:      func() any { return map[string]any{"sources": map[string]any{}, "total": map[string]int{"received": 5}} },
		QueueState: func() QueueState { return c.queueState },
		Config:     func() any { return map[string]any{"queue": map[string]int{"max_size": 10000}} },
		Sources:    c, Queue: c, Decoder: c, Runs: c, Samples: c, Sheets: c, Recordings: c, Backups: c, Storage: c.storage, Live: c.hub, Doctor: c,
	}
}

// server makes a server over the cell; change, if any, adjusts its options.
func (c *cell) server(t *testing.T, change func(*Options)) *Server {
	t.Helper()
	o := c.options()
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cell) note(format string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, fmt.Sprintf(format, args...))
	return c.err
}

func (c *cell) called() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.calls, "\n")
}

func (c *cell) Examine(ctx context.Context) (doctor.Report, error) { return c.examine(ctx) }

func (c *cell) Sources() []SourceStatus { return c.sources }

func (c *cell) act(verb, name string) error {
	if name != "jetdrive" {
		return fmt.Errorf("%w: %s", ErrNoSource, name)
	}
	return c.note("%s %s", verb, name)
}

func (c *cell) StartSource(_ context.Context, name string) error { return c.act("start", name) }
func (c *cell) StopSource(_ context.Context, name string) error  { return c.act("stop", name) }
func (c *cell) ResetSource(_ context.Context, name string) error { return c.act("reset", name) }

func (c *cell) Stats() queue.Stats {
	return queue.Stats{MaxSize: 10000, CurrentSize: 3, Dropped: []queue.Drop{{Source: "jetdrive", Reason: queue.ReasonFull, Samples: 282}}}
}

func (c *cell) DeadLetters(_ context.Context, f queue.Filter, offset, limit int) ([]queue.DeadLetter, error) {
	c.filter = f
	return c.dead[min(offset, len(c.dead)):min(offset+limit, len(c.dead))], c.err
}

func (c *cell) DeadLetter(_ context.Context, id queue.ID) (queue.DeadLetter, error) {
	if id != c.dead[0].ID {
		return queue.DeadLetter{}, queue.ErrNotFound
	}
	return c.dead[0], nil
}

func (c *cell) Decode(_ context.Context, payload []byte, b *sample.Batch) error {
	return c.decode(payload, b)
}

func (c *cell) known(ctx context.Context, verb string, id queue.ID) error {
	if _, err := c.DeadLetter(ctx, id); err != nil {
		return err
	}
	return c.note("%s %v", verb, id)
}

func (c *cell) Revive(ctx context.Context, id queue.ID) error { return c.known(ctx, "revive", id) }
func (c *cell) Forget(ctx context.Context, id queue.ID) error { return c.known(ctx, "forget", id) }

func (c *cell) ReviveAll(_ context.Context, f queue.Filter) (int, error) {
	c.filter = f
	return 4, c.note("revive all")
}

func (c *cell) ForgetAll(_ context.Context, f queue.Filter) (int, error) {
	c.filter = f
	return 4, c.note("forget all")
}

func (c *cell) Runs(_ context.Context, f store.RunFilter) ([]store.Run, int, error) {
	c.runFilter = f
	return c.runs, len(c.runs), c.err
}

func (c *cell) Run(_ context.Context, id string) (store.Run, error) {
	for _, r := range c.runs {
		if r.ID == id {
			return r, nil
		}
	}
	return store.Run{}, store.ErrNoRun
}

func (c *cell) EditRun(ctx context.Context, id string, e store.Edit) (store.Run, error) {
	r, err := c.Run(ctx, id)
	if e.Name != nil {
		r.Name = *e.Name
	}
	if e.Tags != nil {
		r.Tags = *e.Tags
	}
	return r, err
}

func (c *cell) DeleteRun(ctx context.Context, id string, _ bool) error {
	if _, err := c.Run(ctx, id); err != nil {
		return err
	}
	return c.note("delete %s", id)
}

func (c *cell) Samples(ctx context.Context, id string, q SampleQuery) (SampleSet, error) {
	c.query = q
	if _, err := c.Run(ctx, id); err != nil {
		return SampleSet{}, err
	}
	if len(q.Channels) == 1 && q.Channels[0] == "nope" {
		return SampleSet{}, fmt.Errorf("%w: nope", store.ErrNoChannel)
	}
	return SampleSet{TimeBase: "absolute", Series: []Series{{
		Channel: Channel{Name: "rpm", Unit: "rpm"}, Time: []int64{1, 2}, Value: []Number{3500, Number(nan())}, Quality: []string{"good", "bad"},
	}}}, nil
}

func (c *cell) Export(ctx context.Context, _ string, f ExportFormat, w io.Writer) error {
	c.format = f
	return c.export(ctx, w)
}

func (c *cell) Merge(_ context.Context, _ string, q MergeQuery) (Merge, error) {
	c.merge = q
	if q.With == "other" {
		return Merge{}, fmt.Errorf("%w: clocks", ErrBadRequest)
	}
	return Merge{
		Report: MergeReport{Clock: ClockReport{How: "same"}, Points: 2, Merged: []MergedSensor{{Name: "afr", Used: 1}}},
		Write:  func(ctx context.Context, _ string, w io.Writer) error { return c.export(ctx, w) },
	}, nil
}

func (c *cell) Recording() *Recording { return c.recording }

func (c *cell) StartRecording(_ context.Context, name string) (Recording, error) {
	if c.recording != nil {
		return Recording{}, fmt.Errorf("%w: a recording runs already", ErrConflict)
	}
	c.recording = &Recording{Run: "r1", Name: name, StartedAt: time.Now()}
	return *c.recording, nil
}

func (c *cell) StopRecording(context.Context) (Recording, error) {
	if c.recording == nil {
		return Recording{}, fmt.Errorf("%w: no recording runs", ErrConflict)
	}
	r := *c.recording
	c.recording = nil
	return r, nil
}

// ask sends a request as a program of this machine does.
func ask(t *testing.T, h http.Handler, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, "http://127.0.0.1:8686"+target, http.NoBody)
	} else {
		r = httptest.NewRequest(method, "http://127.0.0.1:8686"+target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStartServeStopAndAgain(t *testing.T) {
	t.Parallel()
	s := newCell().server(t, func(o *Options) { o.Listen = "127.0.0.1:0" })
	if s.URL() != "" || s.Stop(t.Context()) != nil {
		t.Error("a server that was never started")
	}
	for range 2 {
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status := fetch(t, s.URL()+"healthz"); status != http.StatusOK {
			t.Errorf("status %d", status)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		<-s.Done()
	}
}

func fetch(t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	return answer.StatusCode
}

func TestAPortInUseIsOneSentenceWithTheMend(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := newCell().server(t, func(o *Options) { o.Listen = taken.Addr().String() })
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "--listen") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestStopBreaksOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	c := newCell()
	begun, ended := make(chan struct{}), make(chan struct{})
	c.export = func(ctx context.Context, w io.Writer) error {
		defer close(ended)
		if _, err := io.WriteString(w, "time\n"); err != nil {
			return err
		}
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	s := c.server(t, func(o *Options) { o.Listen = "127.0.0.1:0" })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"api/v1/runs/0190-abc/export", http.NoBody)
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			_ = answer.Body.Close()
		}
		broken <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	<-ended
	if err := <-broken; err == nil {
		t.Error("the client takes half a file for a whole one")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "Recordings") {
		t.Errorf("got %v", err)
	}
	o := newCell().options()
	o.Listen = "8686"
	if _, err := New(o); err == nil {
		t.Error("took an address without a port")
	}
}
