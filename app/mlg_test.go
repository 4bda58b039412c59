package app

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestConvertToMLGIsReadByAnIndependentReader has mlg-converter, of npm, read
// what dynotap writes for MegaLogViewer.
func TestConvertToMLGIsReadByAnIndependentReader(t *testing.T) {
	t.Parallel()
	npm, err := exec.LookPath("npm")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("npm is not here: ", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("..", "scripts", "mlg", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := inDir(t, dir, npm, "ci", "--silent", "--no-audit", "--no-fund"); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	var table bytes.Buffer
	table.WriteString("Time (s),Engine RPM,AFR\n")
	for i := range 200 {
		fmt.Fprintf(&table, "%.2f,%d,%.2f\n", float64(i)/50, 1000+i*7, 12+float64(i%9)/10)
	}
	source, target := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.mlg")
	if err := os.WriteFile(source, table.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if code := execute(t.Context(), []string{"convert", "-o", target, source}, Program{Version: "test", Stdout: &said, Stderr: &said}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, said.Bytes())
	}
	if out, err := inDir(t, dir, "node", filepath.Join("node_modules", "mlg-converter", "dist", "cli.js"), "--format=csv", "out.mlg"); err != nil {
		t.Fatalf("mlg-converter: %v\n%s", err, out)
	}
	file, err := os.Open(filepath.Join(dir, "out.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := csv.NewReader(file)
	in.Comma = ';'
	read, err := in.ReadAll()
	if err != nil || len(read) != 202 || read[0][1] != "rpm" || read[0][2] != "afr" || read[1][1] != "rpm" {
		t.Fatalf("%v, %d rows, %q", err, len(read), read[:min(len(read), 2)])
	}
	for i, row := range read[2:] {
		for column, want := range []float64{float64(i) / 50, float64(1000 + i*7), 12 + float64(i%9)/10} {
			if got, err := strconv.ParseFloat(row[column], 64); err != nil || math.Abs(got-want) > 1e-3 {
				t.Fatalf("row %d: %q, want %g in column %d", i, row, want, column)
			}
		}
	}
}

func inDir(t *testing.T, dir, name string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}
