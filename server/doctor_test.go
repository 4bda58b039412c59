package server

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"dynotap/doctor"
)

func TestOneExaminationAtATime(t *testing.T) {
	t.Parallel()
	c := newCell()
	begun, release := make(chan struct{}), make(chan struct{})
	c.examine = func(context.Context) (doctor.Report, error) {
		close(begun)
		<-release
		return doctor.Report{}, nil
	}
	h := c.server(t, nil).Handler()
	var first sync.WaitGroup
	first.Go(func() {
		if w := ask(t, h, http.MethodGet, "/api/v1/doctor", ""); w.Code != http.StatusOK {
			t.Errorf("the first: %d %s", w.Code, w.Body)
		}
	})
	<-begun
	if w := ask(t, h, http.MethodGet, "/api/v1/doctor", ""); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "under way") {
		t.Errorf("the second: %d %s", w.Code, w.Body)
	}
	close(release)
	first.Wait()
	c.examine = newCell().examine
	if w := ask(t, h, http.MethodGet, "/api/v1/doctor", ""); w.Code != http.StatusOK {
		t.Errorf("after the first: %d %s", w.Code, w.Body)
	}
}

func TestStoppingEndsAnExamination(t *testing.T) {
	t.Parallel()
	c := newCell()
	begun := make(chan struct{})
	c.examine = func(ctx context.Context) (doctor.Report, error) {
		close(begun)
		<-ctx.Done()
		return doctor.Report{}, ctx.Err()
	}
	s := c.server(t, func(o *Options) { o.Listen = "127.0.0.1:0" })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get(s.URL() + "api/v1/doctor")
		if err != nil {
			answered <- 0
			return
		}
		_ = answer.Body.Close()
		answered <- answer.StatusCode
	}()
	<-begun
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if code := <-answered; code != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
}
