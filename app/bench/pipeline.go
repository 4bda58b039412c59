package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dynotap/channel"
	"dynotap/internal/clock"
	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/source"
	"dynotap/source/jetdrive"
	"dynotap/validate"
)

const (
	// burstMessages of floodValues samples are sent as fast as they are
	// taken, for the throughput to the disk.
	burstMessages = 100_000
	// steadyRate is a busy cell in samples/s, for steadyTime.
	steadyRate = 20_000
	steadyTime = 10 * time.Second
)

// Pipeline measures the real program's way from the network to the disk: what
// the receiver bears, how fast samples become durable and stored, and what a
// busy cell costs.
func Pipeline(rounds int) (Report, error) {
	report, err := Receive(rounds)
	if err != nil {
		return report, err
	}
	report.Benchmark = "pipeline"
	var durable, stored []float64
	for range rounds {
		d, s, err := burst()
		if err != nil {
			return report, err
		}
		durable, stored = append(durable, d), append(stored, s)
	}
	report.Results = append(report.Results,
		result("UDP to durable disk", "samples/s", durable).wanted(3e6),
		result("UDP to stored (live chunk, out of the queue)", "samples/s", stored))
	steady, err := busyCell()
	report.Results = append(report.Results, steady...)
	return report, err
}

// way is the program without its server: a JETDRIVE source, the pipeline, a
// data directory of its own.
type way struct {
	dir      string
	db       *db.DB
	pipe     *pipeline.Pipeline
	live     *source.Supervisor
	flood    *flood
	samples  atomic.Int64 // accepted
	mu       sync.Mutex
	latency  []float64 // ms, a value a batch, weighted by nothing: batches are alike
	overruns func() uint64
}

func openWay() (w *way, err error) {
	w = &way{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "dynotap-bench-"); err != nil {
		return w, err
	}
	ctx := context.Background()
	if w.db, err = db.Open(ctx, w.dir, db.Options{Fsync: true}); err != nil {
		return w, err
	}
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		return w, err
	}
	session := clock.New()
	settings := queue.Defaults()
	settings.DropOnFull = false
	w.pipe, err = pipeline.New(ctx, pipeline.Options{
		DB: w.db, Dir: w.dir, Durable: true, Queue: settings, Resolver: resolver, Ranges: validate.DefaultRanges(),
		Source: "jetdrive", Clock: session, Accepted: w.accepted,
	})
	if err != nil {
		return w, err
	}
	network, err := loopbackNetwork()
	if err != nil {
		return w, err
	}
	device := jetdrive.New(jetdrive.Settings{Conn: network, ListenOnly: true, Linger: jetdrive.DefaultLinger}, jetdrive.Options{Session: session})
	w.overruns = func() uint64 {
		s := device.Status()
		return s.Socket.KernelDrops + s.Socket.RingFull + s.Total.Lost
	}
	w.live, err = source.NewSupervisor(device, source.Options{
		Name: "jetdrive", Settings: source.DefaultSettings(), Accept: w.pipe.Intake.Lane("jetdrive", validate.DefaultSettings()),
	})
	if err != nil {
		return w, err
	}
	if err := errors.Join(w.pipe.Start(ctx), w.live.Start(ctx)); err != nil {
		return w, err
	}
	for w.live.State() != source.Connected {
		time.Sleep(time.Millisecond)
	}
	w.flood, err = newFlood(network)
	return w, err
}

func (w *way) accepted(a pipeline.Accepted) {
	w.samples.Add(int64(a.Samples))
	w.mu.Lock()
	w.latency = append(w.latency, float64(a.Latency.Microseconds())/1000)
	w.mu.Unlock()
}

// reach waits until count gives n, or stands still for two seconds.
func reach(n int64, count func() int64) {
	last, since := int64(-1), time.Now()
	for {
		now := count()
		if now >= n {
			return
		}
		if now != last {
			last, since = now, time.Now()
		} else if time.Since(since) > 2*time.Second {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (w *way) processed() int64 {
	_, total := w.pipe.Ledger.Snapshot()
	return total.Processed
}

func (w *way) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var errs []error
	if w.live != nil {
		errs = append(errs, w.live.Stop(ctx))
	}
	if w.pipe != nil {
		_, err := w.pipe.Stop(ctx)
		errs = append(errs, err)
	}
	if w.db != nil {
		errs = append(errs, w.db.Close())
	}
	if w.flood != nil {
		errs = append(errs, w.flood.close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// burst sends as fast as the samples are taken and gives samples/s until they
// were durable and until they were stored.
func burst() (durable, stored float64, err error) {
	w, err := openWay()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	const total = burstMessages * floodValues
	start := time.Now()
	for sent := 0; sent < burstMessages; {
		const window = 2048 // less than the receive buffer and the ring hold
		if err := w.flood.send(window, 10e6); err != nil {
			return 0, 0, err
		}
		sent += window
		reach(int64((sent-window)*floodValues), w.samples.Load)
	}
	reach(total, w.samples.Load)
	took := time.Since(start).Seconds()
	got := w.samples.Load()
	reach(got, w.processed)
	if lost := w.overruns(); lost > 0 {
		return 0, 0, fmt.Errorf("%d datagrams were lost on the way: the figure would be wrong", lost)
	}
	return float64(got) / took, float64(w.processed()) / time.Since(start).Seconds(), nil
}

// senderTime is what the simulated sender alone uses of the processor, into a
// network that nobody listens to.
func senderTime(messages int) (used time.Duration, known bool, err error) {
	network, err := loopbackNetwork()
	if err != nil {
		return 0, false, err
	}
	f, err := newFlood(network)
	if err != nil {
		return 0, false, err
	}
	before, known := processTime()
	err = f.send(messages, float64(steadyRate)/floodValues)
	after, _ := processTime()
	return after - before, known, errors.Join(err, f.close())
}

// busyCell streams steadyRate samples a second and measures processor, memory
// and the time from a packet to the disk.
func busyCell() (results []Result, err error) {
	w, err := openWay()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	messages := int(steadyRate * steadyTime.Seconds() / floodValues)
	sender, known, err := senderTime(messages)
	if err != nil {
		return nil, err
	}
	before, _ := processTime()
	start := time.Now()
	if err := w.flood.send(messages, float64(steadyRate)/floodValues); err != nil {
		return nil, err
	}
	reach(int64(messages*floodValues), w.samples.Load)
	took := time.Since(start)
	after, _ := processTime()
	w.mu.Lock()
	latency := slices.Clone(w.latency)
	w.mu.Unlock()
	slices.Sort(latency)
	if len(latency) == 0 {
		return nil, errors.New("no samples arrived")
	}
	one := func(name, unit string, v, target float64, note string) Result {
		r := result(name, unit, []float64{v}).wanted(target)
		r.Note = note
		return r
	}
	results = append(results,
		one("p99 from packet to durable at 20,000 samples/s", "ms", latency[len(latency)*99/100], 30, fmt.Sprintf("median %.1f ms", median(latency))))
	if known {
		results = append(results, one("processor at 20,000 samples/s", "% of a core", 100*(after-before-sender).Seconds()/took.Seconds(), 10,
			fmt.Sprintf("without the simulated sender's %.1f %%", 100*sender.Seconds()/took.Seconds())))
	}
	if rss, ok := residentMiB(); ok {
		results = append(results, one("memory at 20,000 samples/s", "MiB resident", rss, 100, "of this whole process, after the bursts"))
	}
	return results, nil
}
