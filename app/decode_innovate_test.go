package app

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// steadyAFR is a rich engine that never changes.
func steadyAFR(_ time.Duration, afr []float64) {
	for i := range afr {
		afr[i] = 12.5
	}
}

// samplesDir is where real recordings of devices lie, or the test is over.
func samplesDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "samples")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatalf("the sample files are needed: %v", err)
		}
		t.Skipf("no sample files: %v", err)
	}
	return dir
}

func TestDecodeInnovate(t *testing.T) {
	t.Parallel()
	samples := samplesDir(t)
	made := t.TempDir()
	for name, raw := range map[string]string{"two.bin": "\xB2\x84\x47\x13\x01\x51\x47\x13\x01\x51", "empty.bin": "", "text.bin": "no serial data\n"} {
		if err := os.WriteFile(filepath.Join(made, name), []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		file, says string
		code       int
	}{
		{filepath.Join(samples, "innovate", "lc2-warmup-then-lambda.bin"), "29 of 482 packets were damaged", exitRejected},
		{filepath.Join(samples, "innovate", "lc2-xoff-stripped.bin"), "flow control eats bytes", exitRejected},
		{filepath.Join(made, "two.bin"), "", exitDone},
		{filepath.Join(made, "empty.bin"), "holds no packet", exitRejected},
		{filepath.Join(made, "text.bin"), "", exitRejected},
	} {
		name := strings.TrimSuffix(filepath.Base(tt.file), ".bin")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, form := range []string{"json", "text"} {
				args := []string{"decode", "innovate", tt.file}
				if form == "json" {
					args = append(args, "--json")
				}
				cmd := exec.Command("dynotap", args...)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				var exit *exec.ExitError
				if err != nil && !errors.As(err, &exit) {
					t.Fatal(err)
				}
				if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(stderr.String(), tt.says) {
					t.Errorf("%s: exit code %d, %q", form, code, stderr.String())
				}
				out = bytes.ReplaceAll(out, []byte(tt.file), []byte(filepath.Base(tt.file)))
				golden(t, "decode-innovate-"+name+"."+form, out)
			}
		})
	}
}

// golden holds out against a file in testdata.
func golden(t *testing.T, name string, out []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text := bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")); !bytes.Equal(out, text) {
		t.Errorf("printed\n%swant\n%s", out, text)
	}
}
