package store

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dynotap/sample"
	"dynotap/store/segment"
)

// smallCapture has two providers with the same channel name, a name that needs
// quotes, and every quality.
func smallCapture(t *testing.T, base TimeBase) *rig {
	t.Helper()
	r := newRig(t, Options{})
	c := Capture{ID: "c", Kind: Import, Source: "csv", TimeBase: base}
	if base == Absolute {
		c.StartedUS = new(int64(1_700_000_000_000_000))
	}
	if err := r.PutCapture(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	set := sample.NewChannelSet("csv", []sample.Channel{
		{Key: "a/6/0", Provider: "DWRT CPU", HostID: 0x43fd, ID: 6, Label: "Humidity", Name: "humidity", NativeUnit: sample.Percent, Unit: sample.Percent},
		{Key: "b/6/0", Provider: "DWRT, \"ATMO\"", HostID: 0x43fe, ID: 6, Label: "Humidity", Name: "humidity", NativeUnit: sample.Percent, Unit: sample.Percent},
		{Key: "a/7/0", Provider: "DWRT CPU", HostID: 0x43fd, ID: 7, Label: "Power", Name: "horsepower", NativeUnit: sample.Kilowatt, Unit: sample.Horsepower},
	})
	start := int64(0)
	if base == Absolute {
		start = 1_700_000_000_000_000
	}
	r.put(&sample.Batch{Source: "csv", Capture: "c", Set: set, Samples: []sample.Sample{
		{Time: start, Channel: 0, Value: 40.5},
		{Time: start, Channel: 1, Value: 41, Quality: sample.Suspect},
		{Time: start + 50_000, Channel: 2, Value: 63.4},
		{Time: start + 50_000, Channel: 0, Value: math.NaN(), Quality: sample.Bad},
		{Time: start + 50_000, Channel: 0, Value: -1e-7},
		{Time: start + 1_000_001, Channel: 1, Value: 0},
	}})
	return r
}

func export(t *testing.T, r *rig, format Format, opts ExportOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Export(t.Context(), &out, Query{Capture: "c"}, format, opts); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestExportText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		base   TimeBase
		format Format
		opts   ExportOptions
		want   string
	}{
		{"long CSV", Absolute, CSV, ExportOptions{}, `time,channel,name,unit,value,quality,device
2023-11-14T22:13:20.000000Z,a/6/0,humidity,%,40.5,good,DWRT CPU
2023-11-14T22:13:20.050000Z,a/6/0,humidity,%,NaN,bad,DWRT CPU
2023-11-14T22:13:20.050000Z,a/6/0,humidity,%,-1e-07,good,DWRT CPU
2023-11-14T22:13:20.050000Z,a/7/0,horsepower,hp,85.02080048032478,good,DWRT CPU
2023-11-14T22:13:20.000000Z,b/6/0,humidity,%,41,suspect,"DWRT, ""ATMO"""
2023-11-14T22:13:21.000001Z,b/6/0,humidity,%,0,good,"DWRT, ""ATMO"""
`},
		{"long CSV, relative, metric", Relative, CSV, ExportOptions{Units: sample.Metric}, `time,channel,name,unit,value,quality,device
0.000000,a/6/0,humidity,%,40.5,good,DWRT CPU
0.050000,a/6/0,humidity,%,NaN,bad,DWRT CPU
0.050000,a/6/0,humidity,%,-1e-07,good,DWRT CPU
0.050000,a/7/0,horsepower,kW,63.4,good,DWRT CPU
0.000000,b/6/0,humidity,%,41,suspect,"DWRT, ""ATMO"""
1.000001,b/6/0,humidity,%,0,good,"DWRT, ""ATMO"""
`},
		{"wide CSV", Relative, CSV, ExportOptions{Wide: true}, `time [s],humidity [%] DWRT CPU,horsepower [hp],"humidity [%] DWRT, ""ATMO"""
0.000000,40.5,,41
0.050000,NaN,85.02080048032478,
0.050000,-1e-07,,
1.000001,,,0
`},
		{"JSON lines", Absolute, JSONL, ExportOptions{}, `{"time":"2023-11-14T22:13:20.000000Z","channel":"a/6/0","name":"humidity","unit":"%","value":40.5,"quality":"good","device":"DWRT CPU"}
{"time":"2023-11-14T22:13:20.050000Z","channel":"a/6/0","name":"humidity","unit":"%","value":null,"quality":"bad","device":"DWRT CPU"}
{"time":"2023-11-14T22:13:20.050000Z","channel":"a/6/0","name":"humidity","unit":"%","value":-1e-07,"quality":"good","device":"DWRT CPU"}
{"time":"2023-11-14T22:13:20.050000Z","channel":"a/7/0","name":"horsepower","unit":"hp","value":85.02080048032478,"quality":"good","device":"DWRT CPU"}
{"time":"2023-11-14T22:13:20.000000Z","channel":"b/6/0","name":"humidity","unit":"%","value":41,"quality":"suspect","device":"DWRT, \"ATMO\""}
{"time":"2023-11-14T22:13:21.000001Z","channel":"b/6/0","name":"humidity","unit":"%","value":0,"quality":"good","device":"DWRT, \"ATMO\""}
`},
		{"JSON lines, relative", Relative, JSONL, ExportOptions{}, `{"time":0.000000,"channel":"a/6/0","name":"humidity","unit":"%","value":40.5,"quality":"good","device":"DWRT CPU"}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := smallCapture(t, c.base)
			for _, when := range []string{"live", "sealed"} {
				got := export(t, r, c.format, c.opts)
				if !strings.HasPrefix(got, c.want) || c.format == CSV && got != c.want {
					t.Errorf("%s:\n%s\nwant\n%s", when, got, c.want)
				}
				if c.format == JSONL {
					for line := range strings.Lines(got) {
						if !json.Valid([]byte(line)) {
							t.Errorf("not JSON: %s", line)
						}
					}
				}
				r.seal("c", 0)
			}
		})
	}
}

func TestExportRefusesUnknownForms(t *testing.T) {
	t.Parallel()
	r := smallCapture(t, Absolute)
	for _, c := range []struct {
		format Format
		opts   ExportOptions
	}{{"xlsx", ExportOptions{}}, {Parquet, ExportOptions{Wide: true}}, {JSONL, ExportOptions{Wide: true}}} {
		if err := r.Export(t.Context(), new(bytes.Buffer), Query{Capture: "c"}, c.format, c.opts); !errors.Is(err, ErrFormat) {
			t.Errorf("%s %+v: %v", c.format, c.opts, err)
		}
	}
}

func TestTimesBeforeTheStartAreWrittenRight(t *testing.T) {
	t.Parallel()
	relative, absolute := timeText{relative: true}, timeText{}
	for us, want := range map[int64][2]string{
		-1:         {"-0.000001", "1969-12-31T23:59:59.999999Z"},
		-1_500_000: {"-1.500000", "1969-12-31T23:59:58.500000Z"},
		12_000_034: {"12.000034", "1970-01-01T00:00:12.000034Z"},
	} {
		if got := string(relative.text(us)); got != want[0] {
			t.Errorf("%d: %s, want %s", us, got, want[0])
		}
		if got := string(absolute.text(us)); got != want[1] {
			t.Errorf("%d: %s, want %s", us, got, want[1])
		}
	}
}

// TestExportsHoldEverySampleOnce exports what is partly sealed, with little
// memory, and counts.
func TestExportsHoldEverySampleOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{MemorySamples: 150})
	r.begin("c")
	random := rand.New(rand.NewPCG(1, 8))
	set := testSet("jetdrive", 5)
	want := ledger{}
	for i := range 12 {
		b := randomBatch(random, set, "c", 1_700_000_000_000_000+int64(i)*10_000, 100)
		for k := range b.Samples {
			if i == 6 {
				b.Samples[k].Time = 1_700_000_000_060_000 // more than fit at one instant
			}
		}
		r.put(b)
		want.add(b)
		if i == 3 || i == 7 {
			r.seal("c", 0)
		}
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	for _, system := range []sample.System{sample.US, sample.Metric} {
		if err := os.WriteFile(path, []byte(export(t, r, Parquet, ExportOptions{Units: system})), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := segment.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string][]Point)
		for i, c := range f.Info().Channels {
			if unit := c.Unit; system == sample.Metric && unit == sample.Horsepower || system == sample.US && unit == sample.Kilowatt {
				t.Errorf("channel %s is in %s", c.Key, unit)
			}
			cursor := f.Read(i, math.MinInt64, math.MaxInt64, true)
			for points, err := cursor.Next(); err == nil; points, err = cursor.Next() {
				got[c.Key] = append(got[c.Key], points...)
			}
		}
		f.Close()
		want.check(t, got)
	}
	checkWide(t, want, set, export(t, r, CSV, ExportOptions{Wide: true}))
	if lines := strings.Count(export(t, r, CSV, ExportOptions{}), "\n"); lines != 1201 {
		t.Errorf("long CSV has %d lines", lines)
	}
}

func checkWide(t *testing.T, want ledger, set *sample.ChannelSet, text string) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[int][]string)
	for i, record := range records[1:] {
		if i > 0 && record[0] < records[i][0] {
			t.Fatalf("time %s comes after %s", record[0], records[i][0])
		}
		for column, cell := range record[1:] {
			if cell != "" {
				got[column] = append(got[column], cell)
			}
		}
	}
	for i := range set.Channels() {
		c := &set.Channels()[i]
		var cells []string
		for _, p := range want[c.Key] {
			cells = append(cells, strconv.FormatFloat(c.Conversion().Apply(p.Value), 'g', -1, 64))
		}
		slices.Sort(cells)
		slices.Sort(got[i])
		if !slices.Equal(cells, got[i]) {
			t.Errorf("column %s: %d cells, want %d, or others", records[0][i+1], len(got[i]), len(cells))
		}
	}
}

func TestPlot(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	set := testSet("jetdrive", 2)
	b := &sample.Batch{Source: "jetdrive", Capture: "c", Set: set}
	for i := range 10_000 {
		v := math.Sin(float64(i) / 500)
		switch i {
		case 5000:
			v = 100 // one outlier must be seen
		case 5001:
			v = math.NaN()
		}
		b.Samples = append(b.Samples, sample.Sample{Time: int64(i) * 1000, Value: v})
	}
	b.Samples = append(b.Samples, sample.Sample{Time: 3, Channel: 1, Value: 7}, sample.Sample{Time: 1, Channel: 1, Value: 8})
	r.put(b)
	for _, points := range []int{1, 4, 50, 1000} {
		t.Run(fmt.Sprint(points), func(t *testing.T) {
			list, err := r.Plot(t.Context(), Query{Capture: "c"}, points)
			if err != nil || len(list) != 2 {
				t.Fatalf("%d series, %v", len(list), err)
			}
			p := list[0].Points
			if len(p) > max(4, points) || len(p) < points/3 {
				t.Errorf("%d points", len(p))
			}
			if !slices.IsSortedFunc(p, func(a, b Point) int { return int(a.Time - b.Time) }) {
				t.Error("not in order of time")
			}
			if !slices.ContainsFunc(p, func(p Point) bool { return p.Value == 100 }) {
				t.Error("the outlier is missing")
			}
			if p[0].Time != 0 || p[len(p)-1].Time != 9_999_000 {
				t.Errorf("from %d to %d", p[0].Time, p[len(p)-1].Time)
			}
			if q := list[1].Points; points >= 2 && (len(q) != 2 || q[0].Time != 1) {
				t.Errorf("the short channel is %v", q)
			}
		})
	}
	list, err := r.Plot(t.Context(), Query{Capture: "c", FromUS: new(int64(100_000)), ToUS: new(int64(110_000))}, 100)
	if err != nil || len(list) != 1 || len(list[0].Points) != 10 {
		t.Errorf("ten samples: %v, %v", list, err)
	}
}
