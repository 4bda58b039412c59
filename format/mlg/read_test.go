package mlg_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/format"
	"dynotap/format/mlg"
	"dynotap/sample"
)

func TestA1DetectBySignature(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, head, file string
		want             format.Confidence
	}{
		{"signature", "MLVLG\x00\x00\x01", "log", format.Signature},
		{"name only", "Time,RPM\n", "x.MLG", format.ByName},
		{"neither", "Time,RPM\n", "x.csv", format.No},
		{"nothing", "", "", format.No},
		{"cut inside the signature", "MLVLG", "x", format.No},
	} {
		if got := (mlg.Format{}).Detect([]byte(test.head), test.file); got != test.want {
			t.Errorf("%s: %d", test.name, got)
		}
	}
}

// everyType is one field of each type with one record.
func everyType(version int) *file {
	f := &file{version: version, defs: []def{
		{kind: 0, name: "u8", units: "psi", scale: 0.1},
		{kind: 1, name: "i8", units: "C", scale: 1, transform: 40},
		{kind: 2, name: "u16", units: "rpm", scale: 1},
		{kind: 3, name: "i16", units: "deg", scale: 0.1, transform: -10},
		{kind: 4, name: "u32", units: "", scale: 0.001},
		{kind: 5, name: "i32", units: "V", scale: 2},
		{kind: 6, name: "i64", units: "count", scale: 1},
		{kind: 7, name: "f32", units: "AFR", scale: 1},
		{kind: 10, name: "bits8"},
		{kind: 11, name: "bits16"},
		{kind: 12, name: "bits32"},
		{kind: 16, name: "", units: "bits"},
	}}
	payload := slices.Concat([]byte{123}, []byte{0xfe}, []byte{0x1f, 0x40}, []byte{0xff, 0x38}, u32(4000000000),
		u32(0xffffffff), u32(0xffffffff), u32(0xfffffff0), f32(14.7), []byte{0xa5}, []byte{0x80, 1}, u32(0x80000001), []byte{7})
	return f.record(0, payload...)
}

func TestMLGEveryTypeScaleAndTransform(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			k := read(t, everyType(version).bytes())
			for _, want := range []struct {
				label string
				unit  sample.Unit
				value float64
			}{
				{"u8", sample.PSI, 12.3}, {"i8", sample.Celsius, 38}, {"u16", sample.RPM, 8000}, {"i16", sample.Degree, -21},
				{"u32", "", 4000000}, {"i32", sample.Volt, -2}, {"i64", "count", -16}, {"f32", sample.AFR, float64(float32(14.7))},
				{"bits8", "", 165}, {"bits16", "", 32769}, {"bits32", "", 2147483649}, {"field 12", "", 7},
			} {
				v := k.values(want.label)
				if len(v) != 1 || math.Abs(v[0]-want.value) > 1e-12*math.Abs(want.value) {
					t.Errorf("%s is %v, want %v", want.label, v, want.value)
				}
				i := slices.Index(k.labels(), want.label)
				if c := k.set.Channels()[i]; c.NativeUnit != want.unit || c.Key != sample.ChannelKey("", uint32(i+1), 0) {
					t.Errorf("%s has unit %q and key %q", want.label, c.NativeUnit, c.Key)
				}
			}
			if k.problems.Count != 0 {
				t.Errorf("problems %v", k.problems.Kept)
			}
		})
	}
}

func TestMLGBitsHaveNames(t *testing.T) {
	t.Parallel()
	names := []byte("Running\x00\x00Crank\x00Launch\x00Cut\x00")
	for _, test := range []struct {
		name  string
		base  uint32
		named bool
	}{
		{"index from the start of the names", 0, true},
		{"index from the start of the file", 24 + 3*89, true},
		{"index inside a name", 2, false},
		{"index beyond the names", 5000, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := &file{version: 2, names: names, info: "x\x00", defs: []def{
				{kind: 2, name: "RPM", scale: 1},
				{kind: 10, name: "engine", bits: 3, names: test.base},
				{kind: 11, name: "limits", bits: 2, names: test.base + 15},
			}}
			f.record(0, 0, 1, 0b101, 0, 0b10).record(10, 0, 1, 0b010, 0, 0b01)
			k := read(t, f.bytes())
			want := []string{"RPM", "engine", "limits"}
			if test.named {
				want = []string{"RPM", "engine", "Running", "Crank", "limits", "Launch", "Cut"}
			}
			if !slices.Equal(k.labels(), want) {
				t.Fatalf("channels %q", k.labels())
			}
			if !test.named {
				if len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "names of the bits") {
					t.Errorf("warnings %q", k.warnings)
				}
				return
			}
			for label, v := range map[string][]float64{"Running": {1, 0}, "Crank": {1, 0}, "Launch": {0, 1}, "Cut": {1, 0}, "engine": {5, 2}} {
				if got := k.values(label); !slices.Equal(got, v) {
					t.Errorf("%s is %v, want %v", label, got, v)
				}
			}
		})
	}
}

func TestMLGStampsWrap(t *testing.T) {
	t.Parallel()
	f := &file{version: 1, defs: []def{{kind: 0, name: "x", scale: 1}}}
	for i := range 1000 {
		f.record(40000+i*30000, byte(i)) // 0.3 s apart, around and around
	}
	k := read(t, f.bytes())
	for i, at := range k.times("x") {
		if at != int64(i)*300000 {
			t.Fatalf("record %d at %d µs", i, at)
		}
	}
	if len(k.times("x")) != 1000 || len(k.warnings) != 0 || k.runs[0].Dated {
		t.Errorf("%d records, warnings %q, dated %t", len(k.times("x")), k.warnings, k.runs[0].Dated)
	}
}

func TestMLGTimeFieldIsTheAxis(t *testing.T) {
	t.Parallel()
	const started = 1700000000
	for _, test := range []struct {
		name string
		axis def
		raw  func(ms int) []byte
	}{
		{"seconds as a float", def{kind: 7, name: "Time", units: "s", scale: 1}, func(ms int) []byte { return f32(float32(ms) / 1000) }},
		{"milliseconds scaled to seconds", def{kind: 4, name: "time", units: "sec", scale: 0.001}, func(ms int) []byte { return u32(uint32(ms)) }},
		{"milliseconds", def{kind: 4, name: "Timestamp", units: "ms", scale: 1}, func(ms int) []byte { return u32(uint32(ms)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := &file{version: 1, started: started, defs: []def{test.axis, {kind: 0, name: "x", scale: 1}}}
			at := []int{250, 1000, 1000, 5000, 65000} // gaps that the stamps cannot hold
			for i, ms := range at {
				f.record(ms*100, append(test.raw(ms), byte(i))...)
			}
			k := read(t, f.bytes())
			if !k.runs[0].Dated || !slices.Equal(k.labels(), []string{"x"}) {
				t.Errorf("dated %t, channels %q", k.runs[0].Dated, k.labels())
			}
			for i, us := range k.times("x") {
				if us != started*1e6+int64(at[i])*1000 {
					t.Errorf("record %d at %d", i, us)
				}
			}
		})
	}
}

func TestMLGTimeFieldThatIsNone(t *testing.T) {
	t.Parallel()
	f := &file{version: 1, defs: []def{{kind: 4, name: "Time", units: "s", scale: 1}, {kind: 0, name: "x", scale: 1}}}
	for i := range 100 {
		f.record(i*1000, append(u32(0), byte(i))...)
	}
	k := read(t, f.bytes())
	if !slices.Equal(k.labels(), []string{"Time", "x"}) || k.times("x")[99] != 99*10000 || len(k.warnings) != 1 {
		t.Errorf("channels %q, last at %d, warnings %q", k.labels(), k.times("x")[99], k.warnings)
	}
}

func TestMLGTimeFieldStartsAgain(t *testing.T) {
	t.Parallel()
	f := &file{version: 1, defs: []def{{kind: 4, name: "Time", units: "s", scale: 0.001}, {kind: 0, name: "x", scale: 1}}}
	for i := range 200 {
		f.record(i*1000, append(u32(uint32(i%150*10)), byte(i))...)
	}
	k := read(t, f.bytes())
	at := k.times("x")
	if at[149] != 1490000 || at[150] != 1500000 || at[199] != 1990000 {
		t.Errorf("times %d %d %d", at[149], at[150], at[199])
	}
	if len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "goes back in 1 records") {
		t.Errorf("warnings %q", k.warnings)
	}
}

func TestMLGCounterShowsLostRecords(t *testing.T) {
	t.Parallel()
	f := rpms()
	for i := range 400 {
		if i >= 100 && i < 170 { // 70 records, 1.4 s: more than two turns of the stamp
			f.counter++
			continue
		}
		f.record(i*2000, 0, byte(i))
	}
	k := read(t, f.bytes())
	if !slices.ContainsFunc(k.warnings, func(w string) bool { return strings.HasPrefix(w, "70 records are missing in 1 places") }) {
		t.Errorf("warnings %q", k.warnings)
	}
	if at := k.times("RPM"); len(at) != 330 || at[99] != 99*20000 || at[100] != 170*20000 || at[329] != 399*20000 {
		t.Errorf("%d records, %d %d %d", len(at), at[99], at[100], at[len(at)-1])
	}
}

func TestMLGCounterThatDoesNotCount(t *testing.T) {
	t.Parallel()
	f := rpms()
	for i := range 50 {
		f.counter = 0
		f.record(i*2000, 0, byte(i))
	}
	k := read(t, f.bytes())
	if len(k.samples) != 50 || len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "not numbered") {
		t.Errorf("%d samples, warnings %q", len(k.samples), k.warnings)
	}
}

func TestMLGMarkersAreNotesWithTheirTime(t *testing.T) {
	t.Parallel()
	f := rpms(1000, 1100).mark(3000, "wheel slip").record(4000, 4, 200).mark(4500, strings.Repeat("x", 50)).record(6000, 4, 201)
	k := read(t, f.bytes())
	want := []string{"Marker at 0.030 s: wheel slip", "Marker at 0.045 s: " + strings.Repeat("x", 50)}
	if !slices.Equal(k.runs[0].Notes, want) || len(k.samples) != 4 || len(k.warnings) != 0 {
		t.Errorf("notes %q, %d samples, warnings %q", k.runs[0].Notes, len(k.samples), k.warnings)
	}
	if at := k.times("RPM"); at[3] != 60000 {
		t.Errorf("last at %d", at[3])
	}
}

func TestMLGInfoCategoriesAndTune(t *testing.T) {
	t.Parallel()
	f := &file{version: 2, info: "\"MS2/Extra 3.4.2\"\n\"Capture Date: Fri May 29 2026\"\n<?xml version=\"1.0\"?><msq>" + strings.Repeat("tune", 50000) + "</msq>\x00", defs: []def{
		{kind: 0, name: "AFR", scale: 0.1, category: "Fuel"},
		{kind: 0, name: "Advance", units: "\xb0", scale: 1, category: "Spark"},
		{kind: 0, name: "EGO", scale: 1, category: "Fuel"},
	}}
	k := read(t, f.record(0, 147, 20, 100).bytes())
	want := []string{"MS2/Extra 3.4.2", "Capture Date: Fri May 29 2026", "Category Fuel: AFR, EGO", "Category Spark: Advance"}
	if !slices.Equal(k.runs[0].Notes, want) {
		t.Errorf("notes %q", k.runs[0].Notes)
	}
	if len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "tune") {
		t.Errorf("warnings %q", k.warnings)
	}
	if u := k.set.Channels()[1].NativeUnit; u != sample.Degree {
		t.Errorf("a Latin-1 degree sign is %q", u)
	}
}

func TestMLGMissingIsNoSample(t *testing.T) {
	t.Parallel()
	f := &file{version: 1, defs: []def{{kind: 7, name: "x", scale: 1}}}
	f.record(0, f32(1)...).record(1000, f32(float32(math.NaN()))...).record(2000, f32(0)...)
	k := read(t, f.bytes())
	if got := k.values("x"); !slices.Equal(got, []float64{1, 0}) || len(k.warnings) != 1 {
		t.Errorf("values %v, warnings %q", got, k.warnings)
	}
}

func TestMLGNoRecordsIsAnEmptyRun(t *testing.T) {
	t.Parallel()
	k := read(t, rpms().bytes())
	if len(k.runs) != 1 || len(k.samples) != 0 || k.set == nil || len(k.warnings) != 1 {
		t.Errorf("%d runs, %d samples, warnings %q", len(k.runs), len(k.samples), k.warnings)
	}
}

func TestMLGNoTimeIsAnError(t *testing.T) {
	t.Parallel()
	f := rpms()
	for range 10 {
		f.record(5, 1, 2)
	}
	if _, err := tryRead(f.bytes()); !errors.Is(err, mlg.ErrNoTime) {
		t.Errorf("error %v", err)
	}
}

func TestMLGDateBefore1990IsNone(t *testing.T) {
	t.Parallel()
	f := rpms(1, 2)
	f.started = 1000
	if k := read(t, f.bytes()); k.runs[0].Dated || k.samples[0].Time != 0 {
		t.Errorf("dated %t, first at %d", k.runs[0].Dated, k.samples[0].Time)
	}
	f.started = uint32(time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	if k := read(t, f.bytes()); !k.runs[0].Dated || sample.Time(k.samples[0].Time).Year() != 2040 {
		t.Errorf("dated %t, first at %v", k.runs[0].Dated, sample.Time(k.samples[0].Time))
	}
}

func TestMLGBatchesAreBounded(t *testing.T) {
	t.Parallel()
	f := rpms()
	for i := range 40000 {
		f.record(i*100, byte(i>>8), byte(i))
	}
	if k := read(t, f.bytes()); k.largest != format.MaxSamples || len(k.samples) != 40000 {
		t.Errorf("largest batch %d, %d samples", k.largest, len(k.samples))
	}
}
