package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynotap/internal/db"
	"dynotap/sample"

	"github.com/ncruces/go-sqlite3"
)

// failer is what a rig needs of a test; rapid's tests have it too.
type failer interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
	Context() context.Context
}

// rig is a data directory that can be closed and opened again.
type rig struct {
	tb   failer
	dir  string
	opts Options
	db   *db.DB
	*Store
	ids *sample.BatchIDs
}

func newRig(tb testing.TB, opts Options) *rig {
	tb.Helper()
	r := &rig{tb: tb, dir: tb.TempDir(), opts: opts, ids: sample.NewBatchIDs()}
	r.open()
	tb.Cleanup(func() { r.db.Close() })
	return r
}

func (r *rig) open() {
	r.tb.Helper()
	var err error
	if r.db, err = db.Open(r.tb.Context(), r.dir, db.Options{}); err != nil {
		r.tb.Fatal(err)
	}
	if r.Store, err = Open(r.tb.Context(), r.db, r.dir, r.opts); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) reopen() {
	r.tb.Helper()
	if err := r.db.Close(); err != nil {
		r.tb.Fatal(err)
	}
	r.open()
}

func (r *rig) begin(id string) {
	r.tb.Helper()
	err := r.PutCapture(r.tb.Context(), Capture{
		ID: id, Kind: Live, Source: "jetdrive", StartedUS: new(int64(1_700_000_000_000_000)), TimeBase: Absolute,
	})
	if err != nil {
		r.tb.Fatal(err)
	}
}

// put stores a batch as the pipeline does and gives its chunk.
func (r *rig) put(b *sample.Batch) *Chunk {
	r.tb.Helper()
	if b.ID == (sample.BatchID{}) {
		b.ID = r.ids.Next()
	}
	if err := r.PutSet(r.tb.Context(), b.Set); err != nil {
		r.tb.Fatal(err)
	}
	c := NewChunk(b, sample.AppendBatch(nil, b))
	if err := r.Write(r.tb.Context(), ChunkEffect(c)); err != nil {
		r.tb.Fatal(err)
	}
	return c
}

func (r *rig) seal(capture string, upTo int64) {
	r.tb.Helper()
	if err := r.Seal(r.tb.Context(), capture, upTo); err != nil {
		r.tb.Fatal(err)
	}
}

// read gives all samples of a query by key.
func (r *rig) read(q Query) map[string][]Point {
	r.tb.Helper()
	got := make(map[string][]Point)
	if err := r.Read(r.tb.Context(), q, gatherInto(r.tb, got)); err != nil {
		r.tb.Fatal(err)
	}
	return got
}

// gatherInto collects points and checks that they come in order.
func gatherInto(tb failer, got map[string][]Point) func(*Channel, []Point) error {
	last := ""
	return func(c *Channel, points []Point) error {
		if c.Key < last {
			tb.Error("channel", c.Key, "comes after", last)
		}
		last = c.Key
		if len(points) == 0 {
			tb.Error("no points")
		}
		got[c.Key] = append(got[c.Key], points...)
		if !slices.IsSortedFunc(got[c.Key], func(a, b Point) int { return int(a.Time - b.Time) }) {
			return fmt.Errorf("points of %s are not in order of time", c.Key)
		}
		return nil
	}
}

func samePoints(a, b []Point) bool {
	return slices.EqualFunc(a, b, func(x, y Point) bool {
		return x.Time == y.Time && x.Quality == y.Quality && (x.Value == y.Value || math.IsNaN(x.Value) && math.IsNaN(y.Value))
	})
}

// testSet is a set of channels of which every third converts.
func testSet(source string, channels int) *sample.ChannelSet {
	list := make([]sample.Channel, channels)
	for i := range list {
		list[i] = sample.Channel{
			Key: sample.ChannelKey("DWRT CPU", uint32(i), 0), Provider: "DWRT CPU", HostID: 0x43fd, ID: uint32(i),
			Label: fmt.Sprintf("Channel %d", i), NativeUnit: sample.RPM, Unit: sample.RPM,
		}
		switch i % 3 {
		case 1:
			list[i].NativeUnit, list[i].Unit, list[i].Name = sample.Kilowatt, sample.Horsepower, fmt.Sprintf("power_%d", i)
		case 2:
			list[i].NativeUnit, list[i].Unit = sample.Celsius, sample.Fahrenheit
		}
	}
	return sample.NewChannelSet(source, list)
}

// randomBatch is a batch of a dozen packets, times nearly in order.
func randomBatch(random *rand.Rand, set *sample.ChannelSet, capture string, at int64, samples int) *sample.Batch {
	b := &sample.Batch{Source: set.Source(), Capture: capture, Set: set, Received: at}
	for i := range samples {
		v := random.NormFloat64() * 100
		switch random.IntN(10) {
		case 0:
			v = math.NaN()
		case 1, 2, 3, 4, 5, 6, 7:
			v = float64(float32(v))
		}
		b.Samples = append(b.Samples, sample.Sample{
			Time: at + int64(i)*100 + random.Int64N(2000), Value: v,
			Channel: uint32(random.IntN(set.Len())), Quality: sample.Quality(random.IntN(sample.Qualities)),
		})
	}
	return b
}

// ledger is what must be in a capture: native points by key, in any order.
type ledger map[string][]Point

func (l ledger) add(b *sample.Batch) {
	for _, s := range b.Samples {
		key := b.Set.Channels()[s.Channel].Key
		l[key] = append(l[key], Point{Time: s.Time, Value: s.Value, Quality: s.Quality})
	}
}

// check compares what was read with the ledger, as sets.
func (l ledger) check(tb failer, got map[string][]Point) {
	tb.Helper()
	text := func(points []Point) []string {
		out := make([]string, len(points))
		for i, p := range points {
			out[i] = fmt.Sprint(p)
		}
		slices.Sort(out)
		return out
	}
	for key, want := range l {
		if a, b := text(want), text(got[key]); !slices.Equal(a, b) {
			tb.Error(fmt.Sprintf("channel %s: %d samples, want %d, or others", key, len(b), len(a)))
		}
	}
	for key := range got {
		if _, ok := l[key]; !ok {
			tb.Error("never stored: channel", key)
		}
	}
}

func TestSamplesComeBackLiveSealedAndBoth(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	random := rand.New(rand.NewPCG(1, 1))
	set := testSet("jetdrive", 7)
	want := ledger{}
	native := Query{Capture: "c", Native: true}
	for i := range 20 {
		b := randomBatch(random, set, "c", int64(i)*10_000, 100)
		r.put(b)
		want.add(b)
		switch i {
		case 7, 12:
			r.seal("c", 0)
		}
		want.check(t, r.read(native))
	}
	r.seal("c", 0)
	want.check(t, r.read(native))
	r.reopen()
	want.check(t, r.read(native))

	for key, points := range r.read(Query{Capture: "c"}) {
		var conv sample.Conversion
		for i := range set.Channels() {
			if set.Channels()[i].Key == key {
				conv = set.Channels()[i].Conversion()
			}
		}
		exact := r.read(Query{Capture: "c", Native: true, Channels: []string{key}})[key]
		for i := range exact {
			exact[i].Value = conv.Apply(exact[i].Value)
		}
		if !samePoints(points, exact) {
			t.Errorf("channel %s: values are not the native ones converted", key)
		}
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "captures", "2023", "11", "c", "*"))
	if err != nil || len(files) != 3 {
		t.Errorf("files %v, %v", files, err)
	}
}

func TestChannelsGiveFiguresOfAllSamples(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	set := sample.NewChannelSet("jetdrive", []sample.Channel{
		{Key: "a", Label: "Power", Name: "horsepower", NativeUnit: sample.Kilowatt, Unit: sample.Horsepower},
		{Key: "b", Label: "silent"},
	})
	batch := func(samples ...sample.Sample) {
		r.put(&sample.Batch{Source: "jetdrive", Capture: "c", Set: set, Samples: samples})
	}
	batch(sample.Sample{Time: 5, Value: 50}, sample.Sample{Time: 4, Value: 100, Quality: sample.Suspect})
	r.seal("c", 0)
	batch(sample.Sample{Time: 9, Value: 10}, sample.Sample{Time: 7, Value: 9999, Quality: sample.Bad}, sample.Sample{Time: 8, Value: math.NaN(), Quality: sample.Bad})
	got, err := r.Channels(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d channels", len(got))
	}
	c := got[0]
	if c.Key != "a" || c.Rows != 5 || c.Good != 2 || c.Suspect != 1 || c.Bad != 2 || c.FirstUS != 4 || c.LastUS != 9 {
		t.Errorf("figures %+v", c)
	}
	if c.Min == nil || math.Abs(*c.Min-13.41) > 0.01 || c.Max == nil || math.Abs(*c.Max-134.1) > 0.1 {
		t.Errorf("bounds %v, %v", c.Min, c.Max)
	}
}

func TestQueryChoosesChannelsAndTimes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	set := testSet("jetdrive", 4)
	for i := range 4 {
		b := &sample.Batch{Source: "jetdrive", Capture: "c", Set: set}
		for k := range 10 {
			b.Samples = append(b.Samples, sample.Sample{Time: int64(i*10 + k), Channel: uint32(k % 4), Value: float64(k)})
		}
		r.put(b)
		if i == 1 {
			r.seal("c", 0)
		}
	}
	count := func(q Query) (n int) {
		q.Capture = "c"
		for _, points := range r.read(q) {
			n += len(points)
		}
		return n
	}
	for _, c := range []struct {
		name string
		q    Query
		want int
	}{
		{"all", Query{}, 40},
		{"by key", Query{Channels: []string{"DWRT CPU/0/0"}}, 12},
		{"by name", Query{Channels: []string{"power_1"}}, 12},
		{"by label", Query{Channels: []string{"Channel 3"}}, 8},
		{"two", Query{Channels: []string{"Channel 3", "power_1"}}, 20},
		{"from", Query{FromUS: new(int64(15))}, 25},
		{"to, which is outside", Query{ToUS: new(int64(15))}, 15},
		{"across the seal", Query{FromUS: new(int64(18)), ToUS: new(int64(22))}, 4},
		{"nothing", Query{FromUS: new(int64(100))}, 0},
	} {
		if got := count(c.q); got != c.want {
			t.Errorf("%s: %d samples, want %d", c.name, got, c.want)
		}
	}
	err := r.Read(t.Context(), Query{Capture: "c", Channels: []string{"rpm"}}, nil)
	if !errors.Is(err, ErrNoChannel) || !strings.Contains(err.Error(), "rpm") {
		t.Errorf("unknown channel: %v", err)
	}
	if err := r.Read(t.Context(), Query{Capture: "d"}, nil); !errors.Is(err, ErrNoCapture) {
		t.Errorf("unknown capture: %v", err)
	}
}

func scanInt(into *int64) func(*sqlite3.Stmt) error {
	return func(row *sqlite3.Stmt) error {
		*into = row.ColumnInt64(0)
		return nil
	}
}
