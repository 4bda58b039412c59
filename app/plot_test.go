package app

import (
	"bytes"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dynotap/channel"
	"dynotap/internal/db"
	"dynotap/run"
	"dynotap/sample"
	"dynotap/sim"
	"dynotap/store"
)

// recorded is a data directory with a session of the simulated cell, and the
// ids of its two pulls.
func recorded(t *testing.T) (dir string, pulls []string) {
	t.Helper()
	const epoch = 1_790_000_000_000_000
	dir = t.TempDir()
	d, err := db.Open(t.Context(), dir, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := store.Open(t.Context(), d, dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	capture := store.Capture{ID: "c1", Kind: store.Live, Source: "jetdrive", StartedUS: new(int64(epoch)), TimeBase: store.Absolute}
	if err := s.PutCapture(t.Context(), capture); err != nil {
		t.Fatal(err)
	}
	cell, err := sim.New(sim.Settings{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := sample.NewBatchIDs()
	for _, p := range sim.Providers() {
		var list []sample.Channel
		for _, ch := range p.Channels {
			list = append(list, sample.Channel{
				Key: sample.ChannelKey(p.Name, uint32(ch.ID), 0), Provider: p.Name, ID: uint32(ch.ID), Label: ch.Name, NativeUnit: ch.Unit,
			})
		}
		set := resolver.ResolveSet(sample.NewChannelSet("jetdrive", list))
		if err := s.PutSet(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		b := &sample.Batch{ID: ids.Next(), Source: "jetdrive", Capture: capture.ID, Priority: sample.High, Set: set}
		for at := time.Duration(0); at < 40*time.Second; at += 50 * time.Millisecond {
			state := cell.At(at)
			for i, ch := range p.Channels {
				b.Samples = append(b.Samples, sample.Sample{Time: epoch + at.Microseconds(), Channel: uint32(i), Value: ch.Value(state)})
			}
		}
		if err := s.Write(t.Context(), store.ChunkEffect(store.NewChunk(b, sample.AppendBatch(nil, b)))); err != nil {
			t.Fatal(err)
		}
	}
	archive := run.NewArchive(s, d, func() int64 { return epoch })
	found, err := run.PullRuns(t.Context(), archive, capture, run.PullSettings{})
	if err == nil {
		err = archive.Save(t.Context(), capture.ID, 0, nil, found)
	}
	if err != nil || len(found) != 2 {
		t.Fatal(len(found), err)
	}
	return dir, []string{found[0].ID, found[1].ID}
}

func TestSheetsAreDrawnFromTheCommandLine(t *testing.T) {
	t.Parallel()
	dir, pulls := recorded(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		says []string // in the picture, or in the error
	}{
		{"a pull", []string{"plot", pulls[0]}, 0, []string{"Pull 1 (jetdrive)", "SAE J1349, factor 0.99", "smoothing: 0", "ft·lb @ 3", "AFR front"}},
		{"by the beginning of its id", []string{"plot", pulls[1][:25], "--smoothing", "5", "--title", "Stage 2"}, 0, []string{"Stage 2", "smoothing: 5"}},
		{"metric, std, over time", []string{"plot", pulls[0], "--units", "metric", "--correction", "std", "--over", "time"}, 0,
			[]string{"STD (SAE J607), factor 1.0", "kW @", "time (s)", "kPa absolute"}},
		{"two runs", []string{"compare", pulls[0], pulls[1]}, 0, []string{"Comparison of 2 runs", "1: Pull 1", "2: Pull 2"}},
		{"seven runs", []string{"compare", "a", "b", "c", "d", "e", "f", "g"}, 2, []string{"2 to 6 runs"}},
		{"one run compared", []string{"compare", pulls[0]}, 2, []string{"2 to 6 runs"}},
		{"an unknown run", []string{"plot", "ffff"}, 1, []string{"no run ffff"}},
		{"an unknown correction", []string{"plot", pulls[0], "--correction", "din"}, 2, []string{`--correction "din": use none, sae, std`}},
		{"an unknown level", []string{"plot", pulls[0], "--smoothing", "6"}, 2, []string{"--smoothing 6: levels are 0 (none) to 5"}},
		{"an unknown axis", []string{"plot", pulls[0], "--over", "gear"}, 2, []string{`--over "gear": use rpm, time`}},
		{"an unknown unit", []string{"plot", pulls[0], "--units", "si"}, 2, []string{`--units "si": use us, metric`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sheet.svg")
			code, said := dynotapRuns(t, append(c.args, "--data", dir, "-o", file))
			if code == 0 {
				picture, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				said = string(picture)
			}
			for _, want := range c.says {
				if code != c.code || !strings.Contains(said, want) {
					t.Errorf("code %d, %q is missing in\n%.3000s", code, want, said)
				}
			}
		})
	}
}

func TestASheetIsWrittenInTheFormatOfItsName(t *testing.T) {
	t.Parallel()
	dir, pulls := recorded(t)
	file := filepath.Join(t.TempDir(), "sheet.PNG")
	if code, said := dynotapRuns(t, []string{"plot", pulls[0], "--data", dir, "-o", file}); code != 0 {
		t.Fatal(said)
	}
	picture, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Error(err)
	}
	for args, want := range map[string]string{"sheet.pdf": "drawn as .svg or .png", "": "name the picture with -o"} {
		if code, said := dynotapRuns(t, []string{"plot", pulls[0], "--data", dir, "-o", args}); code != 2 || !strings.Contains(said, want) {
			t.Errorf("-o %q: %d %s", args, code, said)
		}
	}
}

// dynotapRuns runs one command and gives its code and what it said.
func dynotapRuns(t *testing.T, args []string) (code int, said string) {
	t.Helper()
	cmd := exec.Command("dynotap", append([]string{"runs"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
