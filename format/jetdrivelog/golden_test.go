package jetdrivelog

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/formattest"
	"dynotap/sample"
)

var update = flag.Bool("update", false, "write the golden files")

// summary says of each channel what came of it, in the unit that people see.
func summary(tb testing.TB, run *formattest.Run) string {
	tb.Helper()
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		tb.Fatal(err)
	}
	var out strings.Builder
	for i, c := range run.Channels {
		c = resolver.Resolve(c)
		fmt.Fprintf(&out, "%s | %s | %s > %s |", c.Label, c.Name, c.NativeUnit, c.Unit)
		for _, s := range run.Samples {
			if int(s.Channel) == i {
				fmt.Fprintf(&out, " %s=%.6g", sample.Time(s.Time).UTC().Format("04:05.000"), c.Conversion().Apply(s.Value))
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func TestA7GoldenOfTheRealCaptures(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"jetdrive-capture-idle", "jetdrive-capture-engine-off"} {
		f, err := New(format.Settings{Zone: time.UTC})
		if err != nil {
			t.Fatal(err)
		}
		k, err := formattest.Read(t, f, theSample(t, name+".csv"))
		if err != nil || len(k.Runs) != 1 || len(k.Problems)+len(k.Warnings) > 0 {
			t.Fatalf("%s: %v, %v, %v", name, err, k.Problems, k.Warnings)
		}
		got, path := summary(t, &k.Runs[0]), filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		have, wanted := strings.Split(got, "\n"), strings.Split(strings.ReplaceAll(string(want), "\r\n", "\n"), "\n")
		if len(have) != len(wanted) {
			t.Fatalf("%s: %d channels, want %d", name, len(have)-1, len(wanted)-1)
		}
		for i := range have {
			if have[i] != wanted[i] {
				t.Errorf("%s:\n%s\nwant\n%s", name, have[i], wanted[i])
			}
		}
	}
}
