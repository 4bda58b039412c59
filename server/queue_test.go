package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

func TestQ11NothingIsCountedBeforeAStart(t *testing.T) {
	t.Parallel()
	c := newCell()
	fields := func() []string {
		w := ask(t, c.server(t, nil).Handler(), http.MethodGet, "/api/v1/queue", "")
		var answer map[string]json.RawMessage
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		return slices.Sorted(maps.Keys(answer))
	}
	running := fields()
	for _, field := range []string{"running", "durability", "total_enqueued", "total_dropped", "latency", "waiting", "current_size"} {
		if !slices.Contains(running, field) {
			t.Errorf("%s is missing: %v", field, running)
		}
	}
	c.queueState.Running = false
	want := []string{"by_priority", "current_size", "dead_letters", "durability", "max_size", "oldest_age_seconds", "running", "when_full"}
	if got := fields(); !slices.Equal(got, want) {
		t.Errorf("of a stopped queue: %v, not %v", got, want)
	}
}

// letters fills the cell: n dead letters of two kinds.
func (c *cell) letters(n int) {
	c.dead = nil
	for i := range n {
		d := queue.DeadLetter{
			Item:   queue.Item{ID: queue.MakeID(sample.High, uint64(i+1)), Source: "jetdrive", Priority: sample.High, Samples: 10, Payload: []byte("batch")},
			Reason: queue.ReasonExhausted,
		}
		if i%4 == 3 {
			d.Reason, d.Source, d.Priority = queue.ReasonDamaged, "innovate", sample.Low
		}
		c.dead = append(c.dead, d)
	}
}

func TestQ10DeadLettersAreCountedByKind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, query string
		letters     int
		shown       int
		total       int
		complete    bool
	}{
		{"none", "", 0, 0, 0, true},
		{"a few", "", 12, 12, 12, true},
		{"a page", "", countPage, 100, countPage, true},
		{"more than a page", "?limit=5", countPage + 1, 5, countPage + 1, true},
		{"only counted", "?limit=0", 12, 0, 12, true},
		{"behind the last", "?offset=12", 12, 0, 12, true},
		{"more than are counted", "?limit=3", maxCounted + 4, 3, maxCounted, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCell()
			c.letters(tt.letters)
			w := ask(t, c.server(t, nil).Handler(), http.MethodGet, "/api/v1/dead-letters"+tt.query, "")
			var list lettersBody
			if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || list.DeadLetters == nil || list.Counts == nil {
				t.Fatalf("%v: %.300s", err, w.Body)
			}
			if len(list.DeadLetters) != tt.shown || list.Total != tt.total || list.Complete != tt.complete {
				t.Errorf("%d shown of %d, complete %v", len(list.DeadLetters), list.Total, list.Complete)
			}
			if tt.total == 0 {
				return
			}
			dead := letterCount{queue.ReasonDamaged, "innovate", "low", tt.total / 4, int64(tt.total/4) * 10}
			spent := letterCount{queue.ReasonExhausted, "jetdrive", "high", tt.total - tt.total/4, int64(tt.total-tt.total/4) * 10}
			if !slices.Equal(list.Counts, []letterCount{dead, spent}) {
				t.Errorf("counts %+v", list.Counts)
			}
		})
	}
}

func TestQ10APartOfManyIsTold(t *testing.T) {
	t.Parallel()
	c := newCell()
	c.err = fmt.Errorf("revive: %w", queue.ErrFull)
	for target, method := range map[string]string{"/api/v1/dead-letters/retry": http.MethodPost, "/api/v1/dead-letters": http.MethodDelete} {
		w := ask(t, c.server(t, nil).Handler(), method, target, "")
		if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "4 ") || !strings.Contains(w.Body.String(), "full") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	c.err = nil
	ask(t, c.server(t, nil).Handler(), http.MethodDelete, "/api/v1/dead-letters?died_by=2023-11-14T22:13:20.000001Z", "")
	if want := time.UnixMicro(1_700_000_000_000_001); !c.filter.DiedBy.Equal(want) {
		t.Errorf("deletes what died by %v", c.filter.DiedBy)
	}
}

// shownLetter is the contract: an unknown field is an error.
type shownLetter struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	Priority   string            `json:"priority"`
	Samples    int               `json:"samples"`
	Bytes      int               `json:"bytes"`
	Attempts   int               `json:"attempts"`
	Reason     string            `json:"reason"`
	FirstError string            `json:"first_error"`
	LastError  string            `json:"last_error"`
	EnqueuedAt *string           `json:"enqueued_at"`
	DiedAt     *string           `json:"died_at"`
	Metadata   map[string]string `json:"metadata"`
	Payload    string            `json:"payload"`
	Contents   struct {
		BatchID    string  `json:"batch_id"`
		Capture    string  `json:"capture"`
		Clock      string  `json:"clock"`
		ReceivedAt *string `json:"received_at"`
		ChannelSet string  `json:"channel_set"`
		Total      int     `json:"total"`
		Samples    []struct {
			Time        *string  `json:"time"`
			TimeUS      int64    `json:"time_us"`
			Channel     string   `json:"channel"`
			Provider    string   `json:"provider"`
			Label       string   `json:"label"`
			Name        string   `json:"name"`
			Value       *float64 `json:"value"`
			Unit        string   `json:"unit"`
			NativeValue *float64 `json:"native_value"`
			NativeUnit  string   `json:"native_unit"`
			Quality     string   `json:"quality"`
		} `json:"samples"`
		Error string `json:"error"`
		Head  string `json:"head"`
	} `json:"contents"`
}

func (c *cell) show(t *testing.T, query string, change func(*Options)) (out shownLetter) {
	t.Helper()
	w := ask(t, c.server(t, change).Handler(), http.MethodGet, "/api/v1/dead-letters/"+c.dead[0].ID.String()+query, "")
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&out); w.Code != http.StatusOK || err != nil {
		t.Fatalf("%d %v", w.Code, err)
	}
	return out
}

func TestQ10ADeadLetterShowsItsSamples(t *testing.T) {
	t.Parallel()
	set := sample.NewChannelSet("jetdrive", []sample.Channel{
		{Key: "Dyno/3/0", Provider: "Dyno", ID: 3, Label: "Power", NativeUnit: sample.Kilowatt, Name: "horsepower", Unit: sample.Horsepower},
		{Key: "Dyno/9/0", Provider: "Dyno", ID: 9, Label: "Odd", NativeUnit: "furlong", Unit: sample.Metre},
	})
	batch := sample.Batch{
		ID: sample.NewBatchIDs().Next(), Source: "jetdrive", Capture: "c1", Set: set, Received: 1_700_000_000_000_100, Clock: sample.ClockPassive,
		Samples: []sample.Sample{
			{Time: 1_700_000_000_000_001, Value: 74.569987158227},
			{Time: 1_700_000_000_000_002, Value: math.NaN(), Quality: sample.Bad},
			{Time: math.MaxInt64, Channel: 1, Value: 5, Quality: sample.Suspect},
		},
	}
	c := newCell()
	c.dead[0].Enqueued, c.dead[0].Died = time.UnixMicro(1_700_000_000_000_100), time.UnixMicro(1<<62) // damage
	c.dead[0].Payload = sample.AppendBatch(nil, &batch)
	c.decode = func(payload []byte, b *sample.Batch) error {
		return sample.DecodeBatch(payload, func(sample.SetID) (*sample.ChannelSet, error) { return set, nil }, b)
	}
	got := c.show(t, "", nil)
	if got.DiedAt != nil || got.EnqueuedAt == nil || *got.EnqueuedAt != "2023-11-14T22:13:20.0001Z" {
		t.Errorf("times %v %v", got.EnqueuedAt, got.DiedAt)
	}
	in := got.Contents
	if in.BatchID != batch.ID.String() || in.Capture != "c1" || in.Clock != "passive" || in.ChannelSet != set.ID().String() || in.Error != "" || in.Head != "" {
		t.Errorf("%+v", in)
	}
	if in.Total != 3 || len(in.Samples) != 3 {
		t.Fatalf("%d of %d samples", len(in.Samples), in.Total)
	}
	power, bad, odd := in.Samples[0], in.Samples[1], in.Samples[2]
	if *power.Time != "2023-11-14T22:13:20.000001Z" || math.Abs(*power.Value-100) > 1e-9 || power.Unit != "hp" ||
		*power.NativeValue != 74.569987158227 || power.NativeUnit != "kW" || power.Quality != "good" ||
		power.Channel != "Dyno/3/0" || power.Provider != "Dyno" || power.Label != "Power" || power.Name != "horsepower" {
		t.Errorf("%+v", power)
	}
	if bad.Value != nil || bad.NativeValue != nil || bad.Quality != "bad" {
		t.Errorf("not a number: %+v", bad)
	}
	if odd.Time != nil || odd.TimeUS != math.MaxInt64 || *odd.Value != 5 || odd.Unit != "furlong" || odd.Quality != "suspect" {
		t.Errorf("a unit and a time that cannot be converted: %+v", odd)
	}
	if got := c.show(t, "?limit=1", nil).Contents; got.Total != 3 || len(got.Samples) != 1 {
		t.Errorf("%d of %d samples", len(got.Samples), got.Total)
	}
	metric := c.show(t, "?limit=1", func(o *Options) { o.Units = sample.Metric }).Contents.Samples[0]
	if metric.Unit != "kW" || *metric.Value != 74.569987158227 {
		t.Errorf("metric: %+v", metric)
	}
}

func TestQ10WhatCannotBeDecodedIsShownAllTheSame(t *testing.T) {
	t.Parallel()
	id := sample.NewBatchIDs().Next()
	tests := []struct {
		name    string
		decode  func([]byte, *sample.Batch) error
		payload string
		want    string
		batch   string
		head    string
	}{
		{"no batch", func([]byte, *sample.Batch) error {
			return fmt.Errorf("%w: batch tag", sample.ErrEncoding)
		}, "batch", "not a valid encoding: batch tag", "", "6261746368"},
		{"no channel set", func(_ []byte, b *sample.Batch) error {
			b.ID, b.Capture = id, "c1"
			return errors.New("no such channel set")
		}, "batch", "no such channel set", id.String(), "6261746368"},
		{"nothing", func([]byte, *sample.Batch) error { return sample.ErrEncoding }, "", "not a valid encoding", "", ""},
		{"long", func([]byte, *sample.Batch) error { return context.DeadlineExceeded }, strings.Repeat("x", 5000),
			"context deadline exceeded", "", strings.Repeat("78", headBytes)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCell()
			c.decode, c.dead[0].Payload = tt.decode, []byte(tt.payload)
			got := c.show(t, "", nil)
			in := got.Contents
			if in.Error != tt.want || in.Head != tt.head || in.BatchID != tt.batch || in.Total != 0 || in.Samples == nil || got.Bytes != len(tt.payload) {
				t.Errorf("%+v", got)
			}
		})
	}
}
