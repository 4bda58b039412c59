package app

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"dynotap/pipeline/imports"
)

// TestWhatIsExportedIsReadAgain: every text that convert writes is the same run
// with the same channels, values and times for inspect.
func TestWhatIsExportedIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "in.csv")
	table := "timestamp_ms,rpm,afr_front,map_kpa,ect,Kanal 7 [bar]\n"
	for _, row := range []string{"1717425900000,1000,13.1,99.5,190,0.1", "1717425900050,1100,,98.5,190.4,0.2", "1717425900100,1200,12.9,97.5,191.2,0.3"} {
		table += row + "\n"
	}
	if err := os.WriteFile(source, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		t.Helper()
		var out, failed bytes.Buffer
		if code := execute(t.Context(), args, Program{Version: "test", Stdout: &out, Stderr: &failed}); code != exitDone {
			t.Fatalf("%q: exit code %d: %s", args, code, failed.Bytes())
		}
		return out.Bytes()
	}
	inspected := func(file string) (r imports.Report) {
		t.Helper()
		if err := json.Unmarshal(run("inspect", "--json", file), &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Runs) != 1 || r.ErrorCount > 0 {
			t.Fatalf("%s: %+v", file, r)
		}
		return r
	}
	want := inspected(source).Runs[0]
	for name, args := range map[string][]string{"long.csv": nil, "wide.csv": {"--wide"}} {
		file := filepath.Join(dir, name)
		run(append(append([]string{"convert", "-o", file}, args...), source)...)
		got := inspected(file).Runs[0]
		if got.SampleCount != want.SampleCount || got.DataPointCount != want.DataPointCount || got.DurationMS != want.DurationMS ||
			got.StartedAt == nil || !got.StartedAt.Equal(*want.StartedAt) || len(got.Channels) != len(want.Channels) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
			continue
		}
		for i, c := range got.Channels {
			w := want.Channels[i]
			if c.Name != w.Name || c.Unit != w.Unit || c.Samples != w.Samples || *c.Min != *w.Min || *c.Max != *w.Max {
				t.Errorf("%s: %+v, want %+v", name, c, w)
			}
		}
	}
}
