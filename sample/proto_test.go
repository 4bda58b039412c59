package sample_test

import (
	"math"
	"testing"

	"dynotap/sample"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"
)

// schema compiles batch.proto as a reader in another language would.
func schema(t *testing.T) protoreflect.FileDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{}}
	files, err := compiler.Compile(t.Context(), "batch.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

func message(t *testing.T, file protoreflect.FileDescriptor, name protoreflect.Name) *dynamicpb.Message {
	t.Helper()
	d := file.Messages().ByName(name)
	if d == nil {
		t.Fatalf("batch.proto has no message %s", name)
	}
	return dynamicpb.NewMessage(d)
}

func value(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

func set(m protoreflect.Message, name protoreflect.Name, v any) {
	m.Set(m.Descriptor().Fields().ByName(name), protoreflect.ValueOf(v))
}

func add(m protoreflect.Message, name protoreflect.Name, v any) {
	m.Mutable(m.Descriptor().Fields().ByName(name)).List().Append(protoreflect.ValueOf(v))
}

func TestProtoEnumsAreTheConstants(t *testing.T) {
	t.Parallel()
	file := schema(t)
	for enum, numbers := range map[protoreflect.Name]map[protoreflect.Name]int{
		"Quality": {"GOOD": int(sample.Good), "SUSPECT": int(sample.Suspect), "BAD": int(sample.Bad)},
		"Clock": {
			"ARRIVAL": int(sample.ClockArrival), "PASSIVE": int(sample.ClockPassive),
			"SYNCHRONISED": int(sample.ClockSynced), "FILE": int(sample.ClockFile),
		},
		"Correction": {
			"UNKNOWN": int(sample.CorrectionUnknown), "NONE": int(sample.CorrectionNone),
			"SAE": int(sample.CorrectionSAE), "STD": int(sample.CorrectionSTD),
		},
	} {
		values := file.Enums().ByName(enum).Values()
		if values.Len() != len(numbers) {
			t.Errorf("%s has %d values in batch.proto, %d in Go", enum, values.Len(), len(numbers))
		}
		for name, want := range numbers {
			if v := values.ByName(name); v == nil || int(v.Number()) != want {
				t.Errorf("%s.%s is %v in batch.proto, %d in Go", enum, name, v, want)
			}
		}
	}
}

func TestProtoReadsWhatAppendBatchWritesProperty(t *testing.T) {
	t.Parallel()
	file := schema(t)
	rapid.Check(t, func(rt *rapid.T) {
		b := drawBatch(rt, drawSet(rt))
		m := message(t, file, "Batch")
		if err := proto.Unmarshal(sample.AppendBatch(nil, b), m); err != nil {
			rt.Fatal(err)
		}
		if len(m.GetUnknown()) > 0 {
			rt.Fatalf("fields that batch.proto does not have: %x", m.GetUnknown())
		}
		id := b.Set.ID()
		if string(value(m, "id").Bytes()) != string(b.ID[:]) || value(m, "source").String() != b.Source ||
			value(m, "capture").String() != b.Capture || string(value(m, "channel_set").Bytes()) != string(id[:]) ||
			value(m, "priority").Uint() != uint64(b.Priority) || value(m, "received_us").Int() != b.Received ||
			int(value(m, "clock").Enum()) != int(b.Clock) {
			rt.Fatalf("wrote %+v, read %v", b, m)
		}
		compareColumns(rt, m, b.Samples)
	})
}

func compareColumns(t *rapid.T, m protoreflect.Message, samples []sample.Sample) {
	channel, step := value(m, "channel").List(), value(m, "step_us").List()
	wide, narrow, quality := value(m, "value").List(), value(m, "value32").List(), value(m, "quality").List()
	if channel.Len() != len(samples) || wide.Len()+narrow.Len() != len(samples) {
		t.Fatalf("%d samples, %d channels, %d+%d values", len(samples), channel.Len(), wide.Len(), narrow.Len())
	}
	at := value(m, "start_us").Int()
	for i, s := range samples {
		if step.Len() > 0 {
			at += step.Get(i).Int()
		}
		q := sample.Good
		if quality.Len() > 0 {
			q = sample.Quality(quality.Get(i).Enum())
		}
		values := wide
		if narrow.Len() > 0 {
			values = narrow
		}
		v := values.Get(i).Float()
		if channel.Get(i).Uint() != uint64(s.Channel) || at != s.Time || q != s.Quality ||
			math.Float64bits(v) != math.Float64bits(s.Value) {
			t.Fatalf("sample %d: wrote %+v, read channel %v, time %d, value %v, quality %v", i, s, channel.Get(i), at, v, q)
		}
	}
}

func TestDecodeBatchReadsWhatProtoWrites(t *testing.T) {
	t.Parallel()
	file, want := schema(t), exampleBatch()
	id := want.Set.ID()
	m := message(t, file, "Batch")
	set(m, "id", want.ID[:])
	set(m, "source", want.Source)
	set(m, "capture", want.Capture)
	set(m, "channel_set", id[:])
	set(m, "priority", uint32(want.Priority))
	set(m, "received_us", want.Received)
	set(m, "clock", protoreflect.EnumNumber(want.Clock))
	set(m, "start_us", want.Samples[0].Time)
	last := want.Samples[0].Time
	for _, s := range want.Samples {
		add(m, "channel", s.Channel)
		add(m, "step_us", s.Time-last)
		add(m, "value", s.Value)
		add(m, "quality", protoreflect.EnumNumber(s.Quality))
		last = s.Time
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var got sample.Batch
	if err := sample.DecodeBatch(data, lookupOf(want.Set), &got); err != nil {
		t.Fatal(err)
	}
	if !sameBatch(want, &got) {
		t.Errorf("wrote %+v, read %+v", want, got)
	}
}

func TestProtoAndChannelSetAgree(t *testing.T) {
	t.Parallel()
	file, want := schema(t), exampleBatch().Set
	m := message(t, file, "ChannelSet")
	if err := proto.Unmarshal(want.Encode(), m); err != nil {
		t.Fatal(err)
	}
	power := value(m, "channel").List().Get(0).Message()
	if value(m, "source").String() != "jetdrive" || value(power, "label").String() != "Power" ||
		value(power, "key").String() != "DWRT CPU/7/0" || value(power, "provider").String() != "DWRT CPU" ||
		value(power, "host_id").Uint() != 0x43FD || value(power, "id").Uint() != 7 ||
		value(power, "native_unit").String() != "kW" || value(power, "unit").String() != "hp" ||
		value(power, "name").String() != "horsepower" || value(power, "corrected").Enum() != protoreflect.EnumNumber(sample.CorrectionSAE) {
		t.Errorf("read %v", m)
	}
	if len(m.GetUnknown())+len(power.GetUnknown()) > 0 {
		t.Error("the set has fields that batch.proto does not have")
	}
	// What another writer makes of it is read as the same set.
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sample.DecodeChannelSet(data)
	if err != nil || got.ID() != want.ID() {
		t.Errorf("read %v, %v, want %v", got, err, want.ID())
	}
}

func TestProtoColumnsArePacked(t *testing.T) {
	t.Parallel()
	fields := schema(t).Messages().ByName("Batch").Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.IsList() && !f.IsPacked() {
			t.Errorf("%s is not packed", f.Name())
		}
		if f.Number() > 13 || f.Number() < protowire.MinValidNumber {
			t.Errorf("%s has the number %d, unknown to encode.go", f.Name(), f.Number())
		}
	}
}
