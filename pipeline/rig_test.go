package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"go.uber.org/goleak"

	"dynotap/channel"
	"dynotap/internal/clock"
	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/run"
	"dynotap/sample"
	"dynotap/store"
	"dynotap/validate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testPace looks and seals much more often than a program does.
const testPace = 5 * time.Millisecond

// setup is what a test wants other than usual.
type setup struct {
	memory   bool // the queue
	unsynced bool // no fsync
	vfs      string
	logger   *slog.Logger
	critical []string
	windows  Windows
	queue    func(*queue.Settings)
	store    store.Options
	process  func(queue.Processor) queue.Processor
	accepted func(Accepted)
	run      func(run.Run)
}

// rig is a pipeline on a database of its own.
type rig struct {
	*Pipeline
	t     *testing.T
	db    *db.DB
	dir   string
	clock *clock.Session
}

// quickQueue are settings with which no test waits for a delay.
func quickQueue(s *queue.Settings) {
	s.DropOnFull, s.DropOldest = false, false
	s.FlushInterval = time.Millisecond
	s.RetryInitial, s.RetryMax = time.Millisecond, 2*time.Millisecond
}

// openRig makes a pipeline that is not started; the test closes it, or its
// end does.
func openRig(t *testing.T, dir string, s setup) *rig {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{Fsync: !s.unsynced, VFS: s.vfs})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, db: d, dir: dir, clock: clock.New()}
	t.Cleanup(r.close)
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	settings := queue.Defaults()
	quickQueue(&settings)
	if s.queue != nil {
		s.queue(&settings)
	}
	r.Pipeline, err = New(t.Context(), Options{
		DB: d, Dir: dir, Durable: !s.memory, Queue: settings, Store: s.store, Resolver: resolver,
		Ranges: validate.DefaultRanges(), Critical: s.critical, Windows: s.windows, Source: "cell", Clock: r.clock,
		Logger: s.logger, Accepted: s.accepted, Run: s.run,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.process != nil {
		r.process = s.process(r.process)
	}
	r.Recorder.pace = pace{detect: testPace, seal: testPace, failure: testPace}
	return r
}

func (r *rig) close() {
	if err := r.db.Close(); err != nil {
		r.t.Error(err)
	}
}

// start recovers and starts.
func (r *rig) start() {
	r.t.Helper()
	if err := r.Recover(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	if err := r.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// stop stops and gives the directory free.
func (r *rig) stop() Left {
	r.t.Helper()
	left, err := r.Stop(r.t.Context())
	if err != nil {
		r.t.Error(err)
	}
	r.close()
	return left
}

// lane opens a way in with the guide's validation.
func (r *rig) lane(source string) func(context.Context, *sample.Batch) error {
	return r.Intake.Lane(source, validate.DefaultSettings())
}

// account gives a source's account, which must add up.
func (r *rig) account(source string) Account {
	r.t.Helper()
	sources, total := r.Ledger.Snapshot()
	if n := total.Balance(); n != 0 {
		r.t.Errorf("the sum is off by %d: %+v", n, total)
	}
	for name, a := range sources {
		if n := a.Balance(); n != 0 {
			r.t.Errorf("the sum of %s is off by %d: %+v", name, n, a)
		}
	}
	return sources[source]
}

// number asks the database for one number.
func (r *rig) number(sql string, args ...any) (n int64) {
	r.t.Helper()
	err := r.db.Read(context.Background(), func(c *db.Conn) error {
		return c.Query(sql, func(row *sqlite3.Stmt) error {
			n = row.ColumnInt64(0)
			return nil
		}, args...)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// captures lists all captures, oldest first.
func (r *rig) captures() (list []store.Capture) {
	r.t.Helper()
	var ids []string
	err := r.db.Read(context.Background(), func(c *db.Conn) error {
		return c.Query(`SELECT id FROM captures ORDER BY id`, func(row *sqlite3.Stmt) error {
			ids = append(ids, row.ColumnText(0))
			return nil
		})
	})
	for _, id := range ids {
		c, one := r.Store.Capture(context.Background(), id)
		list, err = append(list, c), errors.Join(err, one)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// points reads everything that a capture has, by channel label.
func (r *rig) points(capture string, native bool) map[string][]store.Point {
	r.t.Helper()
	found := map[string][]store.Point{}
	err := r.Store.Read(context.Background(), store.Query{Capture: capture, Native: native}, func(c *store.Channel, points []store.Point) error {
		found[c.Label] = append(found[c.Label], points...)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// session gives the session run of a capture.
func (r *rig) session(capture string) run.Run {
	r.t.Helper()
	list, _, err := r.Store.Runs(context.Background(), store.RunFilter{Capture: capture, Kind: string(run.KindSession)})
	if err != nil || len(list) != 1 {
		r.t.Fatalf("%d session runs of %s, %v", len(list), capture, err)
	}
	s, err := run.FromStore(list[0], store.Absolute)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// await waits until ok; it fails the test when that takes a minute.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("waited a minute for: %s", what)
		}
	}
}

// Channels of cellSet.
const (
	power = iota
	rpm
	counter
)

// cellSet is the list of a provider as a source hands it out: native.
func cellSet(source string) *sample.ChannelSet {
	channels := []sample.Channel{
		power:   {Label: "Horsepower", NativeUnit: sample.Kilowatt},
		rpm:     {Label: "Engine RPM", NativeUnit: sample.RPM},
		counter: {Label: "Test Counter"},
	}
	for i := range channels {
		c := &channels[i]
		c.Provider, c.HostID, c.ID = "Cell "+source, 0x43fd, uint32(i)
		c.Key = sample.ChannelKey(c.Provider, c.ID, 0)
	}
	return sample.NewChannelSet(source, channels)
}

// feed is a source that counts: every sample has a value and a time of its
// own.
type feed struct {
	set   *sample.ChannelSet
	batch sample.Batch // used again, as sources do
	start int64
	count int64 // of the channel counter
}

// step is between the samples of one channel of a feed.
const step = 5 * time.Millisecond

func newFeed(source string, start int64) *feed {
	return &feed{set: cellSet(source), start: start}
}

// next gives a batch with n samples of each channel. The counter counts on;
// power is counter/10 kW and rpm 1000 + counter, both modulo 1000.
func (f *feed) next(n int, p sample.Priority) *sample.Batch {
	b := &f.batch
	*b = sample.Batch{Source: f.set.Source(), Set: f.set, Priority: p, Clock: sample.ClockArrival, Samples: b.Samples[:0]}
	for range n {
		at, small := f.start+f.count*step.Microseconds(), float64(f.count%1000)
		b.Samples = append(b.Samples,
			sample.Sample{Time: at, Channel: power, Value: small / 10},
			sample.Sample{Time: at, Channel: rpm, Value: 1000 + small},
			sample.Sample{Time: at, Channel: counter, Value: float64(f.count)})
		f.count++
	}
	b.Received = b.Samples[0].Time
	return b
}

// checkFeed holds what was stored of a feed, natively, to what it sent.
func (r *rig) checkFeed(found map[string][]store.Point, f *feed, from, to int64) {
	r.t.Helper()
	for label, value := range map[string]func(i int64) float64{
		"Horsepower":   func(i int64) float64 { return float64(i%1000) / 10 },
		"Engine RPM":   func(i int64) float64 { return 1000 + float64(i%1000) },
		"Test Counter": func(i int64) float64 { return float64(i) },
	} {
		points := found[label]
		if int64(len(points)) != to-from {
			r.t.Errorf("%s: %d samples are stored, %d were sent", label, len(points), to-from)
			continue
		}
		wrong := slices.IndexFunc(points, func(p store.Point) bool {
			i := (p.Time - f.start) / step.Microseconds()
			return p.Value != value(i)
		})
		if wrong >= 0 {
			r.t.Errorf("%s: sample %d is %+v", label, wrong, points[wrong])
		}
		for k := range points {
			if want := f.start + (from+int64(k))*step.Microseconds(); points[k].Time != want {
				r.t.Errorf("%s: sample %d at %d, want %d", label, k, points[k].Time, want)
				break
			}
		}
	}
}

// gate lets a test hold something and let it go.
type gate struct {
	reached, open chan struct{}
	once, release sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

// wait tells that it was reached and waits to be opened.
func (g *gate) wait() {
	g.once.Do(func() { close(g.reached) })
	<-g.open
}

func (g *gate) let() { g.release.Do(func() { close(g.open) }) }
