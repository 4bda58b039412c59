package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"dynotap/pipeline"
	"dynotap/source/jetdrive"
)

// Cell is a recording program that can be measured.
type Cell struct {
	URL   string // of its server, with a slash at the end
	Close func() error
}

// OpenCell starts one that records a network and tells of each batch that is
// durable; accepted may be called by several goroutines.
type OpenCell func(network jetdrive.ConnSettings, accepted func(pipeline.Accepted)) (Cell, error)

const (
	// streamClients follow the live stream over HTTP, as browsers do.
	streamClients = 10
	// streamRatio is what they may make of the p99 from packet to durable.
	streamRatio = 1.25
	// leastWindows is how many windows a client must have had in a second for its
	// presence to count; 20 are sent.
	leastWindows = 10
)

// Streams measures what ten clients of the live stream do to the time from a
// packet to the disk: rounds of 10 s at 20,000 samples/s without and with them,
// in turn. The clients read in this same process, so their work counts too.
func Streams(rounds int, open OpenCell) (Report, error) {
	report := newReport("stream", rounds)
	var alone, followed, ratios []float64
	for i := range rounds {
		var pair [2]float64
		order := []int{0, streamClients}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, clients := range order {
			p99, err := followedCell(open, clients)
			if err != nil {
				return report, err
			}
			pair[min(clients, 1)] = p99
		}
		alone, followed, ratios = append(alone, pair[0]), append(followed, pair[1]), append(ratios, pair[1]/pair[0])
	}
	ratio := result("ratio of the two, round by round", "times", ratios).atMost(streamRatio)
	report.Results = []Result{
		result("p99 from packet to durable, nobody looks", "ms", alone),
		result(fmt.Sprintf("p99 with %d clients of the live stream", streamClients), "ms", followed),
		ratio,
	}
	return report, nil
}

// followedCell gives the p99 in ms from packet to durable while clients follow.
func followedCell(open OpenCell, clients int) (p99 float64, err error) {
	network, err := loopbackNetwork()
	if err != nil {
		return 0, err
	}
	w := &way{}
	cell, err := open(network, w.accepted)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cell.Close()) }()
	f, err := newFlood(network)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	ctx, cancel := context.WithCancel(context.Background())
	windows := make([]int, clients)
	var following sync.WaitGroup
	for i := range clients {
		following.Go(func() { windows[i] = follow(ctx, cell.URL+"api/v1/live") })
	}
	messages := int(steadyRate * steadyTime.Seconds() / floodValues)
	err = f.send(messages, float64(steadyRate)/floodValues)
	reach(int64(messages*floodValues), w.samples.Load)
	cancel()
	following.Wait()
	if err != nil {
		return 0, err
	}
	for _, n := range windows {
		if n < leastWindows*int(steadyTime/time.Second) {
			return 0, fmt.Errorf("a client of the live stream had %d windows only: it did not follow", n)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.latency) == 0 {
		return 0, errors.New("no samples arrived")
	}
	slices.Sort(w.latency)
	return w.latency[len(w.latency)*99/100], nil
}

// follow reads the stream until ctx ends and counts its windows.
func follow(ctx context.Context, url string) (windows int) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "event: window") {
			windows++
		}
	}
	return windows
}
