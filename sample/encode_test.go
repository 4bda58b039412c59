package sample_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"dynotap/sample"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// exampleBatch has every field set and every column present.
func exampleBatch() *sample.Batch {
	set := sample.NewChannelSet("jetdrive", []sample.Channel{
		{
			Key: "DWRT CPU/7/0", Provider: "DWRT CPU", HostID: 0x43FD, ID: 7, Label: "Power", NativeUnit: sample.Kilowatt,
			Name: "horsepower", Unit: sample.Horsepower, Corrected: sample.CorrectionSAE,
		},
		{Key: "DWRT CPU/8/0", Provider: "DWRT CPU", ID: 8, Label: "Engine RPM", NativeUnit: sample.RPM, Name: "rpm", Unit: sample.RPM},
	})
	return &sample.Batch{
		ID: sample.NewBatchIDs().Next(), Source: "jetdrive", Capture: "0192-capture", Set: set, Priority: sample.High,
		Received: 1_750_000_000_000_000, Clock: sample.ClockSynced,
		Samples: []sample.Sample{
			{Time: 1_750_000_000_000_000, Value: 63.4, Channel: 0},
			{Time: 1_750_000_000_050_000, Value: 3500, Channel: 1, Quality: sample.Suspect},
			{Time: 1_750_000_000_040_000, Value: math.Inf(1), Channel: 1, Quality: sample.Bad},
		},
	}
}

func lookupOf(sets ...*sample.ChannelSet) func(sample.SetID) (*sample.ChannelSet, error) {
	return func(id sample.SetID) (*sample.ChannelSet, error) {
		for _, s := range sets {
			if s.ID() == id {
				return s, nil
			}
		}
		return nil, errUnknownSet
	}
}

var errUnknownSet = errors.New("unknown channel set")

func sameBatch(a, b *sample.Batch) bool {
	if a.ID != b.ID || a.Source != b.Source || a.Capture != b.Capture || a.Priority != b.Priority ||
		a.Received != b.Received || a.Clock != b.Clock || a.Set.ID() != b.Set.ID() || len(a.Samples) != len(b.Samples) {
		return false
	}
	for i, s := range a.Samples {
		o := b.Samples[i]
		if s.Time != o.Time || s.Channel != o.Channel || s.Quality != o.Quality ||
			math.Float64bits(s.Value) != math.Float64bits(o.Value) {
			return false
		}
	}
	return true
}

func drawSet(t *rapid.T) *sample.ChannelSet {
	text := rapid.OneOf(rapid.String(), rapid.Just("DWRT CPU"), rapid.Just("cut inside \xc3"))
	channel := rapid.Custom(func(t *rapid.T) sample.Channel {
		return sample.Channel{
			Key: text.Draw(t, "key"), Provider: text.Draw(t, "provider"), HostID: rapid.Uint16().Draw(t, "host"),
			ID: rapid.Uint32().Draw(t, "id"), Label: text.Draw(t, "label"),
			NativeUnit: sample.Unit(text.Draw(t, "native")), Name: text.Draw(t, "name"), Unit: sample.Unit(text.Draw(t, "unit")),
			Corrected: sample.Correction(rapid.IntRange(0, 3).Draw(t, "corrected")),
		}
	})
	return sample.NewChannelSet(text.Draw(t, "source"), rapid.SliceOfN(channel, 1, 300).Draw(t, "channels"))
}

func drawBatch(t *rapid.T, set *sample.ChannelSet) *sample.Batch {
	value := rapid.OneOf(
		rapid.Float64(),
		rapid.Map(rapid.Float32(), func(v float32) float64 { return float64(v) }),
		rapid.Map(rapid.Uint64(), math.Float64frombits),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64}),
	)
	clock := rapid.OneOf(rapid.Int64(), rapid.Int64Range(1_700_000_000_000_000, 1_700_000_001_000_000), rapid.Just(int64(5)))
	one := rapid.Custom(func(t *rapid.T) sample.Sample {
		return sample.Sample{
			Time: clock.Draw(t, "time"), Value: value.Draw(t, "value"),
			Channel: uint32(rapid.IntRange(0, set.Len()-1).Draw(t, "channel")),
			Quality: sample.Quality(rapid.IntRange(0, sample.Qualities-1).Draw(t, "quality")),
		}
	})
	b := &sample.Batch{
		Source:  rapid.SampledFrom([]string{"", "jetdrive", "µ"}).Draw(t, "source"),
		Capture: rapid.StringMatching(`[0-9a-f]{0,12}`).Draw(t, "capture"), Set: set,
		Priority: sample.Priority(rapid.IntRange(0, sample.Priorities-1).Draw(t, "priority")),
		Received: rapid.Int64().Draw(t, "received"), Clock: sample.Clock(rapid.IntRange(0, 3).Draw(t, "clock")),
		Samples: rapid.SliceOf(one).Draw(t, "samples"),
	}
	copy(b.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	return b
}

func TestBatchRoundTripProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		b := drawBatch(t, set)
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "prefix")
		data := sample.AppendBatch(append([]byte(nil), prefix...), b)
		if string(data[:len(prefix)]) != string(prefix) {
			t.Fatal("AppendBatch changed what was there before")
		}
		got := sample.Batch{Source: "left over", Samples: make([]sample.Sample, 3, 7)}
		if err := sample.DecodeBatch(data[len(prefix):], lookupOf(set), &got); err != nil {
			t.Fatal(err)
		}
		if !sameBatch(b, &got) {
			t.Fatalf("wrote %+v, read %+v", b, got)
		}
	})
}

func TestChannelSetRoundTripProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		got, err := sample.DecodeChannelSet(set.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got.ID() != set.ID() || got.Source() != set.Source() || got.Len() != set.Len() {
			t.Fatalf("wrote %v of %s with %d, read %v of %s with %d", set.ID(), set.Source(), set.Len(), got.ID(), got.Source(), got.Len())
		}
		for i, c := range set.Channels() {
			if got.Channels()[i] != c {
				t.Fatalf("channel %d: wrote %+v, read %+v", i, c, got.Channels()[i])
			}
		}
	})
}

func TestChannelSetIDIsOfTheContent(t *testing.T) {
	t.Parallel()
	base := []sample.Channel{{Key: "a/1/0", Label: "Speed"}, {Key: "a/2/0", Label: "Force"}}
	of := func(change func([]sample.Channel)) sample.SetID {
		channels := append([]sample.Channel(nil), base...)
		change(channels)
		return sample.NewChannelSet("jetdrive", channels).ID()
	}
	same := of(func([]sample.Channel) {})
	if again := of(func([]sample.Channel) {}); again != same {
		t.Error("the same content has two ids")
	}
	for name, change := range map[string]func([]sample.Channel){
		"order":      func(c []sample.Channel) { c[0], c[1] = c[1], c[0] },
		"label":      func(c []sample.Channel) { c[0].Label = "Speed 1" },
		"host":       func(c []sample.Channel) { c[0].HostID = 1 },
		"id":         func(c []sample.Channel) { c[0].ID = 1 },
		"unit":       func(c []sample.Channel) { c[0].NativeUnit = sample.MilePerHour },
		"correction": func(c []sample.Channel) { c[0].Corrected = sample.CorrectionNone },
	} {
		if of(change) == same {
			t.Errorf("a changed %s keeps the id", name)
		}
	}
	if sample.NewChannelSet("other", base).ID() == same {
		t.Error("another source keeps the id")
	}
}

func TestNamesCutInsideACharacterBecomeValid(t *testing.T) {
	t.Parallel()
	set := sample.NewChannelSet("jet\xffdrive", []sample.Channel{{Label: "Temperature \xc2", Provider: "\xff"}})
	c := set.Channels()[0]
	if c.Label != "Temperature \uFFFD" || !utf8.ValidString(c.Provider) || !utf8.ValidString(set.Source()) {
		t.Errorf("got %+v of %q", c, set.Source())
	}
	b := &sample.Batch{Source: "a\xff", Capture: "\xffb", Set: set}
	var got sample.Batch
	if err := sample.DecodeBatch(sample.AppendBatch(nil, b), lookupOf(set), &got); err != nil {
		t.Fatal(err)
	}
	if got.Source != "a\uFFFD" || got.Capture != "\uFFFDb" {
		t.Errorf("got source %q, capture %q", got.Source, got.Capture)
	}
}

// A narrow value column costs 4 bytes a value, a wide one 8; what is uniform
// costs nothing.
func TestBatchSize(t *testing.T) {
	t.Parallel()
	set := sample.NewChannelSet("jetdrive", make([]sample.Channel, 60))
	b := &sample.Batch{Source: "jetdrive", Set: set}
	for i := range 1000 {
		b.Samples = append(b.Samples, sample.Sample{Time: 1e15, Channel: uint32(i % 60), Value: float64(float32(i) * 0.37)})
	}
	perSample := func() float64 { return float64(len(sample.AppendBatch(nil, b))) / float64(len(b.Samples)) }
	if got := perSample(); got > 5.2 {
		t.Errorf("uniform times and float32 values: %.2f bytes a sample, want about 5", got)
	}
	for i := range b.Samples {
		b.Samples[i].Time += int64(i) * 1000
		b.Samples[i].Value = float64(i) * 0.37
	}
	if got := perSample(); got > 11.2 {
		t.Errorf("stepping times and float64 values: %.2f bytes a sample, want about 11", got)
	}
}

func field(num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), v)
}

func number(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func TestDecodeBatchRefusesDamage(t *testing.T) {
	t.Parallel()
	set := sample.NewChannelSet("jetdrive", make([]sample.Channel, 2))
	id := set.ID()
	head := field(4, id[:])
	join := func(parts ...[]byte) []byte { return append(append([]byte(nil), head...), flat(parts)...) }
	eight, four := make([]byte, 8), make([]byte, 4)
	for name, data := range map[string][]byte{
		"no channel set":              {},
		"short channel set id":        field(4, id[:5]),
		"short batch id":              join(field(1, []byte{1, 2})),
		"priority 5":                  join(number(5, 5)),
		"clock 4":                     join(number(7, 4)),
		"channel beyond the set":      join(field(9, []byte{2}), field(12, four)),
		"quality 3":                   join(field(9, []byte{1}), field(12, four), field(13, []byte{3})),
		"half a value":                join(field(9, []byte{1}), field(11, eight[:5])),
		"half a narrow value":         join(field(9, []byte{1}), field(12, four[:3])),
		"both value columns":          join(field(9, []byte{1}), field(11, eight), field(12, four)),
		"values without channels":     join(field(12, four)),
		"channels without values":     join(field(9, []byte{1})),
		"steps without samples":       join(field(10, []byte{1})),
		"more channels than values":   join(field(9, []byte{1, 1}), field(12, four)),
		"fewer steps than values":     join(field(9, []byte{1, 1}), field(12, eight), field(10, []byte{0})),
		"more steps than values":      join(field(9, []byte{1}), field(12, four), field(10, []byte{0, 0})),
		"a step that does not end":    join(field(9, []byte{1}), field(12, four), field(10, []byte{0x80})),
		"fewer qualities than values": join(field(9, []byte{1, 1}), field(12, eight), field(13, []byte{0})),
		"a column twice":              join(field(9, []byte{1}), field(9, []byte{1}), field(12, four)),
		"an unpacked column":          join(number(9, 1), field(12, four)),
		"source that is not UTF-8":    join(field(2, []byte{0xff})),
		"a tag alone":                 join([]byte{0x0a}),
		"a length beyond the end":     join([]byte{0x12, 0x7f, 'a'}),
	} {
		var b sample.Batch
		if err := sample.DecodeBatch(data, lookupOf(set), &b); !errors.Is(err, sample.ErrEncoding) {
			t.Errorf("%s: got %v, want ErrEncoding", name, err)
		}
	}
	var b sample.Batch
	if err := sample.DecodeBatch(join(), lookupOf(), &b); !errors.Is(err, errUnknownSet) {
		t.Errorf("an unknown set: got %v, want lookup's error", err)
	}
	// An empty narrow column beside a wide one says nothing.
	if err := sample.DecodeBatch(join(field(9, []byte{1}), field(12, nil), field(11, eight)), lookupOf(set), &b); err != nil {
		t.Errorf("an empty column: %v", err)
	}
	// Fields of a later version are passed over.
	later := join(field(99, []byte("new")), number(98, 1), protowire.AppendFixed64(protowire.AppendTag(nil, 97, protowire.Fixed64Type), 1))
	if err := sample.DecodeBatch(later, lookupOf(set), &b); err != nil {
		t.Errorf("unknown fields: %v", err)
	}
}

func flat(parts [][]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestDecodeChannelSetRefusesDamage(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"a host id of 17 bits":      field(2, number(3, 1<<16)),
		"an id of 33 bits":          field(2, number(4, 1<<32)),
		"correction 4":              field(2, number(9, 4)),
		"a label that is not UTF-8": field(2, field(5, []byte{0xff})),
		"a source not UTF-8":        field(1, []byte{0xff}),
		"a channel cut short":       {0x12, 0x05, 0x2a},
		"a channel's tag alone":     field(2, []byte{0x2a}),
		"a tag that does not end":   {0x80},
	} {
		if _, err := sample.DecodeChannelSet(data); !errors.Is(err, sample.ErrEncoding) {
			t.Errorf("%s: got %v, want ErrEncoding", name, err)
		}
	}
}

func TestBatchIDs(t *testing.T) {
	t.Parallel()
	a, b := sample.NewBatchIDs(), sample.NewBatchIDs()
	first, second, other := a.Next(), a.Next(), b.Next()
	if first.Ordinal() != 1 || second.Ordinal() != 2 {
		t.Errorf("ordinals %d and %d, want 1 and 2", first.Ordinal(), second.Ordinal())
	}
	if first.Prefix() != second.Prefix() || first.Prefix() == other.Prefix() {
		t.Errorf("prefixes %x, %x of one start, %x of another", first.Prefix(), second.Prefix(), other.Prefix())
	}
	hash := [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}
	if x, y := sample.ContentBatchIDs(hash).Next(), sample.ContentBatchIDs(hash).Next(); x != y {
		t.Errorf("the same file gives %s and %s", x, y)
	}
	if got := first.String(); len(got) != 32 || strings.Trim(got, "0123456789abcdef") != "" {
		t.Errorf("String gives %q", got)
	}
}

func FuzzDecodeBatch(f *testing.F) {
	example := exampleBatch()
	f.Add(sample.AppendBatch(nil, example))
	f.Add(sample.AppendBatch(nil, &sample.Batch{Set: example.Set}))
	id := example.Set.ID()
	f.Add(flat([][]byte{field(4, id[:]), field(9, []byte{1}), field(12, nil), field(11, make([]byte, 8))}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b sample.Batch
		// Any set id is accepted, so that damage elsewhere is reached.
		err := sample.DecodeBatch(data, func(sample.SetID) (*sample.ChannelSet, error) { return example.Set, nil }, &b)
		if err != nil {
			if !errors.Is(err, sample.ErrEncoding) {
				t.Fatalf("error does not wrap ErrEncoding: %v", err)
			}
			return
		}
		if len(b.Samples) > len(data) {
			t.Fatalf("%d samples from %d bytes", len(b.Samples), len(data))
		}
		var again sample.Batch
		if err := sample.DecodeBatch(sample.AppendBatch(nil, &b), lookupOf(example.Set), &again); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if !sameBatch(&b, &again) {
			t.Fatalf("read %+v, then %+v", b, again)
		}
	})
}

func FuzzDecodeChannelSet(f *testing.F) {
	f.Add(exampleBatch().Set.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := sample.DecodeChannelSet(data)
		if err != nil {
			if !errors.Is(err, sample.ErrEncoding) {
				t.Fatalf("error does not wrap ErrEncoding: %v", err)
			}
			return
		}
		again, err := sample.DecodeChannelSet(set.Encode())
		if err != nil || again.ID() != set.ID() {
			t.Fatalf("read %v, then %v: %v", set.ID(), again.ID(), err)
		}
	})
}

func BenchmarkAppendBatch(b *testing.B) {
	for name, batch := range benchmarkBatches() {
		b.Run(name, func(b *testing.B) {
			data := sample.AppendBatch(nil, batch)
			b.ReportAllocs()
			for b.Loop() {
				data = sample.AppendBatch(data[:0], batch)
			}
			perSample(b, batch)
			b.ReportMetric(float64(len(data))/float64(len(batch.Samples)), "B/sample")
		})
	}
}

func BenchmarkDecodeBatch(b *testing.B) {
	for name, batch := range benchmarkBatches() {
		b.Run(name, func(b *testing.B) {
			data, lookup := sample.AppendBatch(nil, batch), lookupOf(batch.Set)
			var got sample.Batch
			b.ReportAllocs()
			for b.Loop() {
				if err := sample.DecodeBatch(data, lookup, &got); err != nil {
					b.Fatal(err)
				}
			}
			perSample(b, batch)
		})
	}
}

func perSample(b *testing.B, batch *sample.Batch) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch.Samples)), "ns/sample")
}

// A thousand samples as JETDRIVE gives them (float32, 20 Hz, many channels at
// one time) and as a file may (float64, times of their own).
func benchmarkBatches() map[string]*sample.Batch {
	set := sample.NewChannelSet("jetdrive", make([]sample.Channel, 60))
	live, file := &sample.Batch{Source: "jetdrive", Set: set}, &sample.Batch{Source: "csv", Set: set}
	for i := range int64(1000) {
		s := sample.Sample{Time: 1.75e15 + i/60*50_000, Channel: uint32(i % 60), Value: float64(float32(i) * 0.37)}
		live.Samples = append(live.Samples, s)
		s.Time, s.Value = 1.75e15+i*1000, float64(i)*0.37
		file.Samples = append(file.Samples, s)
	}
	return map[string]*sample.Batch{"live": live, "file": file}
}
