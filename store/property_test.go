package store

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"dynotap/sample"

	"pgregory.net/rapid"
)

// machine runs a store against a list of what was put in.
type machine struct {
	r    *rig
	sets []*sample.ChannelSet
	put  []*sample.Batch
	at   int64
}

// TestRandomWorkKeepsEverySampleOnce stores, stores again, seals, restarts and
// reads at random; what is read is always what was stored.
func TestRandomWorkKeepsEverySampleOnce(t *testing.T) {
	t.Parallel()
	root, rounds := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		dir := filepath.Join(root, strconv.Itoa(rounds))
		rounds++
		defer os.RemoveAll(dir)
		m := newMachine(t, dir)
		defer func() { m.r.db.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"put":       m.putBatch,
			"put again": m.putAgain,
			"seal":      m.sealSome,
			"reopen":    func(*rapid.T) { m.r.reopen() },
			"read":      m.readSome,
		})
		m.check(t, Query{Capture: "c", Native: true})
	})
}

func newMachine(t *rapid.T, dir string) *machine {
	r := &rig{tb: t, ids: sample.NewBatchIDs(), opts: Options{
		MemorySamples:  rapid.IntRange(1, 200).Draw(t, "memory"),
		SegmentSamples: rapid.Int64Range(1, 300).Draw(t, "segment"),
	}}
	r.dir = dir
	r.open()
	r.begin("c")
	r.begin("d")
	// Two descriptions of the same keys, and one of fewer.
	renamed := slices.Clone(testSet("jetdrive", 4).Channels())
	renamed[0].NativeUnit, renamed[0].Unit, renamed[0].Name = sample.Kilowatt, sample.Horsepower, "horsepower"
	return &machine{r: r, sets: []*sample.ChannelSet{
		testSet("jetdrive", 4), sample.NewChannelSet("jetdrive", renamed), testSet("innovate", 2),
	}}
}

func (m *machine) putBatch(t *rapid.T) {
	b := &sample.Batch{
		Capture: rapid.SampledFrom([]string{"c", "c", "c", "d"}).Draw(t, "capture"),
		Set:     rapid.SampledFrom(m.sets).Draw(t, "set"),
	}
	b.Source = b.Set.Source()
	m.at += rapid.Int64Range(-50, 100).Draw(t, "advance")
	b.Received = m.at
	for range rapid.IntRange(0, 60).Draw(t, "samples") {
		b.Samples = append(b.Samples, sample.Sample{
			Time:    m.at + rapid.Int64Range(-20, 20).Draw(t, "time"),
			Channel: uint32(rapid.IntRange(0, b.Set.Len()-1).Draw(t, "channel")),
			Value:   rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Map(rapid.Float32(), widen)).Draw(t, "value"),
			Quality: sample.Quality(rapid.IntRange(0, sample.Qualities-1).Draw(t, "quality")),
		})
	}
	if m.r.put(b).Duplicate {
		t.Fatal("a new batch was taken for stored")
	}
	m.put = append(m.put, b)
}

func widen(v float32) float64 { return float64(v) }

func (m *machine) putAgain(t *rapid.T) {
	if len(m.put) == 0 {
		t.Skip("nothing stored yet")
	}
	b := rapid.SampledFrom(m.put).Draw(t, "which")
	if !m.r.put(b).Duplicate {
		t.Fatal("a stored batch was not recognised")
	}
}

func (m *machine) sealSome(t *rapid.T) {
	m.r.seal(rapid.SampledFrom([]string{"c", "d"}).Draw(t, "capture"), rapid.Int64Range(0, int64(len(m.put))).Draw(t, "up to"))
}

func (m *machine) readSome(t *rapid.T) {
	q := Query{Capture: rapid.SampledFrom([]string{"c", "d"}).Draw(t, "capture"), Native: true}
	if rapid.Bool().Draw(t, "from") {
		q.FromUS = new(m.at - rapid.Int64Range(-10, 400).Draw(t, "before"))
	}
	if rapid.Bool().Draw(t, "to") {
		q.ToUS = new(m.at - rapid.Int64Range(-10, 400).Draw(t, "until"))
	}
	m.check(t, q)
}

// check reads a query and compares it with what was put.
func (m *machine) check(t *rapid.T, q Query) {
	want := ledger{}
	for _, b := range m.put {
		if b.Capture != q.Capture {
			continue
		}
		for _, s := range b.Samples {
			if q.FromUS != nil && s.Time < *q.FromUS || q.ToUS != nil && s.Time >= *q.ToUS {
				continue
			}
			key := b.Set.Channels()[s.Channel].Key
			if b.Source != "jetdrive" {
				key = b.Source + ":" + key
			}
			want[key] = append(want[key], Point{Time: s.Time, Value: s.Value, Quality: s.Quality})
		}
	}
	got := m.r.read(q)
	for _, l := range []map[string][]Point{got, want} {
		for _, points := range l {
			for i := range points {
				points[i].Value += 0 // the sign of a zero is not kept where units convert
			}
		}
	}
	text := func(l map[string][]Point) string {
		for key, points := range l {
			slices.SortFunc(points, func(a, b Point) int {
				if a.Time != b.Time {
					return int(a.Time - b.Time)
				}
				x, y := fmt.Sprint(a), fmt.Sprint(b)
				switch {
				case x < y:
					return -1
				case x > y:
					return 1
				}
				return 0
			})
			l[key] = points
		}
		return fmt.Sprint(l) // keys in order
	}
	if a, b := text(got), text(want); a != b {
		t.Fatalf("read %s\nwant %s", a, b)
	}
	if q.FromUS == nil && q.ToUS == nil {
		m.checkFigures(t, q.Capture, want)
	}
}

func (m *machine) checkFigures(t *rapid.T, capture string, want ledger) {
	channels, err := m.r.Channels(m.r.tb.Context(), capture)
	if err != nil {
		t.Fatal(err)
	}
	if len(channels) != len(want) {
		t.Fatalf("%d channels, want %d", len(channels), len(want))
	}
	for i := range channels {
		c := &channels[i]
		var count [sample.Qualities]int64
		first, last := int64(math.MaxInt64), int64(math.MinInt64)
		for _, p := range want[c.Key] {
			count[p.Quality]++
			first, last = min(first, p.Time), max(last, p.Time)
		}
		if c.Good != count[0] || c.Suspect != count[1] || c.Bad != count[2] || c.Rows != int64(len(want[c.Key])) ||
			c.FirstUS != first || c.LastUS != last {
			t.Fatalf("figures %+v, want %v from %d to %d", c, count, first, last)
		}
	}
}
