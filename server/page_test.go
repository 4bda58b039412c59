package server

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/source"
)

// shown is the page as text: tags out, spaces joined, entities as they are.
func shown(t *testing.T, s *Server) (text, html string) {
	t.Helper()
	w := ask(t, s.Handler(), http.MethodGet, "/", "")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("status %d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	html = w.Body.String()
	text = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(html, " ")
	return strings.Join(strings.Fields(text), " "), html
}

func wantText(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}

func TestPageShowsEverythingWithoutScripts(t *testing.T) {
	t.Parallel()
	c := newCell()
	set := powerSet()
	publish(c.hub, set, 0, 63.4)
	publish(c.hub, set, 1, 5600)
	c.recording = &Recording{Name: "baseline", StartedAt: time.Now()}
	text, html := shown(t, c.server(t, nil))
	wantText(t, text,
		"v0.0.1-test", "accepting", "not durable", "recording baseline since",
		"DWRT CPU 0x43FD jetdrive · 2 channels", "DWRT ATMO 0x43FE jetdrive · 1 channel", "3 channels of 2 providers",
		"Power horsepower 85.02 hp", "Engine RPM rpm 5600 rpm", "Humidity &lt;b&gt; humidity – %",
		"jetdrive connected 1 200 1 234 567", "queue_full 282", "of at most 10 000",
		"pull third gear 12.4 s 101.2 hp at 5600 rpm 105.5 ft·lb at 3900 rpm csv parquet jsonl wide csv",
	)
	if strings.Index(text, "DWRT ATMO") > strings.Index(text, "DWRT CPU") {
		t.Error("providers are not in order")
	}
	wantText(t, html, `title="0x43FD:6:Power"`)
	if strings.Contains(html, "<b>") {
		t.Error("a channel's name became markup")
	}
	if regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\son[a-z]+=|style=|https?://`).MatchString(html) {
		t.Error("something that the content policy forbids, or that is loaded from elsewhere")
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="(/[^"]*)"`).FindAllStringSubmatch(html, -1) {
		target := strings.ReplaceAll(m[1], "&amp;", "&")
		if target == "/api/v1/live" {
			continue
		}
		if w := ask(t, c.server(t, nil).Handler(), http.MethodGet, target, ""); w.Code != http.StatusOK {
			t.Errorf("link %s leads to %d", target, w.Code)
		}
	}
}

func TestPageInMetricUnits(t *testing.T) {
	t.Parallel()
	c := newCell()
	publish(c.hub, powerSet(), 0, 63.4)
	text, _ := shown(t, c.server(t, func(o *Options) { o.Units = sample.Metric }))
	wantText(t, text, "Power horsepower 63.40 kW", "75.5 kW at 5600 rpm 143.0 N·m at 3900 rpm")
}

func TestPageSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := newCell()
	c.reasons = []string{"disk full"}
	c.err = errors.New("database is locked")
	c.sources = []SourceStatus{
		{Name: "jetdrive", Enabled: true, Health: source.Health{State: source.CircuitOpen, Reasons: []string{"circuit breaker open"}, LastError: "no such interface"}},
		{Name: "innovate"},
	}
	text, html := shown(t, c.server(t, nil))
	wantText(t, text, "not accepting", "disk full", "circuit open", "circuit breaker open; last error: no such interface",
		"innovate switched off", "database is locked", "No channel has been heard yet")
	if !strings.Contains(html, `<span class="badge bad">circuit open</span>`) {
		t.Error("an open circuit looks harmless")
	}
}

func TestPageMarksValues(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	channel := pipeline.LiveChannel{Ref: 4, Channel: sample.Channel{Label: "x", Unit: sample.RPM}}
	tests := map[string]struct {
		value      pipeline.LiveValue
		text       string
		age, class string
	}{
		"good":     {pipeline.LiveValue{Ref: 4, Value: 12.345}, "12.35", "", ""},
		"suspect":  {pipeline.LiveValue{Ref: 4, Value: 0, Quality: sample.Suspect}, "0.000", "", "warn"},
		"bad":      {pipeline.LiveValue{Ref: 4, Value: nan(), Quality: sample.Bad}, "NaN", "", "bad"},
		"old":      {pipeline.LiveValue{Ref: 4, Value: -123.456, Time: -7_000_000}, "-123.5", "7 s", "old"},
		"very old": {pipeline.LiveValue{Ref: 4, Value: 1e7, Time: -7_200_000_000}, "10000000", "2 h", "old"},
		"none":     {pipeline.LiveValue{Ref: 5}, "–", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.value.Time += sample.Micros(now)
			got := valueOf(&channel, map[int]pipeline.LiveValue{tt.value.Ref: tt.value}, sample.US, now)
			if got.Value != tt.text || got.Age != tt.age || got.Class != tt.class {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestPageShowsTheFirstOfEachMainChannelLarge(t *testing.T) {
	t.Parallel()
	u := pipeline.LiveUpdate{Values: []pipeline.LiveValue{{Ref: 0, Value: 1}, {Ref: 1, Value: 2}, {Ref: 2, Value: 3}, {Ref: 3, Value: 4}}}
	for i, name := range []string{"torque", "rpm", "rpm", "iat"} {
		u.Channels = append(u.Channels, pipeline.LiveChannel{Ref: i, Channel: sample.Channel{Name: name}})
	}
	var v view
	v.live(u, sample.US, time.Unix(0, 0))
	if len(v.Dials) != 2 || v.Dials[0].Name != "rpm" || v.Dials[0].Value != "2.000" || v.Dials[1].Name != "torque" {
		t.Errorf("%+v", v.Dials)
	}
}

func TestPageOfAFullQueue(t *testing.T) {
	t.Parallel()
	var v view
	v.queue(queue.Stats{MaxSize: 100, CurrentSize: 80, DeadLetters: 1, WhenFull: "drop_oldest", Waiting: 1, TotalWaits: 4, WaitSeconds: 2.5})
	if v.Queue[0].Class != "bad" || v.Queue[5].Class != "bad" {
		t.Errorf("%+v", v.Queue)
	}
	if v.Queue[6].Value != "drop oldest" || v.Queue[7] != (fact{"sources that wait for room", "1, 3 times before, 2.5 s together", "bad"}) {
		t.Errorf("%+v", v.Queue[6:])
	}
}

func TestCountsAreGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u2009000", -1000: "-1\u2009000", -100: "-100", 1234567890: "1\u2009234\u2009567\u2009890"} {
		if got := count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
