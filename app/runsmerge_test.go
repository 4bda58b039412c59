package app

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dynotap/server"
	"dynotap/sim"
)

// logged writes what two loggers see of one pull: the dyno from 0 on, and a
// wideband that was switched on 2.5 s earlier and reads every 82 ms.
func logged(t *testing.T) (dyno, wideband string) {
	t.Helper()
	cell, err := sim.New(sim.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, head string, step, ahead time.Duration, row func(sim.State) string) string {
		text := head + "\n"
		for at := time.Duration(0); at < 16*time.Second; at += step {
			text += fmt.Sprintf("%.3f,%s\n", (at + ahead).Seconds(), row(cell.At(at)))
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dyno = write("dyno.csv", "Time (s),Engine RPM (rpm),Power (hp)", 50*time.Millisecond, 0, func(s sim.State) string {
		return fmt.Sprintf("%.1f,%.3f", s.RPM, s.Power*1.341022)
	})
	wideband = write("wideband.csv", "Time (s),RPM (rpm),AFR", 82*time.Millisecond, 2500*time.Millisecond, func(s sim.State) string {
		return fmt.Sprintf("%.0f,%.2f", s.RPM, s.AFRFront)
	})
	return dyno, wideband
}

func TestA6TwoFilesAreMerged(t *testing.T) {
	t.Parallel()
	dyno, wideband := logged(t)
	out := filepath.Join(t.TempDir(), "merged.csv")
	text := succeeds(t, "runs", "merge", dyno, wideband, "-o", out, "--channel", "afr", "--json")
	var report server.MergeReport
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	if c := report.Clock; c.How != "found" || c.By != "rpm" || math.Abs(float64(c.OffsetUS)-2.5e6) > 10_000 || c.Correlation < 0.99 || c.Confidence < 0.3 {
		t.Errorf("clock: %+v", c)
	}
	if len(report.Merged) != 1 || report.Points != 320 || report.Merged[0].Name != "afr" || report.Merged[0].Used+report.Merged[0].Unused != 196 || report.Merged[0].Used < 190 {
		t.Errorf("merged: %+v", report)
	}
	checkMerged(t, out)
	// The file is one that import reads: its AFR stands beside the power.
	if shown := succeeds(t, "inspect", out); !strings.Contains(shown, "afr") || !strings.Contains(shown, "hp @") {
		t.Errorf("inspect: %s", shown)
	}
}

// checkMerged holds each AFR of the file to the model at its time.
func checkMerged(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) != 321 || len(rows[0]) != 4 {
		t.Fatalf("%d rows, %v, %v", len(rows), rows[0], err)
	}
	cell, err := sim.New(sim.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if row[3] == "" {
			continue
		}
		at, _ := strconv.ParseFloat(row[0], 64)
		afr, _ := strconv.ParseFloat(row[3], 64)
		low, high := math.Inf(1), math.Inf(-1)
		for near := at - 0.104; near <= at+0.104; near += 0.004 {
			v := cell.At(time.Duration(max(near, 0) * float64(time.Second))).AFRFront
			low, high = min(low, v), max(high, v)
		}
		if afr < low-0.01 || afr > high+0.01 {
			t.Errorf("at %s s: AFR %g, the model has %g to %g within the tolerance", row[0], afr, low, high)
		}
	}
}

func TestA6MergingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dyno, wideband := logged(t)
	other := filepath.Join(t.TempDir(), "weather.csv")
	if err := os.WriteFile(other, []byte("Time (s),Humidity (%)\n0,40\n1,41\n2,42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing in common":    {[]string{dyno, other}, 2, "no channel in common"},
		"a given offset":       {[]string{dyno, other, "--offset", "0s"}, 0, "is taken to be 0.000 s ahead"},
		"no such channel":      {[]string{dyno, wideband, "--channel", "boost"}, 1, `"boost": there are rpm, afr`},
		"no such comparison":   {[]string{dyno, wideband, "--by", "boost"}, 1, `clocks cannot be compared by "boost"`},
		"another format":       {[]string{dyno, wideband, "-o", "x.parquet"}, 2, "merged runs are written as .csv or .mlg"},
		"a file and a run":     {[]string{dyno, "0198"}, 2, "name files only"},
		"a negative tolerance": {[]string{dyno, wideband, "--tolerance", "-1s"}, 2, "give 0 to 1m"},
		"by mixture":           {[]string{dyno, wideband, "--by", "horsepower:afr"}, 0, "by horsepower and afr"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := call(t, append([]string{"runs", "merge"}, c.args...)...)
			if code != c.code || !strings.Contains(out+errs, c.says) {
				t.Errorf("exit %d, %s%s", code, out, errs)
			}
		})
	}
}

// succeeds gives what a command writes.
func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := call(t, args...)
	if code != 0 {
		t.Fatalf("dynotap %s: exit %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}
