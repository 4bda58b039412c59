package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// samples finds the shared samples, or skips.
func samples(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "samples")
	}
	if _, err := os.Stat(filepath.Join(dir, "config")); err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatalf("shared samples: %v", err)
		}
		t.Skipf("shared samples are not here: %v", err)
	}
	return dir
}

func corpus(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("%s differs (-update writes it anew); got:\n%s", name, got)
	}
}

func TestK3BadFilesSayWhere(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t, "bad/*.json") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, err := Load(LoadOptions{Path: file})
			var broken *InvalidError
			if !errors.As(err, &broken) {
				t.Fatalf("got error %v, want an InvalidError", err)
			}
			for _, p := range broken.Problems {
				if p.File != file || p.Line < 1 || p.Column < 1 {
					t.Errorf("no place: %+v", p)
				}
			}
			got := strings.ReplaceAll(err.Error(), file, filepath.Base(file)) + "\n"
			golden(t, strings.TrimSuffix(file, ".json")+".golden", got)
		})
	}
}

func TestK3GoodFilesLoad(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t, "good/*.json") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			if problems := Check(file); len(problems) > 0 {
				t.Errorf("%v", problems)
			}
		})
	}
}

func TestK3CheckOfAFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no.json")
	if got := Check(missing); len(got) != 1 || got[0].File != missing || got[0].Message == "" {
		t.Errorf("got %+v", got)
	}
	if _, err := Load(LoadOptions{Path: missing}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

func TestK3ALargeFileIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(file, []byte(`{"_": "`+strings.Repeat("x", maxFile)+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got := Check(file)
	if len(got) != 1 || !strings.Contains(got[0].Message, "larger than") {
		t.Errorf("got %v", got)
	}
}

// A file that is wrong in a hundred thousand places costs no more time than
// one that is right.
func TestK3AFileFullOfMistakesIsReadInTime(t *testing.T) {
	t.Parallel()
	var unknown, labels strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&unknown, ",\n\"key%d\": 1", i)
		fmt.Fprintf(&labels, ",\n\"%d\": \"rpm\"", i)
	}
	start := time.Now()
	got := problems(t, "{"+unknown.String()[1:]+"}", LoadOptions{})
	if len(got) != maxProblems {
		t.Errorf("%d problems listed", len(got))
	}
	if l := text(t, `{"channels": {`+labels.String()[1:]+"}}", LoadOptions{}); len(l.Config.Channels) != 60_000 {
		t.Errorf("%d labels", len(l.Config.Channels))
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
