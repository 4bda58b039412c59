package pipeline

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/parquet-go/parquet-go"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/store"
	"dynotap/validate"
)

// The test of kill -9 runs this test binary again as the program that is
// killed.
const (
	envChild     = "DYNOTAP_TEST_CHILD"      // the data directory
	envChildRun  = "DYNOTAP_TEST_CHILD_RUN"  // which child it is, from 0
	envChildTime = "DYNOTAP_TEST_CHILD_TIME" // of its first sample, µs
	envChildKill = "DYNOTAP_TEST_CHILD_KILL" // when it is to be killed
)

// When a child is killed.
const (
	atStart = "start" // while it takes up what the last one left
	atLoad  = "load"
	atStop  = "stop" // while it delivers, ends and seals its session
)

// stopLine is what a child writes when it begins to stop.
const stopLine = "stop\n"

const (
	killProducers = 5
	// killSize is how many samples a batch of the first producer has; each
	// next one has one more, so that the number tells the producer.
	killSize = 40
	// killSpan is how many values each child may use: the largest of all are
	// below 2^24 and so exact in 32 bits.
	killSpan = 500_000
	// killTwin is added to every other value, which then needs 64 bits.
	killTwin = 1.0 / 1024 / 1024
)

// killSetup seals and looks for runs all the time.
func killSetup() setup {
	return setup{
		store: store.Options{SegmentEvery: 20 * time.Millisecond, SegmentSamples: 2000},
		queue: func(s *queue.Settings) { s.MaxSize, s.BatchSize = 200, 20 },
		// Of one producer: it goes ahead of all others.
		critical: []string{"Counter 4"},
	}
}

// killFeed makes the batches of one producer: value by value, 5 ms apart, in
// turn on two channels.
type killFeed struct {
	set   *sample.ChannelSet
	size  int
	base  int64
	start int64
	sent  int64
}

func newKillFeed(producer, child int, start int64) *killFeed {
	provider := fmt.Sprintf("Device %d", producer)
	var channels []sample.Channel
	for i, label := range []string{fmt.Sprintf("Counter %d", producer), fmt.Sprintf("Twin %d", producer)} {
		channels = append(channels, sample.Channel{
			Key: sample.ChannelKey(provider, uint32(i), 0), Provider: provider, ID: uint32(i), Label: label,
		})
	}
	if producer == killProducers-1 { // all of it is critical: each batch stays in one piece
		channels[1].Label = channels[0].Label
	}
	return &killFeed{
		set: sample.NewChannelSet(provider, channels), size: killSize + producer, base: int64(child) * killSpan, start: start,
	}
}

func (f *killFeed) next() *sample.Batch {
	b := &sample.Batch{Source: f.set.Source(), Set: f.set, Priority: sample.Priority(1 + f.size%4), Received: f.start}
	for range f.size {
		at, value := f.start+f.sent*step.Microseconds(), f.value(f.sent)
		b.Samples = append(b.Samples, sample.Sample{Time: at, Channel: uint32(f.sent % 2), Value: value})
		f.sent++
	}
	return b
}

func (f *killFeed) value(i int64) float64 {
	return float64(f.base+i) + float64(i%2)*killTwin
}

// runChild is the program that is killed: it recovers, and then takes in as
// much as it can. What was accepted it tells through the inherited pipe.
func runChild(t *testing.T, dir string) {
	t.Helper()
	child, err := strconv.Atoi(os.Getenv(envChildRun))
	if err != nil {
		t.Fatal(err)
	}
	start, err := strconv.ParseInt(os.Getenv(envChildTime), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	pipe := os.NewFile(3, "accepted")
	s := killSetup()
	s.accepted = func(a Accepted) {
		if _, err := fmt.Fprintf(pipe, "%s %d\n", a.ID, a.Samples); err != nil {
			panic(err)
		}
	}
	r := openRig(t, dir, s)
	r.start()
	values := int64(killSpan)
	if os.Getenv(envChildKill) == atStop {
		values = 4000
	}
	var producers sync.WaitGroup
	for p := range killProducers {
		f := newKillFeed(p, child, start)
		accept := r.Intake.Lane(f.set.Source(), validate.DefaultSettings())
		producers.Go(func() {
			for f.sent+int64(f.size) <= values {
				if err := accept(context.Background(), f.next()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	producers.Wait()
	if _, err := pipe.WriteString(stopLine); err != nil {
		t.Error(err)
	}
	r.stop()
}

// killed is what is known of a child that was killed.
type killed struct {
	start    int64
	accepted []string       // batch ids
	batches  map[int]int    // accepted, by their size
	capture  string         // "": it never came to one
	extra    int            // batches that are there but were not told of
	stored   map[int]int64  // samples by size of their batches
	feeds    []*killFeed    // as the child made them
	ids      map[string]int // how often an id was told
}

func newKilled(child int, start int64) *killed {
	k := &killed{start: start, batches: map[int]int{}, ids: map[string]int{}}
	for p := range killProducers {
		k.feeds = append(k.feeds, newKillFeed(p, child, start))
	}
	return k
}

// tell notes a line that the child wrote.
func (k *killed) tell(t *testing.T, line string) {
	t.Helper()
	var id string
	var size int
	if _, err := fmt.Sscanf(line, "%s %d", &id, &size); err != nil || len(id) != 32 || size < killSize || size >= killSize+killProducers {
		t.Fatalf("the child wrote %q", line)
	}
	if k.ids[id]++; k.ids[id] > 1 {
		t.Errorf("batch %s was accepted twice", id)
	}
	k.accepted = append(k.accepted, id)
	k.batches[size]++
}

// checkKilled holds a directory, recovered and stopped, to what the children
// said.
func (r *rig) checkKilled(children []*killed) {
	r.t.Helper()
	for _, k := range children {
		k.capture, k.extra, k.stored = "", 0, map[int]int64{}
	}
	for _, c := range r.captures() {
		if child := r.checkKilledCapture(c, children); child >= 0 {
			if children[child].capture != "" {
				r.t.Errorf("child %d has the captures %s and %s", child, children[child].capture, c.ID)
			}
			children[child].capture = c.ID
		}
	}
	for child, k := range children {
		for _, f := range k.feeds {
			told, found := k.batches[f.size], int(k.stored[f.size])/f.size
			// One batch more may be durable than the child came to tell of.
			if found < told || found > told+1 {
				r.t.Errorf("child %d: %d batches of %s were accepted, %d are stored", child, told, f.set.Source(), found)
			}
		}
		for _, id := range k.accepted {
			if !r.storedBatch(id) {
				r.t.Errorf("child %d: batch %s was accepted and not stored", child, id)
			}
		}
	}
	r.checkSealed()
	r.checkFolder()
}

// checkKilledCapture holds a capture to what a child sent: of each producer
// everything up to some batch, each value once and at its time. It gives the
// child, or -1 where there is nothing.
func (r *rig) checkKilledCapture(c store.Capture, children []*killed) (child int) {
	r.t.Helper()
	child = -1
	found := map[string]map[int64]int64{} // values without the twin's fraction and their times, by device
	total := int64(0)
	err := r.Store.Read(r.t.Context(), store.Query{Capture: c.ID, Native: true}, func(ch *store.Channel, points []store.Point) error {
		if found[ch.Device] == nil {
			found[ch.Device] = map[int64]int64{}
		}
		total += int64(len(points))
		for _, p := range points {
			value := int64(math.Floor(p.Value))
			if twin := p.Value - float64(value); twin != float64(value%2)*killTwin {
				r.t.Errorf("capture %s, %s: the value %v", c.ID, ch.Label, p.Value)
			}
			if _, twice := found[ch.Device][value]; twice {
				r.t.Errorf("capture %s, %s: %d is there twice", c.ID, ch.Label, value)
			}
			found[ch.Device][value] = p.Time
			if of := int(value / killSpan); child < 0 {
				child = of
			} else if of != child {
				r.t.Errorf("capture %s has samples of the children %d and %d", c.ID, child, of)
			}
		}
		return nil
	})
	if err != nil || child >= len(children) {
		r.t.Fatalf("read capture %s: child %d, %v", c.ID, child, err)
	}
	if s := r.session(c.ID); s.SampleCount != total || s.To == nil || c.EndedUS == nil {
		r.t.Errorf("capture %s: %d samples, the session has %d and ends %v, %v", c.ID, total, s.SampleCount, s.To, c.EndedUS)
	}
	if child < 0 {
		return child
	}
	for _, f := range children[child].feeds {
		values := found[f.set.Source()]
		for i := range int64(len(values)) {
			if at, ok := values[f.base+i]; !ok || at != f.start+i*step.Microseconds() {
				r.t.Errorf("capture %s, %s: sample %d of %d is missing or at %d", c.ID, f.set.Source(), i, len(values), at)
				break
			}
		}
		if len(values)%f.size != 0 {
			r.t.Errorf("capture %s: %d samples of %s, a batch has %d", c.ID, len(values), f.set.Source(), f.size)
		}
		children[child].stored[f.size] = int64(len(values))
	}
	return child
}

// storedBatch reports whether the store knows a batch by its id.
func (r *rig) storedBatch(id string) bool {
	r.t.Helper()
	raw, err := hex.DecodeString(id)
	if err != nil {
		r.t.Fatal(err)
	}
	batch := sample.BatchID(raw)
	return r.number(`SELECT count(*) FROM stored_batches WHERE prefix = ? AND ? BETWEEN first AND last`, raw[:8], int64(batch.Ordinal())) == 1
}

// checkSealed: every Parquet file can be read and together they hold what the
// catalog says; nothing else is left, and the database is sound.
func (r *rig) checkSealed() {
	r.t.Helper()
	for _, table := range []string{"chunks", "queue", "dead_letters"} {
		if n := r.number(`SELECT count(*) FROM ` + table); n != 0 {
			r.t.Errorf("%d rows are in %s", n, table)
		}
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "captures", "*", "*", "*", "*.parquet"))
	if err != nil {
		r.t.Fatal(err)
	}
	rows := int64(0)
	for _, name := range files {
		n, err := parquetRows(name)
		if err != nil {
			r.t.Errorf("%s: %v", name, err)
		}
		rows += n
	}
	if n := r.number(`SELECT count(*) FROM segments`); n != int64(len(files)) {
		r.t.Errorf("%d files, %d in the catalog", len(files), n)
	}
	if n := r.number(`SELECT sum(samples) FROM segments`); n != rows {
		r.t.Errorf("%d rows in the files, %d in the catalog", rows, n)
	}
	err = r.db.Read(r.t.Context(), func(c *db.Conn) error {
		return c.Query(`PRAGMA integrity_check`, func(row *sqlite3.Stmt) error {
			if answer := row.ColumnText(0); answer != "ok" {
				r.t.Errorf("integrity check: %s", answer)
			}
			return nil
		})
	})
	if err != nil {
		r.t.Error(err)
	}
}

// parquetRows reads a file with a reader that is not ours.
func parquetRows(name string) (rows int64, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	p, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return 0, err
	}
	for _, group := range p.RowGroups() {
		n, err := parquet.CopyRows(parquet.RowWriterFunc(func(rows []parquet.Row) (int, error) { return len(rows), nil }), group.Rows())
		if err != nil {
			return rows, err
		}
		rows += n
	}
	return rows, nil
}
