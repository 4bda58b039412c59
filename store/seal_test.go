package store

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/sample"
	"dynotap/store/segment"
)

// TestSealingSurvivesACrashBeforeEachStep ends the program before every step
// of sealing in turn and looks after the restart for every sample, once.
func TestSealingSurvivesACrashBeforeEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"create", "write", "sync", "close", "rename", "sync folder", "commit", "end", "sweep"} {
		for nth := 1; nth <= 3; nth++ {
			t.Run(step+strings.Repeat("'", nth-1), func(t *testing.T) {
				t.Parallel()
				crashAt(t, step, nth)
			})
		}
	}
}

// crashAt crashes when a step comes for the nth time; a part has several
// writes and there are two parts.
func crashAt(t *testing.T, step string, nth int) {
	t.Helper()
	r := newRig(t, Options{MemorySamples: 300, SegmentSamples: 1000})
	r.begin("c")
	random := rand.New(rand.NewPCG(2, uint64(nth)))
	set := testSet("jetdrive", 5)
	want := ledger{}
	fill := func() {
		for i := range 15 {
			b := randomBatch(random, set, "c", int64(i)*10_000, 100)
			r.put(b)
			want.add(b)
		}
	}
	fill()
	seen := 0
	r.step = func(name string) error {
		if name == step {
			if seen++; seen == nth {
				return errCrash
			}
		}
		return nil
	}
	err := r.Seal(t.Context(), "c", 0)
	if err != nil && !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if err == nil && seen >= nth {
		t.Fatal("it did not crash")
	}
	r.reopen()
	native := Query{Capture: "c", Native: true}
	want.check(t, r.read(native))
	checkFiles(t, r)
	fill()
	r.seal("c", 0)
	want.check(t, r.read(native))
	checkFiles(t, r)
	var chunks int64
	if err := r.db.Read(t.Context(), func(c *db.Conn) error { return c.Query(`SELECT count(*) FROM chunks`, scanInt(&chunks)) }); err != nil || chunks != 0 {
		t.Errorf("%d chunks are left, %v", chunks, err)
	}
}

// checkFiles compares the files with the catalog and opens each.
func checkFiles(t *testing.T, r *rig) {
	t.Helper()
	known, err := r.knownFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir(filepath.Join(r.dir, "captures"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found++
		name, err := filepath.Rel(r.dir, path)
		if err != nil {
			return err
		}
		if !known.files[filepath.ToSlash(name)] {
			t.Errorf("%s is in no catalog", name)
		}
		f, err := segment.Open(path)
		if err != nil {
			return err
		}
		return f.Close()
	})
	if err != nil {
		t.Error(err)
	}
	if found != len(known.files) {
		t.Errorf("%d files, the catalog has %d", found, len(known.files))
	}
}

func TestSealStopsWhereItIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	random := rand.New(rand.NewPCG(1, 3))
	set := testSet("jetdrive", 3)
	for i := range 10 {
		r.put(randomBatch(random, set, "c", int64(i)*10_000, 10))
	}
	r.seal("c", 4)
	var first int64
	last, err := r.Chunks(t.Context(), "c", 0, 100, func(seq int64, b *sample.Batch) error {
		if first == 0 {
			first = seq
		}
		if b.Capture != "c" || len(b.Samples) != 10 {
			t.Errorf("chunk %d: %d samples of capture %s", seq, len(b.Samples), b.Capture)
		}
		return nil
	})
	if err != nil || first != 5 || last != 10 {
		t.Errorf("live chunks %d to %d, %v", first, last, err)
	}
}

func TestSealDue(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	r := newRig(t, Options{SegmentSamples: 100, SegmentEvery: time.Minute, Now: func() time.Time { return now }})
	random := rand.New(rand.NewPCG(1, 4))
	set := testSet("jetdrive", 3)
	live := func(capture string) (n int64) {
		t.Helper()
		if err := r.SealDue(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := r.db.Read(t.Context(), func(c *db.Conn) error {
			return c.Query(`SELECT coalesce(sum(samples), 0) FROM chunks WHERE capture = ?`, scanInt(&n), capture)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	put := func(capture string, samples int) { r.put(randomBatch(random, set, capture, 0, samples)) }
	for _, capture := range []string{"big", "old", "ended"} {
		r.begin(capture)
	}
	put("big", 60)
	put("big", 60)
	put("big", 60)
	if n := live("big"); n != 60 {
		t.Errorf("%d of 180 samples are live, a full segment has 120", n)
	}
	put("old", 10)
	if n := live("old"); n != 10 {
		t.Errorf("%d of 10 new samples are live", n)
	}
	now = now.Add(59 * time.Second)
	if n := live("old"); n != 10 {
		t.Errorf("%d of 10 samples are live after 59 s", n)
	}
	now = now.Add(time.Second)
	if n := live("old"); n != 0 {
		t.Errorf("%d samples are live after a minute", n)
	}
	put("ended", 10)
	if err := r.EndCapture(t.Context(), "ended", 5); err != nil {
		t.Fatal(err)
	}
	if n := live("ended"); n != 0 {
		t.Errorf("%d samples of a capture that has ended are live", n)
	}
	put("ended", 10) // late
	if err := r.SealDue(t.Context(), func(string) int64 { return 0 }); err != nil {
		t.Fatal(err)
	}
	if n := live("ended"); n != 0 {
		t.Errorf("%d late samples are live", n)
	}
	if n := r.read(Query{Capture: "ended"}); len(n) == 0 {
		t.Error("nothing to read")
	}
	checkFiles(t, r)
}

// TestLateNameRenamesEarlierSamples is a channel that sends before it is
// described, in the same segment and in an earlier one.
func TestLateNameRenamesEarlierSamples(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	bare := sample.NewChannelSet("jetdrive", []sample.Channel{{Key: "a/1/0", Label: "chan_1", ID: 1}})
	named := sample.NewChannelSet("jetdrive", []sample.Channel{{
		Key: "a/1/0", Label: "Power", Name: "horsepower", ID: 1, NativeUnit: sample.Kilowatt, Unit: sample.Horsepower,
	}})
	put := func(set *sample.ChannelSet, received, at int64) {
		r.put(&sample.Batch{Source: "jetdrive", Capture: "c", Set: set, Received: received, Samples: []sample.Sample{{Time: at, Value: 100}}})
	}
	put(bare, 1, 1)
	r.seal("c", 0)
	put(bare, 2, 2)
	put(named, 4, 4)
	put(bare, 3, 3) // delivered late
	check := func(when string) {
		t.Helper()
		channels, err := r.Channels(t.Context(), "c")
		if err != nil || len(channels) != 1 {
			t.Fatalf("%s: %v, %v", when, channels, err)
		}
		c := channels[0]
		if c.Name != "horsepower" || c.Unit != sample.Horsepower || c.Rows != 4 || c.Max == nil || *c.Max < 134 || *c.Min < 134 {
			t.Errorf("%s: channel %+v from %v to %v", when, c, c.Min, c.Max)
		}
		points := r.read(Query{Capture: "c", Channels: []string{"horsepower"}})["a/1/0"]
		native := r.read(Query{Capture: "c", Native: true})["a/1/0"]
		if len(points) != 4 || len(native) != 4 {
			t.Fatalf("%s: %v, %v", when, points, native)
		}
		for i := range points {
			if points[i].Time != int64(i+1) || points[i].Value < 134.1 || points[i].Value > 134.11 || native[i].Value != 100 {
				t.Errorf("%s: sample %d is %v, native %v", when, i, points[i], native[i])
			}
		}
	}
	check("live")
	r.seal("c", 0)
	check("sealed")
	put(bare, 3, 5)
	r.seal("c", 0)
	info, err := r.Channels(t.Context(), "c")
	if err != nil || info[0].Name != "horsepower" {
		t.Errorf("a late batch took the name away: %+v, %v", info, err)
	}
	f, err := segment.Open(filepath.Join(r.dir, "captures", "2023", "11", "c", "0003.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c := f.Info().Channels[0]; c.Name != "horsepower" || c.Unit != sample.Horsepower || c.Rows != 1 {
		t.Errorf("the late batch's file says %+v", c)
	}
}

// TestSourcesOfOneCaptureAreKeptApart is two sources that feed one capture
// under the same key.
func TestSourcesOfOneCaptureAreKeptApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	for i, source := range []string{"jetdrive", "innovate"} {
		set := sample.NewChannelSet(source, []sample.Channel{{Key: "a/1/0", Label: source}})
		r.put(&sample.Batch{Source: source, Capture: "c", Set: set, Samples: []sample.Sample{{Time: 1, Value: float64(i)}}})
	}
	for range 2 {
		got := r.read(Query{Capture: "c"})
		if len(got) != 2 || got["a/1/0"][0].Value != 0 || got["innovate:a/1/0"][0].Value != 1 {
			t.Errorf("got %v", got)
		}
		r.seal("c", 0)
	}
}

func TestDamagedChunkIsSetAside(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	set := testSet("jetdrive", 3)
	random := rand.New(rand.NewPCG(1, 5))
	want := ledger{}
	for i := range 3 {
		b := randomBatch(random, set, "c", int64(i)*10_000, 10)
		r.put(b)
		if i != 1 {
			want.add(b)
		}
	}
	if err := r.Write(t.Context(), func(tx *db.Tx) error {
		return tx.Exec(`UPDATE chunks SET body = x'ff' WHERE seq = 2`)
	}); err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]Point)
	err := r.Read(t.Context(), Query{Capture: "c", Native: true}, gatherInto(t, got))
	var chunk *ChunkError
	if !errors.As(err, &chunk) || !errors.Is(err, ErrDamaged) || chunk.Seq != 2 || chunk.Samples != 10 {
		t.Errorf("error %v", err)
	}
	want.check(t, got)
	follow := ledger{}
	last, err := r.Chunks(t.Context(), "c", 0, 10, func(_ int64, b *sample.Batch) error { follow.add(b); return nil })
	if last != 3 || !errors.Is(err, ErrDamaged) {
		t.Errorf("following ends at %d, %v", last, err)
	}
	want.check(t, follow)
	r.seal("c", 0)
	want.check(t, r.read(Query{Capture: "c", Native: true}))
	if body, err := os.ReadFile(filepath.Join(r.dir, "quarantine", "chunk-c-2.batch")); err != nil || string(body) != "\xff" {
		t.Errorf("set aside: %x, %v", body, err)
	}
	if r.SetAside() != 10 {
		t.Errorf("%d samples counted as set aside", r.SetAside())
	}
}

func TestDamagedFileIsNamedAndTheRestIsServed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(path string) error
	}{
		{"torn", func(path string) error { return os.Truncate(path, 100) }},
		{"gone", os.Remove},
		{"another", func(path string) error { return os.WriteFile(path, []byte("PAR1 and something else PAR1"), 0o600) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			r.begin("c")
			set := testSet("jetdrive", 3)
			random := rand.New(rand.NewPCG(1, 6))
			want := ledger{}
			for i := range 3 {
				b := randomBatch(random, set, "c", int64(i)*10_000, 50)
				r.put(b)
				if i != 1 {
					want.add(b)
				}
				if i < 2 {
					r.seal("c", 0)
				}
			}
			path := filepath.Join(r.dir, "captures", "2023", "11", "c", "0002.parquet")
			if err := c.damage(path); err != nil {
				t.Fatal(err)
			}
			got := make(map[string][]Point)
			err := r.Read(t.Context(), Query{Capture: "c", Native: true}, gatherInto(t, got))
			var damage *segment.DamageError
			if !errors.As(err, &damage) || !strings.Contains(damage.Path, "0002.parquet") {
				t.Errorf("error %v", err)
			}
			want.check(t, got)
		})
	}
}

// TestSealingAndReadingHoldLittleMemory is a long session in miniature: many
// times more samples than may be held at once.
func TestSealingAndReadingHoldLittleMemory(t *testing.T) {
	const budget, samples = 20_000, 1_000_000
	r := newRig(t, Options{MemorySamples: budget})
	r.begin("c")
	random := rand.New(rand.NewPCG(1, 7))
	set := testSet("jetdrive", 40)
	for i := range samples / 1000 {
		b := randomBatch(random, set, "c", int64(i)*100_000, 1000)
		for k := range b.Samples {
			if k%2 == 0 {
				b.Samples[k].Channel = 7 // one channel is larger than the budget
			}
		}
		r.put(b)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	base := heap()
	var most uint64
	look := func(string) error { most = max(most, heap()); return nil }
	read := func() {
		n := 0
		if err := r.Read(t.Context(), Query{Capture: "c"}, func(_ *Channel, points []Point) error {
			if n/50_000 != (n+len(points))/50_000 {
				_ = look("")
			}
			n += len(points)
			return nil
		}); err != nil || n != samples {
			t.Errorf("read %d samples, %v", n, err)
		}
	}
	// 24 bytes a sample of the budget, and what is there for any number of
	// samples: the spool's blocks, a row group's encoded pages, compression.
	const bound = budget*24 + 14<<20
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"reading live samples", read},
		{"sealing", func() { r.step = look; r.seal("c", 0) }},
		{"reading sealed samples", read},
	} {
		most = 0
		part.do()
		t.Logf("%s holds %d KiB", part.name, (int64(most)-int64(base))/1024)
		if most > base+bound {
			t.Errorf("%s holds more than %d KiB", part.name, bound>>10)
		}
	}
}
