package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/server"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/provider"
)

// hold keeps a data directory's database from being written, as another tool
// that has the file open may, until release is called.
func hold(t *testing.T, dir string) (release func()) {
	t.Helper()
	conn, err := sqlite3.Open("file:" + filepath.Join(dir, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.BusyTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	held := true
	release = func() {
		if held {
			held = false
			if err := conn.Close(); err != nil { // rolls back
				t.Error(err)
			}
		}
	}
	t.Cleanup(release)
	return release
}

// stream runs a simulated provider on the network until stop, which gives what
// it sent.
func stream(t *testing.T, n network, channels int, rate float64) (stop func() provider.Counts) {
	t.Helper()
	specs := make([]provider.ChannelSpec, channels)
	for i := range specs {
		specs[i] = provider.ChannelSpec{ID: uint16(i + 1), Name: fmt.Sprintf("Channel %d", i+1), Unit: sample.RPM}
	}
	p, err := provider.New(provider.Settings{
		Conn: jetdrive.ConnSettings{Group: netip.MustParseAddr(n.group), Port: uint16(n.port), Interface: loopback},
		Name: "Pressure Cell", Channels: specs, Rate: rate,
		Values: func(at time.Duration, dst []float32) {
			for i := range dst {
				dst[i] = float32(at.Milliseconds()%10_000) + float32(i)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	over := false
	stop = func() provider.Counts {
		if !over {
			over = true
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		return p.Counts()
	}
	t.Cleanup(func() { stop() })
	return stop
}

// pressed is what an instance says of its queue at one moment.
type pressed struct {
	stats struct {
		Sources  map[string]sourceStats `json:"sources"`
		Pressure pressureView           `json:"pressure"`
	}
	queue queue.Stats
	ready struct {
		Ready bool `json:"ready"`
		server.Readiness
	}
}

func (in *instance) pressed() (p pressed) {
	in.t.Helper()
	for path, into := range map[string]any{"api/v1/stats": &p.stats, "api/v1/queue": &p.queue, "readyz": &p.ready} {
		if _, err := in.client.get(in.t.Context(), path, nil, into); err != nil {
			in.t.Error(err)
		}
	}
	return p
}

// metric reads one series as Prometheus gets it; -1 where there is none.
func (in *instance) metric(series string) float64 {
	in.t.Helper()
	body, err := in.client.do(in.t.Context(), "GET", "metrics", nil, nil)
	if err != nil {
		in.t.Fatal(err)
	}
	defer body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(body); err != nil {
		in.t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				in.t.Fatal(err)
			}
			return v
		}
	}
	return -1
}

func (in *instance) wantMetrics(want map[string]float64) {
	in.t.Helper()
	for series, v := range want {
		if got := in.metric(series); got != v {
			in.t.Errorf("%s is %v, not %v", series, got, v)
		}
	}
}

func (in *instance) wantStatus(patterns ...string) {
	in.t.Helper()
	text := string(in.dynotap("status"))
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(text) {
			in.t.Errorf("status does not say %q:\n%s", p, text)
		}
	}
}

// tiny is a queue in memory of four batches, and sixteen datagrams between
// socket and decoder.
func tiny(dropOnFull, dropOldest bool) string {
	text, _ := json.Marshal(map[string]any{
		"queue": map[string]any{
			"max_size": 4, "batch_size": 1, "flush_interval_sec": 0,
			"drop_on_full": dropOnFull, "drop_oldest": dropOldest,
		},
		"data_sources": map[string]any{"jetdrive": map[string]any{"buffer_size": 16}},
	})
	return string(text)
}

// TestQ3AFullQueueOnTheWireWaits holds the store up while a provider streams,
// with a queue that makes its source wait: the queue fills, the source stops
// reading, the ring between socket and decoder fills, and then datagrams are
// lost and counted. Everything says so while it happens and afterwards.
func TestQ3AFullQueueOnTheWireWaits(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	in := startInstance(t, n, configured(t, tiny(false, false))...)
	stop := stream(t, n, 10, 50)
	await(t, "samples are stored", func() bool { return in.balanced()["jetdrive"].Processed > 100 })
	looks := in.watchSum()
	release := hold(t, in.dir)

	await(t, "the queue is full and the source waits", func() bool {
		p := in.pressed()
		v := p.stats.Pressure
		return p.queue.Waiting == 1 && v.Present != nil && v.Present.What == spellFull && len(v.Hindered) == 1 && v.Hindered[0].Waiting > 0.2
	})
	p := in.pressed()
	if !p.ready.Ready || len(p.ready.Notes) == 0 || !strings.HasPrefix(p.ready.Notes[0], "queue FULL (4 batches) since ") {
		t.Errorf("readyz %+v", p.ready)
	}
	in.wantStatus(`note: queue FULL \(4 batches\) since [0-9.]+ s, 1 source waits: jetdrive since`, `queue: FULL, 4 of 4 batches, .* when full: wait,`)
	in.wantMetrics(map[string]float64{
		`dynotap_queue_waiting`: 1, `dynotap_pressure{what="queue_full"}`: 1, `dynotap_pressure{what="disk_slow"}`: 0,
		`dynotap_queue_dropped_total{source="jetdrive",reason="evicted"}`: -1,
	})
	if w := in.metric(`dynotap_source_waiting_seconds{source="jetdrive"}`); w <= 0 {
		t.Errorf("the source has waited for %v s", w)
	}
	await(t, "datagrams are lost", func() bool { return in.pressed().stats.Sources["jetdrive"].Overruns.Datagrams > 20 })
	in.wantStatus(`datagrams of jetdrive with about [0-9]+.* samples lost unread`)
	await(t, "it is not accepting", func() bool { return !in.pressed().ready.Ready })
	in.wantStatus(`NOT accepting samples: queue FULL .*1 source waits: jetdrive`)

	release()
	sent := stop()
	await(t, "the queue is no longer full", func() bool {
		p := in.pressed()
		return p.ready.Ready && p.stats.Pressure.Present == nil && p.stats.Pressure.Last != nil
	})
	in.awaitAll(sent)
	if n := looks(); n < 50 {
		t.Errorf("looked at the sum %d times only", n)
	}
	p = in.pressed()
	a, over, socket := p.stats.Sources["jetdrive"], p.stats.Sources["jetdrive"].Overruns, in.source().Details.Socket
	if a.Dropped != 0 || a.Failed != 0 || a.Processed != a.Received {
		t.Errorf("the queue lost something: %+v", a.Account)
	}
	if uint64(a.Received)+over.Samples != sent.Values || over.Samples == 0 || over.Datagrams != socket.RingFull+socket.KernelDrops {
		t.Errorf("sent %d values, received %d, lost %+v, %+v", sent.Values, a.Received, over, socket)
	}
	if p.queue.TotalWaits == 0 || p.queue.WaitSeconds < 1 || p.stats.Pressure.Last.Overruns["jetdrive"] != over {
		t.Errorf("waited %d times for %v s; the spell %+v", p.queue.TotalWaits, p.queue.WaitSeconds, p.stats.Pressure.Last)
	}
	in.wantMetrics(map[string]float64{
		`dynotap_queue_waiting`: 0, `dynotap_queue_waits_total`: float64(p.queue.TotalWaits), `dynotap_pressure{what="queue_full"}`: 0,
		`dynotap_overrun_datagrams_total{source="jetdrive"}`: float64(over.Datagrams),
		`dynotap_overrun_samples_total{source="jetdrive"}`:   float64(over.Samples),
	})
	in.wantStatus(`queue no longer full after [0-9.]+ s, sources waited .*\((once|[0-9]+ times) since the start\)`, `lost since the start: [0-9]+.* lost unread`)
	in.stop()
	if rows := in.export(); int64(len(rows)) != a.Processed {
		t.Errorf("%d samples are stored, %d say the counters", len(rows), a.Processed)
	}
	in.wantWarnings(p.stats.Pressure.Spells)
}

// unread is how many datagrams wait between socket and decoder.
func (in *instance) unread() int64 {
	d := in.source().Details
	return int64(d.Socket.Datagrams) - int64(d.Socket.Truncated) - int64(d.Socket.RingFull) - int64(d.Total.Datagrams)
}

// awaitAll waits until all that was sent has arrived or is known to be lost, and
// nothing is on its way any more.
func (in *instance) awaitAll(sent provider.Counts) {
	in.t.Helper()
	await(in.t, "everything has arrived and is stored", func() bool {
		a := in.pressed().stats.Sources["jetdrive"]
		return uint64(a.Received)+a.Overruns.Samples >= sent.Values && a.Queued == 0
	})
}

// wantWarnings looks, once the program has stopped, for what was said of the
// full queue: once when each spell began and once when it ended, on the terminal
// and in the log. A busy machine may have had more than one.
func (in *instance) wantWarnings(spells int64) {
	in.t.Helper()
	for _, text := range []string{"queue FULL (4 batches) since", "queue no longer full after"} {
		for where, said := range map[string]string{"terminal": in.stdout.String(), "log": in.stderr.String()} {
			if n := int64(strings.Count(said, text)); n != spells || n == 0 {
				in.t.Errorf("%q is %d times on the %s, for %d spells", text, n, where, spells)
			}
		}
	}
}

// TestQ3AFullQueueOnTheWireDrops is the same with the two policies that drop:
// the source never waits, the network is read, and what the queue drops is
// counted by source and reason.
func TestQ3AFullQueueOnTheWireDrops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, reason, says string
		oldest             bool
	}{
		{"drop_oldest", queue.ReasonEvicted, "dropping the oldest", true},
		{"drop_newest", queue.ReasonFull, "dropping the newest", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			in := startInstance(t, n, configured(t, tiny(true, c.oldest))...)
			stop := stream(t, n, 10, 50)
			await(t, "samples are stored", func() bool { return in.balanced()["jetdrive"].Processed > 100 })
			looks := in.watchSum()
			release := hold(t, in.dir)
			before := in.balanced()["jetdrive"].DroppedBy[c.reason] // a busy machine drops some by itself
			await(t, "samples are dropped", func() bool { return in.balanced()["jetdrive"].DroppedBy[c.reason] > before+200 })
			in.wantStatus(`queue FULL \(4 batches\) since [0-9.]+ s, `+c.says+`: [0-9]+.* samples of jetdrive lost \(`+c.reason+`\)`,
				`queue: FULL, 4 of 4 batches, .* when full: `+strings.ReplaceAll(c.name, "_", " "))
			series := `{reason="` + c.reason + `",source="jetdrive"}`
			if d, s := in.metric(`dynotap_queue_dropped_total`+series), in.metric(`dynotap_samples_dropped_total`+series); d < 20 || s < 200 {
				t.Errorf("metrics: %v batches and %v samples dropped", d, s)
			}
			if c.oldest {
				if p := in.pressed(); !p.ready.Ready {
					t.Errorf("it takes newcomers, but %+v", p.ready)
				}
			} else {
				await(t, "it is not accepting", func() bool { return !in.pressed().ready.Ready })
			}
			release()
			sent := stop()
			await(t, "the queue is no longer full", func() bool {
				p := in.pressed()
				return p.ready.Ready && p.stats.Pressure.Present == nil
			})
			in.awaitAll(sent)
			if n := looks(); n < 50 {
				t.Errorf("looked at the sum %d times only", n)
			}
			p := in.pressed()
			a := p.stats.Sources["jetdrive"]
			if uint64(a.Received) != sent.Values || a.Overruns != (Overruns{}) {
				t.Errorf("sent %d values, received %d, lost %+v", sent.Values, a.Received, a.Overruns)
			}
			if a.Processed+a.Dropped != a.Received || a.DroppedBy[c.reason] != a.Dropped || p.queue.TotalWaits != 0 {
				t.Errorf("booked %+v, waits %d", a.Account, p.queue.TotalWaits)
			}
			if d := p.queue.Dropped; len(d) != 1 || d[0].Reason != c.reason || d[0].Samples != a.Dropped || d[0].Items != p.queue.TotalDropped {
				t.Errorf("the queue dropped %+v", d)
			}
			in.wantStatus(`queue no longer full after`, `lost since the start: [0-9]+.* samples of jetdrive lost \(`+c.reason+`\), [0-9]+ batches`)
			in.stop()
			if rows := in.export(); int64(len(rows)) != a.Processed {
				t.Errorf("%d samples are stored, %d say the counters", len(rows), a.Processed)
			}
			in.wantWarnings(p.stats.Pressure.Spells)
		})
	}
}
